"""What became of one system: each class by an example, and silence that never reads as shut."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.changes import NEW, OPEN_BEFORE, OPEN_NOW, Change, Pair, Survey, judge_pair
from doorward.audit.place import Place
from standings import filtered, honeypot, refused, shut, unprotected, unsettled

A = "192.0.2.1"
BOTH = (104, 11112)


def judged(before, after, *, found=frozenset(), levels=(2, 2), whole=(True, True)):
    sides = [
        Survey(systems=(), clearance_level=level, is_whole=is_whole)
        for level, is_whole in zip(levels, whole, strict=True)
    ]
    return judge_pair(Pair(before, after), *sides, found)


@pytest.mark.parametrize(
    ("before", "after", "change", "because"),
    [
        (unprotected(A), unprotected(A), Change.STILL_OPEN, "both"),
        (unprotected(A), unprotected(A, port=11112, ports=BOTH), Change.STILL_OPEN, "both"),
        # --- open before ---
        (unprotected(A), shut(A), Change.CLOSED, "port 104 was asked again"),
        (unprotected(A, ports=BOTH), shut(A, ports=BOTH), Change.CLOSED, "port 104 was"),
        (unprotected(A), refused(A), Change.GONE, "nobody answers"),
        (unprotected(A), filtered(A), Change.GONE, "nobody answers"),
        (unprotected(A), None, Change.GONE, "does not list"),
        (
            unprotected(A),
            replace(shut(A, ports=(443,)), ports_asked=(104, 443), ports_silent=(104,)),
            Change.GONE,
            "port 104 was asked again: nobody answers there",
        ),
        (unprotected(A), honeypot(A), Change.SET_APART, "honeypot"),
        (unprotected(A), unsettled(A), Change.UNKNOWN_NOW, "without an answer"),
        (unprotected(A), shut(A, ports=(11112,)), Change.UNKNOWN_NOW, "104 was not asked again"),
        (
            unprotected(A, ports_unprotected=BOTH, ports_asked=BOTH),
            replace(shut(A), ports_asked=BOTH),
            Change.UNKNOWN_NOW,
            "port 11112 was asked again, without",
        ),
        # --- open now ---
        (shut(A), unprotected(A), Change.NEWLY_OPEN, "turned away"),
        (refused(A), unprotected(A), Change.NEWLY_OPEN, "turned away"),
        (filtered(A), unprotected(A), Change.NEWLY_OPEN, "nobody answered"),
        (shut(A), unprotected(A, port=4242, ports=(104, 4242)), Change.METHOD_IMPROVED, "4242"),
        (honeypot(A), unprotected(A), Change.METHOD_IMPROVED, "taken for a honeypot"),
        (None, unprotected(A), Change.NEWLY_LISTED, "did not list"),
        (unsettled(A), unprotected(A), Change.UNKNOWN_BEFORE, "without an answer"),
        # --- open in neither ---
        (shut(A), shut(A), Change.SHUT, "turned away"),
        (refused(A), shut(A), Change.SHUT, "turned away"),
        (None, shut(A), Change.SHUT, "turned away"),
        (shut(A), honeypot(A), Change.LEFT_OUT, "honeypot"),
        (None, honeypot(A), Change.LEFT_OUT, "honeypot"),
        (honeypot(A), honeypot(A), Change.LEFT_OUT, "honeypot"),
        (shut(A), filtered(A), Change.UNKNOWN, "not every door"),
        (unsettled(A), shut(A), Change.UNKNOWN, "not every door"),
        (shut(A), None, Change.UNKNOWN, "does not list"),
    ],
)
def test_each_class_has_its_example(before, after, change, because) -> None:
    found, words = judged(before, after)
    assert found is change
    assert because in words


def test_every_class_is_in_the_table_above() -> None:
    source = test_each_class_has_its_example.pytestmark[0].args[1]
    assert {row[2] for row in source} == set(Change)


def test_a_level_that_did_not_allow_the_question_is_the_methods_fault() -> None:
    change, because = judged(unsettled(A), unprotected(A), levels=(1, 2))
    assert change is Change.METHOD_IMPROVED
    assert "clearance level was 1" in because
    assert judged(shut(A), unprotected(A), levels=(1, 2))[0] is Change.NEWLY_OPEN


def test_what_todays_checks_see_in_the_old_facts_is_not_new() -> None:
    assert judged(shut(A), unprotected(A), found={A})[0] is Change.METHOD_IMPROVED
    assert judged(unsettled(A), unprotected(A), found={A})[0] is Change.METHOD_IMPROVED
    assert judged(unprotected(A), unprotected(A), found={A})[0] is Change.STILL_OPEN


def test_who_is_missing_from_a_survey_that_ended_early_is_not_gone() -> None:
    assert judged(unprotected(A), None, whole=(True, False))[0] is Change.UNKNOWN_NOW
    assert judged(None, unprotected(A), whole=(False, True))[0] is Change.UNKNOWN_BEFORE


def test_standings_without_doors_are_not_known_to_be_shut() -> None:
    """A ledger that kept no doors: the ports that were asked stand for them, and nothing says that they are shut."""
    before = unprotected(A, ports_unprotected=())
    assert judged(before, replace(shut(A), ports_shut=()))[0] is Change.UNKNOWN_NOW
    assert judged(replace(shut(A), ports_shut=()), before)[0] is Change.UNKNOWN_BEFORE
    nothing_asked = replace(before, ports_asked=())
    assert judged(nothing_asked, shut(A))[0] is Change.UNKNOWN_NOW


def test_the_place_is_the_earlier_surveys_word_filled_from_the_later() -> None:
    before = replace(shut(A), place=Place(site="North", country="DE"))
    after = replace(shut(A), place=Place(owner="Example", country="FR"))
    assert Pair(before, after).place == Place(site="North", owner="Example", country="DE")
    assert Pair(None, after).place == after.place


_PORTS = st.lists(st.sampled_from((104, 4242, 11112)), unique=True, max_size=3).map(tuple)
STANDINGS = st.builds(
    lambda made, asked, unprotected, shut, silent, rungs: replace(
        made,
        ports_asked=asked,
        ports_unprotected=tuple(set(asked) & set(unprotected)),
        ports_shut=tuple(set(asked) & set(shut) - set(unprotected)),
        ports_silent=tuple(set(asked) & set(silent) - set(unprotected) - set(shut)),
        rungs=rungs,
    ),
    st.sampled_from((unprotected(A), honeypot(A), shut(A), filtered(A), unsettled(A))),
    *(_PORTS, _PORTS, _PORTS, _PORTS),
    st.sampled_from(((), ("E0",), ("E1",))),
)
_SIDES = st.tuples(st.none() | STANDINGS, st.none() | STANDINGS).filter(any)


@given(sides=_SIDES, levels=st.tuples(st.integers(0, 3), st.integers(0, 3)), found=st.booleans())
def test_the_class_agrees_with_what_is_open(sides, levels, found) -> None:
    change, because = judged(*sides, levels=levels, found={A} if found else frozenset())
    pair = Pair(*sides)
    assert pair.was_open is (change in OPEN_BEFORE)
    assert pair.is_open is (change in OPEN_NOW)
    assert re.fullmatch(r"[^\n]{5,120}", because)


@given(sides=_SIDES)
def test_shut_and_closed_rest_on_an_answer_of_every_door(sides) -> None:
    before, after = sides
    change, _ = judged(before, after)
    if change is Change.CLOSED:
        assert set(before.ports_unprotected or before.ports_asked) <= set(after.ports_shut)
    if change is Change.SHUT:
        assert all(set(s.ports_asked) <= set(s.ports_shut) for s in sides if s is not None)


@given(standing=STANDINGS)
def test_a_system_beside_itself_is_no_news(standing) -> None:
    change, _ = judged(standing, standing)
    assert change not in NEW
    assert change is Change.STILL_OPEN or change not in OPEN_BEFORE
