"""Databases: every answer to a made-up user has one verdict, and no silence passes."""

from dataclasses import replace

import pytest

from doorward.audit.checks import rule_of
from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.door import Door
from doorward.audit.facts import Attempt, Endpoint, Outcome, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.verdict import Severity, Verdict
from doorward.greetings.conversation import Access
from seen import NOW

INSIDE, PUBLIC, ITSELF = "10.1.2.3", "8.8.8.8", "127.0.0.1"
POSTGRESQL = DatabaseFacts(
    protocol="postgresql",
    is_recognised=True,
    product="PostgreSQL",
    version="15.6",
    plain=Access.DEMANDED,
    method="scram-sha-256",
    offers_tls=False,
)
REFUSED = DatabaseFacts(protocol="redis", is_open=False)
OTHER = DatabaseFacts(protocol="redis")
LDAP = replace(POSTGRESQL, protocol="ldap", product="OpenLDAP", method="", code="48")
ALL = ("db_port_reachable", "db_no_password", "db_default_account_open", "db_tls_missing")
ALL += ("ldap_anonymous_bind",)


def system(facts, *, address=INSIDE, outcome=Outcome.ANSWERED):
    made = Attempt(
        probe="databases",
        endpoint=Endpoint(address=address, port=5432),
        outcome=outcome,
        reason="" if outcome is Outcome.ANSWERED else "no answer in 15 s",
        facts=facts,
    )
    return SystemFacts(address=address, name="", clearance_level=2, attempts=(made,))


def ruled(check, facts=POSTGRESQL, **changes):
    how = {key: changes.pop(key) for key in ("address", "outcome") if key in changes}
    facts = replace(facts, **changes) if facts is not None else None
    return rule_of(check).rule(Door(system=system(facts, **how), port=5432), NOW)


def verdict(*args, **how):
    return ruled(*args, **how).verdict


# --- reachable --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "severity"),
    ((PUBLIC, Severity.HIGH), (INSIDE, Severity.MEDIUM), (ITSELF, Severity.LOW)),
)
def test_a_database_that_answers_is_the_graver_the_more_can_reach_it(address, severity):
    ruling = ruled("db_port_reachable", address=address)
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, severity)
    assert "PostgreSQL 15.6 answers on port 5432" in ruling.evidence


def test_a_refused_connection_passes():
    assert verdict("db_port_reachable", REFUSED) is Verdict.PASS


# --- without a password -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "secured", "expected"),
    (
        (Access.OPEN, None, Verdict.FAIL),
        (Access.DEMANDED, None, Verdict.PASS),
        (Access.REFUSED, None, Verdict.PASS),
        (Access.UNKNOWN, None, Verdict.INCONCLUSIVE),
        (None, None, Verdict.INCONCLUSIVE),
        (Access.REFUSED, Access.OPEN, Verdict.FAIL),
        (Access.OPEN, Access.DEMANDED, Verdict.FAIL),
        (Access.OPEN, Access.UNKNOWN, Verdict.FAIL),
        (Access.DEMANDED, Access.UNKNOWN, Verdict.INCONCLUSIVE),
        (Access.REFUSED, Access.DEMANDED, Verdict.PASS),
        (None, Access.DEMANDED, Verdict.PASS),
    ),
)
def test_the_worst_way_in_decides_and_what_is_unknown_never_passes(plain, secured, expected):
    assert verdict("db_no_password", plain=plain, secured=secured) is expected
    assert verdict("ldap_anonymous_bind", LDAP, plain=plain, secured=secured) is expected


def test_the_evidence_says_which_way_and_how():
    assert "over TLS" in ruled("db_no_password", plain=Access.REFUSED, secured=Access.OPEN).evidence
    assert "(scram-sha-256)" in ruled("db_no_password").evidence
    assert "(answer 48)" in ruled("ldap_anonymous_bind", LDAP).evidence
    turned = ruled("db_no_password", plain=Access.REFUSED, method="", code="28000")
    assert turned.evidence == "A made-up user without a password was turned away (answer 28000)."


def test_the_machine_itself_may_be_treated_better_than_others():
    assert ruled("db_no_password", plain=Access.OPEN).severity is None
    ruling = ruled("db_no_password", plain=Access.OPEN, address=ITSELF)
    assert ruling.severity is Severity.HIGH
    assert "others may be treated differently" in ruling.evidence


@pytest.mark.parametrize("protocol", ("mssql", "oracle"))
def test_a_handshake_that_shows_no_passwords_gives_no_verdict(protocol):
    assert verdict("db_no_password", protocol=protocol, plain=Access.UNKNOWN) is Verdict.NOT_TESTED


