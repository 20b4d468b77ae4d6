"""C-STORE: fragments into a blob, what they say into the index, what happened into the journal; then success (promise 7).

Theory of operation. The fragments go into the blob as they come, behind a preamble and file meta information of our own, so
the data set is kept byte by byte in the transfer syntax in which it came, known to us or not. As soon as the head of the
data set is here the policy is asked; what it refuses is not written any further. At the end stand, in this order: the blob
is durable, the index, the journal, the answer. A crash in between leaves what nobody was told about, and sending it again
completes it: the same content has the same name.

The meta information holds nothing that a newer version of this program would write otherwise; the same instance would else
be another content after an update.
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import NamedTuple

from doorward.access.identity import Decision, Identity, Operation, Subject
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.policy import decide
from doorward.access.rules import Rules
from doorward.archive.arrivals import Arrived
from doorward.archive.blobs.group import Group
from doorward.archive.blobs.names import Blob
from doorward.archive.blobs.store import BlobStore
from doorward.archive.head import Head
from doorward.archive.index.entry import Entry, Outcome, Written
from doorward.archive.index.index import Index
from doorward.archive.index.levels import (
    REFERRING_PHYSICIAN,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_DATE,
    STUDY_INSTANCE_UID,
    Level,
    split,
)
from doorward.archive.originals import KeptHead, encode_head
from doorward.archive.running.timings import Timings
from doorward.dicom.attributes import Attribute, DataSetView
from doorward.dicom.part10 import write_file_meta
from doorward.dicom.values import is_date
from doorward.errors import (
    DoorwardError,
    LimitExceeded,
    LocalProtocolError,
    PeerProtocolError,
    StorageError,
    StorageFull,
    UsageError,
)
from doorward.limits import Limits
from doorward.net.client import IMPLEMENTATION_CLASS_UID
from doorward.net.transfer import Answer

SUCCESS = Answer(0x0000)
#: Refused: not authorized (PS3.7 Annex C.4.25).
NOT_AUTHORISED = 0x0124
#: C-STORE (PS3.4 Table B.2-1): out of resources; data set does not match SOP class; cannot understand; a warning.
_OUT_OF_RESOURCES = 0xA700
_DOES_NOT_MATCH = 0xA900
_NOT_UNDERSTOOD = 0xC000
_KEPT_ASIDE = Answer(0xB000, "Kept aside: this UID is held with other content")
#: A decision by the same identity and rules is not made anew within this: only an end that was set can pass meanwhile.
_STANDS = timedelta(seconds=0.25)
_NONE = Attribute("UI")
_UIDS = (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)
#: PS3.5 section 9.1, but for zeros in front, which are met. A UID becomes part of addresses: it must be nothing else there.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


class Door(NamedTuple):
    """What a store needs to know of who sends: asked again whenever it matters, since it may be revoked."""

    identity: Callable[[], Identity | None]
    rules: Callable[[], Rules]
    now: Callable[[], datetime]
    #: Address and titles of the association.
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of one instance; UIDs are "" where they were not read. ``outcome`` None: it was not taken in."""

    answer: Answer
    sop_class_uid: str = ""
    sop_instance_uid: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    outcome: Outcome | None = None
    #: Our disk has failed or is full: the same may go well later.
    is_our_fault: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """Takes instances in."""

    blobs: BlobStore
    index: Index
    journal: Journal
    limits: Limits
    #: Those that come at the same time share their syncs.
    group: Group[Arrived, Written]
    #: Hears how long it takes.
    timings: Timings = field(default_factory=Timings)

    async def take(
        self,
        fragments: AsyncIterator[bytes],
        door: Door,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
    ) -> Answer:
        """Return the answer to one C-STORE; success says that all of it is durable. Raises nothing a peer can cause."""
        taken = await self.take_in(
            fragments,
            door,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
        )
        return taken.answer

    async def take_in(
        self,
        fragments: AsyncIterator[bytes],
        door: Door,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        study_uid: str = "",
        head: bytes = b"",
    ) -> Taken:
        """Like ``take``, and say which study it belongs to; ``study_uid``: no other one is taken.

        ``head`` is what stood before the data set in a file; where it is not what we write, it is kept.
        """
        begun = perf_counter()
        arrival = _Arrival(self, door, sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        arrival.only_study, arrival.head_of_file = study_uid, head
        try:
            answer, decision = await arrival.take(fragments)
        except (StorageError, LimitExceeded, PeerProtocolError, UsageError) as error:
            answer, decision = _answer_to(error), None
            arrival.is_our_fault = isinstance(error, StorageError)
        if arrival.outcome is None:
            answer = await arrival.refused(answer, decision)
        else:
            self.timings.ingest(perf_counter() - begun)
        return arrival.taken(answer)

    async def failed(self, error: DoorwardError, door: Door) -> Taken:
        """Record what could not even be begun to be read, and return the answer."""
        arrival = _Arrival(self, door, "", "", "")
        return arrival.taken(await arrival.refused(_answer_to(error), None))


def _answer_to(error: Exception) -> Answer:
    """Return what is said about a fault: whose it is, never what was read."""
    match error:
        case StorageFull():
            return Answer(_OUT_OF_RESOURCES, "No room is left")
        case StorageError():
            return Answer(_OUT_OF_RESOURCES, "The storage has failed")
        case LimitExceeded():
            return Answer(_OUT_OF_RESOURCES, f"More than {error.limit} allows"[:64])
        case PeerProtocolError():
            return Answer(_NOT_UNDERSTOOD, f"Malformed: {error.field}"[:64])
        case _:
            return Answer(_NOT_UNDERSTOOD, "A UID or a value cannot be kept")


class _Arrival:
    """One instance on its way in."""

    def __init__(
        self, ingest: Ingest, door: Door, sop_class: str, instance: str, syntax: str
    ) -> None:
        self._ingest = ingest
        self._door = door
        self._sop_class, self._instance, self._syntax = sop_class, instance, syntax
        self._head = Head(syntax, ingest.limits)
        self._identity: Identity | None = None
        self._view: DataSetView = {}
        self._decision: Decision | None = None
        #: Whom and what it was decided by, and how long that stands.
        self._judged_by: tuple[Identity | None, Rules | None] = (None, None)
        self._judged_until = datetime.max.replace(tzinfo=UTC)
        self.only_study = ""
        self.head_of_file = b""
        self.outcome: Outcome | None = None
        self.is_our_fault = False

    async def take(self, fragments: AsyncIterator[bytes]) -> tuple[Answer, Decision | None]:
        """Return the answer, and what the policy has decided if it was asked."""
        head = self._head
        meta = self._meta()
        async with self._ingest.blobs.writer() as writer:
            await writer.write(meta)
            async for fragment in fragments:
                head.feed(fragment)
                if head.is_complete and self._decision is None:
                    refusal = await self._judged()
                    if refusal is not None:
                        return refusal, self._decision
                if not writer.take(fragment):
                    await writer.write(fragment)
            head.finish()
            refusal = await self._judged()  # at the end again: it may have been revoked meanwhile
            if refusal is not None:
                return refusal, self._decision
            begun = perf_counter()
            # The index needs the blob to stay, so it is written before the block ends.
            if self.head_of_file in (b"", meta):
                written = await writer.commit_in(
                    self._ingest.group, partial(self._arrived, len(meta))
                )
            else:
                blob = await writer.commit()
                written = await self._indexed_with_head(
                    self._entry(blob.digest, blob.size_bytes, len(meta))
                )
                await self._ingest.journal.write(self._record(written, blob))
        self._ingest.timings.durable(perf_counter() - begun)
        self.outcome = written.outcome
        is_conflict = written.outcome is Outcome.CONFLICT_KEPT
        return (_KEPT_ASIDE if is_conflict else SUCCESS), self._decision

    def _arrived(self, begin: int, blob: Blob) -> Arrived:
        """Return what is to be kept of a blob; called in a thread."""
        entry = self._entry(blob.digest, blob.size_bytes, begin)
        return Arrived(entry, partial(self._record, blob=blob))

    async def _indexed_with_head(self, entry: Entry) -> Written:
        """Write the entry, and before it how the file began, which is not how ours do."""
        ingest = self._ingest
        async with ingest.blobs.writer() as writer:
            kept = KeptHead(instance_digest=entry.digest, head=self.head_of_file)
            await writer.write(encode_head(kept))
            head = await writer.commit()
            [written] = await ingest.index.write([replace(entry, head_digest=head.digest)])
        return written

    def taken(self, answer: Answer) -> Taken:
        """Return what became of it; a data set that names itself otherwise is spoken of by the name it came under."""
        return Taken(
            answer=answer,
            sop_class_uid=self._sop_class,
            sop_instance_uid=self._instance,
            study_uid=_first(self._view, STUDY_INSTANCE_UID),
            series_uid=_first(self._view, SERIES_INSTANCE_UID),
            outcome=self.outcome,
            is_our_fault=self.is_our_fault,
        )

    async def refused(self, answer: Answer, decision: Decision | None) -> Answer:
        """Record that nothing was taken in, and return the answer."""
        is_refusal = answer.status == NOT_AUTHORISED
        record = replace(
            self._door.record,
            event=Event.REFUSAL if is_refusal else Event.STORE,
            outcome=Ending.REFUSED if is_refusal else Ending.FAILED,
            operation=Operation.STORE,
            sop_class=self._sop_class,
            studies=self._studies(),
            reason=answer.comment,
            rule=decision.rule if decision else "",
        )
        try:
            await self._ingest.journal.write(record.by(self._door.identity()))
        except (StorageError, LimitExceeded):
            self.is_our_fault = True
            return Answer(_OUT_OF_RESOURCES, "The journal cannot be written")
        return answer

    def _meta(self) -> bytes:
        try:
            return write_file_meta(
                transfer_syntax_uid=self._syntax,
                media_storage_sop_class_uid=self._sop_class,
                media_storage_sop_instance_uid=self._instance,
                implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            )
        except LocalProtocolError:
            raise UsageError("the command names no UID") from None

    async def _judged(self) -> Answer | None:
        """Return why it is not taken in; None where it is."""
        if not self._view:
            self._view = self._head.view()
            refusal = self._misstated(self._view)
            if refusal is not None:
                return refusal
        door = self._door
        by = door.identity(), door.rules()
        now = door.now()
        if self._decision is not None and by == self._judged_by and now < self._judged_until:
            return None
        self._identity, rules = self._judged_by = by
        self._judged_until = now + _STANDS
        subject = await self._subject(rules)
        self._decision = decision = decide(self._identity, Operation.STORE, subject, rules, now)
        return None if decision.is_allowed else Answer(NOT_AUTHORISED, decision.reason)

    def _misstated(self, view: DataSetView) -> Answer | None:
        """Return what its UIDs are refused for."""
        stated = _first(view, SOP_CLASS_UID), _first(view, SOP_INSTANCE_UID)
        if stated != (self._sop_class, self._instance):
            return Answer(
                _DOES_NOT_MATCH, "SOP class or instance UID is not that of its command or file"
            )
        if not _first(view, STUDY_INSTANCE_UID) or not _first(view, SERIES_INSTANCE_UID):
            return Answer(_DOES_NOT_MATCH, "Study or Series Instance UID is missing")
        if not all(_UID.fullmatch(_first(view, tag)) for tag in _UIDS):
            return Answer(_NOT_UNDERSTOOD, "A UID is not digits with periods between them")
        if self.only_study and _first(view, STUDY_INSTANCE_UID) != self.only_study:
            return Answer(_DOES_NOT_MATCH, "Study Instance UID differs from the request")
        return None

    async def _subject(self, rules: Rules) -> Subject:
        view = self._view
        study_uid = _first(view, STUDY_INSTANCE_UID)
        labels: frozenset[str] = frozenset()
        if any(rule.labels is not None for rule in rules.rules):
            held = await self._ingest.index.studies_with(study_uid)
            labels = labels.union(*(one.subject.labels for one in held))
        day = _first(view, STUDY_DATE)
        return Subject(
            study_uid=study_uid,
            site=self._identity.site if self._identity else "",
            referring_physician=_first(view, REFERRING_PHYSICIAN),
            study_date=date(int(day[:4]), int(day[4:6]), int(day[6:])) if is_date(day) else None,
            labels=labels,
        )

    def _entry(self, digest: str, size_bytes: int, begin: int) -> Entry:
        parts = split(self._view)
        identity = self._identity
        return Entry(
            study_uid=_first(self._view, STUDY_INSTANCE_UID),
            series_uid=_first(self._view, SERIES_INSTANCE_UID),
            sop_instance_uid=self._instance,
            sop_class_uid=self._sop_class,
            transfer_syntax_uid=self._syntax,
            digest=digest,
            size_bytes=size_bytes,
            received_at=self._door.now(),
            source=identity.name if identity else "",
            patient=parts[Level.PATIENT],
            study=parts[Level.STUDY],
            series=parts[Level.SERIES],
            instance=parts[Level.IMAGE],
            site=identity.site if identity else "",
            frames=self._head.frames(self._view, begin),
        )

    def _record(self, written: Written, blob: Blob) -> Record:
        reason = "" if written.outcome is Outcome.NEW else written.outcome.value
        if written.is_inconsistent:
            reason = "its UIDs are also held for another patient or study"
        record = replace(
            self._door.record,
            event=Event.STORE,
            operation=Operation.STORE,
            sop_class=self._sop_class,
            studies=self._studies(),
            instances=1,
            size_bytes=blob.size_bytes,
            blob=blob.digest,
            reason=reason,
            rule=self._decision.rule if self._decision else "",
        )
        return record.by(self._identity)

    def _studies(self) -> tuple[str, ...]:
        study_uid = _first(self._view, STUDY_INSTANCE_UID)
        return (study_uid,) if study_uid else ()


def _first(view: DataSetView, tag: int) -> str:
    return next(iter(view.get(tag, _NONE).values), "")
