"""The report of a survey as one HTML file: the looks and the promises of ``html``, for thousands of systems.

The sums come first, then the worst systems in full, then every other one in a row. The page is made from a stream of
documents and leaves as a stream: only the worst systems, and the addresses where nobody spoke DICOM, are in memory.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from doorward.audit.report.country_names import country_name
from doorward.audit.report.figures import cell, survey_figures
from doorward.audit.report.html import SystemView, system_view, template
from doorward.audit.report.listed import Listed, listed
from doorward.audit.report.model import GroupModel, SystemModel, TotalsModel
from doorward.audit.report.outputs import write_parts
from doorward.audit.report.overall import duration, finished_at, survey_summary
from doorward.audit.report.sums import together
from doorward.audit.report.survey import SurveyFrame
from doorward.audit.report.wording import RUNGS
from doorward.limits import DEFAULT_LIMITS, Limits

#: A group's name in words, and its sums.
_Named = tuple[str, TotalsModel]


def write_html(
    frame: SurveyFrame, documents: Iterable[str], file: Path, *, limits: Limits = DEFAULT_LIMITS
) -> None:
    """Write the whole page or none; raise ConfigError where the file cannot be written."""
    write_parts(file, html_parts(frame, documents, limits=limits))


def html_parts(
    frame: SurveyFrame, documents: Iterable[str], *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[str]:
    """Yield the parts of the page; ``documents`` are systems as JSON texts, worst first, and not all may be taken.

    Raises ValueError where a document is no system of a report.
    """
    others = _Others(documents, limits)
    worst = others.take_worst()
    systems = frame.totals.systems + frame.totals.left_out
    return template("survey.html.j2").generate(
        scan=frame.scan,
        title=f"Doorward: survey of {systems:,} systems, {frame.scan.finished_at[:10]}",
        overall=survey_summary(frame.scan, frame.totals),
        figures=survey_figures(frame.totals),
        tables=tuple(_tables(frame, limits)),
        systems=systems,
        worst=worst,
        others=others,
        duration=duration(frame.scan),
        finished=finished_at(frame.scan),
    )


# --- sums -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """The sums of one group in words."""

    name: str
    systems: str
    unprotected: str
    downloadable: str
    studies: str
    images: str
    images_downloadable: str
    is_open: bool = False
    is_rest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Sums by what systems have in common."""

    title: str
    head: str
    rows: tuple[_Row, ...]


_RUNG_WORDS = {**dict(RUNGS), "E0": "meets silence", "": "meets no open door"}


def _tables(frame: SurveyFrame, limits: Limits) -> Iterator[_Table]:
    """Yield the tables of which there is something to show."""
    groups = frame.groups
    countries = [(country_name(one.country) or "not known", one) for one in frame.countries]
    found: tuple[tuple[str, str, Sequence[_Named], int], ...] = (
        ("By how far a stranger gets", "A stranger", _rungs(groups.rungs), len(_RUNG_WORDS)),
        ("By country", "Country", countries, limits.report_countries),
        ("By owner", "Owner", _groups(groups.owners), limits.report_groups),
        ("By site", "Site", _groups(groups.sites), limits.report_groups),
        ("By product", "Product", _groups(groups.products), limits.report_groups),
    )
    for title, head, named, most in found:
        # A group of which every system looks like a honeypot has no sums.
        counted = [(name, one) for name, one in named if one.systems]
        if counted:
            yield _Table(title=title, head=head, rows=tuple(_rows(counted, most)))


def _rungs(groups: Sequence[GroupModel]) -> Sequence[_Named]:
    return [(f"{one.key} {_RUNG_WORDS.get(one.key, '')}".strip(), one) for one in groups]


def _groups(groups: Sequence[GroupModel]) -> Sequence[_Named]:
    return [(one.key or "not known", one) for one in groups]


def _rows(named: Sequence[_Named], most: int) -> Iterator[_Row]:
    # One that would be alone in the last row might as well be named.
    shown = len(named) if len(named) <= most + 1 else most
    for name, one in named[:shown]:
        yield _row(name, one)
    rest = [one for _, one in named[shown:]]
    if rest:
        yield _row(f"{len(rest):,} others", together(rest), is_rest=True)


def _row(name: str, one: TotalsModel, *, is_rest: bool = False) -> _Row:
    is_open, is_given = one.unprotected > 0, one.downloadable > 0
    return _Row(
        name=name,
        systems=f"{one.systems:,}",
        unprotected=f"{one.unprotected:,}",
        downloadable=f"{one.downloadable:,}",
        studies=cell(one.studies) if is_open else "–",
        images=cell(one.images) if is_open else "–",
        images_downloadable=cell(one.images_downloadable) if is_given else "–",
        is_open=is_open,
        is_rest=is_rest,
    )


# --- systems ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Others:
    """The systems after the worst, one by one; what is only known in the end is true after the last."""

    documents: Iterable[str]
    limits: Limits
    #: Where nobody spoke DICOM: for a list at the end.
    quiet: list[str] = field(default_factory=list)
    seen: int = 0
    _waiting: Iterator[str] = field(init=False)
    #: Read, and not shown yet.
    _waiting_lines: deque[Listed] = field(default_factory=deque)
    _next: Listed | None = None

    def __post_init__(self) -> None:
        self._waiting = iter(self.documents)

    def take_worst(self) -> tuple[SystemView, ...]:
        """Return the first systems with everything that is known about them, up to the first quiet one.

        What looks like a honeypot is no bad example of anything: it waits for its row.
        """
        worst: list[SystemView] = []
        for document in islice(self._waiting, self.limits.report_listed):
            line = self._line(document)
            if line.is_suspected:
                self._waiting_lines.append(line)
            elif line.is_quiet or len(worst) == self.limits.report_shown_whole:
                self._waiting_lines += self._aside(line)
                break
            else:
                worst.append(system_view(SystemModel.model_validate_json(document)))
        self._next = self._following()
        return tuple(worst)

    @property
    def has_rows(self) -> bool:
        """Whether there is anything to list."""
        return self._next is not None

    def __iter__(self) -> Iterator[Listed]:
        while self._next is not None:
            line = self._next
            self._next = self._following()
            yield line

    def _following(self) -> Listed | None:
        """Return the next line to show; quiet ones are put aside. None at the end or at the bound."""
        while not self._waiting_lines and self.seen < self.limits.report_listed:
            document = next(self._waiting, None)
            if document is None:
                break
            self._waiting_lines += self._aside(self._line(document))
        return self._waiting_lines.popleft() if self._waiting_lines else None

    def _line(self, document: str) -> Listed:
        self.seen += 1
        return listed(document)

    def _aside(self, line: Listed) -> tuple[Listed, ...]:
        """Return the line, or nothing where it is quiet and only its address is kept."""
        if not line.is_quiet:
            return (line,)
        self.quiet.append(f"{line.address} ({line.name})" if line.name else line.address)
        return ()
