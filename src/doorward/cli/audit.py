"""``doorward audit``: options in, one survey, reports out, an exit code.

Standard output carries the report and nothing else; everything that is said on the way goes to standard error. Whatever
can be found wrong (files, scope, outputs) is found before the first connection.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from doorward.cli import declared, options

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
    targets: declared.Targets,
    *,
    ports: declared.Ports = None,
    scope: declared.ScopeFile = None,
    level: declared.Level = 2,
    called: declared.Called = None,
    calling: declared.Calling = None,
    json: declared.Json = None,
    html: declared.Html = None,
    output: declared.Outputs = None,
    ledger: declared.AuditLedger = None,
    fail_on: declared.FailOn = "high",
    allow_inconclusive: declared.AllowInconclusive = False,
    verbose: declared.VerboseReport = False,
    timeout: declared.Timeout = None,
    tls_ca: declared.TlsAuthorities = None,
    client_cert: declared.ClientCertificate = None,
    client_key: declared.ClientKey = None,
    knowledge: declared.Knowledge = None,
    try_default_credentials: declared.DefaultCredentials = False,
    count_honeypots: declared.CountHoneypots = False,
) -> None:
    """Find out what imaging systems show to strangers. Nothing is retrieved, nothing is stored."""
    settings = _settings(
        level,
        ports=ports,
        called=called or (),
        calling=calling,
        timeout=timeout,
        tries_credentials=try_default_credentials,
        tls_files=(tls_ca, client_cert, client_key),
    )
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


def _settings(
    level: int,
    *,
    ports: str | None,
    called: Sequence[str],
    calling: str | None,
    timeout: float | None,
    tries_credentials: bool,
    tls_files: tuple[Path | None, Path | None, Path | None],
) -> "SurveySettings":
    """Return how systems are asked; ``tls_files``: authorities, certificate, key. Raises ConfigError."""
    from doorward.audit.survey import SurveySettings

    options.check_tls_files(*tls_files)
    authorities, certificate, key = tls_files
    settings = SurveySettings(
        clearance_level=level,
        called_ae_titles=tuple(options.ae_title(title, "--called") for title in called),
        given_calling=None if calling is None else options.ae_title(calling, "--calling"),
        limits=options.limits_of(timeout),
        try_default_credentials=options.default_credentials(tries_credentials, level),
        tls_ca_file=authorities,
        tls_certificate_file=certificate,
        tls_key_file=key,
    )
    return options.with_ports(settings, ports)


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
