"""Bounded, iterative walk over the elements of a data set that a stranger may have made.

Theory of operation. In goes a complete buffer and its ``Syntax``; out comes one ``Element`` for each header in it, in the
order of the bytes: data elements, items, fragments of encapsulated pixel data, and both delimiters. An element says where
its value lies and never what it is: nothing is copied or decoded. What lies inside what is told by ``depth`` alone: a
sequence, its items and its delimiter stand at the same depth, what an item holds stands one deeper.

Invariants. Every value lies inside its container and the container inside the buffer, also the last one (a truncated data
set is refused, never guessed at). The nesting is a list and no recursion, bounded by ``limits.sequence_depth``; the
headers are counted against ``limits.elements``. Each step moves forward by at least 8 bytes, so time is linear in the
length of the buffer. Nothing is raised but ``PeerProtocolError`` and ``LimitExceeded``, which name a tag and a length.

Deliberately not done: a value of VR UN with a defined length stays closed even where the dictionary knows a sequence; the
order of tags is not judged; no switch of the syntax midway is guessed. ``docs/pydicom-differences.md`` lists the effects.
"""

from collections.abc import Callable, Collection, Generator, Iterator
from enum import Enum
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from doorward.dicom.tags import vr_of
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

Buffer = bytes | bytearray | memoryview

#: ``Element.length`` of a value that ends with a delimiter (FFFFFFFF on the wire).
UNDEFINED = -1
ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010

_UNDEFINED_ON_WIRE = 0xFFFFFFFF
_DELIMITER_GROUP = 0xFFFE
_STRUCTURE = "PS3.5 section 7.1"
_NESTING = "PS3.5 section 7.5"

#: VRs with a 16 bit length (PS3.5 Table 7.1-2).
SHORT_VRS = frozenset({"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS"}) | frozenset(
    {"LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"}
)
#: VRs with a 32 bit length (PS3.5 Table 7.1-1); younger ones have it too.
LONG_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
_SHORT = {name.encode(): name for name in SHORT_VRS}
_LONG = {name.encode(): name for name in LONG_VRS}
#: What Pixel Data may be called where its value is a sequence of fragments (PS3.5 section A.4).
_ENCAPSULATED_VRS = frozenset({"OB", "OW", "UN"})


class Syntax(Enum):
    """How element headers are written (PS3.5 Annex A); compression of pixels plays no part in it."""

    IMPLICIT_LITTLE = "implicit VR little endian"
    EXPLICIT_LITTLE = "explicit VR little endian"
    EXPLICIT_BIG = "explicit VR big endian"


class Element(NamedTuple):
    """One header of a data set: where its value lies, never the value.

    ``vr`` is the VR on the wire, in implicit VR the dictionary's choice ("UN" where it has none), and "" for items and
    delimiters. ``offset`` is that of the value in the buffer, ``length`` its bytes or ``UNDEFINED``.
    """

    tag: int
    vr: str
    offset: int
    length: int
    depth: int


#: An element as a bare tuple, which costs a fifth of an ``Element``.
_Header = tuple[int, str, int, int, int]
#: (buffer, offset) -> group, element number, VR, length
_Unpack = Callable[[Buffer, int], tuple[int, int, bytes, int]]


class _Coding(NamedTuple):
    """How to read headers. ``read`` takes (buffer, offset, end of the container, depth)."""

    read: Callable[[Buffer, int, int, int], _Header]
    #: for the fast run over elements of the short form; None where there is no such form
    unpack_short: _Unpack | None


class _Frame(NamedTuple):
    """A container that is being walked. ``closing`` is the delimiter that ends it, None where its length does."""

    holds: str
    end: int
    closing: int | None
    depth: int
    coding: _Coding


_ELEMENTS, _ITEMS, _FRAGMENTS = "data elements", "items", "fragments"

_make = tuple.__new__  # twice as fast as Element(...), which goes through a Python function


