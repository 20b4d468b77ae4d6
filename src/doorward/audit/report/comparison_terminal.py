"""The comparison of two surveys for a terminal: what changed in one sentence, then how it adds up, then where.

Built from ``rich`` Text objects only: no string goes through rich's markup.
"""

from collections.abc import Iterator
from io import StringIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from doorward.audit.report.comparison import (
    ComparisonReport,
    CountryChangeModel,
    GrowthModel,
    SideModel,
    SystemChangeModel,
)
from doorward.audit.report.figures import amount, counted, plural
from doorward.audit.report.model import CountModel

_WIDEST = 100
_INDENT = 5
#: From here on all columns have room.
_BROAD = 90
#: Rows of a table; the JSON document has all of them.
_MOST_ROWS = 10

#: Class, sign, words: how the earlier number of open systems becomes the later one.
_STEPS = (
    ("closed", "-", "closed: asked again, and strangers are turned away"),
    ("gone", "-", "gone: nobody answers there any more"),
    ("set_apart", "-", "set apart: look like honeypots or demonstrations now"),
    ("unknown_now", "-", "not known: not asked again, or no answer settles it"),
    ("newly_open", "+", "newly open: asked before, and were not"),
    ("newly_listed", "+", "newly listed: were no target before"),
    ("method_improved", "+", "found because the method improved: open before, or not asked then"),
    ("unknown_before", "+", "not known before: no answer settled it"),
)
#: These two say what the comparison rests on: they are shown when they are nought, too.
_ALWAYS = ("closed", "gone", "newly_open", "method_improved")
_MEASURES = (
    ("patients", "patients"),
    ("studies", "studies"),
    ("images", "images"),
    ("images_downloadable", "images that can be taken"),
)
_PARTS = (
    ("before", "before"),
    ("left", "left"),
    ("grown", "grown"),
    ("recounted", "recounted"),
    ("new", "new"),
    ("method", "method"),
    ("after", "now"),
)
_LEGEND = (
    "left: on systems closed, gone or not known. grown: on systems open, and counted exactly, both "
    "times. recounted: the same systems, not counted exactly both times. method: on systems found "
    "because the method improved."
)
#: What an operator wants to see system by system, in this order.
_LISTS = (
    ("newly_open", "Newly open"),
    ("newly_listed", "Newly listed, and open"),
    ("method_improved", "Found because the method improved"),
    ("unknown_before", "Open now, not known before"),
    ("unknown_now", "Were open, and are not known to be shut"),
)


def print_comparison(report: ComparisonReport, console: Console) -> None:
    """Print the comparison."""
    width = min(console.width, _WIDEST)
    for part in _comparison(report, width):
        console.print(part, width=width, highlight=False)


def comparison_text(report: ComparisonReport, *, width: int = _WIDEST) -> str:
    """Return the comparison as plain text without colours."""
    out = StringIO()
    print_comparison(report, Console(file=out, width=width, color_system=None))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _comparison(report: ComparisonReport, width: int) -> Iterator[RenderableType]:
    yield Text(_sentence(report), style="bold")
    yield Text(_explanation(report))
    yield Text()
    yield from _steps(report)
    yield from _growth(report, width)
    yield from _countries(report, width)
    for change, title in _LISTS:
        systems = [s for s in report.systems if s.change == change]
        yield from _systems(title, systems, width)
    yield Rule(style="dim")
    yield Text(
        f"Doorward {report.version}. Before: {_side(report.before)}. Now: {_side(report.after)}.",
        style="dim",
    )


def _sentence(report: ComparisonReport) -> str:
    before, after = report.before.unprotected, report.after.unprotected
    verb = "was" if before == 1 else "were"
    ended = report.numbers.closed + report.numbers.gone
    words = f"{plural(before, 'system')} {verb} open to strangers before, {after:,} now"
    return f"{words}: {ended:,} closed or gone, {report.new:,} new."


def _explanation(report: ComparisonReport) -> str:
    numbers, said = report.numbers, []
    if numbers.method_improved:
        found = numbers.method_improved
        said.append(
            f"Of the {report.new:,} new, {found:,} {'was' if found == 1 else 'were'} found because the "
            "method improved: they may have been open all the time."
        )
    if numbers.unknown_now:
        said.append(
            f"{plural(numbers.unknown_now, 'system')} that {_was(numbers.unknown_now)} open "
            "gave no answer that settles it: that is no sign of safety."
        )
    if report.not_listed:
        said.append(
            f"{plural(report.not_listed, 'system')} of those gone {_was(report.not_listed)} "
            "not in the later survey's list, and so not asked."
        )
    return " ".join(said) or "Every system that was open before was asked again."


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _steps(report: ComparisonReport) -> Iterator[RenderableType]:
    grid = _grid("right", "left")
    grid.add_row(
        Text(f"{report.before.unprotected:,}", style="bold"), f"open on {_day(report.before)}"
    )
    for change, sign, words in _STEPS:
        number: int = getattr(report.numbers, change)
        if number or change in _ALWAYS:
            style = "green" if sign == "-" else "red"
            grid.add_row(Text(f"{sign}{number:,}", style=style if number else "dim"), Text(words))
    grid.add_row(
        Text(f"{report.after.unprotected:,}", style="bold"), f"open on {_day(report.after)}"
    )
    yield _heading("Open systems")
    yield _indented(grid)
    yield Text()


