"""One survey from its plan to its report: begun, stopped, resumed, judged, all in a ledger.

Theory of operation: what may not change between two lives of a survey (level, ports, titles) lies in the ledger with the
plan; what may (pace, hours, budget, reports) comes with each life. Answers are committed one by one, a system is judged
when it is finished, and its verdict lies beside its answers, so the report is read from the disk in a stream.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address

from doorward import __version__
from doorward.audit.changes import Survey
from doorward.audit.compare import compare
from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.grade import GRADE_VERSION
from doorward.audit.judge import judge
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanPlan, ScanRow, ScanState
from doorward.audit.place import Place
from doorward.audit.report.assemble import system_model
from doorward.audit.report.comparison import ComparisonReport, SideRecord, comparison_report
from doorward.audit.report.model import CoverageModel, ScanModel, ScopeModel
from doorward.audit.report.sums import sums
from doorward.audit.report.survey import SurveyFrame, survey_frame, system_document
from doorward.audit.roster import Visitee
from doorward.audit.scope import Scope
from doorward.audit.standing import Standing
from doorward.audit.standing import standing as standing_of
from doorward.audit.system import SurveySettings
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from doorward.knowledge import KNOWLEDGE_DATE
from doorward.knowledge.advisories import Additions, in_use

#: Settings that a resumed survey takes from its plan.
_KEPT = (
    "called_ae_titles",
    "given_calling",
    "try_default_credentials",
    "discovers",
    "estimate",
)


def new_plan(
    settings: SurveySettings, scope: Scope, *, label: str = "", count_honeypots: bool = False
) -> ScanPlan:
    """Return the plan of a survey that begins now."""
    kept = {name: getattr(settings, name) for name in _KEPT} | {"count_honeypots": count_honeypots}
    return ScanPlan(
        started_at=datetime.now(UTC),
        clearance_level=settings.clearance_level,
        ports=settings.ports,
        settings=json.dumps(kept),
        organisation=scope.organisation,
        authorised_by=scope.authorised_by,
        valid_until=scope.valid_until,
        scope_sha256=scope.sha256,
        label=label,
        version=__version__,
    )


def planned_settings(plan: ScanPlan, settings: SurveySettings) -> SurveySettings:
    """Return the settings of this life with what the plan decides; raises ConfigError for a plan that nobody can read."""
    kept = _kept(plan)
    titles, given = kept.get("called_ae_titles"), kept.get("given_calling")
    return replace(
        settings,
        clearance_level=plan.clearance_level,
        ports=plan.ports,
        called_ae_titles=tuple(map(str, titles)) if isinstance(titles, list) else (),
        given_calling=given if isinstance(given, str) else None,
        try_default_credentials=kept.get("try_default_credentials") is True,
        discovers=kept.get("discovers") is True,
        estimate=kept.get("estimate") is True,
    )


def counts_honeypots(plan: ScanPlan) -> bool:
    """Tell whether systems that look like honeypots are to be in the sums."""
    return bool(_kept(plan).get("count_honeypots", False))


def _kept(plan: ScanPlan) -> dict[str, object]:
    try:
        kept = json.loads(plan.settings)
    except (ValueError, RecursionError):
        kept = None
    if not isinstance(kept, dict):
        hint = "Begin a new survey, or use another ledger."
        raise ConfigError("the plan of the survey cannot be read", hint=hint)
    return kept


def unchanged_scope(row: ScanRow, scope: Scope) -> bool:
    """Tell whether a survey goes on under the permission under which it began."""
    return row.plan.scope_sha256 == scope.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Facts in, verdict out, as the ledger keeps it."""

    now: datetime
    additions: Additions

    def write(
        self, ledger: Ledger, scan: int, number: int, facts: SystemFacts, place: Place
    ) -> Standing:
        """Judge a system and write its verdict, in place of an earlier one."""
        with in_use(self.additions):
            judged = judge(facts, now=self.now)
            document = system_document(system_model(judged, place))
        one = standing_of(judged, place)
        level = facts.clearance_level
        if not ledger.finished(scan, number, one, document, clearance_level=level):
            ledger.replace_verdict(scan, number, one, document)
        return one

    def standing(self, facts: SystemFacts) -> Standing:
        """Judge a system for a comparison; nothing is written."""
        with in_use(self.additions):
            return standing_of(judge(facts, now=self.now))


