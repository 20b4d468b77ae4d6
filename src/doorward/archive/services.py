"""The DIMSE door of the archive: who calls, what the policy says, what the journal keeps.

Theory of operation. Whoever cannot be named gets no association: on a TLS listener a device is known by its client
certificate, which TLS has verified; on a listener that was asked for by name for legacy devices, by its address together
with the calling AE title. An AE title alone is nobody. Who it is, is looked up again at each operation, so a revoked device
is refused at its next one. ``access.policy`` decides, the same for this door as for every other; its reason goes into the
Error Comment of a refusal (status 0124) and into the journal.

What leaves the archive is in the journal before it leaves. A query is recorded with its keys, never with their values.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

from doorward.access.identity import Decision, Identity, Operation, Subject
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.journal.record import Record as Journalled
from doorward.access.policy import decide
from doorward.archive.answers import AnswerWriter, writer_of
from doorward.archive.asking import Answers, Asking, Part, answerable
from doorward.archive.callers import Callers, Lookup, Standing
from doorward.archive.commitment.commitments import Commitments
from doorward.archive.giving import Giving
from doorward.archive.in_force import InForce
from doorward.archive.index.levels import Level
from doorward.archive.ingest import NOT_AUTHORISED, Door, Ingest
from doorward.archive.noting import Noting
from doorward.archive.offered import accept
from doorward.archive.retrieval import UNIQUE_KEYS
from doorward.dicom.attributes import DataSetView, read_attributes
from doorward.dicom.part10 import syntax_of
from doorward.dicom.query import QUERY_RETRIEVE_LEVEL, Query, parse_query
from doorward.errors import LimitExceeded, PeerProtocolError, StorageError
from doorward.net.application import Application, Associated, Found, Match, Peer, Planned
from doorward.net.transfer import Answer, StreamReceiver
from doorward.wire.command import (
    CFindRequest,
    CGetRequest,
    CMoveRequest,
    CStoreRequest,
    NActionRequest,
)
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import (
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    UserIdentity,
)
from doorward.wire.uids import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE

_STUDY_ROOT = frozenset({STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE})
#: Calling AE title not recognized (PS3.8 Table 9-21): all that somebody is told whom nobody knows.
_UNKNOWN = AssociateReject(result=1, source=1, reason=3)
#: By the ACSE related service provider, no reason given: a user identity that is none (PS3.7 section D.3.3.7).
_USER_REFUSED = AssociateReject(result=1, source=2, reason=1)
#: Temporary congestion (PS3.8 Table 9-21).
_BUSY = AssociateReject(result=2, source=3, reason=1)
_PENDING, _PENDING_UNMATCHED = 0xFF00, 0xFF01
#: PS3.4 Tables C.4-1 to C.4-3: identifier does not match SOP class; out of resources.
_DOES_NOT_FIT = Answer(0xA900, "Level or unique keys do not fit")
_OUT_OF_RESOURCES = Answer(0xA700, "The storage has failed")


class DicomServices(Application):
    """The archive as ``net.server`` sees it. ``settings`` is asked at each operation; ``now`` is aware, in local time."""

    def __init__(
        self,
        *,
        ingest: Ingest,
        giving: Giving,
        journal: Journal,
        settings: Callable[[], InForce],
        now: Callable[[], datetime],
        callers: Callers,
        commitments: Commitments,
    ) -> None:
        self._ingest = ingest
        self._giving = giving
        self._asking = Asking(index=ingest.index, journal=journal, timings=ingest.timings)
        self._journal = journal
        self._settings = settings
        self._now = now
        #: Who is on which association; takes ``identify_user`` too.
        self.callers = callers
        self.commitments = commitments
        #: Port -> name of the listener, for those that were asked for by name for legacy devices.
        self.legacy_ports = callers.legacy_ports
        self._noting = Noting(journal, clock=time.monotonic)
        self._records: dict[int, Record] = {}
        self._running: dict[int, Record] = {}

    # --- who it is --------------------------------------------------------------------------------------------------

    def _who(self, peer: Peer) -> Identity | None:
        return self.callers.who(peer)

    def is_known(self, peer: Peer) -> bool:
        """Tell whether whoever has an association here may still have it; who has none is nobody to be ended."""
        return peer.id not in self._records or not self.callers.is_nobody(peer)

    def turned_away(self, address: str, reason: str) -> None:
        """Record whom TLS has refused; a flood of them is one record a minute."""
        event, outcome = Event.ASSOCIATION_REFUSED, Ending.REFUSED
        self._noting.refusal(Record(event=event, outcome=outcome, peer=address, reason=reason))

    def end_revoked(self) -> int:
        """End the associations of those who are nobody any more, what runs on them too; return how many.

        To be called when the register has changed, and now and then, since an identity may also expire.
        """
        gone = self.callers.revoked()
        for peer in gone:
            peer.session.stop()
        return len(gone)

    def associate(
        self, peer: Peer, request: AssociateRequest
    ) -> Associated | Awaitable[Associated]:
        """Admit whoever is known and not expired; nobody else learns what there is."""
        record = Record(
            event=Event.ASSOCIATION_OPENED,
            peer=peer.address,
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
        )
        device = self.callers.device(peer, request.calling_ae_title)
        shown = request.user_information.user_identity
        if shown is None or not self.callers.takes(shown):
            return self._admit(peer, request, record, device, None)
        if device is None and peer.certificate is not None:
            return self._turn_away(record, None, "no identity was shown")
        reason = self.callers.objection(peer, shown)
        if reason:
            return self._turn_away(record, device, reason, _USER_REFUSED)
        if self.callers.is_busy_for(peer):
            return self._turn_away(record, device, "too many logins at once", _BUSY)
        return self._associate_user(peer, request, record, device, shown)

    async def _associate_user(
        self,
        peer: Peer,
        request: AssociateRequest,
        record: Record,
        device: Identity | None,
        shown: UserIdentity,
    ) -> Associated:
        user = await self.callers.user(peer, shown)
        if user is None or user() is None:
            failed = replace(record, event=Event.LOGIN_FAILED, outcome=Ending.REFUSED)
            self._note(replace(failed, reason="user identity refused").by(device))
            return self._turn_away(record, device, "user identity refused", _USER_REFUSED)
        answer = self._admit(peer, request, record, device, user)
        if shown.response_requested and isinstance(answer, AssociateAccept):
            # Of no length for these two types: it says that the identity was looked at (PS3.7 section D.3.3.7.2).
            information = replace(answer.user_information, user_identity_response=b"")
            return replace(answer, user_information=information)
        return answer

    def _admit(
        self,
        peer: Peer,
        request: AssociateRequest,
        record: Record,
        device: Identity | None,
        lookup: Lookup | None,
    ) -> AssociateAccept | AssociateReject:
        user = None if lookup is None else lookup()
        identity = device or user
        if identity is None:
            return self._turn_away(record, None, "no identity was shown")
        ends = [one.expires_at for one in (device, user) if one is not None]
        if any(end is not None and end <= self._now() for end in ends):
            return self._turn_away(record, identity, "identity has expired")
        if user is not None:
            self._note(replace(record, event=Event.LOGIN).by(user))
            record = replace(record, subject=user.name)
        self._note(record.by(identity))
        self._records[peer.id] = record
        title = request.calling_ae_title
        standing = Standing(
            peer=peer,
            calling_ae_title=title,
            identity=identity,
            user=lookup,
            is_users=device is None,
        )
        self.callers.began(standing)
        self.commitments.heard_from(identity.name)
        return accept(request)

    def _turn_away(
        self,
        record: Record,
        identity: Identity | None,
        reason: str,
        answer: AssociateReject = _UNKNOWN,
    ) -> AssociateReject:
        event, outcome = Event.ASSOCIATION_REFUSED, Ending.REFUSED
        entry = replace(record, event=event, outcome=outcome, reason=reason).by(identity)
        if identity is None:
            self._noting.refusal(entry)  # a flood of strangers is one record a minute
        else:
            self._note(entry)
        return answer

    def ended(self, peer: Peer, *, in_order: bool) -> None:
        """Record the end of an association that was one."""
        identity = self._who(peer)
        standing = self.callers.ended(peer)
        record = self._records.pop(peer.id, None)
        if record is not None and standing is not None:
            outcome = Ending.SUCCESS if in_order else Ending.FAILED
            reason = "" if identity is not None else "revoked, or expired"
            closed = replace(record, event=Event.ASSOCIATION_CLOSED, outcome=outcome, reason=reason)
            self._note(closed.by(identity or standing.identity))

    def _note(self, record: Record) -> None:
        """Record what nobody waits for; where that fails, whoever waits for a later record is told."""
        try:
            self._journal.submit(record).add_done_callback(_look_at)
        except (StorageError, LimitExceeded):
            return  # the next operation fails for the same reason, and says so

    def _record(self, peer: Peer, event: Event, operation: Operation) -> Record:
        return replace(self._records[peer.id], event=event, operation=operation)

    def _misfit(self, peer: Peer, event: Event, operation: Operation) -> Answer:
        """Record a question that is none, and return what is said to it."""
        record = self._record(peer, event, operation)
        failed = replace(record, outcome=Ending.FAILED, reason=_DOES_NOT_FIT.comment)
        self._note(failed.by(self._who(peer)))
        return _DOES_NOT_FIT

    # --- services ---------------------------------------------------------------------------------------------------

    def echo(self, peer: Peer) -> Answer | int:
        """Answer whoever may ask."""
        identity = self._who(peer)
        decision = decide(identity, Operation.ECHO, Subject(), self._settings().rules, self._now())
        if decision.is_allowed:
            return 0
        record = self._record(peer, Event.REFUSAL, Operation.ECHO)
        reason, rule = decision.reason, decision.rule
        self._note(replace(record, outcome=Ending.REFUSED, reason=reason, rule=rule).by(identity))
        return Answer(NOT_AUTHORISED, decision.reason)

    def store(
        self, peer: Peer, context: AcceptedContext, request: CStoreRequest
    ) -> StreamReceiver | int:
        """Take an instance in, as it comes."""
        door = Door(
            identity=lambda: self._who(peer),
            rules=lambda: self._settings().rules,
            now=self._now,
            record=self._records[peer.id],
        )
        if context.abstract_syntax != request.affected_sop_class_uid:
            return 0xA900

        def take(fragments: AsyncIterator[bytes]) -> Awaitable[Answer]:
            return self._ingest.take(
                fragments,
                door,
                sop_class_uid=request.affected_sop_class_uid,
                sop_instance_uid=request.affected_sop_instance_uid,
                transfer_syntax_uid=context.transfer_syntax,
            )

        return take

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match] | AsyncIterator[Match | list[Match]]:
        """Answer from the index what the policy lets this caller see; at once where that is little."""
        try:
            view, level = _read(context, identifier)
            query = parse_query(view)
        except (PeerProtocolError, LimitExceeded):
            return (self._misfit(peer, Event.QUERY, Operation.QUERY),)
        if level is None or not _is_hierarchical(view, level):
            return (self._misfit(peer, Event.QUERY, Operation.QUERY),)
        query = answerable(query, level)
        settings = self._settings()
        asked = (
            query,
            level,
            self._record(peer, Event.QUERY, Operation.QUERY),
            self._who(peer),
            settings.rules,
            self._now(),
            Part(wanted=query.asked),
        )
        try:
            answers = self._asking.ask_now(*asked)
        except (StorageError, LimitExceeded):
            return (_OUT_OF_RESOURCES,)
        syntax = syntax_of(context.transfer_syntax)
        matches = _Matches(query, writer_of(query.asked, level, settings.ae_title, syntax))
        if answers is not None:
            return matches.of(answers.first)
        return matches.of_all(partial(self._asking.ask, *asked))

    async def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Found:
        """Say what is sent back on the same association."""
        view, level = _read_or_none(context, identifier)
        if level is None:
            return self._misfit(peer, Event.RETRIEVE, Operation.RETRIEVE)
        record = self._record(peer, Event.TRANSFER_BEGUN, Operation.RETRIEVE)
        given = await self._giving.prepare(
            view, level, record, self._who(peer), self._settings().rules, self._now()
        )
        if isinstance(given, Answer):
            return given
        self._running[peer.id] = replace(given.record, event=Event.RETRIEVE)
        return given.instances

    async def move(
        self, peer: Peer, context: AcceptedContext, request: CMoveRequest, identifier: bytes
    ) -> Planned:
        """Say what is sent where; only to destinations that are known and permitted."""
        settings = self._settings()
        view, level = _read_or_none(context, identifier)
        if level is None:
            return self._misfit(peer, Event.MOVE, Operation.MOVE)
        record = self._record(peer, Event.TRANSFER_BEGUN, Operation.MOVE)
        record = replace(record, destination=request.move_destination)
        destination = settings.destinations.get(request.move_destination.strip(" "))
        if destination is None:
            return await self._giving.unknown(record.by(self._who(peer)))
        given = await self._giving.prepare(
            view, level, record, self._who(peer), settings.rules, self._now()
        )
        if isinstance(given, Answer):
            return given
        self._running[peer.id] = replace(given.record, event=Event.MOVE)
        originator = self._records[peer.id].calling_ae_title
        return destination.plan(given.instances, settings.ae_title, originator)

    async def action(
        self, peer: Peer, context: AcceptedContext, request: NActionRequest, information: bytes
    ) -> Answer:
        """Take a request for storage commitment."""
        record = self._records[peer.id]
        return await self.commitments.ask(peer, context, request, information, record)

    async def work(self) -> None:
        """Send the reports of storage commitment."""
        await self.commitments.run()

    def retrieved(self, peer: Peer, *, completed: int, failed: int, status: int) -> None:
        """Record what has left."""
        record = self._running.pop(peer.id, None)
        if record is not None:
            running = peer.session.sub_operations
            outcome = Ending.FAILED if failed else Ending.SUCCESS
            reason = f"{failed} failed" if failed else ""
            if failed and running is not None:
                reason += f": {running.tally.reason}"
            self._note(replace(record, outcome=outcome, instances=completed, reason=reason))


class _Matches:
    """Answers of a query on their way to being responses."""

    def __init__(self, query: Query, writer: AnswerWriter) -> None:
        self._status = _PENDING_UNMATCHED if query.unmatched else _PENDING
        self._writer = writer

    def of(self, views: Iterable[DataSetView]) -> list[Match]:
        """Return some."""
        status, write = self._status, self._writer.write
        return [(status, write(view)) for view in views]

    async def of_all(
        self, ask: Callable[[], Awaitable[Answers | Decision]]
    ) -> AsyncIterator[Match | list[Match]]:
        """Yield all, a page at a time, or why there are none."""
        try:
            answers = await ask()
            if isinstance(answers, Decision):
                yield Answer(NOT_AUTHORISED, answers.reason)
                return
            async for page in answers.pages():
                yield self.of(page)
        except (StorageError, LimitExceeded):
            yield _OUT_OF_RESOURCES


def _read(context: AcceptedContext, identifier: bytes) -> tuple[DataSetView, Level | None]:
    """Return an identifier and its level, None where the model has none of that name (PS3.4 section C.6)."""
    view = read_attributes(identifier, syntax_of(context.transfer_syntax))
    stated = view.get(QUERY_RETRIEVE_LEVEL)
    name = stated.values[0] if stated is not None and stated.values else ""
    is_known = name in Level.__members__
    if not is_known or (name == "PATIENT" and context.abstract_syntax in _STUDY_ROOT):
        return view, None
    return view, Level[name]


def _read_or_none(context: AcceptedContext, identifier: bytes) -> tuple[DataSetView, Level | None]:
    try:
        return _read(context, identifier)
    except (PeerProtocolError, LimitExceeded):
        return {}, None


def _is_hierarchical(view: DataSetView, level: Level) -> bool:
    """Whether the study, and above the instances the series, is named by one UID (PS3.4 section C.4.1.3.1.1)."""
    needed = [UNIQUE_KEYS[at] for at in (Level.STUDY, Level.SERIES) if at < level]
    return all(tag in view and len(view[tag].values) == 1 for tag in needed)


def _look_at(written: "asyncio.Future[Journalled]") -> None:
    """Take note of how it ended, so that nobody warns of an error that was not looked at."""
    if not written.cancelled():
        written.exception()
