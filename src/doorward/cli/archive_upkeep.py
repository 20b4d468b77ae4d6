"""``doorward archive verify | reindex | backup | restore | import | export``: the upkeep of an archive, by whoever has it."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import options

if TYPE_CHECKING:
    from doorward.archive.blobs.verify import Verification
    from doorward.archive.upkeep.beside import Named
    from doorward.archive.upkeep.importing import Imported, NotTaken
    from doorward.archive.upkeep.verify import Verified

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the archive.")]
_MEBIBYTE = 1_048_576
#: How many damaged instances are named on the terminal.
_NAMED = 20


def register(app: typer.Typer) -> None:
    """Add the commands of this file to ``doorward archive``."""
    for name, command in (
        ("verify", verify),
        ("reindex", reindex),
        ("backup", backup),
        ("restore", restore),
        ("import", import_files),
        ("export", export),
    ):
        app.command(name)(command)


def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of an archive, or of a backup.")
    ],
    blobs: Annotated[
        bool, typer.Option("--blobs", help="Only read every blob and hash it again.")
    ] = False,
    index: Annotated[
        bool, typer.Option("--index", help="Only hold each row of the index against its blob.")
    ] = False,
    journal: Annotated[
        bool, typer.Option("--journal", help="Only walk along the chain of the journal.")
    ] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Read no more than so many MiB a second.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep there how far it has come, and go on from there."),
    ] = None,
) -> None:
    """Look everything over, also beside a running archive: blobs, index, journal. Changes nothing.

    Exit codes: 0 whole; 1 something is damaged or missing; 2 no archive; 3 could not be read.
    """
    import asyncio

    from doorward.archive.upkeep.verify import Bookmark
    from doorward.archive.upkeep.verify import verify as look_over

    is_all = not (blobs or index or journal)
    line = _Line()
    found = asyncio.run(
        look_over(
            folder,
            blobs=is_all or blobs,
            index=is_all or index,
            journal=is_all or journal,
            rate_bytes_per_s=None if rate is None else int(rate * _MEBIBYTE),
            bookmark=None if resume is None else Bookmark(resume),
            progress=lambda so_far: line.show(lambda: _so_far(so_far)),
        )
    )
    line.end()
    _print_verified(found)
    raise typer.Exit(0 if found.is_whole else 1)


def _so_far(found: "Verification") -> str:
    return f"{found.blobs:,} blobs, {_size(found.bytes)} read, {found.damaged:,} damaged"


def _print_verified(found: "Verified") -> None:
    if found.journal is not None:
        broken = found.journal.broken
        head = f"{found.journal.head.sequence:,} records"
        said = f"whole, {head}" if broken is None else f"BROKEN at record {broken.sequence:,}"
        more = "" if broken is None else f": {broken.what.value} (in {broken.segment})"
        typer.echo(f"journal  {said}{more}")
    if found.index is not None:
        index = found.index
        typer.echo(f"index    {'whole' if index.is_whole else 'DAMAGED'}, {index.rows:,} rows")
        for problem in index.problems:
            typer.echo(f"         {problem}")
        for count, words in (
            (index.missing, "without their blob"),
            (index.other_size, "with a blob of another size"),
            (index.differing, "unlike their blob"),
            (index.other_sender, "of another sender than the journal names"),
        ):
            if count:
                typer.echo(f"         {_many(count, 'row')} {words}")
        if index.orphans:
            blobs = _many(index.orphans, "blob")
            typer.echo(f"         {blobs} that no row names (no fault; a sweep takes them away)")
        _print_named(index.wrong_named)
    if found.blobs is not None:
        said = "DAMAGED" if found.blobs.damaged else "whole"
        typer.echo(f"blobs    {said}, {_so_far(found.blobs)}")
        _print_named(found.damaged_named)
    _say_what_mends(found)


def _say_what_mends(found: "Verified") -> None:
    index, journal = found.index, found.journal
    if index is not None and not index.is_whole:
        options.say("what the index has wrong is made anew: stop the archive, then 'reindex'")
    if (
        (found.blobs is not None and found.blobs.damaged)
        or (index is not None and (index.missing or index.other_size))
        or (journal is not None and not journal.is_whole)
    ):
        options.say("restore what is damaged from a backup, or have it sent again by its sender")


def _print_named(named: "Sequence[Named]") -> None:
    for one in named[:_NAMED]:
        typer.echo(f"         blob {one.digest}")
        if one.sop_instance_uid:
            _echo_uid("study", one.study_uid)
            _echo_uid("series", one.series_uid)
            _echo_uid("instance", one.sop_instance_uid)
    if len(named) > _NAMED:
        typer.echo(f"         and {len(named) - _NAMED:,} more")


def _echo_uid(what: str, uid: str) -> None:
    typer.echo(f"           {what:<8} {uid}")


def reindex(folder: Folder) -> None:
    """Make the index of a stopped archive anew, from its blobs and its journal."""
    import asyncio

    from doorward.archive.upkeep.reindex import reindex as make_anew

    line = _Line()
    made = asyncio.run(
        make_anew(
            folder,
            sites=_sites(folder),
            progress=lambda count: line.show(lambda: f"{count:,} blobs read"),
        )
    )
    line.end()
    typer.echo(
        f"{_many(made.instances, 'instance')}, {_many(made.conflicts, 'content')} kept aside"
    )
    for count, words in (
        (made.deleted, "left out, their studies were deleted"),
        (made.without_record, "in no record of the journal, so their sender is not known"),
        (made.unreadable, "left out, no instance can be read there: ask 'verify' what they are"),
    ):
        if count:
            typer.echo(f"{_many(count, 'blob')}: {words}")
    if not made.kept_labels:
        options.say("the index before could not be read: labels and departments are lost")
    options.say(f"the index before is kept as {folder / 'index.before'}")
    raise typer.Exit(1 if made.unreadable else 0)


def _sites(folder: Path) -> dict[str, str]:
    """Return the site of everybody who is known, by name; where that cannot be read, nobody's."""
    from doorward.archive.running.folder import Folder as ArchiveFolder
    from doorward.errors import DoorwardError

    try:
        return {entry.name: entry.site for entry in ArchiveFolder(folder).register()}
    except DoorwardError as error:
        options.say(f"who is known cannot be read, so no study gets its sender's site: {error}")
        return {}


