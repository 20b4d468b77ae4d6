"""A copy of an archive while it runs: blobs, index, journal, settings; the secrets only where they are asked for.

    TO/blobs TO/index TO/journal TO/commitments TO/doorward.toml [TO/secrets]
                                                                  the form of an archive: ``verify`` looks over it too
    TO/backup.json                                                what this is, from when, and that it is complete

Theory of operation. Nothing of the archive is locked: blobs are never changed in place, SQLite gives one commit as it stands,
the journal only grows. Blobs first, then the index, then the blobs again that came meanwhile: so each row has its blob. Where
one is missing all the same, its study was deleted in between, and the index is copied again. The journal comes last, so that
it tells of everything that the index has. What was acknowledged before the backup began is in it.

The next backup into the same folder copies what is new, and takes away what neither index nor archive has any more: what was
deleted does not live on in a backup. On the same file system blobs are hard links: no second copy until something carries
them away.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from doorward.access.journal.record import Head
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.shelf import Shelf, open_shelf
from doorward.archive.blobs.snapshot import Snapshot, snapshot
from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.holdings import referenced, totals
from doorward.archive.index.upkeep import copy_to
from doorward.archive.upkeep import beside
from doorward.archive.upkeep.beside import Named
from doorward.archive.upkeep.copying import (
    copy_commitments,
    copy_journal,
    copy_secrets,
    make_folder,
    read_small,
    write_small,
)
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

FORMAT = "doorward.backup/1"
MARK = "backup.json"
SETTINGS = "doorward.toml"
SECRETS = "secrets"
COMMITMENTS = "commitments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What ``backup.json`` says. ``made_at``: when the backup began, in UTC; "" in one that was never finished."""

    made_at: str = ""
    instances: int = 0
    journal_records: int = 0
    has_secrets: bool = False
    is_complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What was saved: instances that are in it, blobs that were linked, copied, there already, and removed again."""

    instances: int
    linked: int
    copied: int
    already: int
    removed: int
    #: Instances whose blob is missing or damaged in the archive itself, and the first of them.
    missing: int
    missing_named: tuple[Named, ...]
    journal: Head
    #: How many secrets; None where they were not asked for.
    secrets: int | None


def read_mark(folder: Path, limits: Limits) -> Mark | None:
    """Return what a backup says of itself; None where there is no such file. Raises ConfigError for another format."""
    file = folder / MARK
    if not file.exists():
        return None
    try:
        stated: dict[str, Any] = json.loads(read_small(file, limits))
        if stated.pop("format") != FORMAT:
            raise ValueError
        return Mark(**stated)
    except (ValueError, TypeError, KeyError, AttributeError):
        hint = "It may be of a newer Doorward: use that one. Nothing was changed."
        raise ConfigError(
            "is no mark of a backup that is known here", file=file, hint=hint
        ) from None


async def backup(
    folder: Path,
    to: Path,
    *,
    now: datetime,
    with_secrets: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Backup:
    """Save an archive, running or not, into a new folder or one of an earlier backup.

    Raises ConfigError where one of the two folders is something else, or the journal is not the one that was saved before;
    StorageError, StorageFull: what was saved before is as good as it was, and the next backup goes on.
    """
    await asyncio.to_thread(_prepare, folder, to, limits)
    with _alone(to):
        store = BlobStore.open(folder / "blobs", limits=limits, may_write=False)
        try:
            found = await _blobs_and_index(store, folder, to)
            removed, missing, named, instances = await asyncio.to_thread(_tidy, store.shelf, to)
        finally:
            await asyncio.to_thread(store.close)
        head, secrets = await asyncio.to_thread(_the_rest, folder, to, with_secrets, limits)
        mark = Mark(
            made_at=now.isoformat(timespec="seconds"),
            instances=instances,
            journal_records=head.sequence,
            has_secrets=secrets is not None,
            is_complete=True,
        )
        await asyncio.to_thread(_write_mark, to, mark)
    return Backup(
        instances=instances,
        linked=found.linked,
        copied=found.copied,
        already=found.already,
        removed=removed,
        missing=missing,
        missing_named=named,
        journal=head,
        secrets=secrets,
    )


def _prepare(folder: Path, to: Path, limits: Limits) -> None:
    source, target = folder.resolve(), to.resolve()
    if not (folder / "blobs").is_dir():
        raise ConfigError("is no archive", file=folder)
    if source == target or source in target.parents or target in source.parents:
        raise ConfigError("lies inside the other folder", file=to, hint="Name another place.")
    make_folder(to)
    if read_mark(to, limits) is None:
        if any(to.iterdir()):
            hint = "Name a new folder, or that of an earlier backup."
            raise ConfigError("is not empty and no backup", file=to, hint=hint)
        _write_mark(to, Mark())


@contextmanager
def _alone(to: Path) -> Iterator[None]:
    disk = LocalDisk()
    with mapped("open", str(to)):
        right = disk.lock(str(to / "lock"))
    if right is None:
        raise ConfigError("another backup is being written there", file=to)
    try:
        yield
    finally:
        disk.close(right)


def _write_mark(to: Path, mark: Mark) -> None:
    write_small(to / MARK, json.dumps({"format": FORMAT, **asdict(mark)}).encode("ascii"))


async def _blobs_and_index(store: BlobStore, folder: Path, to: Path) -> Snapshot:
    """Copy blobs and index until they belong together; what a fault of the disk has taken stays missing."""
    limits = store.shelf.limits
    found, earlier = Snapshot(), None
    async with store.upkeep:
        first = await snapshot(store, to / "blobs")
        for _ in range(limits.backup_rounds):
            await asyncio.to_thread(_copy_index, folder / "index", to / "index.new", limits)
            later = await snapshot(store, to / "blobs")
            found = Snapshot(
                linked=first.linked + later.linked,
                copied=first.copied + later.copied,
                already=first.already,
            )
            first = Snapshot(linked=found.linked, copied=found.copied, already=found.already)
            lacking = await asyncio.to_thread(_lacking, to / "index.new", to / "blobs", limits)
            if not lacking or lacking == earlier:
                break
            earlier = lacking
    await asyncio.to_thread(_put_in_place, to)
    return found


def _copy_index(index: Path, to: Path, limits: Limits) -> None:
    with mapped("remove", str(to)):
        to.unlink(missing_ok=True)
    with beside.opened(index, limits) as connection:
        copy_to(connection, to)


def _put_in_place(to: Path) -> None:
    with mapped("write", str(to)):
        (to / "index.new").replace(to / "index")
        LocalDisk().sync_folder(str(to))


def _lacking(index: Path, blobs: Path, limits: Limits) -> int:
    """Count the rows whose blob is not in the copy."""
    shelf = open_shelf(blobs, LocalDisk(), limits, may_write=False)
    with beside.opened(index, limits) as connection:
        return beside.lacking(connection, shelf, limits)[0]


def _tidy(source: Shelf, to: Path) -> tuple[int, int, tuple[Named, ...], int]:
    """Remove what nobody has any more; return how many, what the copy lacks, the first of that, and the instances."""
    limits = source.limits
    target = open_shelf(to / "blobs", LocalDisk(), limits, may_write=True)
    removed = 0
    try:
        with beside.opened(to / "index", limits) as connection:
            for folder in FOLDERS:
                digests = target.digests(folder)
                known = referenced(connection, digests)
                for digest in digests:
                    if digest not in known and source.entry(digest) is None:
                        removed += target.remove_orphan(digest, before=float("inf")) is not None
            lacking, named = beside.lacking(connection, target, limits)
            return removed, lacking, named, totals(connection).instances
    finally:
        target.give_back()


def _the_rest(
    folder: Path, to: Path, with_secrets: bool, limits: Limits
) -> tuple[Head, int | None]:
    copy_commitments(folder / COMMITMENTS, to / COMMITMENTS, limits)
    head = copy_journal(folder / "journal", to / "journal", limits)
    settings = folder / SETTINGS
    if settings.exists():
        write_small(to / SETTINGS, read_small(settings, limits))
    if not with_secrets or not (folder / SECRETS).is_dir():
        return head, None
    return head, copy_secrets(folder / SECRETS, to / SECRETS)