def name_of(tag: int) -> str:
    """Return the tag as people write it: (gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def walk(buffer: Buffer, syntax: Syntax, limits: Limits = DEFAULT_LIMITS) -> Iterator[Element]:
    """Yield each element, item and delimiter of a complete data set, in order.

    Raises PeerProtocolError where the bytes are against PS3.5 section 7, and LimitExceeded (``sequence_depth``,
    ``elements``). What was yielded before is valid, but the data set as a whole is not.
    """
    return _walk(buffer, 0, _Frame(_ELEMENTS, len(buffer), None, 0, _CODINGS[syntax]), limits)


def find_top_level(
    buffer: Buffer, syntax: Syntax, wanted: Collection[int], limits: Limits = DEFAULT_LIMITS
) -> dict[int, Element]:
    """Return those elements of the outermost level that have a wanted tag.

    Everything else is skipped by its length. Raises as ``walk``, and PeerProtocolError for a wanted tag that comes twice:
    two readers of one data set must not see two values.
    """
    found: dict[int, Element] = {}
    coding, offset, end = _CODINGS[syntax], 0, len(buffer)
    read = coding.read
    while offset < end:
        header = read(buffer, offset, end, 0)
        tag, vr, offset, length, _ = header
        if tag in wanted:
            if tag in found:
                raise _twice(tag)
            found[tag] = Element(*header)
        is_plain = vr and length >= 0
        offset = offset + length if is_plain else _skip(buffer, header, end, coding, limits)
    return found


def find_element(
    buffer: Buffer, tag: int, syntax: Syntax, limits: Limits = DEFAULT_LIMITS
) -> tuple[int, int, int]:
    """Return offset and length of one top-level value, and how many elements there are.

    The offset is -1 where the element is absent; a length may be ``UNDEFINED``. The hot path of the counting auditor: no
    value and no other tag is looked at. Raises as ``find_top_level``.
    """
    if syntax is not Syntax.IMPLICIT_LITTLE:
        return _find_explicit(buffer, tag, _CODINGS[syntax], limits)
    # Both halves of the tag are read as one little endian number, which swaps them.
    wanted = (tag & 0xFFFF) << 16 | tag >> 16
    found, found_length, total, offset = -1, 0, 0, 0
    unpack, end = _unpack_pair, len(buffer)
    last = end - 8
    while offset <= last:
        swapped, length = unpack(buffer, offset)
        offset += 8
        total += 1
        if swapped == wanted:
            if found >= 0:
                raise _twice(tag)
            found, found_length = offset, length if length != _UNDEFINED_ON_WIRE else UNDEFINED
        offset += length
        if offset > last and offset != end:
            # Rare: an undefined length, a value that ends outside, or a rest that is no header.
            offset = _after_implicit(buffer, offset - length - 8, end, limits)
    if offset != end:
        raise _too_short(offset, end)
    return found, found_length, total


_unpack_pair = Struct("<LL").unpack_from


def _after_implicit(buffer: Buffer, start: int, end: int, limits: Limits) -> int:
    """Return the offset behind the implicit VR element whose header is at ``start``."""
    header = _read_implicit(buffer, start, end, 0)
    _, _, offset, length, _ = header
    return offset + length if length >= 0 else _skip(buffer, header, end, _IMPLICIT, limits)


def _find_explicit(
    buffer: Buffer, wanted: int, coding: _Coding, limits: Limits
) -> tuple[int, int, int]:
    """Return what ``find_element`` does, of a data set with VRs."""
    found, found_length, total, offset, end = -1, 0, 0, 0, len(buffer)
    read = coding.read
    while offset < end:
        header = read(buffer, offset, end, 0)
        tag, _, offset, length, _ = header
        total += 1
        if tag == wanted:
            if found >= 0:
                raise _twice(tag)
            found, found_length = offset, length
        offset = offset + length if length >= 0 else _skip(buffer, header, end, coding, limits)
    return found, found_length, total


def _skip(buffer: Buffer, header: _Header, end: int, coding: _Coding, limits: Limits) -> int:
    """Return the offset behind an element of undefined length; refuse a stray item or delimiter."""
    tag, vr, offset, _, _ = header
    if not vr:
        raise _stray(tag)
    for inner in _walk(buffer, offset, _frame_to_delimiter(header, end, coding), limits):
        offset = inner.offset  # in the end that of the delimiter, which has no value
    return offset


def _walk(buffer: Buffer, offset: int, frame: _Frame, limits: Limits) -> Iterator[Element]:
    """Yield what is in ``frame``, from ``offset`` on, up to its end or its delimiter."""
    outer: list[_Frame] = []
    count = 0
    while True:
        holds, end, closing, depth, coding = frame
        child: _Frame | None = None
        while child is None:
            unpack = coding.unpack_short
            if holds is _ELEMENTS and unpack is not None:
                run = _short_run(buffer, offset, frame, unpack, count, limits)
                offset, count = yield from run
            if offset == end:
                if closing is not None:
                    raise _protocol("the end of its container comes before it", closing, _NESTING)
                break
            header = coding.read(buffer, offset, end, depth)
            count = _next_count(count, limits)
            tag, _, offset, length, _ = header
            if tag == closing and length == 0:
                yield Element(*header)
                break
            child = _child(frame, header, limits)
            yield Element(*header)
            if child is None:
                offset += length
        if child is not None:
            outer.append(frame)
            frame = child
        elif outer:
            frame = outer.pop()
        else:
            return


def _short_run(
    buffer: Buffer, offset: int, frame: _Frame, unpack: _Unpack, count: int, limits: Limits
) -> Generator[Element, None, tuple[int, int]]:
    """Yield elements up to one that needs a closer look; return its offset, and the count so far.

    The hot path of ``walk``: elements of the short form (PS3.5 Table 7.1-2) are nearly all there are.
    """
    end, depth = frame.end, frame.depth
    short_vr, make, element, max_elements = _SHORT.get, _make, Element, limits.elements
    last = end - 8
    while offset <= last:
        group, number, code, length = unpack(buffer, offset)
        vr = short_vr(code)
        start = offset + 8
        after = start + length
        # An item has no VR: its length stands there, and may look like one.
        if vr is None or group == _DELIMITER_GROUP or after > end or count >= max_elements:
            break
        yield make(element, (group << 16 | number, vr, start, length, depth))
        count += 1
        offset = after
    return offset, count


def _next_count(count: int, limits: Limits) -> int:
    """Return the number of headers with one more; raise LimitExceeded above ``elements``."""
    if count >= limits.elements:
        raise LimitExceeded(limit="elements", value=limits.elements, seen=count + 1)
    return count + 1


def _child(frame: _Frame, header: _Header, limits: Limits) -> _Frame | None:
    """Return the container that an element opens, None where it opens none.

    Raises PeerProtocolError where the element may not stand in ``frame``, LimitExceeded below the deepest level.
    """
    tag, vr, offset, length, depth = header
    if not vr:
        return _child_of_item(frame, header, limits)
    if frame.holds is not _ELEMENTS:
        raise _protocol(f"it stands between {frame.holds}", tag, _NESTING)
    if length == UNDEFINED:
        return _frame_to_delimiter(header, frame.end, frame.coding)
    # Here comes a sequence, or a value whose VR is younger than this program.
    return _Frame(_ITEMS, offset + length, None, depth, frame.coding) if vr == "SQ" else None


def _child_of_item(frame: _Frame, header: _Header, limits: Limits) -> _Frame | None:
    """Return the data set that an item holds, None for a fragment of pixel data."""
    tag, _, offset, length, depth = header
    if tag != ITEM or frame.holds is _ELEMENTS:
        raise _stray(tag)
    if frame.holds is _FRAGMENTS:
        if length == UNDEFINED:
            raise _protocol("a fragment has no defined length", tag, "PS3.5 section A.4")
        return None
    depth += 1
    if depth > limits.sequence_depth:
        raise LimitExceeded(limit="sequence_depth", value=limits.sequence_depth, seen=depth)
    if length == UNDEFINED:
        return _Frame(_ELEMENTS, frame.end, ITEM_DELIMITATION, depth, frame.coding)
    return _Frame(_ELEMENTS, offset + length, None, depth, frame.coding)


def _frame_to_delimiter(header: _Header, end: int, coding: _Coding) -> _Frame:
    """Return the container that a data element of undefined length opens."""
    tag, vr, _, _, depth = header
    if tag == PIXEL_DATA and vr in _ENCAPSULATED_VRS:
        return _Frame(_FRAGMENTS, end, SEQUENCE_DELIMITATION, depth, coding)
    if vr == "SQ":
        return _Frame(_ITEMS, end, SEQUENCE_DELIMITATION, depth, coding)
    if vr == "UN":
        # Such a value is implicit VR little endian whatever is around it (PS3.5 section 6.2.2).
        return _Frame(_ITEMS, end, SEQUENCE_DELIMITATION, depth, _IMPLICIT)
    raise _protocol("its VR does not allow an undefined length", tag, "PS3.5 section 7.1.2")


def _read_implicit(buffer: Buffer, offset: int, end: int, depth: int) -> _Header:
    """Return the element at an offset, implicit VR little endian (PS3.5 section 7.1.3)."""
    start = offset + 8
    if start > end:
        raise _too_short(offset, end)
    group, number, length = _unpack_implicit(buffer, offset)
    tag = group << 16 | number
    vr = _dictionary_vr(tag)
    if length > end - start:
        if length != _UNDEFINED_ON_WIRE:
            raise _outside(tag, length, end - start)
        length = UNDEFINED
    return tag, vr, start, length, depth


_unpack_implicit = Struct("<HHL").unpack_from


@lru_cache(maxsize=8192)
def _dictionary_vr(tag: int) -> str:
    """Return the dictionary's VR, "" for items and delimiters; remembered for the usual tags."""
    return "" if tag >> 16 == _DELIMITER_GROUP else vr_of(tag)


