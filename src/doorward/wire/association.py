"""One association as a state machine without a socket and without a clock (PS3.8 section 9).

Theory of operation::

    bytes -> receive() -> framing -> decode -> table -> events -> next_event()
    verbs (request, accept, reject, send_*, release, abort) -> table -> encode -> take_outgoing()

The owner feeds what it read (``b""`` is the end of the stream), takes events until ``None``, writes what
``take_outgoing`` returns, closes the transport once ``must_close`` is true, and calls ``tick(now)`` before it feeds and
whenever ``deadline()`` has passed: the ARTIM timer runs on the owner's clock.

Invariants: whatever the peer sends, no method raises for it; the answer the Standard asks for is queued and an event says
what happened. A verb in a state that forbids it raises LocalProtocolError and changes nothing. Memory is bounded by one
PDU plus what the owner has not taken. Deliberately not done: several associations on one transport, TLS, data sets.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import ClassVar

from doorward.errors import LocalProtocolError, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.wire.decode import decode_pdu, decode_values
from doorward.wire.dimse import Command, encode_command
from doorward.wire.encode import encode_data_parts, encode_data_values, encode_pdu
from doorward.wire.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    Closed,
    Event,
    Released,
    ReleaseRequested,
)
from doorward.wire.framing import Framer
from doorward.wire.message import MessageReader
from doorward.wire.negotiation import AcceptedContext, accepted_contexts
from doorward.wire.pdu import (
    Abort,
    AbortReason,
    AbortSource,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Fragment,
    Pdu,
    PduType,
    ReleaseReply,
    ReleaseRequest,
)
from doorward.wire.table import COLLISION_STATE, TABLE, Action, Cause, State


class Role(Enum):
    """Who asked for the association (PS3.8 section 3)."""

    REQUESTOR = "requestor"
    ACCEPTOR = "acceptor"


_CAUSE_OF_PDU = {
    PduType.ASSOCIATE_RQ.value: Cause.ASSOCIATE_RQ,
    PduType.ASSOCIATE_AC.value: Cause.ASSOCIATE_AC,
    PduType.ASSOCIATE_RJ.value: Cause.ASSOCIATE_RJ,
    PduType.DATA_TF.value: Cause.DATA_TF,
    PduType.RELEASE_RQ.value: Cause.RELEASE_RQ,
    PduType.RELEASE_RP.value: Cause.RELEASE_RP,
    PduType.ABORT.value: Cause.ABORT,
}
_DATA_TF = PduType.DATA_TF.value
#: Up to so much it is cheaper to copy a fragment behind its header than to write both.
_COPIED_BYTES = 16_384
_OUT_OF_PLACE = "a PDU out of place (PS3.8 Table 9-10)"
#: What our A-ABORT says (PS3.8 Table 9-9): before there is an association the user sends it, later the provider.
_ABORTS = {
    Action.SEND_ABORT: (AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED),
    Action.ABORT_PROVIDER: (AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU),
}
_TAKES_DATA = (State.ESTABLISHED, State.AWAITING_RELEASE_RESPONSE)
_SENDS_DATA = (State.ESTABLISHED, State.AWAITING_LOCAL_RELEASE_RESPONSE)


class Association:
    """The upper layer of one transport connection; ``now`` is seconds on any monotonic clock."""

    def __init__(self, *, role: Role, now: float, limits: Limits = DEFAULT_LIMITS) -> None:
        self.role = role
        self.state = State.IDLE
        self.must_close = False
        #: What was asked for, once it is known (also after the end).
        self.request_pdu: AssociateRequest | None = None
        self._encoded_request = b""
        self.accept_pdu: AssociateAccept | None = None
        #: The contexts that both sides agreed on: id -> (abstract syntax, transfer syntax).
        self.contexts: Mapping[int, AcceptedContext] = {}
        #: Largest P-DATA-TF body that the peer takes; 0 = it sets no limit.
        self.peer_max_pdu_bytes = 0
        self._limits = limits
        self._now = now
        self._artim_at: float | None = None
        self._framer = Framer(limits)
        self._reader = MessageReader(limits)
        self._events: deque[Event] = deque()
        self._outgoing: list[Fragment] = []

    # --- input -------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """The transport stands: the requestor sends its A-ASSOCIATE-RQ, the acceptor waits for one."""
        is_requestor = self.role is Role.REQUESTOR
        self._local(Cause.TRANSPORT_CONFIRMED if is_requestor else Cause.TRANSPORT_INDICATED)

    def receive(self, chunk: Fragment) -> None:
        """Take what the transport read; ``b""`` means that the peer closed it.

        Of a view nothing is kept but numbers and names: fragments are views too, and hold until the next call.
        """
        if not chunk:
            self._framer.forget()
            self._peer(Cause.TRANSPORT_CLOSED)
            self.must_close = True
            return
        framer = self._framer
        was_sound = framer.violation is None
        for pdu_type, start, end in framer.cut(chunk):
            if pdu_type == _DATA_TF and self.state in _TAKES_DATA:
                self._take_data(framer.buffer, start, end)
            elif pdu_type == _DATA_TF:
                self._peer(Cause.DATA_TF)  # out of place, whatever it holds
            else:
                self._take_pdu(pdu_type, framer.buffer[start:end])
        if framer.violation is not None and was_sound:
            self._violated(framer.violation, framer.prefix)

    def tick(self, now: float) -> None:
        """Tell the time; fires ARTIM when it is due (PS3.8 section 9.1.5)."""
        self._now = now
        if self._artim_at is not None and now >= self._artim_at:
            self._artim_at = None
            if self.state is State.AWAITING_ASSOCIATE_REQUEST:
                self._events.append(Closed(timed_out=True))
            self._peer(Cause.ARTIM_EXPIRED)

    def deadline(self) -> float | None:
        """When ``tick`` must be called at the latest, or None."""
        return self._artim_at

    def next_event(self) -> Event | None:
        """Return the oldest event not yet taken, or None."""
        return self._events.popleft() if self._events else None

    def take_events(self) -> Sequence[Event]:
        """Return all events not yet taken, oldest first; a busy association has thousands in one read."""
        events, self._events = self._events, deque()
        return events

    # --- output ------------------------------------------------------------------------------------------------

    def take_outgoing(self) -> list[Fragment]:
        """Return what is to be written now, in order; to be sent in one write (no small packets)."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # --- verbs -------------------------------------------------------------------------------------------------

    def request(self, request: AssociateRequest) -> None:
        """Ask for the association; goes out when ``connected`` is called.

        Raises LocalProtocolError for a request that cannot be encoded.
        """
        # a fault of ours must show here, not in the middle of a connection
        self._encoded_request = encode_pdu(request)
        self._local(Cause.ASSOCIATE_REQUEST, request)

    def accept(self, accept: AssociateAccept) -> None:
        """Answer AssociateRequested with A-ASSOCIATE-AC; LocalProtocolError for one that cannot be encoded."""
        encode_pdu(accept)  # as in ``request``: a refused verb changes nothing
        self._local(Cause.ASSOCIATE_ACCEPTED, accept)

    def reject(self, reject: AssociateReject) -> None:
        """Answer AssociateRequested with A-ASSOCIATE-RJ; LocalProtocolError for one that cannot be encoded."""
        encode_pdu(reject)
        self._local(Cause.ASSOCIATE_REJECTED, reject)

    def send_message(
        self, context_id: int, command: Command | bytes, data: bytes | None = None
    ) -> None:
        """Queue one DIMSE message: a command set and, where it has one, the whole data set.

        ``command`` may be already encoded: a server that repeats a response encodes it once.
        """
        encoded = command if isinstance(command, bytes) else encode_command(command)
        self._may_send(context_id)
        most = self.peer_max_pdu_bytes
        self._outgoing += encode_data_values(context_id, True, encoded, most)
        if data is not None:
            self._outgoing += encode_data_values(context_id, False, data, most)

    def send_fragment(self, context_id: int, data: Fragment, *, is_last: bool) -> None:
        """Queue a piece of the data set of the message begun by ``send_message`` without data.

        A long one is not copied, so it must stay as it is; bytes do.
        """
        self._may_send(context_id)
        most = self.peer_max_pdu_bytes
        if len(data) > _COPIED_BYTES and not 0 < most <= _COPIED_BYTES:
            self._outgoing += encode_data_parts(context_id, data, most, is_last=is_last)
        else:
            self._outgoing += encode_data_values(context_id, False, data, most, is_last=is_last)

    def release(self) -> None:
        """Ask to end the association in order (A-RELEASE-RQ)."""
        self._local(Cause.RELEASE_REQUEST)

    def confirm_release(self) -> None:
        """Answer ReleaseRequested (A-RELEASE-RP)."""
        self._local(Cause.RELEASE_RESPONSE)

    def abort(self) -> None:
        """End the association at once (A-ABORT by the service user); nothing happens when it is over already."""
        if (Cause.ABORT_REQUEST, self.state) in TABLE:
            self._local(Cause.ABORT_REQUEST)

    # --- the machine -------------------------------------------------------------------------------------------

    def _local(self, cause: Cause, pdu: Pdu | None = None) -> None:
        """A verb of ours: an absent cell is our own fault."""
        cell = TABLE.get((cause, self.state))
        if cell is None:
            raise LocalProtocolError(f"{cause.name} is not possible in state {self.state.name}")
        self._run(cell, pdu)

    def _peer(self, cause: Cause, pdu: Pdu | None = None) -> None:
        """Something from outside: an absent cell means that it has no meaning any more."""
        cell = TABLE.get((cause, self.state))
        if cell is None:
            return
        self._run(cell, pdu)
        if cell[0] in _ABORTS:  # a PDU that has no place in the state
            source, reason = _ABORTS[cell[0]]
            self._events.append(Aborted(False, source, reason, violation=_OUT_OF_PLACE))

    def _run(self, cell: tuple[Action, State], pdu: Pdu | None) -> None:
        action, self.state = cell
        self._actions[action](self, pdu)

    def _take_pdu(self, pdu_type: int, body: Fragment) -> None:
        try:
            pdu = decode_pdu(pdu_type, body, self._limits)
        except PeerProtocolError as violation:
            self._violated(violation, b"")
            return
        self._peer(_CAUSE_OF_PDU[pdu_type], pdu)

    def _take_data(self, buffer: Fragment, start: int, end: int) -> None:
        """DT-2 and AR-6: P-DATA indication, made into messages at once."""
        try:
            values = decode_values(buffer, start, end)
            contexts = self.contexts
            for context_id, _, _ in values:
                if context_id not in contexts:
                    raise PeerProtocolError(
                        f"{context_id} is not an accepted context",
                        field="Presentation-context-ID",
                        source="PS3.8 section 9.3.5.1",
                    )
        except PeerProtocolError as violation:
            self._violated(violation, b"")
            return
        try:
            self._reader.take(values, self._events)
        except PeerProtocolError as violation:
            # the rules of DIMSE belong to the service user: A-ABORT request, not A-P-ABORT
            self._local(Cause.ABORT_REQUEST)
            self._events.append(
                Aborted(False, AbortSource.SERVICE_USER, 0, violation=str(violation))
            )

    def _violated(self, violation: PeerProtocolError, prefix: bytes) -> None:
        """Evt19: an unrecognised or invalid PDU."""
        cell = TABLE.get((Cause.INVALID_PDU, self.state))
        if cell is None:
            return
        action, self.state = cell
        source, reason = AbortSource.SERVICE_PROVIDER.value, violation.abort_reason
        if action is Action.SEND_ABORT:
            source, reason = _ABORTS[action]
        self._queue(Abort(source=source, reason=reason))
        if action is Action.REPEAT_ABORT:
            return  # AA-7 lets ARTIM run on: who repeats the fault must not keep the connection by it
        self._start_artim(None)
        kept = prefix[: self._limits.banner_bytes]
        self._events.append(Aborted(False, source, reason, violation=str(violation), prefix=kept))

    def _may_send(self, context_id: int) -> None:
        if self.state not in _SENDS_DATA:
            raise LocalProtocolError(f"no data can be sent in state {self.state.name}")
        if context_id not in self.contexts:
            raise LocalProtocolError(f"presentation context {context_id} was not accepted")

    # --- actions, in the order of PS3.8 Tables 9-6 to 9-9 ----------------------------------------------------------

    def _queue(self, pdu: Pdu) -> None:
        self._outgoing.append(encode_pdu(pdu))

    def _start_artim(self, _: Pdu | None) -> None:
        self._artim_at = self._now + self._limits.artim_s

    def _stop_artim(self, _: Pdu | None) -> None:
        self._artim_at = None

    def _request_transport(self, pdu: Pdu | None) -> None:  # AE-1
        assert isinstance(pdu, AssociateRequest)
        self.request_pdu = pdu

    def _send_associate_rq(self, _: Pdu | None) -> None:  # AE-2
        self._outgoing.append(self._encoded_request)

    def _confirm_accept(self, pdu: Pdu | None) -> None:  # AE-3
        assert isinstance(pdu, AssociateAccept)
        assert self.request_pdu is not None
        self.accept_pdu = pdu
        self.contexts = accepted_contexts(self.request_pdu, pdu)
        if self._adopt_peer_size(pdu.user_information.max_pdu_bytes):
            self._events.append(AssociateAccepted(pdu))

    def _confirm_reject(self, pdu: Pdu | None) -> None:  # AE-4
        assert isinstance(pdu, AssociateReject)
        self._events.append(AssociateRejected(pdu))
        self.must_close = True

    def _indicate_associate(self, pdu: Pdu | None) -> None:  # AE-6
        assert isinstance(pdu, AssociateRequest)
        self._artim_at = None
        self.request_pdu = pdu
        if self._adopt_peer_size(pdu.user_information.max_pdu_bytes):
            self._events.append(AssociateRequested(pdu))

    def _adopt_peer_size(self, max_pdu_bytes: int | None) -> bool:
        """Take over how much the peer accepts in one PDU; one that takes next to nothing is sent away."""
        self.peer_max_pdu_bytes = max_pdu_bytes or 0
        least = self._limits.peer_pdu_bytes
        if 0 < self.peer_max_pdu_bytes < least:
            violation = PeerProtocolError(
                f"{self.peer_max_pdu_bytes} bytes, less than {least}",
                field="Maximum-length-received",
                source="PS3.8 section D.1",
            )
            self._violated(violation, b"")
            return False
        return True

    def _send_associate_ac(self, pdu: Pdu | None) -> None:  # AE-7
        assert isinstance(pdu, AssociateAccept)
        assert self.request_pdu is not None
        self.accept_pdu = pdu
        self.contexts = accepted_contexts(self.request_pdu, self.accept_pdu)
        self._queue(self.accept_pdu)

    def _send_associate_rj(self, pdu: Pdu | None) -> None:  # AE-8
        assert pdu is not None
        self._queue(pdu)
        self._start_artim(None)

    def _send_release_rq(self, _: Pdu | None) -> None:  # AR-1
        self._queue(ReleaseRequest())

    def _indicate_release(self, _: Pdu | None) -> None:  # AR-2
        self._events.append(ReleaseRequested())

    def _confirm_release(self, _: Pdu | None) -> None:  # AR-3
        self._events.append(Released())
        self.must_close = True

    def _send_release_rp(self, _: Pdu | None) -> None:  # AR-4
        self._queue(ReleaseReply())
        self._start_artim(None)

    def _indicate_collision(self, _: Pdu | None) -> None:  # AR-8
        self.state = COLLISION_STATE[self.role is Role.REQUESTOR]
        self._events.append(ReleaseRequested())

    def _send_collision_rp(self, _: Pdu | None) -> None:  # AR-9
        self._queue(ReleaseReply())

    def _confirm_collision(self, _: Pdu | None) -> None:  # AR-10
        self._events.append(Released())

    def _send_abort(self, _: Pdu | None) -> None:  # AA-1
        source, reason = _ABORTS[Action.SEND_ABORT]
        self._queue(Abort(source=source, reason=reason))
        self._start_artim(None)

    def _close(self, _: Pdu | None) -> None:  # AA-2
        self._artim_at = None
        self.must_close = True

    def _indicate_abort(self, pdu: Pdu | None) -> None:  # AA-3
        assert isinstance(pdu, Abort)
        self._events.append(Aborted(True, pdu.source, pdu.reason))
        self.must_close = True

    def _indicate_transport_loss(self, _: Pdu | None) -> None:  # AA-4, AA-5
        self._artim_at = None
        self._events.append(Closed())
        self.must_close = True

    def _repeat_abort(self, _: Pdu | None) -> None:  # AA-7
        self._queue(Abort(source=AbortSource.SERVICE_PROVIDER, reason=AbortReason.UNEXPECTED_PDU))

    def _abort_provider(self, _: Pdu | None) -> None:  # AA-8, a PDU that has no place in this state
        source, reason = _ABORTS[Action.ABORT_PROVIDER]
        self._queue(Abort(source=source, reason=reason))
        self._start_artim(None)

    def _nothing(self, _: Pdu | None) -> None:
        """An action that other code has done already, or that has no effect."""

    #: One function for each action; of the class, because an auditor makes thousands of associations.
    _actions: ClassVar[Mapping[Action, Callable[["Association", Pdu | None], None]]] = {
        Action.REQUEST_TRANSPORT: _request_transport,
        Action.SEND_ASSOCIATE_RQ: _send_associate_rq,
        Action.CONFIRM_ACCEPT: _confirm_accept,
        Action.CONFIRM_REJECT: _confirm_reject,
        Action.AWAIT_REQUEST: _start_artim,
        Action.INDICATE_ASSOCIATE: _indicate_associate,
        Action.SEND_ASSOCIATE_AC: _send_associate_ac,
        Action.SEND_ASSOCIATE_RJ: _send_associate_rj,
        Action.SEND_DATA: _nothing,  # DT-1 and AR-7 are send_message and send_fragment
        Action.SEND_LATE_DATA: _nothing,
        Action.INDICATE_DATA: _nothing,  # DT-2 and AR-6 are _take_data
        Action.INDICATE_LATE_DATA: _nothing,
        Action.SEND_RELEASE_RQ: _send_release_rq,
        Action.INDICATE_RELEASE: _indicate_release,
        Action.CONFIRM_RELEASE: _confirm_release,
        Action.SEND_RELEASE_RP: _send_release_rp,
        Action.CLOSED_IN_ORDER: _stop_artim,
        Action.INDICATE_COLLISION: _indicate_collision,
        Action.SEND_COLLISION_RP: _send_collision_rp,
        Action.CONFIRM_COLLISION: _confirm_collision,
        Action.SEND_ABORT: _send_abort,
        Action.CLOSE: _close,
        Action.INDICATE_ABORT: _indicate_abort,
        Action.INDICATE_TRANSPORT_LOSS: _indicate_transport_loss,
        Action.STOP_TIMER: _indicate_transport_loss,
        Action.IGNORE: _nothing,
        Action.REPEAT_ABORT: _repeat_abort,
        Action.ABORT_PROVIDER: _abort_provider,
    }
