"""What a server offers: an ``Application`` decides and produces, and never sees a socket. Its defaults refuse everything."""

from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doorward.net.begun import Source
from doorward.net.suboperations import MovePlan
from doorward.net.transfer import Answer, Receiver, StreamReceiver
from doorward.wire.command import (
    CFindRequest,
    CGetRequest,
    CMoveRequest,
    CStoreRequest,
    NActionRequest,
)
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest

if TYPE_CHECKING:
    from doorward.net.session import Session

SUCCESS = 0x0000
PENDING = 0xFF00
CANCELLED = 0xFE00
#: Refused: SOP Class not supported (PS3.7 Annex C.5.23).
SOP_CLASS_NOT_SUPPORTED = 0x0122
#: Failed: unrecognized operation (PS3.7 Annex C.5.24).
UNRECOGNIZED_OPERATION = 0x0211
#: One response to C-FIND: a pending status with its identifier, or the final status with None or as an Answer.
Match = tuple[int, bytes | None] | Answer
#: What answers a C-GET: what to send back, or why not.
Found = Iterable[Source] | Answer | int
#: What answers a C-MOVE: where to send what, or why not.
Planned = MovePlan | Answer | int
#: What answers an association request; None leaves it unanswered.
Associated = AssociateAccept | AssociateReject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is calling, as far as the transport knows; titles are what the peer says of itself."""

    id: int
    address: str
    port: int
    local_address: str
    local_port: int
    #: DER of the verified client certificate; None without TLS or without a certificate.
    certificate: bytes | None
    #: The association, for an application that must end it by itself.
    session: "Session"
    #: Whether the connection is inside TLS.
    is_encrypted: bool = False


class Application:
    """What a server offers. Override what it does; everything else is refused."""

    def knocked(self, address: str, port: int) -> None:
        """A connection came to this door of ours; whether it is ever heard, TLS decides."""

    def turned_away(self, address: str, reason: str) -> None:
        """TLS has refused a caller from there: nothing of DICOM was said."""

    def connected(self, peer: Peer) -> None:
        """A connection stands, and nothing was said over it."""

    async def work(self) -> None:
        """What is to be done beside all associations, for as long as the server runs; it is cancelled at the end."""

    def associate(
        self, peer: Peer, request: AssociateRequest
    ) -> Associated | Awaitable[Associated]:
        """Answer an association request; what must be waited for has ``associate_decide_s``, then it is a rejection."""
        return AssociateReject(result=1, source=1, reason=1)

    def echo(self, peer: Peer) -> Answer | int:
        """Return the status of C-ECHO."""
        return SUCCESS

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match] | AsyncIterator[Match | list[Match]]:
        """Produce the responses; success is added where no final status comes last.

        What takes time to come may come several at a time, which are written at once.
        """
        return [(SOP_CLASS_NOT_SUPPORTED, None)]

    def found(self, peer: Peer, *, matches: int, status: int) -> None:
        """The final response of a C-FIND was given, after so many matches."""

    def cancelled(self, peer: Peer) -> None:
        """The peer wants no more of what is running (C-CANCEL)."""

    def store(
        self, peer: Peer, context: AcceptedContext, request: CStoreRequest
    ) -> Receiver | StreamReceiver | int:
        """Return who takes the data set, or the status that refuses it."""
        return SOP_CLASS_NOT_SUPPORTED

    def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Found | Awaitable[Found]:
        """Return what to send back on the same association, or the status that refuses."""
        return SOP_CLASS_NOT_SUPPORTED

    def move(
        self, peer: Peer, context: AcceptedContext, request: CMoveRequest, identifier: bytes
    ) -> Planned | Awaitable[Planned]:
        """Return what to send where, or the status that refuses (A801: destination unknown)."""
        return SOP_CLASS_NOT_SUPPORTED

    def action(
        self, peer: Peer, context: AcceptedContext, request: NActionRequest, information: bytes
    ) -> Answer | int | Awaitable[Answer]:
        """Return the status of N-ACTION; ``information`` is its data set, b"" where it has none."""
        return SOP_CLASS_NOT_SUPPORTED

    def retrieved(self, peer: Peer, *, completed: int, failed: int, status: int) -> None:
        """The final response of a C-GET or C-MOVE was given; ``completed`` includes those with a warning."""

    def ended(self, peer: Peer, *, in_order: bool) -> None:
        """The association is over."""
