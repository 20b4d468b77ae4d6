"""What to look up in an index for a query: a description from which SQL can be made, and no SQL.

Theory of operation. An index holds, for each attribute of a study, series or instance, the texts that ``query.comparables``
gives. ``conditions`` says which of these texts to look for: all conditions of a query have to hold (logical AND), within one
any of its texts or periods is enough. What satisfies them is everything that matches, and where a condition is not
``is_exact`` perhaps more: then ``query.matches`` has the last word.
"""

from dataclasses import dataclass, replace
from enum import Enum

from doorward.dicom.periods import Period
from doorward.dicom.person_name import certain_prefix
from doorward.dicom.query import (
    AnyValue,
    EachOf,
    Like,
    Match,
    Named,
    NoValue,
    OneOf,
    Query,
    Unmatched,
    Within,
    WithinMoments,
)
from doorward.dicom.wild_card import has_wild_card, is_prefix_pattern, prefix_of


class Lookup(Enum):
    """How the texts of an attribute are looked for."""

    EQUAL = "one of the texts"
    PREFIX = "begins with one of the texts"
    RANGE = "lies in one of the periods"
    ABSENT = "has no text"
    SCAN = "an index does not help"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Condition:
    """What the indexed texts of one attribute have to be."""

    tag: int
    test: Lookup
    texts: tuple[str, ...] = ()
    periods: tuple[Period, ...] = ()
    is_exact: bool = True
    #: an attribute without any text satisfies it too
    or_absent: bool = False

    def __repr__(self) -> str:
        """Say how, never what for: it may be a patient's name."""
        return f"Condition({self.tag:08X}, {self.test.name}, is_exact={self.is_exact})"


def conditions(query: Query) -> tuple[Condition, ...]:
    """Return what to look up, in the order of the tags; () for a query that matches everything."""
    parts = ((key.tag, part) for key in query.keys for part in _parts(key.match))
    found = tuple(_condition(tag, part) for tag, part in parts)
    if query.rules.unknown_matches:
        # What has a value that is none of its VR has no text either, and still does not match.
        found = tuple(replace(one, or_absent=True, is_exact=False) for one in found)
    return found


def _parts(match: Match) -> tuple[Match, ...]:
    """Return what has to hold, each for itself; nothing for a universal key."""
    if isinstance(match, AnyValue | Unmatched):
        return ()
    return match.wanted if isinstance(match, EachOf) else (match,)


def _condition(tag: int, match: Match) -> Condition:
    match match:
        case NoValue():
            return Condition(tag=tag, test=Lookup.ABSENT, is_exact=False)
        case OneOf(texts):
            return Condition(tag=tag, test=Lookup.EQUAL, texts=tuple(sorted(texts)))
        case Like(patterns):
            return _prefixed(tag, [(prefix_of(one), is_prefix_pattern(one)) for one in patterns])
        case Named(names):
            return _named(tag, names)
        case Within(periods):
            return Condition(tag=tag, test=Lookup.RANGE, periods=periods)
        case WithinMoments(_, period):
            days = (Period(period.first[:8], period.last[:8]),)
            return Condition(tag=tag, test=Lookup.RANGE, periods=days, is_exact=False)
        case _:
            return Condition(tag=tag, test=Lookup.SCAN, is_exact=False)


def _named(tag: int, names: tuple[tuple[str, ...], ...]) -> Condition:
    if any(has_wild_card(group) for name in names for group in name):
        return _prefixed(tag, [certain_prefix(name) for name in names])
    firsts = tuple(next(group for group in name if group) for name in names)
    is_exact = all(len(name) == 1 for name in names)
    return Condition(tag=tag, test=Lookup.EQUAL, texts=firsts, is_exact=is_exact)


def _prefixed(tag: int, pairs: list[tuple[str, bool]]) -> Condition:
    """Return a condition on prefixes; each is paired with whether it says all of its pattern."""
    prefixes = tuple(prefix for prefix, _ in pairs)
    if not all(prefixes):
        return Condition(tag=tag, test=Lookup.SCAN, is_exact=False)
    is_exact = all(says_all for _, says_all in pairs)
    return Condition(tag=tag, test=Lookup.PREFIX, texts=prefixes, is_exact=is_exact)
