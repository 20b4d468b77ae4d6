"""A file system that forgets: what was not synced may be there, torn or gone after a power cut, each name and file by chance.

Stricter than any real one: names that were changed survive independently of each other and of the content under them, and
a file whose content was not synced may come back empty, cut, or as zeros of its full length.
"""

import errno
import random
import threading
from collections.abc import Iterable

from doorward.archive.blobs.disk import Entry


class PowerCut(Exception):
    """From here on nothing happens any more. No OSError, so that no handler takes it for an answer of the disk."""


class File:
    """One inode: what programs see, and what the platter has."""

    def __init__(self) -> None:
        self.live = bytearray()
        self.durable = b""

    def after_a_cut(self, chance: random.Random) -> bytes:
        if bytes(self.live) == self.durable:
            return self.durable
        cut = bytes(self.live[: chance.randrange(len(self.live) + 1)])
        return chance.choice((self.durable, bytes(self.live), cut, bytes(len(self.live))))


class ForgetfulDisk:
    """A ``Disk`` in memory. ``cut_at``: the operation, counted from now, at which the power goes."""

    def __init__(self, root: str) -> None:
        #: A path to its file, or to None for a folder.
        self.live: dict[str, File | None] = {root: None}
        self.durable: dict[str, File | None] = {root: None}
        self.cut_at: int | None = None
        self.operations = 0
        self._handles: dict[int, File] = {}
        self._handle = 0
        self._lock = threading.RLock()

    # --- the end ---

    def cut_power(self, seed: int) -> None:
        """What the next start finds."""
        chance = random.Random(seed)
        found: dict[str, File | None] = {}
        for path in sorted(self.live.keys() | self.durable.keys()):
            states = [tree for tree in (self.live, self.durable) if path in tree]
            is_changed = self.live.get(path, 0) is not self.durable.get(path, 0)
            if is_changed and chance.random() < 0.5:
                states = [self.durable] if path in self.durable else []
            elif is_changed:
                states = [self.live] if path in self.live else []
            if states and (path in self._roots() or path.rpartition("/")[0] in found):
                found[path] = states[0][path]
        for file in {id(f): f for f in found.values() if f is not None}.values():
            file.durable = file.after_a_cut(chance)
            file.live = bytearray(file.durable)
        self.live, self.durable = found, dict(found)
        self._start_again()

    def kill(self) -> None:
        """The program ended and the power did not: the kernel still has everything."""
        self._start_again()

    def _start_again(self) -> None:
        self._handles.clear()
        self.cut_at = None
        self.operations = 0

    def _roots(self) -> set[str]:
        return {min(self.durable, key=len)}

    def _step(self) -> None:
        if self.cut_at is not None and self.operations >= self.cut_at:
            raise PowerCut
        self.operations += 1

    # --- Disk ---

    def make_folder(self, path: str) -> None:
        with self._lock:
            self._step()
            self.live.setdefault(path, None)

    def names(self, folder: str) -> list[str]:
        with self._lock:
            return sorted(p.rpartition("/")[2] for p in self._in(folder, self.live))

    def entry(self, path: str) -> Entry | None:
        with self._lock:
            if path not in self.live:
                return None
            file = self.live[path]
            return Entry(size_bytes=len(file.live) if file else 0, modified_at=0.0)

    def create(self, path: str) -> int:
        with self._lock:
            self._step()
            if path in self.live:
                raise FileExistsError(errno.EEXIST, "there")
            self.live[path] = File()
            return self.open(path)

    def allocate(self, handle: int, size_bytes: int) -> None:
        """May do nothing, as on file systems that cannot."""

    def write(self, handle: int, content: bytes | bytearray | memoryview) -> None:
        with self._lock:
            half = len(content) // 2
            self._handles[handle].live += content[:half]
            self._step()
            self._handles[handle].live += content[half:]

    def truncate(self, handle: int, size_bytes: int) -> None:
        with self._lock:
            self._step()
            del self._handles[handle].live[size_bytes:]

    def sync(self, handle: int) -> None:
        with self._lock:
            self._step()
            self._handles[handle].durable = bytes(self._handles[handle].live)

    def sync_folder(self, path: str) -> None:
        with self._lock:
            self._step()
            for gone in set(self._in(path, self.durable)) - set(self._in(path, self.live)):
                del self.durable[gone]
            self.durable |= {p: self.live[p] for p in self._in(path, self.live)}

    def open(self, path: str) -> int:
        with self._lock:
            file = self.live.get(path)
            if file is None:
                raise FileNotFoundError(errno.ENOENT, "not there")
            self._handle += 1
            self._handles[self._handle] = file
            return self._handle

    def size_of(self, handle: int) -> int:
        return len(self._handles[handle].live)

    def read(self, handle: int, length: int, offset: int) -> bytes:
        return bytes(self._handles[handle].live[offset : offset + length])

    def read_ready(self, handle: int, length: int, offset: int) -> bytes | None:
        return None

    def read_ready_into(self, handle: int, room: memoryview, offset: int) -> int:
        return 0

    def will_need(self, path: str) -> None:
        pass

    def close(self, handle: int) -> None:
        self._handles.pop(handle, None)

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            self._step()
            self.live[new] = self.live.pop(old)

    def link(self, old: str, new: str) -> None:
        with self._lock:
            self._step()
            self.live[new] = self.live[old]

    def touch(self, path: str) -> None:
        with self._lock:
            self._step()

    def remove(self, path: str) -> None:
        with self._lock:
            self._step()
            del self.live[path]

    def free_bytes(self, path: str) -> int:
        return 1 << 40

    def lock(self, path: str) -> int | None:
        with self._lock:
            if path not in self.live:
                self.live[path] = File()
            return self.open(path)

    def _in(self, folder: str, tree: Iterable[str]) -> list[str]:
        return [p for p in tree if p.rpartition("/")[0] == folder]
