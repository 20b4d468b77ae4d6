"""Dates and times as text that can be compared, and the ranges that a query asks for (PS3.4 section C.2.2.2.5).

Theory of operation. A stored value of VR DA, TM or DT becomes the digits of the moment at which it begins: YYYYMMDD,
HHMMSSFFFFFF, or both joined in UTC. A key value becomes a ``Period`` of two such moments, both inclusive. A key that is cut
off after a component is all that it names: the time "10" runs up to the last moment before eleven. A value matches where the
moment at which it begins lies in the period, which is one comparison of strings, here as in an index.

The forms of ACR-NEMA, YYYY.MM.DD and HH:MM:SS, are read too (PS3.5 section 6.2). The "-" of a range and the one before an
offset from UTC are told apart by trying: an offset wins, as no year before 1400 is asked for.
"""

import calendar
import datetime
import re
from collections.abc import Iterator
from typing import NamedTuple

from doorward.dicom.values import is_date, is_date_time, is_time

PERIOD_VRS = frozenset({"DA", "TM", "DT"})
#: Behind every moment and period: digits only, so no bound is needed to compare.
ALWAYS = "9" * 20

_OLD_DATE = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)", re.ASCII)
_OLD_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)", re.ASCII)
_DAY_BEGINS = "000000000000"
#: The last moment of a day, a leap second included.
_DAY_ENDS = "235960999999"


class Period(NamedTuple):
    """From one moment to another, both inclusive. "" and ``ALWAYS`` are the ends that are open."""

    first: str
    last: str

    def __repr__(self) -> str:
        """Say what it is, never a date: it may be a patient's."""
        return "Period()"

    def __contains__(self, moment: object) -> bool:
        return isinstance(moment, str) and self.first <= moment <= self.last


def offset_minutes(text: str) -> int | None:
    """Return an offset from UTC such as "-0500" in minutes, None where it is none (PS3.5 section 6.2, VR DT)."""
    match = _OFFSET.fullmatch(text)
    if match is None or not is_date_time(f"2000{text}"):
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes


def moment_of(vr: str, text: str, utc_offset: int = 0) -> str | None:
    """Return the moment at which a value begins, None where it is no value of VR DA, TM or DT.

    ``utc_offset`` (minutes) is that of a DT which names none; DA and TM are local as they are.
    """
    period = _named(vr, text, utc_offset)
    return None if period is None else period.first


def period_of(
    vr: str, text: str, utc_offset: int = 0, *, may_end_first: bool = False
) -> Period | None:
    """Return what a key value of VR DA, TM or DT asks for: one value, or a range.

    None where it is neither, or ends before it begins: a range over midnight is not supported by the Standard, unless a
    range of dates stands beside it (``may_end_first``, see ``joined``).
    """
    whole = _named(vr, text, utc_offset)
    if whole is not None:
        return whole
    for first, last in _splits(text):
        begins = _named(vr, first, utc_offset) if first else Period("", "")
        ends = _named(vr, last, utc_offset) if last else Period("", ALWAYS)
        if begins is None or ends is None or not (first or last):
            continue
        if begins.first <= ends.last or may_end_first:
            return Period(begins.first, ends.last)
    return None


def joined(days: Period, times: Period) -> Period:
    """Return one period of a date range and a time range: from first to last, not each day the same hours.

    Combined date-time matching, where it was negotiated (PS3.4 section C.2.2.2.5).
    """
    last = ALWAYS if days.last == ALWAYS else days.last + min(times.last, _DAY_ENDS)
    return Period(days.first and days.first + (times.first or _DAY_BEGINS), last)


def joined_moment(day: str, time: str | None) -> str:
    """Return the moment of a date and its time; a day whose time is not known counts from its beginning."""
    return day + (time or _DAY_BEGINS)


def _splits(text: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer("-", text):
        yield text[: match.start()].strip(), text[match.end() :].strip()


def _named(vr: str, text: str, utc_offset: int) -> Period | None:
    """Return the whole period that one value names: a day, an hour, a year."""
    if vr == "DA":
        date = _OLD_DATE.sub(r"\1\2\3", text)
        return Period(date, date) if is_date(date) else None
    if vr == "TM":
        return _time(_OLD_TIME.sub(lambda match: "".join(filter(None, match.groups())), text))
    return _date_time(text, utc_offset) if is_date_time(text) else None


def _time(text: str) -> Period | None:
    if not is_time(text):
        return None
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    # Minutes and seconds that are not given are all of them; so are the digits behind a fraction.
    return Period(digits + _DAY_BEGINS[len(digits) :], digits + _DAY_ENDS[len(digits) :])


def _date_time(text: str, utc_offset: int) -> Period:
    own = offset_minutes(text[-5:])
    local = text if own is None else text[:-5]
    date, times = local[:8], _time(local[8:]) or Period(_DAY_BEGINS, _DAY_ENDS)
    year, month = int(date[:4]), int(date[4:6] or 12)
    last_day = f"{date[:4]}{month:02d}{calendar.monthrange(year, month)[1]:02d}"
    shift = utc_offset if own is None else own
    first = date + "00000101"[len(date) :] + times.first
    return Period(
        _to_utc(first, shift), _to_utc((date if len(date) == 8 else last_day) + times.last, shift)
    )


def _to_utc(moment: str, minutes: int) -> str:
    """Return a moment in UTC. Seconds are not touched: a leap second stays one."""
    there = datetime.datetime(
        int(moment[:4]),
        int(moment[4:6]),
        int(moment[6:8]),
        int(moment[8:10]),
        int(moment[10:12]),
        tzinfo=datetime.UTC,
    )
    try:
        utc = there - datetime.timedelta(minutes=minutes)
    except OverflowError:  # the first and the last hours of our calendar
        utc = there
    return f"{utc.year:04d}{utc.month:02d}{utc.day:02d}{utc.hour:02d}{utc.minute:02d}{moment[12:]}"
