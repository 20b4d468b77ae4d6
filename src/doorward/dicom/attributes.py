"""The attributes of a data set as text that can be compared: what a query reads, its own identifier included.

Theory of operation. ``walk`` says where values lie; here they are decoded, whatever their VR, into tuples of text without
padding: numbers in decimal, tags as eight hexadecimal digits. Items of sequences become such views themselves. Values of
VRs that hold bytes are never decoded: "" stands for one. Nothing here is of use for what is large; whoever reads a whole
image names the tags that are ``wanted``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, TypeAlias

from doorward.dicom.charset import parse_specific_character_set
from doorward.dicom.tags import vr_of
from doorward.dicom.values import SPECIFIC_CHARACTER_SET, decode_integers, decode_strings
from doorward.dicom.walk import ITEM, UNDEFINED, Buffer, Element, Syntax, name_of, walk
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

INTEGER_VRS = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
#: VRs of IEEE 754 numbers, as struct codes.
FLOAT_VRS = {"FL": "f", "FD": "d"}
TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN"}) | frozenset(
    {"SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
READABLE_VRS = TEXT_VRS | INTEGER_VRS | FLOAT_VRS.keys() | {"AT"}


class Attribute(NamedTuple):
    """One attribute: its VR, and either values without padding or the items of a sequence."""

    vr: str
    values: tuple[str, ...] = ()
    items: Sequence["DataSetView"] = ()

    def __repr__(self) -> str:
        """Say what it is and how much, never what it holds."""
        return f"Attribute({self.vr}, {len(self.values)} values, {len(self.items)} items)"


#: A data set, or an item of one: tag -> attribute. A study as an archive sees it is one too.
DataSetView: TypeAlias = Mapping[int, Attribute]


@dataclass(slots=True)
class _Level:
    """A data set that is being read."""

    view: dict[int, Attribute]
    syntax: Syntax
    character_set: Sequence[str]
    #: where the next item goes, None where that is a fragment of pixel data
    items: list[DataSetView] | None = None
    #: how the elements of these items are written
    inner_syntax: Syntax = Syntax.IMPLICIT_LITTLE


def read_attributes(
    buffer: Buffer,
    syntax: Syntax,
    wanted: Collection[int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> DataSetView:
    """Return the attributes of a complete data set, those of the outermost level only where they are ``wanted``.

    Raises as ``walk``; PeerProtocolError for a tag that comes twice in one data set and for numbers of a wrong length;
    LimitExceeded (``value_bytes``) for a value of text or numbers that is longer.
    """
    levels = [_Level({}, syntax, ())]
    is_skipped = False
    for element in walk(buffer, syntax, limits):
        tag, vr, _, _, depth = element
        if depth == 0 and vr:
            is_skipped = wanted is not None and tag not in wanted and tag != SPECIFIC_CHARACTER_SET
        if is_skipped:
            continue
        del levels[depth + 1 :]
        if vr:
            _read_element(buffer, element, levels[depth], limits)
        elif tag == ITEM and (items := levels[depth].items) is not None:
            inner = _Level({}, levels[depth].inner_syntax, levels[depth].character_set)
            items.append(inner.view)
            levels.append(inner)
    return levels[0].view


def _read_element(buffer: Buffer, element: Element, level: _Level, limits: Limits) -> None:
    tag, vr, offset, length, _ = element
    if tag in level.view:
        raise PeerProtocolError(
            "it occurs more than once", field=name_of(tag), source="PS3.5 section 7.1"
        )
    level.items = None
    if vr == "SQ" or (vr == "UN" and length == UNDEFINED):
        level.items = []
        level.inner_syntax = level.syntax if vr == "SQ" else Syntax.IMPLICIT_LITTLE
        level.view[tag] = Attribute("SQ", items=level.items)
        return
    known = vr_of(tag) if vr == "UN" else vr
    if known in READABLE_VRS and length > limits.value_bytes:
        raise LimitExceeded(limit="value_bytes", value=limits.value_bytes, seen=length)
    # Of bytes, which may be a whole image, one is enough to know that they are there.
    end = offset + length if known in READABLE_VRS else offset + (length != 0)
    raw = bytes(buffer[offset:end])
    if tag == SPECIFIC_CHARACTER_SET:
        level.character_set = parse_specific_character_set(raw)
    syntax = level.syntax if vr == known else Syntax.IMPLICIT_LITTLE  # PS3.5 section 6.2.2
    level.view[tag] = Attribute(known, decode_values(raw, known, syntax, tag, level.character_set))


def decode_values(
    value: bytes, vr: str, syntax: Syntax, tag: int, character_set: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the values of an element as text without padding; () for an empty one, "" for bytes.

    Numbers are decimal, infinities and what is no number included; tags are eight hexadecimal digits. Raises
    PeerProtocolError where the length of a number is wrong.
    """
    if vr in TEXT_VRS:
        return decode_strings(value, vr, character_set)
    if vr in INTEGER_VRS:
        return tuple(map(str, decode_integers(value, vr, syntax, tag)))
    if vr == "AT":
        return tuple(f"{number:08X}" for number in decode_integers(value, vr, syntax, tag))
    if vr in FLOAT_VRS:
        return tuple(map(repr, decode_floats(value, vr, syntax, tag)))
    return ("",) if value else ()


def decode_floats(value: bytes, vr: str, syntax: Syntax, tag: int) -> tuple[float, ...]:
    """Return the numbers of a value of VR FL or FD; raises PeerProtocolError where the length is no multiple."""
    order = ">" if syntax is Syntax.EXPLICIT_BIG else "<"
    one = Struct(f"{order}{FLOAT_VRS[vr]}")
    if len(value) % one.size:
        raise PeerProtocolError(
            f"{len(value)} bytes are no row of {vr}", field=name_of(tag), source="PS3.5 section 6.2"
        )
    return tuple(number for (number,) in one.iter_unpack(value))
