"""What is held, by UID: for retrieval, for the policy, and for upkeep. Functions of one reading connection.

Nothing here asks whether somebody may see it: ask the policy with ``HeldStudy.subject`` first. A Study Instance UID may
name two studies of two patients (``doorward.archive.index``), so it is asked for each, and instances are taken by number.
All raise sqlite3.Error.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any

from doorward.access.identity import Subject
from doorward.archive.index.entry import (
    Conflict,
    Frame,
    HeldInstance,
    HeldSeries,
    HeldStudy,
    PatientKey,
    Totals,
)
from doorward.archive.index.rows import decode_frames, decode_time

_STUDY = (
    "SELECT s.number, s.uid, s.site, s.department, s.referring_physician, s.study_day, s.series, s.instances,"
    " p.patient_id, p.issuer, p.study_uid"
    " FROM studies s JOIN patients p ON p.number = s.patient"
)
_INSTANCE = (
    "SELECT s.number, s.uid, e.uid, i.uid, i.sop_class, i.transfer_syntax, i.digest, i.size_bytes,"
    " i.received_at, i.source, i.number FROM {source}"
    " WHERE {where} AND i.number > ? ORDER BY i.number LIMIT ?"
)
_FROM_SERIES = "series e CROSS JOIN studies s ON s.number = e.study CROSS JOIN instances i ON i.series = e.number"
_FROM_INSTANCES = "instances i CROSS JOIN series e ON e.number = i.series CROSS JOIN studies s ON s.number = e.study"


def studies_with(connection: sqlite3.Connection, study_uid: str) -> list[HeldStudy]:
    """Return the studies of this UID: one, or one for each patient that it came with."""
    rows = connection.execute(f"{_STUDY} WHERE s.uid = ? ORDER BY s.number", (study_uid,))
    return [_study(connection, row) for row in rows.fetchall()]


def studies_of(
    connection: sqlite3.Connection, patient_id: str, issuer: str | None = None
) -> list[HeldStudy]:
    """Return the studies of a Patient ID, of all issuers where none is given; none for an empty one."""
    if not patient_id:
        return []
    sql = f"{_STUDY} WHERE p.patient_id = ? AND (? IS NULL OR p.issuer = ?) ORDER BY s.number"
    rows = connection.execute(sql, (patient_id, issuer, issuer))
    return [_study(connection, row) for row in rows.fetchall()]


def _study(connection: sqlite3.Connection, row: tuple[Any, ...]) -> HeldStudy:
    number, uid, site, department, physician, day, series, instances, *patient = row
    labels = connection.execute("SELECT label FROM study_labels WHERE study = ?", (number,))
    return HeldStudy(
        number=number,
        subject=Subject(
            study_uid=uid,
            site=site,
            department=department,
            referring_physician=physician,
            study_date=date(int(day[:4]), int(day[4:6]), int(day[6:])) if day else None,
            labels=frozenset(label for (label,) in labels),
        ),
        patient=PatientKey(*patient),
        count_series=series,
        count_instances=instances,
    )


def series_of(connection: sqlite3.Connection, study: int) -> list[HeldSeries]:
    """Return the series of a study."""
    rows = connection.execute(
        "SELECT study, uid, modality, instances FROM series WHERE study = ? ORDER BY number",
        (study,),
    )
    return [
        HeldSeries(study=number, series_uid=uid, modality=modality, count_instances=instances)
        for number, uid, modality, instances in rows
    ]


def instances_of(
    connection: sqlite3.Connection,
    study: int,
    *,
    series_uid: str = "",
    after: int = 0,
    most: int,
) -> tuple[list[HeldInstance], int]:
    """Return instances of a study, or of one of its series, as they came in, and what to go on ``after`` (0: the end)."""
    where = "e.study = ? AND (? = '' OR e.uid = ?)"
    sql = _INSTANCE.format(source=_FROM_SERIES, where=where)
    rows = connection.execute(sql, (study, series_uid, series_uid, after, most)).fetchall()
    return list(map(_instance, rows)), rows[-1][-1] if len(rows) == most else 0


def instances_with(
    connection: sqlite3.Connection, sop_instance_uids: Sequence[str]
) -> list[HeldInstance]:
    """Return the instances of these UIDs that are held, in the order of the UIDs."""
    sql = _INSTANCE.format(source=_FROM_INSTANCES, where="i.uid = ?")
    found = (connection.execute(sql, (uid, 0, 1)).fetchone() for uid in sop_instance_uids)
    return [_instance(row) for row in found if row is not None]


def _instance(row: tuple[Any, ...]) -> HeldInstance:
    study, study_uid, series_uid, uid, sop_class, syntax, digest, size, received, source, _ = row
    return HeldInstance(
        study=study,
        study_uid=study_uid,
        series_uid=series_uid,
        sop_instance_uid=uid,
        sop_class_uid=sop_class,
        transfer_syntax_uid=syntax,
        digest=digest.hex(),
        size_bytes=size,
        received_at=decode_time(received),
        source=source,
    )


def frames_of(connection: sqlite3.Connection, sop_instance_uid: str) -> tuple[Frame, ...]:
    """Return where the frames of an instance lie; () where it has none or is not held."""
    row = connection.execute("SELECT frames FROM instances WHERE uid = ?", (sop_instance_uid,))
    return decode_frames((row.fetchone() or (None,))[0])


def referenced(connection: sqlite3.Connection, digests: Iterable[str]) -> Collection[str]:
    """Return those blobs that an instance, or a content that was set aside, needs, heads too; what a sweep asks."""
    sql = (
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM instances WHERE digest = ?)"
        " OR EXISTS (SELECT 1 FROM conflicts WHERE digest = ?)"
        " OR EXISTS (SELECT 1 FROM heads WHERE head = ?)"
    )
    names = [(digest, bytes.fromhex(digest)) for digest in digests]
    return {name for name, raw in names if connection.execute(sql, (raw,) * 3).fetchone()}


def heads_of(connection: sqlite3.Connection, digest: str) -> list[str]:
    """Return the blobs with the beginnings of the files in which a content came (``archive.originals``)."""
    sql = "SELECT head FROM heads WHERE digest = ? ORDER BY head"
    return [head.hex() for (head,) in connection.execute(sql, (bytes.fromhex(digest),))]


def conflicts(connection: sqlite3.Connection, *, most: int) -> list[Conflict]:
    """Return contents that were set aside, the latest first."""
    rows = connection.execute(
        "SELECT c.study_uid, c.uid, c.digest, i.digest, c.transfer_syntax, c.size_bytes, c.received_at,"
        " c.source FROM conflicts c LEFT JOIN instances i ON i.uid = c.uid"
        " ORDER BY c.received_at DESC, c.uid, c.digest LIMIT ?",
        (most,),
    )
    return [
        Conflict(
            study_uid=study,
            sop_instance_uid=uid,
            digest=digest.hex(),
            held_digest=(held or b"").hex(),
            transfer_syntax_uid=syntax,
            size_bytes=size,
            received_at=decode_time(received),
            source=source,
        )
        for study, uid, digest, held, syntax, size, received, source in rows
    ]


def inconsistencies(connection: sqlite3.Connection, *, most: int) -> list[HeldStudy]:
    """Return studies whose UID, or that of a series in them, is also held elsewhere; those of one UID together."""
    rows = connection.execute(
        f"{_STUDY} WHERE s.uid IN (SELECT uid FROM studies GROUP BY uid HAVING count(*) > 1)"  # noqa: S608
        " OR s.number IN (SELECT study FROM series WHERE uid IN"
        " (SELECT uid FROM series GROUP BY uid HAVING count(*) > 1))"
        " ORDER BY s.uid, s.number LIMIT ?",
        (most,),
    )
    return [_study(connection, row) for row in rows.fetchall()]


def totals(connection: sqlite3.Connection) -> Totals:
    """Return how much is held; sums over all studies."""
    patients, studies, series, instances, aside = connection.execute(
        "SELECT (SELECT count(*) FROM patients), count(*), coalesce(sum(series), 0),"
        " coalesce(sum(instances), 0), (SELECT count(*) FROM conflicts) FROM studies"
    ).fetchone()
    return Totals(
        patients=patients, studies=studies, series=series, instances=instances, conflicts=aside
    )
