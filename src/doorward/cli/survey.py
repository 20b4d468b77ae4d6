"""``doorward survey``: thousands of systems into a ledger, with hours, pace and a budget; stopped and resumed at will.

Standard output carries the report and nothing else. The first Ctrl-C finishes what is open, the second breaks it off with
a release; in both cases the ledger holds every answer, and the same command with --resume goes on.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import options

if TYPE_CHECKING:
    from doorward.audit.campaign import Judge
    from doorward.audit.exit_code import ExitCode
    from doorward.audit.imports.sighting import Skipped
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.report.outputs import Output
    from doorward.audit.report.survey import SurveyFrame
    from doorward.audit.scope import Scope
    from doorward.audit.system import SurveySettings
    from doorward.audit.targets import Target
    from doorward.audit.traffic import TrafficRules
    from doorward.audit.verdict import Severity
    from doorward.cli.live import SurveyScreen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One life of a survey as the operator ordered it, checked."""

    named: tuple[str, ...]
    imports: tuple[tuple[str | None, Path], ...]
    import_port: int | None
    max_age_days: float | None
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
    country_mmdb: Path | None
    network_mmdb: Path | None
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
            help="What another tool saw, or an inventory; repeatable. Formats: nmap, masscan, zmap, zgrab2, "
            "shodan, censys, naabu, httpx, inventory.",
        ),
    ] = None,
    import_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="The port of a list of bare addresses.")
    ] = None,
    max_age: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Leave out what was seen earlier.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the survey that was stopped or killed.")
    ] = False,
    label: Annotated[str, typer.Option(help="A word of your own for this survey.")] = "",
    scope: Annotated[
        Path | None, typer.Option(help="The written permission; loopback needs none.")
    ] = None,
    level: Annotated[
        int, typer.Option(min=1, max=3, help="1 negotiate, 2 count, 3 see attributes.")
    ] = 2,
    ports: Annotated[
        str | None, typer.Option(help="Ports for targets without one, such as 104,4242-4250.")
    ] = None,
    called: Annotated[
        list[str] | None, typer.Option(metavar="AET", help="A called AE title to try; repeatable.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Connections a second, all together; 0: unpaced.")
    ] = None,
    network_rate: Annotated[
        float | None, typer.Option(min=0, help="Connections a second to one /24 (IPv6 /48).")
    ] = None,
    network_systems: Annotated[
        int | None, typer.Option(min=1, help="Systems of one /24 asked side by side.")
    ] = None,
    systems: Annotated[
        int | None, typer.Option(min=1, max=4_096, help="Systems asked side by side.")
    ] = None,
    window: Annotated[
        list[str] | None,
        typer.Option(metavar="HOURS", help="Ask only then: 'mon-fri 18:00-07:00'; repeatable."),
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(min=1, help="Stop after so long.")] = None,
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
        bool, typer.Option("--allow-inconclusive", help="No exit 3 for what stayed unanswered.")
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
    from doorward.audit.system import SurveySettings
    from doorward.audit.traffic import Budget
    from doorward.errors import ConfigError

    if not resume and not targets and not imports:
        hint = "Name targets, --import FILE, or --resume an earlier survey of the ledger."
        raise ConfigError("nothing to ask was named", hint=hint)
    if resume and (targets or imports):
        hint = "The ledger knows its systems: leave the targets out, or begin a new survey."
        raise ConfigError("--resume takes no targets", hint=hint)
    limits = replace(options.limits_of(timeout), host_s=_HOST_S)
    settings = SurveySettings(
        clearance_level=level,
        called_ae_titles=tuple(options.ae_title(one, "--called") for one in called or ()),
        limits=limits,
        discovers=True,
        estimate=estimate,
    )
    if ports is not None:
        settings = replace(settings, ports=options.ports_of(ports))
    budget = Budget(seconds=max_seconds, connections=max_connections, received_bytes=max_bytes)
    order = _Order(
        named=tuple(targets or ()),
        imports=tuple(_import(text) for text in imports or ()),
        import_port=import_port,
        max_age_days=max_age,
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
        country_mmdb=country_mmdb,
        network_mmdb=network_mmdb,
        sensors=sensors,
    )
    raise typer.Exit(int(_carry_out(order)))


#: Everything that is asked of one system of a survey: a large archive is counted in parts, with pauses.
_HOST_S = 4 * 3600.0


# --- options ----------------------------------------------------------------------------------------------------------


def _import(text: str) -> tuple[str | None, Path]:
    """Return format and file of ``FORMAT=FILE`` or ``FILE``."""
    from doorward.audit.imports.reader import formats

    name, equals, file = text.partition("=")
    if equals and name in formats():
        return name, Path(file)
    return None, Path(text)


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
    from doorward.audit.campaign import Judge, frame
    from doorward.audit.exit_code import ExitCode, survey_exit_code
    from doorward.audit.ledger.ledger import Ledger
    from doorward.net.loop import run

    judge = Judge(now=datetime.now(UTC), additions=options.additions(order.knowledge))
    with Ledger.open(order.ledger) as ledger:
        scan = _scan(order, ledger)
        try:
            stopped = run(_ask(order, ledger, scan, judge))
        except KeyboardInterrupt:
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


