"""What stands before the pixels of a data set, read while it comes in; and where its frames lie.

Theory of operation. Fragments of any size go in. Elements of the outermost level are kept until the pixels begin; a long
value is passed over, and of the pixels nothing is kept but where their fragments lie. A sequence of undefined length is
looked at again when twice as much of it is there, so that the work stays linear. What is kept goes through the bounded
walker in the end. A deflated data set is inflated only as far as its head.
"""

from collections.abc import Collection
from struct import Struct

from doorward.archive.index.entry import Frame
from doorward.archive.index.levels import UPPER_TAGS
from doorward.dicom.attributes import Attribute, DataSetView, read_attributes
from doorward.dicom.inflate import Inflater
from doorward.dicom.part10 import is_deflated, syntax_of
from doorward.dicom.tags import vr_of
from doorward.dicom.walk import (
    ITEM,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED,
    Syntax,
    name_of,
    walk,
)
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

#: Of an instance itself: what listings and viewers ask for without opening the image.
INSTANCE_TAGS = frozenset(
    (
        *(0x00080005, 0x00080008, 0x00080012, 0x00080013, 0x00080016, 0x00080018),
        *(0x00080022, 0x00080023, 0x0008002A, 0x00080032, 0x00080033),  # acquired, made: when
        *(0x00180050, 0x00180088, 0x00200012, 0x00200013, 0x00200032, 0x00200037, 0x00201041),
        *(0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030),
        *(0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00281050, 0x00281051),
        *(0x0040A043, 0x0040A491, 0x0040A493),  # reports: title, completed, verified
        *(0x00420010, 0x00700080, 0x00700081),  # document title; presentation: label, description
    )
)
WANTED: Collection[int] = UPPER_TAGS | INSTANCE_TAGS
#: Float, Double Float and Pixel Data; what has a higher group stands behind them.
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
_FIRST_PIXELS = 0x7FE00008
_NONE = Attribute("US")
_ON_WIRE = 0xFFFFFFFF
_ITEM_HEADER = Struct("<HHL")


