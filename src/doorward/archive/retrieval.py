"""What a C-GET or C-MOVE asks for, found in the index; and how an instance is read while it is sent.

Theory of operation. Only unique keys choose (PS3.4 section C.4.2.1.4): a Patient ID, one UID above the level that is asked
for, a list at that level. A study is asked for by its number, since two patients may claim one UID; the policy is asked for
each study, and nothing is read from a blob before its turn to be sent comes.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from doorward.archive.blobs.reader import Glance, Rooms
from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.entry import HeldInstance, HeldStudy
from doorward.archive.index.index import Index
from doorward.archive.index.levels import (
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Level,
)
from doorward.dicom.attributes import Attribute, DataSetView
from doorward.dicom.part10 import PREAMBLE_BYTES, PREFIX, read_file_meta
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits
from doorward.net.begun import AtHand, Source

UNIQUE_KEYS = {
    Level.PATIENT: PATIENT_ID,
    Level.STUDY: STUDY_INSTANCE_UID,
    Level.SERIES: SERIES_INSTANCE_UID,
    Level.IMAGE: SOP_INSTANCE_UID,
}
_NONE = Attribute("UI")
#: What ``ingest`` writes before a data set is shorter; what another version wrote may be as long as it may.
_OUR_META_BYTES = 1_024


#: Preamble, prefix and (0002,0000) File Meta Information Group Length, which always comes first (PS3.10 section 7.1).
_TO_GROUP_LENGTH = PREAMBLE_BYTES + 16
_GROUP_LENGTH = PREFIX + b"\x02\0\0\0UL\x04\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an identifier chooses: one study UID or several, and within one of them series or instances."""

    patient_id: str = field(default="", repr=False)
    study_uids: tuple[str, ...] = field(default=(), repr=False)
    series_uids: tuple[str, ...] = field(default=(), repr=False)
    instance_uids: tuple[str, ...] = field(default=(), repr=False)


def wanted_of(view: DataSetView, level: Level) -> Wanted:
    """Return what is chosen. Raises PeerProtocolError where a unique key is missing, or one above has several values."""

    def values(at: Level) -> tuple[str, ...]:
        found = tuple(v for v in view.get(UNIQUE_KEYS[at], _NONE).values if v)
        if at > level or (at is Level.PATIENT and level is not Level.PATIENT):
            return found if at is Level.PATIENT else ()
        if not found or (len(found) > 1 and at < level) or (at is Level.PATIENT and len(found) > 1):
            raise PeerProtocolError(
                "one value is needed of each key above the level, and some at it",
                field=f"({UNIQUE_KEYS[at] >> 16:04X},{UNIQUE_KEYS[at] & 0xFFFF:04X})",
                source="PS3.4 section C.4.2.1.4",
            )
        return found

    return Wanted(
        patient_id=next(iter(values(Level.PATIENT)), ""),
        study_uids=values(Level.STUDY),
        series_uids=values(Level.SERIES),
        instance_uids=values(Level.IMAGE),
    )


async def studies_for(index: Index, wanted: Wanted) -> list[HeldStudy]:
    """Return the studies that are held, of the patient where one is given."""
    if not wanted.study_uids:
        return await index.studies_of(wanted.patient_id)
    found = [one for uid in wanted.study_uids for one in await index.studies_with(uid)]
    return [s for s in found if wanted.patient_id in ("", s.patient.patient_id)]


async def instances_for(
    index: Index, wanted: Wanted, studies: Sequence[HeldStudy], limits: Limits
) -> list[HeldInstance]:
    """Return the instances of these studies that are wanted. Raises LimitExceeded (``retrieve_instances``)."""
    numbers = {study.number for study in studies}
    if wanted.instance_uids:
        held = await index.instances_with(wanted.instance_uids)
        return [
            one for one in held if one.study in numbers and one.series_uid in wanted.series_uids
        ]
    found: list[HeldInstance] = []
    for number in numbers:
        for series_uid in wanted.series_uids or ("",):
            async for one in index.instances_of(number, series_uid):
                found.append(one)
                if len(found) > limits.retrieve_instances:
                    bound = limits.retrieve_instances
                    raise LimitExceeded(limit="retrieve_instances", value=bound, seen=len(found))
    return found


class Rewriter(Protocol):
    """Writes an instance anew in another transfer syntax; ``pixels.transcoding`` has the one."""

    def others(self, held: HeldInstance) -> Sequence[str]:
        """Return what the instance can be written in besides its own syntax."""

    def written_in(self, held: HeldInstance, accepted: Collection[str]) -> Source | None:
        """Return the instance in one of these syntaxes; None where it can be written in none of them."""


@dataclass(frozen=True, slots=True)
class StoredInstance(AtHand):
    """One instance of the archive on its way out, as it came in."""

    held: HeldInstance = field(repr=False)
    blobs: BlobStore = field(repr=False)
    rewriter: Rewriter | None = field(default=None, repr=False)
    #: The blob that is sent after this one, to be read ahead; "" is none.
    following: str = field(default="", repr=False)
    #: Shared by those that are sent one after the other.
    rooms: Rooms | None = field(default=None, repr=False)

    def begun(self) -> None:
        """Let what follows be read ahead while this one is sent."""
        if self.following:
            self.blobs.will_need(self.following)

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID."""
        return self.held.sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID."""
        return self.held.sop_instance_uid

    @property
    def transfer_syntax_uid(self) -> str:
        """What it came in."""
        return self.held.transfer_syntax_uid

    @property
    def other_syntaxes(self) -> Sequence[str]:
        """What it can be written in for whoever does not accept it as it came in."""
        return () if self.rewriter is None else self.rewriter.others(self.held)

    def written_in(self, accepted: Collection[str]) -> Source | None:
        """Return it in one of these syntaxes; None where it can be written in none of them."""
        return None if self.rewriter is None else self.rewriter.written_in(self.held, accepted)

    def at_once(self) -> bytes | memoryview | None:
        """Return the data set where it is in memory and no longer than a chunk. Raises StorageError."""
        shelf = self.blobs.shelf
        with Glance(shelf, self.held.digest) as blob:
            self.begun()
            if blob.size_bytes > shelf.limits.blob_chunk_bytes:
                return None
            head = blob.read(0, min(blob.size_bytes, _TO_GROUP_LENGTH))
            begin = None if head is None else _end_of_meta(head)
            if begin is None or begin > blob.size_bytes:
                return None
            length = blob.size_bytes - begin
            if self.rooms is None:
                return blob.read(begin, length)
            return blob.read_into(self.rooms.free(), begin, length)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the data set. Raises StorageError."""
        async with self.blobs.open_blob(self.held.digest) as reader:
            self.begun()
            limits = self.blobs.shelf.limits
            head = await reader.read(0, min(reader.size_bytes, _OUR_META_BYTES))
            try:
                begin = read_file_meta(head, limits).data_set_offset
            except PeerProtocolError:
                head = await reader.read(0, min(reader.size_bytes, limits.preamble_meta_bytes))
                begin = read_file_meta(head, limits).data_set_offset
            async for piece in reader.chunks(begin):
                yield piece


def _end_of_meta(head: bytes) -> int | None:
    """Return where the data set begins, by what ``ingest`` wrote before it; None where that is to be looked at."""
    if len(head) < _TO_GROUP_LENGTH or not head.startswith(_GROUP_LENGTH, PREAMBLE_BYTES):
        return None
    return _TO_GROUP_LENGTH + int.from_bytes(head[-4:], "little")
