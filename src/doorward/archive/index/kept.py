"""Views as the index has found them: text, of which no more is decoded than somebody looks at.

Theory of operation. A long list hands on a hundred thousand views, of each only some values, nearly all of them one short
text. To parse a view (``rows``) costs more than all else that is done with it, so what was found is a ``KeptView``: text,
which is decoded when it is used as a mapping. Who writes answers asks for its ``strings`` first: where no quotation mark is
escaped, each begins or ends a string, so the text cut at them has all values. Which of them stands where is its *shape*;
views of one archive have few shapes, and ``Shapes`` remembers for each what a writer has made of it.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from doorward.archive.index.rows import decode_view
from doorward.dicom.attributes import Attribute
from doorward.limits import DEFAULT_LIMITS

T = TypeVar("T")
_NOTHING: Mapping[int, Attribute] = MappingProxyType({})
#: What stands between the VR of an attribute and its first value, and where it has no value and no items.
_TO_VALUE, _NO_VALUE = ",[", ",[]]"
#: How many brackets are open there.
_AT_VR = 2


class KeptView(Mapping[int, Attribute]):
    """What the index keeps of one answer; the same mapping as ``rows.decode_view``, and what was ``made`` here.

    ``above`` is what is kept of the study of a series, or of the series of an instance; ``wanted``: the attributes that the
    mapping has, where it is not all that there are.
    """

    __slots__ = ("_above", "_text", "_view", "_wanted", "made")

    def __init__(
        self,
        text: str,
        wanted: Collection[int] | None = None,
        made: Mapping[int, Attribute] = _NOTHING,
        above: "KeptView | None" = None,
    ) -> None:
        self._text = text
        self._wanted = wanted
        self._above = above
        self._view: dict[int, Attribute] | None = None
        #: Counts and the like, those of the levels above too: they are in no text.
        self.made: Mapping[int, Attribute] = made
        if above is not None and above.made:
            self.made = {**above.made, **made}

    def __repr__(self) -> str:
        """Say what it is, never what it holds."""
        return f"KeptView({len(self._text)} characters)"

    def strings(self) -> tuple[list[str], bool] | None:
        """Return all its text, cut at the quotation marks, and whether all of it is ASCII that JSON does not escape.

        Then come the values of what was made, joined by a backslash, and "". There may be more than is wanted. None where
        the text cannot be cut.
        """
        text = self._whole()
        if '\\"' in text:
            return None
        found = text.split('"')
        is_plain = "\\" not in text
        if not is_plain:
            found = [json.loads(f'"{one}"') if "\\" in one else one for one in found]
        for attribute in self.made.values():
            joined = "\\".join(attribute.values)
            is_plain = is_plain and joined.isascii()
            found.append(joined)
        found.append("")
        return found, is_plain

    def _whole(self) -> str:
        return self._text if self._above is None else self._above._whole() + self._text  # noqa: SLF001 - one of us

    def __getitem__(self, tag: int) -> Attribute:
        """Return one attribute."""
        return self._decoded()[tag]

    def __iter__(self) -> Iterator[int]:
        """Yield the tags."""
        return iter(self._decoded())

    def __len__(self) -> int:
        """Return how many attributes there are."""
        return len(self._decoded())

    def _decoded(self) -> dict[int, Attribute]:
        view = self._view
        if view is None:
            view = {} if self._above is None else dict(self._above)
            view.update(decode_view(self._text, self._wanted))
            view.update(self.made)
            self._view = view
        return view


class Place(NamedTuple):
    """The VR of an attribute, and where its one value, or "" for none, stands among the strings of a view."""

    vr: str
    #: None where there are several values, or it is a sequence.
    at: int | None


class _Element(NamedTuple):
    tag: int
    vr_at: int
    value_at: int | None


class Shapes(Generic[T]):
    """Remembers what was made of each shape of views, None for nothing. For one thread at a time."""

    def __init__(self, make: Callable[[Mapping[int, Place]], T | None]) -> None:
        self._make = make
        #: No value is in a key: what stands outside of strings, VRs, tags of what was made.
        self._known: dict[tuple[str, ...], T | None] = {}
        self._last_outside: list[str] = []
        self._vrs_of: Callable[[list[str]], object] = itemgetter(0)
        self._last: tuple[object, list[int]] = (None, [])
        self._made_of_last: T | None = None

    def of(self, view: KeptView, strings: list[str]) -> T | None:
        """Return what is made of the shape of this view; None too where more shapes came than are remembered."""
        made = view.made
        outside = strings[: len(strings) - len(made) - 1 : 2]
        if outside != self._last_outside:
            self._last_outside = outside
            self._vrs_of = itemgetter(0, *[one.vr_at for one in _elements(outside)])
            self._last = (None, [])
        shape = (self._vrs_of(strings), list(made))
        if shape != self._last:
            self._made_of_last = self._of(outside, strings, made)
            self._last = shape
        return self._made_of_last

    def _of(
        self, outside: list[str], strings: list[str], made: Mapping[int, Attribute]
    ) -> T | None:
        elements = _elements(outside)
        key = (*outside, *[strings[one.vr_at] for one in elements], *map(str, made))
        if key not in self._known:
            if len(self._known) >= DEFAULT_LIMITS.query_shapes:
                return None
            places = {one.tag: _place(strings[one.vr_at], one.value_at) for one in elements}
            end = 2 * len(outside) - 1
            for number, (tag, attribute) in enumerate(made.items()):
                places[tag] = Place(attribute.vr, end + number)
            self._known[key] = self._make(places)
        return self._known[key]


def _place(vr: str, at: int | None) -> Place:
    return Place(vr, None if vr == "SQ" else at)


@lru_cache(DEFAULT_LIMITS.query_shapes)
def _elements_of(outside: tuple[str, ...]) -> tuple[_Element, ...]:
    """Return where the attributes of the outermost level stand, from what stands outside of strings."""
    found = []
    depth = 0
    for number, piece in enumerate(outside):
        depth += piece.count("[") - piece.count("]")
        if depth != _AT_VR or piece[-1] != ",":
            continue
        before, after = outside[number + 1], outside[min(number + 2, len(outside) - 1)]
        value_at: int | None = None
        if before.startswith(_NO_VALUE):
            value_at = -1
        elif before == _TO_VALUE and after[0] == "]":
            value_at = 2 * number + 3
        found.append(_Element(int(piece.rpartition("[")[2][:-1]), 2 * number + 1, value_at))
    return tuple(found)


def _elements(outside: list[str]) -> tuple[_Element, ...]:
    return _elements_of(tuple(outside))
