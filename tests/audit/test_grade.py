"""Grades: points, caps, and the honesty of "not rated"."""

from dataclasses import replace
from pathlib import Path

import pytest

from doorward.audit.checks import CATALOGUE
from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.door import doors
from doorward.audit.facts import Attempt, Control, Endpoint, Outcome
from doorward.audit.grade import (
    BANDS,
    CAPS,
    GRADE_VERSION,
    NOT_RATED,
    REQUIRED,
    WEIGHTS,
    grade,
    grading_markdown,
)
from doorward.audit.judge import judge
from doorward.audit.ladder import RUNGS
from doorward.audit.verdict import Finding, Severity, Verdict
from doorward.audit.web_facts import Access
from doorward.greetings.conversation import Access as Entry
from seen import (
    ANYBODY,
    BUSY,
    CALLED_CHECKED,
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
    associations,
    attempt,
    offers,
    rejected,
    seen,
    system,
    tls,
)
from web_seen import dicomweb, rest, server, viewer, web, web_attempt

NO_DICOMWEB = dicomweb(Access.ABSENT)
LISTED_OVER_TLS = associations(rejected(Control.RANDOM_BOTH, 1, 1, 3), over_tls=True)
LETTERS = [letter for letter, _ in BANDS]


def judged(*facts, **more):
    return judge(seen(*facts, **more), now=NOW)


@pytest.mark.parametrize(
    ("facts", "letter"),
    [
        # a stranger gets answers: nothing else matters
        ([ANYBODY, OFFERS_ALL, STUDIES_1234, PLAIN], "F"),
        ([CALLED_TITLE, STUDIES_1234, PLAIN], "F"),
        ([ANYBODY, OFFERS_ALL, STUDIES_1234], "F"),
        # Orthanc as shipped
        ([ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT, PLAIN], "E"),
        ([ANYBODY, offers("store", refused=["find", "get", "move"]), PLAIN], "E"),
        # nothing is offered, but everybody may come in
        ([ANYBODY, OFFERS_NOTHING, PLAIN], "D"),
        # titles are checked, plain
        ([CALLER_LIST, PLAIN], "C"),
        ([KNOWN_TITLES, PLAIN], "C"),
        # titles are checked, TLS
        ([LISTED_OVER_TLS, tls(client_certificate_required=False)], "B"),
        # mutual TLS
        ([MUTUAL], "A+"),
        ([tls(chain_trusted=False)], "A"),
    ],
)
def test_typical_systems_get_the_letter_that_a_ciso_would_give(facts, letter):
    found = judged(*facts)
    assert found.grade == letter
    assert found.score is not None
    assert found.score >= dict(BANDS)[letter]
    better = LETTERS.index(letter) - 1
    assert better < 0 or found.score < dict(BANDS)[LETTERS[better]]
    assert found.grade_reasons or letter == "A+"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (judged(CLOSED), "no port was seen to speak DICOM"),
        (judged(FILTERED), "no port was seen to speak DICOM"),
        (judged(SILENT), "no port was seen to speak DICOM"),
        (judged(HTTP), "no port was seen to speak DICOM"),
        (judged(BUSY, PLAIN), "dimse_ae_accepts_any is inconclusive on port 104"),
        (judged(CALLED_CHECKED, PLAIN), "dimse_query_unprotected is not tested on port 104"),
        (judged(ANYBODY, OFFERS_ALL, PLAIN, level=1), "dimse_query_unprotected is not tested"),
        (
            judged(ANYBODY, OFFERS_ALL, PLAIN, exposure=Outcome.INCONCLUSIVE),
            "dimse_query_unprotected is inconclusive",
        ),
        (judged(CALLER_LIST), "dimse_tls_missing is not tested"),
        (judge(system(), now=NOW), "no port was seen to speak DICOM"),
    ],
)
def test_without_coverage_there_is_no_grade_and_it_says_why(found, words):
    assert found.grade == NOT_RATED
    assert found.score is None
    assert any(words in reason for reason in found.grade_reasons)


def test_an_open_port_that_nobody_can_name_leaves_the_system_unrated():
    two = system(attempt(MUTUAL, port=2762), attempt(SILENT, port=104))
    found = judge(two, now=NOW)
    assert found.grade == NOT_RATED
    assert any("port 104 is open" in reason for reason in found.grade_reasons)


@pytest.mark.parametrize("other", [CLOSED, FILTERED, HTTP])
def test_a_port_that_is_shut_or_named_does_not_unrate_the_system(other):
    two = system(attempt(MUTUAL, port=2762), attempt(other, port=104))
    assert judge(two, now=NOW).grade == "A+"


def test_what_means_f_means_f_even_without_coverage():
    found = judged(ANYBODY, OFFERS_ALL, STUDIES_1234, transport=Outcome.INCONCLUSIVE)
    assert found.grade == "F"


def finding(check, verdict, severity, port=104):
    return Finding(
        check=check,
        verdict=verdict,
        severity=severity,
        title="t",
        evidence="e",
        remediation="",
        references=(),
        port=port,
    )


