"""``doorward survey``: thousands of systems into a ledger, with hours, pace and a budget; stopped and resumed at will.

Standard output carries the report and nothing else. The first Ctrl-C finishes what is open, the second breaks it off with
a release; in both cases the ledger holds every answer, and the same command with --resume goes on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from doorward.cli import declared, options

if TYPE_CHECKING:
    from doorward.audit.campaign import Judge, LedgerRoster
    from doorward.audit.exit_code import ExitCode
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.ledger.records import ScanRow
    from doorward.audit.report.outputs import Output
    from doorward.audit.report.survey import SurveyFrame
    from doorward.audit.scope import Scope
    from doorward.audit.system import SurveySettings
    from doorward.audit.traffic import Traffic, TrafficRules
    from doorward.audit.verdict import Severity
    from doorward.cli.live import SurveyScreen
    from doorward.cli.planning import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One life of a survey as the operator ordered it, checked."""

    sources: "Sources"
    resume: bool
    label: str
    ledger: Path
    scope: "Scope"
    settings: "SurveySettings"
    rules: "TrafficRules"
    outputs: tuple["Output", ...]
    fail_on: "Severity"
    allow_inconclusive: bool
    count_honeypots: bool
    verbose: bool
    knowledge: Path | None
    sensors: Path | None


def survey(
    context: typer.Context,
    targets: declared.AnyTargets = None,
    *,
    ledger: declared.LedgerFile = Path("doorward.ledger"),
    imports: declared.Imports = None,
    import_port: declared.ImportPort = None,
    max_age: declared.MaxAge = None,
    resume: declared.Resume = False,
    label: declared.Label = "",
    scope: declared.ScopeFile = None,
    level: declared.LevelOfSurvey = None,
    ports: declared.Ports = None,
    called: declared.Called = None,
    rate: declared.Rate = None,
    network_rate: declared.NetworkRate = None,
    network_systems: declared.NetworkSystems = None,
    systems: declared.Systems = None,
    window: declared.Windows = None,
    max_seconds: declared.MaxSeconds = None,
    max_connections: declared.MaxConnections = None,
    max_bytes: declared.MaxBytes = None,
    estimate: declared.Estimate = False,
    country_mmdb: declared.CountryMmdb = None,
    network_mmdb: declared.NetworkMmdb = None,
    sensors: declared.Sensors = None,
    json: declared.Json = None,
    html: declared.Html = None,
    fail_on: declared.FailOn = "high",
    allow_inconclusive: declared.AllowInconclusive = False,
    count_honeypots: declared.CountHoneypots = False,
    timeout: declared.Timeout = None,
    knowledge: declared.Knowledge = None,
    verbose: declared.Verbose = False,
) -> None:
    """Ask thousands of systems what they show to strangers; every answer is kept, so it can be stopped at any moment."""
    from doorward.cli.planning import sources

    _check_beginning(context.params)
    level = _LEVEL if level is None else level
    order = _Order(
        sources=sources(targets, imports, import_port, max_age, country_mmdb, network_mmdb),
        resume=resume,
        label=label,
        ledger=ledger,
        scope=options.scope_of(scope, level),
        settings=_settings(level, timeout, called or (), ports, estimate=estimate),
        rules=options.traffic_rules(
            rate=rate,
            network_rate=network_rate,
            systems=systems,
            network_systems=network_systems,
            windows=window,
            budget=(max_seconds, max_connections, max_bytes),
        ),
        outputs=options.outputs_of(json, html, ()),
        fail_on=options.severity_of(fail_on),
        allow_inconclusive=allow_inconclusive,
        count_honeypots=count_honeypots,
        verbose=verbose,
        knowledge=knowledge,
        sensors=sensors,
    )
    raise typer.Exit(int(_carry_out(order)))


#: Clearance level unless another is ordered.
_LEVEL = 2
#: What a survey keeps from its beginning: the parameters, and what they are called.
_KEPT = {
    "targets": "targets",
    "imports": "--import",
    "level": "--level",
    "ports": "--ports",
    "called": "--called",
    "estimate": "--estimate",
    "label": "--label",
    "count_honeypots": "--count-honeypots",
    "country_mmdb": "--country-mmdb",
    "network_mmdb": "--network-mmdb",
}


