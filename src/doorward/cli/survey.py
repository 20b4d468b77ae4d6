"""``doorward survey``: thousands of systems into a ledger, with hours, pace and a budget; stopped and resumed at will.

Standard output carries the report and nothing else. The first Ctrl-C finishes what is open, the second breaks it off with
a release; in both cases the ledger holds every answer, and the same command with --resume goes on.
"""

import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import options

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
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TARGET...]", help="Address, name, network or @FILE."),
    ] = None,
    *,
    ledger: Annotated[
        Path, typer.Option(metavar="FILE", help="Where every answer is kept.")
    ] = Path("doorward.ledger"),
    imports: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="[FORMAT=]FILE",
            help="What another tool saw, or your inventory (CSV); repeatable. The format is recognised unless said: "
            "nmap, masscan, zmap, zgrab2, shodan, censys, naabu, httpx, inventory.",
        ),
    ] = None,
    import_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="The port that ZMap scanned, for its list of bare addresses."
        ),
    ] = None,
    max_age: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Leave out what a scan saw longer ago."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with this ledger's survey that was stopped or killed."
        ),
    ] = False,
    label: Annotated[str, typer.Option(help="A word of your own for this survey.")] = "",
    scope: Annotated[
        Path | None, typer.Option(help="The written permission; loopback needs none.")
    ] = None,
    level: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="1 negotiate, 2 count (unless said), 3 see attributes."),
    ] = None,
    ports: Annotated[
        str | None, typer.Option(help="Ports for targets without one, such as 104,4242-4250.")
    ] = None,
    called: Annotated[
        list[str] | None, typer.Option(metavar="AET", help="A called AE title to try; repeatable.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="Connections a second, all together (200); 0: unpaced."),
    ] = None,
    network_rate: Annotated[
        float | None, typer.Option(min=0, help="Connections a second to one /24 or IPv6 /48 (10).")
    ] = None,
    network_systems: Annotated[
        int | None, typer.Option(min=1, help="Systems of one /24 asked side by side (8).")
    ] = None,
    systems: Annotated[
        int | None, typer.Option(min=1, max=4_096, help="Systems asked side by side (64).")
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOURS",
            help="Ask only then, by this machine's clock: 'mon-fri 18:00-07:00'; repeatable.",
        ),
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=1, help="Stop after so many seconds.")
    ] = None,
    max_connections: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many connections.")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many received bytes.")
    ] = None,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Sample what is too much to count, with an interval."),
    ] = False,
    country_mmdb: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An MMDB that says in which country.")
    ] = None,
    network_mmdb: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An MMDB that says in whose network.")
    ] = None,
    sensors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Let sensors ask: coordinator.toml.")
    ] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="Write the JSON report.")] = None,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Write the HTML report.")] = None,
    fail_on: Annotated[
        str, typer.Option(metavar="SEVERITY", help="Exit with 1 from this severity on.")
    ] = "high",
    allow_inconclusive: Annotated[
        bool,
        typer.Option("--allow-inconclusive", help="No exit code 3 for what stayed unanswered."),
    ] = False,
    count_honeypots: Annotated[
        bool, typer.Option("--count-honeypots", help="Count what looks like a honeypot, too.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, max=600, help="Longest wait for one answer, seconds.")
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Newer knowledge than the built-in.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say every question.")] = False,
) -> None:
    """Ask thousands of systems what they show to strangers; every answer is kept, so it can be stopped at any moment."""
    from doorward.audit.traffic import Budget
    from doorward.cli.planning import Sources, import_option
    from doorward.errors import ConfigError

    if not resume and not targets and not imports:
        hint = "Name targets, --import FILE, or --resume an earlier survey of the ledger."
        raise ConfigError("nothing to ask was named", hint=hint)
    if resume:
        given: list[tuple[str, object]] = [("targets", targets), ("--import", imports)]
        given += [("--level", level), ("--ports", ports), ("--called", called)]
        given += [("--estimate", estimate), ("--label", label)]
        given += [("--count-honeypots", count_honeypots)]
        given += [("--country-mmdb", country_mmdb), ("--network-mmdb", network_mmdb)]
        _only_what_may_change(given)
    level = _LEVEL if level is None else level
    settings = _settings(level, timeout, called or (), ports, estimate=estimate)
    budget = Budget(seconds=max_seconds, connections=max_connections, received_bytes=max_bytes)
    order = _Order(
        sources=Sources(
            named=tuple(targets or ()),
            imports=tuple(import_option(text) for text in imports or ()),
            import_port=import_port,
            max_age_days=max_age,
            country_mmdb=country_mmdb,
            network_mmdb=network_mmdb,
        ),
        resume=resume,
        label=label,
        ledger=ledger,
        scope=options.scope_of(scope, level),
        settings=settings,
        rules=_rules(rate, network_rate, network_systems, systems, window or [], budget),
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
#: Everything that is asked of one system of a survey: a large archive is counted in parts, with pauses.
_HOST_S = 4 * 3600.0


# --- options ----------------------------------------------------------------------------------------------------------


def _only_what_may_change(given: Iterable[tuple[str, object]]) -> None:
    """Raise ConfigError for an option that a survey keeps from its beginning."""
    from doorward.errors import ConfigError

    kept = [name for name, value in given if value]
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
        limits=replace(options.limits_of(timeout), host_s=_HOST_S),
        discovers=True,
        estimate=estimate,
    )
    return settings if ports is None else replace(settings, ports=options.ports_of(ports))


def _rules(
    rate: float | None,
    network_rate: float | None,
    network_systems: int | None,
    systems: int | None,
    windows: list[str],
    budget: object,
) -> "TrafficRules":
    from doorward.audit.traffic import TrafficRules
    from doorward.audit.windows import parse_window

    given = {
        "per_second": rate,
        "network_per_second": network_rate,
        "network_at_a_time": network_systems,
        "systems_at_a_time": systems,
    }
    chosen: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    chosen |= {"windows": tuple(map(parse_window, windows)), "budget": budget}
    return TrafficRules(**chosen)  # type: ignore[arg-type]


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
        _answer_ctrl_c(traffic, screen)
        await _visit_all(order, ledger, scan, roster, settings, traffic, screen)
    return traffic.stopped_because


def _answer_ctrl_c(traffic: "Traffic", screen: "SurveyScreen") -> None:
    """First: finish what is open. Second: break off, with a release."""
    import asyncio

    task = asyncio.current_task()
    assert task is not None

    def pressed() -> None:
        if traffic.stopped_because:
            task.cancel()
        else:
            traffic.stop("stopped by the operator")
            screen.say("finishing the questions that are open; Ctrl-C again breaks them off")

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, pressed)


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
