"""A value that is kept in a vault, read again when its file has changed: whoever changes it is heard at the next look.

A file that cannot be read any more, or has become damaged, is as good as an empty one: nobody is let in by what stood there
before (promise 6). ``fault`` says why, for whoever watches. The reading is tried again a moment later, for a disk that
failed for once, or a mode that was set right, leaves no mark on the file.
"""

import os
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from doorward.access.vault import Vault
from doorward.errors import ConfigError, StorageError
from doorward.limits import DEFAULT_LIMITS, Limits

_ValueT = TypeVar("_ValueT")


class Kept(Generic[_ValueT]):
    """One secret of a vault as a value; ``read`` makes it of the bytes and raises ConfigError, ``empty`` stands for none.

    ``clock`` counts seconds and does not jump.
    """

    def __init__(
        self,
        vault: Vault,
        name: str,
        *,
        read: Callable[[bytes], _ValueT],
        empty: _ValueT,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.vault = vault
        self.name = name
        self.fault: ConfigError | StorageError | None = None
        self._read = read
        self._empty = empty
        self._value = empty
        self._seen: tuple[int, int, int] | None = None
        self._clock = clock
        self._limits = limits
        self._next_try_s = 0.0

    def value(self) -> _ValueT:
        """Return the value as it is now; a look at the file's name costs some microseconds."""
        seen = self._look()
        if seen is None:
            return self._empty
        if seen != self._seen or self._is_to_be_tried_again():
            # The mark is of before the reading: what changes meanwhile is read once more the next time.
            self._value, self._seen = self._fresh(), seen
        return self._value

    def update(self, change: Callable[[_ValueT], tuple[_ValueT, bytes]]) -> _ValueT:
        """Replace the value by what ``change`` makes of it, while nobody else writes. Raises as ``Vault.update``."""
        made: list[_ValueT] = []

        def changed(content: bytes | None) -> bytes:
            value, written = change(self._empty if content is None else self._read(content))
            made.append(value)
            return written

        self.vault.update(self.name, changed)
        return made[0]

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self.vault.folder / self.name)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _is_to_be_tried_again(self) -> bool:
        return self.fault is not None and self._clock() >= self._next_try_s

    def _fresh(self) -> _ValueT:
        self.fault = None
        try:
            return self._read(self.vault.read(self.name))
        except (ConfigError, StorageError) as fault:
            self.fault = fault
            self._next_try_s = self._clock() + self._limits.secret_retry_s
            return self._empty
