"""C-GET and C-MOVE as a performer: the C-STORE sub-operations and their counters (PS3.4 sections C.4.2 and C.4.3).

Theory of operation: one instance is sent, and while its receiver takes and answers it, the next one is read. No more than
that one is read ahead, and of it no more than ``Begun`` holds. What fails is counted, and the final response says of it how
many, which, and why the first one did.
"""

import asyncio
import inspect
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from doorward.errors import DoorwardError, TransportError
from doorward.net.begun import Begun, Source
from doorward.net.client import Proposal, Requestor, associate
from doorward.net.connection import Connection
from doorward.net.dial import Gate
from doorward.net.reasons import CALLER, DESTINATION, of_contexts, of_error, of_status
from doorward.net.tally import ALL_FAILED, Tally
from doorward.net.transfer import Answer, Rewritable, fitting, send_begun, store
from doorward.wire.command import (
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    CStoreRequest,
    CStoreResponse,
)
from doorward.wire.dimse import encode_command
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.table import State

if TYPE_CHECKING:
    from doorward.net.session import Session

_PENDING = 0xFF00
_CANCELLED = 0xFE00
_ENDED = "The association ended"
#: (0000,1020) to (0000,1023) as they stand in a command set before their values of two bytes (PS3.7 section 9.3.3.2): the
#: sub-operations that remain, completed, failed, and ended with a warning.
_COUNTERS = tuple(b"\0\0" + bytes((n, 0x10)) + b"\2\0\0\0" for n in range(0x20, 0x24))


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """Where a C-MOVE goes: the application looked the destination up and says by which gate it may be dialled."""

    address: str
    port: int
    gate: Gate
    called_ae_title: str
    calling_ae_title: str
    originator_ae_title: str
    instances: Iterable[Source]
    tls: ssl.SSLContext | None = None


#: What an application says to a C-GET or C-MOVE.
Prepared: TypeAlias = Iterable[Source] | MovePlan | Answer | int


@dataclass(frozen=True, slots=True)
class _Ready:
    """An instance that can be sent now."""

    context: AcceptedContext
    begun: Begun


#: Reads the next instance, while the receiver has the last one.
_Meanwhile: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Way:
    """Where the instances go: on the association of a C-GET, or on one to the destination of a C-MOVE."""

    receiver: str
    connection: Connection
    #: Returns the status of C-STORE.
    deliver: Callable[[_Ready, _Meanwhile], Awaitable[int]]
    #: Whether a pending response leaves with the next instance.
    is_shared: bool


