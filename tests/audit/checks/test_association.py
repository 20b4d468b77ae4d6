"""The rules on AE titles, for every outcome of the control pairs."""

import pytest

from doorward.audit.checks.association import accepts_any, called_only, title_only
from doorward.audit.facts import Control, Outcome, Reply
from doorward.audit.verdict import Severity, Verdict
from seen import (
    ANYBODY,
    BUSY,
    CALLED_CHECKED,
    CALLED_TITLE,
    CALLER_LIST,
    DROPPED,
    KNOWN_TITLES,
    MUTUAL,
    NOW,
    OFFERS_ALL,
    OFFERS_NOTHING,
    SILENT,
    STUDIES_1234,
    accepted,
    associations,
    door,
    offers,
    rejected,
    reply,
)

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
NOT_APPLICABLE, NOT_TESTED = Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED
IDENTITY = associations(rejected(Control.RANDOM_BOTH, 1, 2, 1))
CALLED_AFTER_SILENCE = associations(
    reply(Control.RANDOM_BOTH, Reply.SILENT), accepted(Control.GIVEN_CALLED)
)
CALLED_AFTER_BUSY = associations(
    rejected(Control.RANDOM_BOTH, 2, 3, 1), accepted(Control.GIVEN_CALLED)
)
CALLED_AFTER_DROP = associations(
    reply(Control.RANDOM_BOTH, Reply.CLOSED), accepted(Control.GIVEN_CALLED)
)


@pytest.mark.parametrize(
    ("facts", "any_caller", "called", "title"),
    [
        (ANYBODY, FAIL, NOT_APPLICABLE, NOT_APPLICABLE),
        (CALLED_TITLE, PASS, FAIL, NOT_APPLICABLE),
        (CALLED_AFTER_DROP, PASS, FAIL, NOT_APPLICABLE),
        (CALLED_AFTER_SILENCE, INCONCLUSIVE, FAIL, NOT_APPLICABLE),
        (CALLED_AFTER_BUSY, INCONCLUSIVE, FAIL, NOT_APPLICABLE),
        (KNOWN_TITLES, PASS, PASS, FAIL),
        (CALLER_LIST, PASS, PASS, NOT_TESTED),
        (IDENTITY, PASS, PASS, PASS),
        (CALLED_CHECKED, PASS, NOT_TESTED, NOT_TESTED),
        (MUTUAL, PASS, PASS, PASS),
        (BUSY, INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE),
        (SILENT, INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE),
        (DROPPED, INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE),
    ],
)
def test_each_outcome_of_the_control_pairs_has_its_three_verdicts(facts, any_caller, called, title):
    seen = door(facts)
    assert accepts_any(seen, NOW).verdict is any_caller
    assert called_only(seen, NOW).verdict is called
    assert title_only(seen, NOW).verdict is title


@pytest.mark.parametrize("rule", [accepts_any, called_only, title_only])
@pytest.mark.parametrize("outcome", [Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.NOT_TESTED])
def test_without_replies_the_outcome_of_the_attempt_stands(rule, outcome):
    assert rule(door(association=outcome), NOW).verdict.value == outcome.value


def test_the_evidence_names_both_made_up_titles_and_the_port():
    evidence = accepts_any(door(ANYBODY), NOW).evidence
    assert "DOORWARDK3F9Q2X7" in evidence
    assert "XQZMADEUP" in evidence
    assert "port 104" in evidence


@pytest.mark.parametrize(
    ("capabilities", "severity"),
    [([], None), ([OFFERS_ALL], None), ([OFFERS_NOTHING], Severity.MEDIUM)],
)
def test_a_door_that_offers_only_an_echo_is_less_bad(capabilities, severity):
    assert accepts_any(door(ANYBODY, *capabilities), NOW).severity is severity


def test_the_reject_reason_is_part_of_the_evidence():
    assert "1/1/3" in accepts_any(door(CALLER_LIST), NOW).evidence
    assert "--called" in called_only(door(CALLED_CHECKED), NOW).evidence
    assert "--calling" in title_only(door(CALLER_LIST), NOW).evidence


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ([], Severity.MEDIUM),
        ([offers("find", control=Control.GIVEN_BOTH), STUDIES_1234], Severity.HIGH),
    ],
)
def test_a_title_that_lists_studies_is_worse(more, severity):
    ruling = title_only(door(KNOWN_TITLES, *more), NOW)
    assert ruling.severity is severity
    assert ("1,234 studies" in ruling.evidence) is bool(more)


def test_congestion_on_the_named_title_is_no_verdict_on_who_gets_in():
    busy = door(
        associations(
            rejected(Control.RANDOM_BOTH, 1, 1, 7), rejected(Control.GIVEN_CALLED, 2, 3, 2)
        )
    )
    assert (
        accepts_any(busy, NOW).verdict is Verdict.PASS
    )  # two made-up titles were refused for good
    assert called_only(busy, NOW).verdict is Verdict.INCONCLUSIVE
    assert title_only(busy, NOW).verdict is Verdict.INCONCLUSIVE
