"""One entry into the tables: idempotent, never replacing what is there.

Everything here happens inside a transaction of ``writer``, in its thread. What was found or made is remembered, so that the
second instance of a series costs one row; whoever rolls back says so (``forget``). Counts are added up and written by
``settle``, which belongs into the same transaction.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from doorward.archive.index.cells import (
    instance_view,
    modalities_of,
    referring_physician_of,
    series_view,
    study_day_of,
    study_view,
)
from doorward.archive.index.entry import Entry, Outcome, PatientKey, Written
from doorward.archive.index.levels import (
    MODALITIES_IN_STUDY,
    SERIES_TEXTS,
    SOP_CLASSES_IN_STUDY,
    STUDY_TEXTS,
)
from doorward.archive.index.rows import encode_frames, encode_time, encode_view, texts_of
from doorward.limits import Limits


class _SeriesKey(NamedTuple):
    patient: PatientKey
    study_uid: str
    series_uid: str


class _Place(NamedTuple):
    """Where an instance belongs."""

    study: int
    series: int
    is_inconsistent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deletion has taken away, and the blobs that nothing in the index names any more."""

    count_instances: int
    digests: frozenset[str]


class Filing:
    """The tables, as one connection writes them. Methods raise sqlite3.Error; LimitExceeded for views and frames."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._places: dict[_SeriesKey, _Place] = {}
        self._classes: set[tuple[int, str]] = set()
        self._more_of_study: Counter[int] = Counter()
        self._more_of_series: Counter[int] = Counter()
        #: None: not known. Nearly no archive ever has one, and asking costs a statement for each instance.
        self._has_conflicts: bool | None = None

    def file(self, entries: Iterable[Entry]) -> list[Written]:
        """Take entries in, in their order."""
        written = self.add(entries)
        self.settle()
        return written

    def add(self, entries: Iterable[Entry]) -> list[Written]:
        """Like ``file``, and leave the counts to a ``settle`` in the same transaction."""
        return [self._with_head(entry) for entry in entries]

    def keep_head(self, digest: str, head: str) -> bool:
        """Note the blob with the beginning of the file of an instance; False where no such instance is held.

        Of an instance that came with more than ``original_heads`` beginnings the first ones are kept.
        """
        instance = bytes.fromhex(digest)
        if not is_named(self._connection, instance):
            return False
        self._connection.execute(
            "INSERT OR IGNORE INTO heads SELECT ?, ?"
            " WHERE (SELECT count(*) FROM heads WHERE digest = ?) < ?",
            (instance, bytes.fromhex(head), instance, self._limits.original_heads),
        )
        return True

    def forget(self) -> None:
        """Forget what was remembered: the transaction was rolled back, or rows were deleted."""
        self._places.clear()
        self._classes.clear()
        self._more_of_study.clear()
        self._more_of_series.clear()
        self._has_conflicts = None

    def _with_head(self, entry: Entry) -> Written:
        written = self._file(entry)
        if entry.head_digest:
            self.keep_head(entry.digest, entry.head_digest)
        return written

    def _file(self, entry: Entry) -> Written:
        digest = bytes.fromhex(entry.digest)
        # Into a series that is known it is put at once; what is not put was there.
        known = self._places.get(_key_of(entry))
        if known is not None and self._put(entry, digest, known):
            return Written(outcome=Outcome.NEW, is_inconsistent=known.is_inconsistent)
        held = self._one("SELECT digest FROM instances WHERE uid = ?", entry.sop_instance_uid)
        if held is not None and held[0] == digest:
            return Written(outcome=Outcome.SAME)
        if held is not None:
            self._keep_aside(entry, digest)
            return Written(outcome=Outcome.CONFLICT_KEPT)
        place = self._place_of(entry)
        self._put(entry, digest, place)
        return Written(outcome=Outcome.NEW, is_inconsistent=place.is_inconsistent)

    def _put(self, entry: Entry, digest: bytes, place: _Place) -> bool:
        """Insert one instance; False where its UID is held."""
        uid = entry.sop_instance_uid
        inserted = self._connection.execute(
            "INSERT INTO instances (series, uid, sop_class, transfer_syntax, digest, size_bytes,"
            " received_at, source, view, frames) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (uid) DO NOTHING",
            (
                *(place.series, uid, entry.sop_class_uid, entry.transfer_syntax_uid, digest),
                *(entry.size_bytes, encode_time(entry.received_at), entry.source),
                encode_view(instance_view(entry), self._limits),
                encode_frames(entry.frames, self._limits),
            ),
        ).rowcount
        if not inserted:
            return False
        if self._may_have_conflicts():
            # What was set aside while another content was held has taken its place.
            self._connection.execute(
                "DELETE FROM conflicts WHERE uid = ? AND digest = ?", (uid, digest)
            )
        self._more_of_study[place.study] += 1
        self._more_of_series[place.series] += 1
        self._add_class(place.study, entry.sop_class_uid)
        if entry.labels:
            self.label(place.study, entry.labels)
        return True

    def _may_have_conflicts(self) -> bool:
        if self._has_conflicts is None:
            self._has_conflicts = self._one("SELECT 1 FROM conflicts LIMIT 1") is not None
        return self._has_conflicts

    def _keep_aside(self, entry: Entry, digest: bytes) -> None:
        self._has_conflicts = True
        patient = entry.patient_key
        self._connection.execute(
            "INSERT OR IGNORE INTO conflicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(entry.sop_instance_uid, digest, patient.patient_id, patient.issuer),
                *(entry.study_uid, entry.series_uid, entry.sop_class_uid),
                *(entry.transfer_syntax_uid, entry.size_bytes),
                *(encode_time(entry.received_at), entry.source),
            ),
        )

    # --- where it belongs -----------------------------------------------------------------------------

    def _place_of(self, entry: Entry) -> _Place:
        key = _key_of(entry)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= self._limits.index_known:
                self._places.clear()
                self._classes.clear()
            study = self._study_of(entry, key.patient)
            series = self._series_of(entry, study)
            place = _Place(study, series, self._is_inconsistent(key))
            if place.is_inconsistent:
                self._places.clear()  # those that were consistent until now are not any more
            self._places[key] = place
        return place

    def _is_inconsistent(self, key: _SeriesKey) -> bool:
        row = self._one(
            "SELECT (SELECT count(*) FROM studies WHERE uid = ?) > 1"
            " OR (SELECT count(*) FROM series WHERE uid = ?) > 1",
            *(key.study_uid, key.series_uid),
        )
        return bool(row and row[0])

    def _study_of(self, entry: Entry, key: PatientKey) -> int:
        patient = self._found_or_made(
            "SELECT number FROM patients WHERE (patient_id, issuer, study_uid) = (?, ?, ?)",
            "INSERT INTO patients (patient_id, issuer, study_uid) VALUES (?, ?, ?)",
            key,
        )
        row = self._one(
            "SELECT number FROM studies WHERE (uid, patient) = (?, ?)", entry.study_uid, patient
        )
        return int(row[0]) if row is not None else self._new_study(entry, patient)

    def _new_study(self, entry: Entry, patient: int) -> int:
        view = study_view(entry)
        modalities = sorted(set(modalities_of(entry)))
        study = self._insert(
            "INSERT INTO studies (patient, uid, study_day, site, department, referring_physician,"
            " modalities, sop_classes, view) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(patient, entry.study_uid, study_day_of(view)),
                *(entry.site, entry.department, referring_physician_of(view)),
                *("\\".join(modalities), entry.sop_class_uid, encode_view(view, self._limits)),
            ),
        )
        rows = [(tag, text, study) for tag, text in texts_of(view, STUDY_TEXTS)]
        rows += [(MODALITIES_IN_STUDY, modality, study) for modality in modalities]
        rows.append((SOP_CLASSES_IN_STUDY, entry.sop_class_uid, study))
        self._classes.add((study, entry.sop_class_uid))
        self._connection.executemany("INSERT INTO study_texts VALUES (?, ?, ?)", rows)
        return study

    def _series_of(self, entry: Entry, study: int) -> int:
        row = self._one(
            "SELECT number FROM series WHERE (uid, study) = (?, ?)", entry.series_uid, study
        )
        return int(row[0]) if row is not None else self._new_series(entry, study)

    def _new_series(self, entry: Entry, study: int) -> int:
        view = series_view(entry)
        modalities = modalities_of(entry)
        series = self._insert(
            "INSERT INTO series (study, uid, modality, view) VALUES (?, ?, ?, ?)",
            (study, entry.series_uid, "\\".join(modalities), encode_view(view, self._limits)),
        )
        rows = [(tag, text, series) for tag, text in texts_of(view, SERIES_TEXTS)]
        self._connection.executemany("INSERT INTO series_texts VALUES (?, ?, ?)", rows)
        for modality in modalities:
            self._add_to_list(study, MODALITIES_IN_STUDY, "modalities", modality)
        self._connection.execute(
            "UPDATE studies SET series = series + 1 WHERE number = ?", (study,)
        )
        return series

    def _add_class(self, study: int, sop_class: str) -> None:
        if (study, sop_class) in self._classes:
            return
        self._add_to_list(study, SOP_CLASSES_IN_STUDY, "sop_classes", sop_class)
        if len(self._classes) >= self._limits.index_known:
            self._classes.clear()
        self._classes.add((study, sop_class))

    def _add_to_list(self, study: int, tag: int, column: str, text: str) -> None:
        """Add one text to what a study is found by, and to the list that is shown, unless it is there."""
        inserted = self._connection.execute(
            "INSERT OR IGNORE INTO study_texts VALUES (?, ?, ?)", (tag, text, study)
        ).rowcount
        if not inserted:
            return
        found = self._connection.execute(
            "SELECT text FROM study_texts WHERE study = ? AND tag = ? ORDER BY text", (study, tag)
        )
        listed = "\\".join(text for (text,) in found)
        self._connection.execute(
            f"UPDATE studies SET {column} = ? WHERE number = ?",  # noqa: S608 - a name of ours
            (listed, study),
        )

    def settle(self) -> None:
        """Write the counts that have grown."""
        for table, counts in (("studies", self._more_of_study), ("series", self._more_of_series)):
            if not counts:
                continue
            self._connection.executemany(
                f"UPDATE {table} SET instances = instances + ? WHERE number = ?",  # noqa: S608
                [(more, number) for number, more in counts.items()],
            )
            counts.clear()

    # --- what is changed later --------------------------------------------------------------------------

    def label(self, study: int, labels: Iterable[str]) -> None:
        """Give a study labels beside those that it has."""
        rows = [(study, label) for label in sorted(labels)]
        self._connection.executemany("INSERT OR IGNORE INTO study_labels VALUES (?, ?)", rows)

    def unlabel(self, study: int, labels: Iterable[str]) -> None:
        """Take labels from a study."""
        rows = [(study, label) for label in sorted(labels)]
        self._connection.executemany("DELETE FROM study_labels WHERE study = ? AND label = ?", rows)

    def delete_study(self, study: int) -> Deleted | None:
        """Delete a study with all that belongs to it, contents that were set aside too; None where there is none."""
        self.settle()
        row = self._one(
            "SELECT p.number, p.patient_id, p.issuer, s.uid FROM studies s"
            " JOIN patients p ON p.number = s.patient WHERE s.number = ?",
            study,
        )
        if row is None:
            return None
        patient, *of_conflicts = row
        is_ours = "series IN (SELECT number FROM series WHERE study = ?)"
        digests = self._digests(f"SELECT digest FROM instances WHERE {is_ours}", study)  # noqa: S608
        is_aside = "(patient_id, issuer, study_uid) = (?, ?, ?)"
        digests |= self._digests(
            f"SELECT digest FROM conflicts WHERE {is_aside}",  # noqa: S608
            *of_conflicts,
        )
        self._connection.execute(f"DELETE FROM conflicts WHERE {is_aside}", of_conflicts)  # noqa: S608
        count = self._connection.execute(
            f"DELETE FROM instances WHERE {is_ours}",  # noqa: S608
            (study,),
        ).rowcount
        for statement in (
            f"DELETE FROM series_texts WHERE {is_ours}",  # noqa: S608
            "DELETE FROM series WHERE study = ?",
            "DELETE FROM study_texts WHERE study = ?",
            "DELETE FROM study_labels WHERE study = ?",
            "DELETE FROM studies WHERE number = ?",
        ):
            self._connection.execute(statement, (study,))
        self._connection.execute(
            "DELETE FROM patients WHERE number = ?"
            " AND NOT EXISTS (SELECT 1 FROM studies WHERE patient = ?)",
            (patient, patient),
        )
        self.forget()
        unnamed = {digest for digest in digests if not is_named(self._connection, digest)}
        unnamed |= self._without_heads(unnamed)
        return Deleted(count_instances=count, digests=frozenset(d.hex() for d in unnamed))

    def _without_heads(self, digests: set[bytes]) -> set[bytes]:
        """Forget how the files of these began; return the blobs that said so."""
        of_these = [(digest,) for digest in digests]
        sql = "SELECT head FROM heads WHERE digest = ?"
        heads = {head for one in of_these for head in self._digests(sql, *one)}
        self._connection.executemany("DELETE FROM heads WHERE digest = ?", of_these)
        return heads

    def _digests(self, sql: str, *values: object) -> set[bytes]:
        return {digest for (digest,) in self._connection.execute(sql, values)}

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return row

    def _insert(self, sql: str, values: Iterable[object]) -> int:
        return self._connection.execute(sql, tuple(values)).lastrowid or 0

    def _found_or_made(self, select: str, insert: str, values: tuple[str, ...]) -> int:
        row = self._connection.execute(select, values).fetchone()
        return int(row[0]) if row is not None else self._insert(insert, values)


def is_named(connection: sqlite3.Connection, digest: bytes) -> bool:
    """Tell whether an instance, or a content that was set aside, needs a blob."""
    return any(
        connection.execute(f"SELECT 1 FROM {table} WHERE digest = ? LIMIT 1", (digest,)).fetchone()  # noqa: S608
        for table in ("instances", "conflicts")
    )


def _key_of(entry: Entry) -> _SeriesKey:
    return _SeriesKey(entry.patient_key, entry.study_uid, entry.series_uid)
