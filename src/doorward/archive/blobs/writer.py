"""Fragments in, a durable blob out.

    async with store.writer() as writer:
        await writer.write(fragment)          # as often as fragments come
        blob = await writer.commit()          # durable now
        await index.add(..., blob.digest)     # a sweep leaves it alone until the block ends

Theory of operation: fragments are copied into a block (``block``); a full block goes to a thread while the next one fills,
so a sender is never further ahead of the disk than two blocks. An instance of less than one block costs one visit to a
thread in all, with whatever is to follow on it (``commit_in``).
Left without a commit, by whatever exception, nothing of it remains.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from types import TracebackType
from typing import Self, TypeVar

from doorward.archive.blobs.block import Block, Blocks
from doorward.archive.blobs.disk import Bytes
from doorward.archive.blobs.group import Group, R, T, Waiting
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

    def __init__(
        self,
        part: Part,
        threads: Executor,
        blocks: Blocks,
        held: Held,
        alone: Group[Blob, Blob],
        limits: Limits,
    ) -> None:
        self._part = part
        self._alone = alone
        self._threads = threads
        self._held = held
        self._limits = limits
        self._blocks = blocks
        #: What gathers, and what a thread writes meanwhile.
        self._block: Block | None = None
        self._written: Block | None = None
        self._size = 0
        self._writing: asyncio.Future[None] | None = None
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
        # One that a thread may still read from is left to it: it is not used again.
        for block in (self._block, self._written):
            self._held.count_bytes -= len(block) if block is not None else 0
        self._block = self._written = None
        if not self._is_in_a_thread:
            self._part.abandon()  # nothing on disk, or all of it: only a pin to take out
            return
        # A cancelled task may leave a thread at work. This waits for it, and goes on when it is cancelled itself.
        await asyncio.shield(asyncio.wrap_future(self._threads.submit(self._part.abandon)))

    def take(self, fragment: Bytes) -> bool:
        """Take a copy of the next fragment where that needs no waiting; False where it needs ``write``."""
        self._require_open()
        block = self._block
        count = len(fragment)
        if (
            block is None
            or count >= block.room_bytes
            or self._size + count > self._limits.blob_bytes
            or self._held.count_bytes + count > self._limits.blob_held_bytes
        ):
            return False
        self._size += count
        self._held.count_bytes += count
        block.fill(fragment)
        return True

    async def write(self, fragment: Bytes) -> None:
        """Take a copy of the next fragment; waits only for a disk that is slower than the sender.

        Raises LimitExceeded beyond ``blob_bytes`` and StorageError; there is nothing to do then but to leave the block.
        """
        self._require_open()
        self._size += len(fragment)
        if self._size > self._limits.blob_bytes:
            raise LimitExceeded(limit="blob_bytes", value=self._limits.blob_bytes, seen=self._size)
        with memoryview(fragment) as rest:
            at = 0
            while at < len(rest):
                at += await self._fill(rest[at:])

    async def _fill(self, fragment: memoryview) -> int:
        """Copy as much of a fragment as fits, and hand over what is full, or must not wait any longer."""
        block = self._block = self._block or self._blocks.take()
        count = block.fill(fragment)
        self._held.count_bytes += count
        if not block.room_bytes or self._held.count_bytes > self._limits.blob_held_bytes:
            await self._hand_over(block)
        return count

    async def commit(self) -> Blob:
        """Return the blob when content and name would survive a power cut.

        Raises StorageError, StorageFull where no room is left; then nothing of it remains.
        """
        return await self.commit_in(self._alone, lambda blob: blob)

    async def commit_in(self, group: Group[T, R], about: Callable[[Blob], T]) -> R:
        """Like ``commit``, together with others of the group; return what it makes of what is said about the blob.

        What the group raises for this one is raised here. Where the caller is cancelled it may be kept, or not.
        """
        self._require_open()
        self._has_ended = True
        await self._settled()
        block, self._block = self._block or self._blocks.take(), None
        self._written = block
        self._is_in_a_thread = True
        loop = asyncio.get_running_loop()
        waiting: Waiting[R] = Waiting(loop, loop.create_future())
        self._threads.submit(group.bring, self._part, block.content(), about, waiting)
        kept = await waiting.future
        self._is_in_a_thread = False
        self._give_back()
        return kept

    async def _hand_over(self, block: Block) -> None:
        await self._settled()
        self._block, self._written = None, block
        self._is_in_a_thread = True
        self._writing = self._run(lambda: self._part.append(block.content()))
        # Said now when it is done already; a failure that nobody would come back for is not left unread.
        self._writing.add_done_callback(_read)

    async def _settled(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing
            self._give_back()

    def _give_back(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            self._held.count_bytes -= len(written)
            self._blocks.give_back(written)

    def _run(self, work: Callable[[], _T]) -> "asyncio.Future[_T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _require_open(self) -> None:
        if self._has_ended:
            raise LocalProtocolError("this blob is committed or given up")


def _read(writing: "asyncio.Future[None]") -> None:
    if not writing.cancelled():
        writing.exception()
