"""Web doors judged: open fails, a login passes, and whatever is less than an answer stays undecided."""

import pytest

from doorward.audit.checks import web as rules
from doorward.audit.facts import Exactness, Outcome
from doorward.audit.verdict import Severity, Verdict
from doorward.audit.web_facts import Access, Cors
from seen import ANYBODY, CLOSED, NOW, attempt
from web_seen import counted, dicomweb, rest, viewer, web, web_attempt, web_door

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE
NOT_APPLICABLE, NOT_TESTED = Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED
ALL = {
    "dicomweb": (rules.qido_open, rules.wado_open, rules.stow_open, rules.cors_any),
    "web": (rules.rest_open, rules.viewer_open, rules.viewer_plain_http),
}
EVERY = [(probe, rule) for probe, some in ALL.items() for rule in some]


@pytest.mark.parametrize(("probe", "rule"), EVERY)
def test_silence_is_never_a_pass(probe, rule):
    for outcome, verdict in (
        (Outcome.INCONCLUSIVE, INCONCLUSIVE),
        (Outcome.ERROR, Verdict.ERROR),
        (Outcome.NOT_TESTED, NOT_TESTED),
    ):
        assert rule(web_door(**{probe: outcome}), NOW).verdict is verdict
    assert rule(web_door(), NOW).verdict is NOT_TESTED


@pytest.mark.parametrize(("probe", "rule"), EVERY)
def test_ports_of_other_kinds_are_not_judged(probe, rule):
    for facts in (ANYBODY, CLOSED):
        door = web_door(others=(attempt(facts, port=8042),))
        assert rule(door, NOW).verdict is NOT_APPLICABLE


# --- DICOMweb ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "verdict"),
    [
        (Access.OPEN, FAIL),
        (Access.LOGIN, PASS),
        (Access.ABSENT, NOT_APPLICABLE),
        (Access.UNCLEAR, INCONCLUSIVE),
        (Access.SILENT, INCONCLUSIVE),
    ],
)
def test_queries_are_judged_by_what_a_stranger_met(access, verdict):
    assert rules.qido_open(web_door(dicomweb(access)), NOW).verdict is verdict


def test_an_open_query_says_how_much_lies_behind_it():
    facts = dicomweb(studies=counted(1_234), images=counted(56_789, Exactness.AT_LEAST))
    ruling = rules.qido_open(web_door(facts), NOW)
    assert "/dicom-web" in ruling.evidence
    assert "1,234 studies, at least 56,789 images" in ruling.evidence
    assert ruling.severity is None


def test_a_service_that_ignores_its_filter_is_said_to():
    assert "made-up study" in rules.qido_open(web_door(dicomweb(ignores_filter=True)), NOW).evidence


@pytest.mark.parametrize("field", ["wado", "stow"])
@pytest.mark.parametrize(
    ("access", "verdict"),
    [
        (Access.OPEN, FAIL),
        (Access.LOGIN, PASS),
        (Access.ABSENT, PASS),
        (Access.UNCLEAR, INCONCLUSIVE),
        (Access.SILENT, INCONCLUSIVE),
    ],
)
def test_retrieval_and_storage_are_judged_apart_from_the_query(field, access, verdict):
    rule = rules.wado_open if field == "wado" else rules.stow_open
    assert rule(web_door(dicomweb(**{field: access})), NOW).verdict is verdict


@pytest.mark.parametrize("rule", [rules.wado_open, rules.stow_open])
def test_where_queries_ask_for_a_login_the_rest_is_taken_as_shut(rule):
    assert rule(web_door(dicomweb(Access.LOGIN)), NOW).verdict is PASS
    assert rule(web_door(dicomweb(Access.UNCLEAR)), NOW).verdict is INCONCLUSIVE
    assert rule(web_door(dicomweb(Access.ABSENT)), NOW).verdict is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("cors", "verdict", "words"),
    [
        (Cors.NONE, PASS, "may not read"),
        (Cors.ANY, FAIL, "any site"),
        (Cors.REFLECTED, FAIL, "made-up site"),
        (Cors.REFLECTED_WITH_CREDENTIALS, FAIL, "own login"),
    ],
)
def test_cors_is_judged_where_answers_are_given(cors, verdict, words):
    ruling = rules.cors_any(web_door(dicomweb(cors=cors)), NOW)
    assert ruling.verdict is verdict
    assert words in ruling.evidence
    assert (
        rules.cors_any(web_door(dicomweb(Access.LOGIN, cors=cors)), NOW).verdict is NOT_APPLICABLE
    )


