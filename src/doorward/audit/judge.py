"""Facts of one system in, verdicts out: every check of the catalogue is asked, and every one answers.

Theory of operation: pure. A rule is asked once per port or once per DICOM port; where there is none, the checks say why
(closed, another protocol, silence), and never pass. Time is an argument, so an old scan can be judged anew.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from doorward.audit.checks import CATALOGUE, Per, rule_of
from doorward.audit.checks.ruling import Ruling, not_applicable, not_tested, unanswered
from doorward.audit.door import Door, doors
from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness, PortState, SystemFacts
from doorward.audit.grade import grade
from doorward.audit.ladder import answers_query, is_downloadable, rungs
from doorward.audit.verdict import (
    Check,
    Counts,
    Finding,
    JudgedSystem,
    Service,
    Severity,
    Verdict,
)

_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.ACCEPTED,
    Verdict.NOT_TESTED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)
_NEEDS_ACTION = (Verdict.FAIL, Verdict.ACCEPTED)
_NEEDS_RETEST = (*_NEEDS_ACTION, Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.NOT_TESTED)

_REMEDY_HEADINGS = {
    "orthanc": "If it is Orthanc",
    "dcm4chee": "If it is dcm4chee-arc",
    "dcmtk": "If it is dcmqrscp or storescp of DCMTK",
    "conquest": "If it is ConQuest",
    "dicoogle": "If it is Dicoogle",
    "nginx": "If it is nginx",
    "apache": "If it is Apache httpd",
    "lighttpd": "If it is lighttpd",
    "iis": "If it is Microsoft IIS",
    "python": "If it is Python's http.server",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A risk that somebody signed for: turns a matching fail into ``accepted`` until the day is over."""

    check: str
    owner: str
    reason: str
    until: date | None = None
    address: str = ""  # "": every system
    port: int | None = None  # None: every port

    def covers(self, finding: Finding, address: str, today: date) -> bool:
        """Tell whether this signature is about the finding and still valid."""
        return (
            self.check == finding.check
            and self.address in ("", address)
            and self.port in (None, finding.port)
            and (self.until is None or today <= self.until)
        )


def judge(
    system: SystemFacts, *, now: datetime, accepted: Sequence[Acceptance] = ()
) -> JudgedSystem:
    """Return the judged system; ``now`` is aware and decides on certificates and acceptances."""
    tried = doors(system)
    findings = [_signed(f, system, now, accepted) for f in _findings(system, tried, now)]
    findings.sort(key=_worst_first)
    graded = grade(findings, tried)
    return JudgedSystem(
        facts=system,
        services=tuple(_service(door) for door in tried),
        counts=_counts(tried),
        rungs=rungs(system, findings),
        findings=tuple(findings),
        grade=graded.grade,
        score=graded.score,
        grade_reasons=graded.reasons,
    )


def _worst_first(finding: Finding) -> tuple[int, int, str, int]:
    order = _WORST_FIRST.index(finding.verdict)
    return order, -finding.severity, finding.check, finding.port or 0


# --- findings ---------------------------------------------------------------------------------------------------------


def _findings(system: SystemFacts, tried: Sequence[Door], now: datetime) -> Iterator[Finding]:
    dicom = tuple(door for door in tried if door.is_dicom)
    for check in CATALOGUE:
        bound = rule_of(check.id)
        places = {
            Per.PORT: tried,
            Per.DOOR: dicom,
            Per.ASKED: tuple(door for door in tried if door.attempts(check.probe)),
            Per.SYSTEM: tried[:1],
        }[bound.per]
        if not places and bound.per is Per.ASKED:
            yield _finding(check, not_tested("No port was asked this question."), system, None)
        elif not places:
            yield _finding(check, _without_dicom(system, tried), system, None)
        for door in places:
            place = None if bound.per is Per.SYSTEM else door
            yield _finding(check, bound.rule(door, now), system, place)


def _finding(check: Check, ruling: Ruling, system: SystemFacts, door: Door | None) -> Finding:
    severity = check.severity if ruling.severity is None else min(check.severity, ruling.severity)
    needs_action = ruling.verdict in _NEEDS_ACTION
    return Finding(
        check=check.id,
        verdict=ruling.verdict,
        severity=Severity(severity),
        title=check.problem if ruling.verdict is Verdict.FAIL else check.title,
        evidence=ruling.evidence,
        remediation=_remedy(check, door) if needs_action else "",
        references=check.references,
        port=None if door is None else door.port,
        verify=_verify(check, system, door) if ruling.verdict in _NEEDS_RETEST else "",
    )


