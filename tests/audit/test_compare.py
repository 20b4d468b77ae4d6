"""Two surveys: every system in one class, numbers that add up, and the table of the 60 days."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.changes import NEW, OPEN_BEFORE, OPEN_NOW, Change, Survey
from doorward.audit.compare import MEASURES, Comparison, compare
from doorward.audit.facts import Exactness
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from standings import (
    AT_LEAST,
    EXACT,
    counts,
    filtered,
    honeypot,
    refused,
    shut,
    unprotected,
    unsettled,
)


def survey(*systems: Standing, **more) -> Survey:
    return Survey(systems=iter(systems), clearance_level=2, **more)


def net(comparison: Comparison, measure: str) -> int:
    parts = comparison.growth[measure]
    added = (parts.grown, parts.recounted, parts.new, parts.method)
    return sum(part.value or 0 for part in added) - (parts.left.value or 0)


# --- the 60 days ------------------------------------------------------------------------------------------------------

COUNTRIES = [f"{first}{second}" for first in "ABCDE" for second in "ABCDEFGHIJKLM"]


def sixty_days() -> tuple[list[Standing], list[Standing], list[Standing]]:
    """590 open in 52 countries, 172 of them gone, 129 new: 60 opened, 28 newly listed, 41 found by more ports."""
    before, after = [], []
    for number in range(590):
        # Of the first 41 countries 10 or 11 systems each, of the last 11 ones 14 or so, all of which go away.
        country = COUNTRIES[41 + number % 11] if number < 154 else COUNTRIES[number % 41]
        address = f"198.18.{number // 250}.{number % 250}"
        before.append(unprotected(address, country, studies=100))
        lost = number < 154 or number >= 572
        after.append(filtered(address, country) if lost else replace(before[-1]))
    for number in range(129):
        address = f"198.19.0.{number}"
        country = COUNTRIES[52 + number] if number < 9 else COUNTRIES[number % 41]
        port = 4242 if number >= 88 else 104
        after.append(unprotected(address, country, port=port, ports=(104, 4242), studies=1000))
        if not 60 <= number < 88:
            before.append(shut(address, country))
    others = [shut(f"198.51.100.{number}") for number in range(200)]
    return [*before, *others], [*after, *others], others


def test_the_table_of_the_60_days_comes_out() -> None:
    before, after, others = sixty_days()
    seen = compare(survey(*before), survey(*after))
    assert (seen.before.unprotected, seen.after.unprotected) == (590, 547)
    assert seen.numbers == {
        **dict.fromkeys(Change, 0),
        Change.STILL_OPEN: 418,
        Change.GONE: 172,
        Change.NEWLY_OPEN: 60,
        Change.NEWLY_LISTED: 28,
        Change.METHOD_IMPROVED: 41,
        Change.SHUT: len(others),
    }
    assert seen.new == 129
    assert (len(seen.clean_countries), len(seen.new_countries)) == (11, 9)
    assert (seen.before.countries, seen.after.countries) == (52, 52 - 11 + 9)
    studies = seen.growth["studies"]
    assert (studies.before.value, studies.left.value) == (59_000, 17_200)
    assert (studies.new.value, studies.method.value) == (88_000, 41_000)
    assert studies.after.value == 59_000 - 17_200 + 88_000 + 41_000


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_growth_is_taken_from_systems_counted_exactly_on_both_sides() -> None:
    before = [unprotected("192.0.2.1", studies=10), unprotected("192.0.2.2", studies=20)]
    after = [unprotected("192.0.2.1", studies=15), unprotected("192.0.2.2", studies=12)]
    studies = compare(survey(*before), survey(*after)).growth["studies"]
    assert (studies.grown.value, studies.grown.exactness) == (5 - 8, EXACT)
    assert (studies.recounted.value, studies.new.value) == (0, 0)


@pytest.mark.parametrize(
    ("before", "after", "value", "exactness"),
    [
        (counts(500, exactness=AT_LEAST), counts(30_000), 29_500, Exactness.ESTIMATED),
        (counts(500), counts(900, exactness=AT_LEAST), 400, AT_LEAST),
        (counts(None), counts(700), 700, EXACT),
        (counts(None), counts(700, exactness=AT_LEAST), 700, AT_LEAST),
        (counts(700), counts(None), -700, EXACT),
        (counts(None), counts(None), 0, EXACT),
    ],
)
def test_better_counting_is_kept_apart_from_growth(before, after, value, exactness) -> None:
    was, now = (unprotected("192.0.2.1", counts=side) for side in (before, after))
    studies = compare(survey(was), survey(now)).growth["studies"]
    assert studies.grown.value == 0
    assert (studies.recounted.value, studies.recounted.exactness) == (value, exactness)


def test_a_sum_is_never_sounder_than_its_parts() -> None:
    bounded = unprotected("192.0.2.2", counts=counts(500, exactness=AT_LEAST))
    uncounted = unprotected("192.0.2.3", counts=counts(None))
    first = unprotected("192.0.2.1", studies=10)
    sides = [
        compare(survey(*systems), survey()).before.counts.studies
        for systems in ((first,), (first, bounded), (first, uncounted), (uncounted,))
    ]
    assert [(c.value, c.exactness) for c in sides] == [
        (10, EXACT),
        (510, AT_LEAST),
        (10, AT_LEAST),
        (None, Exactness.UNKNOWN),
    ]


def test_somebody_silent_makes_every_sum_a_lower_bound() -> None:
    side = compare(survey(unprotected("192.0.2.1"), filtered("192.0.2.2")), survey()).before
    assert (side.counts.images.value, side.counts.images.exactness) == (100, AT_LEAST)


def test_what_cannot_be_taken_is_no_gap_in_what_can() -> None:
    taken = unprotected("192.0.2.1", studies=7)
    listed = unprotected("192.0.2.2", is_downloadable=False, counts=counts(5, taken=False))
    side = compare(survey(taken, listed), survey(listed)).before
    assert side.downloadable == 1
    assert side.counts.images_downloadable.value == 70
    assert side.counts.images_downloadable.exactness is EXACT
    assert side.counts.images.value == 120


def test_a_door_that_stopped_giving_images_shrinks_what_can_be_taken() -> None:
    was = unprotected("192.0.2.1", studies=7)
    now = replace(was, is_downloadable=False, counts=counts(7, taken=False))
    growth = compare(survey(was), survey(now)).growth
    assert growth["images_downloadable"].grown.value == -70
    assert growth["images"].grown.value == 0


# --- countries, lists -------------------------------------------------------------------------------------------------


def test_a_country_is_clean_only_where_everything_open_is_known_to_have_ended() -> None:
    before = [unprotected(f"192.0.2.{n}", c) for n, c in enumerate(("AA", "BB", "CC", "DD", ""))]
    after = [
        shut("192.0.2.0", "AA"),
        unsettled("192.0.2.1", "BB"),
        honeypot("192.0.2.2", "CC"),
        refused("192.0.2.3", "DD"),
        unprotected("192.0.2.9", "DD"),
        refused("192.0.2.4", ""),
        unprotected("192.0.2.8", "EE"),
    ]
    seen = compare(survey(*before), survey(*after))
    assert seen.clean_countries == ("AA",)
    assert seen.new_countries == ("EE",)
    assert [row.country for row in seen.countries] == ["DD", "EE", "", "AA", "BB", "CC"]
    assert seen.not_listed == 0


def test_a_system_keeps_the_country_of_the_earlier_table() -> None:
    before, after = unprotected("192.0.2.1", "AA"), unprotected("192.0.2.1", "BB")
    seen = compare(survey(before), survey(after))
    assert [(row.country, row.open_before, row.open_after) for row in seen.countries] == [
        ("AA", 1, 1)
    ]


def test_who_is_not_listed_any_more_is_gone_and_said_to_be_unasked() -> None:
    seen = compare(survey(unprotected("192.0.2.1"), unprotected("192.0.2.2")), survey())
    assert (seen.numbers[Change.GONE], seen.not_listed) == (2, 2)
    narrowed = compare(survey(unprotected("192.0.2.1")), survey(is_whole=False))
    assert (narrowed.numbers[Change.UNKNOWN_NOW], narrowed.not_listed) == (1, 0)
    assert narrowed.clean_countries == ()


def test_each_open_system_is_listed_with_its_numbers() -> None:
    before = [unprotected("192.0.2.1", studies=3, name="pacs.example"), shut("192.0.2.2")]
    after = [refused("192.0.2.1"), unprotected("192.0.2.2", studies=4), shut("192.0.2.3")]
    gone, opened = compare(survey(*before), survey(*after)).systems
    assert (gone.change, gone.address, gone.name) == (Change.GONE, "192.0.2.1", "pacs.example")
    assert (gone.before.studies.value, gone.after) == (3, None)
    assert (opened.change, opened.place) == (Change.NEWLY_OPEN, Place(country="DE"))
    assert (opened.before, opened.after.studies.value) == (None, 4)


def test_of_two_words_on_one_address_the_open_one_counts() -> None:
    twice = (unprotected("192.0.2.1"), shut("192.0.2.1"))
    for order in (twice, twice[::-1]):
        assert compare(survey(*order), survey(shut("192.0.2.1"))).before.unprotected == 1


def test_old_facts_that_are_open_by_todays_checks_are_the_methods() -> None:
    before, after = shut("192.0.2.1"), unprotected("192.0.2.1")
    seen = compare(survey(before), survey(after), rejudged_before=[after])
    assert seen.numbers[Change.METHOD_IMPROVED] == 1
    assert compare(survey(before), survey(after), rejudged_before=[before]).new == 1


def test_a_hundred_thousand_systems_are_compared() -> None:
    def systems(opened: int) -> list[Standing]:
        pattern, bare = unprotected("x"), shut("x")
        return [
            replace(pattern if n % 10 == opened else bare, address=f"{n}") for n in range(100_000)
        ]

    seen = compare(survey(*systems(0)), survey(*systems(1)))
    assert seen.numbers[Change.CLOSED] == seen.numbers[Change.NEWLY_OPEN] == 10_000


# --- for any two surveys ----------------------------------------------------------------------------------------------

_ADDRESSES = st.integers(1, 12).map(lambda n: f"192.0.2.{n}")
_MAKERS = st.sampled_from((unprotected, honeypot, shut, refused, filtered, unsettled))
_PORTS = st.sampled_from(((104,), (104, 4242), (4242,)))
_NUMBERS = st.builds(
    counts,
    st.none() | st.integers(0, 50),
    taken=st.booleans(),
    exactness=st.sampled_from((EXACT, AT_LEAST, Exactness.ESTIMATED, Exactness.EXACT_COUNTER)),
)


@st.composite
def standings(draw) -> Standing:
    ports = draw(_PORTS)
    make = draw(_MAKERS)
    made = make(draw(_ADDRESSES), draw(st.sampled_from(("AA", "BB", ""))), ports=ports)
    if not made.is_unprotected:
        return made
    doors = (draw(st.sampled_from(ports)),)
    taken = draw(st.booleans())
    return replace(made, ports_unprotected=doors, counts=draw(_NUMBERS), is_downloadable=taken)


SYSTEMS = st.lists(standings(), max_size=12, unique_by=lambda s: s.address)


@given(before=SYSTEMS, after=SYSTEMS, rejudged=SYSTEMS, whole=st.tuples(*[st.booleans()] * 2))
def test_every_system_is_in_one_class_and_the_numbers_add_up(
    before, after, rejudged, whole
) -> None:
    seen = compare(
        survey(*before, is_whole=whole[0]),
        survey(*after, is_whole=whole[1]),
        rejudged_before=rejudged,
    )
    numbers = seen.numbers
    assert sum(numbers.values()) == len({s.address for s in (*before, *after)})
    ended = sum(numbers[c] for c in OPEN_BEFORE - OPEN_NOW)
    assert seen.before.unprotected - ended + seen.new == seen.after.unprotected
    assert len(seen.systems) == sum(numbers[c] for c in OPEN_BEFORE | NEW)
    for change in OPEN_BEFORE | NEW:
        assert sum(row.numbers[change] for row in seen.countries) == numbers[change]
    for measure in MEASURES:
        parts = seen.growth[measure]
        assert (parts.before.value or 0) + net(seen, measure) == (parts.after.value or 0)
    assert sum(row.open_after for row in seen.countries) == seen.after.unprotected


@given(systems=SYSTEMS)
def test_a_survey_beside_itself_shows_no_change(systems) -> None:
    seen = compare(survey(*systems), survey(*systems), rejudged_before=systems)
    assert seen.before == seen.after
    assert {s.change for s in seen.systems} <= {Change.STILL_OPEN}
    assert (seen.clean_countries, seen.new_countries) == ((), ())
    for measure in MEASURES:
        assert net(seen, measure) == 0
        assert seen.growth[measure].recounted.value == 0
