"""Images leave only when the policy, the allowance of the hour and the journal have said yes, in this order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from doorward.access.identity import Decision, Identity, Operation, Subject
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.policy import NOT_THIS_STUDY, decide
from doorward.access.rules import Rules
from doorward.access.volume import Allowance, Volume, allowances
from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.entry import HeldInstance, HeldStudy
from doorward.archive.index.index import Index
from doorward.archive.index.levels import Level
from doorward.archive.ingest import NOT_AUTHORISED
from doorward.archive.retrieval import (
    StoredInstance,
    Wanted,
    instances_for,
    studies_for,
    wanted_of,
)
from doorward.dicom.attributes import DataSetView
from doorward.errors import LimitExceeded, PeerProtocolError, ScopeError, StorageError
from doorward.limits import Limits
from doorward.net.suboperations import MovePlan
from doorward.net.tls import client_context
from doorward.net.transfer import Answer

#: PS3.4 Tables C.4-2 and C.4-3: nothing can be sent; the destination is unknown; the identifier does not fit.
_CANNOT_SEND = 0xA702
_DESTINATION_UNKNOWN = Answer(0xA801, "Move destination unknown")
_DOES_NOT_FIT = Answer(0xA900, "Unique keys do not fit the level")
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
            gate=_OnlyThere(self.address, self.port),
            called_ae_title=self.ae_title,
            calling_ae_title=ae_title,
            originator_ae_title=originator,
            instances=instances,
            tls=tls,
        )


@dataclass(frozen=True, slots=True)
class _OnlyThere:
    """The gate of one destination."""

    address: str
    port: int

    def permit(self, address: str, port: int) -> None:
        """Let nothing else be dialled."""
        if (address, port) != (self.address, self.port):
            raise ScopeError("this is not the destination of the C-MOVE", target=address)


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
            return await self._prepare(wanted, record.by(identity), identity, rules, now)
        except PeerProtocolError:
            return _DOES_NOT_FIT
        except LimitExceeded as error:
            return Answer(_CANNOT_SEND, f"More than {error.limit} allows"[:64])
        except StorageError:
            return Answer(_CANNOT_SEND, "The storage has failed")

    async def unknown(self, record: Record) -> Answer:
        """Record a C-MOVE to nowhere that is known, and return the answer."""
        return await self._refused(record, _DESTINATION_UNKNOWN, "(destination)", ())

    async def _prepare(
        self,
        wanted: Wanted,
        record: Record,
        identity: Identity | None,
        rules: Rules,
        now: datetime,
    ) -> Given | Answer:
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
            return await self._nothing(record, decisions[0], is_held=bool(studies))
        instances = await instances_for(self.index, wanted, allowed, self.limits)
        uids = tuple(dict.fromkeys(one.study_uid for one in instances))
        refusal = self._drawn(identity, allowed, instances)
        if refusal is not None:
            return await self._refused(record, refusal, "(volume)", uids)
        size = sum(one.size_bytes for one in instances)
        rule = decisions[0].rule if len(decisions) == 1 else ""
        begun = replace(record, studies=uids, instances=len(instances), size_bytes=size, rule=rule)
        await self.journal.write(begun)
        sent = [StoredInstance(one, self.blobs) for one in instances]
        return Given(instances=sent, record=replace(begun, instances=0))

    async def _nothing(
        self, record: Record, decision: Decision, *, is_held: bool
    ) -> Given | Answer:
        """Answer where nothing may leave: by a refusal, or by an empty success where nothing is held."""
        is_about_a_study = decision.reason == NOT_THIS_STUDY or not decision.rule.startswith("(")
        if not decision.is_allowed and (is_held or not is_about_a_study):
            answer = Answer(NOT_AUTHORISED, decision.reason)
            return await self._refused(record, answer, decision.rule, ())
        await self.journal.write(record)
        return Given(instances=[], record=record)

    def _drawn(
        self, identity: Identity, studies: Sequence[HeldStudy], instances: Sequence[HeldInstance]
    ) -> Answer | None:
        """Count what would leave; return the refusal where it is too much for the hour."""
        numbers = {one.study for one in instances}
        leaving = [study for study in studies if study.number in numbers]
        verdict = self.volume.take(
            identity.name,
            allowances(self.limits).get(identity.role, _NOTHING_TO_TAKE),
            study_uids={study.subject.study_uid for study in leaving},
            patients={"\\".join(study.patient) for study in leaving},
            size_bytes=sum(one.size_bytes for one in instances),
            now=asyncio.get_running_loop().time(),
        )
        if verdict.is_allowed:
            return None
        return Answer(_CANNOT_SEND, f"Limit of {verdict.limit} per hour reached"[:64])

    async def _refused(
        self, record: Record, answer: Answer, rule: str, studies: tuple[str, ...]
    ) -> Answer:
        await self.journal.write(
            replace(
                record,
                event=Event.REFUSAL,
                outcome=Ending.REFUSED,
                reason=answer.comment,
                rule=rule,
                studies=studies,
            )
        )
        return answer
