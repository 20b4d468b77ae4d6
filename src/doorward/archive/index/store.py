"""Connections to the file of an index: who may write, how they are opened, and SQLite's errors in words.

``synchronous = FULL`` in WAL mode: a commit has reached the disk when it returns, so what was acknowledged outlives a power
cut (promise 7). Readers see the last commit and never wait for the writer.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from doorward.archive.blobs.faults import full, mapped
from doorward.archive.index.schema import MIGRATIONS, Migration, migrate, require_database
from doorward.errors import ConfigError, StorageError
from doorward.limits import Limits

_BUSY_MS = 10_000
#: Room for the other cells of a row, and for what ``copy`` and checks build.
_ROW_BYTES = 4_194_304
_FRAME_BYTES = 16
_REINDEX = "Stop the archive, keep the file, and make the index anew from the blobs: 'reindex'."
_RIGHTS = "The index and its folder must belong to the user that the archive runs as."
#: SQLite's primary result code -> (kind, what happened, what to do).
_WORDS = {
    sqlite3.SQLITE_IOERR: ("failed", "the disk reports an error", "Look at the kernel's log."),
    sqlite3.SQLITE_CORRUPT: ("damaged", "it is damaged", _REINDEX),
    sqlite3.SQLITE_NOTADB: ("damaged", "it is damaged", _REINDEX),
    sqlite3.SQLITE_BUSY: ("permission", "another program holds it", "Close it there."),
    sqlite3.SQLITE_LOCKED: ("permission", "another program holds it", "Close it there."),
    sqlite3.SQLITE_READONLY: ("read_only", "it may not be written", _RIGHTS),
    sqlite3.SQLITE_PERM: ("permission", "it may not be opened", _RIGHTS),
    sqlite3.SQLITE_CANTOPEN: ("missing", "it cannot be opened", _RIGHTS),
}
#: After these nothing that was said before can be relied upon: open the index again.
BREAKING = frozenset({"failed", "damaged"})


@contextmanager
def in_words(operation: str, file: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into a StorageError; their own words may quote what was to be stored."""
    try:
        with mapped(operation, str(file)):
            yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise full(operation, str(file)) from None
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        kind, words, hint = _WORDS.get(code, ("failed", "it could not be used", None))
        message = f"cannot {operation} {file}: {words} ({name})"
        raise StorageError(message, operation=operation, path=file, kind=kind, hint=hint) from None


def take_the_right(file: Path) -> int:
    """Return a handle that holds the right to write until it is closed; the system takes it back from the dead.

    The lock is on a file of its own, which stays: closing any other handle of the index would give up SQLite's locks on it.
    Raises ConfigError where another process has it.
    """
    path = file.with_name(f"{file.name}-lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        hint = "Stop it first. Reading is possible beside it."
        raise ConfigError("is being written by another Doorward", file=file, hint=hint) from None
    return handle


def open_writer(
    file: Path, limits: Limits, migrations: Sequence[Migration] = MIGRATIONS
) -> sqlite3.Connection:
    """Open for writing, made or brought to the newest version where necessary; any one thread may use it.

    Raises ConfigError for a file that is no index or a newer one, StorageError.
    """
    with in_words("open", file):
        require_database(file)
        if not file.exists():
            file.touch(mode=0o600)  # whose images are here is nobody else's business
        connection = _connect(file, limits)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection, file, migrations)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {limits.index_log_bytes}")
            connection.execute("PRAGMA foreign_keys = ON")
            pages = limits.index_log_bytes // connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, pages // 4)}")
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(file: Path, limits: Limits) -> sqlite3.Connection:
    """Open an index for reading beside its writer; it has been brought to the newest version by that."""
    with in_words("open", file):
        connection = _connect(file, limits)
        connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(file: Path, limits: Limits) -> sqlite3.Connection:
    uri = f"file:{quote(str(file.absolute()))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        longest = max(limits.index_frames * _FRAME_BYTES, limits.index_view_bytes) + _ROW_BYTES
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute(f"PRAGMA cache_size = -{max(1, limits.index_cache_bytes // 1024)}")
        # Connecting reads nothing; this does.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
