"""The DIMSE door of the archive: who calls, what the policy says, what the journal keeps.

Theory of operation. Whoever cannot be named gets no association: on a TLS listener a device is known by its client
certificate, which TLS has verified; on a listener that was asked for by name for legacy devices, by its address together
with the calling AE title. An AE title alone is nobody. Who it is, is looked up again at each operation, so a revoked device
is refused at its next one. ``access.policy`` decides, the same for this door as for every other; its reason goes into the
Error Comment of a refusal (status 0124) and into the journal.

What leaves the archive is in the journal before it leaves. A query is recorded with its keys, never with their values.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from doorward.access.identity import Identity, Operation, Register, Subject
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.journal.record import Record as Journalled
from doorward.access.policy import decide, restrict
from doorward.access.rules import Rules
from doorward.archive.answers import encode_answer
from doorward.archive.giving import Destination, Giving
from doorward.archive.index.levels import Level
from doorward.archive.ingest import NOT_AUTHORISED, Door, Ingest
from doorward.archive.retrieval import UNIQUE_KEYS
from doorward.dicom.attributes import DataSetView, read_attributes
from doorward.dicom.part10 import syntax_of
from doorward.dicom.query import QUERY_RETRIEVE_LEVEL, Query, parse_query
from doorward.errors import LimitExceeded, PeerProtocolError, StorageError
from doorward.limits import DEFAULT_LIMITS
from doorward.net.application import Application, Found, Match, Peer, Planned
from doorward.net.client import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from doorward.net.transfer import Answer, StreamReceiver
from doorward.wire.command import CFindRequest, CGetRequest, CMoveRequest, CStoreRequest
from doorward.wire.negotiation import AcceptedContext, negotiate
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest, UserInformation
from doorward.wire.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    RETIRED_STORAGE_SOP_CLASSES,
    STORAGE_SOP_CLASSES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)

_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
_SERVICES = dict.fromkeys(
    (
        *(VERIFICATION, PATIENT_ROOT_FIND, PATIENT_ROOT_GET, PATIENT_ROOT_MOVE),
        *(STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE),
    ),
    _SYNTAXES,
)
_STORAGE = frozenset((*STORAGE_SOP_CLASSES, *RETIRED_STORAGE_SOP_CLASSES))
_STUDY_ROOT = frozenset({STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE})
#: Calling AE title not recognized (PS3.8 Table 9-21): all that somebody is told whom nobody knows.
_UNKNOWN = AssociateReject(result=1, source=1, reason=3)
_PENDING, _PENDING_UNMATCHED = 0xFF00, 0xFF01
#: PS3.4 Tables C.4-1 to C.4-3: identifier does not match SOP class; out of resources.
_DOES_NOT_FIT = Answer(0xA900, "Level or unique keys do not fit")
_OUT_OF_RESOURCES = Answer(0xA700, "The storage has failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may change while the archive runs; a new value takes the place of the old one as a whole."""

    ae_title: str
    register: Register
    rules: Rules
    #: AE title -> where a C-MOVE to it goes.
    destinations: Mapping[str, Destination]


