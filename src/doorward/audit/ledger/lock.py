"""One writer at a time: a lock beside the ledger that the system takes back when its process dies, however it dies.

The lock is on a file of its own: closing any file of the ledger itself would give up SQLite's locks on it (POSIX locks
belong to the process and the file, not to who opened it).
"""

import fcntl
import os
from pathlib import Path

from doorward.errors import ConfigError

#: Never through a link: in a folder of many it may lead to a file of ours that would be emptied.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def beside(file: Path, ending: str) -> Path:
    """Return the path of a file that belongs to a ledger, where SQLite too looks for it: links are followed."""
    real = file.resolve()
    return real.with_name(real.name + ending)


class WriterLock:
    """The right to write one ledger."""

    def __init__(self, file: Path) -> None:
        self._path = beside(file, "-lock")
        self._file = file
        self._descriptor = self._take()
        try:
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, str(os.getpid()).encode())
        except OSError:
            pass  # on a full disk: the number is for people, the lock holds without it

    def release(self) -> None:
        """Give the right back and leave nothing behind."""
        # Removed while it is still held: whoever waited for it sees that it is no longer the one at this path.
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _take(self) -> int:
        while True:
            descriptor = os.open(self._path, _FLAGS, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                writer = os.read(descriptor, 32)
                os.close(descriptor)
                raise self._taken(writer) from None
            if self._is_at_its_path(descriptor):
                return descriptor
            os.close(descriptor)

    def _is_at_its_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _taken(self, writer: bytes) -> ConfigError:
        who = f" (process {writer.decode()})" if writer.isdigit() else ""
        hint = (
            "Wait until it has ended, or write to another ledger. Reading is possible at any time."
        )
        return ConfigError(f"is being written by another Doorward{who}", file=self._file, hint=hint)
