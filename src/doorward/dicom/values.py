"""Values of the few VRs that the project itself reads or writes (PS3.5 section 6.2).

Theory of operation. Decoders take the bytes of one value, as ``walk`` found them, and give Python values. Text never fails
(see ``charset``); numbers and UIDs raise ``PeerProtocolError``, which names the tag and the length, never the value.
``encode_identifier`` makes a whole data set: query identifiers, responses, synthetic instances. What it refuses is our own
fault and a ``LocalProtocolError``, which names no value either.
"""

import datetime
import re
from collections.abc import Iterator, Sequence
from struct import Struct
from struct import error as StructError
from typing import TypeAlias

from doorward.dicom.charset import decode_text, encode_text, parse_specific_character_set
from doorward.dicom.walk import ITEM, LONG_VRS, SHORT_VRS, Syntax, name_of
from doorward.errors import LimitExceeded, LocalProtocolError, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

SPECIFIC_CHARACTER_SET = 0x00080005

#: What ``encode_identifier`` takes: text (backslashes part several values), bytes that are written as they are, integers,
#: or the items of a sequence.
AttributeValue: TypeAlias = str | bytes | int | Sequence[int] | Sequence["Attributes"]
Attribute: TypeAlias = tuple[int, str, AttributeValue]
Attributes: TypeAlias = Sequence[Attribute]

#: Binary integers as struct codes; a tag is a pair of US (PS3.5 Table 6.2-1).
_INTEGERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "AT": "H"}
_WIDTHS = {"H": 2, "L": 4, "Q": 8}
#: VRs whose text depends on (0008,0005) (PS3.5 section 6.1.2.2); the others are ASCII.
_CHARACTER_SET_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_ASCII_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
#: VRs that hold one value, in which a backslash is only a character (PS3.5 section 6.4).
SINGLE_VALUED = frozenset({"LT", "ST", "UR", "UT"})
#: VRs whose leading spaces say something.
_KEEP_LEADING = frozenset({"LT", "PN", "ST", "UC", "UR", "UT"})
#: Most characters of one value (PS3.5 Table 6.2-1).
MOST_CHARACTERS = {"AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "UI": 64}
_PADDED_WITH_NUL = frozenset({"OB", "UI", "UN"})
_MOST_SHORT_BYTES = 0xFFFE

_UID = re.compile(r"[0-9.]*")
_INTEGER_STRING = re.compile(rb"[+-]?[0-9]{1,11}")
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)
_ZONE = re.compile(r"[+-](0\d|1[0-4])[0-5]\d", re.ASCII)


def decode_integer_string(value: bytes, tag: int) -> int | None:
    """Return the number in one value of VR IS, None where it is empty.

    Raises PeerProtocolError for all that is not one integer of 32 bits (PS3.5 section 6.2), also for several values.
    """
    text = value.strip(b" \0")
    if not text:
        return None
    if (
        len(text) < 10 and text.isdigit()
    ):  # nearly always, and the auditor counts hundreds of thousands
        return int(text)
    if _INTEGER_STRING.fullmatch(text):
        number = int(text)
        if -0x80000000 <= number <= 0x7FFFFFFF:
            return number
    raise _not_a("32 bit integer", tag, value)


def decode_integers(value: bytes, vr: str, syntax: Syntax, tag: int) -> tuple[int, ...]:
    """Return the numbers of a value of VR US, SS, UL, SL, UV or SV, or the tags of AT.

    Raises PeerProtocolError where the length is no multiple of the VR's, LocalProtocolError for another VR.
    """
    code = _integer_code(vr, tag)
    width = 4 if vr == "AT" else _WIDTHS[code.upper()]
    if len(value) % width:
        raise _not_a(f"row of {vr}", tag, value)
    numbers: tuple[int, ...] = Struct(
        f"{_byte_order(syntax)}{len(value) // _WIDTHS[code.upper()]}{code}"
    ).unpack(value)
    if vr == "AT":
        return tuple(a << 16 | b for a, b in zip(numbers[::2], numbers[1::2], strict=True))
    return numbers


