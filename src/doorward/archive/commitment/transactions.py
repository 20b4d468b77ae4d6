"""Storage commitment requests that were taken and are not reported yet: on disk, so that a restart forgets none.

Theory of operation. A request is one file: a line of JSON that says who asked, and a line with what is referenced. It is
written under another name, synced, renamed, and the folder synced; only then is the request answered. The name is the
digest of the device and its Transaction UID, so no peer chooses a path, and the same request again is the same file. In
memory stands what is needed to choose the next one, never the references.

All of it blocks: threads call it, one at a time. Everything raises StorageError where the folder cannot be used.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from doorward.archive.blobs.disk import Disk, LocalDisk
from doorward.archive.blobs.faults import mapped
from doorward.archive.commitment.messages import Reference
from doorward.errors import StorageError
from doorward.limits import DEFAULT_LIMITS, Limits

_ENDING = ".json"
_UNFINISHED = ".new"
_READ_BYTES = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One request that waits for its report. ``asked_at`` is in seconds since 1970."""

    transaction_uid: str
    identity: str
    how: str
    calling_ae_title: str
    peer: str
    asked_at: float
    count: int

    @property
    def key(self) -> str:
        """What it is filed under."""
        said = f"{self.identity}\0{self.transaction_uid}"
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(slots=True)
class Transactions:
    """The requests in one folder, for one process."""

    folder: Path
    limits: Limits = DEFAULT_LIMITS
    disk: Disk = field(default_factory=LocalDisk)
    _waiting: dict[str, Waiting] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def open(self) -> None:
        """Read what waits; what was being written when the process ended was never answered, and goes."""
        with mapped("open", str(self.folder)):
            self.disk.make_folder(str(self.folder))
            self.disk.sync_folder(str(self.folder.parent))
            names = self.disk.names(str(self.folder))
        for name in names:
            path = str(self.folder / name)
            if name.endswith(_UNFINISHED):
                with mapped("remove", path):
                    self.disk.remove(path)
            elif name.endswith(_ENDING) and (waiting := self._read_head(path)) is not None:
                self._waiting[waiting.key] = waiting

    def __iter__(self) -> Iterator[Waiting]:
        return iter(
            tuple(self._waiting.values())
        )  # without the lock: who writes holds it for a sync

    def has(self, waiting: Waiting) -> bool:
        """Tell whether it still waits."""
        return self._waiting.get(waiting.key) is waiting

    def add(self, waiting: Waiting, references: tuple[Reference, ...]) -> bool:
        """Keep a request, durable when this returns; False where too many wait. The same one again takes its own place."""
        with self._lock:
            if waiting.key not in self._waiting and self._is_full(waiting.identity):
                return False
            self._write(waiting, references)
            self._waiting[waiting.key] = waiting
        return True

    def references(self, waiting: Waiting) -> tuple[Reference, ...]:
        """Return what a request asks about."""
        path = self._path(waiting.key)
        lines = self._read(path, None).split(b"\n")
        try:
            return tuple(Reference(*map(str, pair)) for pair in json.loads(lines[1]))
        except (ValueError, TypeError, IndexError, RecursionError):
            message = f"cannot read {path}: it is damaged"
            hint = "Remove it: the device asks again, or keeps its images."
            raise StorageError(
                message, operation="read", path=Path(path), kind="damaged", hint=hint
            ) from None

    def remove(self, waiting: Waiting) -> None:
        """Forget a request: it was reported, or given up."""
        with self._lock:
            if self._waiting.get(waiting.key) is not waiting:
                return  # asked for again meanwhile
            del self._waiting[waiting.key]
            path = self._path(waiting.key)
            with mapped("remove", path):
                if self.disk.entry(path) is not None:
                    self.disk.remove(path)

    # --- files ------------------------------------------------------------------------------------------------------

    def _is_full(self, identity: str) -> bool:
        of_one = sum(one.identity == identity for one in self._waiting.values())
        is_full = len(self._waiting) >= self.limits.commitment_waiting
        return is_full or of_one >= self.limits.commitment_waiting_each

    def _path(self, key: str) -> str:
        return str(self.folder / f"{key}{_ENDING}")

    def _write(self, waiting: Waiting, references: tuple[Reference, ...]) -> None:
        head = {name: getattr(waiting, name) for name in _FIELDS}
        content = b"%s\n%s\n" % (json.dumps(head).encode(), json.dumps(references).encode())
        path = self._path(waiting.key)
        unfinished = f"{path}{_UNFINISHED}"
        with mapped("write", path):
            if self.disk.entry(unfinished) is not None:
                self.disk.remove(unfinished)  # of a try that has failed
            handle = self.disk.create(unfinished)
            try:
                self.disk.write(handle, content)
                self.disk.sync(handle)
            finally:
                self.disk.close(handle)
            self.disk.rename(unfinished, path)
            self.disk.sync_folder(str(self.folder))

    def _read_head(self, path: str) -> Waiting | None:
        """Return who asked; None for a file that cannot be understood, which is left for people to look at."""
        try:
            stated: dict[str, Any] = json.loads(self._read(path, _READ_BYTES).split(b"\n")[0])
            is_sound = all(isinstance(stated[name], kind) for name, kind in _KINDS.items())
            waiting = Waiting(**stated)
            is_sound = is_sound and path == self._path(waiting.key)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return waiting if is_sound else None

    def _read(self, path: str, most: int | None) -> bytes:
        with mapped("read", path):
            handle = self.disk.open(path)
            try:
                size = self.disk.size_of(handle)
                wanted = size if most is None else min(size, most)
                found = b""
                while len(found) < wanted:
                    more = self.disk.read(handle, wanted - len(found), len(found))
                    if not more:
                        break
                    found += more
            finally:
                self.disk.close(handle)
        return found


_KINDS = {"transaction_uid": str, "identity": str, "how": str, "asked_at": float}
_FIELDS = tuple(one.name for one in fields(Waiting))
