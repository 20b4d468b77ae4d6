"""C-STORE, C-GET and C-MOVE as a requestor: everything that moves an image.

A module of its own so that one import tells who can: the auditor may not import it (tests/test_floors.py), which is how
its promise never to take and never to change can be read off the code.
Data sets go through as bytes in the transfer syntax of their context; nothing is decoded here. What is not accepted as it is
may be written anew by whoever has it (``Rewritable``).
"""

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from doorward.dicom.attributes import read_attributes
from doorward.dicom.part10 import syntax_of
from doorward.errors import LimitExceeded, LocalProtocolError, PeerProtocolError
from doorward.net.begun import AtHand, Begun, Source
from doorward.net.client import Requestor
from doorward.net.connection import Connection
from doorward.net.tally import FAILED_SOP_INSTANCE_UID_LIST
from doorward.wire.command import (
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    Command,
    CStoreRequest,
    CStoreResponse,
)
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import Fragment

#: Bytes queued before the sender lets the transport drain.
_PIECE = 262_144


class Receiver(Protocol):
    """Takes one instance as it arrives."""

    def fragment(self, fragment: bytes) -> None:
        """The next piece of the data set."""

    def end(self) -> int:
        """The data set is whole; returns the C-STORE status to answer with."""

    def abandon(self) -> None:
        """The association ended in the middle of the data set."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and what is said with it: Error Comment (0000,0902), LO, at most 64 characters, no patient data."""

    status: int
    comment: str = field(default="", repr=False)


#: Takes one data set as its fragments come, at its own pace, and answers when it may be answered. Cancelled where the
#: association ends before.
StreamReceiver = Callable[[AsyncIterator[bytes]], Awaitable[Answer]]