class Head:
    """One data set on its way in. ``size_bytes`` counts all of it. After an error it is of no more use."""

    def __init__(self, transfer_syntax_uid: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self._syntax = syntax_of(transfer_syntax_uid)
        self._limits = limits
        self._inflater = Inflater(limits) if is_deflated(transfer_syntax_uid) else None
        order = ">" if self._syntax is Syntax.EXPLICIT_BIG else "<"
        self._pair, self._short, self._long = (
            Struct(f"{order}HH"),
            Struct(f"{order}H"),
            Struct(f"{order}L"),
        )
        self._kept = bytearray()
        self._at = 0  # where the next header stands in what is kept
        self._skipped = 0  # bytes of long values before there
        self._to_skip = 0
        self._look_again_at = 0
        self._pixels: tuple[int, int] | None = None  # offset and length of their value
        self._items: _Items | None = None
        self.is_complete = False
        self.size_bytes = 0

    def feed(self, fragment: bytes) -> None:
        """Take the next fragment. Raises PeerProtocolError, LimitExceeded (``ingest_head_bytes``, ``inflate_...``)."""
        begin = self.size_bytes
        self.size_bytes += len(fragment)
        if self._items is not None:
            self._items.feed(begin, fragment)
        elif self.is_complete:
            pass
        elif self._inflater is None:
            self._take(fragment)
        else:
            self._inflate(self._inflater, fragment)

    @property
    def needs_no_more(self) -> bool:
        """Whether what follows could say nothing more but how long it is: the pixels lie in one piece, or there are none."""
        return self.is_complete and self._items is None

    def pass_by(self, count_bytes: int) -> None:
        """Count bytes that follow without looking at them; only where it ``needs_no_more``."""
        self.size_bytes += count_bytes

    def finish(self) -> None:
        """Say that the data set is whole. Raises PeerProtocolError where it ends in the middle of something."""
        if not self.is_complete:
            self._look_again_at = 0
            self._advance()
        if not self.is_complete and (self._at < len(self._kept) or self._to_skip):
            raise _faulty("it ends in the middle of an element")
        if self._pixels is not None and self._inflater is None and self._items is None:
            offset, length = self._pixels
            if offset + length > self.size_bytes:
                raise _faulty("it ends in the middle of its pixels")
        self.is_complete = True

    def view(self) -> DataSetView:
        """Return the attributes that an index wants. Raises as ``read_attributes``."""
        return read_attributes(bytes(self._kept[: self._at]), self._syntax, WANTED, self._limits)

    def frames(self, view: DataSetView, begin: int) -> tuple[Frame, ...]:
        """Return where the frames lie in a file whose data set begins there; () where they are not in one piece each."""
        count = _number(view, 0x00280008) or 1
        if self._inflater is not None or self._pixels is None or count > self._limits.index_frames:
            return ()
        if self._items is not None:
            found = self._items.found[1:]  # the first item is the Basic Offset Table (PS3.5 A.4)
            return tuple(Frame(begin + o, n) for o, n in found) if len(found) == count else ()
        offset, length = self._pixels
        bits = _number(view, 0x00280010) * _number(view, 0x00280011)
        bits *= (_number(view, 0x00280002) or 1) * _number(view, 0x00280100)
        size, rest = divmod(bits, 8)
        # One byte may pad the value to an even length.
        if rest or not size or length - count * size not in (0, 1):
            return ()
        return tuple(Frame(begin + offset + i * size, size) for i in range(count))

    # --- inner ------------------------------------------------------------------------------------------------------

    def _inflate(self, inflater: Inflater, fragment: bytes) -> None:
        for piece in inflater.feed(fragment):
            self._take(piece)
            if self.is_complete:
                return

    def _take(self, piece: bytes) -> None:
        if self._to_skip:
            passed = min(self._to_skip, len(piece))
            self._to_skip -= passed
            piece = piece[passed:]
        self._kept += piece
        self._advance()
        bound = self._limits.ingest_head_bytes
        if not self.is_complete and len(self._kept) > bound:
            raise LimitExceeded(limit="ingest_head_bytes", value=bound, seen=len(self._kept))

    def _advance(self) -> None:
        """Go on over every element that is here as a whole."""
        while not self.is_complete and not self._to_skip:
            header = self._header()
            if header is None:
                return
            tag, vr, start, length = header
            if tag >= _FIRST_PIXELS:
                self._end_at(tag, start, length)
            elif length == UNDEFINED:
                if not self._pass_sequence():
                    return
            elif length > self._limits.ingest_value_bytes and (vr != "SQ" or tag not in WANTED):
                self._pass_over(start, length)
            elif start + length > len(self._kept):
                return
            else:
                self._at = start + length

    def _header(self) -> tuple[int, str, int, int] | None:
        """Return tag, VR, where the value starts, and its length; None where more has to come (PS3.5 section 7.1)."""
        kept, at = self._kept, self._at
        if len(kept) < at + 8:
            return None
        group, number = self._pair.unpack_from(kept, at)
        tag = group << 16 | number
        if self._syntax is Syntax.IMPLICIT_LITTLE:
            vr, start, length = vr_of(tag), at + 8, self._long.unpack_from(kept, at + 4)[0]
        else:
            vr = kept[at + 4 : at + 6].decode("latin-1")
            if not (vr.isascii() and vr.isalpha() and vr.isupper()):
                raise PeerProtocolError(
                    "its VR is not two capital letters",
                    field=name_of(tag),
                    source="PS3.5 section 7.1.2",
                )
            if vr in SHORT_VRS:
                start, length = at + 8, self._short.unpack_from(kept, at + 6)[0]
            elif len(kept) < at + 12:
                return None
            else:
                start, length = at + 12, self._long.unpack_from(kept, at + 8)[0]
        return tag, vr, start, UNDEFINED if length == _ON_WIRE else length

    def _end_at(self, tag: int, start: int, length: int) -> None:
        self.is_complete = True
        if tag not in _PIXELS:
            return
        offset = start + self._skipped
        self._pixels = (offset, length)
        if length == UNDEFINED and self._inflater is None:
            self._items = _Items(offset, self._limits)
            self._items.feed(offset, bytes(self._kept[start:]))
        del self._kept[self._at :]

    def _pass_over(self, start: int, length: int) -> None:
        after = start + length
        self._to_skip = max(0, after - len(self._kept))
        del self._kept[self._at : after]
        self._skipped += after - self._at

    def _pass_sequence(self) -> bool:
        """Go on behind a value of undefined length; False where its end is not here yet."""
        rest = bytes(self._kept[self._at :]) if len(self._kept) >= self._look_again_at else b""
        try:
            for tag, _, offset, _, depth in walk(rest, self._syntax, self._limits):
                if depth == 0 and tag == SEQUENCE_DELIMITATION:
                    self._at += offset
                    self._look_again_at = 0
                    return True
        except PeerProtocolError:
            pass  # cut off, or faulty: that shows in the end
        if rest:
            self._look_again_at = self._at + 2 * len(rest)
        return False


class _Items:
    """The items of encapsulated pixel data (PS3.5 section A.4): where each value lies."""

    def __init__(self, offset: int, limits: Limits) -> None:
        self.found: list[tuple[int, int]] = []
        self._next = offset
        self._header = bytearray()
        self._is_over = False
        self._limits = limits

    def feed(self, begin: int, piece: bytes) -> None:
        """Take a piece that begins at this offset of the data set."""
        while not self._is_over:
            at = self._next + len(self._header) - begin
            if at >= len(piece):
                return
            self._header += piece[at : at + 8 - len(self._header)]
            if len(self._header) < 8:
                return
            group, number, length = _ITEM_HEADER.unpack(self._header)
            self._header.clear()
            self._is_over = group << 16 | number != ITEM or length == _ON_WIRE
            if not self._is_over:
                self.found.append((self._next + 8, length))
                self._next += 8 + length
            if len(self.found) > self._limits.index_frames:
                bound = self._limits.index_frames
                raise LimitExceeded(limit="index_frames", value=bound, seen=len(self.found))


def _number(view: DataSetView, tag: int) -> int:
    text = next(iter(view.get(tag, _NONE).values), "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _faulty(message: str) -> PeerProtocolError:
    return PeerProtocolError(message, field="data set", source="PS3.5 section 7.1")
