"""Reachability: an open port is told, a closed one passes, silence stays silence."""

import pytest

from doorward.audit.checks.reachability import port_reachable, speaks_dicom
from doorward.audit.door import Door
from doorward.audit.facts import Attempt, Control, Endpoint, Outcome
from doorward.audit.verdict import Verdict
from seen import (
    ANYBODY,
    CLOSED,
    FILTERED,
    HTTP,
    MUTUAL,
    NOW,
    SILENT,
    Reply,
    associations,
    attempt,
    door,
    reply,
    system,
)


def inconclusive_with(facts):
    made = Attempt(
        probe="association",
        endpoint=Endpoint(address="10.1.2.3", port=104),
        outcome=Outcome.INCONCLUSIVE,
        reason="timed out",
        facts=facts,
    )
    return Door(system=system(made), port=104)


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (door(ANYBODY), Verdict.FAIL, "takes connections"),
        (door(ANYBODY, address="8.8.8.8"), Verdict.FAIL, "public"),
        (door(ANYBODY, address="archive.example"), Verdict.FAIL, "takes connections"),
        (door(CLOSED), Verdict.PASS, "refused"),
        (door(MUTUAL), Verdict.PASS, "certificate"),
        (inconclusive_with(FILTERED), Verdict.INCONCLUSIVE, "filtered"),
        (inconclusive_with(SILENT), Verdict.INCONCLUSIVE, "timed out"),
        (door(association=Outcome.ERROR), Verdict.ERROR, "Our own side"),
    ],
)
def test_a_port_is_reachable_or_not_or_unknown(seen, verdict, words):
    ruling = port_reachable(seen, NOW)
    assert ruling.verdict is verdict
    assert words in ruling.evidence


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (door(ANYBODY), Verdict.PASS, "DCMTK 3.6.7"),
        (door(HTTP), Verdict.NOT_APPLICABLE, "HTTP"),
        (
            door(associations(reply(Control.RANDOM_BOTH, Reply.NOT_DICOM))),
            Verdict.NOT_APPLICABLE,
            "nothing that DICOM knows",
        ),
        (door(CLOSED), Verdict.NOT_APPLICABLE, "closed"),
        (door(MUTUAL), Verdict.NOT_APPLICABLE, "client certificate"),
        (door(association=Outcome.INCONCLUSIVE), Verdict.INCONCLUSIVE, "no answer in 15 s"),
        (Door(system=system(attempt(ANYBODY, port=104)), port=11112), Verdict.NOT_TESTED, ""),
    ],
)
def test_what_answers_is_named(seen, verdict, words):
    ruling = speaks_dicom(seen, NOW)
    assert ruling.verdict is verdict
    assert words in ruling.evidence
