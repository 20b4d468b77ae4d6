"""Retrieval is judged by negotiation, and by what the query showed about its worth."""

import pytest

from doorward.audit.checks.retrieve import retrieve_open
from doorward.audit.facts import Outcome
from doorward.audit.verdict import Severity, Verdict
from seen import (
    ANYBODY,
    CALLER_LIST,
    MUTUAL,
    NOW,
    OFFERS_ALL,
    OFFERS_NOTHING,
    REFUSED_BY_ABORT,
    STUDIES_1234,
    door,
    offers,
)


@pytest.mark.parametrize(
    ("seen", "verdict", "severity"),
    [
        (door(ANYBODY, OFFERS_ALL, STUDIES_1234), Verdict.FAIL, None),
        (door(ANYBODY, offers("move", refused=["get", "find"])), Verdict.FAIL, Severity.HIGH),
        (door(ANYBODY, OFFERS_ALL), Verdict.FAIL, Severity.HIGH),
        # Orthanc as shipped: it agrees to every context and refuses the query when it comes
        (door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), Verdict.INCONCLUSIVE, None),
        (door(ANYBODY, OFFERS_NOTHING), Verdict.PASS, None),
        (door(CALLER_LIST), Verdict.PASS, None),
        (door(MUTUAL), Verdict.PASS, None),
        (door(ANYBODY, capabilities=Outcome.INCONCLUSIVE), Verdict.INCONCLUSIVE, None),
    ],
)
def test_retrieval_is_critical_beside_an_answered_query(seen, verdict, severity):
    ruling = retrieve_open(seen, NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


def test_the_evidence_says_that_nothing_was_retrieved():
    evidence = retrieve_open(door(ANYBODY, OFFERS_ALL, STUDIES_1234), NOW).evidence
    assert "nothing was retrieved" in evidence
    assert "get context, move context" in evidence


def test_at_a_server_that_agrees_to_everything_the_evidence_says_that_it_is_weak():
    seems_orthanc = door(ANYBODY, offers("find", "get", "commitment"), STUDIES_1234)
    seems_dcmqrscp = door(ANYBODY, offers("find", "get", refused=["commitment"]), STUDIES_1234)
    assert "weak evidence" in retrieve_open(seems_orthanc, NOW).evidence
    assert "weak evidence" not in retrieve_open(seems_dcmqrscp, NOW).evidence
