"""C-GET and C-MOVE as a performer: the C-STORE sub-operations and their counters (PS3.4 sections C.4.2 and C.4.3)."""

import asyncio
import inspect
import ssl
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from doorward.errors import (
    DoorwardError,
    ImageError,
    LimitExceeded,
    PeerProtocolError,
    StorageError,
)
from doorward.net.client import Proposal, Requestor, associate
from doorward.net.dial import Gate
from doorward.net.transfer import Answer, Rewritable, Source, fitting, send_streamed, store
from doorward.wire.command import (
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    CStoreRequest,
    CStoreResponse,
)
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.status import StatusClass, classify

if TYPE_CHECKING:
    from doorward.net.session import Session

_SUCCESS = 0x0000
_PENDING = 0xFF00
_CANCELLED = 0xFE00
#: Warning: sub-operations complete, one or more failures or warnings (PS3.4 Table C.4-2).
_SOME_FAILED = 0xB000
#: Refused: out of resources, unable to perform sub-operations (PS3.4 Table C.4-2).
_ALL_FAILED = 0xA702


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
        self._response: asyncio.Future[int] | None = None
        self._is_cancelled = False
        self._completed = self._failed = self._warned = 0

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
        """Perform all and send the final response."""
        try:
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
        except asyncio.CancelledError:
            if not self._session.connection.is_gone:
                raise
            return
        self._respond(self._final_status())

    # --- inner ---------------------------------------------------------------------------------------------------

    async def _get(self, instances: Iterable[Source]) -> None:
        self._instances = list(instances)
        for number, instance in enumerate(self._instances, 1):
            if self._is_cancelled:
                return
            self._count(await self._send_back(number, instance))
            # It leaves with what follows: to write twice wakes the peer twice.
            self._respond(_PENDING, is_flushed=False)

    async def _send_back(self, number: int, instance: Source) -> int:
        """Send one instance on the association of the C-GET and return the status of its C-STORE."""
        connection = self._session.connection
        found = fitting(connection.association.contexts.values(), instance)
        if found is None:
            return _ALL_FAILED
        context, instance = found
        self._response = asyncio.get_running_loop().create_future()
        request = CStoreRequest(
            message_id=number % 65_535 + 1,
            affected_sop_class_uid=instance.sop_class_uid,
            affected_sop_instance_uid=instance.sop_instance_uid,
        )
        try:
            await send_streamed(connection, context, request, instance.pieces(), self._writable)
        except (ImageError, LimitExceeded, PeerProtocolError, StorageError):
            if connection.association.must_close:
                raise  # in the middle of the data set: nothing more can be said
            return _ALL_FAILED
        await self._writable()
        async with asyncio.timeout(connection.limits.reply_s):
            return await self._response

    async def _writable(self) -> None:
        async with asyncio.timeout(self._session.connection.limits.reply_s):
            await self._session.connection.writable()

    async def _move(self, plan: MovePlan) -> None:
        self._instances = list(plan.instances)
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
            ) as destination:
                await self._store_all(destination, plan)
        except DoorwardError:
            self._failed = len(self._instances) - self._completed - self._warned

    async def _store_all(self, destination: Requestor, plan: MovePlan) -> None:
        originator = (plan.originator_ae_title, self._request.message_id)
        for instance in self._instances:
            if self._is_cancelled:
                return
            contexts = destination.connection.association.contexts.values()
            _, sent = fitting(contexts, instance) or (None, instance)
            try:
                status = await store(destination, sent, move_originator=originator)
            except DoorwardError:
                destination.check()  # the association is gone: all the rest fails
                status = _ALL_FAILED
            self._count(status)
            self._respond(_PENDING)

    def _count(self, status: int) -> None:
        match classify(status):
            case StatusClass.SUCCESS:
                self._completed += 1
            case StatusClass.WARNING:
                self._warned += 1
            case _:
                self._failed += 1

    def _final_status(self) -> int:
        if self._is_cancelled:
            return _CANCELLED
        if self._failed and not self._completed and not self._warned:
            return _ALL_FAILED
        return _SOME_FAILED if self._failed or self._warned else _SUCCESS

    def _respond(self, status: int, comment: str = "", *, is_flushed: bool = True) -> None:
        remaining = len(self._instances) - self._completed - self._failed - self._warned
        is_ongoing = status in (_PENDING, _CANCELLED)
        response = CGetResponse if isinstance(self._request, CGetRequest) else CMoveResponse
        send = self._session.send_now if is_flushed else self._session.send
        send(
            self._context.id,
            response(
                message_id_being_responded_to=self._request.message_id,
                affected_sop_class_uid=self._request.affected_sop_class_uid,
                status=status,
                error_comment=comment,
                number_of_remaining_suboperations=remaining if is_ongoing else None,
                number_of_completed_suboperations=self._completed,
                number_of_failed_suboperations=self._failed,
                number_of_warning_suboperations=self._warned,
            ),
        )
        if status != _PENDING:
            completed = self._completed + self._warned
            self._session.retrieved(completed, self._failed, status)


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
