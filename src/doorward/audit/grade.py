"""One letter for one system, versioned, with its rules as data: docs/grading.md is generated from here.

Theory of operation: 100 points, minus a weight for each failed check (its worst door counts once); then the caps: the
worst of them bounds the letter and the points with it. F is kept for what strangers can read. A system about which a
required question is undecided is not rated, unless what is known already means F: no further answer could make it better.
A signed acceptance changes a verdict, not the danger: it counts here like a fail.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from doorward.audit.door import Door
from doorward.audit.facts import PortState
from doorward.audit.verdict import Finding, Severity, Verdict

GRADE_VERSION = "doorward-grade/1"
NOT_RATED = "not rated"

#: Letter and lowest score, best first.
BANDS = (("A+", 97), ("A", 90), ("B", 80), ("C", 60), ("D", 45), ("E", 30), ("F", 0))

WEIGHTS = {
    Severity.CRITICAL: 60,
    Severity.HIGH: 20,
    Severity.MEDIUM: 8,
    Severity.LOW: 3,
    Severity.INFO: 0,
}

#: Checks that must be decided on every DICOM port, or there is no grade.
REQUIRED = (
    "dimse_ae_accepts_any",
    "dimse_query_unprotected",
    "dimse_store_open",
    "dimse_tls_missing",
)
#: The same for every web port on which something of imaging shows itself.
REQUIRED_ON_THE_WEB = ("web_qido_open", "web_rest_open", "web_viewer_open")

_DECIDED = (Verdict.PASS, Verdict.FAIL, Verdict.ACCEPTED, Verdict.NOT_APPLICABLE)
_BAD = (Verdict.FAIL, Verdict.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The best letter that is left when a check failed with at least this severity."""

    grade: str
    check: str
    severity: Severity
    reason: str


def _cap(grade: str, check: str, reason: str, severity: Severity = Severity.LOW) -> Cap:
    return Cap(grade=grade, check=check, severity=severity, reason=reason)


