"""The rules on reading: negotiation, answer, limit, attributes, worklist."""

import pytest

from doorward.audit.checks.query import (
    patient_attributes_returned,
    query_context_open,
    query_unlimited,
    query_unprotected,
    worklist_open,
)
from doorward.audit.facts import AttributeFacts, Control, Exactness, Outcome, QueryEnd
from doorward.audit.verdict import Severity, Verdict
from seen import (
    ANYBODY,
    BUSY,
    CALLED_CHECKED,
    CALLED_TITLE,
    CALLER_LIST,
    KNOWN_TITLES,
    MUTUAL,
    NOW,
    OFFERS_ALL,
    OFFERS_NOTHING,
    REFUSED_BY_ABORT,
    STUDIES_1234,
    counted,
    door,
    exposure,
    offers,
    parts,
    query,
)

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
NOT_APPLICABLE, NOT_TESTED, ERROR = Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED, Verdict.ERROR
EMPTY = exposure(query(QueryEnd.SUCCESS, status=0), studies=counted(0))


def answer(end, matches=0, status=None, **more):
    facts = exposure(query(end, matches, status=status), studies=counted(matches), **more)
    return door(ANYBODY, OFFERS_ALL, facts)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (door(ANYBODY, OFFERS_ALL, STUDIES_1234), FAIL),
        (door(CALLED_TITLE, STUDIES_1234), FAIL),
        (door(ANYBODY, OFFERS_ALL, EMPTY), FAIL),
        (answer(QueryEnd.WARNING, 100, 0xFE00), FAIL),
        (answer(QueryEnd.ABORTED, 40), FAIL),
        (answer(QueryEnd.FAILED, 40, 0xC000), FAIL),
        # refused for who asked
        (door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), PASS),
        (answer(QueryEnd.REFUSED, status=0x0124), PASS),
        (door(ANYBODY, OFFERS_NOTHING, exposure(query(QueryEnd.NO_CONTEXT))), PASS),
        (door(ANYBODY, OFFERS_NOTHING), PASS),
        (door(CALLER_LIST), PASS),
        (door(KNOWN_TITLES, offers("find", control=Control.GIVEN_BOTH), STUDIES_1234), PASS),
        (door(MUTUAL), PASS),
        # refused for another reason, or not answered
        (answer(QueryEnd.REFUSED, status=0xA700), INCONCLUSIVE),
        (answer(QueryEnd.REFUSED, status=0xA900), INCONCLUSIVE),
        (answer(QueryEnd.REFUSED, status=0xC000), INCONCLUSIVE),
        (answer(QueryEnd.ABORTED), INCONCLUSIVE),
        (answer(QueryEnd.SILENT), INCONCLUSIVE),
        (door(ANYBODY, OFFERS_ALL, exposure=Outcome.INCONCLUSIVE), INCONCLUSIVE),
        (door(ANYBODY, OFFERS_ALL, exposure=Outcome.ERROR), ERROR),
        (door(ANYBODY, OFFERS_ALL, exposure=Outcome.NOT_TESTED), NOT_TESTED),
        (door(ANYBODY, OFFERS_ALL, level=1), NOT_TESTED),
        (door(ANYBODY), NOT_TESTED),
        (door(CALLED_CHECKED), NOT_TESTED),
        (door(BUSY), INCONCLUSIVE),
    ],
)
def test_a_query_is_unprotected_refused_or_unknown(seen, verdict):
    assert query_unprotected(seen, NOW).verdict is verdict


def test_the_evidence_counts_in_plain_words_and_says_how():
    evidence = query_unprotected(door(ANYBODY, OFFERS_ALL, STUDIES_1234), NOW).evidence
    assert "Any caller with made-up AE titles" in evidence
    assert "1,234 studies (900 patients and 56,000 images)" in evidence
    assert "Number of Study Related Instances only" in evidence


def test_the_evidence_is_honest_about_exactness():
    facts = exposure(
        query(QueryEnd.WARNING, 100, status=0xFE00), studies=counted(100, Exactness.AT_LEAST)
    )
    assert "at least 100 studies were" in query_unprotected(door(ANYBODY, facts), NOW).evidence
    one = exposure(query(QueryEnd.SUCCESS, 1, status=0), studies=counted(1))
    assert "1 study was counted" in query_unprotected(door(ANYBODY, one), NOW).evidence


def test_who_knows_the_title_is_told_apart_from_anybody():
    evidence = query_unprotected(door(CALLED_TITLE, STUDIES_1234), NOW).evidence
    assert "who knows the server's AE title" in evidence


