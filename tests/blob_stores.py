"""Stores of blobs for tests: small bounds, content by number, and a disk that fails at a drawn moment."""

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from doorward.archive.blobs.disk import Disk, LocalDisk
from doorward.archive.blobs.names import Blob
from doorward.archive.blobs.store import BlobStore
from doorward.limits import DEFAULT_LIMITS

_T = TypeVar("_T")

#: Blocks of 1,000 bytes, so that a few kilobytes take the way of a large instance.
LIMITS = dataclasses.replace(
    DEFAULT_LIMITS,
    blob_block_bytes=1_000,
    blob_chunk_bytes=300,
    blob_held_bytes=1_000_000,
    blob_reserve_bytes=1,
    blob_names_at_a_time=2,
    blob_bytes=100_000,
)


def content(number: int, size: int = 2_500) -> bytes:
    """Bytes that are the same for the same number, and like nobody's image."""
    return hashlib.shake_128(number.to_bytes(8, "big")).digest(size)


def digest_of(whole: bytes) -> str:
    return hashlib.sha256(whole).hexdigest()


@contextmanager
def opened(folder: Path, *, disk: Disk | None = None, **named: Any) -> Iterator[BlobStore]:
    store = BlobStore.open(folder, disk=disk, **{"limits": LIMITS} | named)
    try:
        yield store
    finally:
        store.close()


async def put(store: BlobStore, whole: bytes, *, fragment: int = 700, **named: Any) -> Blob:
    """Store one blob by fragments and leave the writer."""
    async with store.writer(**named) as writer:
        for at in range(0, len(whole), fragment):
            await writer.write(memoryview(whole)[at : at + fragment])
        return await writer.commit()


async def get(store: BlobStore, digest: str) -> bytes:
    async with store.open_blob(digest) as blob:
        return b"".join([chunk async for chunk in blob.chunks()])


def in_store(
    folder: Path, work: Callable[[BlobStore], Coroutine[Any, Any, _T]], **named: Any
) -> _T:
    """Open a store, do one thing in it, close it."""
    with opened(folder, **named) as store:
        return asyncio.run(work(store))


def files_in(folder: Path) -> list[Path]:
    """Every blob, part and quarantined file, by whole path."""
    return sorted(
        path
        for name in ("blobs", "incoming", "quarantine")
        for path in (folder / name).rglob("*")
        if path.is_file()
    )


def spoil(path: Path, at: int = 0) -> None:
    """Flip one bit on the disk."""
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    path.write_bytes(whole)


class FailingDisk(LocalDisk):
    """Fails every operation of that name from the nth on, with that number of errno."""

    def __init__(self, operation: str, number: int, *, skip: int = 0) -> None:
        self.left = skip
        self.is_on = False
        original = getattr(super(), operation)

        def call(*arguments: Any) -> Any:
            if self.is_on:
                self.left -= 1
                if self.left < 0:
                    raise OSError(number, "as the test wants it")
            return original(*arguments)

        setattr(self, operation, call)
