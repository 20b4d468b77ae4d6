"""Verdicts on HL7: an acknowledgement fails, silence settles nothing."""

import pytest

from doorward.audit.checks.hl7 import plain, port_open
from doorward.audit.facts import Outcome
from doorward.audit.hl7_facts import Hl7Facts
from doorward.audit.verdict import Verdict
from doorward.greetings.hl7 import Answer
from places import attempt, door
from seen import NOW


def acknowledged(code="AR", **more) -> Hl7Facts:
    return Hl7Facts(knocked=Answer.ACKNOWLEDGED, code=code, names_ours=True, **more)


def ruled(rule, facts, **more):
    return rule(door(attempt("hl7", facts, port=2575, **more)), NOW)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AR", "rejected for what it said"),
        ("AE", "rejected"),
        ("AA", "accepted, although"),
        ("CA", "accepted"),
    ],
)
def test_an_acknowledgement_shows_that_strangers_are_heard(code, words):
    ruling = ruled(port_open, acknowledged(code, version="2.5.1"))
    assert ruling.verdict is Verdict.FAIL
    assert words in ruling.evidence
    assert "version 2.5.1" in ruling.evidence


@pytest.mark.parametrize(("over_tls", "verdict"), [(False, Verdict.FAIL), (True, Verdict.PASS)])
def test_clear_text_fails(over_tls, verdict):
    assert ruled(plain, acknowledged(over_tls=over_tls)).verdict is verdict


@pytest.mark.parametrize("rule", [port_open, plain])
def test_silence_settles_nothing(rule):
    for facts in (Hl7Facts(), Hl7Facts(knocked=Answer.SILENT), None):
        ruling = ruled(rule, facts, outcome=Outcome.INCONCLUSIVE)
        assert ruling.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("rule", [port_open, plain])
@pytest.mark.parametrize("looks_like", ["", "ssh", "hl7"])
def test_other_services_are_not_judged(rule, looks_like):
    facts = Hl7Facts(knocked=Answer.OTHER, looks_like=looks_like)
    assert ruled(rule, facts).verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("rule", [port_open, plain])
def test_a_demand_for_a_client_certificate_passes(rule):
    assert ruled(rule, Hl7Facts(over_tls=True, demands_certificate=True)).verdict is Verdict.PASS


def test_a_closed_port_passes_because_it_said_so():
    facts = Hl7Facts(is_open=False)
    assert ruled(port_open, facts).verdict is Verdict.PASS
    assert ruled(plain, facts).verdict is Verdict.NOT_APPLICABLE