def test_an_answer_without_studies_is_less_bad():
    assert query_unprotected(door(ANYBODY, OFFERS_ALL, EMPTY), NOW).severity is Severity.HIGH


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (REFUSED_BY_ABORT, "A-ABORT"),
        (exposure(query(QueryEnd.REFUSED, status=0x0124)), "0124H"),
        (exposure(query(QueryEnd.NO_CONTEXT)), "context was refused"),
    ],
)
def test_a_refusal_says_how(facts, words):
    assert words in query_unprotected(door(ANYBODY, OFFERS_ALL, facts), NOW).evidence


@pytest.mark.parametrize(
    ("seen", "verdict", "severity"),
    [
        (door(ANYBODY, OFFERS_ALL), FAIL, None),
        (door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), FAIL, Severity.LOW),
        (door(ANYBODY, OFFERS_NOTHING), PASS, None),
        (door(CALLER_LIST), PASS, None),
        (door(ANYBODY), NOT_TESTED, None),
    ],
)
def test_a_negotiated_query_is_weak_evidence_where_the_query_was_refused(seen, verdict, severity):
    ruling = query_context_open(seen, NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (answer(QueryEnd.SUCCESS, 1234, 0), FAIL),
        (door(ANYBODY, exposure(query(QueryEnd.CANCELLED, 5_000_000, reached_cap=True))), FAIL),
        (answer(QueryEnd.WARNING, 100, 0xFE00), PASS),
        (answer(QueryEnd.FAILED, 500, 0xA700), PASS),
        (answer(QueryEnd.FAILED, 500, 0xC000), INCONCLUSIVE),
        (answer(QueryEnd.SUCCESS, 12, 0), INCONCLUSIVE),
        (
            door(
                ANYBODY,
                exposure(
                    query(QueryEnd.SUCCESS, 5000, status=0),
                    studies=counted(5000, Exactness.AT_LEAST),
                ),
            ),
            INCONCLUSIVE,
        ),
        (door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), NOT_APPLICABLE),
        (door(ANYBODY, OFFERS_ALL, exposure=Outcome.INCONCLUSIVE), INCONCLUSIVE),
        (door(ANYBODY, OFFERS_ALL, level=1), NOT_TESTED),
    ],
)
def test_a_limit_shows_only_where_the_server_stopped_by_itself(seen, verdict):
    assert query_unlimited(seen, NOW).verdict is verdict


CUT = exposure(query(QueryEnd.SUCCESS, 5000, status=0), studies=counted(5000, Exactness.AT_LEAST))


@pytest.mark.parametrize(
    ("counts", "verdict", "words"),
    [
        (parts(counted(6100), counted(70_000)), PASS, "by itself after 5,000"),
        (parts(counted(5000), counted(60_000)), FAIL, "listed all 5,000"),
        (
            parts(counted(5000, Exactness.AT_LEAST), counted(60_000, Exactness.AT_LEAST)),
            INCONCLUSIVE,
            "not sure",
        ),
    ],
)
def test_parts_tell_whether_a_silent_end_was_a_limit(counts, verdict, words):
    ruling = query_unlimited(door(ANYBODY, OFFERS_ALL, CUT, counts), NOW)
    assert ruling.verdict is verdict
    assert words in ruling.evidence


def test_evidence_names_what_was_counted_in_parts():
    seen = door(ANYBODY, OFFERS_ALL, CUT, parts(counted(6100), counted(70_000)))
    evidence = query_unprotected(seen, NOW).evidence
    assert "6,100 studies" in evidence
    assert "70,000 images" in evidence
    assert "at least" not in evidence


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ([STUDIES_1234, AttributeFacts(returned={"PatientName": 24, "PatientID": 8})], FAIL),
        ([STUDIES_1234, AttributeFacts()], PASS),
        ([STUDIES_1234], NOT_TESTED),
        ([REFUSED_BY_ABORT], PASS),
        # nothing was answered, so an empty look proves nothing
        ([AttributeFacts()], INCONCLUSIVE),
    ],
)
def test_patient_attributes_are_judged_by_presence(more, verdict):
    level = 2 if more == [STUDIES_1234] else 3
    ruling = patient_attributes_returned(door(ANYBODY, OFFERS_ALL, *more, level=level), NOW)
    assert ruling.verdict is verdict
    assert ("PatientName, PatientID" in ruling.evidence) is (verdict is FAIL)


@pytest.mark.parametrize("outcome", [Outcome.INCONCLUSIVE, Outcome.ERROR])
def test_a_look_at_attributes_that_failed_says_nothing(outcome):
    seen = door(ANYBODY, OFFERS_ALL, STUDIES_1234, level=3, attributes=outcome)
    assert patient_attributes_returned(seen, NOW).verdict.value == outcome.value


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (door(ANYBODY, OFFERS_ALL), FAIL),
        (door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), INCONCLUSIVE),
        (door(ANYBODY, OFFERS_NOTHING), PASS),
        (door(MUTUAL), PASS),
    ],
)
def test_the_worklist_is_judged_by_negotiation(seen, verdict):
    assert worklist_open(seen, NOW).verdict is verdict
