"""One file on its way in, as the threads that write it see it. All of it blocks."""

import threading

from doorward.archive.blobs.disk import Bytes
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import Blob, new_hash
from doorward.archive.blobs.shelf import Shelf
from doorward.errors import LocalProtocolError


class Part:
    """Grows by ``append``, ends by ``finish`` or ``abandon``; each waits for the one before.

    Whoever awaits one of these may be cancelled while its thread goes on; the lock lets ``abandon`` wait for it, so that no
    file is closed under a write. A part that is finished without having grown touches the disk only if it is new.
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
        self._is_over = False

    def append(self, block: Bytes) -> None:
        """Write one more block. Raises StorageError; then the part is good for nothing but ``abandon``."""
        with self._lock:
            self._require_going()
            self._hash.update(block)
            self._write(block)

    def finish(self, block: Bytes) -> Blob:
        """Write the last block and return when all of it is durable under its name, which stays pinned.

        Raises StorageError; then nothing of the part is left.
        """
        with self._lock:
            self._require_going()
            self._is_over = True
            try:
                blob = self._finish(block)
            except BaseException:
                self._discard()
                raise
            if not blob.is_new:
                self._discard_part()
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

    def _finish(self, block: Bytes) -> Blob:
        self._shelf.check_accepting()
        self._hash.update(block)
        digest = self._hash.hexdigest()
        total = self._size + len(block)
        is_new = not self._shelf.renew(digest)
        if is_new:
            self._write(block)
            self._close_and_place(digest)
        self._pinned = digest
        # Also where it was there: who placed it may not have come to this yet, and would be asked after a power cut.
        self._shelf.sync_folder_of(digest)
        return Blob(digest=digest, size_bytes=total, is_new=is_new)

    def _close_and_place(self, digest: str) -> None:
        assert self._handle is not None
        assert self._path is not None
        disk = self._shelf.disk
        if self._expected is not None and self._expected > self._size:
            with mapped("write", self._path):
                disk.truncate(self._handle, self._size)
        self._shelf.sync(self._handle, self._path)
        handle, self._handle = self._handle, None
        with mapped("close", self._path):
            disk.close(handle)
        self._shelf.place(self._path, digest)
        self._shelf.forget_part(self._path)
        self._path = None

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
