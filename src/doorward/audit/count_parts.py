"""How a capped archive is divided: ranges of days, and of seconds where one day is still too much.

Theory of operation: a ``Division`` holds the ranges that are still to be asked, the earliest on top. Whoever asks hands the
answer back: a whole one becomes a part, any other splits its range, in as many pieces as the days before it let expect.
The ranges are disjoint and cover every date, the impossible ones included: the first and the last are open (PS3.4 section
C.2.2.2.5). No input, no output, no clock: today is an argument.
A study without a date is in no range, by the Standard; some archives put it before the first date, some into every range.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby

from doorward.audit.count_facts import Part, QueryEnd
from doorward.audit.facts import QueryFacts
from doorward.dicom.values import Attribute

STUDY_DATE = 0x0008_0020
STUDY_TIME = 0x0008_0030
#: Days on which nobody made a radiograph, and that every calendar and database knows.
CONTROL_DAYS = (date(1823, 6, 14), date(1834, 8, 23))
#: Seconds at which hardly anything begins.
CONTROL_SECONDS = (11_587, 80_209)

_DAY = timedelta(days=1)
#: Where an open range is cut: what lies beyond is a placeholder or a mistake.
_EARLY = (date(1799, 12, 31), date.min)
_LATE = (date(2099, 12, 31), date(9999, 12, 30))
_LAST_SECOND = 86_399
_MOST_PIECES = 16
#: Above it a part is cut at a full minute.
_TWO_MINUTES = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What one part query asks for: days, both included; None is an open end."""

    first: date | None
    last: date | None
    #: Seconds of the day, both included; None: the whole day.
    seconds: tuple[int, int] | None = None

    @property
    def days(self) -> int | None:
        """How many days it has; None where it is open."""
        if self.first is None or self.last is None:
            return None
        return (self.last - self.first).days + 1

    @property
    def keys(self) -> tuple[Attribute, ...]:
        """The matching keys: Study Date, and Study Time within a day."""
        by_date: Attribute = STUDY_DATE, "DA", self._days_key()
        if self.seconds is None:
            return (by_date,)
        return by_date, (STUDY_TIME, "TM", _seconds_key(*self.seconds))

    def pieces(self, count: int) -> tuple["Span", ...]:
        """Return the same days in at least two ranges; () where the days cannot be divided any more."""
        if self.seconds is not None:
            return ()
        if self.first is None or self.last is None:
            return self._closed_in()
        days = (self.last - self.first).days + 1
        count = min(count, days)
        if count < 2:
            return ()
        starts = [self.first + timedelta(days=days * n // count) for n in range(count)]
        ends = [start - _DAY for start in starts[1:]]
        pairs = zip(starts, [*ends, self.last], strict=True)
        return tuple(Span(first=first, last=last) for first, last in pairs)

    def halves_of_a_day(self) -> tuple["Span", ...]:
        """Return the same days in two ranges of seconds; () where they cannot be divided any more.

        No range but the first begins with a full minute: "1200" stands before "120000" where an archive compares texts.
        """
        first, last = self.seconds or (0, _LAST_SECOND)
        middle = (first + last) // 2
        if last - first > _TWO_MINUTES:
            middle -= middle % 60
        elif (middle + 1) % 60 == 0:
            middle += 1 if middle + 1 < last else -1
        if not first <= middle < last:
            return ()
        lower, upper = (first, middle), (middle + 1, last)
        return replace(self, seconds=lower), replace(self, seconds=upper)

    def _closed_in(self) -> tuple["Span", ...]:
        """Cut an open range where dates become unlikely."""
        if self.first is None:
            cut = next((day for day in _EARLY if self.last is None or day < self.last), None)
        else:
            cut = next((day for day in _LATE if day >= self.first), None)
        if cut is None:
            return ()
        return Span(first=self.first, last=cut), Span(first=cut + _DAY, last=self.last)

    def _days_key(self) -> str:
        if self.first is not None and self.first == self.last:
            return _digits(self.first)
        return f"{_digits(self.first)}-{_digits(self.last)}"


def first_spans(today: date) -> tuple[Span, ...]:
    """Return the coarse division: most studies are younger than thirty years, some dates are wrong."""
    starts = [date(1900, 1, 1), date(1980, 1, 1), date(1995, 1, 1)]
    starts += [date(year, 1, 1) for year in range(2000, today.year + 1, 5)]
    starts.append(today + _DAY)
    ends = [start - _DAY for start in starts]
    pairs = zip([None, *starts], [*ends, None], strict=True)
    return tuple(Span(first=first, last=last) for first, last in pairs)


class Division:
    """An archive on its way into parts.

    ``most``: matches of a capped answer, by which it is guessed how finely to divide. ``stratum_days``: a range of so many
    days or fewer that is not told whole is put aside for sampling instead of being divided.
    """

    def __init__(self, spans: Iterable[Span], *, most: int, stratum_days: int = 0) -> None:
        self._waiting = list(reversed(tuple(spans)))
        self._most = max(most, 1)
        self._stratum_days = stratum_days
        self._per_day = 0.0
        self._answers: list[tuple[Span, QueryFacts, bool]] = []
        self._days_in_times: list[tuple[Span, int]] = []
        #: Whether the archive heeds Study Time; a day is divided no further where it does not.
        self.heeds_times = True
        self.strata: list[Span] = []

    def next(self) -> Span | None:
        """Return the next range to ask for, None when everything was."""
        return self._waiting.pop() if self._waiting else None

    def needs_times(self, span: Span) -> bool:
        """Tell whether this range can be divided by Study Time only, and was not yet."""
        return span.seconds is None and not span.pieces(2) and not self._stratum_days

    def take(self, span: Span, answer: QueryFacts, *, is_whole: bool) -> None:
        """Keep a whole answer; divide the range of any other."""
        if is_whole:
            self._answers.append((span, answer, True))
            if span.days and span.seconds is None:
                self._per_day = answer.matches / span.days
            return
        if span.days is not None and span.days <= self._stratum_days:
            self.strata.append(span)
            return
        pieces = span.pieces(self._count(span))
        if not pieces and self.heeds_times:
            pieces = span.halves_of_a_day()
            if pieces and span.seconds is None:
                self._days_in_times.append((span, answer.matches))
        if pieces:
            self._waiting.extend(reversed(pieces))
        else:
            self._answers.append((span, answer, False))

    def put_aside(self, span: Span | None) -> None:
        """Stop dividing: what is still to be asked, ``span`` first, becomes strata of at most a year.

        A day of which some seconds are still to be asked is put aside whole.
        """
        waiting = [] if span is None else [span]
        waiting += reversed(self._waiting)
        self._waiting.clear()
        cut = {(one.first, one.last) for one in waiting if one.seconds is not None}
        self._answers = [
            row
            for row in self._answers
            if row[0].seconds is None or (row[0].first, row[0].last) not in cut
        ]
        self._days_in_times = [
            row for row in self._days_in_times if (row[0].first, row[0].last) not in cut
        ]
        for one in dict.fromkeys(replace(one, seconds=None) for one in waiting):
            self.strata.extend(_years_of(one))

    def _count(self, span: Span) -> int:
        """Return into how many pieces to cut: half full, if it goes on as it went before."""
        if span.days is None:
            return 2
        expected = self._per_day * span.days
        return min(_MOST_PIECES, max(2, -int(-2 * expected // self._most)))

    @property
    def matches(self) -> int:
        """Matches of all parts."""
        return sum(answer.matches for _, answer, _ in self._answers)

    @property
    def answers(self) -> tuple[QueryFacts, ...]:
        """What was answered for the parts, in the order of the dates."""
        return tuple(answer for _, answer, _ in self._answers)

    @property
    def is_whole(self) -> bool:
        """Every part was told whole."""
        return all(is_whole for _, _, is_whole in self._answers)

    @property
    def misses_times(self) -> bool:
        """A day in parts by time adds up to less than the day itself: some studies have no time."""
        return any(
            day_matches
            > sum(
                answer.matches
                for span, answer, _ in self._answers
                if (span.first, span.last) == (day.first, day.last)
            )
            for day, day_matches in self._days_in_times
        )

    @property
    def was_divided_by_time(self) -> bool:
        """One day at least was too much for one answer."""
        return bool(self._days_in_times)

    def parts(self) -> tuple[Part, ...]:
        """Return what was counted, a row for each year: no day of anybody's examination is kept."""
        by_year = groupby(self._answers, key=lambda row: _year(row[0].first))
        return tuple(_together(tuple(rows)) for _, rows in by_year)


def _together(rows: tuple[tuple[Span, QueryFacts, bool], ...]) -> Part:
    answers = [answer for _, answer, _ in rows]
    cut = [answer.end for _, answer, is_whole in rows if not is_whole]
    return Part(
        first_day=_iso(rows[0][0].first),
        last_day=_iso(rows[-1][0].last),
        answers=len(rows),
        end=cut[-1] if cut else QueryEnd.SUCCESS,
        matches=sum(a.matches for a in answers),
        instances=sum(a.instances for a in answers),
        matches_with_instances=sum(a.matches_with_instances for a in answers),
        is_complete=not cut,
    )


def _years_of(span: Span) -> Iterator[Span]:
    """Yield a range in closed pieces of at most a year; open ends, which nobody can draw a day from, stay behind."""
    if span.days is None:
        for piece in span.pieces(2):
            if piece.days is not None:
                yield from _years_of(piece)
        return
    yield from span.pieces(-(-span.days // 366)) or (span,)


def _year(day: date | None) -> int:
    return 0 if day is None else day.year


def _iso(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _digits(day: date | None) -> str:
    return "" if day is None else f"{day.year:04}{day.month:02}{day.day:02}"


def _clock(second: int) -> str:
    return f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"


def _seconds_key(first: int, last: int) -> str:
    begin = _clock(first) if first else ""
    end = f"{_clock(last)}.999999" if last < _LAST_SECOND else ""
    return f"{begin}-{end}"