class SubOperations:
    """The running sub-operations of one C-GET or C-MOVE."""

    def __init__(
        self,
        session: "Session",
        context: AcceptedContext,
        request: CGetRequest | CMoveRequest,
        prepared: Prepared | Awaitable[Prepared],
    ) -> None:
        self._session = session
        self._context = context
        self._request = request
        self._prepared = prepared
        self._instances: list[Source] = []
        #: The one that is sent next, or why it cannot be.
        self._next: _Ready | str = ""
        self._next_position = -1
        self._message_id = 1
        self._response: asyncio.Future[int] | None = None
        #: Until when it must be there (loop time), and the timer that looks.
        self._due = 0.0
        self._late: asyncio.TimerHandle | None = None
        self._pending: _Pending | None = None
        self._is_cancelled = self._is_told = False
        self._loop = asyncio.get_running_loop()
        #: How far it is, and why the first one failed.
        self.tally = self._tally_of(0)

    # --- the session calls these ---------------------------------------------------------------------------------

    def answered(self, response: CStoreResponse) -> None:
        """The peer of a C-GET answered one sub-operation."""
        if self._response is not None and not self._response.done():
            self._response.set_result(response.status)

    def cancel(self) -> None:
        """C-CANCEL: no further sub-operation is begun."""
        self._is_cancelled = True

    def abandon(self) -> None:
        """The association ended."""
        if self._response is not None and not self._response.done():
            self._response.cancel()

    async def run(self) -> None:
        """Perform all and send the final response; the application is told how it came out, whatever ends it."""
        try:
            await self._run()
        except asyncio.CancelledError:
            if not self._session.connection.is_gone:
                raise
        finally:
            if self._late is not None:
                self._late.cancel()
            await self._drop_next()
            if not self._is_told:
                self._fail(self._instances[self.tally.done :], _ENDED)
                self._tell(ALL_FAILED)

    # --- inner ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        prepared = self._prepared
        if inspect.isawaitable(prepared):
            prepared = await prepared
        if isinstance(prepared, int):
            prepared = Answer(prepared)
        if isinstance(prepared, Answer) and prepared.status:
            self._respond(prepared.status, prepared.comment)
            return
        if isinstance(prepared, MovePlan):
            await self._move(prepared)
        elif not isinstance(prepared, Answer):
            await self._get(prepared)
        identifier = self.tally.identifier(self._context.transfer_syntax)
        if self._is_cancelled:
            self._respond(_CANCELLED, identifier=identifier)
        else:
            self._respond(self.tally.final_status(), self.tally.reason, identifier=identifier)

    async def _get(self, instances: Iterable[Source]) -> None:
        self._instances = list(instances)
        self.tally = self._tally_of(len(self._instances))
        connection = self._session.connection
        await self._perform(_Way(CALLER, connection, self._send_back, is_shared=True))

    async def _move(self, plan: MovePlan) -> None:
        self._instances = list(plan.instances)
        self.tally = self._tally_of(len(self._instances))
        if not self._instances:
            return
        limits = self._session.connection.limits
        proposal = Proposal(
            called_ae_title=plan.called_ae_title,
            calling_ae_title=plan.calling_ae_title,
            contexts=_contexts_for(self._instances, limits.presentation_contexts),
        )
        try:
            async with associate(
                plan.address,
                plan.port,
                proposal,
                gate=plan.gate,
                tls=plan.tls,
                limits=limits,
            ) as there:
                deliver = partial(self._pass_on, there, plan.originator_ae_title)
                await self._perform(_Way(DESTINATION, there.connection, deliver, is_shared=False))
        except DoorwardError as error:
            if not self._is_cancelled:
                self._fail(self._instances[self.tally.done :], of_error(DESTINATION, error))

    async def _perform(self, way: _Way) -> None:
        """Send all, one after the other. Raises DoorwardError where the association is gone."""
        for position, instance in enumerate(self._instances):
            if self._is_cancelled:
                return
            if self._next_position != position:
                await self._read_ahead(way, position)
            ready, self._next = self._next, ""
            reason = ready if isinstance(ready, str) else await self._one(way, position, ready)
            if reason:
                self._fail((instance,), reason)
                # Many may fail without a wait, and others wait for their turn.
                await asyncio.sleep(0)
            # It leaves with what follows: to write twice wakes the peer twice.
            self._respond_pending(is_flushed=bool(reason) or not way.is_shared)

    async def _one(self, way: _Way, position: int, ready: _Ready) -> str:
        """Send one instance and count it; returns why it failed, and then it is not counted."""
        try:
            status = await way.deliver(ready, partial(self._read_ahead, way, position + 1))
        except DoorwardError as error:
            if isinstance(error, TransportError) or _is_over(way.connection):
                raise  # in the middle of a data set too: nothing more can be said
            return of_error(way.receiver, error)
        finally:
            if ready.begun.whole is None:
                await ready.begun.close()
        return "" if self.tally.count(status) else of_status(way.receiver, status)

    async def _read_ahead(self, way: _Way, position: int) -> None:
        """Make an instance ready to be sent, or find out why it cannot be."""
        if position == len(self._instances) or self._is_cancelled:
            return
        self._next_position = position
        contexts = way.connection.association.contexts.values()
        found = fitting(contexts, self._instances[position])
        if found is None:
            sop_class_uid = self._instances[position].sop_class_uid
            self._next = of_contexts(way.receiver, contexts, sop_class_uid)
            return
        begun = Begun(found[1])
        try:
            await begun.read()
        except DoorwardError as error:
            self._next = of_error(way.receiver, error)
        else:
            self._next = _Ready(found[0], begun)

    async def _drop_next(self) -> None:
        ready, self._next = self._next, ""
        if isinstance(ready, _Ready):
            await ready.begun.close()

    async def _send_back(self, ready: _Ready, meanwhile: _Meanwhile) -> int:
        """Send one instance on the association of the C-GET and return the status of its C-STORE."""
        connection = self._session.connection
        response: asyncio.Future[int] = self._loop.create_future()
        self._response = response
        self._message_id = self._message_id % 65_535 + 1
        request = CStoreRequest(
            message_id=self._message_id,
            affected_sop_class_uid=ready.begun.source.sop_class_uid,
            affected_sop_instance_uid=ready.begun.source.sop_instance_uid,
        )
        await send_begun(connection, ready.context, request, ready.begun, self._writable)
        await meanwhile()
        if connection.transport is not None and connection.transport.get_write_buffer_size():
            await self._writable()
        self._due = self._loop.time() + connection.limits.reply_s
        if self._late is None:
            self._late = self._loop.call_at(self._due, self._look)
        return await response

    def _look(self) -> None:
        """Give up where an answer is late. One timer for all: one for each costs more than all else that is done here."""
        self._late = None
        if self._response is None or self._response.done():
            return
        if self._loop.time() < self._due:
            self._late = self._loop.call_at(self._due, self._look)
        else:
            self._response.set_exception(TimeoutError())

    async def _writable(self) -> None:
        async with asyncio.timeout(self._session.connection.limits.reply_s):
            await self._session.connection.writable()

    async def _pass_on(
        self, there: Requestor, originator: str, ready: _Ready, meanwhile: _Meanwhile
    ) -> int:
        """Send one instance to the destination of the C-MOVE and return the status of its C-STORE."""
        asked_by = (originator, self._request.message_id)
        return await store(there, ready.begun, move_originator=asked_by, meanwhile=meanwhile)

    def _tally_of(self, total: int) -> Tally:
        return Tally(total, self._session.connection.limits.retrieve_failed_named)

    def _fail(self, instances: Iterable[Source], reason: str) -> None:
        self.tally.fail((one.sop_instance_uid for one in instances), reason)

    def _tell(self, status: int) -> None:
        self._is_told = True
        self._session.retrieved(self.tally.completed + self.tally.warned, self.tally.failed, status)

    def _respond(self, status: int, comment: str = "", *, identifier: bytes | None = None) -> None:
        response = self._response_of(status, comment, has_data_set=identifier is not None)
        self._session.send_now(self._context.id, response, identifier)
        self._tell(status)

    def _respond_pending(self, *, is_flushed: bool) -> None:
        if self._pending is None:
            self._pending = _Pending(encode_command(self._response_of(_PENDING)))
        self._session.send(self._context.id, self._pending.now(self.tally))
        if is_flushed:
            self._session.connection.flush()

    def _response_of(
        self, status: int, comment: str = "", *, has_data_set: bool = False
    ) -> CGetResponse | CMoveResponse:
        tally = self.tally
        response = CGetResponse if isinstance(self._request, CGetRequest) else CMoveResponse
        is_ongoing = status in (_PENDING, _CANCELLED)
        return response(
            message_id_being_responded_to=self._request.message_id,
            affected_sop_class_uid=self._request.affected_sop_class_uid,
            status=status,
            error_comment=comment,
            has_data_set=has_data_set,
            number_of_remaining_suboperations=tally.remaining if is_ongoing else None,
            number_of_completed_suboperations=tally.completed,
            number_of_failed_suboperations=tally.failed,
            number_of_warning_suboperations=tally.warned,
        )


