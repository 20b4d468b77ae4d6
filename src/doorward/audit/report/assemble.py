"""Judged systems in, one ``Report`` out; the numbers are added up in ``sums``.

Worst first everywhere: systems by grade, score and what lies open, findings by verdict and severity, ties by address and
check, so that the same facts always give the same report.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from doorward.audit.facts import Count, Outcome
from doorward.audit.honeypot import suspicion
from doorward.audit.place import NOWHERE, Place
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
)
from doorward.audit.report.sums import sums, worst_first
from doorward.audit.scope import Scope
from doorward.audit.standing import standing
from doorward.audit.verdict import Finding, JudgedSystem, Reference, Service, Severity, Verdict

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


def assemble(
    systems: Iterable[JudgedSystem], record: ScanRecord, places: Mapping[str, Place] | None = None
) -> Report:
    """Return the report of one audit. ``places`` says where an address stands, as far as that is known."""
    known = places or {}
    standings = [(standing(s, known.get(s.facts.address, NOWHERE)), s) for s in systems]
    count_suspected = record.count_honeypots
    standings.sort(key=lambda pair: worst_first(pair[0], count_suspected=count_suspected))
    found = sums((one for one, _ in standings), count_suspected=count_suspected)
    return Report(
        scan=scan_model(record, _coverage([judged for _, judged in standings], record.targets)),
        totals=found.totals,
        countries=found.countries,
        groups=found.groups,
        systems=tuple(system_model(judged, one.place) for one, judged in standings),
    )


def scan_model(record: ScanRecord, coverage: CoverageModel) -> ScanModel:
    """Return how, when and by what the report was made."""
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
        coverage=coverage,
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


def system_model(system: JudgedSystem, place: Place = NOWHERE) -> SystemModel:
    """Return one judged system as the report has it; ``place`` is what is known about it without asking."""
    return SystemModel(
        address=system.facts.address,
        name=system.facts.name,
        country=place.country,
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
        site=place.site,
        owner=place.owner,
        contact=place.contact,
        network_operator=place.network_operator,
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
        references=_references(finding.references),
        port=finding.port,
        verify=finding.verify,
    )


@cache  # they belong to the checks, and a survey has each of them a thousand times
def _references(references: tuple[Reference, ...]) -> tuple[ReferenceModel, ...]:
    return tuple(ReferenceModel(label=r.label, url=r.url) for r in references)


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
