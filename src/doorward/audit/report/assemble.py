"""Judged systems in, one ``Report`` out: the only place that adds numbers up.

Worst first everywhere: systems by grade and score, findings by verdict and severity, ties by address and check, so that
the same facts always give the same report.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from doorward.audit.exit_code import is_tested
from doorward.audit.facts import Count, Exactness, Outcome
from doorward.audit.honeypot import suspicion
from doorward.audit.report.model import (
    CountModel,
    CountsModel,
    CoverageModel,
    FindingModel,
    HoneypotModel,
    ReferenceModel,
    Report,
    ScanModel,
    ScopeModel,
    ServiceModel,
    SeverityLabel,
    SystemModel,
    TotalsModel,
)
from doorward.audit.scope import Scope
from doorward.audit.verdict import Finding, JudgedSystem, Service, Severity, Verdict

#: The order in which a reader wants to see verdicts.
_VERDICTS = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.ACCEPTED,
    Verdict.NOT_TESTED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)


#: ``Severity.label``, in the types of the contract.
_SEVERITIES: Mapping[Severity, SeverityLabel] = {
    Severity.INFO: "info",
    Severity.LOW: "low",
    Severity.MEDIUM: "medium",
    Severity.HIGH: "high",
    Severity.CRITICAL: "critical",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRecord:
    """What the survey itself knows: the frame around the systems. Times are aware and in UTC."""

    version: str
    started_at: datetime
    finished_at: datetime
    clearance_level: int
    scope: Scope
    targets: int
    interrupted: bool = False
    grade_version: str = ""
    knowledge_date: str = ""
    #: Add up systems that look like honeypots too.
    count_honeypots: bool = False


def assemble(systems: Iterable[JudgedSystem], record: ScanRecord) -> Report:
    """Return the report of one audit."""
    judged = sorted(systems, key=_worst_first)
    return Report(
        scan=_scan(judged, record),
        totals=_totals(judged, record),
        systems=tuple(_system(system) for system in judged),
    )


def _worst_first(system: JudgedSystem) -> tuple[int, int, bytes, str]:
    # Not rated goes last: it is neither good nor bad.
    score = 101 if system.score is None else system.score
    try:
        address = ip_address(system.facts.address)
    except ValueError:  # a name that could not be resolved stands for its system
        return score, 0, b"", system.facts.address
    return score, address.version, address.packed, ""


def _scan(judged: Sequence[JudgedSystem], record: ScanRecord) -> ScanModel:
    until = record.scope.valid_until
    scope = ScopeModel(
        organisation=record.scope.organisation,
        authorised_by=record.scope.authorised_by,
        valid_until="" if until is None else until.isoformat(),
        sha256=record.scope.sha256,
    )
    return ScanModel(
        version=record.version,
        started_at=record.started_at.isoformat(timespec="seconds"),
        finished_at=record.finished_at.isoformat(timespec="seconds"),
        interrupted=record.interrupted,
        clearance_level=record.clearance_level,
        scope=scope,
        coverage=_coverage(judged, record.targets),
        grade_version=record.grade_version,
        knowledge_date=record.knowledge_date,
    )


def _coverage(judged: Sequence[JudgedSystem], targets: int) -> CoverageModel:
    attempts = [attempt for system in judged for attempt in system.facts.attempts]
    ended = {outcome: sum(a.outcome is outcome for a in attempts) for outcome in Outcome}
    return CoverageModel(
        targets=targets,
        systems=len(judged),
        ports=sum(len(system.facts.ports) for system in judged),
        connections=sum(a.connections for a in attempts),
        questions_answered=ended[Outcome.ANSWERED],
        questions_inconclusive=ended[Outcome.INCONCLUSIVE],
        questions_failed=ended[Outcome.ERROR],
        questions_not_asked=ended[Outcome.NOT_TESTED],
    )


def _system(system: JudgedSystem) -> SystemModel:
    return SystemModel(
        address=system.facts.address,
        name=system.facts.name,
        country="",
        grade=system.grade,
        score=system.score,
        grade_reasons=system.grade_reasons,
        clearance_level=system.facts.clearance_level,
        ladder=system.rungs,
        services=tuple(_service(service) for service in system.services),
        counts=CountsModel(
            patients=_count(system.counts.patients),
            studies=_count(system.counts.studies),
            images=_count(system.counts.images),
            images_downloadable=_count(system.counts.images_downloadable),
        ),
        findings=tuple(_finding(f) for f in sorted(system.findings, key=_gravest_first)),
        honeypot=_honeypot(system),
        shows_imaging=system.shows_imaging,
    )


def _honeypot(system: JudgedSystem) -> HoneypotModel:
    found = suspicion(system.facts)
    signs = tuple(sign.because for sign in found.signs)
    return HoneypotModel(score=found.score, is_suspected=found.is_suspected, signs=signs)


def _gravest_first(finding: Finding) -> tuple[int, int, str, int]:
    return (
        _VERDICTS.index(finding.verdict),
        -finding.severity,
        finding.check,
        finding.port or 0,
    )


def _finding(finding: Finding) -> FindingModel:
    return FindingModel(
        check=finding.check,
        verdict=finding.verdict.value,
        severity=_SEVERITIES[finding.severity],
        title=finding.title,
        evidence=finding.evidence,
        remediation=finding.remediation,
        references=tuple(ReferenceModel(label=r.label, url=r.url) for r in finding.references),
        port=finding.port,
        verify=finding.verify,
    )


def _service(service: Service) -> ServiceModel:
    return ServiceModel(
        port=service.port,
        protocol=service.protocol,
        tls=service.tls,
        product=service.product,
        version=service.version,
        toolkit=service.toolkit,
        confidence=service.confidence,
    )


def _count(count: Count) -> CountModel:
    return CountModel(value=count.value, exactness=count.exactness.value, method=count.method)


# --- sums -------------------------------------------------------------------------------------------------------------


def _totals(seen: Sequence[JudgedSystem], record: ScanRecord) -> TotalsModel:
    judged = [s for s in seen if record.count_honeypots or not suspicion(s.facts).is_suspected]
    open_to_all = [s for s in judged if s.is_unprotected]
    downloadable = [s for s in judged if s.is_downloadable]
    # Somebody may be there and did not answer: whatever was found elsewhere is then only a lower bound.
    untested = sum(not is_tested(s) and _is_silent(s) for s in judged)
    return TotalsModel(
        systems=len(judged),
        left_out=len(seen) - len(judged),
        speaking_dicom=sum("E2" in s.rungs for s in judged),
        unprotected=len(open_to_all),
        downloadable=len(downloadable),
        writable=sum(s.is_writable for s in judged),
        patients=_count(_sum([s.counts.patients for s in open_to_all], untested, bool(judged))),
        studies=_count(_sum([s.counts.studies for s in open_to_all], untested, bool(judged))),
        images=_count(_sum([s.counts.images for s in open_to_all], untested, bool(judged))),
        images_downloadable=_count(
            _sum([s.counts.images_downloadable for s in downloadable], untested, bool(judged))
        ),
    )


def _is_silent(system: JudgedSystem) -> bool:
    return any(f.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR) for f in system.findings)


def _sum(counts: Sequence[Count], untested: int, any_system: bool) -> Count:
    """Add the counts of the open systems; never sounder than the weakest of them."""
    known = [(c.value, c.exactness) for c in counts if c.value is not None]
    missing = len(counts) - len(known) + untested
    if not known and (missing or not any_system):
        return Count(value=None, exactness=Exactness.UNKNOWN, method="no system could be counted")
    total = sum(value for value, _ in known)
    exactness = _weakest([exactness for _, exactness in known], missing)
    if not known:
        method = "no system was open"
    else:
        method = f"sum over {_systems(len(known))}"
        method += f"; {_systems(missing)} could not be counted" if missing else ""
    return Count(value=total, exactness=exactness, method=method)


def _weakest(parts: Sequence[Exactness], missing: int) -> Exactness:
    # An estimate may lie above the truth, so a sum that holds one is no lower bound any more.
    if Exactness.ESTIMATED in parts:
        return Exactness.ESTIMATED
    if missing or Exactness.AT_LEAST in parts:
        return Exactness.AT_LEAST
    if all(part is Exactness.EXACT_COUNTER for part in parts) and parts:
        return Exactness.EXACT_COUNTER
    return Exactness.EXACT_ENUMERATED


def _systems(number: int) -> str:
    return "1 system" if number == 1 else f"{number:,} systems"
