"""One connection to a server: takes events, asks the application, answers.

Theory of operation: a session answers from within the read that brought the request whenever it can, so that request and
reply cost one read and one write; only what must wait for the peer (a long list of matches, C-GET, C-MOVE) becomes a task
of the server's task group. One operation runs at a time on one association (PS3.7 D.3.3.3).

The other way round we are who asks: ``notices`` send N-EVENT-REPORT on an association that the peer keeps open, while the
peer's own operations go on.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from doorward.errors import DoorwardError
from doorward.net.application import CANCELLED, SUCCESS, Associated, Match, Peer
from doorward.net.connection import Connection
from doorward.net.faults import kind_and_place
from doorward.net.incoming import StreamedStore
from doorward.net.notification import Notices
from doorward.net.suboperations import SubOperations
from doorward.net.transfer import Answer, IncomingStore
from doorward.wire.command import (
    CCancelRequest,
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    CFindResponse,
    CGetRequest,
    CMoveRequest,
    Command,
    CStoreRequest,
    CStoreResponse,
    NActionRequest,
    NActionResponse,
    NEventReportResponse,
)
from doorward.wire.dimse import encode_command
from doorward.wire.events import (
    Aborted,
    AssociateRequested,
    Closed,
    CommandReceived,
    DataFragment,
    Event,
    ReleaseRequested,
)
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest
from doorward.wire.table import State

if TYPE_CHECKING:
    from doorward.net.server import Server

_log = logging.getLogger("doorward.server")
#: Responses written before a long list lets others run.
_BATCH = 512
#: Rejected (transient) by the service provider, presentation related: temporary congestion (PS3.8 Table 9-21).
_TOO_SLOW = AssociateReject(result=2, source=3, reason=1)


def report_fault(session: "Session | None", fault: Exception) -> None:
    """Log a bug of an application once; see ``faults``."""
    ended = "the work beside all associations" if session is None else f"association {session.id}"
    _log.error("%s ended by a fault: %s", ended, kind_and_place(fault))


class Session:
    """One connection to the server."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._application = server.application
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        #: Whose identifier, or action information, is coming.
        self._request: CFindRequest | CGetRequest | CMoveRequest | NActionRequest | None = None
        self._request_context = 0
        self._identifier = bytearray()
        self._incoming: IncomingStore | StreamedStore | None = None
        self._ignored = False  # the data set that is coming belongs to a command we refused
        self._is_cancelled = False
        self._is_ending = False
        self._in_order = False
        self.sub_operations: SubOperations | None = None
        self.is_busy = False  # a find, get or move is running as a task
        self._work: asyncio.Task[None] | None = None
        self.notices = Notices(self)
        self.id = 0

    # --- the connection calls these ------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Count in and remember who it is."""
        self._connection = connection
        address, port = connection.peer_address
        local_address, local_port = connection.local_address
        self.id = self._server.enter(self, address)
        tls = connection.tls
        self._peer = Peer(
            id=self.id,
            address=address,
            port=port,
            local_address=local_address,
            local_port=local_port,
            certificate=tls.getpeercert(binary_form=True) if tls else None,
            session=self,
            is_encrypted=tls is not None,
        )
        try:
            self._application.connected(self._peer)
        except Exception as fault:  # noqa: BLE001 - as in take
            report_fault(self, fault)

    def take(self, event: Event) -> None:
        """Answer one event; a bug of the application ends this association only."""
        try:
            self._take(event)
        except DoorwardError:
            self.abort()
        except Exception as fault:  # noqa: BLE001 - the application runs here; this is who owns the association
            report_fault(self, fault)
            self.abort()

    def closed(self) -> None:
        """Count out, and tell whoever waits."""
        self._server.leave(self, self.peer.address)
        if self.sub_operations is not None:
            self.sub_operations.abandon()
        if self._work is not None:
            self._work.cancel()  # nobody is left to answer
        self.notices.abandon()
        try:
            if self._incoming is not None:
                self._incoming.abandon()
            self._application.ended(self.peer, in_order=self._in_order)
        except Exception as fault:  # noqa: BLE001 - as in take
            report_fault(self, fault)

    def _take(self, event: Event) -> None:
        match event:
            case DataFragment():
                self._take_fragment(event)
            case CommandReceived(context_id, command):
                self._take_command(context_id, command)
            case AssociateRequested(request):
                self._answer(request)
            case ReleaseRequested():
                self._in_order = True
                self.connection.association.confirm_release()
            case Aborted() | Closed():
                if self.sub_operations is not None:
                    self.sub_operations.abandon()
            case _:
                pass

    # --- association ---------------------------------------------------------------------------------------------

    def _answer(self, request: AssociateRequest) -> None:
        self._server.asks(self, self.peer.address)
        if self._server.is_full_for(self.peer.address):
            # 2/3/2: rejected transient, presentation-related provider, local limit exceeded
            self._say(AssociateReject(result=2, source=3, reason=2))
            return
        answer = self._application.associate(self.peer, request)
        if inspect.isawaitable(answer):
            self._work = self._server.run(self, self._answer_later(answer), answer)
        else:
            self._say(answer)

    async def _answer_later(self, answer: Awaitable[Associated]) -> None:
        try:
            async with asyncio.timeout(self._server.limits.associate_decide_s):
                decided = await answer
        except TimeoutError:
            decided = _TOO_SLOW
        # The peer may have given up meanwhile.
        if self.connection.association.state is State.AWAITING_LOCAL_ASSOCIATE_RESPONSE:
            self._say(decided)
            self.connection.flush()

    def _say(self, answer: Associated) -> None:
        if isinstance(answer, AssociateAccept):
            self.connection.association.accept(answer)
        elif isinstance(answer, AssociateReject):
            self.connection.association.reject(answer)
            self._server.refused(self, self.peer.address)

    @property
    def connection(self) -> Connection:
        """The transport."""
        assert self._connection is not None
        return self._connection

    @property
    def peer(self) -> Peer:
        """Who is calling."""
        assert self._peer is not None
        return self._peer

    def abort(self) -> None:
        """End the association at once."""
        self.connection.association.abort()
        self.connection.flush()

    def stop(self) -> None:
        """End the association at once, and whatever runs on it."""
        if self._work is not None:
            self._work.cancel()
        self.abort()

    def end_when_idle(self) -> None:
        """End the association now, or after the operation that is running."""
        self._is_ending = True
        if not self.is_busy and self._incoming is None:
            self.abort()

    def idle_since(self) -> float:
        """Loop time of the last sign of life; a running operation counts as one."""
        if self.is_busy and self._incoming is None:
            return asyncio.get_running_loop().time()
        return self.connection.last_read_at

    def quiet_s(self) -> float:
        """Return for how many seconds nothing was asked: 0 while something runs, or where no association stands."""
        is_asking = self._request is not None or self._incoming is not None or self.is_busy
        is_standing = self.connection.association.state is State.ESTABLISHED
        if is_asking or not is_standing or self.notices.is_waiting:
            return 0.0
        return asyncio.get_running_loop().time() - self.connection.last_read_at

    # --- requests ------------------------------------------------------------------------------------------------

    def _take_command(self, context_id: int, command: Command) -> None:
        self._ignored = False
        match command:
            case CStoreRequest() if command.has_data_set:
                self._begin_store(self.connection.association.contexts[context_id], command)
            case CStoreResponse() if self.sub_operations is not None:
                self.sub_operations.answered(command)
            case NEventReportResponse():
                self.notices.answered(command)
            case CFindRequest() | CGetRequest() | CMoveRequest() | NActionRequest():
                self._request, self._request_context = command, context_id
                self._identifier.clear()
                if not command.has_data_set:
                    self._begin()
            case CEchoRequest():
                answer = self._application.echo(self.peer)
                answer = Answer(answer) if isinstance(answer, int) else answer
                self.send(
                    context_id,
                    CEchoResponse(
                        message_id_being_responded_to=command.message_id,
                        affected_sop_class_uid=command.affected_sop_class_uid,
                        status=answer.status,
                        error_comment=answer.comment,
                    ),
                )
            case CCancelRequest():
                self._is_cancelled = True
                self._application.cancelled(self.peer)
                if self.sub_operations is not None:
                    self.sub_operations.cancel()
            case _:
                # Of DIMSE-N only N-ACTION is an operation of ours. Nor is C-STORE without a data set (PS3.7 Table 9.3-1).
                self.abort()

    def _take_fragment(self, event: DataFragment) -> None:
        if self._incoming is not None:
            self._incoming.fragment(event.fragment)
            if event.is_last:
                incoming, self._incoming = self._incoming, None
                if isinstance(incoming, StreamedStore):
                    incoming.end()
                    return
                self.send(incoming.context.id, incoming.response(incoming.end()))
                if self._is_ending:
                    self.abort()
        elif self._request is not None:
            self._identifier += event.fragment
            if len(self._identifier) > self._server.limits.identifier_bytes:
                self.abort()
            elif event.is_last:
                self._begin()

    def _begin_store(self, context: AcceptedContext, request: CStoreRequest) -> None:
        if self.is_busy:  # as in _begin
            self.abort()
            return
        taker = self._application.store(self.peer, context, request)
        if callable(taker):
            streamed = self._incoming = StreamedStore(self.connection, context, request, taker)
            self._run(self._store(streamed))
        else:
            self._incoming = IncomingStore(context, request, taker)

    async def _store(self, incoming: StreamedStore) -> None:
        answer = await incoming.run()
        self.send_now(incoming.context.id, incoming.response(answer.status, answer.comment))

    def _begin(self) -> None:
        """The request is whole: find, get, move or an action."""
        request, self._request = self._request, None
        if self.is_busy:  # the window is one: PS3.7 D.3.3.3
            self.abort()
            return
        self._is_cancelled = False
        context = self.connection.association.contexts[self._request_context]
        identifier = bytes(self._identifier)
        match request:
            case CFindRequest():
                self._find(context, request, identifier)
            case CGetRequest():
                found = self._application.get(self.peer, context, request, identifier)
                self.sub_operations = SubOperations(self, context, request, found)
                self._run(self.sub_operations.run(), found)
            case CMoveRequest():
                plan = self._application.move(self.peer, context, request, identifier)
                self.sub_operations = SubOperations(self, context, request, plan)
                self._run(self.sub_operations.run(), plan)
            case NActionRequest():
                answer = self._application.action(self.peer, context, request, identifier)
                self._run(self._act(context, request, answer), answer)
            case None:
                pass

    async def _act(
        self,
        context: AcceptedContext,
        request: NActionRequest,
        answer: Answer | int | Awaitable[Answer],
    ) -> None:
        """Answer N-ACTION (PS3.7 section 10.3.4.2)."""
        if inspect.isawaitable(answer):
            answer = await answer
        answer = Answer(answer) if isinstance(answer, int) else answer
        response = NActionResponse(
            message_id_being_responded_to=request.message_id,
            affected_sop_class_uid=request.requested_sop_class_uid,
            affected_sop_instance_uid=request.requested_sop_instance_uid,
            action_type_id=request.action_type_id,
            status=answer.status,
            error_comment=answer.comment,
        )
        self.send_now(context.id, response)

    def send(self, context_id: int, command: Command | bytes, data: bytes | None = None) -> None:
        """Queue a message, to be written with what follows."""
        self.connection.association.send_message(context_id, command, data)

    def send_now(self, context_id: int, command: Command, data: bytes | None = None) -> None:
        """Queue a message and write it (for tasks; within a read the connection writes by itself)."""
        self.send(context_id, command, data)
        self.connection.flush()

    def _run(self, work: Coroutine[Any, Any, None], *inner: object) -> None:
        self.is_busy = True
        self._work = self._server.run(self, self._busy(work), work, *inner)

    async def _busy(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self.is_busy = False
            self.sub_operations = None
            if self._is_ending:
                self.abort()

    # --- C-FIND --------------------------------------------------------------------------------------------------

    def _find(self, context: AcceptedContext, request: CFindRequest, identifier: bytes) -> None:
        responses = _FindResponses(self, context.id, request)
        matches = self._application.find(self.peer, context, request, identifier)
        if isinstance(matches, AsyncIterator):
            self._run(self._find_slowly(matches, responses))
            return
        iterator = iter(matches)
        if not responses.send(iterator, _BATCH):
            self._run(self._find_on(iterator, responses))

    def found(self, matches: int, status: int) -> None:
        """Tell the application that its answer was given."""
        self._application.found(self.peer, matches=matches, status=status)

    def retrieved(self, completed: int, failed: int, status: int) -> None:
        """Tell the application how a C-GET or C-MOVE came out."""
        self._application.retrieved(self.peer, completed=completed, failed=failed, status=status)

    async def _find_on(self, matches: Iterator[Match], responses: "_FindResponses") -> None:
        """Go on with a long list: write, let the peer read, look for C-CANCEL."""
        is_done = False
        while not is_done:
            self.connection.flush()
            await self._until_writable()
            await asyncio.sleep(0)
            if self.connection.is_gone:
                return
            is_done = (
                responses.finish(CANCELLED)
                if self._is_cancelled
                else responses.send(matches, _BATCH)
            )
        self.connection.flush()

    async def _find_slowly(
        self, matches: AsyncIterator[Match | list[Match]], responses: "_FindResponses"
    ) -> None:
        """Matches that take time to come: each is written at once, or as many as come together."""
        async for match in matches:
            if self.connection.is_gone:
                return
            if self._is_cancelled:
                responses.finish(CANCELLED)
                break
            is_done = responses.some(match if isinstance(match, list) else [match])
            self.connection.flush()
            await self._until_writable()
            if is_done:
                break
        responses.finish(SUCCESS)
        self.connection.flush()

    async def _until_writable(self) -> None:
        async with asyncio.timeout(self._server.limits.idle_s):
            await self.connection.writable()


class _FindResponses:
    """Writes C-FIND responses; the pending ones differ only in their identifier and are encoded once."""

    def __init__(self, session: Session, context_id: int, request: CFindRequest) -> None:
        self._session = session
        self._association = session.connection.association
        self._context_id = context_id
        self._request = request
        self._encoded: dict[int, bytes] = {}
        self._matches = 0
        self._is_finished = False

    def send(self, matches: Iterator[Match], most: int) -> bool:
        """Send up to ``most`` responses; returns whether the final one was among them."""
        send, context_id = self._association.send_message, self._context_id
        encoded = self._encoded
        for sent in range(most):
            match = next(matches, None)
            if match is None:
                self._matches += sent
                return self.finish(SUCCESS)
            if isinstance(match, Answer):
                self._matches += sent
                return self.finish(match.status, match.comment)
            status, identifier = match
            if identifier is None:
                self._matches += sent
                return self.finish(status)
            command = encoded.get(status)
            if command is None:
                command = encoded[status] = encode_command(self._response(status, True))
            send(context_id, command, identifier)
        self._matches += most
        return False

    def some(self, matches: list[Match]) -> bool:
        """Send these; returns whether the final one was among them."""
        self.send(iter(matches), len(matches))
        return self._is_finished

    def finish(self, status: int, comment: str = "") -> bool:
        """Send the final response once; returns True."""
        if not self._is_finished:
            self._is_finished = True
            self._association.send_message(self._context_id, self._response(status, False, comment))
            self._session.found(self._matches, status)
        return True

    def _response(self, status: int, has_data_set: bool, comment: str = "") -> CFindResponse:
        return CFindResponse(
            message_id_being_responded_to=self._request.message_id,
            affected_sop_class_uid=self._request.affected_sop_class_uid,
            status=status,
            error_comment=comment,
            has_data_set=has_data_set,
        )
