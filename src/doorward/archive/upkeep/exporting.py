"""Studies as files, in a folder of their own; in the journal before the first byte is written.

    OUT/000001/000001.dcm    the first instance of the first study; every name is a number of ours
    OUT/contents.csv         which file is which study, series, instance

Theory of operation. A blob is a file of PS3.10 already, so it is copied as it is, and hashed on the way: what has rotted is
named and leaves no file. No UID becomes a part of a path: a peer has chosen it. There is no DICOMDIR: most programs that read
folders do without, and one that is wrong is worse than none.
"""

import asyncio
import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from doorward.access.identity import Operation
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.archive.archive import Archive
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import new_hash
from doorward.archive.blobs.shelf import Shelf
from doorward.archive.index.entry import HeldInstance, HeldStudy
from doorward.archive.upkeep import hands
from doorward.archive.upkeep.beside import Named
from doorward.archive.upkeep.copying import make_folder, write_small
from doorward.errors import ConfigError, StorageError
from doorward.limits import DEFAULT_LIMITS, Limits

_HEADINGS = ("file", "study", "series", "instance", "sop class", "transfer syntax", "bytes")
_INSTEAD = "Retrieve them from it instead, by DICOM (C-GET) or DICOMweb (WADO); or stop it, export, and start it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written. ``damaged``: instances whose blob is missing or not what its name says."""

    studies: int
    files: int
    size_bytes: int
    damaged: tuple[Named, ...] = field(default=())


async def export(
    folder: Path,
    out: Path,
    *,
    study_uids: Sequence[str] = (),
    patient_id: str = "",
    progress: Callable[[int], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Exported:
    """Write studies of a stopped archive, named by their UIDs or by their patient, into a folder that is new or empty.

    Raises ConfigError where the archive runs, a study is not held, or the folder holds something: then nothing was written
    and nothing is in the journal. StorageError.
    """
    async with hands.opened(folder, purpose="EXPORT", instead=_INSTEAD, limits=limits) as archive:
        studies = await _studies(archive, study_uids, patient_id)
        await asyncio.to_thread(_prepare, out)
        record = Record(
            event=Event.EXPORT,
            operation=Operation.EXPORT,
            studies=tuple(dict.fromkeys(one.subject.study_uid for one in studies)),
            instances=sum(one.count_instances for one in studies),
            rule=hands.RULE,
        ).by(hands.operator())
        await archive.journal.write(record)
        try:
            found = await _export(archive, out, studies, progress)
        except StorageError as error:
            failed = replace(record, outcome=Ending.FAILED, reason=f"the disk: {error.kind}")
            await archive.journal.write(failed)
            raise
        if found.damaged:
            reason = f"{len(found.damaged)} damaged or missing"
            await archive.journal.write(replace(record, outcome=Ending.FAILED, reason=reason))
    return found


async def _studies(archive: Archive, study_uids: Sequence[str], patient_id: str) -> list[HeldStudy]:
    found = await archive.index.studies_of(patient_id) if patient_id else []
    for uid in dict.fromkeys(study_uids):
        held = await archive.index.studies_with(uid)
        if not held:
            raise ConfigError("is not held here; nothing was written", field=f"study {uid[:64]}")
        found += held
    if not found:
        raise ConfigError("nothing is held that was asked for; nothing was written")
    return list({one.number: one for one in found}.values())


def _prepare(out: Path) -> None:
    make_folder(out)
    with mapped("read", str(out)):
        if any(out.iterdir()):
            raise ConfigError("is not empty", file=out, hint="Name a new folder.")


async def _export(
    archive: Archive,
    out: Path,
    studies: Sequence[HeldStudy],
    progress: Callable[[int], None] | None,
) -> Exported:
    rows: list[Sequence[object]] = [_HEADINGS]
    damaged: list[Named] = []
    size_bytes = 0
    for number, study in enumerate(studies, 1):
        name = f"{number:06d}"
        await asyncio.to_thread(make_folder, out / name)
        count = 0
        async for held in archive.index.instances_of(study.number):
            file = f"{name}/{count + 1:06d}.dcm"
            if await asyncio.to_thread(_copy, archive.blobs.shelf, held, out / file):
                count += 1
                size_bytes += held.size_bytes
                rows.append(_row(file, held))
            else:
                damaged.append(_named(held))
            if progress is not None:
                progress(len(rows) - 1)
        await asyncio.to_thread(_sync, out / name)
    await asyncio.to_thread(write_small, out / "contents.csv", _csv(rows))
    return Exported(
        studies=len(studies), files=len(rows) - 1, size_bytes=size_bytes, damaged=tuple(damaged)
    )


def _copy(shelf: Shelf, held: HeldInstance, to: Path) -> bool:
    """Whether the file is there and is what it was when it came; else nothing of it is left."""
    seen, offset = new_hash(), 0
    try:
        source = shelf.disk.open(shelf.path_of(held.digest))
    except OSError:
        return False
    try:
        with mapped("write", str(to)):
            target = LocalDisk().create(str(to))
            try:
                while block := _read(shelf, source, offset):
                    seen.update(block)
                    LocalDisk().write(target, block)
                    offset += len(block)
                os.fsync(target)
            finally:
                os.close(target)
            if seen.hexdigest() == held.digest:
                return True
            to.unlink()
            return False
    finally:
        shelf.disk.close(source)


def _read(shelf: Shelf, source: int, offset: int) -> bytes:
    """Return the next block; none at the end, and none where it cannot be read: its digest will tell."""
    try:
        return shelf.disk.read(source, shelf.limits.blob_block_bytes, offset)
    except OSError:
        return b""


def _sync(folder: Path) -> None:
    with mapped("sync", str(folder)):
        LocalDisk().sync_folder(str(folder))


def _row(file: str, held: HeldInstance) -> Sequence[object]:
    return (
        file,
        *(held.study_uid, held.series_uid, held.sop_instance_uid),
        *(held.sop_class_uid, held.transfer_syntax_uid, held.size_bytes),
    )


def _named(held: HeldInstance) -> Named:
    return Named(
        digest=held.digest,
        study_uid=held.study_uid,
        series_uid=held.series_uid,
        sop_instance_uid=held.sop_instance_uid,
    )


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)  # RFC 4180
    return text.getvalue().encode("ascii", "replace")
