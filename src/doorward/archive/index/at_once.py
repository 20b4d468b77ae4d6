"""Reading in the event loop itself, so little that to wake a thread would cost more.

Theory of operation. A question for one identifier reads some ten pages of the file, nearly always from memory: 0.1 ms. To
hand it to a thread and to be woken again costs three times that. So a query whose plan is narrow is tried here, on a
connection of its own. SQLite counts its steps; after ``index_now_steps`` the try is given up, and a thread does it from the
beginning. Whatever else is in the way (another program's lock, a fault of the file) is left to that thread too, which can
wait, and which says it in words.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from doorward.archive.index.store import open_reader
from doorward.errors import StorageError
from doorward.limits import Limits

_T = TypeVar("_T")
#: SQLite counts the steps of a statement over all its runs, so its first sign may come at once.
_SIGNS = 2


class AtOnce:
    """A connection for one thread, the event loop's, that gives up what takes long."""

    def __init__(self, file: Path, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._connection: sqlite3.Connection | None = None
        self._signs = 0

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Return what the work does; None where it must be done elsewhere, where one may wait."""
        try:
            if self._connection is None:
                self._connection = self._opened()
            self._signs = 0
            return work(self._connection)
        except (sqlite3.Error, StorageError):
            return None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        connection = open_reader(self._file, self._limits)
        connection.execute("PRAGMA busy_timeout = 0")
        connection.set_progress_handler(self._sign, self._limits.index_now_steps)
        return connection

    def _sign(self) -> bool:
        self._signs += 1
        return self._signs >= _SIGNS
