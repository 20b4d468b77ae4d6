"""Images leave only when the policy, the allowance of the hour and the journal have said yes, in this order."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path

from doorward.access.identity import Decision, Identity, Operation, Subject
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.policy import NOT_THIS_STUDY, decide, hides_studies
from doorward.access.rules import Rules
from doorward.access.volume import Allowance, Volume, allowances
from doorward.archive.blobs.reader import Rooms
from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.entry import HeldInstance, HeldStudy
from doorward.archive.index.index import Index
from doorward.archive.index.levels import Level
from doorward.archive.ingest import NOT_AUTHORISED
from doorward.archive.retrieval import (
    Rewriter,
    StoredInstance,
    Wanted,
    instances_for,
    studies_for,
    wanted_of,
)
from doorward.dicom.attributes import DataSetView
from doorward.errors import LimitExceeded, PeerProtocolError, StorageError
from doorward.limits import Limits
from doorward.net.dial import OnlyGate
from doorward.net.suboperations import MovePlan
from doorward.net.tls import client_context
from doorward.net.transfer import Answer

#: PS3.4 Tables C.4-2 and C.4-3: nothing can be sent; the destination is unknown; the identifier does not fit.
_CANNOT_SEND = 0xA702
_DESTINATION_UNKNOWN = Answer(0xA801, "Move destination unknown")
_DOES_NOT_FIT = Answer(0xA900, "Unique keys do not fit the level")
_ONLY_ASKED = "nothing left: it was only asked for"
_NOTHING_TO_TAKE = Allowance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a C-MOVE goes: a numeric address, and how TLS is spoken there. Without ``authorities`` it is plain."""

    ae_title: str
    address: str
    port: int
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def plan(self, instances: Sequence[StoredInstance], ae_title: str, originator: str) -> MovePlan:
        """Return the plan to send instances there. Raises ConfigError where a certificate cannot be read."""
        tls = None
        if self.authorities is not None:
            tls = client_context(
                authorities=self.authorities, certificate=self.certificate, key=self.key
            )
        return MovePlan(
            address=self.address,
            port=self.port,
            gate=OnlyGate(self.address, self.port, "the destination of the C-MOVE"),
            called_ae_title=self.ae_title,
            calling_ae_title=ae_title,
            originator_ae_title=originator,
            instances=instances,
            tls=tls,
        )


class Why(Enum):
    """Why nothing leaves."""

    NOT_AUTHORISED = "the policy says no"
    VOLUME = "the allowance of the hour is used up"
    TOO_MANY = "more than is given at once"
    STORAGE = "the storage has failed"
    NOT_ACCEPTABLE = "not held in a form that is accepted"
    UNCHANGED = "the caller has it already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing leaves, in words for the caller. ``retry_after_s``: when it would be allowed; None: never so much."""

    why: Why
    reason: str
    retry_after_s: float | None = None


