"""A data set written anew in another transfer syntax: the headers change, values keep their bytes or swap them.

Theory of operation. In goes a complete buffer without compressed pixels of the outermost level, out come the same elements
in implicit or explicit VR little endian. ``walk`` finds them, so every bound of it holds here, and nothing is recursive.
Sequences and items are written with an undefined length, since the lengths inside change; an empty sequence stays one.

What is not carried over: group lengths, which would be wrong (PS3.5 section 7.2: retired), and an Icon Image Sequence with
compressed pixels, which a native syntax cannot hold (it is a preview, and optional). A VR that is missing comes from the
dictionary; what nobody knows becomes UN, and what is of UN stays as it is, implicit VR inside (PS3.5 section 6.2.2).
Big endian is read and never written: it is retired.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple, TypeAlias

from doorward.dicom.tags import TAGS
from doorward.dicom.walk import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    Element,
    Syntax,
    find_top_level,
    name_of,
    walk,
)
from doorward.errors import LocalProtocolError, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

#: Tag -> VR and value, little endian and of even length; None takes the element away.
Changes: TypeAlias = Mapping[int, tuple[str, bytes] | None]

ICON_IMAGE_SEQUENCE = 0x00880200
_BITS_ALLOCATED = 0x00280100
_PIXEL_REPRESENTATION = 0x00280103
_ON_WIRE = 0xFFFFFFFF
#: The longest value of the short form; a longer one becomes UN (PS3.5 section 6.2.2).
_SHORT_BYTES = 0xFFFE
_IMPLICIT_HEADER = Struct("<HHL")
_SHORT_HEADER = Struct("<HH2sH")
_LONG_HEADER = Struct("<HH2sHL")

#: VRs whose values are numbers of several bytes (PS3.5 section 7.3), and how many.
WORD_BYTES = {"AT": 2, "OW": 2, "SS": 2, "US": 2} | dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4)
WORD_BYTES |= dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8)
_TYPE_CODES = {2: "H", 4: "I", 8: "Q"}
#: VRs that are bytes or text: nothing to swap.
_BYTE_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "OB", "PN"}
) | frozenset({"SH", "ST", "TM", "UC", "UI", "UN", "UR", "UT"})
_SIGNED = {"US or SS": "SS"}
_NO_CHANGES: Changes = {}


def reencode(
    buffer: Buffer,
    source: Syntax,
    target: Syntax,
    *,
    changes: Changes = _NO_CHANGES,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Return a data set as it is written in another syntax; ``changes`` are to its outermost level.

    Raises as ``walk``; PeerProtocolError for compressed pixels outside of an icon, and for a big endian value whose VR is
    younger than this program; LocalProtocolError where the target is big endian.
    """
    if target is Syntax.EXPLICIT_BIG:
        raise LocalProtocolError("big endian is read only: it is retired")
    writer = _Writer(buffer, source, target, dict(changes), _pixels_of(buffer, source, limits))
    for element in walk(buffer, source, limits):
        writer.take(element)
    return writer.finish()


def header_of(tag: int, vr: str, length: int, target: Syntax) -> bytes:
    """Return the header of an element, little endian; ``length`` may be ``UNDEFINED``."""
    group, number = tag >> 16, tag & 0xFFFF
    size = _ON_WIRE if length == UNDEFINED else length
    if target is Syntax.IMPLICIT_LITTLE or not vr:
        return _IMPLICIT_HEADER.pack(group, number, size)
    if vr in SHORT_VRS and size <= _SHORT_BYTES:
        return _SHORT_HEADER.pack(group, number, vr.encode(), size)
    vr = "UN" if vr in SHORT_VRS else vr
    return _LONG_HEADER.pack(group, number, vr.encode(), 0, size)


def swapped(value: Buffer, word_bytes: int) -> bytes:
    """Return numbers in the other byte order; raises PeerProtocolError where the last one is cut off."""
    if word_bytes == 1:
        return bytes(value)
    if len(value) % word_bytes:
        message = f"{len(value)} bytes are no row of {word_bytes}"
        raise PeerProtocolError(message, field="value", source="PS3.5 section 7.3")
    words = array(_TYPE_CODES[word_bytes], bytes(value))
    words.byteswap()
    return words.tobytes()


class _Pixels(NamedTuple):
    """What other values depend on: whether pixels are signed (PS3.5 section A.1), and the bytes of one."""

    is_signed: bool
    bytes_each: int


