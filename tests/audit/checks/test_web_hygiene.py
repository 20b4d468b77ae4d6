"""What stands around imaging on a web port, judged: clear text, HSTS, old branches, consoles, WADO-URI, a debugger."""

from datetime import UTC, datetime

import pytest

from doorward.audit.checks import web_hygiene as rules
from doorward.audit.facts import Outcome
from doorward.audit.verdict import Severity, Verdict
from doorward.audit.web_facts import (
    Access,
    ConsoleFacts,
    DebuggerFacts,
    Redirect,
    WebFacts,
    WebHygieneFacts,
    WebProduct,
)
from seen import ANYBODY, NOW, attempt
from web_seen import dicomweb, rest, server, viewer, web, web_door

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE
NOT_APPLICABLE, NOT_TESTED = Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED


def hygiene(*consoles, wado_uri=Access.ABSENT):
    return WebHygieneFacts(over_tls=False, consoles=consoles, wado_uri=wado_uri)


@pytest.mark.parametrize(
    ("probe", "rule"),
    [
        ("web", rules.plain_http),
        ("web", rules.hsts_missing),
        ("web", rules.server_outdated),
        ("web_hygiene", rules.console_open),
        ("web_hygiene", rules.wado_uri_open),
        ("debugger", rules.jdwp_open),
    ],
)
def test_silence_is_never_a_pass(probe, rule):
    assert rule(web_door(**{probe: Outcome.INCONCLUSIVE}), NOW).verdict is INCONCLUSIVE
    assert rule(web_door(), NOW).verdict is NOT_TESTED
    assert rule(web_door(others=(attempt(ANYBODY, port=8042),)), NOW).verdict is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("facts", "verdict", "severity"),
    [
        ((web(over_tls=True),), PASS, None),
        ((web(redirect=Redirect.HTTPS),), PASS, None),
        ((web(redirect=Redirect.HTTPS), dicomweb()), FAIL, None),
        ((web(rest=(rest(),)),), FAIL, None),
        ((web(viewers=(viewer(),)),), FAIL, None),
        ((web(), dicomweb()), FAIL, None),
        ((web(products=(server(),)),), FAIL, Severity.LOW),
        ((web(front=Access.UNCLEAR),), INCONCLUSIVE, None),
        ((WebFacts(speaks_http=False, over_tls=False, front=Access.ABSENT),), NOT_APPLICABLE, None),
    ],
)
def test_clear_text_is_judged_by_what_travels_in_it(facts, verdict, severity):
    ruling = rules.plain_http(web_door(*facts), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (web(over_tls=True, hsts_max_age_s=31_536_000), PASS),
        (web(over_tls=True, hsts_max_age_s=60), FAIL),
        (web(over_tls=True, hsts_max_age_s=0), FAIL),
        (web(over_tls=True), FAIL),
        (web(), NOT_APPLICABLE),
    ],
)
def test_hsts_is_judged_over_https_only(facts, verdict):
    assert rules.hsts_missing(web_door(facts), NOW).verdict is verdict


@pytest.mark.parametrize(
    ("product", "verdict", "severity"),
    [
        (server("nginx", "1.18.0"), FAIL, None),
        (server("Microsoft IIS", "7.5"), FAIL, Severity.LOW),
        (server("nginx", "1.28.2"), PASS, None),
        (server("nginx", ""), NOT_TESTED, None),
        (server("lighttpd", "1.4.69"), NOT_TESTED, None),
    ],
)
def test_old_branches_are_possible_trouble(product, verdict, severity):
    # Beside an archive: a web server that carries no imaging is a smaller matter.
    door = web_door(web(products=(product,)), others=(attempt(ANYBODY, port=104),))
    ruling = rules.server_outdated(door, NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)
    if verdict is FAIL:
        assert "Possibly" in ruling.evidence


@pytest.mark.parametrize(
    "seen", (web(), WebFacts(speaks_http=False, over_tls=True, front=Access.ABSENT))
)
def test_a_server_that_names_nothing_has_no_version_to_look_up(seen):
    assert rules.server_outdated(web_door(seen), NOW).verdict is NOT_APPLICABLE


def test_an_old_server_without_any_imaging_is_a_small_matter():
    ruling = rules.server_outdated(web_door(web(products=(server("nginx", "1.18.0"),))), NOW)
    assert (ruling.verdict, ruling.severity) == (FAIL, Severity.LOW)


def test_old_is_a_question_of_the_day():
    door = web_door(web(products=(server("nginx", "1.18.0"),)))
    assert rules.server_outdated(door, datetime(2021, 4, 1, tzinfo=UTC)).verdict is PASS


@pytest.mark.parametrize(
    ("access", "verdict", "severity"),
    [
        (Access.OPEN, FAIL, None),
        (Access.LOGIN, FAIL, Severity.LOW),
        (Access.UNCLEAR, INCONCLUSIVE, None),
        (Access.SILENT, INCONCLUSIVE, None),
    ],
)
def test_a_console_is_worst_without_a_login(access, verdict, severity):
    console = ConsoleFacts(console="Tomcat manager", path="/manager/html", access=access)
    ruling = rules.console_open(web_door(hygiene(console)), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


def test_no_console_passes():
    assert rules.console_open(web_door(hygiene()), NOW).verdict is PASS


@pytest.mark.parametrize(
    ("access", "verdict"),
    [
        (Access.OPEN, FAIL),
        (Access.LOGIN, PASS),
        (Access.UNCLEAR, INCONCLUSIVE),
        (Access.SILENT, INCONCLUSIVE),
        (Access.ABSENT, NOT_APPLICABLE),
    ],
)
def test_wado_uri(access, verdict):
    assert rules.wado_uri_open(web_door(hygiene(wado_uri=access)), NOW).verdict is verdict


def test_orthanc_does_not_tell_whether_wado_uri_is_on():
    orthanc = WebProduct(
        product="Orthanc",
        key="orthanc",
        kind="archive",
        version="",
        certainty="likely",
        shown_by="system",
    )
    door = web_door(hygiene(), web(products=(orthanc,)))
    assert rules.wado_uri_open(door, NOW).verdict is INCONCLUSIVE


def test_a_debugger():
    assert rules.jdwp_open(web_door(DebuggerFacts(is_jdwp=True)), NOW).verdict is FAIL
    assert rules.jdwp_open(web_door(DebuggerFacts(is_jdwp=False)), NOW).verdict is PASS
    assert rules.jdwp_open(web_door(web()), NOW).verdict is NOT_APPLICABLE
