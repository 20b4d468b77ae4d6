"""The report for a terminal: the verdict first, then the numbers, then what to do, then how to check it.

Built from ``rich`` Text objects only. No string goes through rich's markup, so a peer that calls itself "[red]" stays
what it is; control characters are gone since the model was made.
"""

from collections.abc import Iterable, Iterator
from io import StringIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from doorward.audit.report.figures import plural, system_figures
from doorward.audit.report.model import FindingModel, Report, SystemModel
from doorward.audit.report.overall import finished_at, summary
from doorward.audit.report.wording import (
    Headline,
    Tone,
    failed,
    has_several_ports,
    headline,
    is_grave,
    next_steps,
    remaining_groups,
    service_line,
    split_quiet,
    unanswered,
    verifications,
)

WIDEST = 100
_INDENT = 5
TONES = {
    Tone.OPEN: "bold red",
    Tone.WEAK: "bold yellow",
    Tone.SHUT: "bold green",
    Tone.UNKNOWN: "bold",
}
BADGES = {
    Tone.OPEN: "bold white on red",
    Tone.WEAK: "bold black on yellow",
    Tone.SHUT: "bold white on green",
    Tone.UNKNOWN: "bold reverse",
}
_SEVERITY = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}


def print_report(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Print the report; ``verbose`` also lists what is in order and what was not tested."""
    width = min(console.width, WIDEST)
    for part in _report(report, verbose):
        if isinstance(part, Text) and part.no_wrap:
            # rich joins Text objects into a new one and forgets this wish of theirs.
            console.print(part, no_wrap=True, overflow="ignore", crop=False, highlight=False)
        else:
            console.print(part, width=width, highlight=False)


def report_text(report: Report, *, width: int = WIDEST, verbose: bool = False) -> str:
    """Return the report as plain text without colours."""
    out = StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False)
    print_report(report, console, verbose=verbose)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _report(report: Report, verbose: bool) -> Iterator[RenderableType]:
    if len(report.systems) != 1 or report.scan.interrupted:
        overall = summary(report)
        yield Text(overall.sentence, style=TONES[overall.tone])
        if overall.explanation:
            yield Text(overall.explanation)
        yield Text()
    shown, quiet = (report.systems, ()) if verbose else split_quiet(report)
    for system in shown:
        yield from _system(system, verbose)
    if quiet:
        yield _quiet(quiet)
        yield Text()
    yield Rule(style="dim")
    yield _frame(report)


def _frame(report: Report) -> Text:
    scan, coverage = report.scan, report.scan.coverage
    asked = coverage.questions_answered + coverage.questions_inconclusive
    asked += coverage.questions_failed
    text = Text(style="dim")
    text.append(
        f"Doorward {scan.version}, {finished_at(report.scan)}. Scope: {scan.scope.organisation}. "
    )
    text.append(
        f"{plural(asked, 'question')} asked over {plural(coverage.connections, 'connection')}"
    )
    text.append(f", {coverage.questions_answered:,} answered. ")
    text.append("No patient data was read, no image was taken, nothing was changed.")
    return text


def _quiet(systems: tuple[SystemModel, ...]) -> Text:
    """One line for the addresses of a sweep where nobody speaks DICOM."""
    named = ", ".join(system.address for system in systems[:3])
    more = f" and {len(systems) - 3:,} more (--verbose lists them)" if len(systems) > 3 else ""
    where = plural(len(systems), "address", "addresses")
    return Text(
        f"No DICOM answered at {where}: {named}{more}. Nothing is known about their safety."
    )


def _system(system: SystemModel, verbose: bool) -> Iterator[RenderableType]:
    verdict, wrong = headline(system), failed(system)
    yield _title(system, verdict)
    yield _indented(Text(verdict.sentence, style=TONES[verdict.tone]))
    yield _indented(Text(verdict.explanation))
    yield Text()
    yield from _numbers(system)
    ports = has_several_ports(system)
    # In brief, a reader gets the reasons for what is grave, and of the rest the names.
    grave = wrong if verbose else tuple(f for f in wrong if is_grave(f))
    lesser = tuple(f for f in wrong if f not in grave)
    yield from _findings("Not as it should be", grave, ports=ports)
    yield from _names("Smaller things" if grave else "Not as it should be", lesser)
    yield from _steps(grave or lesser, others=bool(grave and lesser))
    yield from _findings("Could not be tested", unanswered(system), ports=ports)
    yield from _rest(system, verbose, ports)


def _title(system: SystemModel, verdict: Headline) -> Table:
    """The badge with the grade, the address, and what answered there."""
    grade = f" {system.grade} " if system.score is not None else " ? "
    where = Text(system.address, style="bold")
    if system.name and system.name != system.address:
        where.append(f" ({system.name})", style="not bold")
    score = "not rated" if system.score is None else f"grade {system.grade}, {system.score}/100"
    where.append(f"  {score}", style="not bold dim")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_INDENT - 1, no_wrap=True)
    grid.add_column()
    grid.add_row(Text(grade, style=BADGES[verdict.tone]), where)
    services = service_line(system)
    if services:
        grid.add_row("", Text(services[0].upper() + services[1:], style="dim"))
    return grid


def _numbers(system: SystemModel) -> Iterator[RenderableType]:
    figures = system_figures(system)
    if not figures:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim")
    for figure in figures:
        grid.add_row(
            Text(figure.value, style="bold"),
            Text(figure.label),
            Text(figure.trust or figure.method),
        )
    yield _indented(grid)
    yield Text()


def _findings(
    title: str, findings: tuple[FindingModel, ...], *, ports: bool
) -> Iterator[RenderableType]:
    if not findings:
        return
    yield _heading(title)
    grid = _severity_grid()
    for finding in findings:
        words = Text(finding.title, style="bold")
        if ports and finding.port is not None:
            words.append(f"  (port {finding.port})", style="not bold dim")
        words.append(f"\n{finding.evidence}", style="not bold")
        grid.add_row(Text(finding.severity, style=_SEVERITY[finding.severity]), words)
    yield _indented(grid)
    yield Text()


def _names(title: str, findings: tuple[FindingModel, ...]) -> Iterator[RenderableType]:
    """Only what should be so and is not, a line each, each once."""
    if not findings:
        return
    yield _heading(title)
    grid = _severity_grid()
    for severity, name in dict.fromkeys((f.severity, f.title) for f in findings):
        grid.add_row(Text(severity, style=_SEVERITY[severity]), Text(name))
    yield _indented(grid)
    yield Text()


def _severity_grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=len("critical"))
    grid.add_column()
    return grid


def _steps(findings: tuple[FindingModel, ...], *, others: bool) -> Iterator[RenderableType]:
    steps = next_steps(findings)
    if steps:
        yield _heading("What to do next")
        yield _numbered(steps)
        if others:
            yield _indented(
                Text("Then the smaller things: --verbose lists the steps.", style="dim")
            )
        yield Text()
    commands = verifications(findings)
    if commands:
        yield _heading("How to check that it is shut")
        for command in commands:
            # A command that is broken over two lines or cut cannot be copied: it may stick out.
            line = Text(" " * _INDENT, no_wrap=True, overflow="ignore")
            yield line.append(command, style="cyan")
        yield Text()


def _rest(system: SystemModel, verbose: bool, ports: bool) -> Iterator[RenderableType]:
    groups = remaining_groups(system)
    if verbose:
        for group in groups:
            yield from _findings(group.title, group.findings, ports=ports)
            if group.note:
                heading = () if group.findings else (_heading(group.title),)
                yield from (*heading, _indented(Text(group.note, style="dim")), Text())
        return
    counted = ", ".join(f"{g.title.lower()}: {len(g.findings)}" for g in groups if g.findings)
    if counted:
        line = f"{counted[0].upper()}{counted[1:]} (--verbose lists them)"
        yield _indented(Text(line, style="dim"))
        yield Text()


def _heading(title: str) -> RenderableType:
    return _indented(Text(title, style="bold underline"))


def _numbered(texts: Iterable[str]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for number, text in enumerate(texts, start=1):
        grid.add_row(Text(f"{number}."), Text(text))
    return _indented(grid)


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, _INDENT))