def _pixels_of(buffer: Buffer, source: Syntax, limits: Limits) -> _Pixels:
    found = find_top_level(buffer, source, {_PIXEL_REPRESENTATION, _BITS_ALLOCATED}, limits)
    signed, bits = (
        0 if one is None else max(bytes(buffer[one.offset : one.offset + one.length]), default=0)
        for one in map(found.get, (_PIXEL_REPRESENTATION, _BITS_ALLOCATED))
    )
    return _Pixels(bool(signed), bits // 8 if bits in (32, 64) else 2)


@dataclass(slots=True)
class _Writer:
    """One data set on its way. What closes a container is seen by the depth of what comes next, however it is closed."""

    buffer: Buffer
    source: Syntax
    target: Syntax
    changes: dict[int, tuple[str, bytes] | None]
    pixels: _Pixels
    out: bytearray = field(default_factory=bytearray)
    #: which changes have been made
    written: set[int] = field(default_factory=set)
    #: containers that are being written: depth, and what closes them
    _open: list[tuple[int, int]] = field(default_factory=list)
    #: the element of the outermost level that is being written, and where it begins
    _tag: int = 0
    _begin: int = 0
    _is_skipped: bool = False
    #: while a value of VR UN and undefined length goes by: where it begins, and at which depth
    _verbatim: tuple[int, int] | None = None

    def take(self, element: Element) -> None:
        """Write the next element of the walk."""
        tag, vr, _, _, depth = element
        if self._verbatim is not None:
            self._pass_to_end_of_unknown(element)
            return
        if not depth and vr:
            self._close(0)
            self._begin_element(tag)
        if self._is_skipped:
            return
        if vr:
            self._close(depth)
            self._write_element(element)
        elif tag == ITEM:
            self._close(depth, is_item=True)
            self.out += header_of(ITEM, "", UNDEFINED, self.target)
            self._open.append((depth, ITEM_DELIMITATION))

    def finish(self) -> bytes:
        """Return all of it."""
        self._close(0)
        self._write_changes_before(0x1_0000_0000)
        return bytes(self.out)

    def _begin_element(self, tag: int) -> None:
        """Begin an element of the outermost level, or leave it out."""
        self._write_changes_before(tag)
        self._tag, self._begin = tag, len(self.out)
        self._is_skipped = tag in self.changes
        if self._is_skipped:
            self._write_changes_before(tag + 1)

    def _write_changes_before(self, tag: int) -> None:
        for new in sorted(one for one in self.changes if one < tag and one not in self.written):
            change = self.changes[new]
            self.written.add(new)
            if change is not None:
                self._write_value(new, *change)

    def _close(self, depth: int, *, is_item: bool = False) -> None:
        """Close what is open at a depth and below it; an item lets the sequence around it stay open."""
        while self._open and (
            self._open[-1][0] > depth
            or (self._open[-1][0] == depth and not (is_item and self._is_sequence()))
        ):
            _, closing = self._open.pop()
            self.out += header_of(closing, "", 0, self.target)

    def _is_sequence(self) -> bool:
        return self._open[-1][1] == SEQUENCE_DELIMITATION

    def _write_element(self, element: Element) -> None:
        tag, vr, offset, length, depth = element
        if not tag & 0xFFFF:
            return
        if vr == "SQ":
            self.out += header_of(tag, vr, UNDEFINED if length else 0, self.target)
            if length:
                self._open.append((depth, SEQUENCE_DELIMITATION))
        elif length != UNDEFINED:
            vr = self._vr_of(tag, vr)
            value = self.buffer[offset : offset + length]
            self._write_value(tag, vr, self._little(tag, vr, value))
        elif vr == "UN":
            self.out += header_of(tag, vr, UNDEFINED, self.target)
            self._verbatim = offset, depth
        elif self._tag == ICON_IMAGE_SEQUENCE:
            del self.out[self._begin :]
            self._open.clear()
            self._is_skipped = True
        else:
            message = "compressed pixels cannot be written anew here"
            raise PeerProtocolError(message, field=name_of(tag), source="PS3.5 section A.4")

    def _pass_to_end_of_unknown(self, element: Element) -> None:
        assert self._verbatim is not None
        begin, depth = self._verbatim
        if element.tag == SEQUENCE_DELIMITATION and element.depth == depth:
            self.out += self.buffer[begin : element.offset]
            self._verbatim = None

    def _write_value(self, tag: int, vr: str, value: Buffer) -> None:
        self.out += header_of(tag, vr, len(value), self.target)
        self.out += value

    def _vr_of(self, tag: int, vr: str) -> str:
        """Return the VR to write: that of the source, or of the dictionary and of how pixels are represented."""
        if self.source is not Syntax.IMPLICIT_LITTLE or not self.pixels.is_signed:
            return vr
        entry = TAGS.get(tag)
        # In the first place US; a table of 16 bit words is OW, whatever the sign of the pixels.
        return _SIGNED.get(entry[0], vr) if entry is not None and vr == "US" else vr

    def _little(self, tag: int, vr: str, value: Buffer) -> Buffer:
        """Return a value in little endian byte order."""
        if self.source is not Syntax.EXPLICIT_BIG or vr in _BYTE_VRS:
            return value
        if vr not in WORD_BYTES:
            message = "its VR is not known, nor its byte order"
            raise PeerProtocolError(message, field=name_of(tag), source="PS3.5 section 7.3")
        is_pixels = tag == PIXEL_DATA and vr == "OW"
        return swapped(value, self.pixels.bytes_each if is_pixels else WORD_BYTES[vr])