class LedgerRoster:
    """The systems of one scan that have no verdict yet."""

    def __init__(
        self,
        ledger: Ledger,
        scan: int,
        judge_: Judge,
        on_finished: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._scan = scan
        self._judge = judge_
        self._on_finished = on_finished
        self._waiting: list[Visitee] = []

    async def next(self) -> Visitee | None:
        """Return the next system without a verdict, with what it has already answered."""
        if not self._waiting:
            found = self._ledger.waiting(self._scan, self._ledger.limits.survey_systems_read)
            self._waiting = sorted(found, key=_spread, reverse=True)
        return self._waiting.pop() if self._waiting else None

    def answered(self, visitee: Visitee, attempt: Attempt) -> None:
        """Commit one answer."""
        self._ledger.answered(self._scan, visitee.number, attempt)

    def finished(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Judge, and commit the verdict."""
        place = visitee.target.place
        one = self._judge.write(self._ledger, self._scan, visitee.number, facts, place)
        self._on_finished(one)

    def put_back(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Let it wait again; its answers are committed."""
        self._ledger.put_back(self._scan, visitee.number)


def _spread(visitee: Visitee) -> tuple[int, str]:
    """Order visitees so that neighbours in the order are no neighbours in the network."""
    try:
        return int(ip_address(visitee.address)) & 0xFF, visitee.address
    except ValueError:
        return 0, visitee.address


def record(
    ledger: Ledger,
    settings: SurveySettings,
    scope: Scope,
    systems: Sequence[SystemFacts],
    judge_: Judge,
) -> int:
    """Write an audit that was made without a ledger into one, as a survey of its own; return its number."""
    scan = ledger.begin(new_plan(settings, scope))
    rows = []
    for facts in systems:
        target = Target(host=facts.name or facts.address, ports=facts.ports or None)
        rows.append((target, facts.address, ""))
    ledger.add(scan, rows)
    ledger.mark_planned(scan, len(rows))
    by_address = {facts.address: facts for facts in systems}
    for visitee in ledger.waiting(scan, len(rows)):
        facts = by_address[visitee.address]
        for attempt in facts.attempts:
            ledger.answered(scan, visitee.number, attempt)
        judge_.write(ledger, scan, visitee.number, facts, visitee.target.place)
    return scan


def rejudge(ledger: Ledger, scan: int, judge_: Judge) -> int:
    """Judge every finished system of a scan anew, without the network; return how many."""
    done = 0
    for number, facts in ledger.facts(scan):
        judge_.write(ledger, scan, number, facts, ledger.target(number).place)
        done += 1
    return done


def compared(
    earlier: Ledger, first: int, later: Ledger, second: int, judge_: Judge
) -> ComparisonReport:
    """Return what has changed between two surveys.

    The earlier facts are judged anew, so that what only better checks have found is not taken for news.
    """
    rows = earlier.row(first), later.row(second)
    anew = (judge_.standing(facts) for _, facts in earlier.facts(first))
    sides = [
        Survey(
            systems=ledger.standings(row.number),
            clearance_level=row.plan.clearance_level,
            is_whole=row.state is ScanState.FINISHED,
        )
        for ledger, row in zip((earlier, later), rows, strict=True)
    ]
    found = compare(*sides, rejudged_before=anew)
    before, after = (
        SideRecord(
            label=row.plan.label or f"survey {row.number}",
            started_at=row.plan.started_at.astimezone(UTC),
            clearance_level=row.plan.clearance_level,
            is_whole=row.state is ScanState.FINISHED,
        )
        for row in rows
    )
    return comparison_report(found, before=before, after=after, version=__version__)


def frame(ledger: Ledger, scan: int) -> SurveyFrame:
    """Return everything of a survey's report but its systems, from the ledger alone."""
    row = ledger.row(scan)
    found = sums(ledger.standings(scan), count_suspected=counts_honeypots(row.plan))
    return survey_frame(_scan_model(ledger, row), found)


def _scan_model(ledger: Ledger, row: ScanRow) -> ScanModel:
    plan = row.plan
    until = plan.valid_until
    return ScanModel(
        version=plan.version,
        started_at=plan.started_at.astimezone(UTC).isoformat(timespec="seconds"),
        finished_at=(row.ended_at or datetime.now(UTC)).isoformat(timespec="seconds"),
        interrupted=row.state is not ScanState.FINISHED,
        clearance_level=plan.clearance_level,
        scope=ScopeModel(
            organisation=plan.organisation,
            authorised_by=plan.authorised_by,
            valid_until="" if until is None else until.isoformat(),
            sha256=plan.scope_sha256,
        ),
        coverage=CoverageModel(**asdict(ledger.coverage(row.number))),
        grade_version=GRADE_VERSION,
        knowledge_date=KNOWLEDGE_DATE,
    )
