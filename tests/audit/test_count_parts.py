"""Every study lies in exactly one part, however an archive's dates are spread."""

from datetime import date, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doorward.audit.count_facts import QueryEnd
from doorward.audit.count_parts import (
    CONTROL_DAYS,
    STUDY_DATE,
    STUDY_TIME,
    Division,
    Span,
    first_spans,
)
from doorward.audit.facts import QueryFacts
from doorward.dicom.values import encode_identifier, is_date, is_time
from doorward.dicom.walk import Syntax
from doorward.wire.uids import STUDY_ROOT_FIND

TODAY = date(2026, 11, 22)
DAY = timedelta(days=1)


def holds(span: Span, day: date, second: int = 0) -> bool:
    is_day = (span.first or date.min) <= day <= (span.last or date.max)
    return is_day and (span.seconds is None or span.seconds[0] <= second <= span.seconds[1])


def answer(matches: int, cap: int) -> QueryFacts:
    return QueryFacts(
        level="STUDY",
        information_model=STUDY_ROOT_FIND,
        end=QueryEnd.WARNING if matches > cap else QueryEnd.SUCCESS,
        final_status=0xFE00 if matches > cap else 0,
        matches=min(matches, cap),
        instances=3 * min(matches, cap),
        matches_with_instances=min(matches, cap),
    )


def divided(studies: list[tuple[date, int]], cap: int, most_queries: int = 20_000) -> Division:
    """Divide an archive that ends every answer at a cap and says so."""
    division = Division(first_spans(TODAY), most=cap)
    for _ in range(most_queries):
        span = division.next()
        if span is None:
            return division
        told = answer(sum(holds(span, *study) for study in studies), cap)
        division.take(span, told, is_whole=told.end is QueryEnd.SUCCESS)
    raise AssertionError("it does not end")


days = st.one_of(
    st.dates(),
    st.dates(date(2019, 3, 1), date(2019, 3, 4)),
    st.sampled_from((date.min, date.max, TODAY, TODAY + DAY, date(1899, 12, 31), date(1900, 1, 1))),
)
studies = st.lists(st.tuples(days, st.integers(0, 86_399)), max_size=60)


@given(studies, st.integers(3, 9))
@settings(max_examples=150, deadline=None)
def test_parts_hold_every_study_once(held, cap):
    most_alike = max((held.count(one) for one in held), default=0)
    division = divided(held, cap)
    if most_alike <= cap and division.is_whole:
        assert division.matches == len(held)
        assert not division.misses_times
    assert division.matches <= len(held)


@given(days, st.integers(0, 86_399))
@example(date.min, 0)
@example(date.max, 86_399)
def test_each_moment_lies_in_exactly_one_of_the_first_ranges_and_of_their_pieces(day, second):
    spans = list(first_spans(TODAY))
    for _ in range(60):
        (span,) = [one for one in spans if holds(one, day, second)]
        spans = list(span.pieces(3) or span.halves_of_a_day())
        if not spans:
            return
    raise AssertionError("divided without end")


def test_a_day_that_is_too_much_is_divided_by_time():
    held = [(date(2020, 5, 5), 60 * n) for n in range(100)]
    division = divided(held, 10)
    assert (division.matches, division.is_whole, division.was_divided_by_time) == (100, True, True)


def test_what_lies_on_one_second_cannot_be_divided_and_is_not_called_whole():
    division = divided([(date(2020, 5, 5), 43_200)] * 30, 10)
    assert not division.is_whole
    assert division.matches == 10
    (part,) = [part for part in division.parts() if not part.is_complete]
    assert part.end is QueryEnd.WARNING


def test_where_times_are_not_heeded_a_day_is_not_divided():
    division = Division((Span(first=TODAY, last=TODAY),), most=10)
    division.heeds_times = False
    division.take(division.next(), answer(30, 10), is_whole=False)
    assert division.next() is None
    assert not division.is_whole


def test_a_day_whose_times_add_up_to_less_has_studies_without_a_time():
    division = Division((Span(first=TODAY, last=TODAY),), most=10)
    division.take(division.next(), answer(30, 10), is_whole=False)
    for told in (answer(4, 10), answer(5, 10)):
        division.take(division.next(), told, is_whole=True)
    assert division.misses_times