# --- options ----------------------------------------------------------------------------------------------------------


def _check_beginning(given: Mapping[str, object]) -> None:
    """Raise ConfigError where nothing was named to begin with, or --resume comes with what a survey keeps."""
    from doorward.errors import ConfigError

    if not given["resume"]:
        if not given["targets"] and not given["imports"]:
            hint = "Name targets, --import FILE, or --resume an earlier survey of the ledger."
            raise ConfigError("nothing to ask was named", hint=hint)
        return
    kept = [words for name, words in _KEPT.items() if given[name]]
    if kept:
        message = f"--resume goes on as the survey began and takes no {', '.join(kept)}"
        hint = "Pace, hours, budget and reports may change, what is asked may not: leave it out, or begin a new survey."
        raise ConfigError(message, hint=hint)


def _settings(
    level: int, timeout: float | None, called: Iterable[str], ports: str | None, *, estimate: bool
) -> "SurveySettings":
    from doorward.audit.system import SurveySettings

    settings = SurveySettings(
        clearance_level=level,
        called_ae_titles=tuple(options.ae_title(one, "--called") for one in called),
        limits=options.survey_limits(timeout),
        discovers=True,
        estimate=estimate,
    )
    return options.with_ports(settings, ports)


# --- the survey -------------------------------------------------------------------------------------------------------


def _carry_out(order: _Order) -> "ExitCode":
    from asyncio import CancelledError

    from doorward.audit.campaign import Judge, frame
    from doorward.audit.exit_code import ExitCode, survey_exit_code
    from doorward.audit.ledger.ledger import Ledger
    from doorward.cli.planning import plan_systems
    from doorward.net.loop import run

    judge = Judge(now=datetime.now(UTC), additions=options.additions(order.knowledge))
    _check_ledger(order)
    with Ledger.open(order.ledger) as ledger:
        scan = _scan(order, ledger)
        if not order.resume:
            plan_systems(
                ledger,
                scan,
                order.sources,
                scope=order.scope,
                settings=order.settings,
                rules=order.rules,
            )
        try:
            stopped = run(_ask(order, ledger, scan, judge))
        except (KeyboardInterrupt, CancelledError):
            stopped = "broken off by the operator"
        _end(ledger, scan, stopped, order)
        _deliver(order, ledger, scan, frame(ledger, scan))
        if stopped:
            return ExitCode.INTERRUPTED
        return survey_exit_code(
            ledger.standings(scan),
            fail_on=order.fail_on,
            allow_inconclusive=order.allow_inconclusive,
        )


def _check_ledger(order: _Order) -> None:
    """Raise ConfigError where nothing can be resumed: a mistyped name must not make an empty ledger."""
    from doorward.errors import ConfigError

    if order.resume and not order.ledger.exists():
        hint = "--ledger names the file in which the survey was begun."
        raise ConfigError("there is no such ledger", file=order.ledger, hint=hint)


def _scan(order: _Order, ledger: "Ledger") -> int:
    """Return the number of the scan to work on: the unfinished one, or a new one."""
    from doorward.audit.campaign import new_plan, unchanged_scope
    from doorward.errors import ConfigError

    open_scan = ledger.unfinished()
    if order.resume:
        if open_scan is None:
            hint = "None is unfinished. Begin a new one: leave --resume out and name targets."
            raise ConfigError("holds no survey to go on with", file=order.ledger, hint=hint)
        _check_scope(order, open_scan)
        if not unchanged_scope(open_scan, order.scope):
            options.say("the scope file has changed since this survey began: the new one holds")
        if not open_scan.is_planned:
            hint = "Begin it again with the same targets; nothing had been asked."
            message = "the survey was stopped while its targets were read"
            raise ConfigError(message, file=order.ledger, hint=hint)
        ledger.resume(open_scan.number)
        so_far = ledger.progress(open_scan.number)
        done = f"{so_far.done:,} of {so_far.systems:,} systems are done"
        options.say(f"going on with survey {open_scan.number}: {done}")
        return open_scan.number
    if open_scan is not None and open_scan.is_planned:
        hint = f"Go on with --resume, or end it: doorward ledger end {order.ledger}"
        raise ConfigError("holds a survey that is not finished", file=order.ledger, hint=hint)
    if open_scan is not None:
        ledger.discard(open_scan.number)  # killed while its targets were read: nothing was asked
    plan = new_plan(
        order.settings, order.scope, label=order.label, count_honeypots=order.count_honeypots
    )
    return ledger.begin(plan)


