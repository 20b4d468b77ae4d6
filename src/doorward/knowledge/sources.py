"""Where the tables come from, how old they are, and the page that tells it (docs/knowledge.md is written from here)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

from doorward.knowledge.loader import read, rows

#: Then ``doorward knowledge check`` warns.
OLD_AFTER_DAYS = 180

_PACKAGE = "doorward.knowledge"
_FILE = "sources.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One data file of this folder."""

    name: str
    holds: str
    date: str  # ISO 8601

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        document: Mapping[str, object] = read(_PACKAGE, self.name)
        return sum(len(table) for table in document.values() if isinstance(table, list))


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where something in a table was read."""

    table: str
    name: str
    licence: str
    mark: str  # S | M: of the licence


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How old something is on a day."""

    days: int

    @property
    def is_old(self) -> bool:
        """Older than ``OLD_AFTER_DAYS``."""
        return self.days > OLD_AFTER_DAYS

    @property
    def is_ahead(self) -> bool:
        """Dated after today: one of the two days is wrong."""
        return self.days < 0


@cache
def tables() -> tuple[Table, ...]:
    """Return every data file, in the order of sources.toml."""
    return rows(_PACKAGE, _FILE, "table", Table)


@cache
def origins() -> tuple[Origin, ...]:
    """Return every origin, in the order of sources.toml."""
    return rows(_PACKAGE, _FILE, "origin", Origin)


def age(dated: date, today: date) -> Age:
    """Return how old something of one day is on another."""
    return Age(days=(today - dated).days)


def sources_markdown() -> str:
    """Return docs/knowledge.md without its head: what is known, from where, and how far it is believed."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# What Doorward knows about products",
        "",
        "Data files beside the code, in `src/doorward/knowledge`: no audit asks anybody else. The age of each is told by",
        f"`doorward knowledge check`, which warns after {OLD_AFTER_DAYS} days.",
        "",
        "| table | rows | date | what it holds |",
        "| --- | --- | --- | --- |",
    )
    for table in tables():
        yield f"| `{table.name}` | {table.rows} | {table.date} | {table.holds} |"
    yield from ("", "| table | origin | licence |", "| --- | --- | --- |")
    for origin in origins():
        mark = "" if origin.mark == "S" else " (to be checked)"
        yield f"| `{origin.table}` | {origin.name} | {origin.licence}{mark} |"
    yield from _RULES


_RULES = (
    "",
    "## How far a row is believed",
    "",
    "| mark | means |",
    "| --- | --- |",
    "| S | read in the source that the row names |",
    "| M | general knowledge or second-hand |",
    "| ? | the sources contradict each other |",
    "",
    "* A version is a claim, and repaired packages keep it: no match is ever certain.",
    "* A version in a header or on a page says *possible*.",
    "* *Likely* needs three things: an exact build string (a name compiled into the stack, or Orthanc's own `/system`), a row",
    "  whose range and score have no mark but S, and a row that allows it.",
    "* A row marked M or ? says *possible* and no more, whatever was seen.",
    "* A product that does not show its version is *not tested*: the advisories about it are named, none is said to apply.",
    "* No row for a product means that none is known to us. It does not mean that it is safe.",
    "",
    "## Newer advisories, without a network",
    "",
    "`doorward knowledge update FILE...` takes files that somebody brought, and finds out by itself what each is:",
    "",
    "| file | from | what is kept |",
    "| --- | --- | --- |",
    "| CSAF 2.0 advisory (JSON) | CISA, makers | affected versions of products that can be recognised from outside |",
    "| KEV catalogue (JSON) | CISA | which ids are known to be exploited, and since when |",
    "| EPSS scores (CSV, also gzip) | FIRST | the probability of exploitation, for the ids of the tables |",
    "",
    "A file is taken whole or not at all, and several files together or none of them. Errors name the file with the line, or",
    "the path inside the JSON. An edition older than the one taken before is refused. Take advisories before or together with",
    "the scores: scores are kept for the ids that are known by then.",
    "",
    "What was taken is kept in `knowledge.json` in the folder `doorward/knowledge` under `XDG_DATA_HOME` (or",
    "`~/.local/share`), or where `--data` says, with file name, SHA-256, publisher, date and counts of each. Audits lay it",
    "over the tables (`doorward audit --knowledge` takes another folder); what a newer advisory says of an id and a product",
    "replaces the row of the table. Without the file the tables stand alone.",
    "",
    "## Exit codes of `doorward knowledge check`",
    "",
    "| code | means |",
    "| --- | --- |",
    "| 0 | everything is fresh |",
    f"| 1 | something is older than {OLD_AFTER_DAYS} days, or dated after today |",
    "| 2 | a file cannot be read |",
)
