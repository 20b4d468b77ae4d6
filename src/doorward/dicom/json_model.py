"""A data set as DICOM JSON, in a stream (PS3.18 section F.2); ``json_reader`` goes the other way.

Theory of operation. In goes a complete buffer; out come pieces of UTF-8 in the order of ``walk``, and only the levels that
are open are held. Where a value is long, or is Pixel Data, the owner is asked for the URI at which it can be fetched; without
one it stands inline, which for Base64 is streamed too.

What the Standard leaves open, and what we do:

* (0008,0005) says ISO_IR 192 wherever it is present: the text around it is UTF-8 now;
* DS and IS are written as a number where the text already is a JSON number of at most 15 digits, which every reader holds
  exactly; any other text stays a string, sign and leading zeros included (F.2.3, note). SV and UV above 2^53 are strings;
* FL and FD that are no finite number are the strings "NaN", "Infinity" and "-Infinity", since JSON has no such numbers;
* what is inline is little endian, as bulk data are (PS3.18 section 8.7.3);
* a sequence that was written as UN of undefined length is a sequence; a VR younger than this program is UN;
* attributes keep the order of the bytes; one that comes twice is refused, since two readers would see two values.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from doorward.dicom.attributes import (
    FLOAT_VRS,
    INTEGER_VRS,
    READABLE_VRS,
    TEXT_VRS,
    Attribute,
    DataSetView,
    decode_floats,
    decode_values,
)
from doorward.dicom.charset import parse_specific_character_set
from doorward.dicom.person_name import GROUPS, component_groups
from doorward.dicom.values import SPECIFIC_CHARACTER_SET
from doorward.dicom.walk import (
    ITEM,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    Element,
    Syntax,
    name_of,
    walk,
)
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

#: VRs whose value may be replaced by a URI (PS3.18 section F.2.2).
BULK_DATA_VRS = frozenset({"DS", "FD", "FL", "IS", "LT", "OB", "OD", "OF", "OL", "OV", "OW"}) | (
    frozenset({"SL", "SS", "ST", "SV", "UC", "UL", "UN", "US", "UT", "UV"})
)
#: VRs whose value is Base64, and how many bytes one number in it has.
BASE64_VRS = {"OB": 1, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "UN": 1}
_INLINE_CHUNK = 49_152  # a multiple of 3, for Base64, and of every width
_MOST_EXACT_INTEGER = 1 << 53
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_MOST_EXACT_DIGITS = 15
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_NOT_FINITE = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}


class BulkData(NamedTuple):
    """A value for which a URI may stand.

    ``path`` leads there: tag, number of the item (from 0), tag ...; offset and length are those of the value in the buffer,
    that of encapsulated pixel data without its delimiter.
    """

    path: tuple[int, ...]
    vr: str
    offset: int
    length: int


#: Returns the URI for a value, None where it is to stand inline.
UriOf: TypeAlias = Callable[[BulkData], str | None]


def _always_inline(_: BulkData) -> None:
    return None


@dataclass(slots=True)
class _Level:
    """A data set that is being written, and the sequence or the pixel data in it that is open."""

    path: tuple[int, ...]
    syntax: Syntax
    character_set: Sequence[str]
    seen: set[int] = field(default_factory=set)
    sequence: int | None = None
    items: int = 0
    #: how the elements of these items are written
    inner_syntax: Syntax = Syntax.IMPLICIT_LITTLE
    #: encapsulated pixel data, whose length is known at its end
    pixels: Element | None = None


def encode_data_set(
    buffer: Buffer,
    syntax: Syntax,
    uri_of: UriOf = _always_inline,
    *,
    inline_bytes: int = 1_024,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[bytes]:
    """Yield one JSON object in pieces. ``uri_of`` is asked about Pixel Data and values longer than ``inline_bytes``.

    Raises as ``walk``, in the middle of the stream; PeerProtocolError for a tag that comes twice in one data set and for
    numbers of a wrong length; LimitExceeded (``value_bytes``) for text or numbers that have no URI and are longer.
    """
    writer = _Writer(buffer, uri_of, inline_bytes, limits)
    levels = [_Level((), syntax, ())]
    yield b"{"
    for element in walk(buffer, syntax, limits):
        while len(levels) > element.depth + 1:
            yield from _end_item(levels)
        level = levels[-1]
        if element.vr:
            yield from _end_sequence(level)
            yield from writer.element(element, level)
        elif element.tag == ITEM and level.sequence is not None:
            yield b",{" if level.items else b',"Value":[{'
            path = (*level.path, level.sequence, level.items)
            levels.append(_Level(path, level.inner_syntax, level.character_set))
            level.items += 1
        elif element.tag == SEQUENCE_DELIMITATION and level.pixels is not None:
            yield from writer.pixels(level.pixels, element.offset - 8, level)
            level.pixels = None
    while len(levels) > 1:
        yield from _end_item(levels)
    yield from _end_sequence(levels[0])
    yield b"}"


def _end_item(levels: list[_Level]) -> Iterator[bytes]:
    yield from _end_sequence(levels.pop())
    yield b"}"


def _end_sequence(level: _Level) -> Iterator[bytes]:
    """Close the sequence that is open in a data set, if one is."""
    if level.sequence is not None:
        yield b"]}" if level.items else b"}"
    level.sequence, level.items = None, 0


@dataclass(frozen=True, slots=True)
class _Writer:
    """What stays the same while a data set is written."""

    buffer: Buffer
    uri_of: UriOf
    inline_bytes: int
    limits: Limits

    def element(self, element: Element, level: _Level) -> Iterator[bytes]:
        """Yield a whole element, or the beginning of a sequence."""
        tag, vr, offset, length, _ = element
        if not tag & 0xFFFF:
            return  # a group length (F.2.2)
        if tag in level.seen:
            raise PeerProtocolError(
                "it occurs more than once", field=name_of(tag), source="PS3.5 section 7.1"
            )
        yield b"," if level.seen else b""
        level.seen.add(tag)
        if vr == "SQ" or (length == UNDEFINED and tag != PIXEL_DATA):
            level.sequence = tag
            level.inner_syntax = level.syntax if vr == "SQ" else Syntax.IMPLICIT_LITTLE
            vr = "SQ"
        elif vr not in SHORT_VRS | LONG_VRS:
            vr = "UN"
        yield b'"%08X":{"vr":"%s"' % (tag, vr.encode())
        if length == UNDEFINED and level.sequence is None:
            level.pixels = element
        elif level.sequence is None:
            yield from self._value(BulkData((*level.path, tag), vr, offset, length), level)
            yield b"}"

    def pixels(self, element: Element, end: int, level: _Level) -> Iterator[bytes]:
        """Yield the rest of encapsulated pixel data, which ends before its delimiter at ``end``."""
        tag, vr, offset, _, _ = element
        yield from self._value(BulkData((*level.path, tag), vr, offset, end - offset), level)
        yield b"}"

    def _value(self, bulk: BulkData, level: _Level) -> Iterator[bytes]:
        vr, length = bulk.vr, bulk.length
        if length == 0:
            return  # F.2.5
        is_asked = bulk.path[-1] == PIXEL_DATA or (
            length > self.inline_bytes and vr in BULK_DATA_VRS
        )
        uri = self.uri_of(bulk) if is_asked else None
        if uri is not None:
            yield b',"BulkDataURI":' + encode_string(uri).encode()
        elif vr in BASE64_VRS:
            yield b',"InlineBinary":"'
            yield from self._base64(bulk, level.syntax)
            yield b'"'
        else:
            values = ",".join(self._values(bulk, level))
            if values != "null":  # nothing but padding is an empty value
                yield b',"Value":[' + values.encode() + b"]"

    def _base64(self, bulk: BulkData, syntax: Syntax) -> Iterator[bytes]:
        width = BASE64_VRS[bulk.vr] if syntax is Syntax.EXPLICIT_BIG else 1
        end = bulk.offset + bulk.length
        for start in range(bulk.offset, end, _INLINE_CHUNK):
            chunk = bytes(self.buffer[start : min(end, start + _INLINE_CHUNK)])
            yield base64.b64encode(_swapped(chunk, width))

    def _values(self, bulk: BulkData, level: _Level) -> Iterator[str]:
        """Yield each value as JSON text."""
        path, vr, offset, length = bulk
        tag = path[-1]
        if length > self.limits.value_bytes:
            bound = self.limits.value_bytes
            raise LimitExceeded(limit="value_bytes", value=bound, seen=length)
        raw = bytes(self.buffer[offset : offset + length])
        if tag == SPECIFIC_CHARACTER_SET:
            level.character_set = parse_specific_character_set(raw)
            raw = b"ISO_IR 192"
        if vr in FLOAT_VRS:
            yield from map(_float, decode_floats(raw, vr, level.syntax, tag))
            return
        write = _WRITE.get(vr, _text)
        yield from map(write, decode_values(raw, vr, level.syntax, tag, level.character_set))


def _swapped(chunk: bytes, width: int) -> bytes:
    """Return numbers with the order of their bytes turned around; a rest that is no number stays."""
    if width == 1:
        return chunk
    whole = len(chunk) - len(chunk) % width
    swapped = bytearray(chunk)
    for place in range(width):
        swapped[place:whole:width] = chunk[width - 1 - place : whole : width]
    return bytes(swapped)


def encode_string(text: str) -> str:
    """Return text as a JSON string, beyond ASCII as it is."""
    return _ENCODE(text)


def _text(text: str) -> str:
    return encode_string(text) if text else "null"


def _name(text: str) -> str:
    if "=" not in text:  # nearly always
        name = text.strip(" \0")
        return f'{{"Alphabetic":{encode_string(name)}}}' if name else "null"
    groups = zip(GROUPS, component_groups(text), strict=False)
    members = [f'"{group}":{encode_string(name)}' for group, name in groups if name]
    return f"{{{','.join(members)}}}" if members else "null"


def _integer(text: str) -> str:
    return text if abs(int(text)) <= _MOST_EXACT_INTEGER else encode_string(text)


def _float(number: float) -> str:
    return repr(number) if math.isfinite(number) else _NOT_FINITE[repr(number)]


def _number_string(text: str) -> str:
    """Return the text of a DS or IS as a number if it is one that every reader holds exactly."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MOST_EXACT_DIGITS:
        return text  # nearly always
    match = _JSON_NUMBER.fullmatch(text)
    if match is None:
        return _text(text)
    digits = re.sub(r"[eE].*|\D", "", text).lstrip("0")
    value = float(text)
    is_exact = (
        len(digits) <= _MOST_EXACT_DIGITS and math.isfinite(value) and bool(value) == bool(digits)
    )
    return text if is_exact else encode_string(text)


