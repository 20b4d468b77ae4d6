"""The requestor's side of an association: ask for it, C-ECHO, C-FIND, C-CANCEL, release.

Theory of operation: ``associate`` dials through the caller's gate and returns a ``Requestor``; one operation runs at a time
(PS3.7 D.3.3.3: without negotiation the window is one). An operation is a small object that takes the responses as they are
decoded, without a task switch, so that counting matches costs microseconds. Leaving the context always sends A-RELEASE-RQ
when the association stands, also on Ctrl-C and after an operation that got no answer; A-ABORT only when the release is
not answered either.
Deliberately not here: C-STORE, C-GET and C-MOVE. They are in ``transfer``, which the auditor may not import.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    DoorwardError,
    LocalProtocolError,
    OperationFailed,
    ReplyTimeout,
    TlsFailed,
)
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.connection import Connection, ForgetfulConnection
from doorward.net.dial import Gate, dial
from doorward.net.operations import Find, FindEnd, FindResult, OnMatch, Operation, Single
from doorward.wire.association import Role
from doorward.wire.command import (
    CCancelRequest,
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    Request,
)
from doorward.wire.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    Closed,
    CommandReceived,
    DataFragment,
    Event,
    Released,
    ReleaseRequested,
)
from doorward.wire.negotiation import AcceptedContext, propose
from doorward.wire.pdu import (
    AssociateAccept,
    AssociateRequest,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from doorward.wire.rejection import describe_rejection
from doorward.wire.status import StatusClass, classify, describe
from doorward.wire.table import State
from doorward.wire.uids import VERIFICATION

#: Our own root below 2.25 (PS3.5 B.2), and what we call ourselves (PS3.7 D.3.3.2): nobody else's identity is borrowed.
IMPLEMENTATION_CLASS_UID = "2.25.111653975904416659696091810298867413426"
IMPLEMENTATION_VERSION_NAME = "DOORWARD_0_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an association is asked for. ``contexts``: (abstract syntax, transfer syntaxes), at most 128."""

    called_ae_title: str
    calling_ae_title: str
    contexts: Sequence[tuple[str, Sequence[str]]]
    role_selections: tuple[RoleSelection, ...] = ()
    user_identity: UserIdentity | None = None


def associate_request(proposal: Proposal, limits: Limits = DEFAULT_LIMITS) -> AssociateRequest:
    """Return the A-ASSOCIATE-RQ of a proposal, with this project's own identity."""
    return AssociateRequest(
        called_ae_title=proposal.called_ae_title,
        calling_ae_title=proposal.calling_ae_title,
        presentation_contexts=propose(proposal.contexts),
        user_information=UserInformation(
            max_pdu_bytes=limits.max_pdu_bytes,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            role_selections=proposal.role_selections,
            user_identity=proposal.user_identity,
        ),
    )


