"""What ``reindex`` has to remember, in a file that is thrown away: in what order blobs came, and what was said of studies."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path

from doorward.access.journal.reading import Wanted, show
from doorward.access.journal.record import Event, Outcome, Record
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.shelf import Shelf
from doorward.archive.index.entry import Outcome as Filed
from doorward.archive.index.entry import PatientKey
from doorward.archive.index.rows import decode_time, encode_time
from doorward.archive.index.store import in_words
from doorward.archive.upkeep import beside
from doorward.errors import ConfigError, StorageError
from doorward.limits import Limits

_TABLES = (
    "CREATE TABLE stored (blob BLOB PRIMARY KEY, sequence INTEGER, at INTEGER, source TEXT, study TEXT,"
    " last INTEGER) WITHOUT ROWID",
    "CREATE TABLE gone (study TEXT PRIMARY KEY, sequence INTEGER) WITHOUT ROWID",
    "CREATE TABLE blobs (blob BLOB PRIMARY KEY, at INTEGER) WITHOUT ROWID",
    "CREATE TABLE left_out (blob BLOB PRIMARY KEY, study TEXT, patient TEXT) WITHOUT ROWID",
    "CREATE TABLE heads (instance BLOB, head BLOB, PRIMARY KEY (instance, head)) WITHOUT ROWID",
    "CREATE TABLE studies (uid TEXT, patient_id TEXT, issuer TEXT, own TEXT, site TEXT, department TEXT,"
    " labels TEXT, PRIMARY KEY (uid, patient_id, issuer, own)) WITHOUT ROWID",
)
_ANEW = "INSERT OR REPLACE INTO stored VALUES (?, ?, ?, ?, ?, ?)"
_AGAIN = (
    "INSERT INTO stored VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (blob) DO UPDATE SET last = excluded.last"
)
_CAME = (
    "SELECT b.blob, coalesce(s.at, b.at), coalesce(s.source, ''), coalesce(s.study, ''),"
    " s.sequence IS NOT NULL, coalesce(g.sequence > s.last, 0)"
    " FROM blobs b LEFT JOIN stored s ON s.blob = b.blob LEFT JOIN gone g ON g.study = s.study"
)
#: Parts labels in one cell; a label is printable.
_BETWEEN = "\n"
_LABELLED = (
    "SELECT s.uid, p.patient_id, p.issuer, p.study_uid, s.site, s.department,"
    " coalesce((SELECT group_concat(label, char(10)) FROM study_labels WHERE study = s.number), '')"
    " FROM studies s JOIN patients p ON p.number = s.patient"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """One blob, and how it came. ``is_deleted``: its study was deleted since."""

    digest: str
    received_at: datetime
    source: str
    study_uid: str = field(repr=False)
    has_record: bool
    is_deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStudy:
    """What an index had said of a study."""

    site: str
    department: str
    labels: frozenset[str]


class Scratch:
    """The file, from its making until ``close`` removes it. Raises StorageError."""

    def __init__(self, file: Path, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._remove()
        with in_words("write", file):
            file.touch(mode=0o600)
            self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA synchronous = OFF")
            for table in _TABLES:
                self._database.execute(table)
        self._has_studies = False
        #: Studies come in a row: what the last one was need not be asked again.
        self.study = lru_cache(maxsize=64)(self._study)

    def close(self) -> None:
        """Throw it away."""
        self._database.close()
        self._remove()

    def _remove(self) -> None:
        with mapped("remove", str(self._file)):
            self._file.unlink(missing_ok=True)

    # --- taken in ---------------------------------------------------------------------------------------------------

    def take_studies(self, index: Path) -> bool:
        """Remember what an index says of studies that no instance says; False where it cannot be read, or is not there."""
        try:
            with beside.opened(index, self._limits) as connection:
                self._insert("studies", connection.execute(_LABELLED))
        except (StorageError, ConfigError):
            # Halves are better than nothing: a label that is kept may be one that hides a study.
            self._has_studies = True
            return False
        self._has_studies = True
        return True

    def take_journal(self, folder: Path) -> None:
        """Remember which blob came when, from whom, and which studies were deleted."""
        limits = self._limits
        with mapped("read", str(folder)):
            stored = show(folder, Wanted(event=Event.STORE), limits=limits)
            self._in_batches(self._take_stored, (one for one in stored if one.entry.blob))
            deleted = show(folder, Wanted(event=Event.DELETE), limits=limits)
            self._in_batches(self._take_deleted, deleted)

    def _in_batches(self, take: Callable[[Record], None], records: Iterator[Record]) -> None:
        while batch := list(islice(records, self._limits.index_batch)):
            with in_words("write", self._file):
                self._database.execute("BEGIN")
                for record in batch:
                    take(record)
                self._database.execute("COMMIT")

    def _take_stored(self, record: Record) -> None:
        """The first time counts, but for what was deleted and came anew; that it came again keeps it from being deleted."""
        entry = record.entry
        if entry.outcome is not Outcome.SUCCESS:
            return
        is_again = entry.reason in (Filed.SAME.value, Filed.CONFLICT_KEPT.value)
        at, study = encode_time(record.time), next(iter(entry.studies), "")
        row = (bytes.fromhex(entry.blob), record.sequence, at, entry.identity, study)
        self._database.execute(_AGAIN if is_again else _ANEW, (*row, record.sequence))

    def _take_deleted(self, record: Record) -> None:
        if record.entry.outcome is Outcome.SUCCESS:
            for study in record.entry.studies:
                self._database.execute(
                    "INSERT OR REPLACE INTO gone VALUES (?, ?)", (study, record.sequence)
                )

    def take_blobs(self, shelf: Shelf) -> None:
        """Remember every blob that there is."""
        for folder in FOLDERS:
            rows = []
            for digest in shelf.digests(folder):
                entry = shelf.entry(digest)
                if entry is not None:
                    rows.append((bytes.fromhex(digest), int(entry.modified_at * 1000)))
            self._insert("blobs", iter(rows))

    def take_head(self, instance_digest: str, head_digest: str) -> None:
        """Remember the beginning of a file."""
        pair = (bytes.fromhex(instance_digest), bytes.fromhex(head_digest))
        self._insert("heads", iter([pair]))

    def leave_out(self, came: Came, patient: PatientKey) -> None:
        """Remember what was left out since its study was deleted, and whose it is."""
        row = (bytes.fromhex(came.digest), came.study_uid, "\0".join(patient))
        self._insert("left_out", iter([row]))

    def _insert(self, table: str, rows: Iterator[tuple[object, ...]]) -> None:
        while batch := list(islice(rows, self._limits.index_batch)):
            marks = ", ".join("?" * len(batch[0]))
            with in_words("write", self._file):
                self._database.execute("BEGIN")
                sql = f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608 - names of ours
                self._database.executemany(sql, batch)
                self._database.execute("COMMIT")

    # --- given back -------------------------------------------------------------------------------------------------

    def blobs(self) -> Iterator[Came]:
        """Yield every blob in the order in which they came; those without a record last, by the time of their file."""
        order = " ORDER BY s.sequence IS NULL, s.sequence, b.at, b.blob"
        yield from self._came(_CAME + order)

    def not_surely_deleted(self) -> Iterator[Came]:
        """Yield what was left out of studies whose UID more than one patient has."""
        of_two = "SELECT study FROM left_out GROUP BY study HAVING count(DISTINCT patient) > 1"
        where = f" WHERE b.blob IN (SELECT blob FROM left_out WHERE study IN ({of_two}))"  # noqa: S608
        yield from self._came(_CAME + where + " ORDER BY s.sequence")

    def _came(self, sql: str) -> Iterator[Came]:
        for blob, at, source, study, has_record, is_deleted in self._database.execute(sql):
            yield Came(
                digest=blob.hex(),
                received_at=decode_time(at),
                source=source,
                study_uid=study,
                has_record=bool(has_record),
                is_deleted=bool(is_deleted),
            )

    def heads(self) -> Iterator[tuple[str, str]]:
        """Yield the digest of an instance and that of a beginning of its file."""
        for instance, head in self._database.execute("SELECT instance, head FROM heads"):
            yield instance.hex(), head.hex()

    def _study(self, study_uid: str, patient: PatientKey) -> KnownStudy | None:
        if not self._has_studies:
            return None
        sql = (
            "SELECT site, department, labels FROM studies"
            " WHERE (uid, patient_id, issuer, own) = (?, ?, ?, ?)"
        )
        row = self._database.execute(sql, (study_uid, *patient)).fetchone()
        if row is None:
            return None
        site, department, labels = row
        known = frozenset(labels.split(_BETWEEN)) if labels else frozenset[str]()
        return KnownStudy(site=site, department=department, labels=known)
