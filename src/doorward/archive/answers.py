"""What an index has found, as the identifier of a C-FIND response (PS3.4 section C.4.1.1.3).

What was asked for comes back, empty where it is not known. Text is Unicode here, so an answer that is not ASCII says
ISO_IR 192 whatever the question was written in. Values are passed on as they were received, too long ones too.
"""

from collections.abc import Collection
from struct import Struct

from doorward.archive.index.levels import Level
from doorward.dicom.attributes import FLOAT_VRS, INTEGER_VRS, TEXT_VRS, Attribute, DataSetView
from doorward.dicom.query import QUERY_RETRIEVE_LEVEL
from doorward.dicom.tags import vr_of
from doorward.dicom.values import SPECIFIC_CHARACTER_SET, encode_identifier
from doorward.dicom.values import Attribute as Encodable
from doorward.dicom.walk import Syntax

_RETRIEVE_AE_TITLE = 0x00080054
_MADE_HERE = frozenset({SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, _RETRIEVE_AE_TITLE})
#: A value of the short form has a length of 16 bits, and an even one (PS3.5 section 7.1.2).
_MOST_BYTES = 65_534
_UTF_8 = "ISO_IR 192"


def encode_answer(
    view: DataSetView, asked: Collection[int], level: Level, ae_title: str, syntax: Syntax
) -> bytes:
    """Return one identifier with the ``asked`` attributes, the level, and from where it can be retrieved."""
    elements = [_element(tag, view.get(tag), syntax) for tag in asked if tag not in _MADE_HERE]
    elements.append((QUERY_RETRIEVE_LEVEL, "CS", level.name))
    elements.append((_RETRIEVE_AE_TITLE, "AE", ae_title))
    if any(not _is_ascii(view[tag]) for tag in asked if tag in view):
        elements.append((SPECIFIC_CHARACTER_SET, "CS", _UTF_8))
    return encode_identifier(elements, syntax)


def _is_ascii(attribute: Attribute) -> bool:
    return all(value.isascii() for value in attribute.values) and all(
        _is_ascii(inner) for item in attribute.items for inner in item.values()
    )


def _element(tag: int, attribute: Attribute | None, syntax: Syntax) -> Encodable:
    if attribute is None:
        return tag, vr_of(tag), b""
    vr, values, items = attribute
    if vr == "SQ":
        inner = [
            [_element(t, a, syntax) for t, a in item.items() if t != SPECIFIC_CHARACTER_SET]
            for item in items
        ]
        return tag, vr, inner
    return tag, vr, _encoded(vr, values, syntax)


def _encoded(vr: str, values: tuple[str, ...], syntax: Syntax) -> bytes | list[int]:
    if vr in TEXT_VRS:
        return "\\".join(values).encode("utf-8", "replace")[:_MOST_BYTES]
    if vr in INTEGER_VRS:
        return [int(value) for value in values]
    if vr == "AT":
        return [int(value, 16) for value in values]
    if vr in FLOAT_VRS:
        order = ">" if syntax is Syntax.EXPLICIT_BIG else "<"
        numbers = [float(value) for value in values]
        return Struct(f"{order}{len(numbers)}{FLOAT_VRS[vr]}").pack(*numbers)
    return b""  # bytes are not kept in an index
