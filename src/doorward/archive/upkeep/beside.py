"""The index of an archive, read beside its writer; of a backup too. Everything blocks."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from doorward.archive.blobs.shelf import Shelf
from doorward.archive.index.schema import MIGRATIONS, require_database, version_of
from doorward.archive.index.store import in_words, open_reader
from doorward.errors import ConfigError
from doorward.limits import Limits

#: What ``opened`` gives; its errors are in the words of ``index.store`` already.
Connection = sqlite3.Connection
_NAMED = (
    "SELECT s.uid, e.uid, i.uid FROM instances i JOIN series e ON e.number = i.series"
    " JOIN studies s ON s.number = e.study WHERE i.digest = ?"
    " UNION SELECT study_uid, series_uid, uid FROM conflicts WHERE digest = ?"
)
#: Each page goes on after the last key of the one before; the first key of all; from which version of the index on.
_PAGES: tuple[tuple[str, object, int], ...] = (
    ("SELECT digest, size_bytes, number FROM instances WHERE number > ? ORDER BY 3 LIMIT ?", 0, 1),
    (
        "SELECT digest, size_bytes, digest FROM conflicts WHERE digest > ? ORDER BY 3 LIMIT ?",
        b"",
        1,
    ),
    ("SELECT DISTINCT head, NULL, head FROM heads WHERE head > ? ORDER BY 3 LIMIT ?", b"", 2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A blob as the index names it; it does not keep the size of the beginning of a file (``archive.originals``)."""

    digest: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A blob, and the instance that it is; UIDs are "" where the index does not know it."""

    digest: str
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    sop_instance_uid: str = field(default="", repr=False)


@contextmanager
def opened(file: Path, limits: Limits) -> Iterator[Connection]:
    """Open an index for reading. Raises ConfigError where there is none, or one of a newer version; StorageError."""
    if not file.exists():
        hint = "Restore it from a backup, or make it anew: doorward archive reindex DIR"
        raise ConfigError("there is no index", file=file, hint=hint)
    with in_words("open", file):
        require_database(file)
    with closing(open_reader(file, limits)) as connection, in_words("read", file):
        version = version_of(connection)
        if version > len(MIGRATIONS):
            message = (
                f"is of version {version}; this Doorward knows indexes up to {len(MIGRATIONS)}"
            )
            raise ConfigError(message, file=file, hint="Update Doorward. Nothing was changed.")
        yield connection


def rows(connection: Connection, limits: Limits) -> Iterator[list[Row]]:
    """Yield every blob that is needed, a page at a time. Raises sqlite3.Error."""
    version = version_of(connection)
    for sql, before_all, since in _PAGES:
        if version < since:
            continue
        after = before_all
        while page := connection.execute(sql, (after, limits.blob_names_at_a_time)).fetchall():
            yield [Row(digest=digest.hex(), size_bytes=size) for digest, size, _ in page]
            after = page[-1][-1]


def named(connection: Connection, digests: Iterable[str]) -> list[Named]:
    """Return which instances these blobs are; one that the index does not know comes with its digest alone."""
    found = []
    for digest in digests:
        raw = bytes.fromhex(digest)
        uids: Collection[tuple[str, str, str]]
        uids = connection.execute(_NAMED, (raw, raw)).fetchall() or [("", "", "")]
        found += [
            Named(digest=digest, study_uid=study, series_uid=series, sop_instance_uid=uid)
            for study, series, uid in uids
        ]
    return found


def lacking(connection: Connection, shelf: Shelf, limits: Limits) -> tuple[int, tuple[Named, ...]]:
    """Return how many rows have no blob there, and which instances the first of them are. Raises StorageError."""
    count, found = 0, list[Named]()
    for page in rows(connection, limits):
        missing = [row.digest for row in page if shelf.entry(row.digest) is None]
        count += len(missing)
        room = max(0, limits.blob_damaged_named - len(found))
        found += named(connection, missing[:room])
    return count, tuple(found)
