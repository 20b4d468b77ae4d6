"""What was found, as the JSON objects of a QIDO-RS answer (PS3.18 sections 10.6.3.3 and F.2).

Theory of operation. The objects of one search differ in their values only, and most values are text that needs no escaping
where the index keeps it plain. So for each shape of what was found (``index.kept``) all that stands around the values is
made once. What is not plain, or is asked for with every attribute that there is, is decoded and written the long way.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from doorward.archive.index.kept import KeptView, Place, Shapes
from doorward.archive.index.levels import (
    MADE_HERE,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Level,
)
from doorward.dicom.attributes import READABLE_VRS, Attribute, DataSetView
from doorward.dicom.json_model import PLAIN_VRS, encode_member, encode_string, encode_view
from doorward.dicom.tags import vr_of
from doorward.dicom.values import SPECIFIC_CHARACTER_SET

_RETRIEVE_URL = 0x00081190
_INSTANCE_AVAILABILITY = 0x00080056
_ONLINE = Attribute("CS", ("ONLINE",))
_UTF_8 = Attribute("CS", ("ISO_IR 192",))
_UIDS = (
    (Level.STUDY, "studies", STUDY_INSTANCE_UID),
    (Level.SERIES, "series", SERIES_INSTANCE_UID),
    (Level.IMAGE, "instances", SOP_INSTANCE_UID),
)


class _As(Enum):
    """How a string of the index gets into the answer."""

    #: As it is: into an address.
    IT_IS = "it is"
    #: As the one value of an attribute, or none.
    VALUE = "value"
    #: The whole attribute is written by ``encode_member``.
    MEMBER = "member"
    #: The same, from several values.
    MADE = "made"


class _Value(NamedTuple):
    at: int
    how: _As
    tag: int
    vr: str


class _Step(NamedTuple):
    before: str
    value: _Value


class _Template(NamedTuple):
    steps: Sequence[_Step]
    end: str


class Shown:
    """Writes the answers of one search: which attributes of a match are returned, and where it is to be had."""

    def __init__(
        self,
        *,
        base: str,
        level: Level,
        always: Collection[int],
        if_known: Collection[int],
        is_all: bool,
    ) -> None:
        """``always``: returned in any case, empty where they are not known; ``is_all``: so is all that is known."""
        self._base = base
        self._uids = [(name, tag) for at, name, tag in _UIDS if at <= level]
        self._always = frozenset(always)
        self._if_known = frozenset(if_known)
        self._is_all = is_all
        tags = sorted({*always, *if_known, _RETRIEVE_URL, _INSTANCE_AVAILABILITY})
        #: Tag -> what is written where it is not known, in the order of tags.
        self._parts = {
            t: encode_member(t, Attribute(vr_of(t))) if t in self._always else "" for t in tags
        }
        self._read = {*self._parts, *(tag for _, tag in self._uids)}
        self._shapes = Shapes(self._templates)

    @property
    def needed(self) -> Collection[int] | None:
        """What a match must have to be shown; None: all that is known."""
        if self._is_all:
            return None
        return self._always | self._if_known | {tag for _, _, tag in _UIDS}

    def text(self, found: DataSetView) -> str:
        """Return one answer as JSON."""
        if self._is_all:
            return encode_view(self.view(found))
        if isinstance(found, KeptView) and (strings := found.strings()) is not None:
            joined = self._joined(found, *strings)
            if joined is not None:
                return joined
        made = {
            _RETRIEVE_URL: Attribute("UR", (self._url(found),)),
            _INSTANCE_AVAILABILITY: _ONLINE,
        }
        members = []
        for tag, otherwise in self._parts.items():
            attribute = made.get(tag) or found.get(tag)
            members.append(otherwise if attribute is None else encode_member(tag, attribute))
        text = f"{{{','.join(filter(None, members))}}}"
        # The character set is named where something needs one; its place is found the slow way.
        return text if text.isascii() else encode_view(self.view(found))

    def view(self, found: DataSetView) -> DataSetView:
        """Return one answer."""
        shown = {tag: found[tag] if tag in found else Attribute(vr_of(tag)) for tag in self._always}
        more = found if self._is_all else self._if_known
        shown |= {tag: found[tag] for tag in more if tag in found}
        shown[_RETRIEVE_URL] = Attribute("UR", (self._url(found),))
        shown[_INSTANCE_AVAILABILITY] = _ONLINE
        if not all(map(_is_ascii, shown.values())):
            shown[SPECIFIC_CHARACTER_SET] = _UTF_8
        return shown

    def _url(self, found: DataSetView) -> str:
        parts = [f"/{name}/{found[tag].values[0]}" for name, tag in self._uids]
        return self._base + "".join(parts)

    # --- by shape -----------------------------------------------------------------------------------------------------

    def _joined(self, found: KeptView, strings: list[str], is_plain: bool) -> str | None:
        """Return one answer; None where what the index keeps has to be decoded."""
        templates = self._shapes.of(found, strings)
        if templates is None:
            return None
        ascii_only, wide = templates
        is_ascii = is_plain or all(strings[value.at].isascii() for _, value in ascii_only.steps)
        steps, end = ascii_only if is_ascii else wide
        parts: list[str] = []
        for before, (at, how, tag, vr) in steps:
            value = strings[at]
            if how is _As.VALUE and is_plain:
                parts += (before, ',"Value":["', value, '"]') if value else (before,)
            elif how is _As.VALUE:
                parts += (before, f',"Value":[{encode_string(value)}]' if value else "")
            elif how is _As.IT_IS:
                parts += (before, value if is_plain else encode_string(value)[1:-1])
            elif how is _As.MEMBER:
                parts += (before, encode_member(tag, Attribute(vr, (value,) if value else ())))
            else:
                values = tuple(value.split("\\")) if value else ()
                parts += (before, encode_member(tag, Attribute(vr, values)))
        parts.append(end)
        return "".join(parts)

    def _templates(self, places: Mapping[int, Place]) -> tuple[_Template, _Template] | None:
        """Return what is written around ASCII, and around other text; None where something is not one string."""
        known = {tag: one.at for tag, one in places.items() if tag in self._read}
        if not self._base.isascii() or None in known.values():
            return None
        if not all(tag in known for _, tag in self._uids):
            return None
        narrow = {tag: self._member(tag, places) for tag in self._parts}
        wide = narrow | {SPECIFIC_CHARACTER_SET: [encode_member(SPECIFIC_CHARACTER_SET, _UTF_8)]}
        return _template(narrow.values()), _template(wide[tag] for tag in sorted(wide))

    def _member(self, tag: int, places: Mapping[int, Place]) -> list[str | _Value]:
        """Return one attribute of an answer; [] for none."""
        if tag == _RETRIEVE_URL:
            return self._url_of(places)
        if tag == _INSTANCE_AVAILABILITY:
            return [encode_member(tag, _ONLINE)]
        if tag not in places:
            return [self._parts[tag]] if self._parts[tag] else []
        vr, at = places[tag]
        if at is None or not tag & 0xFFFF or vr not in READABLE_VRS:
            return []
        if tag in MADE_HERE or vr not in PLAIN_VRS:
            return [_Value(at, _As.MADE if tag in MADE_HERE else _As.MEMBER, tag, vr)]
        return [f'"{tag:08X}":{{"vr":"{vr}"', _Value(at, _As.VALUE, tag, vr), "}"]

    def _url_of(self, places: Mapping[int, Place]) -> list[str | _Value]:
        url = Attribute("UR", (self._base,))
        pieces: list[str | _Value] = [encode_member(_RETRIEVE_URL, url).removesuffix('"]}')]
        for name, tag in self._uids:
            pieces += (f"/{name}/", _Value(places[tag].at or 0, _As.IT_IS, tag, ""))
        return [*pieces, '"]}']


def _template(members: Iterable[Sequence[str | _Value]]) -> _Template:
    """Return what stands around the values of an object with these members; empty ones are left out."""
    steps: list[_Step] = []
    before, comma = "{", ""
    for pieces in members:
        for piece in pieces:
            before, comma = before + comma, ""
            if isinstance(piece, str):
                before += piece
            else:
                steps.append(_Step(before, piece))
                before = ""
        comma = "," if steps or before != "{" else ""
    return _Template(steps, before + "}")


def _is_ascii(attribute: Attribute) -> bool:
    return all(value.isascii() for value in attribute.values) and all(
        _is_ascii(inner) for item in attribute.items for inner in item.values()
    )
