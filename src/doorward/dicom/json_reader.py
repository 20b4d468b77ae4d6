"""DICOM JSON of a stranger, as elements that ``values.encode_identifier`` writes (PS3.18 section F.2).

Theory of operation. The text is bounded before anything is built from it: its bytes, its nesting, and the number of its
members and values, all in one linear pass over its punctuation. Then the parser of the standard library makes a tree, which
is checked and turned into ``Attributes`` member by member. Numbers stay the text that they were, so a DS of 1.50 is not
rounded; the text of the data set is Unicode, and (0008,0005) says so: ISO_IR 192.

Refused: a member that comes twice (two readers would see two data sets), more than one of Value, BulkDataURI and
InlineBinary, a VR that PS3.5 does not have, a backslash inside a value (it would become two), text that its VR cannot hold.
"""

import base64
import json
import math
import re
from collections.abc import Callable
from struct import Struct
from typing import TypeAlias

from doorward.dicom.attributes import FLOAT_VRS, INTEGER_VRS
from doorward.dicom.json_model import BASE64_VRS, BULK_DATA_VRS
from doorward.dicom.person_name import GROUPS
from doorward.dicom.values import (
    MOST_CHARACTERS,
    SINGLE_VALUED,
    SPECIFIC_CHARACTER_SET,
    Attribute,
    Attributes,
)
from doorward.dicom.walk import LONG_VRS, SHORT_VRS, name_of
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

#: Returns the value for a BulkDataURI, little endian, None where there is none.
BytesOf: TypeAlias = Callable[[str], bytes | None]


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


class _Object(dict[str, object]):
    """An object, told apart from what else could be a dictionary."""


_SOURCE = "PS3.18 section F.2"
_PUNCTUATION = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[][{},]', re.DOTALL)
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)
_UID = re.compile(r"[0-9.]*")
_INTEGER_BITS = {"US": 16, "SS": 16, "UL": 32, "SL": 32, "UV": 64, "SV": 64}
_NUMBER_TEXT_VRS = frozenset({"DS", "IS"})
_UNICODE_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_VRS_OF = {"BulkDataURI": BULK_DATA_VRS, "InlineBinary": frozenset(BASE64_VRS)}


def _no_bulk_data(_: str) -> None:
    return None


def decode_data_sets(
    text: bytes, bytes_of: BytesOf = _no_bulk_data, limits: Limits = DEFAULT_LIMITS
) -> list[Attributes]:
    """Return the data sets of one JSON text, an object or an array of objects (F.2.1), ready for little endian.

    Raises PeerProtocolError for what is no DICOM JSON, and for a BulkDataURI that ``bytes_of`` does not know; LimitExceeded
    (``json_model_bytes``, ``json_model_values``, ``json_depth``).
    """
    _check_bounds(text, limits)
    try:
        tree = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_no_constant,
        )
    except ValueError as error:
        # Not chained: the parser's error holds the whole text.
        position = (
            error.start if isinstance(error, UnicodeDecodeError) else getattr(error, "pos", 0)
        )
        raise _refused("JSON", f"the text is not JSON in UTF-8, near {position}") from None
    objects = tree if isinstance(tree, list) else [tree]
    return [_top_level(one, bytes_of) for one in objects]


def _check_bounds(text: bytes, limits: Limits) -> None:
    """Look at the punctuation outside strings only."""
    if len(text) > limits.json_model_bytes:
        raise LimitExceeded(limit="json_model_bytes", value=limits.json_model_bytes, seen=len(text))
    depth = values = 0
    for match in _PUNCTUATION.finditer(text):
        mark = match[0]
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
        if mark in b"[{,":
            values += 1
        if depth > limits.json_depth:
            raise LimitExceeded(limit="json_depth", value=limits.json_depth, seen=depth)
        if values > limits.json_model_values:
            bound = limits.json_model_values
            raise LimitExceeded(limit="json_model_values", value=bound, seen=values)


