"""(g) Blobs made durable in a second: our store, and the disk alone with the same system calls in the same order.

The disk alone: threads that write a file, sync it, rename it into one of 256 folders, sync that folder; no hash, no event
loop, content already in memory. Ours: coroutines that write fragments as they come off an association (131,060 bytes) and
await the commit. Both sync every file and every folder, and both are measured in turns: a shared disk is in a mood.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.store import BlobStore
from doorward.limits import DEFAULT_LIMITS
from doorward.net.loop import run
from measures.figures import Row, compared, rate

GROUP = "g"
#: Issue 5: at least so much of what the disk alone does with the same syncs.
TARGET = 0.6
#: Name, bytes of one blob, blobs for each measurement, writers side by side.
KINDS = (
    ("525 KB", 525_000, 240, (1, 4, 8)),
    ("1 KB", 1_000, 800, (1, 8, 64)),
)
FRAGMENT_BYTES = 131_060
#: The first bytes are the number of the blob, so that each has a name of its own.
_NUMBERS = count()


def measure(*, rounds: int, scale: float) -> Iterator[Row]:
    """Measure each size with each number of writers."""
    for name, size, number, writers in KINDS:
        for side_by_side in writers:
            many = max(side_by_side, int(number * scale))
            yield from _measure(
                f"{name}, {side_by_side} at a time", size, many, side_by_side, rounds
            )


def _measure(title: str, size: int, many: int, side_by_side: int, rounds: int) -> Iterator[Row]:
    ours: list[float] = []
    alone: list[float] = []
    for _ in range(rounds):
        ours.append(_rate(partial(_store, size, many, side_by_side), many))
        alone.append(_rate(partial(disk_alone, size, many, side_by_side), many))
    megabytes = sorted(ours)[len(ours) // 2] * size / 1e6
    yield rate(GROUP, f"blobs of {title}", ours, "blobs/s", note=f"{megabytes:,.0f} MB/s")
    yield rate(GROUP, f"the disk alone, {title}", alone, "files/s")
    yield compared(GROUP, f"blobs / the disk alone, {title}", ours, alone, target=TARGET)


def _rate(work: Callable[[Path], float], many: int) -> float:
    # Where the archive would be: a folder of this tree, not a file system in memory.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        return many / work(Path(folder))


def _content(size: int) -> bytearray:
    whole = bytearray(os.urandom(size))
    whole[:8] = next(_NUMBERS).to_bytes(8, "big")
    return whole


def _store(size: int, many: int, side_by_side: int, folder: Path) -> float:
    store = BlobStore.open(folder / "store", limits=replace(DEFAULT_LIMITS, blob_reserve_bytes=1))
    try:
        contents = iter([_content(size) for _ in range(many)])
        os.sync()
        return run(_stored(store, contents, side_by_side))  # the loop that programs run on
    finally:
        store.close()


async def _stored(store: BlobStore, contents: Iterator[bytearray], side_by_side: int) -> float:
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as writers:
        for _ in range(side_by_side):
            writers.create_task(_write(store, contents))
    return time.perf_counter() - begun


async def _write(store: BlobStore, contents: Iterator[bytearray]) -> None:
    for whole in contents:
        with memoryview(whole) as view:
            async with store.writer() as writer:
                for at in range(0, len(view), FRAGMENT_BYTES):
                    await writer.write(view[at : at + FRAGMENT_BYTES])
                await writer.commit()


def disk_alone(size: int, many: int, side_by_side: int, folder: Path) -> float:
    """Write, sync and rename so many files in a folder with no archive; return the seconds it took."""
    for name in ("incoming", *FOLDERS):
        (folder / name).mkdir()
    contents = [_content(size) for _ in range(many)]
    os.sync()
    threads = min(side_by_side, DEFAULT_LIMITS.blob_write_threads)
    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(_write_file, str(folder)), range(many), contents))
    return time.perf_counter() - begun


def _write_file(folder: str, number: int, content: bytearray) -> None:
    part = f"{folder}/incoming/{number}"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(handle, content)
    os.fsync(handle)
    os.close(handle)
    # 97 has no divisor in common with 256: neighbours lie in different folders, as hashes do.
    target = f"{folder}/{FOLDERS[number * 97 % len(FOLDERS)]}"
    os.rename(part, f"{target}/{number}")
    opened = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(opened)
    os.close(opened)
