"""``doorward audit``: options in, one survey, reports out, an exit code.

Standard output carries the report and nothing else; everything that is said on the way goes to standard error. Whatever
can be found wrong (files, scope, outputs) is found before the first connection.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import options

if TYPE_CHECKING:
    from doorward.audit.exit_code import ExitCode
    from doorward.audit.facts import SystemFacts
    from doorward.audit.report.model import Report
    from doorward.audit.report.outputs import Output
    from doorward.audit.scope import Scope
    from doorward.audit.survey import SurveySettings
    from doorward.audit.targets import Target
    from doorward.audit.verdict import JudgedSystem, Severity
    from doorward.knowledge.advisories import Additions


#: Systems without an answer that are named one by one on standard error.
_SAID_SINGLY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One audit as the operator ordered it, checked."""

    targets: tuple["Target", ...]
    scope: "Scope"
    settings: "SurveySettings"
    outputs: tuple["Output", ...]
    fail_on: "Severity"
    allow_inconclusive: bool
    verbose: bool
    count_honeypots: bool
    additions: "Additions"
    ledger: Path | None


def audit(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="Address, name, network (10.0.0.0/28) or @FILE; a port may follow: pacs.example:104.",
        ),
    ],
    *,
    ports: Annotated[
        str | None,
        typer.Option(
            help="Ports for targets without one, such as 104,4242-4250; "
            "by default every door of an imaging system."
        ),
    ] = None,
    scope: Annotated[
        Path | None, typer.Option(help="The written permission; loopback needs none.")
    ] = None,
    level: Annotated[
        int,
        typer.Option(
            min=1,
            max=3,
            help="1 negotiate, 2 count studies, 3 also see whether patient attributes come back.",
        ),
    ] = 2,
    called: Annotated[
        list[str] | None, typer.Option(metavar="AET", help="A called AE title to try; repeatable.")
    ] = None,
    calling: Annotated[
        str | None,
        typer.Option(metavar="AET", help="A calling AE title that is known to the system."),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the JSON report; - is standard output."),
    ] = None,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Write the HTML report.")] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT=FILE", help="Write a report (json, html, text); repeatable."),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep answers and verdicts (see doorward ledger)."),
    ] = None,
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="SEVERITY",
            help="Exit with 1 from this severity on: info, low, medium, high, critical.",
        ),
    ] = "high",
    allow_inconclusive: Annotated[
        bool,
        typer.Option("--allow-inconclusive", help="Do not exit with 3 for what stayed unanswered."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say every question, list every finding.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, max=600, metavar="SECONDS", help="Longest wait for one answer."),
    ] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates (PEM) to trust.")
    ] = None,
    client_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Own certificate (PEM) for TLS.")
    ] = None,
    client_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")
    ] = None,
    knowledge: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Newer knowledge (knowledge update --data); else the user's own."
        ),
    ] = None,
    try_default_credentials: Annotated[
        bool,
        typer.Option(
            "--try-default-credentials",
            help="With --level 3: try the documented login of a recognised product, once.",
        ),
    ] = False,
    count_honeypots: Annotated[
        bool,
        typer.Option("--count-honeypots", help="Count in the totals what looks like a honeypot."),
    ] = False,
) -> None:
    """Find out what imaging systems show to strangers. Nothing is retrieved, nothing is stored."""
    from doorward.audit.survey import SurveySettings

    options.check_tls_files(tls_ca, client_cert, client_key)
    settings = SurveySettings(
        clearance_level=level,
        called_ae_titles=tuple(options.ae_title(title, "--called") for title in called or ()),
        given_calling=None if calling is None else options.ae_title(calling, "--calling"),
        limits=options.limits_of(timeout),
        try_default_credentials=options.default_credentials(try_default_credentials, level),
        tls_ca_file=tls_ca,
        tls_certificate_file=client_cert,
        tls_key_file=client_key,
    )
    if ports is not None:
        settings = replace(settings, ports=options.ports_of(ports))
    authorised = options.scope_of(scope, level)
    order = _Order(
        targets=_targets(targets, settings.ports, authorised),
        scope=authorised,
        settings=settings,
        outputs=options.outputs_of(json, html, output or ()),
        fail_on=options.severity_of(fail_on),
        allow_inconclusive=allow_inconclusive,
        verbose=verbose,
        count_honeypots=count_honeypots,
        additions=options.additions(knowledge),
        ledger=ledger,
    )
    raise typer.Exit(int(_carry_out(order)))


# --- options ----------------------------------------------------------------------------------------------------------