_IMPLICIT = _Coding(_read_implicit, None)


def _explicit_coding(byte_order: str) -> _Coding:
    """Return how to read headers with a VR (PS3.5 section 7.1.2)."""
    unpack_short = Struct(f"{byte_order}HH2sH").unpack_from
    unpack_length = Struct(f"{byte_order}L").unpack_from
    short_vr = _SHORT.get

    def read(buffer: Buffer, offset: int, end: int, depth: int) -> _Header:
        start = offset + 8
        if start > end:
            raise _too_short(offset, end)
        group, number, code, length = unpack_short(buffer, offset)
        tag = group << 16 | number
        if group == _DELIMITER_GROUP:
            vr = ""
            (length,) = unpack_length(buffer, offset + 4)
        else:
            vr = short_vr(code, "")
            if not vr:
                vr, start = _long_vr(code, tag), offset + 12
                if start > end:
                    raise _too_short(offset, end)
                (length,) = unpack_length(buffer, offset + 8)
        if length > end - start:
            # 16 bits cannot say FFFFFFFF, so this is one of the two other forms.
            if length != _UNDEFINED_ON_WIRE:
                raise _outside(tag, length, end - start)
            length = UNDEFINED
        return tag, vr, start, length, depth

    return _Coding(read, unpack_short)


