"""The rows of the index, held against what their blobs say: SQLite keeps no checksum of the text in a row.

Theory of operation. What ingest had written is drawn once more from the blob, by the same code, and compared with what
stands there, byte for byte. The row of a series or of a study is held against the first instance in it, which said it. What
no blob says (site, department, labels) has a second copy inside the index instead (``index.schema``); from whom an instance
came is in the journal. Whoever has just read a blob asks; so its head is in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from doorward.access.journal.reading import Wanted, show
from doorward.access.journal.record import Event, Outcome
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.shelf import Shelf
from doorward.archive.index.cells import (
    instance_view,
    modalities_of,
    referring_physician_of,
    series_view,
    study_day_of,
    study_view,
)
from doorward.archive.index.entry import Entry
from doorward.archive.index.entry import Outcome as Filed
from doorward.archive.index.rows import encode_frames, encode_view
from doorward.archive.index.store import in_words
from doorward.archive.upkeep import beside
from doorward.archive.upkeep.blob_entry import Origin, scan
from doorward.errors import LimitExceeded, PeerProtocolError, StorageError, UsageError
from doorward.limits import Limits

#: One statement, so that nothing is deleted between two looks.
_HELD = """
    SELECT i.uid, s.uid, e.uid, p.patient_id, p.issuer, p.study_uid, i.sop_class, i.transfer_syntax, i.size_bytes,
        i.view, i.frames,
        i.number = (SELECT min(number) FROM instances WHERE series = e.number), e.modality, e.view,
        e.number = (SELECT min(number) FROM series WHERE study = s.number),
        s.study_day, s.referring_physician, s.view
    FROM instances i JOIN series e ON e.number = i.series JOIN studies s ON s.number = e.study
        JOIN patients p ON p.number = s.patient
    WHERE i.digest = ?"""
_ASIDE = """
    SELECT uid, study_uid, series_uid, patient_id, issuer, sop_class, transfer_syntax, size_bytes
    FROM conflicts WHERE digest = ?"""
_SOURCE = "SELECT source FROM instances WHERE digest = ?"
#: What the journal says of an instance that was held before it came.
_AGAIN = (Filed.SAME.value, Filed.CONFLICT_KEPT.value)
#: Nothing of the origin is compared.
_NOWHERE = Origin(received_at=datetime(1970, 1, 1, tzinfo=UTC))

_Cell = bytes | int | None


class RowCheck:
    """An open index beside its blobs. Everything blocks, and raises StorageError where the index cannot be read."""

    def __init__(self, file: Path, connection: beside.Connection, shelf: Shelf) -> None:
        self._file = file
        self._connection = connection
        self._shelf = shelf
        # A flipped bit may leave what is no text any more.
        connection.text_factory = bytes

    @classmethod
    @contextmanager
    def opened(cls, file: Path, shelf: Shelf) -> Iterator["RowCheck"]:
        """Open an index for it. Raises as ``beside.opened``."""
        with beside.opened(file, shelf.limits) as connection:
            yield cls(file, connection, shelf)

    def agrees(self, digest: str) -> bool:
        """Tell whether all rows of a blob say what it says; one that no row names agrees."""
        raw = bytes.fromhex(digest)
        with in_words("read", self._file):
            held = self._connection.execute(_HELD, (raw,)).fetchall()
            aside = self._connection.execute(_ASIDE, (raw,)).fetchall()
        if not (held or aside):
            return True
        limits = self._shelf.limits
        try:
            scanned = scan(self._shelf.disk, self._shelf.path_of(digest), digest, limits)
            entry = scanned.entry(_NOWHERE)
            return all(_is_row_of(entry, row, limits) for row in held) and all(
                row == _aside_of(entry) for row in aside
            )
        except StorageError as error:
            return error.kind == "missing"  # deleted and swept since
        except (PeerProtocolError, LimitExceeded, UsageError):
            return False

    def of_other_senders(self, journal: Path) -> list[str]:
        """Return the blobs whose rows name another sender than a whole journal does."""
        found: dict[str, None] = {}
        limits = self._shelf.limits
        with mapped("read", str(journal)), in_words("read", self._file):
            for record in show(journal, Wanted(event=Event.STORE), limits=limits):
                entry = record.entry
                if entry.outcome is not Outcome.SUCCESS or entry.reason in _AGAIN:
                    continue
                row = self._connection.execute(_SOURCE, (bytes.fromhex(entry.blob),)).fetchone()
                if row is None:
                    continue
                # Deleted, and sent anew by another one: the last record counts.
                found.pop(entry.blob, None)
                if row != _texts(entry.identity):
                    found[entry.blob] = None
        return list(found)


def _is_row_of(entry: Entry, row: tuple[_Cell, ...], limits: Limits) -> bool:
    own, is_first_of_series, of_series = row[:11], row[11], row[12:14]
    is_first_of_study, of_study = row[14], row[15:]
    if own != _instance_of(entry, limits):
        return False
    if not is_first_of_series:
        return True
    if of_series != _series_of(entry, limits):
        return False
    return not is_first_of_study or of_study == _study_of(entry, limits)


def _instance_of(entry: Entry, limits: Limits) -> tuple[_Cell, ...]:
    uids = (entry.sop_instance_uid, entry.study_uid, entry.series_uid)
    return (
        *_texts(*uids, *entry.patient_key, entry.sop_class_uid, entry.transfer_syntax_uid),
        entry.size_bytes,
        *_texts(encode_view(instance_view(entry), limits)),
        encode_frames(entry.frames, limits),
    )


def _series_of(entry: Entry, limits: Limits) -> tuple[_Cell, ...]:
    return _texts("\\".join(modalities_of(entry)), encode_view(series_view(entry), limits))


def _study_of(entry: Entry, limits: Limits) -> tuple[_Cell, ...]:
    view = study_view(entry)
    return _texts(study_day_of(view), referring_physician_of(view), encode_view(view, limits))


def _aside_of(entry: Entry) -> tuple[_Cell, ...]:
    patient = entry.patient_key
    uids = (entry.sop_instance_uid, entry.study_uid, entry.series_uid)
    texts = (*uids, patient.patient_id, patient.issuer)
    return (*_texts(*texts, entry.sop_class_uid, entry.transfer_syntax_uid), entry.size_bytes)


def _texts(*texts: str) -> tuple[_Cell, ...]:
    return tuple(text.encode() for text in texts)
