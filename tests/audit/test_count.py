"""What a match becomes, and what a number is worth: the table of honest counting."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.count import (
    MatchCounter,
    Sight,
    image_count,
    is_doubted,
    is_whole,
    parts_counts,
    study_count,
)
from doorward.audit.count_facts import Part, PartsFacts
from doorward.audit.facts import UNKNOWN_COUNT, Exactness, QueryEnd, QueryFacts
from doorward.wire.uids import STUDY_ROOT_FIND
from scripted_peer import element, even, study

EXACT, AT_LEAST, UNKNOWN = Exactness.EXACT_ENUMERATED, Exactness.AT_LEAST, Exactness.UNKNOWN


def query(end=QueryEnd.SUCCESS, *, matches=7, **more):
    facts = QueryFacts(
        level="STUDY",
        information_model=STUDY_ROOT_FIND,
        end=end,
        final_status=0,
        matches=matches,
        instances=matches * 2,
        matches_with_instances=matches,
    )
    return replace(facts, **more)


def counted(*identifiers, asked=6):
    counter = MatchCounter(asked=asked)
    for identifier in identifiers:
        counter.take(0xFF00, identifier)
    return counter


# --- one match --------------------------------------------------------------------------------------------------


def test_the_numbers_of_images_are_summed():
    counter = counted(study(1, b"2 "), study(2, b"40"), study(3, b" 7"))
    assert (counter.instances, counter.with_instances, counter.malformed) == (49, 3, 0)


@pytest.mark.parametrize(
    ("images", "instances", "with_instances"),
    (
        (b"0 ", 0, 1),
        (b"+5", 5, 1),
        (b"2147483647", 2_147_483_647, 1),
        (b"", 0, 0),
        (b"  ", 0, 0),
        (b"-5", 0, 0),
    ),
)
def test_numbers_that_can_be_read(images, instances, with_instances):
    counter = counted(study(1, images))
    assert (counter.instances, counter.with_instances, counter.malformed) == (
        instances,
        with_instances,
        0,
    )


@pytest.mark.parametrize(
    "identifier",
    (
        study(1, b"NaN "),
        study(1, b"1.5 "),
        study(1, b"1\\2 "),
        study(1, b"0x10"),
        study(1, b"999999999999"),  # beyond what an IS may say (PS3.5 section 6.2)
        study(1, b"1" * 400),
        element(0x0020_000D, b"1.2 ", length=0x7FFF_FFFF),
        element(0x0020_000D, b"1.2 ")[:-1],
        b"\x20",
        b"\xff" * 40,
    ),
    ids=("NaN", "1.5", "two", "hex", "large", "digits", "long", "cut", "byte", "noise"),
)
def test_what_cannot_be_read_is_counted_as_such_and_adds_nothing(identifier):
    counter = counted(study(1, b"2 "), identifier, study(2, b"3 "))
    assert (counter.instances, counter.with_instances, counter.malformed) == (5, 2, 1)


def test_matches_without_an_identifier_or_without_the_number_are_no_fault():
    without = element(0x0008_0052, b"STUDY ") + element(0x0020_000D, even(b"2.25.1", b"\0"))
    counter = counted(b"", without)
    assert (counter.instances, counter.with_instances, counter.malformed) == (0, 0, 0)


def test_a_chatty_archive_is_told_by_the_elements_that_nobody_asked_for():
    name = element(0x0010_0010, b"SYNTHETIC^PERSON")
    more = [element(0x0010_0020 + 2 * number, b"x ") for number in range(9)]
    chatty = b"".join((element(0x0008_0052, b"STUDY "), name, *more, element(0x0020_1208, b"1 ")))
    assert counted(study(1), study(2)).extra == 0
    assert counted(chatty, study(2)).extra == 12 - 6


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_no_bytes_break_the_counter(identifiers):
    counter = counted(*identifiers)
    assert counter.instances >= 0
    assert counter.with_instances + counter.malformed <= len(identifiers)


def test_a_counter_holds_numbers_and_nothing_else():
    """Promise 2: nothing of a match can be kept where there is no room for it."""
    counter = counted(study(1), b"\xff" * 40)
    held = [getattr(counter, name) for name in MatchCounter.__slots__ if name != "syntax"]
    assert all(type(value) is int for value in held)
    assert not hasattr(counter, "__dict__")


# --- many matches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "value", "exactness", "words"),
    (
        (query(), 7, EXACT, "every match of one query was counted"),
        (query(matches=0), 0, EXACT, "every match"),
        (query(QueryEnd.WARNING, final_status=0xB000), 7, AT_LEAST, "warning (status B000)"),
        (query(QueryEnd.WARNING, final_status=0xFE00), 7, AT_LEAST, "stopped by itself after 7"),
        (query(QueryEnd.FAILED, final_status=0xA700), 7, AT_LEAST, "failure (status A700)"),
        (query(QueryEnd.ABORTED, final_status=None), 7, AT_LEAST, "in the middle of the answer"),
        (query(QueryEnd.SILENT, final_status=None), 7, AT_LEAST, "fell silent"),
        (query(QueryEnd.CANCELLED, reached_cap=True), 7, AT_LEAST, "our own limit"),
        (query(QueryEnd.SUCCESS, reached_cap=True), 7, AT_LEAST, "our own limit"),
        (query(QueryEnd.SILENT, reached_cap=True), 7, AT_LEAST, "our own limit"),
        (query(QueryEnd.REFUSED, matches=0), None, UNKNOWN, "refused"),
        (query(QueryEnd.NO_CONTEXT, matches=0), None, UNKNOWN, "refused"),
        (query(QueryEnd.ABORTED, matches=0), None, UNKNOWN, "in the middle"),
        (query(QueryEnd.SILENT, matches=0), None, UNKNOWN, "silent"),
        (query(QueryEnd.WARNING, matches=0, final_status=0xB000), None, UNKNOWN, "warning"),
        (query(QueryEnd.WARNING, matches=0, final_status=0xFE00), None, UNKNOWN, "by itself"),
    ),
)
def test_a_number_of_studies_is_worth_what_the_end_of_the_query_says(
    facts, value, exactness, words
):
    count = study_count(facts)
    assert (count.value, count.exactness) == (value, exactness)
    assert words in count.method
    assert (count.value is None) is (count.exactness is UNKNOWN)


@pytest.mark.parametrize("matches", (100, 200, 256, 500, 512, 1_000, 1_024, 5_000, 10_000))
def test_a_round_number_looks_like_a_limit(matches):
    count = study_count(query(matches=matches))
    assert count.exactness is AT_LEAST
    assert "looks like a limit" in count.method


@pytest.mark.parametrize("matches", (1, 10, 99, 101, 499, 501, 1_001, 100_000))
def test_other_numbers_are_believed(matches):
    assert study_count(query(matches=matches)).exactness is EXACT


def test_no_query_is_no_count():
    assert study_count(None) == UNKNOWN_COUNT
    assert image_count(None, UNKNOWN_COUNT) == UNKNOWN_COUNT


@pytest.mark.parametrize(
    ("facts", "value", "exactness", "words"),
    (
        (query(), 14, EXACT, "summed over the studies"),
        (query(matches=0), 0, EXACT, "there are no studies"),
        (query(matches=500), 1_000, AT_LEAST, "looks like a limit"),
        (query(matches_with_instances=5, instances=10), 10, AT_LEAST, "2 studies came without"),
        (query(matches_with_instances=0, instances=0), None, UNKNOWN, "does not say how many"),
        (query(QueryEnd.ABORTED), 14, AT_LEAST, "in the middle"),
        (query(QueryEnd.REFUSED, matches=0), None, UNKNOWN, "not counted"),
        (query(QueryEnd.SILENT, matches=0), None, UNKNOWN, "not counted"),
    ),
)
def test_a_number_of_images_is_worth_no_more_than_that_of_studies(facts, value, exactness, words):
    count = image_count(facts, study_count(facts))
    assert (count.value, count.exactness) == (value, exactness)
    assert words in count.method
    assert (count.value is None) is (count.exactness is UNKNOWN)


# --- the same archive in parts ------------------------------------------------------------------------------------

CAPPED = query(QueryEnd.WARNING, matches=100, final_status=0xFE00)
ROUND = query(matches=100)


def in_parts(*matches, is_complete=True, **more):
    rows = tuple(
        Part(
            first_day=f"{2000 + n}-01-01",
            last_day=f"{2000 + n}-12-31",
            answers=1,
            end=QueryEnd.SUCCESS,
            matches=count,
            instances=2 * count,
            matches_with_instances=count,
            is_complete=is_complete,
        )
        for n, count in enumerate(matches)
    )
    return PartsFacts(whole_matches=100, queries=len(rows), parts=rows, **more)


@pytest.mark.parametrize(
    ("whole", "facts", "value", "exactness", "words"),
    (
        (ROUND, in_parts(60, 40), 100, EXACT, "counted in 2 parts"),
        (ROUND, in_parts(60, 33), 100, AT_LEAST, "7 studies of the whole answer are in no range"),
        (ROUND, in_parts(90, 50), 140, AT_LEAST, "studies without a date is not known"),
        (ROUND, in_parts(90, 50, looked_at=100), 140, EXACT, "none is without a date"),
        (CAPPED, in_parts(90, 50, looked_at=100), 140, EXACT, "told to its end"),
        (CAPPED, in_parts(60, 40), 100, AT_LEAST, "not known"),
        (CAPPED, in_parts(60, 20), 100, AT_LEAST, "20 studies of the whole"),
        (CAPPED, in_parts(90, 50, looked_at=100, undated=3), 140, AT_LEAST, "3 show no date"),
        (
            CAPPED,
            in_parts(90, 50, looked_at=100, undated=3, undated_reached=4),
            140,
            EXACT,
            "4 studies without a date among them",
        ),
        (CAPPED, in_parts(90, 50, is_complete=False), 140, AT_LEAST, "more than the archive tells"),
        (CAPPED, in_parts(90, 50, stopped="it rained"), 140, AT_LEAST, "it rained"),
        (CAPPED, in_parts(stopped="it rained"), 100, AT_LEAST, "after 100 matches; it rained"),
        (
            CAPPED,
            in_parts(90, 50, control_matches=4, control_instances=8, looked_at=100, undated=2),
            136,
            EXACT,
            "counted once",
        ),
    ),
)
def test_parts_are_exact_only_where_nothing_can_lie_beside_them(
    whole, facts, value, exactness, words
):
    reached = max(facts.undated_reached, facts.control_matches)
    studies, images = parts_counts(whole, replace(facts, undated_reached=reached))
    assert (studies.value, studies.exactness) == (value, exactness)
    assert words in studies.method
    assert images.exactness is exactness
    assert images.value == 2 * value


def test_a_warning_under_every_answer_is_no_doubt_where_the_parts_are_the_whole():
    whole = query(QueryEnd.WARNING, matches=77, final_status=0xB000)
    studies, _ = parts_counts(whole, in_parts(40, 37), ends_usually=True)
    assert (studies.value, studies.exactness) == (77, EXACT)


def test_what_matches_every_range_is_counted_once():
    facts = in_parts(14, 24, 34, control_matches=4, control_instances=8, looked_at=9)
    studies, images = parts_counts(replace(ROUND, matches=50), facts)
    assert (studies.value, images.value) == (14 + 24 + 34 - 8, 2 * (14 + 24 + 34 - 8))
    assert "counted once" in studies.method


def test_parts_without_image_counts_leave_images_unknown_or_at_least():
    facts = in_parts(60, 40)
    without = tuple(replace(p, instances=0, matches_with_instances=0) for p in facts.parts)
    bare = query(matches=100, instances=0, matches_with_instances=0)
    _, images = parts_counts(bare, replace(facts, parts=without))
    assert (images.value, images.exactness) == (None, UNKNOWN)
    some = (facts.parts[0], without[1])
    _, images = parts_counts(bare, replace(facts, parts=some))
    assert (images.value, images.exactness) == (120, AT_LEAST)


@pytest.mark.parametrize(
    ("answer", "whole", "usual", "expected"),
    (
        (query(matches=99), ROUND, None, True),
        (query(matches=100), ROUND, None, False),
        (query(matches=100), CAPPED, None, True),
        (replace(CAPPED, matches=40), CAPPED, None, False),
        (query(QueryEnd.WARNING, matches=40, final_status=0xB000), CAPPED, 0xB000, True),
        (query(QueryEnd.WARNING, matches=100, final_status=0xB000), CAPPED, 0xB000, False),
        (query(QueryEnd.CANCELLED, matches=9, reached_cap=True), CAPPED, None, False),
        (query(matches=9, reached_cap=True), CAPPED, None, False),
        (query(QueryEnd.ABORTED, matches=9), CAPPED, None, False),
        (query(QueryEnd.REFUSED, matches=0), CAPPED, None, False),
    ),
)
def test_a_part_is_whole_where_nothing_can_have_cut_it(answer, whole, usual, expected):
    assert is_whole(answer, whole, usual_status=usual) is expected


def test_only_the_archives_own_end_is_doubted():
    assert is_doubted(ROUND)
    assert is_doubted(CAPPED)
    assert not is_doubted(query(matches=99))
    assert not is_doubted(replace(CAPPED, level="PATIENT"))
    assert not is_doubted(query(QueryEnd.CANCELLED, reached_cap=True))
    assert not is_doubted(query(QueryEnd.SILENT))


def test_a_sight_looks_at_the_length_of_a_value_and_keeps_none():
    sight = Sight(0x0008_0020)
    for date in (b"20200101", b"", b"NONSENSE"):
        sight.take(0xFF00, study(1, b"2 ", element(0x0008_0020, date)))
    sight.take(0xFF00, study(1))
    sight.take(0xFF00, b"\xff" * 20)
    assert (sight.seen, sight.absent) == (5, 3)
    assert sight.instances == 0
    assert not any(isinstance(getattr(sight, name), bytes) for name in ("seen", "absent", "tag"))