def _check_scope(order: _Order, row: "ScanRow") -> None:
    """Raise ConfigError where a survey that began under a permission would go on without one."""
    from doorward.errors import ConfigError

    if row.plan.scope_sha256 and not order.scope.sha256:
        hint = "Name its scope file again: --scope FILE."
        raise ConfigError("its survey began under a scope file", file=order.ledger, hint=hint)


async def _ask(order: _Order, ledger: "Ledger", scan: int, judge: "Judge") -> str:
    """Visit everybody who waits; return why it was stopped, "" where it was not."""
    from doorward.audit.campaign import LedgerRoster, planned_settings
    from doorward.audit.traffic import Traffic
    from doorward.cli.live import SurveyScreen

    settings = planned_settings(ledger.row(scan).plan, order.settings)
    progress = ledger.progress(scan)
    screen = SurveyScreen(
        systems=progress.systems,
        done=progress.done,
        unprotected=progress.unprotected,
        verbose=order.verbose,
    )
    traffic = Traffic(order.rules, on_wait=screen.waiting, limits=settings.limits)
    with screen.following(traffic):
        roster = LedgerRoster(ledger, scan, judge, on_finished=screen.judged)
        options.on_stop(
            lambda: traffic.stop("stopped by the operator"),
            lambda: bool(traffic.stopped_because),
            screen.say,
        )
        await _visit_all(order, ledger, scan, roster, settings, traffic, screen)
    return traffic.stopped_because


async def _visit_all(
    order: _Order,
    ledger: "Ledger",
    scan: int,
    roster: "LedgerRoster",
    settings: "SurveySettings",
    traffic: "Traffic",
    screen: "SurveyScreen",
) -> None:
    """Visit everybody from here, or let sensors do it where they stand."""
    if order.sensors is None:
        from doorward.audit.survey import conduct

        await conduct(
            roster, scope=order.scope, settings=settings, observer=screen, traffic=traffic
        )
        return
    options.require_nats()
    from doorward.audit.sensors.config import load_coordinator_config
    from doorward.audit.sensors.coordinator import coordinate, scan_name

    config, row = load_coordinator_config(order.sensors), ledger.row(scan)
    config.routes.require(ledger.addresses(scan))
    done = await coordinate(
        roster,
        config,
        scan=scan_name(row.number, row.plan.started_at),
        settings=settings,
        traffic=traffic,
        observer=screen,
        say=screen.say,
    )
    dropped = done.foreign + done.unfit
    if dropped:
        screen.say(f"{dropped:,} results were dropped: they fitted nothing that was asked")


# --- the report -------------------------------------------------------------------------------------------------------


def _end(ledger: "Ledger", scan: int, stopped: str, order: _Order) -> None:
    from doorward.audit.ledger.records import ScanState

    state = ScanState.INTERRUPTED if stopped else ScanState.FINISHED
    ledger.end(scan, state=state, at=datetime.now(UTC))
    if stopped:
        scope = "" if order.scope.file is None else f" --scope {order.scope.file}"
        how = f"doorward survey --ledger {order.ledger}{scope} --resume"
        options.say(f"{stopped}; go on with: {how}")


def _deliver(order: _Order, ledger: "Ledger", scan: int, frame: "SurveyFrame") -> None:
    from doorward.cli.ledger import print_report, write_report

    text = None
    files = []
    for output in order.outputs:
        if output.file is None:
            text = output
        else:
            write_report(output.format, output.file, frame, ledger.documents(scan))
            files.append((output.format, output.file))
            options.say(f"{output.format} report written to {output.file}")
    form = "text" if text is None else text.format
    print_report(frame, ledger.documents(scan), form, files=files)
