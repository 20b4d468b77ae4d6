"""Facts of one system in, verdicts out: every check of the catalogue is asked, and every one answers.

Theory of operation: pure. A rule is asked once per port or once per DICOM port; where there is none, the checks say why
(closed, another protocol, silence), and never pass. Time is an argument, so an old scan can be judged anew.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache

from doorward.audit.checks import CATALOGUE, Per, rule_of
from doorward.audit.checks.ruling import (
    NO_PORT_ASKED,
    NO_PORT_SPEAKS_DICOM,
    Ruling,
    not_applicable,
    not_tested,
    unanswered,
)
from doorward.audit.door import Door, doors, shows_imaging
from doorward.audit.facts import PortState, SystemFacts
from doorward.audit.grade import grade
from doorward.audit.holdings import holdings
from doorward.audit.ladder import rungs
from doorward.audit.services import service_of
from doorward.audit.verdict import Check, Finding, JudgedSystem, Severity, Verdict

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
        services=tuple(service_of(door) for door in tried),
        counts=holdings(tried, findings),
        rungs=rungs(system, findings),
        findings=tuple(findings),
        grade=graded.grade,
        score=graded.score,
        grade_reasons=graded.reasons,
        shows_imaging=shows_imaging(system),
    )


def _worst_first(finding: Finding) -> tuple[int, int, str, int]:
    order = _WORST_FIRST.index(finding.verdict)
    return order, -finding.severity, finding.check, finding.port or 0


# --- findings ---------------------------------------------------------------------------------------------------------


def _findings(system: SystemFacts, tried: Sequence[Door], now: datetime) -> Iterator[Finding]:
    dicom = tuple(door for door in tried if door.is_dicom)
    for check in CATALOGUE:
        bound = rule_of(check.id)
        places = _places(bound.per, check.probe, tried, dicom)
        if not places and bound.per is Per.ASKED:
            yield _finding(check, not_tested(NO_PORT_ASKED), system, None)
        elif not places:
            yield _finding(check, _without_dicom(system, tried), system, None)
        for door in places:
            place = None if bound.per is Per.SYSTEM else door
            yield _finding(check, bound.rule(door, now), system, place)


def _places(per: Per, probe: str, tried: Sequence[Door], dicom: Sequence[Door]) -> Sequence[Door]:
    match per:
        case Per.PORT:
            return tried
        case Per.DOOR:
            return dicom
        case Per.ASKED:
            return tuple(door for door in tried if door.attempts(probe))
        case Per.SYSTEM:
            return tried[:1]


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
        return not_applicable(NO_PORT_SPEAKS_DICOM)
    open_ended = {door.port for door in tried if not _is_settled(door)}
    asked = (*system.of("association"), *system.of("reach"))
    attempts = tuple(a for a in asked if a.endpoint.port in open_ended)
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
    target, is_loopback = _named(system.address)
    if not target:
        return ""
    if door is not None:
        target = f"{target}:{door.port}"
    command = check.verify.replace("ADDRESS:PORT", target)
    return command if is_loopback else f"{command} --scope SCOPE.toml"


@lru_cache(maxsize=8)  # dozens of findings name the same system
def _named(system: str) -> tuple[str, bool]:
    """Return an address as a command takes it, "" for a name that was never resolved; and whether it is loopback."""
    try:
        address = ipaddress.ip_address(system)
    except ValueError:
        return "", False
    return f"[{address}]" if address.version == 6 else str(address), address.is_loopback


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
