"""Views of data sets as bytes and back, frames too, and times as numbers: what lies in the cells of the index.

A view is JSON: a list of [tag, VR, values] or, for a sequence, [tag, "SQ", [], items]. It is read for every answer, and
the parser of the standard library is the fastest reader of such text that there is without another package.
"""

import json
from array import array
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from doorward.archive.index.entry import Frame
from doorward.dicom.attributes import Attribute, DataSetView
from doorward.dicom.query import Rules, comparables
from doorward.dicom.tags import vr_of
from doorward.errors import LimitExceeded
from doorward.limits import DEFAULT_LIMITS, Limits

#: Names are kept folded; a query that wants them as written is checked again.
_KEPT = Rules()
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_view(view: DataSetView, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return a view as text; raises LimitExceeded (``index_view_bytes``)."""
    text = _ENCODE(_listed(view))
    if len(text) > limits.index_view_bytes:
        bound = limits.index_view_bytes
        raise LimitExceeded(limit="index_view_bytes", value=bound, seen=len(text))
    return text


def _listed(view: DataSetView) -> list[list[Any]]:
    return [
        [tag, vr, values, [_listed(item) for item in items]] if items else [tag, vr, values]
        for tag, (vr, values, items) in view.items()
    ]


def decode_view(text: str, wanted: Collection[int] | None = None) -> dict[int, Attribute]:
    """Return what ``encode_view`` was given, no more than the ``wanted`` attributes of it."""
    return _view(json.loads(text), wanted)


def _view(rows: list[list[Any]], wanted: Collection[int] | None = None) -> dict[int, Attribute]:
    return {
        row[0]: Attribute(
            row[1], tuple(row[2]), [_view(item) for item in row[3]] if len(row) > 3 else ()
        )
        for row in rows
        if wanted is None or row[0] in wanted
    }


def texts_of(view: DataSetView, tags: Iterable[int]) -> list[tuple[int, str]]:
    """Return tag and text for all texts by which a view is found, each once; the VR is the dictionary's, as for keys."""
    return [
        (tag, text)
        for tag in tags
        if tag in view
        for text in dict.fromkeys(comparables(vr_of(tag), view[tag].values, _KEPT))
    ]


def encode_frames(frames: Sequence[Frame], limits: Limits = DEFAULT_LIMITS) -> bytes | None:
    """Return where frames lie, None for none; raises LimitExceeded (``index_frames``)."""
    if len(frames) > limits.index_frames:
        raise LimitExceeded(limit="index_frames", value=limits.index_frames, seen=len(frames))
    return array("Q", [number for frame in frames for number in frame]).tobytes() or None


def decode_frames(cell: bytes | None) -> tuple[Frame, ...]:
    """Return what ``encode_frames`` was given."""
    numbers = array("Q", cell or b"")
    return tuple(map(Frame, numbers[::2], numbers[1::2]))


def encode_time(moment: datetime) -> int:
    """Return an aware time in milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def decode_time(number: int) -> datetime:
    """Return a time in UTC."""
    return _EPOCH + timedelta(milliseconds=number)
