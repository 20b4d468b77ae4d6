"""Which files an import need not read again: those that were acknowledged, as they were then.

A file is known by a digest of its path, size and time of change, so the list holds no name of a file: those often are names
of patients. A file that was changed since is another one. What the list lacks costs a second reading, never an instance.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from doorward.archive.index.store import in_words
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: "DwIm": tells this list from every other SQLite file.
_APPLICATION_ID = 0x4477496D
_KEY_BYTES = 16


class Done:
    """The list, in a file; written by one import at a time. Raises StorageError, and ConfigError for another file."""

    def __init__(self, file: Path, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._file = file
        self._limits = limits
        self._waiting: list[tuple[bytes]] = []
        self._next_s = 0.0
        with in_words("open", file):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._database = sqlite3.connect(file, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._database.close()
                raise

    def _prepare(self) -> None:
        (known,) = self._database.execute("PRAGMA application_id").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if known != _APPLICATION_ID and (known or tables):
            raise ConfigError("is no list of an import", file=self._file, hint="Name another file.")
        self._database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS done (key BLOB PRIMARY KEY) WITHOUT ROWID"
        )

    def known(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return which of these files were acknowledged; not more keys than ``index_page``, to ask once for many."""
        marks = ", ".join("?" * len(keys))
        sql = f"SELECT key FROM done WHERE key IN ({marks})"  # noqa: S608 - question marks
        return {key for (key,) in self._database.execute(sql, tuple(keys))}

    def add(self, key: bytes) -> None:
        """Note that a file was acknowledged; it reaches the disk soon after."""
        self._waiting.append((key,))
        now = time.monotonic()
        if len(self._waiting) >= self._limits.index_batch or now >= self._next_s:
            self._next_s = now + self._limits.upkeep_note_s
            self._write()

    def _write(self) -> None:
        with in_words("write", self._file):
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR IGNORE INTO done VALUES (?)", self._waiting)
            self._database.execute("COMMIT")
        self._waiting.clear()

    def close(self) -> None:
        """Write what waits, and close the file."""
        try:
            if self._waiting:
                self._write()
        finally:
            self._database.close()


def key_of(path: str, size_bytes: int, modified_ns: int) -> bytes:
    """Return what a file is known by."""
    said = f"{size_bytes} {modified_ns} ".encode() + os.fsencode(os.path.abspath(path))
    return hashlib.blake2b(said, digest_size=_KEY_BYTES).digest()