@asynccontextmanager
async def associate(
    address: str,
    port: int,
    proposal: Proposal,
    *,
    gate: Gate,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    forgetful: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator["Requestor"]:
    """Open an association and end it in order when the context is left.

    ``forgetful``: nothing that the peer sends stays in memory, and operations see views that hold for the call only.
    Raises what ``dial`` raises; AssociationRejected; AssociationAborted; ReplyTimeout after ``limits.associate_s``.
    """
    request = associate_request(proposal, limits)
    requestor = Requestor(request, limits)
    kind = ForgetfulConnection if forgetful else Connection
    await dial(
        address,
        port,
        gate=gate,
        protocol=lambda: kind(requestor, role=Role.REQUESTOR, limits=limits),
        tls=tls,
        server_name=server_name,
        limits=limits,
    )
    try:
        await requestor.established()
        yield requestor
    finally:
        await requestor.end()


class Requestor:
    """One association that we asked for. Made by ``associate``."""

    def __init__(self, request: AssociateRequest, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self._connection: Connection | None = None
        self._settled = asyncio.Event()  # accepted, rejected, or failed
        self._progress = asyncio.Event()  # the operation is done, or the association is over
        self._failure: Exception | None = None
        self._operation: Operation | None = None
        self._is_released = False
        self._message_id = 0
        self._is_answer = False  # the last command, and the data set that follows it
        self.accept: AssociateAccept | None = None

    # --- the connection calls these ------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Queue the request; it leaves with the first flush."""
        self._connection = connection
        connection.association.request(self._request)

    def take(self, event: Event) -> None:
        """Sort one event, the two frequent kinds first.

        An answer of ours that the association, over by now, cannot take any more is dropped.
        """
        operation = self._operation
        try:
            if isinstance(event, DataFragment):
                if operation is not None and self._is_answer:
                    operation.fragment(event.fragment, event.is_last)
                    if event.is_last and operation.is_done:
                        self._progress.set()
            elif isinstance(event, CommandReceived):
                command, asked = event.command, self._message_id
                # A response to a message that was never sent answers nothing (PS3.7 section 9.3); requests have no such field.
                self._is_answer = getattr(command, "message_id_being_responded_to", asked) == asked
                if operation is not None and self._is_answer:
                    operation.command(event.context_id, command)
                    if operation.is_done and not command.has_data_set:
                        self._progress.set()
            else:
                self._take_rare(event)
        except LocalProtocolError:
            pass  # the peer ended it within the same read: the event that says so is still to come

    def closed(self) -> None:
        """The transport is gone."""
        if self._failure is None and not self._is_released:
            self._fail(self._lost())
        self._settled.set()
        self._progress.set()

    def _take_rare(self, event: Event) -> None:
        match event:
            case AssociateAccepted(accept):
                self.accept = accept
                self._settled.set()
            case AssociateRejected(reject):
                self._fail(
                    AssociationRejected(
                        f"association rejected: {describe_rejection(reject.result, reject.source, reject.reason)}",
                        result=reject.result,
                        source=reject.source,
                        reason=reject.reason,
                    )
                )
            case Aborted():
                self._fail(_aborted(event))
            case Closed():
                self._fail(self._lost())
            case ReleaseRequested():
                association = self.connection.association
                association.confirm_release()
                if association.state is State.COLLISION_REQUESTOR_PEER:
                    return  # both asked at once: the answer to our own request is still to come
                self._is_released = True
                self._fail(AssociationAborted("the peer released the association", by_peer=True))
            case Released():
                self._is_released = True  # the connection closes; ``closed`` wakes who waits
            case _:
                pass

    def _lost(self) -> Exception:
        """The transport ended: by a bug of ours, by a TLS alert after the handshake, or by the peer."""
        if self.connection.fault is not None:
            return self.connection.fault
        if self.connection.tls_loss is not None:
            return self.connection.tls_loss
        return AssociationAborted("the peer closed the connection", by_peer=True)

    def _fail(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        self._settled.set()
        self._progress.set()

    # --- what callers use ----------------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """The transport; exists once ``associate`` has dialled."""
        assert self._connection is not None
        return self._connection

    @property
    def contexts(self) -> dict[int, AcceptedContext]:
        """The accepted presentation contexts by id."""
        return dict(self.connection.association.contexts)

    def context_for(
        self, abstract_syntax: str, transfer_syntax: str | None = None
    ) -> AcceptedContext | None:
        """Return an accepted context of the abstract syntax, or None."""
        for context in self.connection.association.contexts.values():
            if context.abstract_syntax == abstract_syntax and transfer_syntax in (
                None,
                context.transfer_syntax,
            ):
                return context
        return None

    async def established(self) -> None:
        """Wait for the answer to A-ASSOCIATE-RQ; raises what it was when it was not an accept."""
        # A bare timer: asyncio.timeout costs thousands of associations a second dearly.
        late = asyncio.get_running_loop().call_later(self._limits.associate_s, self._settled.set)
        try:
            await self._settled.wait()
        finally:
            late.cancel()
        if self.accept is None and self._failure is None:
            self._failure = ReplyTimeout(
                f"no answer to the association request within {self._limits.associate_s:g} s"
            )
        # What follows an accept in the same read shows at the first operation, as it does when it comes later.
        if self._failure is not None and self.accept is None:
            raise self._failure

    async def echo(self) -> int:
        """Send C-ECHO and return its status (PS3.7 section 9.1.5); raises like ``perform``."""
        operation = Single(CEchoResponse)
        await self.perform(
            self._need(VERIFICATION),
            lambda message_id: CEchoRequest(
                message_id=message_id, affected_sop_class_uid=VERIFICATION
            ),
            operation,
        )
        return operation.status

    async def find(
        self,
        abstract_syntax: str,
        identifier: bytes,
        on_match: OnMatch,
        *,
        max_matches: int | None = None,
        max_s: float | None = None,
    ) -> FindResult:
        """Send C-FIND and give each match to ``on_match`` as it arrives (PS3.7 section 9.1.2).

        At ``max_matches``, after ``max_s``, and when the task is cancelled, C-CANCEL is sent and the rest is let pass
        uncounted. A failure status is an answer and raises nothing; LocalProtocolError when no context was accepted.
        """
        most = self._limits.count_matches if max_matches is None else max_matches
        context = self._need(abstract_syntax)
        operation = Find(on_match, most, self._limits, cancel=lambda: self._cancel(context.id))
        begun = asyncio.get_running_loop().time()
        until = begun + (self._limits.count_s if max_s is None else max_s)
        end = FindEnd.FINAL
        failure: DoorwardError | None = None
        try:
            await self.perform(
                context,
                lambda message_id: CFindRequest(
                    message_id=message_id, affected_sop_class_uid=abstract_syntax
                ),
                operation,
                data=identifier,
                until=until,
            )
        except ReplyTimeout as silence:
            end, failure = FindEnd.SILENT, silence
        except (AssociationAborted, TlsFailed) as loss:
            end, failure = FindEnd.ABORTED, loss
        except asyncio.CancelledError:
            await self._call_off(operation)
            raise
        return FindResult(
            end=end,
            final_status=operation.final_status,
            matches=operation.matches,
            capped=operation.is_cancelled,
            failure=failure,
        )

    async def perform(
        self,
        context: AcceptedContext,
        make: Callable[[int], Request],
        operation: Operation,
        *,
        data: bytes | None = None,
        until: float | None = None,
    ) -> None:
        """Send one request and wait until ``operation`` is done.

        Raises ReplyTimeout when nothing arrives for ``limits.reply_s``; AssociationAborted when it ends midway.
        ``until`` (loop time) is when an operation that can be cancelled is cancelled.
        """
        self.begin(operation)
        association = self.connection.association
        try:
            association.send_message(context.id, make(self.next_message_id()), data)
        except LocalProtocolError:
            self.give_up(operation)
            raise
        self.connection.flush()
        await self.finish(operation, until=until)

    def next_message_id(self) -> int:
        """Return a message id that no running operation uses (PS3.7 section 9.3: 1 to 65535)."""
        self._message_id = self._message_id % 65_535 + 1
        return self._message_id

    def check(self) -> None:
        """Raise what ended the association, if anything did."""
        if self._failure is not None:
            raise self._failure

    async def writable(self) -> None:
        """Wait until the peer has taken most of what was written; ReplyTimeout when it takes nothing for ``reply_s``."""
        try:
            async with asyncio.timeout(self._limits.reply_s):
                await self.connection.writable()
        except TimeoutError:
            self.check()
            raise ReplyTimeout(
                f"the peer has taken nothing for {self._limits.reply_s:g} s"
            ) from None
        self.check()

    def give_up(self, operation: Operation) -> None:
        """Forget an operation whose request could not be sent."""
        if self._operation is operation:
            self._operation = None

    def begin(self, operation: Operation) -> None:
        """Make ``operation`` the one that takes what arrives; raises the failure when the association is over."""
        self.check()
        if self._operation is not None:
            raise LocalProtocolError("another operation is running on this association")
        self._operation = operation
        self._progress.clear()

    async def finish(self, operation: Operation, *, until: float | None = None) -> None:
        """Wait until ``operation`` is done; see ``perform`` for what is raised."""
        now = asyncio.get_running_loop().time
        asked_at = now()
        try:
            while not operation.is_done:
                self.check()
                if until is not None and now() >= until and isinstance(operation, Find):
                    until = None
                    operation.stop()
                due = self._due(operation, asked_at)
                if now() >= due:
                    raise ReplyTimeout(f"no response for {self._limits.reply_s:g} s")
                self._progress.clear()
                try:
                    async with asyncio.timeout_at(due if until is None else min(due, until)):
                        await self._progress.wait()
                except TimeoutError:
                    pass
        finally:
            self._operation = None

    def _due(self, operation: Operation, asked_at: float) -> float:
        """Return when silence is long enough: after the question or the last read, and sooner after C-CANCEL."""
        due = max(self.connection.last_read_at, asked_at) + self._limits.reply_s
        if isinstance(operation, Find) and operation.is_cancelled:
            due = min(due, operation.cancelled_at + self._limits.cancel_s)
        return due

    async def end(self) -> None:
        """Release when the association stands, then close; abort when the peer does not answer that."""
        connection = self.connection
        association = connection.association
        try:
            if self.accept is not None and self._failure is None:
                self._operation = None
                association.release()
                connection.flush()
                await self._over(lambda: connection.is_gone or self._failure is not None)
        except LocalProtocolError:
            pass
        finally:
            if not connection.is_gone:
                association.abort()  # without effect when the association is over
                connection.flush()
                connection.close()
        if self._failure is not None or not self._is_released:  # otherwise it was waited for above
            await self._over(lambda: connection.is_gone)
        if not connection.is_gone:
            connection.kill()

    async def _over(self, is_over: Callable[[], bool]) -> None:
        """Wait until ``is_over``, at most ``limits.release_s``, cancelled or not: a release was asked for."""
        if is_over():
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + self._limits.release_s
        late = loop.call_at(due, self._progress.set)
        interruption: asyncio.CancelledError | None = None
        while not is_over() and loop.time() < due:
            self._progress.clear()
            try:
                await self._progress.wait()
            except asyncio.CancelledError as cancelled:
                interruption = cancelled
        late.cancel()
        if interruption is not None:
            raise interruption

    def _need(self, abstract_syntax: str) -> AcceptedContext:
        context = self.context_for(abstract_syntax)
        if context is None:
            raise LocalProtocolError(f"the peer did not accept a context for {abstract_syntax}")
        return context

    async def _call_off(self, operation: Find) -> None:
        """Nobody waits for the answer any more: C-CANCEL, and the final response before the release."""
        if operation.is_done or self._failure is not None:
            return
        self._operation = operation
        try:
            operation.stop()
            await self.finish(operation)
        except DoorwardError:
            pass  # it says no more, or is gone: the release is tried all the same

    def _cancel(self, context_id: int) -> None:
        """C-CANCEL of the running operation (PS3.7 section 9.3.2.3)."""
        self.connection.association.send_message(
            context_id, CCancelRequest(message_id_being_responded_to=self._message_id)
        )
        self.connection.flush()
        self._progress.set()  # who waits has less time from now on


def _aborted(event: Aborted) -> AssociationAborted:
    if event.by_peer:
        message = f"association aborted by the peer (source {event.source}, reason {event.reason})"
    else:
        message = f"the peer broke the protocol: {event.violation}"
    return AssociationAborted(
        message,
        by_peer=event.by_peer,
        source=event.source,
        reason=event.reason,
        prefix=event.prefix,
    )


def check_status(status: int, service: str) -> None:
    """Raise OperationFailed for a status of the failure class."""
    if classify(status) is StatusClass.FAILURE:
        raise OperationFailed(describe(status, service), status=status)