# --- own interfaces ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "verdict"),
    [
        (Access.OPEN, FAIL),
        (Access.LOGIN, PASS),
        (Access.UNCLEAR, INCONCLUSIVE),
        (Access.SILENT, INCONCLUSIVE),
    ],
)
def test_an_archives_interface_is_judged_by_what_a_stranger_met(access, verdict):
    assert rules.rest_open(web_door(web(rest=(rest(access),))), NOW).verdict is verdict
    assert rules.rest_open(web_door(web()), NOW).verdict is NOT_APPLICABLE


def test_an_open_interface_names_product_and_numbers():
    ruling = rules.rest_open(
        web_door(web(rest=(rest(studies=counted(1), images=counted(6)),))), NOW
    )
    assert "Orthanc 1.10.1" in ruling.evidence
    assert "1 study, 6 images" in ruling.evidence


@pytest.mark.parametrize(
    ("address", "says", "severity"),
    [
        ("127.0.0.1", True, Severity.LOW),
        ("127.0.0.1", False, None),
        ("127.0.0.1", None, None),
        ("10.1.2.3", True, None),
    ],
)
def test_what_orthanc_gives_its_own_machine_alone_is_a_small_matter(address, says, severity):
    facts = (
        web(rest=(rest(is_local_only=says),), viewers=(viewer(),)),
        dicomweb(wado=Access.OPEN, stow=Access.OPEN),
    )
    door = web_door(*facts, address=address)
    for rule in (
        rules.rest_open,
        rules.qido_open,
        rules.wado_open,
        rules.stow_open,
        rules.viewer_open,
    ):
        ruling = rule(door, NOW)
        assert (ruling.verdict, ruling.severity) == (FAIL, severity)
        assert ("only this machine" in ruling.evidence) == (severity is not None)


# --- viewers ----------------------------------------------------------------------------------------------------------


def test_a_viewer_fails_where_the_interface_behind_it_is_open_too():
    page = web(viewers=(viewer(),))
    assert rules.viewer_open(web_door(page), NOW).verdict is INCONCLUSIVE
    assert rules.viewer_open(web_door(page, dicomweb()), NOW).verdict is FAIL
    elsewhere = web_attempt(dicomweb(), port=8080)
    assert rules.viewer_open(web_door(page, others=(elsewhere,)), NOW).verdict is FAIL
    shut = web_attempt(dicomweb(Access.LOGIN), port=8080)
    assert rules.viewer_open(web_door(page, others=(shut,)), NOW).verdict is INCONCLUSIVE


def test_a_viewer_with_a_login_passes():
    assert (
        rules.viewer_open(web_door(web(viewers=(viewer(Access.LOGIN),)), dicomweb()), NOW).verdict
        is PASS
    )
    assert (
        rules.viewer_open(web_door(web(viewers=(viewer(Access.UNCLEAR),))), NOW).verdict
        is INCONCLUSIVE
    )
    assert rules.viewer_open(web_door(web()), NOW).verdict is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("over_tls", "access", "verdict", "severity"),
    [
        (False, Access.OPEN, FAIL, None),
        (False, Access.LOGIN, FAIL, Severity.MEDIUM),
        (False, Access.UNCLEAR, INCONCLUSIVE, None),
        (True, Access.OPEN, PASS, None),
    ],
)
def test_a_viewer_over_plain_http(over_tls, access, verdict, severity):
    ruling = rules.viewer_plain_http(
        web_door(web(over_tls=over_tls, viewers=(viewer(access),))), NOW
    )
    assert (ruling.verdict, ruling.severity) == (verdict, severity)
    assert rules.viewer_plain_http(web_door(web()), NOW).verdict is NOT_APPLICABLE