def _long_vr(code: bytes, tag: int) -> str:
    """Return the VR with a 32 bit length that two bytes name.

    A VR that we do not know is younger than this program: such VRs have the long form (PS3.5 section 6.2.2).
    """
    vr = _LONG.get(code)
    if vr is not None:
        return vr
    if not (code.isalpha() and code.isupper()):
        raise _protocol("its VR is not two capital letters", tag, "PS3.5 section 7.1.2")
    return code.decode("ascii")


_CODINGS: dict[Syntax, _Coding] = {
    Syntax.IMPLICIT_LITTLE: _IMPLICIT,
    Syntax.EXPLICIT_LITTLE: _explicit_coding("<"),
    Syntax.EXPLICIT_BIG: _explicit_coding(">"),
}


def _protocol(message: str, tag: int, source: str) -> PeerProtocolError:
    return PeerProtocolError(message, field=name_of(tag), source=source)


def _stray(tag: int) -> PeerProtocolError:
    return _protocol("it opens or closes nothing here, or has a length", tag, _NESTING)


def _twice(tag: int) -> PeerProtocolError:
    return _protocol("it occurs more than once", tag, _STRUCTURE)


def _outside(tag: int, length: int, room: int) -> PeerProtocolError:
    return _protocol(
        f"its length is {length} bytes, its container has {room} left", tag, _STRUCTURE
    )


def _too_short(offset: int, end: int) -> PeerProtocolError:
    return PeerProtocolError(
        f"{end - offset} bytes at offset {offset} are no header",
        field="Data Element",
        source=_STRUCTURE,
    )