def _targets(texts: Sequence[str], ports: tuple[int, ...], scope: "Scope") -> tuple["Target", ...]:
    from doorward.audit.targets import parse_targets, within_scope
    from doorward.errors import ScopeError

    targets, skipped = within_scope(parse_targets(texts, ports=ports), scope)
    if not targets:
        raise ScopeError("every target is excluded by the scope file", target="")
    if skipped:
        options.say(f"{skipped} excluded by the scope and not asked")
    return targets


# --- the audit --------------------------------------------------------------------------------------------------------


def _carry_out(order: _Order) -> "ExitCode":
    from doorward.audit.exit_code import ExitCode, exit_code
    from doorward.audit.judge import judge
    from doorward.knowledge.advisories import in_use

    if order.ledger is not None:
        # What is wrong with it is found before the first connection.
        from doorward.audit.ledger.ledger import Ledger

        Ledger.open(order.ledger).close()
    started_at = datetime.now(UTC)
    systems, interrupted = _survey(order)
    with in_use(order.additions):
        judged = [judge(system, now=started_at) for system in systems]
    _keep(order, systems, started_at, interrupted)
    report = _report(order, judged, started_at, interrupted)
    _deliver(report, order)
    if interrupted:
        options.say("interrupted: the report holds what was finished")
        return ExitCode.INTERRUPTED
    return exit_code(judged, fail_on=order.fail_on, allow_inconclusive=order.allow_inconclusive)


def _say_silent(report: "Report") -> None:
    """Say in one line each who gave no answer to judge, where standard output holds no words for people.

    A network is mostly silent, so not for many.
    """
    from doorward.audit.report.wording import headline, is_tested

    silent = [system for system in report.systems if not is_tested(system)]
    for system in silent if len(silent) <= _SAID_SINGLY else ():
        options.say(f"{system.name or system.address}: {headline(system).explanation}")


def _survey(order: _Order) -> tuple[list["SystemFacts"], bool]:
    """Run the survey; return what was finished and whether the operator interrupted it."""
    import asyncio

    from doorward.audit.survey import survey
    from doorward.cli.progress import Progress
    from doorward.net.loop import run

    async def ask() -> tuple[list["SystemFacts"], bool]:
        systems = await survey(
            order.targets, scope=order.scope, settings=order.settings, observer=progress
        )
        task = asyncio.current_task()
        # A survey may end early and orderly: the request to stop then stays on the task.
        return systems, task is not None and task.cancelling() > 0

    with Progress(targets=len(order.targets), verbose=order.verbose) as progress:
        try:
            return run(ask())
        except KeyboardInterrupt:
            return progress.finished, True


def _keep(
    order: _Order, systems: Sequence["SystemFacts"], now: datetime, interrupted: bool
) -> None:
    """Write the answers into the ledger, where one is named."""
    if order.ledger is None:
        return
    from doorward.audit.campaign import Judge, record
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.ledger.records import ScanState

    judge = Judge(now=now, additions=order.additions)
    with Ledger.open(order.ledger) as ledger:
        scan = record(ledger, order.settings, order.scope, systems, judge)
        # An audit does not go on: what was not asked is asked by the next one.
        state = ScanState.INTERRUPTED if interrupted else ScanState.FINISHED
        ledger.end(scan, state=state, at=datetime.now(UTC))
    options.say(f"kept as survey {scan} of {order.ledger}")


def _report(
    order: _Order, judged: Sequence["JudgedSystem"], started_at: datetime, interrupted: bool
) -> "Report":
    from doorward import __version__
    from doorward.audit.grade import GRADE_VERSION
    from doorward.audit.report.assemble import ScanRecord, assemble
    from doorward.knowledge import KNOWLEDGE_DATE

    record = ScanRecord(
        version=__version__,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        clearance_level=order.settings.clearance_level,
        scope=order.scope,
        targets=len(order.targets),
        interrupted=interrupted,
        grade_version=GRADE_VERSION,
        knowledge_date=KNOWLEDGE_DATE,
        count_honeypots=order.count_honeypots,
    )
    return assemble(judged, record)


def _deliver(report: "Report", order: _Order) -> None:
    """Write every report that was ordered; standard output gets the terminal report unless another one was."""
    from doorward.audit.report.outputs import FORMATS, write_file

    text = ""
    for one in order.outputs:
        document = FORMATS[one.format](report)
        if one.file is None:
            text = document
        else:
            write_file(one.file, document)
            options.say(f"{one.format} report written to {one.file}")
    if text:
        _say_silent(report)
    options.print_whole(text or _for_terminal(report, order.verbose))


def _for_terminal(report: "Report", verbose: bool) -> str:
    from rich.console import Console

    from doorward.audit.report.terminal import print_report, report_text

    if not sys.stdout.isatty():
        return report_text(report, verbose=verbose)
    console = Console()
    with console.capture() as capture:
        print_report(report, console, verbose=verbose)
    return capture.get()