def _growth(report: ComparisonReport, width: int) -> Iterator[RenderableType]:
    measured = [(words, getattr(report.growth, name)) for name, words in _MEASURES]
    known = [(words, growth) for words, growth in measured if not _is_empty(growth)]
    if not known:
        return
    yield _heading("What lies open")
    # A number that is cut off is a wrong number: on a narrow screen, fewer stand side by side.
    beside = 4 if width >= _BROAD else 1
    for first in range(0, len(known), beside):
        yield _indented(_growth_grid(known[first : first + beside]))
    yield _indented(Text(_LEGEND, style="dim"))
    yield Text()


def _growth_grid(known: list[tuple[str, GrowthModel]]) -> Table:
    grid = _grid("left", *["right"] * len(known))
    grid.add_row("", *(Text(words, style="dim") for words, _ in known))
    for part, words in _PARTS:
        style = "bold" if part in ("before", "after") else ""
        if part != "recounted" or any(growth.recounted.value for _, growth in known):
            cells = [_signed(part, getattr(growth, part)) for _, growth in known]
            grid.add_row(Text(words, style="dim"), *(Text(cell, style=style) for cell in cells))
    return grid


def _is_empty(growth: GrowthModel) -> bool:
    return not growth.before.value and not growth.after.value


def _signed(part: str, count: CountModel) -> str:
    if part in ("before", "after") or count.value is None:
        return amount(count)
    if not count.value:
        return "0"
    sign = "-" if (part == "left") == (count.value > 0) else "+"
    size = amount(count.model_copy(update={"value": abs(count.value)}))
    return f"{sign}{size}" if size[0].isdigit() else f"{sign} {size}"


def _countries(report: ComparisonReport, width: int) -> Iterator[RenderableType]:
    named = [row for row in report.countries if row.country]
    if not named:
        return
    yield _heading("Countries")
    for words, countries in (
        ("clean", report.clean_countries),
        ("new", report.new_countries),
    ):
        listed = f": {', '.join(countries)}" if countries else ""
        yield _indented(Text(f"{plural(len(countries), 'country', 'countries')} {words}{listed}"))
    titles: tuple[str, ...] = (
        "",
        "open before",
        "ended",
        "new",
        "open now",
        "studies before",
        "studies now",
    )
    if width < _BROAD:
        titles = ("", "before", "ended", "new", "now")
    grid = _grid("left", *["right"] * (len(titles) - 1))
    grid.add_row(*(Text(title, style="dim") for title in titles))
    for row in named[:_MOST_ROWS]:
        grid.add_row(*tuple(_country_row(row))[: len(titles)])
    yield _indented(grid)
    if len(named) > _MOST_ROWS:
        yield _indented(Text(f"and {len(named) - _MOST_ROWS:,} more", style="dim"))
    yield Text()


def _country_row(row: CountryChangeModel) -> Iterator[Text]:
    ended = row.numbers.closed + row.numbers.gone
    new = row.open_after - row.numbers.still_open
    yield Text(row.country, style="bold")
    yield from (Text(f"{n:,}") for n in (row.open_before, ended, new, row.open_after))
    for number, counts in ((row.open_before, row.before), (row.open_after, row.after)):
        yield Text(amount(counts.studies) if number else "-")


def _systems(title: str, systems: list[SystemChangeModel], width: int) -> Iterator[RenderableType]:
    if not systems:
        return
    yield _heading(f"{title}: {len(systems):,}")
    grid = _grid("left", "left", "right", "left") if width >= _BROAD else _grid("left")
    for system in sorted(systems, key=_most_studies_first)[:_MOST_ROWS]:
        cells = _system_row(system)
        if width >= _BROAD:
            grid.add_row(*cells)
        else:
            grid.add_row(Text("  ").join(cells))
    yield _indented(grid)
    if len(systems) > _MOST_ROWS:
        more = f"and {len(systems) - _MOST_ROWS:,} more (the JSON document has all of them)"
        yield _indented(Text(more, style="dim"))
    yield Text()


def _system_row(system: SystemChangeModel) -> tuple[Text, Text, Text, Text]:
    counts = system.after or system.before
    studies = "" if counts is None else counted(counts.studies, "study", "studies")
    where = Text(system.address, style="bold")
    if system.name and system.name != system.address:
        where.append(f" ({system.name})", style="not bold")
    return where, Text(system.country), Text(studies), Text(system.because, style="dim")


def _most_studies_first(system: SystemChangeModel) -> int:
    counts = system.after or system.before
    return 0 if counts is None else -(counts.studies.value or 0)


def _side(side: SideModel) -> str:
    label = f"{side.label}, " if side.label else ""
    cut = "" if side.is_whole else ", not the whole list"
    systems = plural(side.systems, "system")
    return f"{label}{_day(side)}, {systems} at clearance level {side.clearance_level}{cut}"


def _day(side: SideModel) -> str:
    return side.started_at[:10]


def _grid(*justified: str) -> Table:
    grid = Table.grid(padding=(0, 2))
    for justify in justified:
        # Numbers that are broken over two lines cannot be read; words can.
        grid.add_column(
            justify="right" if justify == "right" else "left", no_wrap=justify == "right"
        )
    return grid


def _heading(title: str) -> RenderableType:
    return _indented(Text(title, style="bold underline"))


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, _INDENT))
