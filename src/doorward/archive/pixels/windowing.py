"""Stored pixels as eight bits that can be shown (PS3.4 section N.2). Runs in a worker only.

Grey: modality LUT or rescale, then the window that was asked for, else the VOI LUT or the first window of the data set,
else all values that occur. Whole numbers go through a table of their own values, so that a window costs the same whatever
it computes. Colour: palette, YBR to RGB, the upper eight bits. An enhanced image keeps some of it in functional groups.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space

Array: TypeAlias = np.ndarray[Any, Any]
Window: TypeAlias = tuple[float, float, str]

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_VALUE_TRANSFORMATION, _FRAME_VOI = 0x00289145, 0x00289132
_MODALITY_LUT, _VOI_LUT = 0x00283000, 0x00283010
#: Defined terms of VOI LUT Function (0028,1056) -> the names of PS3.18 section 8.3.5.1.4.
_FUNCTIONS = {"LINEAR": "linear", "LINEAR_EXACT": "linear-exact", "SIGMOID": "sigmoid"}
_MOST_VALUES = 65_536  # of a table: 16 bits


class CannotShow(Exception):
    """These pixels are of a kind that is not shown."""


def shown(
    array: Array, photometric: str, shows: Dataset, frame: int, window: Window | None, stored: int
) -> Array:
    """Return a frame as eight bits: (rows, columns) or (rows, columns, 3). Raises CannotShow."""
    if photometric in ("MONOCHROME1", "MONOCHROME2"):
        grey = _grey(array, shows, frame, window)
        return 255 - grey if photometric == "MONOCHROME1" else grey
    if photometric == "PALETTE COLOR":
        coloured = apply_color_lut(array, shows)
        return _upper_bits(coloured[..., :3], 8 * coloured.dtype.itemsize)
    if array.ndim != 3 or array.shape[2] != 3:
        raise CannotShow("this photometric interpretation is not shown")
    eight = _upper_bits(array, stored)
    if photometric in ("RGB", "YBR_ICT", "YBR_RCT"):
        return eight
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        return convert_color_space(eight, "YBR_FULL", "RGB")
    raise CannotShow("this photometric interpretation is not shown")


def _upper_bits(array: Array, stored: int) -> Array:
    if array.dtype.kind not in "ui":
        raise CannotShow("colour is of whole numbers")
    shift = max(0, stored - 8)
    return (array >> shift).clip(0, 255).astype(np.uint8)


def _grey(array: Array, shows: Dataset, frame: int, window: Window | None) -> Array:
    """Return modality and VOI LUT applied."""
    groups = list(_groups(shows, frame))
    modality = _modality(groups)
    is_whole = array.dtype.kind in "ui"
    lowest, highest = array.min(), array.max()
    if not is_whole or int(highest) - int(lowest) >= _MOST_VALUES:
        values = modality(array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64))
        present = values[np.isfinite(values)] if not is_whole else values
        return _eight_bits(values, _voi(groups, window, present))
    stored = np.arange(int(lowest), int(highest) + 1, dtype=np.int64)
    values = modality(stored.astype(np.float64))
    places = array.astype(np.int64) - int(lowest)
    occurs = np.bincount(places.ravel(), minlength=len(stored)) > 0
    inside = occurs & ~_padding(shows, stored)
    present = values[inside if inside.any() else occurs]
    table = _eight_bits(values, _voi(groups, window, present))
    return table[places]


def _padding(shows: Dataset, stored: Array) -> Array:
    """Return which values are the padding around the image (PS3.3 section C.7.5.1.1.2)."""
    value = shows.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(stored.shape, bool)
    limit = shows.get("PixelPaddingRangeLimit")
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    return (stored >= low) & (stored <= high)


def _eight_bits(values: Array, voi: Callable[[Array], Array]) -> Array:
    """Return values of interest, 0.0 to 1.0, as 0 to 255."""
    scaled = np.nan_to_num(voi(values), nan=0.0, posinf=1.0, neginf=0.0)
    return (scaled.clip(0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _groups(shows: Dataset, frame: int) -> Iterator[Dataset]:
    """Yield what may say how this frame is shown, the nearest first (PS3.3 section C.7.6.16)."""
    for tag, number in ((_PER_FRAME, frame), (_SHARED, 0)):
        items = shows[tag].value if tag in shows else ()
        if number < len(items):
            for inner in (_VALUE_TRANSFORMATION, _FRAME_VOI):
                if inner in items[number]:
                    yield from items[number][inner].value
    yield shows


def _first(groups: list[Dataset], *keywords: str) -> list[Any] | None:
    """Return the first values of these keywords, where one group has all of them."""
    for group in groups:
        found = [group.get(keyword) for keyword in keywords]
        found = [
            one[0] if hasattr(one, "__getitem__") and not isinstance(one, str) and len(one) else one
            for one in found
        ]
        if all(one not in (None, "") for one in found):
            return found
    return None


def _modality(groups: list[Dataset]) -> Callable[[Array], Array]:
    """Return from stored to modality values (PS3.3 section C.11.1)."""
    for group in groups:
        if _MODALITY_LUT in group and group[_MODALITY_LUT].value:
            look_up, _ = _table(group[_MODALITY_LUT].value[0])
            return look_up
    rescale = _first(groups, "RescaleSlope", "RescaleIntercept")
    if rescale is None:
        return lambda values: values
    slope, intercept = float(rescale[0]), float(rescale[1])
    return lambda values: values * slope + intercept


def _voi(groups: list[Dataset], window: Window | None, present: Array) -> Callable[[Array], Array]:
    """Return from modality values to 0.0 to 1.0 (PS3.3 section C.11.2)."""
    if window is None:
        for group in groups:
            if _VOI_LUT in group and group[_VOI_LUT].value:
                look_up, most = _table(group[_VOI_LUT].value[0])
                return lambda values: look_up(values) / most
        stated = _first(groups, "WindowCenter", "WindowWidth")
        if stated is not None and float(stated[1]) > 0:
            function = next((str(g.VOILUTFunction) for g in groups if g.get("VOILUTFunction")), "")
            window = float(stated[0]), float(stated[1]), _FUNCTIONS.get(function, "linear")
    if window is not None:
        center, width, shape = window
        return lambda values: windowed(values, center, width, shape)
    low, high = (float(present.min()), float(present.max())) if present.size else (0.0, 0.0)
    return lambda values: (values - low) / (high - low or 1.0)


def windowed(values: Array, center: float, width: float, shape: str) -> Array:
    """Return values in a window, 0.0 to 1.0 (PS3.3 sections C.11.2.1.2 and C.11.2.1.3); more or less is outside of it."""
    if shape == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp((-4.0 * (values - center) / width).clip(-700, 700))))
    if shape == "linear-exact":
        return np.asarray((values - center) / width + 0.5)
    if width <= 1:
        return np.asarray((values > center - 0.5).astype(np.float64))
    return np.asarray((values - (center - 0.5)) / (width - 1) + 0.5)


def _table(item: Dataset) -> tuple[Callable[[Array], Array], float]:
    """Return a look-up table and its largest value (PS3.3 section C.11.1.1)."""
    descriptor: Mapping[int, Any] = dict(enumerate(item.LUTDescriptor))
    count, first, bits = int(descriptor[0]) or 65_536, int(descriptor[1]), int(descriptor[2])
    raw = item.LUTData
    if isinstance(raw, bytes):
        packed = len(raw) in (count, count + 1) and bits <= 8
        entries = np.frombuffer(raw, np.uint8 if packed else "<u2")[:count]
    else:
        entries = np.asarray(raw, np.int64).reshape(-1)[:count]
    if not 1 <= bits <= 16 or not len(entries):
        raise CannotShow("a look-up table of this size")
    table = entries.astype(np.float64)

    def look_up(values: Array) -> Array:
        # A first value that is negative may have been written unsigned.
        begin = first - 65_536 if first > 32_767 and values.size and values.min() < 0 else first
        return table[(np.rint(values) - begin).clip(0, len(table) - 1).astype(np.int64)]

    return look_up, float(2**bits - 1)
