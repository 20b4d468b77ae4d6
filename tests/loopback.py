"""Event loops, gates and servers for tests on loopback: real sockets, no waiting for nothing."""

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.application import Application, Match, Peer
from doorward.net.client import Proposal, Requestor, associate
from doorward.net.server import Server, serve
from doorward.net.suboperations import MovePlan
from doorward.net.transfer import Instance
from doorward.wire.command import (
    CEchoRequest,
    CFindRequest,
    CGetRequest,
    CMoveRequest,
    Command,
    CStoreRequest,
)
from doorward.wire.decode import decode_pdu
from doorward.wire.dimse import encode_command
from doorward.wire.encode import encode_pdu
from doorward.wire.negotiation import AcceptedContext, negotiate
from doorward.wire.pdu import (
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    Pdu,
    UserInformation,
)

HOST = "127.0.0.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET = (
    f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3)
)
SYNTAXES = (IMPLICIT, EXPLICIT)
CONTEXTS = [
    (uid, (IMPLICIT,)) for uid in (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET)
]


def limits(**changes: Any) -> Limits:
    """The bounds of the project with some of them changed."""
    return replace(DEFAULT_LIMITS, **changes)


class OpenGate:
    """Lets everything through that the border of the tests lets through, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def permit(self, address: str, port: int) -> None:
        """Note who was dialled."""
        self.asked.append((address, port))


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test; it fails too when an exception reaches the loop, where nobody would see it."""

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        faults: list[str] = []

        def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            # In debug mode asyncio reports TLS handshakes that fail at a listener: many tests want just that.
            if not context["message"].startswith("Error on transport creation"):
                faults.append(f"{context['message']}: {context.get('exception')!r}")

        async def guarded() -> None:
            asyncio.get_running_loop().set_exception_handler(note)
            async with asyncio.timeout(15):
                await test(**arguments)

        asyncio.run(guarded())
        assert not faults, faults

    return run


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so; the test's own time limit is the bound."""
    while not condition():  # noqa: ASYNC110 - what is waited for is not ours to add an event to
        await asyncio.sleep(0)


# --- a server of ours -------------------------------------------------------------------------------------------


class Kept:
    """Receives one instance and keeps it."""

    def __init__(self, house: "House", uid: str) -> None:
        self._house, self._uid = house, uid
        self._pieces: list[bytes] = []

    def fragment(self, fragment: bytes) -> None:
        """A piece."""
        self._pieces.append(bytes(fragment))

    def end(self) -> int:
        """All is here."""
        self._house.stored[self._uid] = b"".join(self._pieces)
        return self._house.store_status

    def abandon(self) -> None:
        """It ended in the middle."""
        self._house.abandoned.append(self._uid)


class House(Application):
    """A small archive that accepts whoever comes, and remembers everything."""

    def __init__(
        self, *, matches: Sequence[Match] = (), instances: Iterable[Instance] | int = ()
    ) -> None:
        self.matches = matches
        self.instances = instances
        self.plan: MovePlan | int = 0xA801
        self.refusal: int | None = None
        self.store_status = 0
        self.stored: dict[str, bytes] = {}
        self.abandoned: list[str] = []
        self.identifiers: list[bytes] = []
        self.requests: list[CStoreRequest] = []
        self.peers: list[Peer] = []
        self.ends: list[bool] = []
        #: Of each C-GET and C-MOVE: completed, failed, status.
        self.results: list[tuple[int, int, int]] = []

    def associate(
        self, peer: Peer, request: AssociateRequest
    ) -> AssociateAccept | AssociateReject | None:
        """Accept everything known."""
        self.peers.append(peer)
        supported = {uid: (IMPLICIT,) for uid, _ in CONTEXTS} | {CT: SYNTAXES}
        agreed = negotiate(
            request.presentation_contexts,
            supported,
            roles=request.user_information.role_selections,
            allow_scp_role=(CT,),
        )
        return AssociateAccept(
            called_ae_title=request.called_ae_title,
            calling_ae_title=request.calling_ae_title,
            presentation_contexts=agreed.answers,
            user_information=UserInformation(max_pdu_bytes=65_536, role_selections=agreed.roles),
        )

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Any:
        """Answer what was prepared."""
        self.identifiers.append(identifier)
        return self.matches

    def store(self, peer: Peer, context: AcceptedContext, request: CStoreRequest) -> Any:
        """Keep the instance, or refuse it."""
        self.requests.append(request)
        if self.refusal is not None:
            return self.refusal
        return Kept(self, request.affected_sop_instance_uid)

    def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Iterable[Instance] | int:
        """Send back what was prepared."""
        return self.instances

    def move(
        self, peer: Peer, context: AcceptedContext, request: CMoveRequest, identifier: bytes
    ) -> MovePlan | int:
        """Send it where it was prepared to go."""
        return self.plan

    def retrieved(self, peer: Peer, *, completed: int, failed: int, status: int) -> None:
        """Remember how it came out."""
        self.results.append((completed, failed, status))

    def ended(self, peer: Peer, *, in_order: bool) -> None:
        """Remember how."""
        self.ends.append(in_order)


