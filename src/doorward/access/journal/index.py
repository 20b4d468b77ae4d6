"""Who looked at this study: an index beside the segments.

It holds nothing of its own: for each study the records that name it, as a place in a segment. The journal's writer never
touches it; whoever asks first takes in what was written since the last question. Lost, damaged, or made from another
journal, it is made anew from the segments. The records themselves are read from the journal, digest and all.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from doorward.access.journal.reading import Wanted, show
from doorward.access.journal.record import EMPTY, Head, Record, read_record
from doorward.access.journal.segments import read_lines, segment_path, segment_paths
from doorward.limits import DEFAULT_LIMITS, Limits

_NAME = "studies-1.sqlite"
#: How long to wait for another reader that takes records in.
_BUSY_S = 10.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS named (study TEXT, sequence INTEGER, segment INTEGER, offset INTEGER,"
    " PRIMARY KEY (study, sequence)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS taken_in (sequence INTEGER, digest TEXT, segment INTEGER, offset INTEGER,"
    " next INTEGER)",
)
#: What SQLite says of a file that is damaged, or is none of its own.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StudyIndex:
    """The index of one journal, in its folder unless a ``path`` is given. Raises sqlite3.Error where it cannot be kept."""

    def __init__(
        self, folder: Path, *, path: Path | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._folder = folder
        self._path = path or folder / _NAME
        self._limits = limits
        self._database = self._open()

    def who_looked(self, study: str) -> Iterator[Record]:
        """Yield every record that names the study, oldest first, those of this moment included."""
        self.catch_up()
        query = "SELECT segment, offset FROM named WHERE study = ? ORDER BY sequence"
        for segment, offset in self._database.execute(query, (study,)).fetchall():
            record = self._record_at(segment, offset)
            if record is not None and study in record.entry.studies:
                yield record

    def catch_up(self) -> None:
        """Take in what was written since the last time; everything, if this is the index of another journal."""
        try:
            self._catch_up()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in _DAMAGED:
                raise
            self.close()
            self._path.unlink(missing_ok=True)
            self._database = self._open()
            self._catch_up()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)

    def _catch_up(self) -> None:
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                database.execute(table)
            if not self._belongs():
                database.execute("DELETE FROM named")
                database.execute("DELETE FROM taken_in")
                database.execute("INSERT INTO taken_in VALUES (0, ?, 1, 0, 0)", (EMPTY.digest,))
            self._take_in()

    def _belongs(self) -> bool:
        """Whether the last record that was taken in stands where it stood."""
        known = self._database.execute("SELECT sequence, digest, segment, offset FROM taken_in")
        row = known.fetchone()
        if row is None:
            return False
        sequence, digest, segment, offset = row
        if sequence == 0:
            return True
        record = self._record_at(segment, offset)
        return record is not None and (record.sequence, record.digest) == (sequence, digest)

    def _take_in(self) -> None:
        query = "SELECT sequence, digest, segment, offset, next FROM taken_in"
        sequence, digest, segment, offset, start = self._database.execute(query).fetchone()
        head = Head(sequence, digest)
        for path in segment_paths(self._folder):
            first = int(path.stem)
            if first < segment:
                continue
            for line in read_lines(path, self._limits, start=start if first == segment else 0):
                record = _record(line.text)
                if record is None:
                    continue
                head, segment, offset = Head(record.sequence, record.digest), first, line.offset
                start = line.offset + len(line.text)
                self._database.executemany(
                    "INSERT OR REPLACE INTO named VALUES (?, ?, ?, ?)",
                    [(study, head.sequence, first, offset) for study in record.entry.studies],
                )
        self._database.execute(
            "UPDATE taken_in SET sequence = ?, digest = ?, segment = ?, offset = ?, next = ?",
            (*head, segment, offset, start),
        )

    def _record_at(self, segment: int, offset: int) -> Record | None:
        try:
            line = next(
                read_lines(segment_path(self._folder, segment), self._limits, start=offset), None
            )
        except FileNotFoundError:
            return None
        return None if line is None else _record(line.text)


def records(
    folder: Path, wanted: Wanted | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Record]:
    """Yield what ``reading.show`` yields; a study is looked up, where a place for its index can be kept. Raises OSError."""
    if wanted is None or not wanted.study:
        yield from show(folder, wanted, limits=limits)
        return
    found = _looked_up(folder, wanted.study, limits)
    if found is None:  # a folder that may not be written, say: every record is read then
        yield from show(folder, wanted, limits=limits)
    else:
        yield from filter(wanted.takes, found)


def _looked_up(folder: Path, study: str, limits: Limits) -> Iterator[Record] | None:
    index = None
    try:
        index = StudyIndex(folder, limits=limits)
        index.catch_up()
    except sqlite3.Error:
        if index is not None:
            index.close()
        return None
    return _and_close(index, study)


def _and_close(index: StudyIndex, study: str) -> Iterator[Record]:
    try:
        yield from index.who_looked(study)
    finally:
        index.close()


def _record(line: bytes) -> Record | None:
    try:
        return read_record(line)
    except ValueError:
        return None
