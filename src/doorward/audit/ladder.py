"""The exposure ladder: which rungs one system reached (docs/grading.md).

Theory of operation: each rung is read from the doors, E6 and E5 from the same DICOM door, or from what the checks of the
web doors found; W1 to W3, T and V are what checks found. Reading (E5, E6) and writing (E7) are separate: a system may reach
E7 and not E5. What only the machine itself is served (a web finding lowered to low) is no rung: no stranger stands there.
"""

from collections.abc import Sequence

from doorward.audit.checks.offers import offered
from doorward.audit.checks.web import lists_studies
from doorward.audit.door import Door, Entry, doors
from doorward.audit.facts import PortState, SystemFacts
from doorward.audit.verdict import Finding, Severity, Verdict

#: Every rung, from the outside in, with its words.
RUNGS = {
    "E0": "filtered: nothing comes back",
    "E1": "a port is open",
    "E2": "speaks DICOM",
    "E3": "accepts any calling and any called AE title",
    "E4": "lets strangers negotiate a query",
    "E5": "answers a study query of a stranger: unprotected",
    "E6": "also lets the stranger negotiate retrieval: downloadable",
    "E7": "lets strangers negotiate storage: writable",
    "W1": "a web viewer opens without a login",
    "W2": "the same over plain HTTP",
    "W3": "lists of files are shown over HTTP, WebDAV or FTP",
    "T": "no TLS, TLS below PS3.15 B.12, or plain DICOM beside TLS",
    "V": "a version with a known weakness (possible or likely, never certain)",
}

#: A risk that somebody signed for is still there.
_BAD = (Verdict.FAIL, Verdict.ACCEPTED)
_WEB_QUERY = ("web_qido_open", "web_rest_open")
_FILES = ("files_listing_open", "files_webdav_open", "files_ftp_anonymous")
_WEAK_TRANSPORT = (
    *("dimse_tls_missing", "dimse_plain_beside_tls", "tls_version_outdated"),
    *("tls_ssl3_offered", "tls_version_old_offered", "tls_profile_b12_missed"),
)
_WEAK_VERSION = (
    *("product_version_vulnerable", "product_web_version_vulnerable"),
    "web_server_outdated",
)


def rungs(system: SystemFacts, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the rungs that a system reached, in the order of ``RUNGS``."""
    tried = doors(system)
    states = {door.state for door in tried}
    has_open = PortState.OPEN in states or any(door.is_dicom for door in tried)
    reached = {
        "E0": not has_open and PortState.FILTERED in states,
        "E1": has_open,
        "E2": any(door.speaks_dicom for door in tried),
        "E3": any(door.admission.entry is Entry.ANYBODY for door in tried),
        "E4": any(answers_query(door) or offered(door, "find") for door in tried),
        "E5": any(answers_query(door) for door in tried) or bool(web_readable(tried, findings)),
        "E6": any(is_downloadable(door) for door in tried)
        or any(web_downloadable(door, findings) for door in tried),
        "E7": any(offered(door, "store") for door in tried)
        or _has_failed(findings, ("web_stow_open",), Severity.HIGH),
        "W1": _has_failed(findings, ("web_viewer_open",), Severity.HIGH),
        # A login that is asked for over plain HTTP is a medium finding, and no open viewer.
        "W2": _has_failed(findings, ("web_viewer_plain_http",), Severity.HIGH),
        "W3": _has_failed(findings, _FILES, Severity.MEDIUM),
        "T": _has_failed(findings, _WEAK_TRANSPORT),
        "V": _has_failed(findings, _WEAK_VERSION),
    }
    return tuple(rung for rung in RUNGS if reached[rung])


def answers_query(door: Door) -> bool:
    """Tell whether a stranger's STUDY query was answered (E5)."""
    return any(exposure.answers_study_query for exposure in door.stranger_exposures)


def is_downloadable(door: Door) -> bool:
    """Tell whether what can be listed can also be fetched, by negotiation (E6)."""
    return answers_query(door) and bool(offered(door, "get", "move"))


def web_readable(tried: Sequence[Door], findings: Sequence[Finding]) -> tuple[Door, ...]:
    """Return the web doors that list studies to strangers, not only to their own machine (E5)."""
    ports = {
        f.port
        for f in findings
        if f.check in _WEB_QUERY and f.verdict in _BAD and f.severity >= Severity.CRITICAL
    }
    return tuple(door for door in tried if door.port in ports and lists_studies(door))


def web_downloadable(door: Door, findings: Sequence[Finding]) -> bool:
    """Tell whether the retrieve service of this web door takes requests without a login (E6)."""
    here = [f for f in findings if f.port == door.port]
    return _has_failed(here, ("web_wado_open",), Severity.HIGH)


def _has_failed(
    findings: Sequence[Finding], checks: Sequence[str], least: Severity = Severity.INFO
) -> bool:
    return any(f.check in checks and f.verdict in _BAD and f.severity >= least for f in findings)
