"""The store of blobs as the rest of the archive uses it.

One process writes; any number may read beside it. What blocks is done by two small pools of threads, one for writing and
one for reading, so that a retrieval never queues behind somebody else's sync.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from doorward.archive.blobs.block import Blocks
from doorward.archive.blobs.disk import Disk, LocalDisk
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.group import Group
from doorward.archive.blobs.names import Blob
from doorward.archive.blobs.part import Part
from doorward.archive.blobs.reader import BlobReader
from doorward.archive.blobs.shelf import Shelf, open_shelf
from doorward.archive.blobs.writer import BlobWriter, Held
from doorward.errors import UsageError
from doorward.limits import DEFAULT_LIMITS, Limits

_T = TypeVar("_T")


class BlobStore:
    """A folder of blobs. Open it before the event loop runs or in a thread; close it at the end."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        #: Held by a sweep. Hold it around "copy the index, then ``snapshot``", so that nothing goes in between.
        self.upkeep = asyncio.Lock()
        self._held = Held()
        self._blocks = Blocks(shelf.limits)
        #: Nothing follows on these: they only share their syncs.
        self._alone: Group[Blob, Blob] = Group(lambda blobs: blobs)
        limits = shelf.limits
        self._writing = ThreadPoolExecutor(limits.blob_write_threads, "blob-write")
        self._reading = ThreadPoolExecutor(limits.blob_read_threads, "blob-read")

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        limits: Limits = DEFAULT_LIMITS,
        disk: Disk | None = None,
        may_write: bool = True,
    ) -> Self:
        """Open a store, made where there is none yet and ``may_write``. Blocks.

        Raises ConfigError where the folder is something else, of another version, or written by another process;
        StorageError where the file system refuses.
        """
        return cls(open_shelf(folder, disk or LocalDisk(), limits, may_write=may_write))

    def close(self) -> None:
        """End the threads when their work is done, and give the right to write back. Blocks."""
        self._writing.shutdown()
        self._reading.shutdown()
        self.shelf.give_back()

    def writer(self, *, expected_bytes: int | None = None) -> BlobWriter:
        """Return a writer, to be used with ``async with``. ``expected_bytes``: room is taken for them at once.

        Raises UsageError in a store that was opened for reading.
        """
        if not self.shelf.may_write:
            raise UsageError("a store that was opened for reading takes nothing in")
        part = Part(self.shelf, expected_bytes)
        return BlobWriter(
            part, self._writing, self._blocks, self._held, self._alone, self.shelf.limits
        )

    @asynccontextmanager
    async def open_blob(self, digest: str) -> AsyncIterator[BlobReader]:
        """Open one blob for reading. Raises StorageError, of kind ``missing`` where it is not there."""
        path = self.shelf.path_of(digest)
        with mapped("read", path):
            reader = self._reader(digest, path)
        try:
            yield reader
        finally:
            reader.close()

    def _reader(self, digest: str, path: str) -> BlobReader:
        disk = self.shelf.disk
        handle = disk.open(path)
        return BlobReader(
            self.shelf,
            self._reading,
            digest=digest,
            handle=handle,
            size_bytes=disk.size_of(handle),
        )

    def will_need(self, digest: str) -> None:
        """Let the system read a blob ahead: what was written past its cache comes from the device the first time."""
        self.shelf.disk.will_need(self.shelf.path_of(digest))

    @property
    def held_bytes(self) -> int:
        """What all writers hold in memory together."""
        return self._held.count_bytes

    def has(self, digest: str) -> bool:
        """Whether a blob of that name is there; its content is not looked at."""
        return self.shelf.entry(digest) is not None

    async def in_thread(self, work: Callable[..., _T], *arguments: object, **named: object) -> _T:
        """Run work that blocks in one of the threads that read; for upkeep."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, partial(work, *arguments, **named))
