"""One file on its way in, as the threads that write it see it. All of it blocks."""

import threading
from collections.abc import Sequence

from doorward.archive.blobs.disk import Bytes
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import Blob, new_hash
from doorward.archive.blobs.shelf import Shelf
from doorward.errors import LocalProtocolError, StorageError


class Part:
    """Grows by ``append``, ends by ``finish`` or ``abandon``; each waits for the one before.

    Whoever awaits one of these may be cancelled while its thread goes on; the lock lets ``abandon`` wait for it, so that no
    file is closed under a write. It is held from ``seal`` to the end of ``place``, which another thread may do. A part that is
    finished without having grown touches the disk only if it is new.
    """

    def __init__(self, shelf: Shelf, expected_bytes: int | None = None) -> None:
        self._shelf = shelf
        self._expected = expected_bytes
        self._hash = new_hash()
        self._size = 0
        self._lock = threading.Lock()
        self._path: str | None = None
        self._handle: int | None = None
        self._pinned: str | None = None
        self._blob: Blob
        self._is_over = False

    def append(self, block: Bytes) -> None:
        """Write one more block. Raises StorageError; then the part is good for nothing but ``abandon``."""
        with self._lock:
            self._require_going()
            self._hash.update(block)
            self._write(block)

    def seal(self, block: Bytes) -> Blob:
        """Write the last block, and return what will be durable after ``place``, which must follow, in whatever thread.

        Until then an ``abandon`` waits. Raises StorageError; then nothing of the part is left, and nothing is to follow.
        """
        self._lock.acquire()
        try:
            self._require_going()
            self._is_over = True
            try:
                return self._seal(block)
            except BaseException:
                self._discard()
                raise
        except BaseException:
            self._lock.release()
            raise

    def finish(self, block: Bytes) -> Blob:
        """Write the last block and return when all of it is durable under its name, which stays pinned.

        Raises StorageError; then nothing of the part is left.
        """
        blob = self.seal(block)
        [fault] = place([self])
        if fault is not None:
            raise fault
        return blob

    def finish_as(self, digest: str) -> bool:
        """Like ``finish``, for content that must have this name; false, and nothing left, where it has another."""
        with self._lock:
            is_it = self._hash.hexdigest() == digest
        if is_it:
            self.finish(b"")
        return is_it

    def abandon(self) -> None:
        """Leave nothing behind: no file, no pin. May be called at any time, again too."""
        with self._lock:
            self._is_over = True
            self._discard()

    def _seal(self, block: Bytes) -> Blob:
        self._shelf.check_accepting()
        self._hash.update(block)
        digest = self._hash.hexdigest()
        total = self._size + len(block)
        is_new = not self._shelf.renew(digest)
        if is_new:
            self._write(block)
        else:
            self._pinned = digest
        self._blob = Blob(digest=digest, size_bytes=total, is_new=is_new)
        return self._blob

    def sync(self) -> StorageError | None:
        """Let the content be durable, unless all of it was there before; return what was in the way. For ``place``."""
        if not self._blob.is_new:
            return None
        assert self._handle is not None
        assert self._path is not None
        disk = self._shelf.disk
        try:
            if self._expected is not None and self._expected > self._size:
                with mapped("write", self._path):
                    disk.truncate(self._handle, self._size)
            self._shelf.sync(self._handle, self._path)
            handle, self._handle = self._handle, None
            with mapped("close", self._path):
                disk.close(handle)
        except StorageError as fault:
            return self._failed(fault)
        return None

    def name(self) -> StorageError | None:
        """Let what is durable have its name; return what was in the way. For ``place``."""
        if not self._blob.is_new:
            self._discard_part()
            return None
        assert self._path is not None
        try:
            self._shelf.place(self._path, self._blob.digest)
        except StorageError as fault:
            return self._failed(fault)
        self._pinned = self._blob.digest
        self._shelf.forget_part(self._path)
        self._path = None
        return None

    def settle(self, folders: dict[str, StorageError | None]) -> StorageError | None:
        """Let the name be durable; ``folders`` are those that were synced for others. For ``place``.

        Also where the blob was there: who placed it may not have come to this yet, and would be asked after a power cut.
        """
        digest = self._blob.digest
        folder = digest[:2]
        if folder not in folders:
            try:
                self._shelf.sync_folder_of(digest)
                folders[folder] = None
            except StorageError as error:
                folders[folder] = error
        fault = folders[folder]
        return None if fault is None else self._failed(fault)

    def release(self) -> None:
        """The end of ``place``: who waits to abandon it may."""
        self._lock.release()

    def _failed(self, fault: StorageError) -> StorageError:
        self._discard()
        return fault

    def _write(self, block: Bytes) -> None:
        if self._handle is None or self._expected is None:
            self._shelf.check_room(self._expected or len(block))
        if self._handle is None:
            path = self._shelf.new_part()
            with mapped("create", path):
                self._handle = self._shelf.disk.create(path)
            self._path = path
            self._allocate(len(block))
        assert self._path is not None
        with mapped("write", self._path):
            self._shelf.disk.write(self._handle, block)
        self._size += len(block)

    def _allocate(self, first: int) -> None:
        """Take the room at once where more than one block is announced: one extent, and no room is known at the start."""
        if self._expected is None or self._expected <= first:
            self._expected = None
            return
        assert self._handle is not None
        assert self._path is not None
        with mapped("write", self._path):
            self._shelf.disk.allocate(self._handle, self._expected)

    def _discard(self) -> None:
        pinned, self._pinned = self._pinned, None
        if pinned is not None:
            self._shelf.unpin(pinned)
        self._discard_part()

    def _discard_part(self) -> None:
        """Best effort by nature: the disk may be the reason. What stays is removed by a sweep or the next start."""
        disk = self._shelf.disk
        handle, self._handle = self._handle, None
        path, self._path = self._path, None
        if handle is not None:
            try:
                disk.close(handle)
            except OSError:
                pass
        if path is not None:
            try:
                disk.remove(path)
            except OSError:
                pass
            self._shelf.forget_part(path)

    def _require_going(self) -> None:
        if self._is_over:
            raise LocalProtocolError("this part is finished or abandoned")


def place(parts: Sequence[Part]) -> list[StorageError | None]:
    """Make sealed parts durable under their names, which stay pinned; return what was in the way of each. Blocks.

    Of one that has failed nothing is left. All contents are synced first, then all names, each folder once: what a file system
    commits for one sync is committed for all of them.
    """
    folders: dict[str, StorageError | None] = {}
    try:
        faults = [part.sync() for part in parts]
        faults = [fault or part.name() for part, fault in zip(parts, faults, strict=True)]
        return [fault or part.settle(folders) for part, fault in zip(parts, faults, strict=True)]
    finally:
        for part in parts:
            part.release()