def _scan(order: _Order, ledger: "Ledger") -> int:
    """Return the number of the scan to work on: the unfinished one, or a new one."""
    from doorward.audit.campaign import new_plan, unchanged_scope
    from doorward.errors import ConfigError

    open_scan = ledger.unfinished()
    if order.resume:
        if open_scan is None:
            raise ConfigError("holds no survey that could go on", file=order.ledger)
        if not unchanged_scope(open_scan, order.scope):
            options.say("the scope file has changed since this survey began: the new one holds")
        if not open_scan.is_planned:
            hint = "Begin it again with the same targets; nothing had been asked."
            raise ConfigError("the survey was stopped while its targets were read", hint=hint)
        ledger.resume(open_scan.number)
        return open_scan.number
    if open_scan is not None and open_scan.is_planned:
        hint = f"Go on with --resume, or end it: doorward ledger end {order.ledger}"
        raise ConfigError("holds a survey that is not finished", file=order.ledger, hint=hint)
    plan = new_plan(
        order.settings, order.scope, label=order.label, count_honeypots=order.count_honeypots
    )
    return ledger.begin(plan)


async def _ask(order: _Order, ledger: "Ledger", scan: int, judge: "Judge") -> str:
    """Plan where that is not done, then visit everybody; return why it was stopped, "" where it was not."""
    from doorward.audit.campaign import LedgerRoster, planned_settings
    from doorward.audit.survey import conduct
    from doorward.audit.traffic import Traffic
    from doorward.cli.live import SurveyScreen

    if not order.resume:
        await _plan(order, ledger, scan)
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
        if order.sensors is not None:
            await _by_sensors(order, roster, settings, traffic)
        else:
            await conduct(
                roster, scope=order.scope, settings=settings, observer=screen, traffic=traffic
            )
    return traffic.stopped_because


def _answer_ctrl_c(traffic: object, screen: "SurveyScreen") -> None:
    """First: finish what is open. Second: break off, with a release."""
    import asyncio

    from doorward.audit.traffic import Traffic

    assert isinstance(traffic, Traffic)
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


async def _plan(order: _Order, ledger: "Ledger", scan: int) -> None:
    from doorward.audit.planning import plan
    from doorward.audit.where import Where
    from doorward.errors import ConfigError

    where = Where.open(order.country_mmdb, order.network_mmdb)
    done = await plan(ledger, scan, _targets(order), order.scope, locate=where.place)
    if done.outside:
        examples = ", ".join(done.examples)
        options.say(f"{done.outside:,} outside the scope and not asked ({examples} ...)")
    if done.excluded:
        options.say(f"{done.excluded:,} excluded by the scope and not asked")
    if not ledger.progress(scan).systems:
        raise ConfigError("none of the targets may be asked", hint="See doorward scope show.")


def _targets(order: _Order) -> Iterator["Target"]:
    """Yield what was named, then what was imported, in a stream."""
    from datetime import timedelta

    from doorward.audit.imports import reader
    from doorward.audit.imports.sighting import ImportOptions
    from doorward.audit.targets import parse_targets

    if order.named:
        yield from parse_targets(order.named, ports=order.settings.ports)
    age = None if order.max_age_days is None else timedelta(days=order.max_age_days)
    wanted = ImportOptions(
        port=order.import_port,
        oldest=None if age is None else datetime.now(UTC) - age,
        limits=order.settings.limits,
    )
    for name, file in order.imports:
        left_out = _LeftOut()
        items = reader.read(file, name, wanted)
        yield from reader.targets(items, left_out.take, ports=order.settings.ports)
        left_out.say(file)


class _LeftOut:
    """Rows of an import that were left out: the first few one by one, the rest by number."""

    def __init__(self) -> None:
        self._first: list["Skipped"] = []
        self._number = 0

    def take(self, row: "Skipped") -> None:
        self._number += 1
        if self._number <= _SAID_SINGLY:
            self._first.append(row)

    def say(self, file: Path) -> None:
        for row in self._first:
            place = f"{file}, line {row.line}" if row.line else str(file)
            options.say(f"{place}: left out: {row.reason}")
        if self._number > _SAID_SINGLY:
            options.say(f"{file}: {self._number - _SAID_SINGLY:,} more were left out")


#: Rows of an import that are explained one by one.
_SAID_SINGLY = 5


async def _by_sensors(
    order: _Order, roster: object, settings: "SurveySettings", traffic: object
) -> None:
    raise NotImplementedError


# --- the report -------------------------------------------------------------------------------------------------------


def _end(ledger: "Ledger", scan: int, stopped: str, order: _Order) -> None:
    from doorward.audit.ledger.records import ScanState

    state = ScanState.INTERRUPTED if stopped else ScanState.FINISHED
    ledger.end(scan, state=state, at=datetime.now(UTC))
    if stopped:
        options.say(f"{stopped}; go on with: doorward survey --ledger {order.ledger} --resume")


def _deliver(order: _Order, ledger: "Ledger", scan: int, frame: "SurveyFrame") -> None:
    from doorward.cli.ledger import print_report, write_report

    text = None
    for output in order.outputs:
        if output.file is None:
            text = output
        else:
            write_report(output.format, output.file, frame, ledger.documents(scan))
            options.say(f"{output.format} report written to {output.file}")
    print_report(frame, ledger.documents(scan), "text" if text is None else text.format)
