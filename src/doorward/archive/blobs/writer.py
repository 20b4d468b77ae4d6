"""Fragments in, a durable blob out.

    async with store.writer() as writer:
        await writer.write(fragment)          # as often as fragments come
        blob = await writer.commit()          # durable now
        await index.add(..., blob.digest)     # a sweep leaves it alone until the block ends

Theory of operation: fragments are copied into a block; a full block goes to a thread while the next one fills, so a sender
is never further ahead of the disk than two blocks. An instance of less than one block costs one visit to a thread in all.
Left without a commit, by whatever exception, nothing of it remains.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from types import TracebackType
from typing import Self, TypeVar

from doorward.archive.blobs.disk import Bytes
from doorward.archive.blobs.names import Blob
from doorward.archive.blobs.part import Part
from doorward.errors import LimitExceeded, LocalProtocolError
from doorward.limits import Limits

_T = TypeVar("_T")


class Held:
    """How many bytes all writers of a store hold in memory together."""

    def __init__(self) -> None:
        self.count_bytes = 0


class BlobWriter:
    """Takes one instance in; made by ``BlobStore.writer`` and used by one task, once."""

    def __init__(self, part: Part, threads: Executor, held: Held, limits: Limits) -> None:
        self._part = part
        self._threads = threads
        self._held = held
        self._limits = limits
        self._block = bytearray()
        self._size = 0
        self._writing: asyncio.Future[None] | None = None
        self._writing_bytes = 0
        self._is_in_a_thread = False
        self._has_ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._has_ended = True
        self._held.count_bytes -= len(self._block) + self._writing_bytes
        self._block = bytearray()
        self._writing_bytes = 0
        if not self._is_in_a_thread:
            self._part.abandon()  # nothing on disk, or all of it: only a pin to take out
            return
        # A cancelled task may leave a thread at work. This waits for it, and goes on when it is cancelled itself.
        await asyncio.shield(asyncio.wrap_future(self._threads.submit(self._part.abandon)))

    async def write(self, fragment: Bytes) -> None:
        """Take a copy of the next fragment; waits only for a disk that is slower than the sender.

        Raises LimitExceeded beyond ``blob_bytes`` and StorageError; there is nothing to do then but to leave the block.
        """
        self._require_open()
        self._size += len(fragment)
        if self._size > self._limits.blob_bytes:
            raise LimitExceeded(limit="blob_bytes", value=self._limits.blob_bytes, seen=self._size)
        self._block += fragment
        self._held.count_bytes += len(fragment)
        is_crowded = self._held.count_bytes > self._limits.blob_held_bytes
        if len(self._block) >= self._limits.blob_block_bytes or (is_crowded and self._block):
            await self._hand_over()

    async def commit(self) -> Blob:
        """Return the blob when content and name would survive a power cut.

        Raises StorageError, StorageFull where no room is left; then nothing of it remains.
        """
        self._require_open()
        self._has_ended = True
        await self._settled()
        block, self._block = self._block, bytearray()
        self._writing_bytes = len(block)
        self._is_in_a_thread = True
        blob = await self._run(lambda: self._part.finish(block))
        self._is_in_a_thread = False
        return blob

    async def _hand_over(self) -> None:
        await self._settled()
        block, self._block = self._block, bytearray()
        self._writing_bytes = len(block)
        self._is_in_a_thread = True
        self._writing = self._run(lambda: self._part.append(block))
        # Said now when it is done already; a failure that nobody would come back for is not left unread.
        self._writing.add_done_callback(_read)

    async def _settled(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing
            self._held.count_bytes -= self._writing_bytes
            self._writing_bytes = 0

    def _run(self, work: Callable[[], _T]) -> "asyncio.Future[_T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _require_open(self) -> None:
        if self._has_ended:
            raise LocalProtocolError("this blob is committed or given up")


def _read(writing: "asyncio.Future[None]") -> None:
    if not writing.cancelled():
        writing.exception()
