"""Attribute matching a second time, from the words of PS3.4 section C.2.2.2 and nothing of ours: the oracle.

It is slow and plain on purpose: pydicom data sets, ``datetime``, ``Decimal``, and wild cards tried letter by letter. What the
Standard leaves to an implementation is as docs/query-differences.md says.

A question is keyword -> text, several values parted by backslashes, or keyword -> question for a sequence.
"""

import calendar
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

Question = Mapping[str, Any]

#: C.2.2.2.4, first sentence; and C.2.2.2.8.
WILD = frozenset(["AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
SEVERAL = frozenset(["AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"])
UNSPLIT = frozenset(["LT", "ST", "UT", "UR"])
NUMBERS = frozenset(["DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"])
PAIRS = (
    ("StudyDate", "StudyTime"),
    ("SeriesDate", "SeriesTime"),
    ("ContentDate", "ContentTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


class NotUnderstood(Exception):
    """A key that an archive has to refuse."""


@dataclass(frozen=True, kw_only=True)
class Negotiated:
    """What was agreed beyond the baseline (C.5.1.1)."""

    combined_date_time: bool = False
    empty_values: bool = False
    multiple_values: bool = False


BASELINE = Negotiated()


def vr_of(keyword: str) -> str:
    """Return the VR of the dictionary."""
    return str(dictionary_VR(keyword))


def values_of(data_set: Dataset, keyword: str) -> list[str]:
    """Return the values of an attribute as text, without those that are empty."""
    element = data_set.get_item(keyword) and data_set[keyword]
    if element is None or element.value is None:
        return []
    value = element.value
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [text for text in (str(one).strip(" \0") for one in several) if text]


def is_match(
    question: Question, data_set: Dataset, negotiated: Negotiated = BASELINE, offset: str = ""
) -> bool:
    """Return whether a data set matches all keys. Raises NotUnderstood.

    ``offset``: Timezone Offset From UTC (0008,0201) of the identifier.
    """
    theirs = "".join(values_of(data_set, "TimezoneOffsetFromUTC")) or offset
    combined = _combined(question) if negotiated.combined_date_time else {}
    for one, other in combined.items():
        if not _is_in_both(question[one], question[other], data_set, one, other):
            return False
    rest = {k: v for k, v in question.items() if k not in (*combined, *combined.values())}
    fits = [_fits(k, wanted, data_set, negotiated, offset, theirs) for k, wanted in rest.items()]
    return all(fits)


def _fits(
    keyword: str, wanted: Any, data_set: Dataset, negotiated: Negotiated, ours: str, theirs: str
) -> bool:
    vr = vr_of(keyword)
    if vr == "SQ":
        return _fits_items(wanted, data_set.get(keyword) or [], negotiated, theirs)
    asked = [wanted] if vr in UNSPLIT else wanted.split("\\")
    asked = [text for text in (one.strip(" ") for one in asked) if text]
    held = values_of(data_set, keyword)
    if not asked or any(set(one) == {"*"} for one in asked):  # universal matching, C.2.2.2.3
        return True
    if vr == "PN" and any(not one.strip("^= ") for one in asked):
        return True  # a name of no letters says nothing
    if negotiated.empty_values and asked == ['""']:  # C.2.2.2.7
        return not held
    tests = [_test_of(vr, one, ours) for one in asked]
    is_each = negotiated.multiple_values and vr in SEVERAL and dictionary_VM(keyword) != "1"
    if is_each and len(asked) > 1:  # C.2.2.2.8
        if any("*" in one or "?" in one for one in asked):
            raise NotUnderstood(keyword)
        return all(any(test(value, theirs) for value in held) for test in tests)
    return any(test(value, theirs) for value in held for test in tests)


def _fits_items(
    wanted: Question, items: Sequence[Dataset], negotiated: Negotiated, theirs: str
) -> bool:
    """C.2.2.2.6: one item matches all its keys; no key at all is universal."""
    if not wanted or is_match(wanted, Dataset(), negotiated, theirs):
        return True  # it asks for nothing but return keys
    return any(is_match(wanted, item, negotiated, theirs) for item in items)


def _test_of(vr: str, asked: str, ours: str) -> Any:
    """Return the test of one value of a key."""
    if vr == "PN":
        return lambda value, _: name_fits(asked, value)
    if vr in ("DA", "TM", "DT"):
        first, last = _range(vr, asked, ours)
        return lambda value, theirs: _lies_in(vr, value, theirs, first, last)
    if vr in NUMBERS:
        number = _number(asked)
        return lambda value, _: _same_number(value, number)
    composed = unicodedata.normalize("NFC", asked)
    if vr in WILD and ("*" in asked or "?" in asked):
        return lambda value, _: wild_card_fits(composed, unicodedata.normalize("NFC", value))
    return lambda value, _: unicodedata.normalize("NFC", value) == composed


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise NotUnderstood("number") from None


def _same_number(value: str, number: Decimal) -> bool:
    try:
        return Decimal(value) == number
    except InvalidOperation:
        return False


def wild_card_fits(pattern: str, text: str) -> bool:
    """Try a pattern letter by letter (C.2.2.2.4)."""
    reachable = {0}
    for letter in pattern:
        if letter == "*":
            reachable = set(range(min(reachable, default=len(text) + 1), len(text) + 1))
        else:
            reachable = {at + 1 for at in reachable if at < len(text) and letter in ("?", text[at])}
    return len(text) in reachable


# --- names ----------------------------------------------------------------------------------------------------------------


def name_fits(asked: str, name: str) -> bool:
    """Compare names without case, accents and widths; group by group where the key has groups."""
    wanted, groups = _groups(asked), _groups(name)
    if len(wanted) == 1:
        return any(_group_fits(wanted[0], group) for group in groups if group)
    groups += [""] * (len(wanted) - len(groups))
    return all(_group_fits(one, other) for one, other in zip(wanted, groups, strict=False) if one)


def _groups(name: str) -> list[str]:
    found = [_plain(group) for group in name.split("=")[:3]]
    while len(found) > 1 and not found[-1]:
        found.pop()
    return found


def _plain(group: str) -> str:
    parts = [part.strip() for part in group.strip(" \0").split("^")]
    while parts and not parts[-1]:
        parts.pop()
    letters = unicodedata.normalize("NFKD", "^".join(parts).casefold())
    bare = "".join(c for c in letters if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFKC", bare.casefold())


def _group_fits(wanted: str, group: str) -> bool:
    if "*" not in wanted and "?" not in wanted:
        return wanted == group
    # Components that are not there are empty ones.
    padded = group + "^" * max(0, wanted.count("^") - group.count("^"))
    return wild_card_fits(wanted, padded)


# --- dates and times --------------------------------------------------------------------------------------------------------

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_MOMENT = re.compile(
    r"(?P<Y>\d{4})(?:(?P<m>\d\d)(?:(?P<d>\d\d)(?:(?P<H>\d\d)(?:(?P<M>\d\d)(?:(?P<S>\d\d)"
    r"(?:\.(?P<f>\d{1,6}))?)?)?)?)?)?(?P<z>[+-]\d{4})?"
)


def _span(vr: str, text: str, offset: str) -> tuple[datetime, datetime]:
    """Return the first and the last moment that a value names; a TM is one of the first day of all."""
    if vr == "DA":
        text = re.sub(r"^(\d{4})\.(\d\d)\.(\d\d)$", r"\1\2\3", text)
        if not re.fullmatch(r"\d{8}", text):
            raise NotUnderstood(vr)
    elif vr == "TM":
        text = "20000101" + text.replace(":", "")
        if not re.fullmatch(r"\d{10}|\d{12}|\d{14}(\.\d{1,6})?", text):
            raise NotUnderstood(vr)
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise NotUnderstood(vr)
    zone = found["z"] if vr == "DT" and found["z"] else (offset if vr == "DT" else "")
    try:
        return _span_of(found, _zone(zone))
    except ValueError:
        raise NotUnderstood(vr) from None


def _zone(offset: str) -> timezone:
    if not offset:
        return UTC
    if (
        not -1200 <= int(offset) <= 1400
    ):  # PS3.5 section 6.2: 2020-2020 is a range, 2020-0500 has an offset
        raise ValueError
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    return timezone(timedelta(minutes=minutes if offset[0] == "+" else -minutes))


def _span_of(found: re.Match[str], zone: timezone) -> tuple[datetime, datetime]:
    year, month, day, hour, minute, second, fraction = (found[k] for k in "YmdHMSf")
    begin = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
        int(second or 0), int((fraction or "").ljust(6, "0")), tzinfo=zone,
    )  # fmt: skip
    if fraction:
        length = timedelta(microseconds=10 ** (6 - len(fraction)))
    elif second or minute or hour:
        length = timedelta(seconds=1 if second else 60 if minute else 3600)
    elif day or month:
        days = 1 if day else calendar.monthrange(int(year), int(month))[1]
        length = timedelta(days=days)
    else:
        length = timedelta(days=366 if calendar.isleap(int(year)) else 365)
    return begin, begin + length - _TICK


def _range(vr: str, asked: str, offset: str) -> tuple[datetime, datetime]:
    """C.2.2.2.5: a value, or one or two with a hyphen."""
    try:
        return _span(vr, asked, offset)
    except NotUnderstood:
        pass
    for at in (found.start() for found in re.finditer("-", asked)):
        first, last = asked[:at].strip(), asked[at + 1 :].strip()
        try:
            begin = _span(vr, first, offset)[0] if first else _FIRST
            end = _span(vr, last, offset)[1] if last else _LAST
        except NotUnderstood:
            continue
        if begin <= end and (first or last):
            return begin, end
    raise NotUnderstood(vr)


def _lies_in(vr: str, value: str, offset: str, first: datetime, last: datetime) -> bool:
    try:
        return first <= _span(vr, value, offset)[0] <= last
    except NotUnderstood:
        return False


def _combined(question: Question) -> dict[str, str]:
    """Return the pairs of date and time that are one range: both have one value, or range, each."""
    return {
        one: other
        for one, other in PAIRS
        if all(question.get(k, "").strip("*\\ ") for k in (one, other))
        and not any("\\" in question[k] for k in (one, other))
    }


def _is_in_both(days: str, times: str, data_set: Dataset, one: str, other: str) -> bool:
    """C.2.2.2.5.4: from the first moment of the first day to the last one of the last."""
    first_day, last_day = (d.date() for d in _range("DA", days, ""))
    first_time, last_time = _ends_of_times(times)
    begin = datetime.combine(first_day, first_time)
    end = datetime.combine(last_day, last_time)
    if days.strip().endswith("-"):
        end = _LAST.replace(tzinfo=None)
    if days.strip().startswith("-"):
        begin = _FIRST.replace(tzinfo=None)
    if begin > end:
        raise NotUnderstood("TM")
    held = values_of(data_set, other)
    clock = _clock(held[0])[0] if held else time()
    for day in values_of(data_set, one):
        try:
            moment = datetime.combine(_span("DA", day, "")[0].date(), clock)
        except NotUnderstood:
            continue
        if begin <= moment <= end:
            return True
    return False


def _ends_of_times(text: str) -> tuple[time, time]:
    first, hyphen, last = text.partition("-")
    begin = _clock(first)[0] if first.strip() else time()
    ending = last if hyphen else first
    return begin, _clock(ending)[1] if ending.strip() else time.max


def _clock(text: str) -> tuple[time, time]:
    begin, end = _span("TM", text.strip(), "")
    return begin.time(), end.time()


def day_of(data_set: Dataset, keyword: str) -> date | None:
    """Return the date of an attribute, None where it has none."""
    held = values_of(data_set, keyword)
    return _span("DA", held[0], "")[0].date() if held else None


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword."""
    found = tag_for_keyword(keyword)
    assert found is not None
    return int(found)