#: Sees the instances that would leave; returns why they do not.
Check = Callable[[Sequence[HeldInstance]], Refusal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """The studies that were asked for and may be given, none where nothing is held; and by which rule."""

    studies: tuple[HeldStudy, ...] = ()
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What may leave, and the record of it."""

    instances: list[StoredInstance]
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Giving:
    """Finds, asks, records."""

    index: Index
    blobs: BlobStore
    journal: Journal
    volume: Volume
    limits: Limits
    #: For peers that do not accept what an instance came in.
    rewriter: Rewriter | None = None

    async def prepare(
        self,
        view: DataSetView,
        level: Level,
        record: Record,
        identity: Identity | None,
        rules: Rules,
        now: datetime,
    ) -> Given | Answer:
        """Return what may leave, recorded already, or why not. ``record`` says operation and destination."""
        try:
            wanted = wanted_of(view, level)
        except PeerProtocolError:
            event = Event.MOVE if record.destination else Event.RETRIEVE
            failed = replace(record, event=event, outcome=Ending.FAILED)
            await self.journal.write(replace(failed, reason=_DOES_NOT_FIT.comment).by(identity))
            return _DOES_NOT_FIT
        given = await self.choose(wanted, record, identity, rules, now)
        if isinstance(given, Given):
            return given
        is_refused = given.why is Why.NOT_AUTHORISED
        return Answer(NOT_AUTHORISED if is_refused else _CANNOT_SEND, given.reason)

    async def choose(
        self,
        wanted: Wanted,
        record: Record,
        identity: Identity | None,
        rules: Rules,
        now: datetime,
        *,
        leaves: bool = True,
        check: Check | None = None,
    ) -> Given | Refusal:
        """Return what ``prepare`` does, for doors that are not DIMSE.

        Not ``leaves``: nothing of it will be sent now. ``check`` sees what would leave and may refuse it.
        """
        record = record.by(identity)
        try:
            permitted = await self.permitted(wanted, record, identity, rules, now)
            if isinstance(permitted, Refusal):
                return permitted
            if identity is None or not permitted.studies:
                return Given(instances=[], record=record)
            instances = await instances_for(self.index, wanted, permitted.studies, self.limits)
            uids = tuple(dict.fromkeys(one.study_uid for one in instances))
            record = replace(record, studies=uids, rule=permitted.rule)
            refusal = check(instances) if check is not None and instances else None
            if refusal is not None:
                await self._record_unsent(record, refusal)
                return refusal
            if leaves:
                record = replace(record, size_bytes=sum(one.size_bytes for one in instances))
                refusal = await self._begin(record, identity, permitted, instances)
                if refusal is not None:
                    return refusal
            else:
                await self.journal.write(replace(record, event=Event.RETRIEVE, reason=_ONLY_ASKED))
        except LimitExceeded as error:
            return Refusal(why=Why.TOO_MANY, reason=f"More than {error.limit} allows"[:64])
        except StorageError:
            return Refusal(why=Why.STORAGE, reason="The storage has failed")
        following = [one.digest for one in instances[1:]] + [""]
        rooms = Rooms(self.limits.blob_chunk_bytes)
        sent = [
            StoredInstance(one, self.blobs, self.rewriter, after, rooms)
            for one, after in zip(instances, following, strict=False)
        ]
        return Given(instances=sent, record=record)

    async def unknown(self, record: Record) -> Answer:
        """Record a C-MOVE to nowhere that is known, and return the answer."""
        await self._record_refusal(record, _DESTINATION_UNKNOWN.comment, "(destination)")
        return _DESTINATION_UNKNOWN

    async def permitted(
        self,
        wanted: Wanted,
        record: Record,
        identity: Identity | None,
        rules: Rules,
        now: datetime,
    ) -> Permitted | Refusal:
        """Return which of the wanted studies may be given; a refusal, and that nothing is held, are recorded.

        Raises StorageError, LimitExceeded.
        """
        studies = await studies_for(self.index, wanted)
        operation = Operation(record.operation)
        # Where nothing is held, whoever may not ask at all is told so all the same.
        subjects = [study.subject for study in studies] or [Subject()]
        decisions = [
            decide(identity, operation, replace(s, destination=record.destination), rules, now)
            for s in subjects
        ]
        allowed = [s for s, d in zip(studies, decisions, strict=False) if d.is_allowed]
        if identity is None or not allowed:
            # Who may see some studies only is told the same of those that are closed to them and of those that are not there.
            is_hidden = bool(studies) or (
                identity is not None and hides_studies(identity, operation, rules, now)
            )
            decision = decisions[0]
            if decision.is_allowed and is_hidden:
                decision = replace(
                    decision, is_allowed=False, reason=NOT_THIS_STUDY, rule="(default)"
                )
            return await self._nothing(record, decision, is_hidden=is_hidden)
        rule = decisions[0].rule if len(decisions) == 1 else ""
        return Permitted(studies=tuple(allowed), rule=rule)

    async def _nothing(
        self, record: Record, decision: Decision, *, is_hidden: bool
    ) -> Permitted | Refusal:
        """Answer where nothing may leave: by a refusal, or by an empty success where nothing is held or could be hidden."""
        is_about_a_study = decision.reason == NOT_THIS_STUDY or not decision.rule.startswith("(")
        if not decision.is_allowed and (is_hidden or not is_about_a_study):
            await self._record_refusal(record, decision.reason, decision.rule)
            return Refusal(why=Why.NOT_AUTHORISED, reason=decision.reason)
        await self.journal.write(record)
        return Permitted()

    async def _begin(
        self,
        record: Record,
        identity: Identity,
        permitted: Permitted,
        instances: Sequence[HeldInstance],
    ) -> Refusal | None:
        """Record that these begin to leave; return the refusal where it is too much for the hour."""
        numbers = {one.study for one in instances}
        leaving = [study for study in permitted.studies if study.number in numbers]
        refusal = self.draw(identity, leaving, record.size_bytes)
        if refusal is not None:
            await self.record_volume(record, refusal)
            return refusal
        await self.journal.write(replace(record, instances=len(instances)))
        return None

    def draw(
        self, identity: Identity, studies: Collection[HeldStudy], size_bytes: int
    ) -> Refusal | None:
        """Count what is about to leave; return the refusal where it is too much for the hour."""
        clock = asyncio.get_running_loop().time()
        verdict = self.volume.take(
            identity.name,
            allowances(self.limits).get(identity.role, _NOTHING_TO_TAKE),
            study_uids={study.subject.study_uid for study in studies},
            patients={"\\".join(study.patient) for study in studies},
            size_bytes=size_bytes,
            now=clock,
        )
        if verdict.is_allowed:
            return None
        free_at = verdict.free_at
        return Refusal(
            why=Why.VOLUME,
            reason=f"Limit of {verdict.limit} per hour reached"[:64],
            retry_after_s=None if free_at is None else max(0.0, free_at - clock),
        )

    async def record_volume(self, record: Record, refusal: Refusal) -> None:
        """Record that the allowance of the hour was in the way. Raises StorageError, LimitExceeded."""
        await self._record_refusal(record, refusal.reason, "(volume)")

    async def _record_unsent(self, record: Record, refusal: Refusal) -> None:
        outcome = Ending.SUCCESS if refusal.why is Why.UNCHANGED else Ending.FAILED
        unsent = replace(record, event=Event.RETRIEVE, outcome=outcome)
        await self.journal.write(replace(unsent, reason=refusal.why.value))

    async def _record_refusal(self, record: Record, reason: str, rule: str) -> None:
        refused = replace(record, event=Event.REFUSAL, outcome=Ending.REFUSED)
        await self.journal.write(replace(refused, reason=reason, rule=rule))
