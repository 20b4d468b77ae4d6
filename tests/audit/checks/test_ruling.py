"""What becomes of questions that nobody answered: never a pass, never a fail."""

import pytest

from doorward.audit.checks.ruling import for_no_stranger, number, unanswered, unasked
from doorward.audit.facts import Outcome
from doorward.audit.verdict import Verdict
from seen import ANYBODY, BUSY, CALLED_CHECKED, CALLER_LIST, MUTUAL, attempt, door


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([], Verdict.NOT_TESTED),
        ([Outcome.NOT_TESTED], Verdict.NOT_TESTED),
        ([Outcome.INCONCLUSIVE], Verdict.INCONCLUSIVE),
        ([Outcome.ERROR], Verdict.ERROR),
        ([Outcome.ANSWERED], Verdict.INCONCLUSIVE),
        ([Outcome.NOT_TESTED, Outcome.INCONCLUSIVE], Verdict.INCONCLUSIVE),
        ([Outcome.INCONCLUSIVE, Outcome.ERROR], Verdict.ERROR),
        ([Outcome.ANSWERED, Outcome.NOT_TESTED], Verdict.NOT_TESTED),
    ],
)
def test_attempts_without_facts_keep_their_outcome(outcomes, verdict):
    assert unanswered(tuple(attempt(o) for o in outcomes), level=2).verdict is verdict


def test_the_reason_of_an_attempt_is_told_once():
    ruling = unanswered((attempt(Outcome.INCONCLUSIVE), attempt(Outcome.INCONCLUSIVE)), level=2)
    assert ruling.evidence == "No usable answer: no answer in 15 s."


def test_a_question_that_no_probe_asked_names_the_clearance_level():
    assert "level 1" in unasked(door(ANYBODY, level=1), "exposure").evidence


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (ANYBODY, None),
        (CALLER_LIST, Verdict.PASS),
        (MUTUAL, Verdict.PASS),
        (CALLED_CHECKED, Verdict.NOT_TESTED),
        (BUSY, Verdict.INCONCLUSIVE),
    ],
)
def test_the_admission_decides_only_where_it_was_shown(facts, verdict):
    ruling = for_no_stranger(door(facts), "a query")
    assert (ruling and ruling.verdict) == verdict


def test_numbers_read_well():
    assert number(1, "study", "studies") == "1 study"
    assert number(1234, "study", "studies") == "1,234 studies"
    assert number(0, "day") == "0 days"