CAPS = (
    _cap("F", "dimse_query_unprotected", "strangers get answers to study queries (E5)"),
    _cap("F", "dimse_patient_attributes_returned", "strangers get patient attributes"),
    _cap("F", "web_qido_open", "DICOMweb answers queries of strangers (E5)", Severity.CRITICAL),
    _cap("F", "web_wado_open", "DICOMweb would give images to strangers (E6)", Severity.CRITICAL),
    _cap("F", "web_rest_open", "the archive's interface answers strangers", Severity.CRITICAL),
    _cap("F", "fhir_search_open", "FHIR answers searches of strangers", Severity.CRITICAL),
    _cap("F", "files_listing_open", "strangers get the list of image files", Severity.CRITICAL),
    _cap("F", "files_webdav_open", "WebDAV shows strangers the images", Severity.CRITICAL),
    _cap("F", "files_ftp_anonymous", "FTP shows strangers the images", Severity.CRITICAL),
    _cap("F", "db_no_password", "a database lets strangers in", Severity.CRITICAL),
    # Whoever is root, administrator or debugger reads all there is.
    _cap("F", "db_default_account_open", "a database's root has no password", Severity.CRITICAL),
    _cap("F", "auth_default_credentials", "the documented login is accepted", Severity.CRITICAL),
    _cap("F", "web_console_open", "a management console asks for no login", Severity.CRITICAL),
    _cap("F", "web_jdwp_open", "a debugger runs the code of strangers", Severity.CRITICAL),
    _cap("E", "dimse_store_open", "strangers may negotiate storage (E7)"),
    _cap("E", "dimse_retrieve_open", "strangers may negotiate retrieval"),
    _cap("E", "dimse_worklist_open", "strangers may negotiate the worklist"),
    _cap("E", "web_stow_open", "DICOMweb would store what strangers send (E7)", Severity.HIGH),
    _cap("E", "web_wado_uri_open", "WADO-URI takes requests of strangers", Severity.HIGH),
    _cap("E", "web_viewer_open", "a web viewer opens without a login (W1)", Severity.HIGH),
    _cap("E", "fhir_search_open", "FHIR answers searches of strangers", Severity.HIGH),
    _cap("D", "db_no_password", "a database asks its own machine for no password", Severity.HIGH),
    _cap("D", "files_listing_open", "strangers get lists of files (W3)", Severity.HIGH),
    _cap("D", "files_webdav_open", "WebDAV shows folders to strangers (W3)", Severity.HIGH),
    _cap("D", "files_ftp_anonymous", "FTP lets strangers in (W3)", Severity.HIGH),
    _cap("D", "hl7_port_open", "the HL7 port answers strangers", Severity.HIGH),
    _cap("D", "smb_v1_spoken", "version 1 of SMB is spoken", Severity.HIGH),
    _cap("D", "dimse_other_services_open", "strangers may negotiate other services"),
    _cap("D", "dimse_ae_accepts_any", "callers with made-up AE titles are accepted (E3)"),
    _cap("D", "dimse_ae_called_only", "only the called AE title is checked"),
    _cap(
        "D",
        "tls_certificate_untrusted",
        "the certificate's key is shipped with a product",
        Severity.HIGH,
    ),
    _cap("C", "dimse_ae_title_only", "an AE title is all that callers must show"),
    _cap("C", "dimse_tls_missing", "DICOM travels in clear text"),
    _cap("C", "dimse_plain_beside_tls", "plain DICOM stands open beside TLS"),
    _cap("C", "tls_version_outdated", "TLS older than 1.2 is spoken"),
    _cap("C", "tls_cipher_weak", "the cipher suite is weak", Severity.MEDIUM),
    _cap("C", "tls_certificate_weak_key", "the certificate is weak", Severity.MEDIUM),
    _cap("C", "tls_certificate_expired", "the certificate is not valid today", Severity.MEDIUM),
    _cap("C", "web_viewer_plain_http", "a web viewer uses plain HTTP (W2)", Severity.MEDIUM),
    _cap("C", "web_plain_http", "the web side of imaging uses plain HTTP", Severity.MEDIUM),
    _cap("C", "web_cors_any", "pages of any site may read DICOMweb answers", Severity.MEDIUM),
    _cap("C", "files_ftp_plain", "FTP takes passwords in clear text", Severity.HIGH),
    _cap("C", "files_listing_open", "strangers get lists of files", Severity.MEDIUM),
    _cap("C", "files_webdav_open", "WebDAV shows folders to strangers", Severity.MEDIUM),
    _cap("C", "files_ftp_anonymous", "FTP lets strangers in", Severity.MEDIUM),
    _cap("C", "db_port_reachable", "a database can be reached from the internet", Severity.HIGH),
    _cap(
        "C", "share_port_reachable", "file shares can be reached from the internet", Severity.HIGH
    ),
    _cap("C", "ldap_anonymous_bind", "the directory takes anonymous binds", Severity.MEDIUM),
    _cap("C", "tls_ssl3_offered", "SSL 3.0 is accepted"),
    _cap("C", "tls_version_old_offered", "TLS older than 1.2 is accepted", Severity.MEDIUM),
    _cap("C", "tls_suite_broken_offered", "suites without real protection are accepted"),
    _cap("C", "tls_group_dh_small", "Diffie-Hellman runs in a breakable group", Severity.HIGH),
    _cap("C", "tls_chain_weak", "a certificate of the chain is weak", Severity.MEDIUM),
    _cap("C", "tls_chain_expired", "a certificate of the chain is not valid", Severity.MEDIUM),
    _cap("B", "tls_profile_b12_missed", "TLS does not meet PS3.15 B.12", Severity.MEDIUM),
    _cap("B", "tls_suite_small_block_offered", "64-bit blocks are accepted", Severity.MEDIUM),
    _cap(
        "B",
        "product_web_version_vulnerable",
        "the web product likely has a weakness",
        Severity.MEDIUM,
    ),
    _cap("B", "web_server_outdated", "a web server is past its end", Severity.MEDIUM),
    _cap("B", "tls_certificate_untrusted", "clients cannot check the certificate", Severity.MEDIUM),
    _cap(
        "B",
        "product_version_vulnerable",
        "the version likely has a published weakness",
        Severity.MEDIUM,
    ),
    _cap("B", "tls_client_certificate_not_required", "no client certificate is asked for"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A letter with its score and the sentences that explain it."""

    grade: str
    score: int | None
    reasons: tuple[str, ...]


def grade(findings: Sequence[Finding], tried: Sequence[Door]) -> Grade:
    """Return the grade of one system from its findings and the doors that were tried."""
    caps = _caps(findings)
    is_worst = any(cap.grade == "F" for cap in caps)
    gaps = tuple(_gaps(findings, tried))
    if gaps and not is_worst:
        return Grade(grade=NOT_RATED, score=None, reasons=gaps)
    score = _score(findings)
    if not is_worst:
        score = max(score, dict(BANDS)["E"])
    reasons = tuple(_told(caps))
    if not _is_mutual(tried) or _has_failed(findings):
        score = min(score, _top("A"))
        if not caps:
            reasons = (
                "At most A: A+ needs a client certificate on every door and no failed check.",
            )
    for cap in caps:
        score = min(score, _top(cap.grade))
    return Grade(grade=_letter(score), score=score, reasons=reasons)


def _told(caps: Sequence[Cap]) -> Iterator[str]:
    """Yield the sentence of the cap that decides, and one for all others."""
    if not caps:
        return
    worst = caps[0].grade
    yield f"At most {worst}: {'; '.join(cap.reason for cap in caps if cap.grade == worst)}."
    others = [cap.reason for cap in caps if cap.grade != worst]
    if others:
        yield f"Besides: {'; '.join(others)}."


def _caps(findings: Sequence[Finding]) -> tuple[Cap, ...]:
    """Return the caps that apply, the worst first; of several for one check only the worst."""
    gravest: dict[str, Severity] = {}
    for finding in findings:
        if finding.verdict in _BAD:
            before = gravest.get(finding.check, finding.severity)
            gravest[finding.check] = max(before, finding.severity)
    found: dict[str, Cap] = {}
    for cap in CAPS:
        if cap.check in gravest and gravest[cap.check] >= cap.severity:
            found.setdefault(cap.check, cap)
    return tuple(found.values())


def _score(findings: Sequence[Finding]) -> int:
    worst: dict[str, int] = {}
    for finding in findings:
        if finding.verdict in _BAD:
            weight = WEIGHTS[finding.severity]
            worst[finding.check] = max(weight, worst.get(finding.check, 0))
    return max(0, 100 - sum(worst.values()))


def _has_failed(findings: Sequence[Finding]) -> bool:
    return any(f.verdict in _BAD and f.severity > Severity.INFO for f in findings)


def _is_mutual(tried: Sequence[Door]) -> bool:
    dicom = [door for door in tried if door.is_dicom]
    return bool(dicom) and all(door.demands_certificate for door in dicom)


def _top(letter: str) -> int:
    """Return the highest score of a letter's band."""
    index = [name for name, _ in BANDS].index(letter)
    return 100 if index == 0 else BANDS[index - 1][1] - 1


def _letter(score: int) -> str:
    return next(name for name, lowest in BANDS if score >= lowest)


def _gaps(findings: Sequence[Finding], tried: Sequence[Door]) -> Iterator[str]:
    """Yield why there can be no grade; nothing where the coverage is enough."""
    imaging = frozenset(door.port for door in tried if door.shows_imaging)
    if not imaging:
        yield "Not rated: no port was seen to speak DICOM, and no imaging product shows itself."
    for finding in findings:
        if (
            finding.port is not None
            and _is_required(finding, imaging)
            and finding.verdict not in _DECIDED
        ):
            state = finding.verdict.replace("_", " ")
            yield f"Not rated: {finding.check} is {state} on port {finding.port}. {finding.evidence}"
    for door in tried:
        if _is_riddle(door):
            yield f"Not rated: port {door.port} is open, and nobody knows what is behind it."


def _is_required(finding: Finding, imaging: frozenset[int]) -> bool:
    return finding.check in REQUIRED or (
        finding.check in REQUIRED_ON_THE_WEB and finding.port in imaging
    )


def _is_riddle(door: Door) -> bool:
    return (
        door.state is PortState.OPEN
        and not door.is_dicom
        and not door.demands_certificate
        and not door.speaks_other
    )


_INTRODUCTION = f"""# Grades and the exposure ladder

Rules of `{GRADE_VERSION}`. This page is generated from `audit/grade.py` and `audit/ladder.py`.

A grade speaks of what strangers can do from where the audit ran. It starts with 100 points. Each
failed check takes points by its severity (the worst port counts, once per check). Then the caps
bound the letter. F is kept for what strangers can read: points alone lead to E at worst. A signed
acceptance does not change a grade: the danger is the same.
"""

_NO_GRADE = """## Not rated

Silence is no safety. There is no grade when nothing of imaging was seen (no port spoke DICOM, no
imaging product showed itself on the web), when an open port could not be named, or when one of
these checks is undecided (inconclusive, error, not tested) on a DICOM port:
"""

_LADDER = """## The ladder

E5 and E6 (reading) and E7 (writing) are separate. On DICOM ports E6 and E7 rest on negotiation
alone, because nothing is ever retrieved or stored: an archive that agrees to a presentation context
and refuses the request later, as Orthanc does, looks more open than it is. Where the audit sees
that (the query context was accepted and the query refused), the findings say so. On web ports they
rest on requests that cannot succeed: for an instance that does not exist, and without a body.
E5 is also reached where DICOMweb or the archive's own interface lists studies without a login.
What only the machine itself is served is a low finding, and no rung.
"""


def grading_markdown(rungs: Mapping[str, str]) -> str:
    """Return docs/grading.md with the words of the ladder's rungs, ending with a newline."""
    sections = (
        _INTRODUCTION,
        _table("severity | points", (f"{s.label} | {WEIGHTS[s]}" for s in reversed(Severity))),
        _table("grade | from", (f"{letter} | {lowest}" for letter, lowest in BANDS)),
        "A+ needs a client certificate on every DICOM port and no failed check above info.\n",
        "## Caps\n",
        _table(
            "at most | because | check | from severity",
            (f"{c.grade} | {c.reason} | `{c.check}` | {c.severity.label}" for c in CAPS),
        ),
        _NO_GRADE,
        "".join(f"- `{check}`\n" for check in REQUIRED),
        "Or one of these on a web port on which something of imaging shows itself:\n",
        "".join(f"- `{check}`\n" for check in REQUIRED_ON_THE_WEB),
        "What already means F stays F: no further answer could make it better.\n",
        _LADDER,
        _table("rung | meaning", (f"{rung} | {words}" for rung, words in rungs.items())),
    )
    return "\n".join(sections)


def _table(head: str, lines: Iterable[str]) -> str:
    rule = " | ".join("---" for _ in head.split("|"))
    return "\n".join(f"| {line} |" for line in (head, rule, *lines)) + "\n"
