"""What stands around the imaging on a web port: clear text, old servers, consoles, a debugger, WADO-URI."""

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
from doorward.audit.checks.web import no_web, open_roots
from doorward.audit.door import Door, shows_imaging
from doorward.audit.verdict import Severity
from doorward.audit.web_facts import (
    Access,
    DebuggerFacts,
    DicomWebFacts,
    Redirect,
    WebFacts,
    WebHygieneFacts,
)
from doorward.knowledge.end_of_life import Branch, branches, ended

#: Half a year: what a browser should remember at the least; hstspreload.org asks for a whole one.
_HSTS_S = 15_768_000


@check("web_plain_http", per=Per.ASKED)
def plain_http(door: Door, _now: datetime) -> Ruling:
    """Judge whether the web side of imaging travels in clear text."""
    seen = [facts for facts in door.answered(WebFacts) if facts.speaks_http]
    if not door.answered(WebFacts):
        return no_web(door, "web")
    if not seen:
        return not_applicable(f"Port {door.port} speaks no HTTP.")
    plain = [facts for facts in seen if not facts.over_tls]
    if not plain:
        return passed("HTTP was met over TLS only on this port.")
    if all(facts.redirect is Redirect.HTTPS for facts in plain) and not open_roots(door):
        return passed("Plain HTTP only sends its visitors to HTTPS.")
    has_imaging = any(facts.has_imaging for facts in plain) or bool(open_roots(door))
    if has_imaging:
        return failed("The web side of an imaging system answers over plain HTTP.")
    if all(facts.front is Access.UNCLEAR for facts in plain):
        return inconclusive("Plain HTTP is answered, but not in a way that shows a service.")
    return failed("A web server on this system answers over plain HTTP.", Severity.LOW)


@check("web_hsts_missing", per=Per.ASKED)
def hsts_missing(door: Door, _now: datetime) -> Ruling:
    """Judge Strict-Transport-Security (RFC 6797)."""
    seen = door.answered(WebFacts)
    if not seen:
        return no_web(door, "web")
    secured = [facts for facts in seen if facts.speaks_http and facts.over_tls]
    if not secured:
        return not_applicable("No HTTPS was met on this port.")
    age = min((facts.hsts_max_age_s or 0) for facts in secured)
    if age >= _HSTS_S:
        return passed(f"Browsers are told for {age // 86_400} days to come over HTTPS only.")
    if age:
        return failed(
            f"Browsers are told to come over HTTPS only, but for {age:,} s and no longer."
        )
    return failed("The answer over HTTPS has no Strict-Transport-Security header, or one of age 0.")


@check("web_server_outdated", per=Per.ASKED)
def server_outdated(door: Door, now: datetime) -> Ruling:
    """Compare the versions that web servers name with the end of their branches (rung V)."""
    seen = door.answered(WebFacts)
    if not seen:
        return no_web(door, "web")
    if not any(facts.speaks_http for facts in seen):
        return not_applicable(f"Port {door.port} speaks no HTTP.")
    servers = [p for facts in seen for p in facts.products if p.kind == "server"]
    if not servers:
        return not_applicable("The web server does not name itself to a stranger.")
    named = [product for product in servers if product.version]
    if not named:
        return not_tested("No web server here names its version.")
    old = [(p, branch) for p in named if (branch := ended(p.product, p.version, now.date()))]
    if old:
        words = "; ".join(f"{p.product} {p.version} ({_words(branch)})" for p, branch in old)
        is_sure = any(branch.mark == "S" for _, branch in old)
        return failed(
            f"Possibly past its end: {words}. A distribution may repair it under its old number.",
            None if is_sure and shows_imaging(door.system) else Severity.LOW,
        )
    known = {branch.software for branch in branches()}
    judged = [p for p in named if p.product in known]
    if not judged:
        return not_tested(f"No end of life is known to us for {named[0].product}.")
    return passed(f"{judged[0].product} {judged[0].version}: no end of its branch is known to us.")


@check("web_console_open", per=Per.ASKED)
def console_open(door: Door, _now: datetime) -> Ruling:
    """Judge management consoles: open, or merely reachable."""
    seen = door.answered(WebHygieneFacts)
    if not seen:
        return no_web(door, "web_hygiene")
    consoles = [console for facts in seen for console in facts.consoles]
    opened = [c for c in consoles if c.access is Access.OPEN]
    if opened:
        return failed(f"{opened[0].console} ({opened[0].path}) answers without a login.")
    reachable = [c for c in consoles if c.access is Access.LOGIN]
    if reachable:
        return failed(
            f"{reachable[0].console} ({reachable[0].path}) can be reached from here; it asks for a "
            "login.",
            Severity.LOW,
        )
    if any(c.access in (Access.SILENT, Access.UNCLEAR) for c in consoles):
        return inconclusive("Not every answer was clear enough to tell whether a console is there.")
    return passed("None of the management consoles that we know answers here.")


@check("web_wado_uri_open", per=Per.ASKED)
def wado_uri_open(door: Door, _now: datetime) -> Ruling:
    """Judge /wado, asked without naming an instance."""
    seen = door.answered(WebHygieneFacts)
    if not seen:
        return no_web(door, "web_hygiene")
    met = {facts.wado_uri for facts in seen}
    if Access.OPEN in met:
        return failed("/wado takes requests without a login: it refused one for its form alone.")
    if met & {Access.SILENT, Access.UNCLEAR}:
        return inconclusive("The answer of /wado does not tell whether it asks for a login.")
    if Access.LOGIN in met:
        return passed("/wado asks strangers for a login.")
    if any(p.key == "orthanc" for facts in door.answered(WebFacts) for p in facts.products):
        return inconclusive(
            "/wado answers like any made-up path. Orthanc does so also where WADO-URI is on, and "
            "telling the two apart would need a true identifier."
        )
    return not_applicable("/wado answers like any made-up path.")


@check("web_jdwp_open", per=Per.ASKED)
def jdwp_open(door: Door, _now: datetime) -> Ruling:
    """Judge the handshake of the Java debugger."""
    seen = door.answered(DebuggerFacts)
    if not seen:
        if door.is_dicom or bool(door.answered(WebFacts)) or bool(door.answered(DicomWebFacts)):
            return not_applicable(f"Port {door.port} speaks another protocol.")
        return unasked(door, "debugger")
    if any(facts.is_jdwp for facts in seen):
        return failed(
            f"Port {door.port} shakes hands as a Java debugger (JDWP), which asks nobody for a "
            "password and runs any code. Nothing was sent after the handshake."
        )
    return passed(f"Port {door.port} does not answer the handshake of the Java debugger.")


def _words(branch: Branch) -> str:
    return f"branch {branch.branch} ended on {branch.ends}"
