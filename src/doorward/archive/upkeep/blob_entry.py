"""What the index needs of an instance, read from its blob as ingest read it when it came. Everything blocks.

A blob begins with meta information of our own, so its UIDs are those under which it was taken in. Of native pixels nothing is
read; compressed ones are walked from end to end, because every frame must be found.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from doorward.archive.blobs.disk import Disk
from doorward.archive.blobs.faults import mapped
from doorward.archive.head import Head
from doorward.archive.index.entry import Entry, PatientKey
from doorward.archive.index.levels import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Level,
    split,
)
from doorward.dicom.attributes import Attribute, DataSetView
from doorward.dicom.part10 import FileMeta, read_file_meta
from doorward.errors import PeerProtocolError
from doorward.limits import Limits

_NONE = Attribute("UI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a blob itself does not say: when it came, from whom, and what was said of its study."""

    received_at: datetime
    source: str = ""
    site: str = ""
    department: str = ""
    labels: frozenset[str] = frozenset()


class _Open(NamedTuple):
    """An open blob."""

    disk: Disk
    handle: int
    size_bytes: int
    path: str

    def read(self, length: int, offset: int) -> bytes:
        with mapped("read", self.path):
            return self.disk.read(self.handle, length, offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """The head of one instance, without its origin."""

    digest: str
    size_bytes: int
    meta: FileMeta
    head: Head

    view: DataSetView = field(repr=False)

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return first(self.view, STUDY_INSTANCE_UID)

    @property
    def patient(self) -> PatientKey:
        """Which patient it belongs to."""
        patient_id = first(self.view, PATIENT_ID)
        issuer = first(self.view, ISSUER_OF_PATIENT_ID)
        return PatientKey(patient_id, issuer, "" if patient_id else self.study_uid)

    def entry(self, origin: Origin) -> Entry:
        """Return the entry for the index. Raises UsageError where it can be none."""
        parts = split(self.view)
        return Entry(
            study_uid=self.study_uid,
            series_uid=first(self.view, SERIES_INSTANCE_UID),
            sop_instance_uid=self.meta.media_storage_sop_instance_uid,
            sop_class_uid=self.meta.media_storage_sop_class_uid,
            transfer_syntax_uid=self.meta.transfer_syntax_uid,
            digest=self.digest,
            size_bytes=self.size_bytes,
            received_at=origin.received_at,
            source=origin.source,
            patient=parts[Level.PATIENT],
            study=parts[Level.STUDY],
            series=parts[Level.SERIES],
            instance=parts[Level.IMAGE],
            site=origin.site,
            department=origin.department,
            labels=origin.labels,
            frames=self.head.frames(self.view, self.meta.data_set_offset),
        )


def read_beginning(disk: Disk, path: str, length: int) -> bytes:
    """Return the first bytes of a blob. Raises StorageError."""
    with mapped("read", path):
        handle = disk.open(path)
        try:
            return disk.read(handle, length, 0)
        finally:
            disk.close(handle)


def scan(disk: Disk, path: str, digest: str, limits: Limits) -> Scanned:
    """Return what stands in a blob. Raises StorageError; PeerProtocolError, LimitExceeded where it holds no instance."""
    with mapped("read", path):
        handle = disk.open(path)
        try:
            blob = _Open(disk, handle, disk.size_of(handle), path)
            return _scan(blob, digest, limits)
        finally:
            disk.close(handle)


def _scan(blob: _Open, digest: str, limits: Limits) -> Scanned:
    piece = blob.read(max(limits.reindex_head_bytes, limits.preamble_meta_bytes), 0)
    meta = read_file_meta(piece, limits)
    if not meta.transfer_syntax_uid or not meta.media_storage_sop_instance_uid:
        raise PeerProtocolError("it is missing", field="file meta", source="PS3.10 section 7.1")
    head = Head(meta.transfer_syntax_uid, limits)
    offset = len(piece)
    head.feed(piece[meta.data_set_offset :])
    while offset < blob.size_bytes and not head.needs_no_more:
        step = limits.blob_chunk_bytes if head.is_complete else limits.reindex_head_bytes
        piece = blob.read(step, offset)
        if not piece:
            break
        head.feed(piece)
        offset += len(piece)
    head.pass_by(blob.size_bytes - offset)
    head.finish()
    view = head.view()
    return Scanned(digest=digest, size_bytes=blob.size_bytes, meta=meta, head=head, view=view)


def first(view: DataSetView, tag: int) -> str:
    """Return the first value of an attribute, "" where there is none."""
    values: Collection[str] = view.get(tag, _NONE).values
    return next(iter(values), "")