#: Called for each incoming C-STORE: returns who takes the data set, or a status that refuses it.
OnStore = Callable[[AcceptedContext, CStoreRequest], Receiver | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance(AtHand):
    """One composite instance, ready to be sent in its own transfer syntax."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes = field(repr=False)

    def at_once(self) -> bytes | None:
        """Return the data set where it is worth one write only."""
        return self.data_set if len(self.data_set) <= _PIECE else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the data set in pieces that are worth a write."""
        view = memoryview(self.data_set)
        for at in range(0, len(view), _PIECE):
            yield bytes(view[at : at + _PIECE])


@runtime_checkable
class Rewritable(Source, Protocol):
    """One that can also be sent in other transfer syntaxes."""

    @property
    def other_syntaxes(self) -> Sequence[str]:
        """What it can be written in besides its own syntax, the best first."""

    def written_in(self, accepted: Collection[str]) -> Source | None:
        """Return it in one of these syntaxes; None where it can be written in none of them."""


def fitting(
    contexts: Iterable[AcceptedContext], instance: Source
) -> tuple[AcceptedContext, Source] | None:
    """Return the context in which an instance may be sent, and the instance as it is sent there; None where in none."""
    known = {
        one.transfer_syntax: one
        for one in contexts
        if one.abstract_syntax == instance.sop_class_uid
    }
    if instance.transfer_syntax_uid not in known and isinstance(instance, Rewritable):
        instance = instance.written_in(known.keys()) or instance
    context = known.get(instance.transfer_syntax_uid)
    return None if context is None else (context, instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveResult:
    """What C-GET or C-MOVE came to (PS3.7 sections 9.1.3, 9.1.4)."""

    status: int
    completed: int
    failed: int
    warning: int
    #: Error Comment (0000,0902): free text of the peer, which may hold patient data.
    comment: str = field(default="", repr=False)
    #: Failed SOP Instance UID List (0008,0058), where the peer has sent one.
    failed_sop_instance_uids: tuple[str, ...] = ()


async def store(
    requestor: Requestor,
    instance: Source | Begun,
    *,
    move_originator: tuple[str, int] | None = None,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Send one instance and return the status of C-STORE.

    Raises LocalProtocolError when no context with its SOP class and transfer syntax was accepted; otherwise like
    ``Requestor.perform``. ``move_originator``: AE title and message id of the C-MOVE that this belongs to. ``meanwhile``
    is done while the answer is on its way.
    """
    begun = instance if isinstance(instance, Begun) else Begun(instance)
    instance = begun.source
    context = requestor.context_for(instance.sop_class_uid, instance.transfer_syntax_uid)
    if context is None:
        raise LocalProtocolError(
            f"no accepted context for SOP class {instance.sop_class_uid} in {instance.transfer_syntax_uid}"
        )
    originator, originator_id = move_originator or ("", None)
    operation = _Store()

    def make(message_id: int) -> CStoreRequest:
        return CStoreRequest(
            message_id=message_id,
            affected_sop_class_uid=instance.sop_class_uid,
            affected_sop_instance_uid=instance.sop_instance_uid,
            move_originator_ae_title=originator,
            move_originator_message_id=originator_id,
        )

    await begun.read()
    await _send_request(requestor, context, make, operation, begun, meanwhile)
    return operation.status


async def _send_request(
    requestor: Requestor,
    context: AcceptedContext,
    make: Callable[[int], CStoreRequest],
    operation: "_Store",
    begun: Begun,
    meanwhile: Callable[[], Awaitable[None]] | None,
) -> None:
    """Send a request whose data set is streamed: no more than one piece is queued beyond what the transport holds."""
    connection = requestor.connection
    requestor.begin(operation)
    try:
        request = make(requestor.next_message_id())
        await send_begun(connection, context, request, begun, requestor.writable)
        if meanwhile is not None:
            await meanwhile()
    except BaseException:
        requestor.give_up(operation)
        raise
    await requestor.finish(operation)


async def send_begun(
    connection: Connection,
    context: AcceptedContext,
    request: CStoreRequest | bytes,
    begun: Begun,
    writable: Callable[[], Awaitable[object]],
) -> None:
    """Send a request, encoded already or not, and its data set; raises like ``send_streamed``."""
    if begun.whole is None:
        await send_streamed(connection, context, request, begun.pieces(), writable)
        return
    connection.association.send_message(context.id, request)
    connection.association.send_fragment(context.id, begun.whole, is_last=True)
    connection.flush()


async def send_streamed(
    connection: Connection,
    context: AcceptedContext,
    request: CStoreRequest | bytes,
    pieces: AsyncIterable[bytes],
    writable: Callable[[], Awaitable[object]],
) -> None:
    """Send a request and its data set; nothing was sent where ``pieces`` fails before its first piece.

    Where it fails later the association is aborted: half a data set must not pass for a whole one. ``writable`` waits for
    the peer, with the bound of whoever sends.
    """
    held: bytes | None = None
    try:
        async for piece in pieces:
            if held is None:
                connection.association.send_message(context.id, request)
            else:
                connection.association.send_fragment(context.id, held, is_last=False)
                connection.flush()
                await writable()
            held = piece
    except BaseException:
        if held is not None:
            connection.association.abort()
            connection.flush()
        raise
    if held is None:
        connection.association.send_message(context.id, request)
    connection.association.send_fragment(context.id, held or b"", is_last=True)
    connection.flush()


async def get(
    requestor: Requestor, abstract_syntax: str, identifier: bytes, on_store: OnStore
) -> RetrieveResult:
    """Send C-GET and give each incoming instance to ``on_store`` (PS3.4 section C.4.3).

    The storage contexts must have been proposed with the SCP role; raises like ``Requestor.perform``.
    """
    context = requestor.context_for(abstract_syntax)
    if context is None:
        raise LocalProtocolError(f"the peer did not accept a context for {abstract_syntax}")
    operation = _Get(requestor, on_store)
    try:
        await requestor.perform(
            context,
            lambda message_id: CGetRequest(
                message_id=message_id, affected_sop_class_uid=abstract_syntax
            ),
            operation,
            data=identifier,
        )
    finally:
        operation.abandon()
    return operation.result()


async def move(
    requestor: Requestor, abstract_syntax: str, identifier: bytes, destination: str
) -> RetrieveResult:
    """Send C-MOVE to ``destination`` (an AE title that the peer knows); raises like ``Requestor.perform``."""
    context = requestor.context_for(abstract_syntax)
    if context is None:
        raise LocalProtocolError(f"the peer did not accept a context for {abstract_syntax}")
    operation = _Retrieve(requestor, CMoveResponse)
    await requestor.perform(
        context,
        lambda message_id: CMoveRequest(
            message_id=message_id,
            affected_sop_class_uid=abstract_syntax,
            move_destination=destination,
        ),
        operation,
        data=identifier,
    )
    return operation.result()


class _Store:
    """C-STORE as seen by the sender: one response."""

    def __init__(self) -> None:
        self.is_done = False
        self.status = -1

    def command(self, context_id: int, command: Command) -> None:
        """Take the response."""
        if isinstance(command, CStoreResponse) and not self.is_done:
            self.status = command.status
            self.is_done = True

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """C-STORE-RSP has no data set; one that comes is dropped."""


class _Retrieve:
    """C-MOVE, and the responses of C-GET."""

    def __init__(
        self, requestor: Requestor, response: type[CGetResponse] | type[CMoveResponse]
    ) -> None:
        self._requestor = requestor
        self._response = response
        self._last: CGetResponse | CMoveResponse | None = None
        self._context_id = 0
        self._identifier = bytearray()
        self.is_done = False

    def command(self, context_id: int, command: Command) -> None:
        """Take a response; pending ones report progress."""
        if isinstance(command, self._response) and not self.is_done:
            self._last, self._context_id = command, context_id
            self._identifier.clear()
            self.is_done = command.status not in (0xFF00, 0xFF01) and not command.has_data_set

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """Keep the identifier of the final response; one that is too long is dropped."""
        if self._last is None or self._last.status in (0xFF00, 0xFF01):
            return
        most = self._requestor.connection.limits.identifier_bytes
        if len(self._identifier) + len(fragment) <= most:
            self._identifier += fragment
        self.is_done = is_last

    def result(self) -> RetrieveResult:
        """Return what the final response says."""
        assert self._last is not None
        return RetrieveResult(
            status=self._last.status,
            completed=self._last.number_of_completed_suboperations or 0,
            failed=self._last.number_of_failed_suboperations or 0,
            warning=self._last.number_of_warning_suboperations or 0,
            comment=self._last.error_comment,
            failed_sop_instance_uids=self._failed(),
        )

    def _failed(self) -> tuple[str, ...]:
        context = self._requestor.connection.association.contexts.get(self._context_id)
        if context is None or not self._identifier:
            return ()
        wanted = (FAILED_SOP_INSTANCE_UID_LIST,)
        syntax = syntax_of(context.transfer_syntax)
        try:
            found = read_attributes(bytes(self._identifier), syntax, wanted)
        except (PeerProtocolError, LimitExceeded):
            return ()  # the counters say all that is needed
        named = found.get(FAILED_SOP_INSTANCE_UID_LIST)
        return () if named is None else tuple(uid for uid in named.values if uid)


class _Get(_Retrieve):
    """C-GET: the peer sends C-STORE requests on the same association and waits for our responses."""

    def __init__(self, requestor: Requestor, on_store: OnStore) -> None:
        super().__init__(requestor, CGetResponse)
        self._on_store = on_store
        self._incoming: IncomingStore | None = None

    def command(self, context_id: int, command: Command) -> None:
        """A response of the C-GET, or a sub-operation."""
        if isinstance(command, CStoreRequest):
            context = self._requestor.connection.association.contexts[context_id]
            self._incoming = IncomingStore(context, command, self._on_store(context, command))
        else:
            super().command(context_id, command)

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """A piece of an instance; the response leaves with the next flush of the connection."""
        incoming = self._incoming
        if incoming is None:
            super().fragment(fragment, is_last)
            return
        incoming.fragment(fragment)
        if is_last:
            self._incoming = None
            self._requestor.connection.association.send_message(
                incoming.context.id, incoming.response(incoming.end())
            )

    def abandon(self) -> None:
        """Nothing more will come; tells whoever was in the middle of an instance."""
        if self._incoming is not None:
            self._incoming.abandon()
            self._incoming = None


class IncomingStore:
    """One C-STORE being received, by either role: counts its bytes, remembers whom to answer."""

    def __init__(
        self, context: AcceptedContext, request: CStoreRequest, taker: Receiver | int
    ) -> None:
        self.context = context
        self._request = request
        self._receiver = None if isinstance(taker, int) else taker
        self._refusal = taker if isinstance(taker, int) else 0

    def fragment(self, fragment: Fragment) -> None:
        """Pass a piece on; a refused instance is read to its end and dropped (PS3.7 9.3.1.2 has no other way)."""
        if self._receiver is not None:
            self._receiver.fragment(bytes(fragment))  # copies only what was borrowed

    def end(self) -> int:
        """Return the status to answer with."""
        return self._refusal if self._receiver is None else self._receiver.end()

    def abandon(self) -> None:
        """The association ended before the data set did."""
        if self._receiver is not None:
            self._receiver.abandon()

    def response(self, status: int, comment: str = "") -> CStoreResponse:
        """Return the C-STORE-RSP for a status."""
        return CStoreResponse(
            message_id_being_responded_to=self._request.message_id,
            status=status,
            error_comment=comment,
            affected_sop_class_uid=self._request.affected_sop_class_uid,
            affected_sop_instance_uid=self._request.affected_sop_instance_uid,
        )