def backup(
    folder: Folder,
    to: Annotated[
        Path, typer.Argument(metavar="TO", help="A new folder, or that of an earlier backup.")
    ],
    with_secrets: Annotated[
        bool,
        typer.Option(
            "--with-secrets", help="Keys, people and devices too: keep TO as safe as the archive."
        ),
    ] = False,
) -> None:
    """Save an archive while it runs; what an earlier backup in TO has already is not copied again."""
    import asyncio

    from doorward.archive.upkeep.backup import backup as save

    begun = time.monotonic()
    made = asyncio.run(save(folder, to, now=datetime.now(UTC), with_secrets=with_secrets))
    typer.echo(
        f"{_many(made.instances, 'instance')} saved: {_many(made.copied, 'blob')} copied, {made.linked:,} linked,"
        f" {made.already:,} there already, {made.removed:,} removed;"
        f" {made.journal.sequence:,} journal records; {time.monotonic() - begun:.1f} s"
    )
    if made.linked:
        options.say(
            "linked blobs share the disk of the archive: carry the backup to another disk, or what"
            " that disk loses both have lost"
        )
    if made.secrets is None:
        options.say(
            f"the secrets (keys, people, devices: {folder / 'secrets'}) are not in this backup;"
            " keep them elsewhere, or give --with-secrets"
        )
    if made.missing:
        typer.echo(f"missing or damaged in the archive itself: {_many(made.missing, 'blob')}")
        _print_named(made.missing_named)
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="The folder of a backup.")],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="An empty folder, or one that is not there yet.")
    ],
) -> None:
    """Make an archive of a backup; every blob is hashed on its way."""
    import asyncio

    from doorward.archive.upkeep.restore import restore as bring_back

    line = _Line()
    found = asyncio.run(
        bring_back(
            source, folder, progress=lambda count: line.show(lambda: f"{count:,} blobs copied")
        )
    )
    line.end()
    typer.echo(
        f"{_many(found.instances, 'instance')} of {found.made_at}, {_many(found.blobs, 'blob')} copied"
    )
    if not found.has_secrets:
        options.say(
            f"this backup holds no secrets: put those of the archive into {folder / 'secrets'}"
            " before it is started"
        )
    if not found.is_journal_whole:
        typer.echo("the journal in the backup is broken: ask 'doorward archive journal verify'")
    if found.missing:
        typer.echo(f"missing or damaged in the backup: {_many(found.missing, 'blob')}")
        _print_named(found.missing_named)
    raise typer.Exit(1 if found.missing or not found.is_journal_whole else 0)