def _object(pairs: list[tuple[str, object]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        raise _refused("JSON", "a member occurs more than once")
    return made


def _no_constant(_: str) -> object:
    raise ValueError


def _refused(where: str, problem: str) -> PeerProtocolError:
    return PeerProtocolError(problem, field=where, source=_SOURCE)


def _top_level(tree: object, bytes_of: BytesOf) -> Attributes:
    elements = [one for one in _data_set(tree, bytes_of) if one[0] != SPECIFIC_CHARACTER_SET]
    elements.append((SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192"))
    return sorted(elements, key=lambda element: element[0])


def _data_set(tree: object, bytes_of: BytesOf) -> list[Attribute]:
    if not isinstance(tree, _Object):
        raise _refused("JSON", "a data set is no object")
    elements: dict[int, Attribute] = {}
    for name, member in tree.items():
        if not _TAG.fullmatch(name):
            raise _refused("JSON", "the name of an attribute is not a tag of eight digits")
        tag = int(name, 16)
        if tag in elements or tag >> 16 == 0xFFFE:
            raise _refused(name_of(tag), "it occurs more than once, or is no attribute")
        if tag & 0xFFFF:  # what a group length says is not true any more
            elements[tag] = _element(tag, member, bytes_of)
    return list(elements.values())


def _element(tag: int, member: object, bytes_of: BytesOf) -> Attribute:
    where = name_of(tag)
    vr = member.get("vr") if isinstance(member, _Object) else None
    if not isinstance(member, _Object) or type(vr) is not str or vr not in SHORT_VRS | LONG_VRS:
        raise _refused(where, "it names no VR of PS3.5")
    if tag == SPECIFIC_CHARACTER_SET:
        return tag, "CS", "ISO_IR 192"
    given = _bytes(where, vr, member, bytes_of)
    if given is not None:
        return tag, vr, given
    values = member.get("Value", [])
    if not isinstance(values, list):
        raise _refused(where, "Value is no array")
    if vr == "SQ":
        return tag, vr, [_data_set(item, bytes_of) for item in values]
    return tag, vr, _value(where, vr, values)


def _bytes(where: str, vr: str, member: _Object, bytes_of: BytesOf) -> bytes | None:
    """Return a value that is not in the array Value; None where it is, or there is none."""
    present = [name for name in ("Value", "BulkDataURI", "InlineBinary") if name in member]
    if len(present) > 1:
        raise _refused(where, "it has more than one value")
    if not present or present == ["Value"]:
        return None
    (form,) = present
    given = member[form]
    if type(given) is not str or vr not in _VRS_OF[form]:
        raise _refused(where, f"VR {vr} has no such {form}")
    try:
        fetched = (
            bytes_of(given) if form == "BulkDataURI" else base64.b64decode(given, validate=True)
        )
    except ValueError:
        raise _refused(where, "its InlineBinary is not Base64") from None
    if fetched is None:
        raise _refused(where, "nothing is known under its BulkDataURI")
    return fetched


def _value(where: str, vr: str, values: list[object]) -> str | bytes | list[int]:
    """Return the value of an element that is no sequence."""
    if vr in BASE64_VRS:
        if values:
            raise _refused(where, f"a value of VR {vr} is Base64")
        return b""
    if vr in INTEGER_VRS:
        return [_integer(where, vr, value) for value in values]
    if vr == "AT":
        return [int(_text(where, value, _TAG), 16) for value in values]
    if vr in FLOAT_VRS:
        return b"".join(_float(where, vr, value) for value in values)
    if len(values) > 1 and vr in SINGLE_VALUED:
        raise _refused(where, f"VR {vr} has one value")
    return "\\".join(_string(where, vr, value) for value in values)


def _integer(where: str, vr: str, value: object) -> int:
    """Return a number; SV and UV may be strings (F.2.3), and for others it does no harm."""
    number = int(_text(where, value, _INTEGER))
    bits = _INTEGER_BITS[vr]
    lowest = -(1 << bits - 1) if vr.startswith("S") else 0
    if not lowest <= number < lowest + (1 << bits):
        raise _refused(where, f"a number does not fit VR {vr}")
    return number


def _float(where: str, vr: str, value: object) -> bytes:
    if not isinstance(value, _Number) and value not in _NOT_FINITE:
        raise _refused(where, f"a value of VR {vr} is no number")
    number = float(str(value))
    if isinstance(value, _Number) and math.isinf(number):
        raise _refused(where, f"a number does not fit VR {vr}")
    try:
        return Struct(f"<{FLOAT_VRS[vr]}").pack(number)
    except OverflowError:
        raise _refused(where, f"a number does not fit VR {vr}") from None


def _text(where: str, value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _refused(where, "a value has not the form of its VR")
    return value


def _string(where: str, vr: str, value: object) -> str:
    """Return one value of a VR that is text; null is an empty one (F.2.5)."""
    if value is None:
        return ""
    if vr == "PN":
        return _name(where, value)
    if not isinstance(value, str) or (isinstance(value, _Number) and vr not in _NUMBER_TEXT_VRS):
        raise _refused(where, f"a value of VR {vr} is no string")
    _check_text(where, vr, value)
    return str(value)


def _name(where: str, value: object) -> str:
    if not isinstance(value, _Object) or not value.keys() <= set(GROUPS):
        raise _refused(where, "a name is not an object of component groups")
    groups = [value.get(group, "") for group in GROUPS]
    for group in groups:
        if type(group) is not str or "=" in group:
            raise _refused(where, "a component group is no string, or more than one")
        _check_text(where, "PN", group)
    return "=".join(map(str, groups)).rstrip("=")


def _check_text(where: str, vr: str, text: str) -> None:
    """Refuse what would not be this value once it is bytes."""
    if "\\" in text and vr not in SINGLE_VALUED:
        raise _refused(where, "a backslash would part a value in two")
    if vr not in _UNICODE_VRS and not text.isascii():
        raise _refused(where, f"VR {vr} is ASCII")
    if vr == "UI" and not _UID.fullmatch(text):
        raise _refused(where, "a UID has digits and periods only")
    if len(text) > MOST_CHARACTERS.get(vr, len(text)):
        raise _refused(where, f"a value of VR {vr} has at most {MOST_CHARACTERS[vr]} characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _refused(where, "half a surrogate pair is no character")
