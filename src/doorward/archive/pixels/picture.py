"""What a data set says of its pixels, held against what is there before any decoder sees it (PS3.3 section C.7.6.3)."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from math import ceil

from doorward.archive.pixels.stored import Content, Layout
from doorward.dicom.attributes import Attribute, DataSetView, read_attributes
from doorward.dicom.reencode import ICON_IMAGE_SEQUENCE, WORD_BYTES, reencode, swapped
from doorward.dicom.walk import PIXEL_DATA, Syntax, find_top_level
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
PLANAR_CONFIGURATION = 0x00280006
NUMBER_OF_FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100
BITS_STORED = 0x00280101
PIXEL_REPRESENTATION = 0x00280103
#: What it takes to show pixels: group 0028, presentation LUT shape, functional groups of enhanced images.
_SHOWN_GROUPS = frozenset({0x0028})
_SHOWN = frozenset({0x20500020, 0x52009229, 0x52009230})
_NUMBERS = frozenset(
    (
        *(SAMPLES_PER_PIXEL, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, NUMBER_OF_FRAMES),
        *(ROWS, COLUMNS, BITS_ALLOCATED, BITS_STORED, PIXEL_REPRESENTATION),
    )
)
_ALLOCATED = frozenset({1, 8, 16, 32, 64})
_KEYWORDS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    PIXEL_DATA: "PixelData",
}
_NONE = Attribute("US")
#: 12 bits of two pixels in three bytes and the like are not in use; two pixels share their colour here (PS3.3 C.7.6.3.1.2).
_HALVED = "YBR_FULL_422"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The pixels of one instance. All numbers are in range, and native pixels are as many as they say."""

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    frames: int
    allocated: int
    stored: int
    is_signed: bool
    #: ``PixelData``, ``FloatPixelData`` or ``DoubleFloatPixelData``, and its VR.
    keyword: str
    vr: str
    #: What says how it is shown, explicit VR little endian: no attribute of a patient.
    shown: bytes = field(default=b"", repr=False)

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame, as it is stored."""
        bits = self.rows * self.columns * self.samples * self.allocated
        return bits * 2 // 3 if self.photometric == _HALVED and self.samples == 3 else bits

    @property
    def decoded_bytes(self) -> int:
        """Bytes of one decoded frame."""
        return ceil(self.rows * self.columns * self.samples * self.allocated / 8)


def picture_of(layout: Layout, content: Content, *, is_shown: bool = False) -> Picture | None:
    """Return what the pixels are, None where there are none; ``is_shown``: with what rendering needs.

    Raises PeerProtocolError for numbers that are missing, out of range or not those of what is there; LimitExceeded.
    """
    if layout.pixels is None:
        return None
    view = read_attributes(layout.head, content.syntax, _NUMBERS, content.limits)
    stated = next(iter(view.get(PHOTOMETRIC_INTERPRETATION, _NONE).values), "")
    picture = Picture(
        rows=_number(view, ROWS, range(1, 65_536)),
        columns=_number(view, COLUMNS, range(1, 65_536)),
        samples=_number(view, SAMPLES_PER_PIXEL, (1, 3, 4), 1),
        photometric=stated if stated.replace("_", "").replace(" ", "").isalnum() else "",
        planar=_number(view, PLANAR_CONFIGURATION, (0, 1), 0),
        frames=_number(view, NUMBER_OF_FRAMES, range(1, content.limits.index_frames + 1), 1),
        allocated=_number(view, BITS_ALLOCATED, _ALLOCATED),
        stored=_number(view, BITS_STORED, range(1, 65), _number(view, BITS_ALLOCATED, _ALLOCATED)),
        is_signed=_number(view, PIXEL_REPRESENTATION, (0, 1), 0) == 1,
        keyword=_KEYWORDS[layout.pixels.tag],
        vr=layout.pixels.vr,
    )
    _check(picture, layout, content.limits)
    if not is_shown:
        return picture
    shown = _shown(layout.head, content.syntax, content.limits)
    return replace(picture, shown=shown)


async def frame_of(
    picture: Picture, layout: Layout, content: Content, number: int
) -> tuple[bytes, int]:
    """Return a frame, 0 is the first, little endian where it is native; and at which bit of its first byte it begins.

    Raises PeerProtocolError, LimitExceeded, StorageError.
    """
    assert layout.pixels is not None
    if layout.is_compressed:
        pieces = [await content.read(*one) for one in layout.frames[number]]
        return b"".join(pieces), 0
    begin = number * picture.frame_bits
    first, end = begin // 8, ceil((begin + picture.frame_bits) / 8)
    word = word_bytes(picture.vr, picture.allocated, content.syntax)
    # A frame of bytes in words may begin in the middle of one.
    before, after = first % word, -end % word
    length = end + after - (first - before)
    stored = await content.read(layout.pixels.offset + first - before, length)
    return swapped(stored, word)[before : length - after], begin % 8


def word_bytes(vr: str, allocated: int, syntax: Syntax) -> int:
    """Return of how many bytes native pixels are written as numbers in big endian; 1 where there is nothing to swap."""
    if syntax is not Syntax.EXPLICIT_BIG:
        return 1
    return allocated // 8 if vr == "OW" and allocated > 16 else WORD_BYTES.get(vr, 1)


def _check(picture: Picture, layout: Layout, limits: Limits) -> None:
    """Hold the numbers against what is there."""
    size = picture.decoded_bytes
    if size > limits.image_frame_bytes:
        bound = limits.image_frame_bytes
        raise LimitExceeded(limit="image_frame_bytes", value=bound, seen=size)
    if picture.stored > picture.allocated:
        raise _wrong(BITS_STORED, "more bits are stored than allocated")
    assert layout.pixels is not None
    if layout.is_compressed:
        if len(layout.frames) != picture.frames:
            raise _wrong(NUMBER_OF_FRAMES, "it is not the number of frames that are there")
    elif layout.pixels.length * 8 < picture.frames * picture.frame_bits:
        raise _wrong(layout.pixels.tag, "it is shorter than rows, columns and frames say")


def _shown(head: bytes, syntax: Syntax, limits: Limits) -> bytes:
    """Return only what it takes to show pixels; a worker gets no attribute of a patient."""
    wanted = _top_level_tags(head, syntax, limits)
    changes = dict.fromkeys(
        tag
        for tag in wanted
        if (tag >> 16 not in _SHOWN_GROUPS and tag not in _SHOWN) or tag == ICON_IMAGE_SEQUENCE
    )
    shown = reencode(head, syntax, Syntax.EXPLICIT_LITTLE, changes=changes, limits=limits)
    if len(shown) > limits.image_described_bytes:
        bound = limits.image_described_bytes
        raise LimitExceeded(limit="image_described_bytes", value=bound, seen=len(shown))
    return shown


def _top_level_tags(head: bytes, syntax: Syntax, limits: Limits) -> Collection[int]:
    """Return the tags of the outermost level. Raises PeerProtocolError where one comes twice."""
    return find_top_level(head, syntax, _Every(), limits).keys()


class _Every(frozenset[int]):
    """A collection that has every tag in it."""

    def __contains__(self, tag: object) -> bool:
        """Whatever it is."""
        return True


def _number(
    view: DataSetView, tag: int, allowed: Collection[int], absent: int | None = None
) -> int:
    text = next(iter(view.get(tag, _NONE).values), "")
    if not text and absent is not None:
        return absent
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number not in allowed:
        raise _wrong(tag, "it is missing, or no number that it may be")
    return number


def _wrong(tag: int, message: str) -> PeerProtocolError:
    field_name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return PeerProtocolError(message, field=field_name, source="PS3.3 section C.7.6.3")