def decode_uid(value: bytes, tag: int, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return one UID without its padding, "" where the value is empty.

    Raises PeerProtocolError for other characters than digits and periods, LimitExceeded (``uid_bytes``).
    """
    text = value.rstrip(b" \0").decode("ascii", "replace")
    if len(text) > limits.uid_bytes:
        raise LimitExceeded(limit="uid_bytes", value=limits.uid_bytes, seen=len(text))
    if not _UID.fullmatch(text):
        raise _not_a("UID", tag, value)
    return text


def decode_strings(value: bytes, vr: str, character_set: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the values of an element whose VR is text, each without insignificant padding.

    () where the element is empty. Never raises: what cannot be decoded becomes U+FFFD.
    """
    if vr in _CHARACTER_SET_VRS:
        text = decode_text(value, character_set, is_person_name=vr == "PN")
    else:
        text = value.decode("ascii", "replace")
    if not text:
        return ()
    if vr in SINGLE_VALUED or "\\" not in text:  # nearly always
        return (text.rstrip(" \0") if vr in _KEEP_LEADING else text.strip(" \0"),)
    parts = text.split("\\")
    if vr in _KEEP_LEADING:
        return tuple([part.rstrip(" \0") for part in parts])
    return tuple([part.strip(" \0") for part in parts])


def is_date(text: str) -> bool:
    """Whether text is a day that exists, YYYYMMDD (DA, PS3.5 section 6.2)."""
    match = _DATE.fullmatch(text)
    return match is not None and _day_exists(*match.groups())


def is_time(text: str) -> bool:
    """Whether text is HH, HHMM, HHMMSS or HHMMSS.FFFFFF, second 60 included (TM, PS3.5 section 6.2)."""
    return _TIME.fullmatch(text) is not None


def is_date_time(text: str) -> bool:
    """Whether text is YYYYMMDDHHMMSS.FFFFFF&ZZXX, cut after any component (DT, PS3.5 section 6.2)."""
    local = text[:-5] if _ZONE.fullmatch(text[-5:]) else text
    if len(local) in (4, 6):
        return is_date(f"{local}{'0101'[len(local) - 4 :]}")
    return is_date(local[:8]) and (len(local) == 8 or is_time(local[8:]))


def _day_exists(year: str, month: str, day: str) -> bool:
    try:
        datetime.date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def encode_identifier(elements: Attributes, syntax: Syntax) -> bytes:
    """Return a data set made of (tag, VR, value) in ascending order of tags, each value padded to an even length.

    Text is encoded in the character set that the elements themselves name in (0008,0005). Sequences and items get a
    defined length. Raises LocalProtocolError for what the Standard does not allow.
    """
    return b"".join(_encode(elements, syntax, ()))


def _encode(elements: Attributes, syntax: Syntax, outer: Sequence[str]) -> Iterator[bytes]:
    """Yield headers and values; ``outer`` is the character set of the data set around this one."""
    ordered = sorted(elements, key=lambda element: element[0])
    character_set = outer
    previous = -1
    for tag, vr, value in ordered:
        if tag == previous or not 0 <= tag < 0xFFFE0000 or vr not in SHORT_VRS | LONG_VRS:
            raise LocalProtocolError(f"{name_of(tag)} comes twice, or there is no such tag or VR")
        previous = tag
        raw = _encode_value(tag, vr, value, syntax, character_set)
        if len(raw) % 2:
            raw += b"\0" if vr in _PADDED_WITH_NUL else b" "
        if tag == SPECIFIC_CHARACTER_SET:
            character_set = parse_specific_character_set(raw)
        yield _header(tag, vr, len(raw), syntax)
        yield raw


def _header(tag: int, vr: str, length: int, syntax: Syntax) -> bytes:
    """Return what stands before a value (PS3.5 section 7.1)."""
    group, number = tag >> 16, tag & 0xFFFF
    if syntax is Syntax.IMPLICIT_LITTLE or not vr:
        return _PAIR_HEADERS[syntax].pack(group, number, length)
    if vr in LONG_VRS:
        return _LONG_HEADERS[syntax].pack(group, number, vr.encode(), length)
    if length > _MOST_SHORT_BYTES:
        raise LocalProtocolError(f"{name_of(tag)}: {vr} has no room for {length} bytes")
    return _SHORT_HEADERS[syntax].pack(group, number, vr.encode(), length)


def _byte_order(syntax: Syntax) -> str:
    return ">" if syntax is Syntax.EXPLICIT_BIG else "<"


_PAIR_HEADERS = {syntax: Struct(f"{_byte_order(syntax)}HHL") for syntax in Syntax}
_SHORT_HEADERS = {syntax: Struct(f"{_byte_order(syntax)}HH2sH") for syntax in Syntax}
_LONG_HEADERS = {syntax: Struct(f"{_byte_order(syntax)}HH2sxxL") for syntax in Syntax}


def _encode_value(
    tag: int, vr: str, value: AttributeValue, syntax: Syntax, character_set: Sequence[str]
) -> bytes:
    """Return the bytes of a value, not yet padded."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _encode_string(tag, vr, value, character_set)
    if isinstance(value, int):
        return _encode_integers(tag, vr, (value,), syntax)
    numbers = tuple(part for part in value if isinstance(part, int))
    items = tuple(part for part in value if not isinstance(part, int))
    if len(numbers if vr == "SQ" else items):
        raise LocalProtocolError(f"{name_of(tag)}: VR {vr} does not hold such values")
    if vr != "SQ":
        return _encode_integers(tag, vr, numbers, syntax)
    encoded = (b"".join(_encode(item, syntax, character_set)) for item in items)
    return b"".join(_header(ITEM, "", len(item), syntax) + item for item in encoded)


def _encode_string(tag: int, vr: str, text: str, character_set: Sequence[str]) -> bytes:
    parts = (text,) if vr in SINGLE_VALUED else text.split("\\")
    most = MOST_CHARACTERS.get(vr)
    if most is not None and any(len(part) > most for part in parts):
        raise LocalProtocolError(
            f"{name_of(tag)}: a value of VR {vr} has at most {most} characters"
        )
    if vr in _CHARACTER_SET_VRS:
        return encode_text(text, character_set)
    if vr not in _ASCII_VRS or not text.isascii():
        raise LocalProtocolError(f"{name_of(tag)}: VR {vr} does not hold this text")
    if vr == "UI" and not all(_UID.fullmatch(part) for part in parts):
        raise LocalProtocolError(f"{name_of(tag)}: a UID has digits and periods only")
    return text.encode("ascii")


def _encode_integers(tag: int, vr: str, numbers: Sequence[int], syntax: Syntax) -> bytes:
    if vr == "IS":
        return _encode_string(tag, vr, "\\".join(map(str, numbers)), ())
    code = _integer_code(vr, tag)
    if vr == "AT":
        numbers = [half for number in numbers for half in (number >> 16, number & 0xFFFF)]
    try:
        return Struct(f"{_byte_order(syntax)}{len(numbers)}{code}").pack(*numbers)
    except StructError:
        raise LocalProtocolError(f"{name_of(tag)}: a number does not fit VR {vr}") from None


def _integer_code(vr: str, tag: int) -> str:
    try:
        return _INTEGERS[vr]
    except KeyError:
        raise LocalProtocolError(f"{name_of(tag)}: VR {vr} holds no integers") from None


def _not_a(kind: str, tag: int, value: bytes) -> PeerProtocolError:
    """Return the error for a value; its length is all that is told."""
    return PeerProtocolError(
        f"{len(value)} bytes are no {kind}", field=name_of(tag), source="PS3.5 section 6.2"
    )
