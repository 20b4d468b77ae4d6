"""A backup as an archive in an empty folder. What comes back was hashed on its way.

Theory of operation. Blobs come first and the index comes last, so that a folder in which a restore was broken off is no
archive: opening it says that its index is missing. A mark (``restoring.json``) lets the same restore go on. Blobs are copied,
never linked: the archive and its backup share nothing afterwards.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.verify import verify as verify_journal
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.shelf import Shelf, open_shelf
from doorward.archive.blobs.snapshot import copy_blob
from doorward.archive.index.holdings import totals
from doorward.archive.index.upkeep import copy_to
from doorward.archive.upkeep import beside, hands
from doorward.archive.upkeep.backup import COMMITMENTS, MARK, SECRETS, SETTINGS, Mark, read_mark
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

_MARK = "restoring.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back. ``missing``: instances without a blob that is whole, and the first of them."""

    made_at: str
    instances: int
    blobs: int
    missing: int
    missing_named: tuple[Named, ...]
    is_journal_whole: bool
    #: Whether keys, people and devices came back too; else they have to be put there.
    has_secrets: bool


async def restore(
    source: Path,
    folder: Path,
    *,
    progress: Callable[[int], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Restored:
    """Make an archive of a backup, in a folder that is empty or not there. ``progress``: blobs so far, called in a thread.

    Raises ConfigError where the backup is none, not complete or of a newer version, and where the folder holds something;
    StorageError, StorageFull: the same restore again goes on.
    """
    mark = _mark(source, limits)
    await asyncio.to_thread(_prepare, folder, mark)
    work = partial(_restore, source, folder, mark, progress, limits)
    restored = await asyncio.to_thread(work)
    journal = Journal(folder / "journal", limits=limits)
    try:
        reason = f"of {mark.made_at}, {restored.missing} missing"
        note = Record(event=Event.UPKEEP, subject="restore", reason=reason)
        await journal.write(note.by(hands.operator()))
    finally:
        await journal.close()
    with mapped("remove", str(folder / _MARK)):
        (folder / _MARK).unlink()
    return restored


def _mark(source: Path, limits: Limits) -> Mark:
    mark = read_mark(source, limits)
    if mark is None or not mark.is_complete:
        message = "is no backup" if mark is None else "is a backup that was never finished"
        raise ConfigError(message, file=source, hint=f"A finished backup has a file {MARK}.")
    return mark


def _prepare(folder: Path, mark: Mark) -> None:
    content = json.dumps({"made_at": mark.made_at}).encode("ascii")
    make_folder(folder)
    with mapped("read", str(folder)):
        if (folder / _MARK).exists() and (folder / _MARK).read_bytes() == content:
            return
        if any(folder.iterdir()):
            hint = "Name an empty folder, or one that does not exist yet; nothing was changed."
            raise ConfigError("is not empty", file=folder, hint=hint)
    write_small(folder / _MARK, content)


def _restore(
    source: Path,
    folder: Path,
    mark: Mark,
    progress: Callable[[int], None] | None,
    limits: Limits,
) -> Restored:
    is_whole = verify_journal(source / "journal", limits=limits).is_whole
    with beside.opened(source / "index", limits) as connection:
        blobs = _copy_blobs(source, folder, progress, limits)
        copy_commitments(source / COMMITMENTS, folder / COMMITMENTS, limits)
        copy_journal(source / "journal", folder / "journal", limits)
        if (source / SETTINGS).exists():
            write_small(folder / SETTINGS, read_small(source / SETTINGS, limits))
        if (source / SECRETS).is_dir():
            copy_secrets(source / SECRETS, folder / SECRETS)
        there = open_shelf(folder / "blobs", LocalDisk(), limits, may_write=False)
        missing, named = beside.lacking(connection, there, limits)
        with mapped("write", str(folder / "index")):
            (folder / "index.new").unlink(missing_ok=True)
        copy_to(connection, folder / "index.new")
        instances = totals(connection).instances
    with mapped("write", str(folder / "index")):
        (folder / "index.new").replace(folder / "index")
        LocalDisk().sync_folder(str(folder))
    return Restored(
        made_at=mark.made_at,
        instances=instances,
        blobs=blobs,
        missing=missing,
        missing_named=named,
        is_journal_whole=is_whole,
        has_secrets=(source / SECRETS).is_dir(),
    )


def _copy_blobs(
    source: Path, folder: Path, progress: Callable[[int], None] | None, limits: Limits
) -> int:
    """Copy and hash every blob, and return how many are there; several at once, as each waits for its sync."""
    disk = LocalDisk()
    kept = open_shelf(source / "blobs", disk, limits, may_write=False)
    target = open_shelf(folder / "blobs", disk, limits, may_write=True)
    count = 0
    try:
        with ThreadPoolExecutor(limits.blob_write_threads, "restore") as threads:
            for each in FOLDERS:
                copy = partial(_copy, kept, target)
                for is_there in threads.map(copy, kept.digests(each)):
                    count += is_there
                    if progress is not None:
                        progress(count)
    finally:
        target.give_back()
    return count


def _copy(source: Shelf, target: Shelf, digest: str) -> bool:
    """Whether the blob is there and whole afterwards; what an earlier attempt has placed was hashed by that."""
    return target.entry(digest) is not None or copy_blob(source, target, digest)
