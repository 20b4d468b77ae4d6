"""Attribute matching as pure functions: what a query asks for, and whether a data set is that (PS3.4 section C.2.2.2).

Theory of operation. ``parse_query`` turns an identifier into a ``Query``: for each key one ``Match``, the kinds of which are
those of the Standard. ``matches`` is the reference: it looks at one data set, key by key, and is the oracle against which
every faster way is tested. A faster way keeps ``comparables`` in an index and asks ``lookup`` what to look for.

What the Standard leaves open, and a conformance statement has to say (C.2.2.2.1, C.2.2.2.4, C.2.2.2.8):

* the VR of a key is the dictionary's; leading zeros, signs and exponents of IS and DS say nothing; text is compared in
  Unicode, composed (NFC), whatever character set each side came in; for names see ``person_name``, for dates ``periods``;
* several values of a key are alternatives, unless "each of them" was negotiated; empty ones among them are passed over;
* a data set without a value matches a universal key only, unless ``unknown_matches`` (docs/decisions/0010);
* a lone "*" is universal for every VR; keys of VRs that hold bytes are not matched, and named in ``Query.unmatched``;
* a sequence key whose item asks for nothing but return keys is universal, as one without an item is;
* a key that cannot be understood (no date, no number, a range that ends before it begins) is refused, not guessed at.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never

from doorward.dicom.attributes import FLOAT_VRS, INTEGER_VRS, READABLE_VRS, Attribute, DataSetView
from doorward.dicom.periods import (
    PERIOD_VRS,
    Period,
    joined,
    joined_moment,
    moment_of,
    offset_minutes,
    period_of,
)
from doorward.dicom.person_name import comparable_groups, name_fits
from doorward.dicom.tags import vm_of, vr_of
from doorward.dicom.values import SPECIFIC_CHARACTER_SET
from doorward.dicom.walk import name_of
from doorward.dicom.wild_card import fits, has_wild_card
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

QUERY_RETRIEVE_LEVEL = 0x00080052
TIMEZONE_OFFSET = 0x00080201
#: They say how to read the identifier, and are never matched (PS3.4 sections C.2.2.2 and C.4.1.1.3).
_NOT_KEYS = frozenset({SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, 0x00080053, TIMEZONE_OFFSET})
#: What is said of the identifier only. The offset is also an attribute of what is held, and returned as that.
_NOT_RETURNED = _NOT_KEYS - {TIMEZONE_OFFSET}
WILD_CARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBER_VRS = INTEGER_VRS | FLOAT_VRS.keys() | {"DS", "IS"}
_MULTIPLE_VALUE_VRS = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})
_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?", re.ASCII)
#: Date -> its time, for combined date-time matching.
_TIME_OF_DATE = {
    0x00080012: 0x00080013,  # instance creation
    0x00080020: 0x00080030,  # study
    0x00080021: 0x00080031,  # series
    0x00080022: 0x00080032,  # acquisition
    0x00080023: 0x00080033,  # content
    0x00100030: 0x00100032,  # the patient's birth
    0x00400002: 0x00400003,  # scheduled procedure step start
    0x00400004: 0x00400005,  # scheduled procedure step end
    0x00400244: 0x00400245,  # performed procedure step start
    0x00400250: 0x00400251,  # performed procedure step end
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What was negotiated or configured (PS3.4 section C.5.1.1); the defaults are those without extended negotiation."""

    combined_date_time: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    #: names without regard to case, accents and widths; else exactly as they are written
    folded_names: bool = True
    #: a data set without a value for a key matches it
    unknown_matches: bool = False
    #: minutes from UTC of a DT that names no offset, in a data set that names none
    utc_offset: int = 0


