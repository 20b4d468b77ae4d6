"""Reading one blob: a range at once, or all of it in chunks.

What is in memory anyway is taken from there without a thread (preadv2(2), RWF_NOWAIT); only a read that would wait for the
device goes to one. No mmap: a file that fails or is cut under a mapping would end the process (SIGBUS).
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from typing import Self

from doorward.archive.blobs.faults import damaged, mapped
from doorward.archive.blobs.shelf import Shelf
from doorward.errors import LimitExceeded, UsageError

#: One that is sent, one that is read ahead, one whose last bytes wait for a slow peer.
_MOST_ROOMS = 3


class Rooms:
    """Memory to read into, used again as soon as nobody has a view of it any more: new memory costs more than the copy.

    Nobody says that they have done with it: memory of which somebody has a view cannot change its size, and that is asked.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._rooms: list[bytearray] = []

    def free(self) -> bytearray:
        """Return memory that nobody has a view of."""
        for room in self._rooms:
            if _is_free(room):
                return room
        room = bytearray(self._size_bytes)
        if len(self._rooms) < _MOST_ROOMS:
            self._rooms.append(room)
        return room


def _is_free(room: bytearray) -> bool:
    try:
        room.append(0)
    except BufferError:
        return False
    room.pop()
    return True


class Glance:
    """An open blob of which only what is in memory anyway is read: nobody waits for a device, or for a thread.

    Raises StorageError, of kind ``missing`` where it is not there. To be used with ``with``.
    """

    __slots__ = ("_disk", "_handle", "size_bytes")

    def __init__(self, shelf: Shelf, digest: str) -> None:
        path = shelf.path_of(digest)
        self._disk = shelf.disk
        with mapped("read", path):
            self._handle = shelf.disk.open(path)
            self.size_bytes = shelf.disk.size_of(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._disk.close(self._handle)

    def read(self, offset: int, length: int) -> bytes | None:
        """Return so many bytes from there, None where they are not all in memory."""
        found = self._disk.read_ready(self._handle, length, offset)
        return found if found is not None and len(found) == length else None

    def read_into(self, room: bytearray, offset: int, length: int) -> memoryview | None:
        """Return a view of ``room`` with so many bytes from there, None where they are not all in memory."""
        view = memoryview(room)[:length]
        is_whole = self._disk.read_ready_into(self._handle, view, offset) == length == len(view)
        return view.toreadonly() if is_whole else None


class BlobReader:
    """An open blob; what it reads stays the same, whatever becomes of the name. ``BlobStore.open`` makes it."""

    def __init__(
        self, shelf: Shelf, threads: Executor, *, digest: str, handle: int, size_bytes: int
    ) -> None:
        self.digest = digest
        self.size_bytes = size_bytes
        self._shelf = shelf
        self._threads = threads
        self._handle = handle
        self._lock = threading.Lock()
        self._reads = 0
        self._is_closed = False

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly so many bytes from there: a frame, a header.

        Raises UsageError outside of the blob, LimitExceeded beyond ``blob_read_bytes`` (take ``chunks``), StorageError.
        """
        most = self._shelf.limits.blob_read_bytes
        if length > most:
            raise LimitExceeded(limit="blob_read_bytes", value=most, seen=length)
        self._check_range(offset, length)
        return await self._exactly(offset, length)

    async def chunks(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range, or all from there, in pieces of at most ``blob_chunk_bytes``. Raises like ``read``."""
        length = self.size_bytes - offset if length is None else length
        self._check_range(offset, length)
        end = offset + length
        while offset < end:
            piece = min(self._shelf.limits.blob_chunk_bytes, end - offset)
            yield await self._exactly(offset, piece)
            offset += piece

    def close(self) -> None:
        """Close the file, or let the thread do so that still reads from it: a reader may have been cancelled."""
        with self._lock:
            self._is_closed = True
            must_close = not self._reads
        if must_close:
            self._shelf.disk.close(self._handle)

    def _enter(self) -> None:
        with self._lock:
            self._reads += 1

    def _leave(self) -> None:
        with self._lock:
            self._reads -= 1
            must_close = self._is_closed and not self._reads
        if must_close:
            self._shelf.disk.close(self._handle)

    def _check_range(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise UsageError("a range that is not in the blob")

    async def _exactly(self, offset: int, length: int) -> bytes:
        found = self._shelf.disk.read_ready(self._handle, length, offset)
        if found is not None and len(found) == length:
            return found
        self._enter()
        reading = self._threads.submit(self._wait_for, found or b"", offset, length)
        reading.add_done_callback(lambda _: self._leave())
        return await asyncio.wrap_future(reading)

    def _wait_for(self, found: bytes, offset: int, length: int) -> bytes:
        path = self._shelf.path_of(self.digest)
        while len(found) < length:
            with mapped("read", path):
                more = self._shelf.disk.read(self._handle, length - len(found), offset + len(found))
            if not more:
                raise damaged(path)  # shorter than it was when it was opened
            found += more
        return found
