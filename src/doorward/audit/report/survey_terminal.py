"""The report of a survey for a terminal: one screen or two, however many systems there are.

What is open, the sums, the countries, the worst systems with the first thing to do, what stayed unanswered, and where the
whole report lies. Built like ``terminal``: no string goes through rich's markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from doorward.audit.report.country_names import country_name
from doorward.audit.report.figures import cell, plural, survey_figures
from doorward.audit.report.listed import Listed, listed
from doorward.audit.report.model import CountryModel, TotalsModel
from doorward.audit.report.overall import duration, finished_at, survey_summary
from doorward.audit.report.sums import together
from doorward.audit.report.survey import SurveyFrame
from doorward.audit.report.terminal import BADGES, TONES, WIDEST

_COUNTRIES = 10
_WORST = 10
_INDENT = 2
#: " A+ "
_BADGE_CELLS = 4


def print_survey(
    frame: SurveyFrame,
    documents: Iterable[str],
    console: Console,
    *,
    files: Sequence[tuple[str, Path]] = (),
) -> None:
    """Print the report; of ``documents`` (systems as JSON texts, worst first) only the first few are taken.

    ``files`` are the reports that were written, each with the name of its format. Raises ValueError where a document is
    no system of a report.
    """
    width = min(console.width, WIDEST)
    for part in _survey(frame, documents, files):
        console.print(part, width=width, highlight=False)


def survey_text(
    frame: SurveyFrame,
    documents: Iterable[str],
    *,
    files: Sequence[tuple[str, Path]] = (),
    width: int = WIDEST,
) -> str:
    """Return the same as plain text without colours."""
    out = StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False)
    print_survey(frame, documents, console, files=files)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _survey(
    frame: SurveyFrame, documents: Iterable[str], files: Sequence[tuple[str, Path]]
) -> Iterator[RenderableType]:
    overall = survey_summary(frame.scan, frame.totals)
    yield Text(overall.sentence, style=TONES[overall.tone])
    if overall.explanation:
        yield Text(overall.explanation)
    yield Text()
    yield from _figures(frame.totals)
    yield from _countries(frame.countries)
    yield from _worst(documents, frame.totals.systems)
    yield Rule(style="dim")
    yield _frame(frame)
    for name, file in files:
        yield Text(f"{name}: {file}", overflow="fold")


def _figures(totals: TotalsModel) -> Iterator[RenderableType]:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    grid.add_column(style="dim", overflow="ellipsis", no_wrap=True)
    for figure in survey_figures(totals):
        grid.add_row(
            Text(figure.value, style="bold"),
            Text(figure.label),
            Text(figure.trust or figure.method),
        )
    yield _indented(grid)
    yield Text()


def _countries(countries: Sequence[CountryModel]) -> Iterator[RenderableType]:
    """The countries with the most open systems, the rest in one row."""
    exposed = [one for one in countries if one.unprotected]
    if not exposed:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(overflow="ellipsis", no_wrap=True)
    for _ in range(4):
        grid.add_column(justify="right", no_wrap=True)
    heads = ("Country", "open", "studies", "images", "can be taken")
    grid.add_row(*(Text(head, style="dim") for head in heads))
    # One that would be alone in the last row might as well be named.
    shown = len(exposed) if len(exposed) <= _COUNTRIES + 1 else _COUNTRIES
    for one in exposed[:shown]:
        grid.add_row(*_sums(country_name(one.country) or "not known", one))
    if exposed[shown:]:
        grid.add_row(*_sums(f"{len(exposed) - shown} others", together(exposed[shown:])))
    yield _indented(grid)
    yield Text()


def _sums(name: str, one: TotalsModel) -> Iterator[Text]:
    yield Text(name)
    yield Text(f"{one.unprotected:,}", style="bold")
    yield Text(cell(one.studies))
    yield Text(cell(one.images))
    yield Text(cell(one.images_downloadable) if one.downloadable else "–")


def _worst(documents: Iterable[str], systems: int) -> Iterator[RenderableType]:
    """The worst systems, two lines each: who, and what to do first."""
    lines: list[Listed] = []
    for document in documents:
        line = listed(document)
        if line.is_quiet:
            break
        if not line.is_suspected:
            lines.append(line)
        if len(lines) == _WORST:
            break
    if not lines:
        return
    title = f"The worst {len(lines)} of {systems:,}" if len(lines) < systems else "The systems"
    yield _indented(Text(title, style="bold underline"))
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=_BADGE_CELLS, no_wrap=True)
    grid.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    for line in lines:
        badge = f" {line.grade} " if len(line.grade) <= 2 else " ? "
        grid.add_row(Text(badge, style=BADGES[line.tone]), _who(line))
        if line.step:
            grid.add_row("", Text(line.step, style="dim"))
    yield _indented(grid)
    yield Text()


def _who(line: Listed) -> Text:
    text = Text(line.address, style="bold")
    place = ", ".join(part for part in (line.name, line.site, line.country) if part)
    if place:
        text.append(f" ({place})", style="not bold")
    if line.studies != "–":
        text.append(f"  {line.studies} studies, {line.images} images", style="not bold")
    return text


def _frame(frame: SurveyFrame) -> Text:
    scan, coverage = frame.scan, frame.scan.coverage
    asked = coverage.questions_answered + coverage.questions_inconclusive
    asked += coverage.questions_failed
    words = (
        f"Doorward {scan.version}, {finished_at(scan)}, after {duration(scan)}.",
        f"Scope: {scan.scope.organisation}.",
        f"{plural(asked, 'question')} asked over {plural(coverage.connections, 'connection')},",
        f"{coverage.questions_answered:,} answered, {coverage.questions_inconclusive:,} without a usable answer,",
        f"{coverage.questions_failed:,} failed on our side.",
        "No patient data was read, no image was taken, nothing was changed.",
    )
    return Text(" ".join(words), style="dim")


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, _INDENT))