def _without_dicom(system: SystemFacts, tried: Sequence[Door]) -> Ruling:
    """Say why the DICOM checks have no door to be asked about; silence stays silence."""
    if tried and all(_is_settled(door) for door in tried):
        return not_applicable(
            "No port of this system speaks DICOM: all are closed or speak another protocol."
        )
    open_ended = {door.port for door in tried if not _is_settled(door)}
    attempts = tuple(a for a in system.of("association") if a.endpoint.port in open_ended)
    return unanswered(attempts, level=system.clearance_level)


def _is_settled(door: Door) -> bool:
    """Tell whether an answer shows that this port speaks no DICOM."""
    return door.state is PortState.CLOSED or bool(door.speaks_other)


def _remedy(check: Check, door: Door | None) -> str:
    """Return the text for the product at hand; both, with headings, where two products look alike."""
    keys = [k for k in (door.remedies if door else ()) if k in check.remediation]
    if not keys:
        return check.remediation["generic"]
    if len(keys) == 1:
        return check.remediation[keys[0]]
    return "\n".join(f"{_REMEDY_HEADINGS[key]}: {check.remediation[key]}" for key in keys)


def _verify(check: Check, system: SystemFacts, door: Door | None) -> str:
    """Return the exact command that asks again."""
    try:
        address = ipaddress.ip_address(system.address)
    except ValueError:  # a name that was never resolved
        return ""
    target = f"[{address}]" if address.version == 6 else str(address)
    if door is not None:
        target = f"{target}:{door.port}"
    command = check.verify.replace("ADDRESS:PORT", target)
    return command if address.is_loopback else f"{command} --scope SCOPE.toml"


def _signed(
    finding: Finding, system: SystemFacts, now: datetime, accepted: Sequence[Acceptance]
) -> Finding:
    if finding.verdict is not Verdict.FAIL:
        return finding
    for acceptance in accepted:
        if acceptance.covers(finding, system.address, now.date()):
            until = "" if acceptance.until is None else f" until {acceptance.until}"
            words = f"Accepted by {acceptance.owner}{until}: {acceptance.reason}"
            return replace(
                finding, verdict=Verdict.ACCEPTED, evidence=f"{finding.evidence} {words}"
            )
    return finding


# --- services and counts ----------------------------------------------------------------------------------------------


def _service(door: Door) -> Service:
    if door.database is not None:
        return Service(
            port=door.port,
            protocol=door.database.protocol,
            tls=door.database.tls_version,
            product=f"{door.database.product} {door.database.version}".strip(),
            version=door.database.version,
            confidence="claim",
        )
    found = door.identification
    return Service(
        port=door.port,
        protocol=_protocol(door),
        tls="" if door.tls is None else door.tls.version,
        product=found.described,
        version=found.version,
        toolkit=found.toolkit,
        confidence=found.confidence,
    )


def _protocol(door: Door) -> str:
    if door.share is not None:
        return door.share.protocol
    if door.speaks_plain_dicom:
        return "dicom"
    if door.speaks_dicom:
        return "dicom-tls"
    if door.speaks_other not in ("", "unknown"):
        return door.speaks_other
    if door.speaks_tls or any(r.looks_like == "tls" for r in door.replies()):
        return "tls"
    if door.state is None:
        return "not_tested"
    return "unknown" if door.state is PortState.OPEN else door.state.value


def _counts(tried: Sequence[Door]) -> Counts:
    """Return the numbers of the door that shows most: several doors of one system show one archive."""
    exposed = [
        (exposure, door)
        for door in tried
        if answers_query(door)
        for exposure in door.stranger_exposures
        if exposure.answers_study_query
    ]
    if not exposed:
        return Counts()
    most, _ = max(exposed, key=lambda pair: pair[0].studies.value or 0)
    images = [exposure.images for exposure, door in exposed if is_downloadable(door)]
    return Counts(
        patients=most.patients,
        studies=most.studies,
        images=most.images,
        images_downloadable=_downloadable(images, [door for _, door in exposed]),
    )


def _downloadable(images: Sequence[Count], exposed: Sequence[Door]) -> Count:
    if images:
        most = max(images, key=lambda count: count.value or 0)
        return replace(most, method=f"{most.method}; retrieval was accepted in negotiation")
    if all(door.stranger_capabilities for door in exposed):
        return Count(
            value=0, exactness=Exactness.EXACT_ENUMERATED, method="no retrieve context was accepted"
        )
    return UNKNOWN_COUNT
