"""What an index has found, as the identifiers of C-FIND responses (PS3.4 section C.4.1.1.3).

What was asked for comes back, empty where it is not known. Text is Unicode here, so an answer that is not ASCII says
ISO_IR 192 whatever the question was written in. Values are passed on as they were received, too long ones too.

Theory of operation. A hundred thousand answers of one query differ in their values only, so the headers are made once;
most values are text, for which a header needs no more than a length. All others go through ``encode_identifier``. Where what
the index keeps is plain, values go from its text into the identifier without being decoded in between.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Literal, NamedTuple, TypeAlias

from doorward.archive.index.kept import KeptView, Place, Shapes
from doorward.archive.index.levels import Level
from doorward.dicom.attributes import FLOAT_VRS, INTEGER_VRS, TEXT_VRS, Attribute, DataSetView
from doorward.dicom.query import QUERY_RETRIEVE_LEVEL
from doorward.dicom.tags import vr_of
from doorward.dicom.values import SPECIFIC_CHARACTER_SET, encode_identifier
from doorward.dicom.values import Attribute as Encodable
from doorward.dicom.walk import LONG_VRS, Syntax
from doorward.limits import DEFAULT_LIMITS

_RETRIEVE_AE_TITLE = 0x00080054
#: A value of the short form has a length of 16 bits, and an even one (PS3.5 section 7.1.2).
_MOST_BYTES = 65_534
_UTF_8 = "ISO_IR 192"
#: Up to here values have the bytes of their length ready.
_SHORT_BYTES = 256
_Order: TypeAlias = Literal["big", "little"]


class _Step(NamedTuple):
    """One value of an identifier: which string it is, and what is written around it; each character is a byte."""

    before: str
    at: int
    lengths: Sequence[str]
    padding: str


class _Template(NamedTuple):
    steps: Sequence[_Step]
    end: str


class AnswerWriter:
    """Writes the identifiers of one query: the ``asked`` attributes, the level, from where it can be retrieved."""

    def __init__(self, asked: Collection[int], level: Level, ae_title: str, syntax: Syntax) -> None:
        self._syntax = syntax
        self._order: _Order = "big" if syntax is Syntax.EXPLICIT_BIG else "little"
        self._character_set = self._whole(SPECIFIC_CHARACTER_SET, "CS", _UTF_8)
        always = {
            QUERY_RETRIEVE_LEVEL: self._whole(QUERY_RETRIEVE_LEVEL, "CS", level.name),
            _RETRIEVE_AE_TITLE: self._whole(_RETRIEVE_AE_TITLE, "AE", ae_title),
        }
        #: Tag -> what is written where it is not known, or in any case (then it is in no view); in the order of tags.
        self._parts = {
            tag: always.get(tag) or self._whole(tag, vr_of(tag), b"")
            for tag in sorted({*asked, *always} - {SPECIFIC_CHARACTER_SET})
        }
        self._made_here = always.keys()
        self._shapes = Shapes(self._templates)
        #: Where the character set stands.
        self._place = sum(tag < SPECIFIC_CHARACTER_SET for tag in self._parts)
        self._heads: dict[tuple[int, str], tuple[bytes, int]] = {}

    def write(self, view: DataSetView) -> bytes:
        """Return one identifier."""
        if isinstance(view, KeptView) and (strings := view.strings()) is not None:
            joined = self._joined(view, *strings)
            if joined is not None:
                return joined
        parts: list[bytes] = []
        is_ascii = True
        for tag, otherwise in self._parts.items():
            attribute = view.get(tag)
            if attribute is None or tag in self._made_here:
                parts.append(otherwise)
            elif attribute.vr in TEXT_VRS:
                text = "\\".join(attribute.values)
                is_ascii = is_ascii and text.isascii()
                parts.append(self._text(tag, attribute.vr, text))
            else:
                is_ascii = is_ascii and _is_ascii(attribute)
                parts.append(self._other(tag, attribute))
        if not is_ascii:
            parts.insert(self._place, self._character_set)
        return b"".join(parts)

    def _joined(self, view: KeptView, strings: list[str], is_ascii: bool) -> bytes | None:
        """Return one identifier; None where it takes more than to join strings."""
        template = self._shapes.of(view, strings)
        if template is None:
            return None
        plain, wide = template
        if not is_ascii and not all(strings[step.at].isascii() for step in plain.steps):
            plain = wide
            strings = [one.encode("utf-8", "replace").decode("latin-1") for one in strings]
        parts: list[str] = []
        for before, at, lengths, padding in plain.steps:
            value = strings[at]
            size = len(value)
            if size >= _SHORT_BYTES:
                return None
            parts += (before, lengths[size], value)
            if size & 1:
                parts.append(padding)
        parts.append(plain.end)
        return "".join(parts).encode("latin-1")

    def _templates(self, places: Mapping[int, Place]) -> tuple[_Template, _Template] | None:
        """Return what is written around ASCII, and around other text; None where a value is no text, or not one."""
        known = {tag: place for tag, place in places.items() if tag in self._parts}
        if not all(place.vr in TEXT_VRS and place.at is not None for place in known.values()):
            return None
        wide = self._parts | {SPECIFIC_CHARACTER_SET: self._character_set}
        return self._template(known, self._parts), self._template(known, dict(sorted(wide.items())))

    def _template(self, places: Mapping[int, Place], all_parts: Mapping[int, bytes]) -> _Template:
        steps: list[_Step] = []
        before = ""
        for tag, otherwise in all_parts.items():
            place = None if tag in self._made_here else places.get(tag)
            if place is None or place.at is None:
                before += otherwise.decode("latin-1")
                continue
            head, width = self._head(tag, place.vr)
            before += head.decode("latin-1")
            padding = _padding(place.vr).decode()
            steps.append(_Step(before, place.at, _lengths(width, self._order), padding))
            before = ""
        return _Template(steps, before)

    def _other(self, tag: int, attribute: Attribute) -> bytes:
        return encode_identifier([_element(tag, attribute, self._syntax)], self._syntax)

    def _whole(self, tag: int, vr: str, value: str | bytes) -> bytes:
        return encode_identifier([(tag, vr, value)], self._syntax)

    def _text(self, tag: int, vr: str, text: str) -> bytes:
        before, width = self._head(tag, vr)
        raw = text.encode("utf-8", "replace")[:_MOST_BYTES]
        if len(raw) % 2:
            raw += _padding(vr)
        return before + len(raw).to_bytes(width, self._order) + raw

    def _head(self, tag: int, vr: str) -> tuple[bytes, int]:
        """Return what stands before the length of a text, and of how many bytes that is."""
        head = self._heads.get((tag, vr))
        if head is None:
            # What is left of the element when it is empty.
            width = 2 if self._syntax is not Syntax.IMPLICIT_LITTLE and vr not in LONG_VRS else 4
            head = self._heads[tag, vr] = self._whole(tag, vr, b"")[:-width], width
        return head


@lru_cache(DEFAULT_LIMITS.query_writers)
def writer_of(asked: frozenset[int], level: Level, ae_title: str, syntax: Syntax) -> AnswerWriter:
    """Return the writer for such queries: whoever asks once asks the same attributes again."""
    return AnswerWriter(asked, level, ae_title, syntax)


@lru_cache
def _lengths(width: int, order: _Order) -> tuple[str, ...]:
    """Return the even length of each short value in so many bytes, as Latin-1."""
    return tuple(
        (size + size % 2).to_bytes(width, order).decode("latin-1") for size in range(_SHORT_BYTES)
    )


def _padding(vr: str) -> bytes:
    return b"\0" if vr == "UI" else b" "


def _is_ascii(attribute: Attribute) -> bool:
    return all(value.isascii() for value in attribute.values) and all(
        _is_ascii(inner) for item in attribute.items for inner in item.values()
    )


def _element(tag: int, attribute: Attribute, syntax: Syntax) -> Encodable:
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
