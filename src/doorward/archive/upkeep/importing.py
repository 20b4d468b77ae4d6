"""Files and folders into the archive: many at once, through the same checks as what comes by the network.

Theory of operation. A walk yields files, some workers take them in through ``part10_arrival``, so blob, index and journal
share their syncs among several. What the archive has acknowledged is noted (``done``), so an import that was broken off goes
on where it was; a file that was taken in and not noted is taken in again and found to be the same. Links are not followed.
When the disk is full, or the archive can write no more, the import ends: nothing that was acknowledged is lost.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple, Self

from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.archive.archive import Archive
from doorward.archive.index.entry import Outcome
from doorward.archive.ingest import Door
from doorward.archive.part10_arrival import take_file
from doorward.archive.upkeep import hands
from doorward.archive.upkeep.done import Done, key_of
from doorward.dicom.part10 import PREAMBLE_BYTES, PREFIX
from doorward.errors import ConfigError, StorageError
from doorward.limits import DEFAULT_LIMITS, Limits

#: A directory of a file set lists instances and is none (PS3.10 section 8.6).
_DIRECTORY = "DICOMDIR"
_INSTEAD = (
    "Send the files to it instead, by DICOM (storescu) or DICOMweb (STOW), with the certificate of a device"
    " that may store; or stop it, import, and start it again."
)


class NotTaken(NamedTuple):
    """One file that is not in the archive now, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the files."""

    new: int = 0
    #: Held already, with the same content.
    same: int = 0
    #: Held already with another content: kept aside.
    kept_aside: int = 0
    #: Not read: an earlier run of this import has taken them in.
    before: int = 0
    #: Files that are no DICOM files, directories of file sets, links.
    passed_over: int = 0
    refused: int = 0
    unreadable: int = 0
    size_bytes: int = 0
    #: Why it ended before its end; "" where it did not.
    stopped: str = ""

    @property
    def files(self) -> int:
        """How many files were looked at."""
        taken = self.new + self.same + self.kept_aside + self.before
        return taken + self.passed_over + self.refused + self.unreadable


async def import_files(
    folder: Path,
    paths: Iterable[Path],
    *,
    site: str = "",
    done: Path | None = None,
    progress: Callable[[Imported], None] | None = None,
    not_taken: Callable[[NotTaken], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Imported:
    """Take files into a stopped archive, folders with all that is below them.

    ``site``: whose they are. ``done``: the list of what need not be read again; in the archive's folder unless said. Where
    the disk is full, or fails, it ends and says so in ``stopped``. ``not_taken`` is called with each file that is not in the
    archive afterwards. Raises ConfigError where the archive runs or a path is not
    there; StorageError.
    """
    roots = [os.fspath(path) for path in paths]
    await asyncio.to_thread(_require_there, roots)
    found = Imported()
    try:
        async with hands.opened(
            folder, purpose="IMPORT", instead=_INSTEAD, limits=limits
        ) as archive:
            door = _door(archive, site)
            known = Done(done or folder / "import.done", limits=limits)
            try:
                work = _Import(archive, known, door, progress, not_taken)
                found = await _recorded(archive, work, _files(roots))
            finally:
                known.close()
    except StorageError:
        # Where the disk has stopped the import, that it ends cannot be recorded either: what was taken is said all the same.
        if not found.stopped:
            raise
    return found


def _require_there(roots: Iterable[str]) -> None:
    for root in roots:
        if not os.path.exists(root):
            raise ConfigError("is not there", file=Path(root))


def _door(archive: Archive, site: str) -> Door:
    identity = hands.importer(site)
    return Door(
        identity=lambda: identity,
        rules=lambda: hands.IMPORT_RULES,
        now=archive.now,
        record=Record(event=Event.STORE),
    )


async def _recorded(archive: Archive, work: "_Import", files: Iterator["_File"]) -> Imported:
    """Do the work, between two records that say who does it and how it ended."""
    note = Record(event=Event.UPKEEP, subject="import").by(hands.operator())
    await archive.journal.write(note)
    found = await work.run(files)
    if not found.stopped:
        taken = found.new + found.same + found.kept_aside
        reason = f"ended: {taken} taken, {found.refused} refused"
        await archive.journal.write(replace(note, instances=found.new, reason=reason))
    return found


class _Import:
    """One import, and what has become of its files so far."""

    def __init__(
        self,
        archive: Archive,
        done: Done,
        door: Door,
        progress: Callable[[Imported], None] | None,
        not_taken: Callable[[NotTaken], None] | None,
    ) -> None:
        self._archive = archive
        self._done = done
        self._door = door
        self._progress = progress
        self._say = not_taken
        self._limits = archive.limits
        self._found = Imported()

    async def run(self, files: Iterator["_File"]) -> Imported:
        """Take all of them in, several at a time."""
        keyed = self._keyed(files)
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._limits.import_at_a_time):
                workers.create_task(self._work(keyed))
        return self._found

    def _keyed(self, files: Iterator["_File"]) -> Iterator[tuple["_File", bytes]]:
        """Yield files with what they are known by; b"" for one that need not be read again."""
        while some := list(islice(files, self._limits.index_page)):
            keys = [key_of(file.path, file.size_bytes, file.modified_ns) for file in some]
            known = self._done.known(keys)
            yield from ((f, b"" if k in known else k) for f, k in zip(some, keys, strict=True))

    async def _work(self, keyed: Iterator[tuple["_File", bytes]]) -> None:
        for file, key in keyed:  # shared by all workers: each file is somebody's
            await self._one(file, key)
            if self._progress is not None:
                self._progress(self._found)
            if self._found.stopped:
                return

    async def _one(self, file: "_File", key: bytes) -> None:
        if not key:
            self._count("before")
            return
        if file.reason:
            self._not_taken(
                file.path, file.reason, "unreadable" if file.is_fault else "passed_over"
            )
            return
        try:
            with _Reading(file.path, self._limits.blob_block_bytes) as reading:
                first = await reading.next()
                prefix = first[PREAMBLE_BYTES : PREAMBLE_BYTES + len(PREFIX)]
                if prefix != PREFIX or os.path.basename(file.path).upper() == _DIRECTORY:
                    is_file = prefix == PREFIX
                    reason = "a directory of a file set" if is_file else "no DICOM file"
                    self._not_taken(file.path, reason, "passed_over")
                    return
                await self._take(file, key, reading.all(first))
        except OSError as fault:
            self._not_taken(file.path, fault.strerror or "cannot be read", "unreadable")

    async def _take(self, file: "_File", key: bytes, fragments: AsyncIterator[bytes]) -> None:
        taken = await take_file(self._archive.ingest, fragments, self._door)
        if taken.outcome is not None:
            self._done.add(key)
            counted = {Outcome.NEW: "new", Outcome.SAME: "same"}.get(taken.outcome, "kept_aside")
            self._count(counted)
            self._found = replace(self._found, size_bytes=self._found.size_bytes + file.size_bytes)
        elif taken.is_our_fault:
            self._found = replace(self._found, stopped=taken.answer.comment)
        else:
            self._not_taken(file.path, taken.answer.comment, "refused")

    def _not_taken(self, path: str, reason: str, counted: str) -> None:
        self._count(counted)
        if self._say is not None:
            self._say(NotTaken(path, reason))

    def _count(self, counted: str) -> None:
        changed = {counted: getattr(self._found, counted) + 1}
        self._found = replace(self._found, **changed)


# --- files ------------------------------------------------------------------------------------------------------------


class _File(NamedTuple):
    """One file of the walk; ``reason``: why it is not even opened."""

    path: str
    size_bytes: int = 0
    modified_ns: int = 0
    reason: str = ""
    is_fault: bool = False


def _files(roots: Iterable[str]) -> Iterator[_File]:
    """Yield what lies under the roots, in order; a folder at a time, so that deep trees cost no depth here."""
    for root in roots:
        waiting = [root]
        while waiting:
            path = waiting.pop()
            try:
                # A root may be a link: somebody has named it.
                status = os.stat(path, follow_symlinks=path == root)
                if S_ISDIR(status.st_mode):
                    inside = sorted(os.listdir(path), reverse=True)
                    waiting += [os.path.join(path, name) for name in inside]
                    continue
            except OSError as fault:
                yield _File(path, reason=fault.strerror or "cannot be read", is_fault=True)
                continue
            reason = "" if S_ISREG(status.st_mode) else "no regular file"
            yield _File(path, status.st_size, status.st_mtime_ns, reason)


class _Reading:
    """One file, read in a thread a block at a time."""

    def __init__(self, path: str, block_bytes: int) -> None:
        self._path = path
        self._block_bytes = block_bytes
        self._handle = -1
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)

    async def next(self) -> bytes:
        """Return the next block, b"" at the end. Raises OSError."""
        return b"" if self._is_over else await asyncio.to_thread(self._read)

    async def all(self, first: bytes) -> AsyncIterator[bytes]:
        """Yield the block that was read, and all that follow."""
        block = first
        while block:
            yield block
            block = await self.next()

    def _read(self) -> bytes:
        if self._handle < 0:
            # NOFOLLOW would refuse a root that is a link; NONBLOCK keeps a pipe that took its place from waiting for ever.
            self._handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        block = os.read(self._handle, self._block_bytes)
        self._is_over = len(block) < self._block_bytes
        return block
