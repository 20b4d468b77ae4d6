"""Verdicts on FHIR: a number given to a stranger fails, a login passes, everything else stays open."""

import pytest

from doorward.audit.checks.fhir import metadata_open, search_open
from doorward.audit.fhir_facts import FhirFacts, FhirRoot, FhirSearch
from doorward.audit.tally import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.verdict import Severity, Verdict
from doorward.audit.web_facts import Access
from places import attempt, door
from seen import NOW


def root(*searches, metadata=Access.OPEN) -> FhirRoot:
    return FhirRoot(
        root="/fhir",
        metadata=metadata,
        fhir_version="4.0.1",
        software="HAPI FHIR",
        software_version="7.2.1",
        searches=searches,
    )


def search(access, value=None, **more) -> FhirSearch:
    count = (
        UNKNOWN_COUNT
        if value is None
        else Count(value=value, exactness=Exactness.EXACT_COUNTER, method="")
    )
    return FhirSearch(resource="Patient", access=access, count=count, **more)


def ruled(rule, *roots):
    return rule(door(attempt("fhir", FhirFacts(over_tls=False, roots=roots))), NOW)


def test_a_number_given_to_a_stranger_fails():
    ruling = ruled(search_open, root(search(Access.OPEN, 1_705)))
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, None)
    assert "Patient at /fhir: 1,705" in ruling.evidence


def test_an_empty_server_is_less_bad_but_open():
    ruling = ruled(search_open, root(search(Access.OPEN, 0)))
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, Severity.HIGH)


def test_a_server_that_sends_resources_is_told_of():
    ruling = ruled(search_open, root(search(Access.OPEN, sends_resources=True)))
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, None)
    assert "none was read" in ruling.evidence


@pytest.mark.parametrize(
    ("roots", "verdict"),
    [
        ((root(search(Access.LOGIN)),), Verdict.PASS),
        ((root(search(Access.LOGIN), search(Access.ABSENT)),), Verdict.PASS),
        ((root(search(Access.LOGIN), search(Access.SILENT)),), Verdict.INCONCLUSIVE),
        ((root(search(Access.UNCLEAR)),), Verdict.INCONCLUSIVE),
        ((root(),), Verdict.NOT_TESTED),
        ((), Verdict.NOT_APPLICABLE),
    ],
)
def test_nothing_less_than_an_answer_decides(roots, verdict):
    assert ruled(search_open, *roots).verdict is verdict


def test_a_public_description_is_information():
    ruling = ruled(metadata_open, root())
    assert ruling.verdict is Verdict.FAIL
    assert "HAPI FHIR 7.2.1, FHIR 4.0.1" in ruling.evidence
    assert ruled(metadata_open, root(metadata=Access.LOGIN)).verdict is Verdict.PASS
    assert ruled(metadata_open).verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("rule", [search_open, metadata_open])
def test_silence_never_passes(rule):
    assert rule(door(attempt("fhir", None)), NOW).verdict is Verdict.INCONCLUSIVE