@pytest.mark.parametrize("cap", CAPS, ids=lambda cap: f"{cap.check}-{cap.grade}")
def test_each_cap_bounds_the_letter_from_its_severity_on(cap):
    tried = doors(seen(MUTUAL))
    at = grade([finding(cap.check, Verdict.FAIL, cap.severity)], tried)
    assert LETTERS.index(at.grade) >= LETTERS.index(cap.grade)
    assert any(cap.reason in reason for reason in at.reasons)
    below = grade([finding(cap.check, Verdict.FAIL, Severity.INFO)], tried)
    assert below.grade == "A+"


def test_a_signed_risk_grades_like_a_fail():
    tried = doors(seen(MUTUAL))
    grades = [
        grade([finding("dimse_store_open", verdict, Severity.HIGH)], tried)
        for verdict in (Verdict.FAIL, Verdict.ACCEPTED)
    ]
    assert grades[0] == grades[1]
    assert grades[0].grade == "E"


def test_the_worst_door_counts_once():
    tried = doors(seen(MUTUAL))
    low = [
        finding("tls_certificate_expired", Verdict.FAIL, Severity.LOW, port) for port in (1, 2, 3)
    ]
    assert grade(low, tried).score == 96  # 97 points, and A is the best without a clean sheet
    high = [*low, finding("tls_certificate_expired", Verdict.FAIL, Severity.MEDIUM, 4)]
    assert grade(high, tried).score == dict(BANDS)["B"] - 1


def test_points_never_fall_below_zero():
    many = [finding(c.id, Verdict.FAIL, c.severity) for c in CATALOGUE]
    assert grade(many, doors(seen(MUTUAL))).score == 0


def test_points_alone_never_mean_f():
    readable = {cap.check for cap in CAPS if cap.grade == "F"}
    many = [finding(c.id, Verdict.FAIL, c.severity) for c in CATALOGUE if c.id not in readable]
    found = grade(many, doors(seen(MUTUAL)))
    assert (found.grade, found.score) == ("E", 30)


def test_the_tables_name_real_checks_and_are_in_order():
    ids = {c.id for c in CATALOGUE}
    assert {cap.check for cap in CAPS} | set(REQUIRED) <= ids
    ranks = [LETTERS.index(cap.grade) for cap in CAPS]
    assert ranks == sorted(ranks, reverse=True), "the worst cap comes first"
    assert [lowest for _, lowest in BANDS] == sorted((low for _, low in BANDS), reverse=True)
    assert list(WEIGHTS.values()) == sorted(WEIGHTS.values(), reverse=True)


def test_the_page_in_the_docs_is_current():
    docs = Path(__file__).resolve().parents[2] / "docs" / "grading.md"
    # tools/docs.py may put a line above that says how the page is made
    assert docs.read_text().endswith(grading_markdown(RUNGS))
    assert GRADE_VERSION in docs.read_text()


def test_the_reasons_name_the_cap_that_decides_first_and_the_others_besides():
    found = judged(ANYBODY, offers("store", refused=["find", "get", "move"]), PLAIN)
    first, second = found.grade_reasons
    assert first == "At most E: strangers may negotiate storage (E7)."
    assert second.startswith("Besides: ")
    assert "clear text" in second


# --- doors that are not DICOM -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "letter"),
    [
        # strangers read: whatever else is in order
        ([dicomweb()], "F"),
        ([web(rest=(rest(),))], "F"),
        # a viewer whose login travels in clear text
        ([web(viewers=(viewer(Access.LOGIN),), rest=(rest(Access.LOGIN),)), NO_DICOMWEB], "C"),
        # the same over TLS; only a client certificate on a DICOM port leads to A+
        (
            [
                web(
                    viewers=(viewer(Access.LOGIN),),
                    rest=(replace(rest(Access.LOGIN), version=""),),
                    over_tls=True,
                    hsts_max_age_s=63_072_000,
                ),
                NO_DICOMWEB,
            ],
            "A",
        ),
        # a viewer opens, and nobody knows what it shows
        ([web(viewers=(viewer(),)), NO_DICOMWEB], NOT_RATED),
        # a web server without imaging is no archive, good or bad
        ([web(products=(server(),)), NO_DICOMWEB], NOT_RATED),
    ],
)
def test_web_doors_are_graded_where_imaging_shows_itself(facts, letter):
    assert judge(system(*map(web_attempt, facts)), now=NOW).grade == letter


def test_a_database_beside_a_safe_archive_spoils_its_grade():
    redis = DatabaseFacts(protocol="redis", product="Redis", is_recognised=True, plain=Entry.OPEN)
    endpoint = Endpoint(address="10.1.2.3", port=6379)
    made = Attempt(probe="databases", endpoint=endpoint, outcome=Outcome.ANSWERED, facts=redis)
    found = judge(system(attempt(MUTUAL, port=2762), made), now=NOW)
    assert found.grade == "F"
    assert "a database lets strangers in" in found.grade_reasons[0]