class DicomServices(Application):
    """The archive as ``net.server`` sees it. ``settings`` is asked at each operation; ``now`` is aware, in local time."""

    def __init__(
        self,
        *,
        ingest: Ingest,
        giving: Giving,
        journal: Journal,
        settings: Callable[[], Settings],
        now: Callable[[], datetime],
    ) -> None:
        self._ingest = ingest
        self._giving = giving
        self._journal = journal
        self._settings = settings
        self._now = now
        #: Port -> name of the listener, for those that were asked for by name for legacy devices.
        self.legacy_ports: dict[int, str] = {}
        self._records: dict[int, Record] = {}
        self._running: dict[int, Record] = {}

    # --- who it is --------------------------------------------------------------------------------------------------

    def _identity(self, peer: Peer, calling_ae_title: str) -> Identity | None:
        register = self._settings().register
        if peer.certificate is not None:
            return register.by_certificate(hashlib.sha256(peer.certificate).hexdigest())
        port = self.legacy_ports.get(peer.local_port, "")
        return register.by_address(peer.address, calling_ae_title, port=port)

    def _who(self, peer: Peer) -> Identity | None:
        record = self._records.get(peer.id)
        return None if record is None else self._identity(peer, record.calling_ae_title)

    def associate(self, peer: Peer, request: AssociateRequest) -> AssociateAccept | AssociateReject:
        """Admit whoever is known and not expired; nobody else learns what there is."""
        record = Record(
            event=Event.ASSOCIATION_OPENED,
            peer=peer.address,
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
        )
        identity = self._identity(peer, request.calling_ae_title)
        reason = "no identity was shown" if identity is None else ""
        if identity is not None and identity.expires_at is not None:
            reason = "identity has expired" if identity.expires_at <= self._now() else ""
        if reason:
            event, outcome = Event.ASSOCIATION_REFUSED, Ending.REFUSED
            refused = replace(record, event=event, outcome=outcome, reason=reason)
            self._note(refused.by(identity))
            return _UNKNOWN
        self._note(record.by(identity))
        self._records[peer.id] = record
        return _accept(request)

    def ended(self, peer: Peer, *, in_order: bool) -> None:
        """Record the end of an association that was one."""
        identity = self._who(peer)
        record = self._records.pop(peer.id, None)
        self._running.pop(peer.id, None)
        if record is not None:
            outcome = Ending.SUCCESS if in_order else Ending.FAILED
            self._note(
                replace(record, event=Event.ASSOCIATION_CLOSED, outcome=outcome).by(identity)
            )

    def _note(self, record: Record) -> None:
        """Record what nobody waits for; where that fails, whoever waits for a later record is told."""
        try:
            self._journal.submit(record).add_done_callback(_look_at)
        except (StorageError, LimitExceeded):
            return  # the next operation fails for the same reason, and says so

    def _record(self, peer: Peer, event: Event, operation: Operation) -> Record:
        return replace(self._records[peer.id], event=event, operation=operation)

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

    async def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> AsyncIterator[Match]:
        """Answer from the index what the policy lets this caller see."""
        try:
            view, level = _read(context, identifier)
            query = parse_query(view)
        except (PeerProtocolError, LimitExceeded):
            yield _DOES_NOT_FIT
            return
        if level is None or not _is_hierarchical(view, level):
            yield _DOES_NOT_FIT
            return
        try:
            async for match in self._answers(peer, context, query, level):
                yield match
        except (StorageError, LimitExceeded):
            yield _OUT_OF_RESOURCES

    async def _answers(
        self, peer: Peer, context: AcceptedContext, query: Query, level: Level
    ) -> AsyncIterator[Match]:
        settings, identity = self._settings(), self._who(peer)
        restriction = restrict(identity, settings.rules, self._now())
        decision = restriction.decision
        record = replace(
            self._record(peer, Event.QUERY, Operation.QUERY),
            keys=tuple(f"{tag:08X}" for tag in sorted(query.asked)),
            rule=decision.rule,
        ).by(identity)
        if not decision.is_allowed:
            refusal = replace(record, event=Event.REFUSAL, outcome=Ending.REFUSED)
            await self._journal.write(replace(refusal, reason=decision.reason))
            yield Answer(NOT_AUTHORISED, decision.reason)
            return
        status = _PENDING_UNMATCHED if query.unmatched else _PENDING
        found = self._ingest.index.find(query, level, restriction=restriction)
        first, most = [], self._ingest.limits.index_page
        async for view in found:
            first.append(view)
            if len(first) >= most:
                break
        # The first page is counted before anything leaves; more of a long list follow on its record.
        reason = "more may follow" if len(first) >= most else ""
        await self._journal.write(replace(record, matches=len(first), reason=reason))
        syntax = syntax_of(context.transfer_syntax)
        for view in first:
            yield status, encode_answer(view, query.asked, level, settings.ae_title, syntax)
        async for view in found:
            yield status, encode_answer(view, query.asked, level, settings.ae_title, syntax)

    async def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Found:
        """Say what is sent back on the same association."""
        view, level = _read_or_none(context, identifier)
        if level is None:
            return _DOES_NOT_FIT
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
            return _DOES_NOT_FIT
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

    def retrieved(self, peer: Peer, *, completed: int, failed: int, status: int) -> None:
        """Record what has left."""
        record = self._running.pop(peer.id, None)
        if record is not None:
            outcome = Ending.FAILED if failed else Ending.SUCCESS
            reason = f"{failed} failed" if failed else ""
            self._note(replace(record, outcome=outcome, instances=completed, reason=reason))


def _accept(request: AssociateRequest) -> AssociateAccept:
    """Accept every service of ours; for storage whatever transfer syntax comes first, known to us or not."""
    offers: dict[str, tuple[str, ...]] = dict(_SERVICES)
    for context in request.presentation_contexts:
        if context.abstract_syntax in _STORAGE:
            before = offers.get(context.abstract_syntax, ())
            offers[context.abstract_syntax] = (*before, *context.transfer_syntaxes)
    information = request.user_information
    agreed = negotiate(
        request.presentation_contexts,
        offers,
        roles=information.role_selections,
        allow_scp_role=_STORAGE,
    )
    return AssociateAccept(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=agreed.answers,
        user_information=UserInformation(
            max_pdu_bytes=DEFAULT_LIMITS.max_pdu_bytes,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            role_selections=agreed.roles,
        ),
    )


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
