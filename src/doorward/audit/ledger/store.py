"""One connection to a ledger file: how it is opened, its transactions, and its errors as words.

Theory of operation: SQLite in WAL mode with ``synchronous = NORMAL``. A commit is handed to the system before the call
returns, so it survives ``kill -9`` of this process at any moment. It is not flushed to the disk each time: a power cut or a
crash of the machine may lose the last commits, but never the wholeness of the file nor the order of what is left. That is
the right bargain here, as a lost answer is asked again. Readers see the last commit and never wait for the writer.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from doorward.audit.ledger.lock import WriterLock, beside
from doorward.audit.ledger.schema import (
    MIGRATIONS,
    Migration,
    migrate,
    require_known,
    require_ledger,
)
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: How long SQLite waits for another process that recovers or tidies the file.
_BUSY_MS = 10_000
#: The other cells of a row beside its longest.
_ROW_BYTES = 1_048_576
_ROOM = "Make room, then start again with the same ledger: what was answered is in it."
_COPY = "Take a copy that is whole; 'sqlite3 FILE .recover' may save what is left of this one."
#: SQLite's primary result code -> (what happened, what to do).
_WORDS = {
    sqlite3.SQLITE_FULL: ("could not be written: the disk is full", _ROOM),
    sqlite3.SQLITE_IOERR: ("could not be read or written: the disk reports an error", _ROOM),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _COPY),
    sqlite3.SQLITE_NOTADB: ("is damaged", _COPY),
    sqlite3.SQLITE_BUSY: ("is held by another program", "Close it there, then try again."),
    sqlite3.SQLITE_LOCKED: ("is held by another program", "Close it there, then try again."),
    sqlite3.SQLITE_READONLY: ("may not be written", "Check the rights of the file and its folder."),
    sqlite3.SQLITE_PERM: ("may not be opened", "Check the rights of the file and its folder."),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Check the rights of the file and its folder."),
    sqlite3.SQLITE_TOOBIG: ("holds something longer than Doorward writes", None),
    sqlite3.SQLITE_CONSTRAINT: ("does not have what this belongs to", None),
}


class Store:
    """One open ledger file. Every method raises ConfigError for what the file or the disk does."""

    def __init__(
        self, connection: sqlite3.Connection, file: Path, lock: WriterLock | None, limits: Limits
    ) -> None:
        self.file = file
        self.limits = limits
        self._connection = connection
        self._lock = lock

    @classmethod
    def write(
        cls,
        file: Path,
        *,
        limits: Limits = DEFAULT_LIMITS,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> "Store":
        """Open a ledger for writing, made or brought to the newest version where necessary."""
        require_ledger(file)
        with _in_words(file):
            lock = WriterLock(file)
            connection = None
            try:
                # Where the open archives stand is nobody else's business.
                if not file.exists():
                    file.touch(mode=0o600)
                _require_whole(file)
                connection = _connect(file, "rw", limits)
                migrate(connection, file, migrations)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                if connection is not None:
                    connection.close()
                lock.release()
                raise
        return cls(connection, file, lock, limits)

    @classmethod
    def read(
        cls,
        file: Path,
        *,
        limits: Limits = DEFAULT_LIMITS,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> "Store":
        """Open a ledger for reading, beside a writer or alone; an older one is brought to the newest version first."""
        require_ledger(file)
        with _in_words(file):
            if not file.is_file() or not file.stat().st_size:
                raise ConfigError("there is no such ledger", file=file)
            _require_whole(file)
            connection = _connect_reader(file, limits)
            store = cls(connection, file, None, limits)
            try:
                is_newest = require_known(connection, file, migrations)
            except BaseException:
                store.close()
                raise
        if is_newest:
            return store
        store.close()
        cls.write(file, limits=limits, migrations=migrations).close()
        return cls.read(file, limits=limits, migrations=migrations)

    @property
    def is_writer(self) -> bool:
        """It may be changed through this connection, and through no other."""
        return self._lock is not None

    def close(self) -> None:
        """Close the file; the last to close it leaves one file and nothing beside it."""
        try:
            self._connection.close()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Carry out one statement, committed when this returns unless in a transaction; returns the rows it changed."""
        with _in_words(self.file):
            return self._connection.execute(sql, values).rowcount

    def insert(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Carry out one INSERT and return the number of the new row."""
        with _in_words(self.file):
            return self._connection.execute(sql, values).lastrowid or 0

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of one query; the caller bounds them."""
        with _in_words(self.file):
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the first row of one query, or None."""
        with _in_words(self.file):
            return self._connection.execute(sql, values).fetchone()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside or nothing."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one moment of the ledger throughout, whatever a writer adds meanwhile."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        # After some errors SQLite has done so by itself.
        if self._connection.in_transaction:
            self.execute("ROLLBACK")


def _connect(file: Path, mode: str, limits: Limits, more: str = "") -> sqlite3.Connection:
    """Open a file that anybody may have made: it can neither have SQL of its own carried out nor fill the memory."""
    uri = f"file:{quote(str(file.absolute()))}?mode={mode}{more}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        longest = max(limits.document_bytes, limits.answer_bytes)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest + _ROW_BYTES)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        # Connecting reads nothing; this does.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_reader(file: Path, limits: Limits) -> sqlite3.Connection:
    """Open a file that will not be changed, also where nothing may be written beside it.

    A reader in WAL mode writes the index of the log; so it opens the file like a writer and forbids itself to write.
    """
    try:
        connection = _connect(file, "rw", limits)
    except sqlite3.OperationalError:
        # A read-only medium: without a log beside it the file is all there is, and nobody can be writing it.
        has_log = beside(file, "-wal").exists()
        connection = _connect(file, "ro", limits, "" if has_log else "&immutable=1")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _require_whole(file: Path) -> None:
    """Raise ConfigError where the end is missing; only a file without a log beside it says its own length."""
    logs = (beside(file, ending) for ending in ("-wal", "-journal"))
    if any(log.exists() and log.stat().st_size for log in logs):
        return
    with file.open("rb") as stream:
        head = stream.read(100)
    if not head:
        return
    page_bytes = int.from_bytes(head[16:18], "big")
    expected = int.from_bytes(head[28:32], "big") * (65_536 if page_bytes == 1 else page_bytes)
    size = file.stat().st_size
    if size < expected:
        message = f"is damaged: {expected - size:,} of its {expected:,} bytes are missing"
        raise ConfigError(message, file=file, hint=_COPY)


@contextmanager
def _in_words(file: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into one sentence; their own may quote what was to be stored."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        message, hint = _WORDS.get((code or 0) & 0xFF, ("could not be used", None))
        raise ConfigError(f"{message} ({name})", file=file, hint=hint) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be opened ({reason})", file=file) from None