def test_a_directory_and_a_database_have_each_their_own_question():
    assert verdict("db_no_password", LDAP) is Verdict.NOT_APPLICABLE
    assert verdict("ldap_anonymous_bind") is Verdict.NOT_APPLICABLE


# --- default account --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "expected"),
    (
        (None, Verdict.NOT_TESTED),
        (Access.OPEN, Verdict.FAIL),
        (Access.DEMANDED, Verdict.PASS),
        (Access.REFUSED, Verdict.PASS),
        (Access.UNKNOWN, Verdict.INCONCLUSIVE),
    ),
)
def test_the_documented_account_is_judged_only_where_it_was_tried(access, expected):
    found = verdict("db_default_account_open", protocol="mysql", default_account=access)
    assert found is expected


def test_a_database_without_such_an_account_is_not_asked():
    assert verdict("db_default_account_open") is Verdict.NOT_APPLICABLE


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected", "severity"),
    (
        ({"offers_tls": False}, Verdict.FAIL, Severity.MEDIUM),
        ({"offers_tls": False, "address": ITSELF}, Verdict.FAIL, Severity.LOW),
        ({"offers_tls": True}, Verdict.FAIL, Severity.LOW),
        ({"offers_tls": True, "plain": Access.OPEN}, Verdict.FAIL, Severity.LOW),
        ({"offers_tls": True, "plain": Access.REFUSED}, Verdict.PASS, None),
        ({"offers_tls": True, "plain": None}, Verdict.PASS, None),
        ({"offers_tls": True, "demands_tls": True}, Verdict.PASS, None),
        ({"offers_tls": True, "plain": Access.UNKNOWN}, Verdict.INCONCLUSIVE, None),
        ({"offers_tls": None}, Verdict.INCONCLUSIVE, None),
        ({"offers_tls": None, "protocol": "oracle"}, Verdict.NOT_TESTED, None),
        ({"offers_tls": True, "protocol": "mysql"}, Verdict.NOT_TESTED, None),
        (
            {"offers_tls": True, "protocol": "mysql", "plain": Access.OPEN},
            Verdict.FAIL,
            Severity.LOW,
        ),
        (
            {"offers_tls": True, "protocol": "mssql", "plain": Access.UNKNOWN},
            Verdict.FAIL,
            Severity.LOW,
        ),
        (
            {"offers_tls": True, "protocol": "mssql", "plain": Access.UNKNOWN, "demands_tls": True},
            Verdict.PASS,
            None,
        ),
    ),
)
def test_clear_text_fails_and_more_mildly_where_tls_is_offered(changes, expected, severity):
    ruling = ruled("db_tls_missing", **changes)
    assert (ruling.verdict, ruling.severity) == (expected, severity)


# --- ports that say nothing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", ALL)
def test_silence_never_passes(check):
    for facts in (None, OTHER):
        ruling = ruled(check, facts, outcome=Outcome.INCONCLUSIVE)
        assert ruling.verdict is Verdict.INCONCLUSIVE
        assert "no answer in 15 s" in ruling.evidence


@pytest.mark.parametrize("check", ALL)
def test_another_protocol_on_the_port_is_none_of_their_business(check):
    assert verdict(check, OTHER) is Verdict.NOT_APPLICABLE
    assert "not as Redis" in ruled(check, OTHER).evidence


@pytest.mark.parametrize("check", ALL[1:])
def test_a_closed_port_is_none_of_their_business(check):
    assert verdict(check, REFUSED) is Verdict.NOT_APPLICABLE


# --- in the whole -----------------------------------------------------------------------------------------------------


def test_the_remedy_is_that_of_the_product_and_the_service_is_named():
    judged = judge(system(replace(POSTGRESQL, plain=Access.OPEN)), now=NOW)
    found = {f.check: f for f in judged.findings if f.verdict is Verdict.FAIL}
    assert "pg_hba.conf" in found["db_no_password"].remediation
    assert found["db_no_password"].severity is Severity.CRITICAL
    (service,) = judged.services
    assert (service.protocol, service.product) == ("postgresql", "PostgreSQL 15.6")


def test_a_system_without_a_database_has_one_line_for_each_check_and_no_verdict():
    judged = judge(SystemFacts(address=INSIDE, name="", clearance_level=2, attempts=()), now=NOW)
    found = [f for f in judged.findings if f.check in ALL]
    assert {(f.check, f.verdict, f.port) for f in found} == {
        (check, Verdict.NOT_TESTED, None) for check in ALL
    }
