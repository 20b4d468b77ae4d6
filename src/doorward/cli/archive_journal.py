"""``doorward archive journal``: what happened. Works beside a running archive, and over a backup; changes nothing of it."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import options

if TYPE_CHECKING:
    from doorward.access.journal.reading import Wanted
    from doorward.access.journal.record import Record

app = typer.Typer(
    help="What happened: verify the chain, show who looked at a study, export.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder of the archive, or of a backup.")
]
_Study = Annotated[str, typer.Option(metavar="UID", help="Only what names this study.")]
_Who = Annotated[str, typer.Option(metavar="NAME", help="Only what this identity did.")]
_Event = Annotated[
    str, typer.Option(metavar="NAME", help="Only one kind of event, such as 'retrieve'.")
]
_Since = Annotated[
    str,
    typer.Option(metavar="TIME", help="From then on: 2026-03-01, or 2026-03-01T08:00 (local)."),
]
_Until = Annotated[str, typer.Option(metavar="TIME", help="Before then.")]
_COLUMNS = (("number", 8), ("time (UTC)", 19), ("event", 18), ("outcome", 8), ("who", 20))
#: Written at a time.
_LINES = 256


@app.command("verify")
def verify(
    folder: _Folder,
    anchor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The anchor, where it is kept on another disk."),
    ] = None,
) -> None:
    """Walk along the chain, and name the first record that is not what was written.

    Exit codes: 0 whole; 1 broken; 2 no journal; 3 could not be read.
    """
    from doorward.access.journal.verify import verify as walk
    from doorward.archive.blobs.faults import mapped

    journal = _journal(folder)
    with mapped("read", str(journal)):
        found = walk(journal, anchor=anchor)
    if found.broken is not None:
        broken = found.broken
        typer.echo(
            f"BROKEN: record {broken.sequence:,} was {broken.what.value}"
            f" ({broken.segment}, byte {broken.offset:,})"
        )
        options.say("keep the folder as it is, copy it, and compare it with the last backup")
        raise typer.Exit(1)
    typer.echo(f"whole: {found.head.sequence:,} records in {found.segments:,} files")
    typer.echo(f"head:  {found.head.digest}")
    if not found.is_anchored:
        options.say("there is no anchor: records that were cut off at the end would not be missed")


@app.command("show")
def show(
    folder: _Folder,
    study: _Study = "",
    who: _Who = "",
    event: _Event = "",
    since: _Since = "",
    until: _Until = "",
) -> None:
    """Show records in the order of their numbers: a table on a terminal, else JSON lines.

    Who looked at a study: doorward archive journal show DIR --study UID
    """
    from doorward.access.journal.index import records as find
    from doorward.access.journal.reading import as_json_lines

    records = find(_journal(folder), _wanted(study, who, event, since, until))
    lines = _table(records) if sys.stdout.isatty() else as_json_lines(records)
    _print(_journal(folder), lines)


@app.command("export")
def export(
    folder: _Folder,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="jsonl or csv.")
    ] = "jsonl",
    study: _Study = "",
    who: _Who = "",
    event: _Event = "",
    since: _Since = "",
    until: _Until = "",
) -> None:
    """Write records to standard output as JSON lines or CSV, with the digests that chain them."""
    from doorward.access.journal.index import records as find
    from doorward.access.journal.reading import as_csv, as_json_lines
    from doorward.errors import ConfigError

    if form not in ("jsonl", "csv"):
        raise ConfigError(f"--format: {form!r} is not known", hint="jsonl or csv.")
    records = find(_journal(folder), _wanted(study, who, event, since, until))
    _print(_journal(folder), as_csv(records) if form == "csv" else as_json_lines(records))


# --- which records ----------------------------------------------------------------------------------------------------


def _journal(folder: Path) -> Path:
    from doorward.errors import ConfigError

    if not (folder / "journal").is_dir():
        raise ConfigError("holds no journal", file=folder, hint="Name the folder of an archive.")
    return folder / "journal"


def _wanted(study: str, who: str, event: str, since: str, until: str) -> "Wanted":
    from doorward.access.journal.reading import Wanted
    from doorward.access.journal.record import Event
    from doorward.errors import ConfigError

    if event and event not in list(Event):
        known = ", ".join(Event)
        raise ConfigError(f"--event: {event!r} is not known", hint=f"One of: {known}.")
    return Wanted(
        study=study,
        identity=who,
        event=Event(event) if event else None,
        since=_time(since, "--since"),
        until=_time(until, "--until"),
    )


def _time(text: str, option: str) -> datetime | None:
    """Return a time of this machine's zone, unless it says another one; None for "". Raises ConfigError."""
    from doorward.errors import ConfigError

    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "Write 2026-03-01, 2026-03-01T08:00, or 2026-03-01T08:00+01:00."
        raise ConfigError(f"{option}: {text!r} is no time", hint=hint) from None
    return moment if moment.tzinfo else moment.astimezone()


# --- how they are shown -----------------------------------------------------------------------------------------------


def _print(journal: Path, lines: Iterable[str]) -> None:
    from doorward.archive.blobs.faults import mapped

    with mapped("read", str(journal)):
        left = iter(lines)
        while some := list(islice(left, _LINES)):
            options.print_whole("".join(some))


def _table(records: "Iterable[Record]") -> Iterator[str]:
    """Yield a head line and a line a record; columns are as wide as what usually stands in them."""
    heads = "  ".join(f"{name:<{width}}" for name, width in _COLUMNS)
    yield f"{heads}  what\n"
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007 - the last one is used
        yield _row(record)
    yield f"{count:,} records\n" if count else "no record\n"


def _row(record: "Record") -> str:
    entry = record.entry
    who = f"{entry.identity} ({entry.how})" if entry.identity else entry.peer or "-"
    cells = (
        f"{record.sequence:,}",
        f"{record.time:%Y-%m-%d %H:%M:%S}",
        entry.event.value,
        entry.outcome.value,
        who,
    )
    columns = zip(cells, _COLUMNS, strict=True)
    text = "  ".join(f"{cell:<{width}}" for cell, (_, width) in columns)
    return f"{text}  {_what(record)}".rstrip() + "\n"


def _what(record: "Record") -> str:
    entry = record.entry
    count = len(entry.studies)
    parts = [
        entry.subject,
        f"{entry.instances:,} instance{'s' * (entry.instances != 1)}" if entry.instances else "",
        f"{entry.matches:,} match{'es' * (entry.matches != 1)}" if entry.matches else "",
        f"of {entry.studies[0]}" if count == 1 else f"of {count:,} studies" if count else "",
        f"to {entry.destination}" if entry.destination else "",
        f"from {entry.peer}" if entry.identity and entry.peer else "",
        f"as {entry.calling_ae_title}" if entry.calling_ae_title else "",
        f"({entry.reason})" if entry.reason else "",
    ]
    return " ".join(part for part in parts if part)
