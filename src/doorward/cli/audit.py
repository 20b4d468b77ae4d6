"""``doorward audit``: options in, one survey, reports out, an exit code.

Standard output carries the report and nothing else; everything that is said on the way goes to standard error. Whatever
can be found wrong (files, scope, outputs) is found before the first connection.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from doorward.limits import Limits


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

    _check_tls_files(tls_ca, client_cert, client_key)
    settings = SurveySettings(
        clearance_level=level,
        called_ae_titles=tuple(_ae_title(title, "--called") for title in called or ()),
        given_calling=None if calling is None else _ae_title(calling, "--calling"),
        limits=_limits(timeout),
        try_default_credentials=_default_credentials(try_default_credentials, level),
        tls_ca_file=tls_ca,
        tls_certificate_file=client_cert,
        tls_key_file=client_key,
    )
    if ports is not None:
        settings = replace(settings, ports=_ports(ports))
    authorised = _scope(scope, level)
    order = _Order(
        targets=_targets(targets, settings.ports, authorised),
        scope=authorised,
        settings=settings,
        outputs=_outputs(json, html, output or ()),
        fail_on=_severity(fail_on),
        allow_inconclusive=allow_inconclusive,
        verbose=verbose,
        count_honeypots=count_honeypots,
        additions=_additions(knowledge),
    )
    raise typer.Exit(int(_carry_out(order)))


# --- options ----------------------------------------------------------------------------------------------------------


def _ae_title(title: str, option: str) -> str:
    """Return an AE title without its padding (PS3.5 section 6.2: 16 characters, no backslash, no control character)."""
    from doorward.errors import ConfigError

    stripped = title.strip(" ")
    if (
        not 0 < len(stripped) <= 16
        or "\\" in title
        or not (title.isascii() and title.isprintable())
    ):
        message = f"{option} must be an AE title: 1 to 16 printable ASCII characters, no backslash"
        raise ConfigError(message)
    return stripped


def _default_credentials(is_wanted: bool, level: int) -> bool:
    from doorward.errors import ConfigError

    if is_wanted and level < 3:
        raise ConfigError("--try-default-credentials needs --level 3")
    return is_wanted


def _limits(timeout: float | None) -> "Limits":
    from doorward.limits import DEFAULT_LIMITS

    if timeout is None:
        return DEFAULT_LIMITS
    return replace(
        DEFAULT_LIMITS,
        connect_s=timeout,
        tls_handshake_s=timeout,
        associate_s=timeout,
        reply_s=timeout,
    )


def _check_tls_files(ca: Path | None, cert: Path | None, key: Path | None) -> None:
    from doorward.errors import ConfigError

    if (cert is None) != (key is None):
        raise ConfigError("--client-cert and --client-key belong together")
    for file in (ca, cert, key):
        if file is not None and not os.access(file, os.R_OK):
            raise ConfigError("cannot be read", file=file)


def _additions(data: Path | None) -> "Additions":
    from doorward.audit.knowledge_folder import load
    from doorward.cli.knowledge import folder

    return load(folder(data)).additions


def _ports(text: str) -> tuple[int, ...]:
    from doorward.audit.targets import parse_ports

    return parse_ports(text)


def _severity(label: str) -> "Severity":
    from doorward.audit.verdict import Severity
    from doorward.errors import ConfigError

    try:
        return Severity.from_label(label.lower())
    except ValueError as error:
        raise ConfigError(f"--fail-on: {error}") from None


def _outputs(json: str | None, html: str | None, others: Sequence[str]) -> tuple["Output", ...]:
    from doorward.audit.report import outputs

    wanted = [outputs.parse_output(text) for text in others]
    if json is not None:
        wanted.append(outputs.output("json", json))
    if html is not None:
        wanted.append(outputs.output("html", html))
    outputs.check_outputs(wanted)
    return tuple(wanted)


def _scope(file: Path | None, level: int) -> "Scope":
    from doorward.audit.scope import Scope, load_scope

    if file is None:
        return Scope.loopback()
    # The day of the operator's calendar, in which the permission was written.
    scope = load_scope(file, today=datetime.now(UTC).astimezone().date())
    scope.require_valid()
    if level > scope.clearance_level:
        _say(
            f"the scope authorises clearance level {scope.clearance_level}, not {level}: using that"
        )
    return scope


def _targets(texts: Sequence[str], ports: tuple[int, ...], scope: "Scope") -> tuple["Target", ...]:
    from doorward.audit.targets import parse_targets, within_scope
    from doorward.errors import ScopeError

    targets, skipped = within_scope(parse_targets(texts, ports=ports), scope)
    if not targets:
        raise ScopeError("every target is excluded by the scope file", target="")
    if skipped:
        _say(f"{skipped} excluded by the scope and not asked")
    return targets


# --- the audit --------------------------------------------------------------------------------------------------------


def _carry_out(order: _Order) -> "ExitCode":
    from doorward.audit.exit_code import ExitCode, exit_code
    from doorward.audit.judge import judge
    from doorward.knowledge.advisories import in_use

    started_at = datetime.now(UTC)
    systems, interrupted = _survey(order)
    with in_use(order.additions):
        judged = [judge(system, now=started_at) for system in systems]
    report = _report(order, judged, started_at, interrupted)
    _deliver(report, order)
    if interrupted:
        _say("interrupted: the report holds what was finished")
        return ExitCode.INTERRUPTED
    return exit_code(judged, fail_on=order.fail_on, allow_inconclusive=order.allow_inconclusive)


def _say_silent(report: "Report") -> None:
    """Say in one line each who gave no answer to judge, where standard output holds no words for people.

    A network is mostly silent, so not for many.
    """
    from doorward.audit.report.wording import headline, is_tested

    silent = [system for system in report.systems if not is_tested(system)]
    for system in silent if len(silent) <= _SAID_SINGLY else ():
        _say(f"{system.name or system.address}: {headline(system).explanation}")


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
            _say(f"{one.format} report written to {one.file}")
    if text:
        _say_silent(report)
    _print(text or _for_terminal(report, order.verbose))


def _for_terminal(report: "Report", verbose: bool) -> str:
    from rich.console import Console

    from doorward.audit.report.terminal import print_report, report_text

    if not sys.stdout.isatty():
        return report_text(report, verbose=verbose)
    console = Console()
    with console.capture() as capture:
        print_report(report, console, verbose=verbose)
    return capture.get()


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (| head): the exit code still tells the result. Python would complain once more
        # when it closes the stream, so that goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    typer.echo(f"doorward: {message}", err=True)
