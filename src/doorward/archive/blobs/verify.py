"""Everything read again and hashed again: what has rotted since is named, and set aside where we may write.

A name that is set aside is free: the same instance sent again, or restored, takes it. Beside a running archive a
verification should be paced, and it can be ended (cancel it) and gone on with where it was.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import FOLDERS, new_hash
from doorward.archive.blobs.store import BlobStore
from doorward.errors import StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How far a verification has come, or what it found. ``last`` is the name to go on after."""

    blobs: int = 0
    bytes: int = 0
    damaged: int = 0
    #: The first of them, by name; in ``quarantine`` now where ``set_aside``.
    damaged_named: tuple[str, ...] = ()
    last: str = ""


async def verify(
    store: BlobStore,
    *,
    set_aside: bool = True,
    rate_bytes_per_s: int | None = None,
    after: str = "",
    progress: Callable[[Verification], None] | None = None,
) -> Verification:
    """Hash every blob whose name comes ``after`` that one, in order of names; in constant memory.

    ``progress`` is called after each blob. Raises StorageError where a folder cannot be listed; a blob that cannot be read
    is damaged. A store that was opened for reading names what is damaged and sets nothing aside.
    """
    reading = _Reading(store, rate_bytes_per_s)
    found = Verification(last=after)
    for folder in FOLDERS:
        if folder < after[:2]:
            continue
        for digest in await store.in_thread(store.shelf.digests, folder):
            if digest <= after:
                continue
            size, is_whole = await reading.blob(digest)
            found = replace(found, blobs=found.blobs + 1, bytes=found.bytes + size, last=digest)
            if not is_whole and await _is_damaged(store, digest, set_aside):
                found = _with_damaged(found, digest, store.shelf.limits.blob_damaged_named)
            if progress is not None:
                progress(found)
    return found


async def is_whole(store: BlobStore, digest: str, size_bytes: int) -> bool:
    """Read one blob again and tell whether it is there, so long, and what its name says; sets nothing aside."""
    size, is_sound = await _Reading(store, None).blob(digest)
    return is_sound and size == size_bytes


async def _is_damaged(store: BlobStore, digest: str, set_aside: bool) -> bool:
    """Asked twice: meanwhile it may have been swept away, or come again whole."""
    if not store.shelf.may_write or not set_aside:
        return await store.in_thread(store.has, digest)
    return await store.in_thread(store.shelf.quarantine, digest)


def _with_damaged(found: Verification, digest: str, most: int) -> Verification:
    named = found.damaged_named + ((digest,) if len(found.damaged_named) < most else ())
    return replace(found, damaged=found.damaged + 1, damaged_named=named)


class _Reading:
    """Reads and hashes block by block, no faster than it was told."""

    def __init__(self, store: BlobStore, rate_bytes_per_s: int | None) -> None:
        self._store = store
        self._rate = rate_bytes_per_s
        self._next_s = 0.0

    async def blob(self, digest: str) -> tuple[int, bool]:
        """Return how much of a blob could be read, and whether it is what its name says."""
        seen = new_hash()
        offset = 0
        try:
            while count := await self._store.in_thread(self._block, digest, offset, seen.update):
                offset += count
                await self._pause(count)
        except StorageError:
            return offset, False
        return offset, seen.hexdigest() == digest

    def _block(self, digest: str, offset: int, take: Callable[[bytes], None]) -> int:
        shelf = self._store.shelf
        path = shelf.path_of(digest)
        with mapped("read", path):
            handle = shelf.disk.open(path)
            try:
                block = shelf.disk.read(handle, shelf.limits.blob_block_bytes, offset)
            finally:
                shelf.disk.close(handle)
        take(block)
        return len(block)

    async def _pause(self, count: int) -> None:
        if self._rate is None:
            return
        now = asyncio.get_running_loop().time()
        self._next_s = max(self._next_s, now) + count / self._rate
        await asyncio.sleep(self._next_s - now)
