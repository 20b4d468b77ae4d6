"""Every check answers for every system, silence never passes, and the findings can be acted on."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.audit.checks import CATALOGUE
from doorward.audit.facts import (
    AttributeFacts,
    Control,
    Exactness,
    Outcome,
    PortState,
    QueryEnd,
    Reply,
)
from doorward.audit.grade import NOT_RATED
from doorward.audit.judge import Acceptance, judge
from doorward.audit.verdict import Severity, Verdict
from seen import (
    ANYBODY,
    BUSY,
    CALLED_TITLE,
    CALLER_LIST,
    CLOSED,
    FILTERED,
    HTTP,
    KNOWN_TITLES,
    MUTUAL,
    NOW,
    OFFERS_ALL,
    OFFERS_NOTHING,
    PLAIN,
    REFUSED_BY_ABORT,
    SILENT,
    STUDIES_1234,
    accepted,
    associations,
    attempt,
    counted,
    exposure,
    offers,
    query,
    reply,
    seen,
    system,
    tls,
)

FACTS = (
    ANYBODY,
    CALLED_TITLE,
    KNOWN_TITLES,
    CALLER_LIST,
    BUSY,
    SILENT,
    HTTP,
    CLOSED,
    FILTERED,
    PLAIN,
    MUTUAL,
    tls(plain=True, client_certificate_required=False),
    OFFERS_ALL,
    OFFERS_NOTHING,
    offers("find", control=Control.GIVEN_BOTH),
    STUDIES_1234,
    REFUSED_BY_ABORT,
    exposure(query(QueryEnd.SILENT)),
    AttributeFacts(),
    AttributeFacts(returned={"PatientName": 20}),
)
PORTS = (104, 11112, 2762)


def found(judged, check, port=104):
    return next(f for f in judged.findings if f.check == check and f.port == port)


@st.composite
def attempts(draw, outcomes=tuple(Outcome)):
    made = attempt(draw(st.sampled_from(FACTS)), port=draw(st.sampled_from(PORTS)))
    outcome = draw(st.sampled_from(outcomes))
    keeps_facts = outcome is Outcome.ANSWERED or draw(st.booleans())
    return replace(made, outcome=outcome, facts=made.facts if keeps_facts else None)


def systems(**more):
    return st.builds(
        lambda made, level: system(*made, level=level),
        st.lists(attempts(**more), max_size=8),
        st.integers(1, 3),
    )


# --- promises ---------------------------------------------------------------------------------------------------------


@given(systems(outcomes=(Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.NOT_TESTED)))
def test_silence_is_never_a_pass(facts):
    judged = judge(facts, now=NOW)
    assert {f.verdict for f in judged.findings}.isdisjoint({Verdict.PASS, Verdict.FAIL})
    assert judged.grade == NOT_RATED
    assert judged.score is None
    assert set(judged.rungs) <= {"E0", "E1"}
    assert judged.counts.studies.value is None


@given(systems())
def test_every_check_answers_for_every_system(facts):
    judged = judge(facts, now=NOW)
    assert {f.check for f in judged.findings} == {c.id for c in CATALOGUE}
    assert all(f.evidence for f in judged.findings)
    assert (judged.score is None) == (judged.grade == NOT_RATED)
    assert len(judged.services) == len(facts.ports)


@given(systems())
def test_no_finding_is_graver_than_its_check_and_each_fail_can_be_acted_on(facts):
    severities = {c.id: c.severity for c in CATALOGUE}
    for finding in judge(facts, now=NOW).findings:
        assert finding.severity <= severities[finding.check]
        if finding.verdict is Verdict.FAIL:
            assert finding.remediation
            assert finding.verify.startswith("doorward audit ")
        if finding.verdict is Verdict.PASS:
            assert not finding.remediation


@given(systems())
@settings(max_examples=50)
def test_the_same_facts_give_the_same_verdicts(facts):
    assert judge(facts, now=NOW) == judge(facts, now=NOW)


@given(systems(), st.sampled_from(list(Outcome)[1:]))
@settings(max_examples=50)
def test_taking_answers_away_never_makes_a_system_better(facts, outcome):
    before = judge(facts, now=NOW)
    hidden = tuple(replace(a, outcome=outcome) for a in facts.attempts)
    after = judge(replace(facts, attempts=hidden), now=NOW)
    passed = {f.check for f in after.findings if f.verdict is Verdict.PASS}
    assert not passed - {f.check for f in before.findings if f.verdict is Verdict.PASS}


# --- systems as they are met ------------------------------------------------------------------------------------------


def test_an_open_archive_is_told_with_numbers_rungs_and_remedies():
    judged = judge(seen(ANYBODY, OFFERS_ALL, STUDIES_1234, PLAIN), now=NOW)
    first = judged.findings[0]
    assert (first.verdict, first.severity) == (Verdict.FAIL, Severity.CRITICAL)
    assert found(judged, "dimse_query_unprotected").verdict is Verdict.FAIL
    assert judged.is_unprotected
    assert judged.is_downloadable
    assert judged.is_writable
    assert judged.counts.studies.value == 1234
    assert judged.counts.images_downloadable.value == 56_000
    assert "negotiation" in judged.counts.images_downloadable.method
    assert "DicomAlwaysAllowFind" in found(judged, "dimse_query_unprotected").remediation


def test_orthanc_as_shipped_is_open_for_storage_and_closed_for_queries():
    judged = judge(seen(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT, PLAIN), now=NOW)
    assert found(judged, "dimse_query_unprotected").verdict is Verdict.PASS
    assert found(judged, "dimse_store_open").verdict is Verdict.FAIL
    assert found(judged, "dimse_retrieve_open").verdict is Verdict.INCONCLUSIVE
    assert judged.is_writable
    assert not judged.is_unprotected
    assert judged.counts.images_downloadable.value is None


def test_a_system_behind_mutual_tls_passes():
    judged = judge(seen(MUTUAL), now=NOW)
    assert {f.verdict for f in judged.findings} <= {
        Verdict.PASS,
        Verdict.NOT_APPLICABLE,
        Verdict.NOT_TESTED,
    }
    assert found(judged, "dimse_query_unprotected").verdict is Verdict.PASS
    assert judged.services[0].protocol == "tls"


def test_titles_that_are_checked_are_told_with_the_reason():
    judged = judge(seen(CALLER_LIST, PLAIN), now=NOW)
    assert "1/1/3" in found(judged, "dimse_ae_accepts_any").evidence
    assert found(judged, "dimse_query_unprotected").verdict is Verdict.PASS


def test_a_stranger_who_never_gets_in_is_not_counted():
    known = offers("find", "get", control=Control.GIVEN_BOTH)
    judged = judge(seen(KNOWN_TITLES, known, STUDIES_1234, PLAIN), now=NOW)
    assert judged.counts.studies.value is None
    assert not judged.is_unprotected


def test_two_doors_of_one_archive_are_counted_once():
    small = exposure(query(QueryEnd.SUCCESS, 10, status=0), studies=counted(10), images=counted(99))
    two = system(
        *(attempt(f, port=104) for f in (ANYBODY, OFFERS_ALL, STUDIES_1234)),
        *(attempt(f, port=11112) for f in (ANYBODY, offers("find", refused=["get"]), small)),
    )
    judged = judge(two, now=NOW)
    assert judged.counts.studies.value == 1234
    assert judged.counts.images_downloadable.value == 56_000


@pytest.mark.parametrize(
    ("capabilities", "value", "exactness"),
    [
        ([offers("find", refused=["get", "move"])], 0, Exactness.EXACT_ENUMERATED),
        ([], None, Exactness.UNKNOWN),
    ],
)
def test_images_behind_a_refused_retrieval_are_none(capabilities, value, exactness):
    counts = judge(seen(ANYBODY, *capabilities, STUDIES_1234), now=NOW).counts
    assert (counts.images_downloadable.value, counts.images_downloadable.exactness) == (
        value,
        exactness,
    )


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ([CLOSED], Verdict.NOT_APPLICABLE),
        ([HTTP], Verdict.NOT_APPLICABLE),
        ([SILENT], Verdict.INCONCLUSIVE),
        ([FILTERED], Verdict.INCONCLUSIVE),
        ([Outcome.ERROR], Verdict.ERROR),
        ([Outcome.NOT_TESTED], Verdict.NOT_TESTED),
        ([], Verdict.NOT_TESTED),
        ([CLOSED, Outcome.INCONCLUSIVE], Verdict.INCONCLUSIVE),
    ],
)
def test_without_a_dicom_port_the_checks_say_why(facts, verdict):
    made = [attempt(f, port=port) for f, port in zip(facts, PORTS, strict=False)]
    judged = judge(system(*made), now=NOW)
    finding = found(judged, "dimse_query_unprotected", port=None)
    assert finding.verdict is verdict


# --- services, remedies, commands, acceptances ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "protocol"),
    [
        ([ANYBODY], "dicom"),
        ([associations(accepted(), over_tls=True)], "dicom-tls"),
        ([MUTUAL], "tls"),
        ([HTTP], "http"),
        ([associations(reply(Control.RANDOM_BOTH, Reply.NOT_DICOM, looks_like="tls"))], "tls"),
        ([SILENT], "unknown"),
        ([CLOSED], "closed"),
        ([FILTERED], "filtered"),
        ([associations(state=PortState.UNREACHABLE)], "unreachable"),
        ([Outcome.NOT_TESTED], "not_tested"),
    ],
)
def test_each_port_is_named_by_what_it_speaks(facts, protocol):
    made = [attempt(f) for f in facts]
    assert judge(system(*made), now=NOW).services[0].protocol == protocol


def test_a_service_names_stack_version_and_tls():
    service = judge(seen(ANYBODY, tls(plain=True)), now=NOW).services[0]
    assert service.product == "DCMTK 3.6.7 (used by Orthanc and many others)"
    assert (service.toolkit, service.version, service.confidence) == ("DCMTK", "3.6.7", "source")
    assert service.tls == "TLSv1.3"


def test_products_that_look_alike_get_both_remedies_with_headings():
    text = found(judge(seen(ANYBODY), now=NOW), "dimse_ae_accepts_any").remediation
    assert "If it is Orthanc: " in text
    assert "If it is dcmqrscp or storescp of DCMTK: " in text


def test_an_unknown_product_gets_the_generic_remedy():
    judged = judge(seen(associations(accepted(stack=("", "")))), now=NOW)
    check = next(c for c in CATALOGUE if c.id == "dimse_ae_accepts_any")
    assert found(judged, check.id).remediation == check.remediation["generic"]


@pytest.mark.parametrize(
    ("address", "command"),
    [
        ("127.0.0.1", "doorward audit 127.0.0.1:104"),
        ("::1", "doorward audit [::1]:104"),
        ("10.1.2.3", "doorward audit 10.1.2.3:104 --scope SCOPE.toml"),
        ("archive.example", ""),
    ],
)
def test_the_command_that_asks_again_can_be_copied(address, command):
    made = attempt(ANYBODY, address=address)
    judged = judge(system(made), now=NOW)
    assert found(judged, "dimse_ae_accepts_any").verify == command


def signature(**fields):
    base = {"check": "dimse_ae_accepts_any", "owner": "PACS team", "reason": "guarded segment"}
    return Acceptance(**(base | fields))


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, Verdict.ACCEPTED),
        ({"until": date(2026, 11, 22)}, Verdict.ACCEPTED),
        ({"until": date(2026, 11, 21)}, Verdict.FAIL),
        ({"address": "10.1.2.3", "port": 104}, Verdict.ACCEPTED),
        ({"address": "10.1.2.4"}, Verdict.FAIL),
        ({"port": 11112}, Verdict.FAIL),
        ({"check": "dimse_store_open"}, Verdict.FAIL),
    ],
)
def test_a_signed_risk_is_accepted_while_the_signature_holds(fields, verdict):
    judged = judge(seen(ANYBODY), now=NOW, accepted=[signature(**fields)])
    finding = found(judged, "dimse_ae_accepts_any")
    assert finding.verdict is verdict
    assert ("PACS team" in finding.evidence) is (verdict is Verdict.ACCEPTED)
    assert finding.remediation


def test_a_signature_never_turns_a_pass_or_silence_into_anything_else():
    judged = judge(seen(CALLER_LIST, PLAIN), now=NOW, accepted=[signature()])
    assert found(judged, "dimse_ae_accepts_any").verdict is Verdict.PASS


def test_the_clock_is_an_argument():
    facts = seen(tls())
    later = datetime(2029, 1, 1, tzinfo=NOW.tzinfo)
    assert found(judge(facts, now=NOW), "tls_certificate_expired").verdict is Verdict.PASS
    assert found(judge(facts, now=later), "tls_certificate_expired").verdict is Verdict.FAIL
