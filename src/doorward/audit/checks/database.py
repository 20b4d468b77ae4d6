"""Databases beside an archive: reachable, let strangers in, in clear text.

Theory of operation: whoever tried to come in was a user that does not exist, so a pass says that a stranger is asked for a
password, not that every account has one. Where the handshake does not show it (SQL Server, Oracle) there is no verdict.
"""

from collections.abc import Callable
from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    passed,
    unasked,
)
from doorward.audit.checks.vantage import FROM, REACHED, Vantage, vantage
from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.door import Door
from doorward.audit.verdict import Severity
from doorward.greetings.conversation import Access

PROBE = "databases"
#: What a port should speak, for people.
NAMES = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "mssql": "SQL Server",
    "oracle": "an Oracle listener",
    "mongodb": "MongoDB",
    "redis": "Redis",
    "elasticsearch": "Elasticsearch",
    "ldap": "LDAP",
}
_MUTE = ("mssql", "oracle")
#: Protocols whose accounts with an empty password are documented (default credentials).
_WITH_DEFAULT_ACCOUNT = ("mysql",)
DatabaseRule = Callable[[Door, DatabaseFacts], Ruling]


def _about_a_database(check_id: str) -> Callable[[DatabaseRule], DatabaseRule]:
    """Bind a rule that reads the facts of a recognised database; for other ports the answer is the same for all."""

    def bind(rule: DatabaseRule) -> DatabaseRule:
        def asked(door: Door, _now: datetime) -> Ruling:
            facts = next(iter(door.answered(DatabaseFacts)), None)
            if facts is None:
                return unasked(door, PROBE)
            if not facts.is_open:
                return not_applicable(f"Port {door.port} is closed.")
            if not facts.is_recognised:
                return not_applicable(_something_else(door, facts))
            return rule(door, facts)

        check(check_id, per=Per.ASKED)(asked)
        return rule

    return bind


def _something_else(door: Door, facts: DatabaseFacts) -> str:
    return f"Port {door.port} answers, but not as {NAMES[facts.protocol]}."


def _called(facts: DatabaseFacts) -> str:
    return f"{facts.product} {facts.version}".strip()


@check("db_port_reachable", per=Per.ASKED)
def port_reachable(door: Door, _now: datetime) -> Ruling:
    """Judge that a database answers at all."""
    facts = next(iter(door.answered(DatabaseFacts)), None)
    if facts is None:
        return unasked(door, PROBE)
    if not facts.is_open:
        return passed(f"Port {door.port} is closed: the connection was refused.")
    if not facts.is_recognised:
        return not_applicable(_something_else(door, facts))
    seen_from = vantage(door.system.address)
    return failed(
        f"{_called(facts)} answers on port {door.port}.{FROM[seen_from]}", REACHED[seen_from]
    )


@_about_a_database("db_no_password")
def no_password(door: Door, facts: DatabaseFacts) -> Ruling:
    """Judge how far a user came who does not exist."""
    if facts.protocol == "ldap":
        return not_applicable("LDAP has an anonymous bind for this: see ldap_anonymous_bind.")
    if facts.protocol in _MUTE:
        return not_tested(
            f"The handshake of {facts.product} does not show whether accounts have passwords."
        )
    return _entry(door, facts, "A made-up user without a password")


@_about_a_database("ldap_anonymous_bind")
def anonymous_bind(door: Door, facts: DatabaseFacts) -> Ruling:
    """Judge the anonymous bind (RFC 4513 section 5.1.1)."""
    if facts.protocol != "ldap":
        return not_applicable(f"{facts.product} is no directory.")
    return _entry(door, facts, "An anonymous bind")


def _entry(door: Door, facts: DatabaseFacts, who: str) -> Ruling:
    ways = {"": facts.plain, " over TLS": facts.secured}
    tried = {words: access for words, access in ways.items() if access is not None}
    let_in = [words for words, access in tried.items() if access is Access.OPEN]
    code = f" (answer {facts.code})" if facts.code else ""
    if let_in:
        return _let_in(door, f"{who} was let in{let_in[0]} on port {door.port}.")
    if not tried or Access.UNKNOWN in tried.values():
        return inconclusive(f"{who} got an answer that does not say whether it may enter{code}.")
    if Access.DEMANDED in tried.values():
        method = f" ({facts.method})" if facts.method else code
        return passed(f"{who} was asked for proof{method}.")
    method = f" ({facts.method})" if facts.method else code
    return passed(f"{who} was turned away{method}.")


def _let_in(door: Door, evidence: str) -> Ruling:
    if vantage(door.system.address) is not Vantage.ITSELF:
        return failed(evidence)
    # Rules for the machine itself are often laxer: pg_hba.conf for 127.0.0.1, the protected mode of Redis.
    return failed(
        f"{evidence} It was asked from the machine itself; others may be treated differently.",
        Severity.HIGH,
    )


@_about_a_database("db_default_account_open")
def default_account_open(_door: Door, facts: DatabaseFacts) -> Ruling:
    """Judge the documented account without a password (clearance level 3, and only when asked for)."""
    if facts.protocol not in _WITH_DEFAULT_ACCOUNT:
        return not_applicable(f"{facts.product} has no documented account with an empty password.")
    match facts.default_account:
        case None:
            return not_tested("Default credentials were not to be tried in this audit.")
        case Access.OPEN:
            return failed("The account root was let in without a password, in one attempt.")
        case Access.UNKNOWN:
            return inconclusive("The answer does not say whether root may enter.")
    return passed("The account root was refused without a password.")


@_about_a_database("db_tls_missing")
def tls_missing(door: Door, facts: DatabaseFacts) -> Ruling:
    """Judge whether what is asked and answered travels in clear text."""
    if facts.offers_tls is None:
        return _unseen_tls(facts)
    seen_from = vantage(door.system.address)
    if not facts.offers_tls:
        evidence = f"{_called(facts)} offers no TLS on port {door.port}."
        return failed(f"{evidence}{FROM[seen_from]}", min(Severity.MEDIUM, REACHED[seen_from]))
    version = f" ({facts.tls_version})" if facts.tls_version else ""
    if facts.protocol == "mssql" and not facts.demands_tls:
        return failed("TLS is offered, but without it the login alone is encrypted.", Severity.LOW)
    if facts.demands_tls or facts.plain in (None, Access.REFUSED):
        return passed(f"TLS{version} is offered, and plain text leads nowhere.")
    if facts.plain is Access.UNKNOWN:
        return inconclusive(f"TLS{version} is offered; what plain text meets is not known.")
    if facts.protocol == "mysql" and facts.plain is Access.DEMANDED:
        return not_tested(
            f"TLS{version} is offered; whether it is demanded shows only after the password."
        )
    return failed(f"TLS{version} is offered, but plain text is taken too.", Severity.LOW)


def _unseen_tls(facts: DatabaseFacts) -> Ruling:
    if facts.protocol == "oracle":
        return not_tested("The encryption of Oracle's own network protocol is not visible here.")
    return inconclusive("The answers do not say whether TLS is offered.")
