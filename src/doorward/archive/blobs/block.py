"""Where the fragments of an instance gather until they are written: whole pages of memory, used again and again.

Theory of operation: a block is anonymous memory that begins at a page, so a device can take it from there without the page
cache in between (``disk.LocalDisk.write``). What was written is given back, and the next instance overwrites it: memory
that is new to the process costs more than the copy into it.
"""

import mmap

from doorward.archive.blobs.disk import Bytes
from doorward.limits import Limits


class Block:
    """Up to ``capacity`` bytes that gather. ``len`` says how many there are."""

    def __init__(self, capacity: int) -> None:
        self._memory = memoryview(mmap.mmap(-1, capacity))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def room_bytes(self) -> int:
        """How much more fits."""
        return len(self._memory) - self._size

    def fill(self, fragment: Bytes) -> int:
        """Copy as much of a fragment as fits; return how much that was."""
        begin = self._size
        count = min(len(fragment), len(self._memory) - begin)
        self._size = end = begin + count
        self._memory[begin:end] = fragment if count == len(fragment) else fragment[:count]
        return count

    def content(self) -> Bytes:
        """Return what has gathered, as a view: it holds until the block is emptied."""
        return self._memory[: self._size]

    def empty(self) -> None:
        """Forget what has gathered."""
        self._size = 0


class Blocks:
    """Blocks that nobody uses now. For one thread, that of the event loop."""

    def __init__(self, limits: Limits) -> None:
        self._capacity = limits.blob_block_bytes
        self._most = limits.blob_idle_blocks
        self._idle: list[Block] = []

    def take(self) -> Block:
        """Return an empty block."""
        return self._idle.pop() if self._idle else Block(self._capacity)

    def give_back(self, block: Block) -> None:
        """Keep a block for the next instance. Nobody else may have a view of it any more."""
        if len(self._idle) < self._most:
            block.empty()
            self._idle.append(block)