def import_files(
    folder: Folder,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files, and folders with all that is in them."),
    ],
    site: Annotated[str, typer.Option(help="Whose they are, for rules by site.")] = "",
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Which files are done; DIR/import.done unless said."),
    ] = None,
    skipped: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write there which files were not taken, and why."),
    ] = None,
) -> None:
    """Take files into a stopped archive; started again, it goes on where it was broken off."""
    import asyncio

    from doorward.archive.upkeep.importing import import_files as take_in

    line, begun = _Line(), time.monotonic()
    with _listed(skipped) as not_taken:
        found = asyncio.run(
            take_in(
                folder,
                paths,
                site=site,
                done=state,
                progress=lambda so_far: line.show(lambda: _imported(so_far, begun)),
                not_taken=not_taken,
            )
        )
    line.end()
    typer.echo(_imported(found, begun))
    if skipped is not None:
        options.say(f"files that were not taken are listed in {skipped}")
    elif found.passed_over or found.refused or found.unreadable:
        options.say("name a file with --skipped to have those listed that were not taken")
    if found.stopped:
        options.say(f"stopped: {found.stopped}; what was taken is safe, and the rest can follow")
        raise typer.Exit(3)
    raise typer.Exit(1 if found.refused or found.unreadable else 0)


def _imported(found: "Imported", begun: float) -> str:
    spent = max(0.001, time.monotonic() - begun)
    taken = found.new + found.same + found.kept_aside
    parts = [
        f"{found.new:,} new",
        *([f"{found.same:,} held already"] if found.same else []),
        *([f"{found.kept_aside:,} kept aside (other content)"] if found.kept_aside else []),
        *([f"{found.before:,} done before"] if found.before else []),
        *([f"{found.passed_over:,} passed over"] if found.passed_over else []),
        *([f"{found.refused:,} refused"] if found.refused else []),
        *([f"{found.unreadable:,} unreadable"] if found.unreadable else []),
    ]
    said = f"{_many(found.files, 'file')}: {', '.join(parts)}"
    return f"{said}; {_size(found.size_bytes)}, {taken / spent:,.0f} files/s" if taken else said


@contextmanager
def _listed(file: Path | None) -> "Iterator[Callable[[NotTaken], None] | None]":
    """Give what writes a line for each file that is not taken; names of files may be names of patients: for us alone."""
    import os

    from doorward.archive.blobs.faults import mapped

    if file is None:
        yield None
        return
    with mapped("write", str(file)):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(handle, "w", encoding="utf-8", errors="surrogateescape") as listed:

            def note(one: "NotTaken") -> None:
                listed.write(f"{one.reason}\t{one.path}\n")

            yield note


def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder.")],
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY_UID...]", help="Which studies.")
    ] = None,
    patient_id: Annotated[
        str, typer.Option(help="All studies of a Patient ID; - reads it from standard input.")
    ] = "",
) -> None:
    """Write studies of a stopped archive as DICOM files; the journal knows before the first byte."""
    import asyncio

    from doorward.archive.upkeep.exporting import export as write
    from doorward.errors import ConfigError

    if patient_id == "-":  # so that it stands in no list of processes and in no history
        patient_id = sys.stdin.readline().rstrip("\r\n")
    if not studies and not patient_id:
        hint = "Name Study Instance UIDs, or a patient with --patient-id."
        raise ConfigError("say what is to be exported", hint=hint)
    line = _Line()
    found = asyncio.run(
        write(
            folder,
            out,
            study_uids=studies or (),
            patient_id=patient_id,
            progress=lambda count: line.show(lambda: f"{count:,} files written"),
        )
    )
    line.end()
    typer.echo(
        f"{_many(found.files, 'file')} in {out} ({_size(found.size_bytes)});"
        " contents.csv says which is which"
    )
    if found.damaged:
        typer.echo(f"damaged here and left out: {_many(len(found.damaged), 'instance')}")
        _print_named(found.damaged)
        raise typer.Exit(1)


# --- what the commands share ------------------------------------------------------------------------------------------


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _size(count_bytes: int) -> str:
    return f"{count_bytes / _MEBIBYTE:,.1f} MiB"


class _Line:
    """One line on standard error that is written over, on a terminal; elsewhere nothing."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._next_s = 0.0
        self._length = 0

    def show(self, text: Callable[[], str]) -> None:
        """Show how far it has come, a few times a second."""
        now = time.monotonic()
        if not self._is_shown or now < self._next_s:
            return
        self._next_s = now + 0.2
        said = text()
        sys.stderr.write(f"\r{said:<{self._length}}")
        sys.stderr.flush()
        self._length = len(said)

    def end(self) -> None:
        """Take the line away."""
        if self._length:
            sys.stderr.write("\r" + " " * self._length + "\r")
            sys.stderr.flush()
            self._length = 0