class _Quiet:
    """A key's value may be a patient's: it is never shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@dataclass(frozen=True, slots=True, repr=False)
class AnyValue(_Quiet):
    """Universal matching, an attribute that is absent included (C.2.2.2.3)."""


@dataclass(frozen=True, slots=True, repr=False)
class Unmatched(_Quiet):
    """A value was given for a VR that holds bytes; matches everything (C.2.2.1.3: an optional key not supported)."""


@dataclass(frozen=True, slots=True, repr=False)
class NoValue(_Quiet):
    """Empty value matching: two quotation marks ask for what has no value (C.2.2.2.7)."""


@dataclass(frozen=True, slots=True, repr=False)
class OneOf(_Quiet):
    """Single value matching, and list of UID matching (C.2.2.2.1, C.2.2.2.2)."""

    texts: frozenset[str]


@dataclass(frozen=True, slots=True, repr=False)
class Like(_Quiet):
    """Wild card matching of all but names (C.2.2.2.4)."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Named(_Quiet):
    """Single value and wild card matching of names, as comparable component groups."""

    names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Within(_Quiet):
    """Range matching, and single value matching of VR DA, TM and DT (C.2.2.2.5)."""

    periods: tuple[Period, ...]


@dataclass(frozen=True, slots=True, repr=False)
class WithinMoments(_Quiet):
    """Range matching of a date and its time as one (C.2.2.2.5, if negotiated); stands at the tag of the date."""

    time_tag: int
    period: Period


@dataclass(frozen=True, slots=True, repr=False)
class EachOf(_Quiet):
    """Multiple value matching: each is matched by some value (C.2.2.2.8, if negotiated)."""

    wanted: tuple["Match", ...]


@dataclass(frozen=True, slots=True, repr=False)
class OneItem(_Quiet):
    """Sequence matching: one item that matches all these keys (C.2.2.2.6)."""

    keys: tuple["Key", ...]