@asynccontextmanager
async def listening(
    application: Application,
    bounds: Limits = DEFAULT_LIMITS,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = HOST,
) -> AsyncIterator[tuple[Server, int]]:
    """A server of ours and the port where it listens."""
    async with serve(application, limits=bounds) as server:
        yield server, await server.listen(host, 0, tls=tls)


def proposal(contexts: Sequence[tuple[str, Sequence[str]]] = CONTEXTS, **changes: Any) -> Proposal:
    """What most tests ask for."""
    return replace(
        Proposal(called_ae_title="HOUSE", calling_ae_title="DOORWARDTEST", contexts=contexts),
        **changes,
    )


@asynccontextmanager
async def associated(
    port: int, bounds: Limits = DEFAULT_LIMITS, what: Proposal | None = None, **how: Any
) -> AsyncIterator[Requestor]:
    """An association of ours with whoever listens on the port."""
    async with associate(
        HOST, port, what or proposal(), gate=OpenGate(), limits=bounds, **how
    ) as requestor:
        yield requestor


# --- a client that is nobody's ----------------------------------------------------------------------------------


class RawCaller:
    """A socket that sends what it is told and shows what comes, read by read."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._stream = b""

    async def send(self, *what: bytes | Pdu) -> None:
        """Send it all in one go."""
        whole = b"".join(one if isinstance(one, bytes) else encode_pdu(one) for one in what)
        await self._loop.sock_sendall(self.sock, whole)

    async def read(self) -> bytes:
        """What one recv gives; b"" is the end."""
        try:
            return await self._loop.sock_recv(self.sock, 1 << 20)
        except ConnectionResetError:
            return b""

    async def pdu(self) -> Pdu | None:
        """The next PDU, None at the end."""
        while len(self._stream) < 6 or len(self._stream) < self._end():
            chunk = await self.read()
            if not chunk:
                return None
            self._stream += chunk
        end = self._end()
        whole, self._stream = self._stream[:end], self._stream[end:]
        return decode_pdu(whole[0], whole[6:], DEFAULT_LIMITS)

    def _end(self) -> int:
        return 6 + int.from_bytes(self._stream[2:6], "big")


@asynccontextmanager
async def calling(port: int, host: str = HOST) -> AsyncIterator[RawCaller]:
    """A raw connection."""
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        yield RawCaller(sock)


# --- messages ---------------------------------------------------------------------------------------------------


def message(context_id: int, command: Command, *fragments: bytes) -> list[DataTransfer]:
    """The PDUs of one message: a command set and the fragments of its data set."""
    pdus = [DataTransfer(values=((context_id, 3, encode_command(command)),))]
    for number, fragment in enumerate(fragments, 1):
        control = 2 if number == len(fragments) else 0
        pdus.append(DataTransfer(values=((context_id, control, fragment),)))
    return pdus


def find_request(message_id: int = 1) -> CFindRequest:
    """A C-FIND of the Study Root."""
    return CFindRequest(message_id=message_id, affected_sop_class_uid=STUDY_ROOT_FIND)


ECHO = CEchoRequest(message_id=9, affected_sop_class_uid=VERIFICATION)