class _Pending:
    """The pending response, encoded once: from one to the next only its counters change."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = bytearray(encoded)
        self._at = [encoded.index(header) + len(header) for header in _COUNTERS]

    def now(self, tally: Tally) -> bytes:
        """Return it with the counters as they are."""
        counters = (tally.remaining, tally.completed, tally.failed, tally.warned)
        for at, number in zip(self._at, counters, strict=True):
            self._encoded[at : at + 2] = number.to_bytes(2, "little")
        return bytes(self._encoded)


def _is_over(connection: Connection) -> bool:
    association = connection.association
    return association.must_close or association.state is State.AWAITING_CLOSE


def _contexts_for(instances: Iterable[Source], most: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return what to propose: each instance as it is, and what it can be written in as far as there is room.

    More kinds than one association has contexts (PS3.8 section 9.3.2.2) are left out; those instances fail.
    """
    own: dict[tuple[str, str], None] = {}
    others: dict[tuple[str, tuple[str, ...]], None] = {}
    for one in instances:
        own[one.sop_class_uid, one.transfer_syntax_uid] = None
        if isinstance(one, Rewritable) and one.other_syntaxes:
            # Each in a context of its own, so that the peer's choice in one does not hide the other.
            others |= {(one.sop_class_uid, (syntax,)): None for syntax in one.other_syntaxes}
    contexts: list[tuple[str, tuple[str, ...]]] = [
        (kind, (syntax,)) for kind, syntax in sorted(own)
    ]
    contexts += [one for one in others if (one[0], one[1][0]) not in own]
    return contexts[:most]