Match: TypeAlias = (
    AnyValue
    | Unmatched
    | NoValue
    | OneOf
    | Like
    | Named
    | Within
    | WithinMoments
    | EachOf
    | OneItem
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an identifier."""

    tag: int
    vr: str
    match: Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What one identifier asks for. ``asked`` are the tags to return, "" is a level that is not given."""

    level: str
    keys: tuple[Key, ...]
    asked: frozenset[int]
    rules: Rules = field(default_factory=Rules)

    @property
    def unmatched(self) -> frozenset[int]:
        """The keys whose value is passed over; a response says so with status FF01 (PS3.4 Table C.4-1)."""
        return frozenset(key.tag for key in self.keys if _has_unmatched(key))


def _has_unmatched(key: Key) -> bool:
    inner = key.match.keys if isinstance(key.match, OneItem) else ()
    return isinstance(key.match, Unmatched) or any(map(_has_unmatched, inner))


def parse_query(
    identifier: DataSetView, rules: Rules | None = None, limits: Limits = DEFAULT_LIMITS
) -> Query:
    """Return what an identifier asks for; see ``attributes.read_attributes`` for how it becomes a view.

    Raises PeerProtocolError for a key that cannot be understood, LimitExceeded (``query_values``, ``query_characters``).
    """
    rules = _with_offset_of(identifier, rules or Rules())
    level = identifier.get(QUERY_RETRIEVE_LEVEL, Attribute("CS")).values
    return Query(
        level=level[0] if level else "",
        keys=_parse_keys(identifier, rules, limits),
        asked=frozenset(identifier) - _NOT_RETURNED,
        rules=rules,
    )


def _parse_keys(view: DataSetView, rules: Rules, limits: Limits) -> tuple[Key, ...]:
    keys = {}
    for tag, attribute in sorted(view.items()):
        if tag not in _NOT_KEYS and tag & 0xFFFF:  # element 0000 is a group length
            vr = attribute.vr if vr_of(tag) == "UN" or attribute.vr == "SQ" else vr_of(tag)
            keys[tag] = Key(tag, vr, _parse_match(tag, vr, attribute, rules, limits))
    if rules.combined_date_time:
        _combine(keys)
    return tuple(keys.values())


def _parse_match(tag: int, vr: str, attribute: Attribute, rules: Rules, limits: Limits) -> Match:
    if vr == "SQ":
        return _parse_sequence(tag, attribute, rules, limits)
    if vr not in READABLE_VRS:
        return Unmatched() if attribute.values else AnyValue()
    values = tuple(filter(None, attribute.values))
    _check_bounds(values, limits)
    if not all(value.strip("*") for value in values) or not values:
        return AnyValue()
    if rules.empty_values and values == ('""',):
        return NoValue()
    is_each = rules.multiple_values and vr in _MULTIPLE_VALUE_VRS and vm_of(tag) != "1"
    if len(values) > 1 and is_each:
        if any(map(has_wild_card, values)):
            raise _not_understood(tag, "several values with wild cards", "C.2.2.2.8")
        return EachOf(tuple(_match_of(tag, vr, (value,), rules) for value in values))
    return _match_of(tag, vr, values, rules)


def _check_bounds(values: Sequence[str], limits: Limits) -> None:
    if len(values) > limits.query_values:
        raise LimitExceeded(limit="query_values", value=limits.query_values, seen=len(values))
    longest = max(map(len, values), default=0)
    if longest > limits.query_characters:
        bound = limits.query_characters
        raise LimitExceeded(limit="query_characters", value=bound, seen=longest)


def _parse_sequence(tag: int, attribute: Attribute, rules: Rules, limits: Limits) -> Match:
    if len(attribute.items) > 1:
        raise _not_understood(tag, f"{len(attribute.items)} items instead of one", "C.2.2.2.6")
    keys = _parse_keys(attribute.items[0], rules, limits) if attribute.items else ()
    if all(isinstance(key.match, AnyValue | Unmatched) for key in keys):
        return Unmatched() if any(map(_has_unmatched, keys)) else AnyValue()
    return OneItem(keys)


def _match_of(tag: int, vr: str, values: tuple[str, ...], rules: Rules) -> Match:
    """Return how given values are matched, as alternatives."""
    if vr == "PN":
        names = tuple(comparable_groups(v, is_folded=rules.folded_names) for v in values)
        return Named(names) if all(map(any, names)) else AnyValue()
    if vr in PERIOD_VRS:
        may_end_first = vr == "TM" and rules.combined_date_time
        periods = [
            period_of(vr, value, rules.utc_offset, may_end_first=may_end_first) for value in values
        ]
        known = tuple(period for period in periods if period is not None)
        if len(known) < len(periods):
            raise _not_understood(tag, f"no value or range of VR {vr}", "C.2.2.2.5")
        return Within(known)
    texts = [comparable(vr, value, rules) for value in values]
    if None in texts:
        raise _not_understood(tag, f"no value of VR {vr}", "C.2.2.2.1")
    given = [text for text in texts if text is not None]
    if vr in WILD_CARD_VRS and any(map(has_wild_card, given)):
        return Like(tuple(given))
    return OneOf(frozenset(given))


def _not_understood(tag: int, problem: str, section: str) -> PeerProtocolError:
    return PeerProtocolError(
        f"the key has {problem}", field=name_of(tag), source=f"PS3.4 section {section}"
    )


def _combine(keys: dict[int, Key]) -> None:
    """Make one key of a date and its time, where each asks for one range; refuse a range that ends first."""
    for date_tag, time_tag in _TIME_OF_DATE.items():
        if date_tag not in keys or time_tag not in keys:
            continue
        date, time = keys[date_tag], keys[time_tag]
        match date.match, time.match:
            case Within((days,)), Within((times,)):
                moments = WithinMoments(time_tag, joined(days, times))
                keys[date_tag] = replace(date, match=moments)
                keys[time_tag] = replace(time, match=AnyValue())
    for tag, key in keys.items():
        if any(first > last for first, last in _periods(key.match)):
            raise _not_understood(tag, "a range that ends first", "C.2.2.2.5")


def _periods(match: Match) -> tuple[Period, ...]:
    if isinstance(match, WithinMoments):
        return (match.period,)
    return match.periods if isinstance(match, Within) else ()


def _with_offset_of(view: DataSetView, rules: Rules) -> Rules:
    """Return the rules with the offset from UTC that a data set names itself, if it does."""
    values = view.get(TIMEZONE_OFFSET, Attribute("SH")).values
    offset = offset_minutes(values[0]) if values else None
    return rules if offset is None else replace(rules, utc_offset=offset)


def matches(query: Query, view: DataSetView) -> bool:
    """Return whether a data set matches all keys: the reference for every faster way."""
    return _all_match(query.keys, view, _with_offset_of(view, query.rules))


def _all_match(keys: Sequence[Key], view: DataSetView, rules: Rules) -> bool:
    return all(_is_match(key.match, key, view, rules) for key in keys)


def _is_match(match: Match, key: Key, view: DataSetView, rules: Rules) -> bool:
    if isinstance(match, AnyValue | Unmatched):
        return True
    attribute = view.get(key.tag, Attribute(key.vr))
    is_unknown = not any(attribute.values) and not attribute.items
    if isinstance(match, NoValue) or is_unknown:
        return is_unknown and (isinstance(match, NoValue) or rules.unknown_matches)
    if isinstance(match, EachOf):
        return all(_is_match(one, key, view, rules) for one in match.wanted)
    if isinstance(match, OneItem):
        return any(_all_match(match.keys, item, rules) for item in attribute.items)
    if isinstance(match, WithinMoments):
        return any(moment in match.period for moment in _moments(key, match, view, rules))
    return any(_value_matches(match, key.vr, value, rules) for value in attribute.values if value)


def _moments(key: Key, match: WithinMoments, view: DataSetView, rules: Rules) -> list[str]:
    times = view.get(match.time_tag, Attribute("TM")).values
    time = moment_of("TM", times[0]) if times else None
    days = comparables("DA", view[key.tag].values, rules)
    return [joined_moment(day, time) for day in days]


def _value_matches(match: OneOf | Like | Named | Within, vr: str, value: str, rules: Rules) -> bool:
    """Return whether one value is what a key asks for; what is no value of its VR never is."""
    if isinstance(match, Named):
        name = comparable_groups(value, is_folded=rules.folded_names)
        return any(name_fits(wanted, name) for wanted in match.names)
    text = comparable(vr, value, rules)
    if text is None:
        return False
    match match:
        case OneOf(texts):
            return text in texts
        case Like(patterns):
            return any(fits(pattern, text) for pattern in patterns)
        case Within(periods):
            return any(text in period for period in periods)
        case _:
            assert_never(match)


def comparables(vr: str, values: Sequence[str], rules: Rules) -> tuple[str, ...]:
    """Return the texts by which an attribute is found: what an index holds. For a name, one for each of its groups."""
    if vr == "PN":
        names = (comparable_groups(value, is_folded=rules.folded_names) for value in values)
        return tuple(group for name in names for group in name if group)
    texts = (comparable(vr, value, rules) for value in values if value)
    return tuple(text for text in texts if text is not None)


def comparable(vr: str, value: str, rules: Rules) -> str | None:
    """Return one value, not a name, so that two which mean the same are the same text; None for no value of the VR."""
    if vr in PERIOD_VRS:
        return moment_of(vr, value, rules.utc_offset)
    if vr in _NUMBER_VRS:
        return _comparable_number(value)
    return value.upper() if vr == "AT" else unicodedata.normalize("NFC", value)


def _comparable_number(text: str) -> str | None:
    """Return a number as its digits and an exponent: 7, +7, 007 and 70E-1 are all "7E0"."""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "0"
    exponent += len(digits) - len(significant) - len(fraction)
    return f"{sign.replace('+', '')}{significant}E{exponent}"