_WRITE: dict[str, Callable[[str], str]] = {
    "PN": _name,
    "DS": _number_string,
    "IS": _number_string,
    **dict.fromkeys(INTEGER_VRS, _integer),
}


#: VRs whose values are JSON strings as they are.
PLAIN_VRS = TEXT_VRS - _WRITE.keys()


def encode_view(view: DataSetView) -> str:
    """Return attributes that were read before as one JSON object, in the order of their tags (PS3.18 section F.2.2).

    Bytes, which a view does not hold, are left out; an attribute without a value has none here (F.2.5).
    """
    members = [encode_member(tag, view[tag]) for tag in sorted(view)]
    return f"{{{','.join(filter(None, members))}}}"


def encode_member(tag: int, attribute: Attribute) -> str:
    """Return one attribute as it stands in what ``encode_view`` returns; "" for what is left out there."""
    if not tag & 0xFFFF or not (attribute.vr in READABLE_VRS or attribute.vr == "SQ"):
        return ""
    return f'"{tag:08X}":{_encode_attribute(attribute)}'


def _encode_attribute(attribute: Attribute) -> str:
    vr, texts, items = attribute
    if vr in PLAIN_VRS and len(texts) == 1 and texts[0]:
        return f'{{"vr":"{vr}","Value":[{_ENCODE(texts[0])}]}}'  # nearly always
    if vr == "SQ":
        values = ",".join(map(encode_view, items))
    elif vr in FLOAT_VRS:
        values = ",".join(_float(float(text)) for text in texts)
    else:
        values = ",".join(map(_WRITE.get(vr, _text), texts))
    if values in ("", "null"):
        return f'{{"vr":"{vr}"}}'
    return f'{{"vr":"{vr}","Value":[{values}]}}'