def test_a_dense_archive_takes_few_queries_for_each_part():
    begin = date(2016, 1, 1)
    held = [(begin + timedelta(days=n % 3_650), n) for n in range(2_000)]
    asked = 0
    division = Division(first_spans(TODAY), most=100)
    while (span := division.next()) is not None:
        asked += 1
        told = answer(sum(holds(span, *study) for study in held), 100)
        division.take(span, told, is_whole=told.end is QueryEnd.SUCCESS)
    assert division.matches == 2_000
    assert asked < 80, "twenty full answers would be the least"


def test_an_empty_archive_takes_a_dozen_queries():
    assert len(first_spans(TODAY)) <= 13
    assert divided([], 10).matches == 0


def test_years_are_kept_and_days_are_not():
    held = [(date(2020, 1, 1) + timedelta(days=n), 0) for n in range(400)]
    parts = divided(held, 10).parts()
    assert sum(part.matches for part in parts) == 400
    assert sum(part.instances for part in parts) == 1_200
    begun = [part.first_day[:4] for part in parts]
    assert begun == sorted(set(begun))


# --- what is asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "dates", "times"),
    (
        (Span(first=None, last=date(1899, 12, 31)), "-18991231", None),
        (Span(first=TODAY, last=None), "20261122-", None),
        (Span(first=TODAY, last=TODAY), "20261122", None),
        (Span(first=date(33, 4, 3), last=TODAY), "00330403-20261122", None),
        (Span(first=TODAY, last=TODAY, seconds=(0, 43_200)), "20261122", "-120000.999999"),
        (Span(first=TODAY, last=TODAY, seconds=(43_201, 86_399)), "20261122", "120001-"),
        (Span(first=TODAY, last=TODAY, seconds=(1, 2)), "20261122", "000001-000002.999999"),
    ),
)
def test_ranges_are_written_as_the_standard_says(span, dates, times):
    keys = {tag: (vr, value) for tag, vr, value in span.keys}
    assert keys.pop(STUDY_DATE) == ("DA", dates)
    assert keys == ({} if times is None else {STUDY_TIME: ("TM", times)})
    assert all(is_date(day) for day in dates.split("-") if day)
    assert all(is_time(time) for time in (times or "").split("-") if time)
    assert encode_identifier(span.keys, Syntax.IMPLICIT_LITTLE)


@given(st.data())
def test_no_range_but_the_first_begins_with_a_full_minute(data):
    """Where an archive compares texts, "1200" stands before "120000": it must not fall between two ranges."""
    span = Span(first=TODAY, last=TODAY)
    while halves := span.halves_of_a_day():
        assert halves[1].seconds[0] % 60 != 0
        span = data.draw(st.sampled_from(halves))


def test_control_days_are_days_before_radiography():
    assert len({day for day in CONTROL_DAYS if day < date(1895, 1, 1)}) == 2


# --- for sampling -----------------------------------------------------------------------------------------------


def test_what_is_put_aside_is_closed_and_at_most_a_year_long():
    division = Division(first_spans(TODAY), most=100)
    division.put_aside(division.next())
    assert division.next() is None
    assert all(span.days is not None and span.days <= 366 for span in division.strata)
    covered = sum(span.days or 0 for span in division.strata)
    assert covered > (TODAY - date(1800, 1, 1)).days
    assert len({span.first for span in division.strata}) == len(division.strata)


def test_a_day_of_which_seconds_are_still_to_be_asked_is_put_aside_whole():
    division = Division((Span(first=TODAY, last=TODAY),), most=10)
    division.take(division.next(), answer(30, 10), is_whole=False)
    division.take(division.next(), answer(7, 10), is_whole=True)
    division.put_aside(division.next())
    assert division.strata == [Span(first=TODAY, last=TODAY)]
    assert division.matches == 0, "what was counted of it must not be counted twice"
    assert not division.was_divided_by_time


def test_ranges_of_at_most_a_year_become_strata_where_that_is_wanted():
    division = Division(
        (Span(first=date(2019, 1, 1), last=date(2020, 12, 31)),), most=10, stratum_days=366
    )
    while (span := division.next()) is not None:
        division.take(span, answer(30, 10), is_whole=False)
    assert [span.days for span in division.strata] == [365, 366]
    assert not division.parts()
