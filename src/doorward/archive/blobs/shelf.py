"""The store as threads see it: folders, names, and what may happen to a name. All of it blocks.

    VERSION      the form of this folder
    lock         held by the one process that writes
    incoming/    parts on their way in; what lies here at a start belongs to nobody
    blobs/ab/    blobs whose names begin with ab
    quarantine/  what was damaged, kept for a person to look at

What changes a name (placing, quarantine, removal) holds the lock of its folder, so that a blob is never taken away in the
moment in which its content comes again. A name that somebody is about to write into the index is *pinned* meanwhile.
After a sync that failed for another reason than room, nothing more is accepted: what the kernel has dropped then, a later
sync would not report (fsync(2), EIO), and a success that is given then may be a lie.
"""

import itertools
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doorward.archive.blobs.disk import Disk, Entry
from doorward.archive.blobs.faults import full, mapped
from doorward.archive.blobs.names import FOLDERS, checked, is_digest, new_hash
from doorward.errors import ConfigError, StorageError, UsageError
from doorward.limits import Limits

_VERSION = b"doorward.blobs/1\n"
_BEFORE = frozenset({"VERSION.new", "lock", "incoming", "blobs", "quarantine"})


class Shelf:
    """One folder of blobs. ``open_shelf`` makes it."""

    def __init__(self, folder: Path, disk: Disk, limits: Limits, *, may_write: bool) -> None:
        self.folder = folder
        self.disk = disk
        self.limits = limits
        self.may_write = may_write
        self._root = str(folder)
        self._locks = {name: threading.Lock() for name in FOLDERS}
        self._pins: Counter[str] = Counter()
        self._pins_lock = threading.Lock()
        self._numbers = itertools.count()
        self._incoming: set[str] = set()
        self._refusal: StorageError | None = None
        self._right: int | None = None

    # --- where things lie ---

    def path(self, *parts: str) -> str:
        """Return a path inside this folder."""
        return "/".join((self._root, *parts))

    def path_of(self, digest: str) -> str:
        """Return where a blob lies, whether it is there or not; raises UsageError when that is no name."""
        return self.path("blobs", checked(digest)[:2], digest)

    def digests(self, folder: str) -> list[str]:
        """Return the blobs of one of the 256 folders, in order; what is not named like one is left out."""
        path = self.path("blobs", folder)
        with mapped("list", path):
            names = self.disk.names(path)
        return [name for name in names if is_digest(name) and name.startswith(folder)]

    def entry(self, digest: str) -> Entry | None:
        """Return size and time of a blob, None where there is none."""
        path = self.path_of(digest)
        with mapped("look at", path):
            return self.disk.entry(path)

    # --- opening and closing ---

    def prepare(self) -> None:
        """Take the right to write, make what is missing, and let all of it be durable."""
        self._take_the_right()
        self._check_version()
        for name in ("incoming", "blobs", "quarantine"):
            self.disk.make_folder(self.path(name))
        there = set(self.disk.names(self.path("blobs")))
        for name in FOLDERS:
            if name not in there:
                self.disk.make_folder(self.path("blobs", name))
        # Also when all of them were there: who made them may have been killed before this.
        for path in (self.path("blobs"), self._root, os.path.dirname(self._root)):
            self.disk.sync_folder(path)
        for name in self.disk.names(self.path("incoming")):
            self.disk.remove(self.path("incoming", name))

    def check_readable(self) -> None:
        """Raise ConfigError unless this is a folder of blobs in a form that we know."""
        version = self._version()
        if version is None:
            raise ConfigError("is no store of blobs", file=self.folder)
        self._check_known(version)

    def give_back(self) -> None:
        """Give the right to write back."""
        right, self._right = self._right, None
        if right is not None:
            self.disk.close(right)

    def _take_the_right(self) -> None:
        self._right = self.disk.lock(self.path("lock"))
        if self._right is None:
            hint = "Stop it first. Reading and verifying are possible beside it."
            message = "is being written by another Doorward"
            raise ConfigError(message, file=self.folder, hint=hint)

    def _version(self) -> bytes | None:
        path = self.path("VERSION")
        if self.disk.entry(path) is None:
            return None
        handle = self.disk.open(path)
        try:
            return self.disk.read(handle, 64, 0)
        finally:
            self.disk.close(handle)

    def _check_known(self, version: bytes) -> None:
        if version != _VERSION:
            hint = "It was written by another version of Doorward: use that one, or a newer one."
            raise ConfigError("has a form that is not known here", file=self.folder, hint=hint)

    def _check_version(self) -> None:
        version = self._version()
        if version is not None:
            self._check_known(version)
            return
        if not set(self.disk.names(self._root)) <= _BEFORE:
            hint = "Name an empty folder, or one that does not exist yet."
            raise ConfigError("is not empty and no store of blobs", file=self.folder, hint=hint)
        new = self.path("VERSION.new")
        if self.disk.entry(new) is not None:
            self.disk.remove(new)
        handle = self.disk.create(new)
        try:
            self.disk.write(handle, _VERSION)
            self.disk.sync(handle)
        finally:
            self.disk.close(handle)
        self.disk.rename(new, self.path("VERSION"))

    # --- what comes in ---

    def check_accepting(self) -> None:
        """Raise StorageError when a sync has failed before: until a person has looked, nothing is acknowledged."""
        if (first := self._refusal) is not None:
            message = f"nothing more is accepted: {first.message}"
            hint = "Look at the kernel's log and at the device, start again, then verify."
            raise StorageError(
                message, operation="write", path=first.path, kind="failed", hint=hint
            )

    def check_room(self, size_bytes: int = 0) -> None:
        """Raise StorageFull when so much more would touch the reserve."""
        with mapped("look at", self._root):
            free = self.disk.free_bytes(self._root)
        if free - size_bytes < self.limits.blob_reserve_bytes:
            raise full("write to", self._root)

    def new_part(self) -> str:
        """Return the path for one more part; ``forget_part`` when it is gone from there."""
        name = f"{next(self._numbers)}.part"
        self._incoming.add(name)
        return self.path("incoming", name)

    def forget_part(self, path: str) -> None:
        """A part has become a blob, or was removed."""
        self._incoming.discard(path.rpartition("/")[2])

    def sync(self, handle: int, path: str) -> None:
        """Make one file durable."""
        with self._or_nothing_more(), mapped("sync", path):
            self.disk.sync(handle)

    def sync_folder_of(self, digest: str) -> None:
        """Make the names of one folder durable."""
        path = self.path("blobs", digest[:2])
        with self._or_nothing_more(), mapped("sync", path):
            self.disk.sync_folder(path)

    def place(self, part: str, digest: str) -> None:
        """Let a synced part be the blob of that name, and pin it.

        ``renew`` has just said that there is none. One that came since has the same content, and is replaced by it.
        """
        path = self.path_of(digest)
        with self._locks[digest[:2]], mapped("write", path):
            self.disk.rename(part, path)
            self._pin(digest)

    def renew(self, digest: str) -> bool:
        """Whether a blob is there and whole; then it is young again, and pinned. A damaged one is set aside."""
        path = self.path_of(digest)
        with self._locks[digest[:2]], mapped("read", path):
            if self.disk.entry(path) is None:
                return False
            # Read again: a success for content that has rotted here since would be a lie, and this is when it heals.
            if not self._is_whole(digest):
                self._set_aside(digest)
                return False
            self.disk.touch(path)
            self._pin(digest)
            return True

    @contextmanager
    def _or_nothing_more(self) -> Iterator[None]:
        try:
            yield
        except StorageError as fault:
            if fault.kind == "failed":
                self._refusal = fault
            raise

    # --- pins ---

    def _pin(self, digest: str) -> None:
        with self._pins_lock:
            self._pins[digest] += 1

    def unpin(self, digest: str) -> None:
        """Whoever placed or renewed a blob has written it down elsewhere, or will not."""
        with self._pins_lock:
            self._pins[digest] -= 1
            if not self._pins[digest]:
                del self._pins[digest]

    # --- what goes ---

    def remove_orphan(self, digest: str, *, before: float) -> int | None:
        """Remove a blob that nobody pins and that is older; return its size, None where it stays."""
        path = self.path_of(digest)
        with self._locks[digest[:2]], mapped("remove", path):
            entry = self.disk.entry(path)
            if entry is None or entry.modified_at >= before or digest in self._pins:
                return None
            self.disk.remove(path)
            return entry.size_bytes

    def remove_parts(self, *, before: float) -> int:
        """Remove parts that nobody writes and that are older; return how many."""
        removed = 0
        folder = self.path("incoming")
        with mapped("remove", folder):
            for name in self.disk.names(folder):
                path = f"{folder}/{name}"
                entry = None if name in self._incoming else self.disk.entry(path)
                if entry is not None and entry.modified_at < before:
                    self.disk.remove(path)
                    removed += 1
        return removed

    def quarantine(self, digest: str) -> bool:
        """Set a blob aside when it is damaged indeed; false where it is whole (again), or gone."""
        if not self.may_write:
            raise UsageError("a store that was opened for reading sets nothing aside")
        with self._locks[digest[:2]], mapped("set aside", self.path_of(digest)):
            if self.disk.entry(self.path_of(digest)) is None or self._is_whole(digest):
                return False
            self._set_aside(digest)
            return True

    def _set_aside(self, digest: str) -> None:
        folder = self.path("quarantine")
        taken = set(self.disk.names(folder))
        names = (f"{digest}.{number}" for number in itertools.count(1))
        free = next(name for name in names if name not in taken)
        self.disk.rename(self.path_of(digest), f"{folder}/{free}")
        self.disk.sync_folder(folder)

    def _is_whole(self, digest: str) -> bool:
        """Whether a blob's content is what its name says; one that cannot be read is not."""
        seen = new_hash()
        offset = 0
        try:
            handle = self.disk.open(self.path_of(digest))
            try:
                while chunk := self.disk.read(handle, self.limits.blob_block_bytes, offset):
                    seen.update(chunk)
                    offset += len(chunk)
            finally:
                self.disk.close(handle)
        except OSError:
            return False
        return seen.hexdigest() == digest


def open_shelf(folder: Path, disk: Disk, limits: Limits, *, may_write: bool) -> Shelf:
    """Open a folder of blobs, and make it where it does not exist and we may write.

    Raises ConfigError where it is something else, of another form, or written by another process; StorageError where the
    file system refuses. A process that may write finds ``incoming`` empty afterwards.
    """
    folder = folder.absolute()
    shelf = Shelf(folder, disk, limits, may_write=may_write)
    try:
        with mapped("open", str(folder)):
            if may_write:
                disk.make_folder(str(folder))
                shelf.prepare()
            else:
                shelf.check_readable()
    except BaseException:
        shelf.give_back()
        raise
    return shelf
