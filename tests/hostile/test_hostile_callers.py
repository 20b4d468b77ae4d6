"""Whatever a caller does: our server answers as the Standard says, serves everybody else meanwhile, and stays small."""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from doorward.audit.scope import Scope
from doorward.limits import DEFAULT_LIMITS
from doorward.net.application import Application, Match, Peer
from doorward.net.client import Proposal, associate
from doorward.net.server import Server, serve
from doorward.net.transfer import Receiver
from doorward.wire.command import CFindRequest, CStoreRequest
from doorward.wire.negotiation import AcceptedContext, negotiate
from doorward.wire.pdu import AssociateAccept, AssociateRequest, UserInformation
from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND, VERIFICATION
from hostile_callers import (
    ABORT,
    ANSWERED,
    ASSOCIATE_AC,
    CLOSED,
    FIND,
    FIND_COMMAND,
    GOOD,
    NAMED,
    Caller,
    data,
    study,
)

pytestmark = pytest.mark.timeout(60)
TESTS = Path(__file__).resolve().parent.parent
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
SUPPORTED = dict.fromkeys((VERIFICATION, STUDY_ROOT_FIND, CT_STORAGE), (IMPLICIT_VR_LITTLE_ENDIAN,))
LIMITS = replace(
    DEFAULT_LIMITS,
    artim_s=1.0,
    idle_s=1.2,
    drain_s=0.5,
    store_bytes=4_000_000,
    associations=300,
    associations_per_peer=300,
)
#: From the first byte to the end of the connection.
LONGEST_S = 6.0
MOST_MIB = 150


class Discard:
    """Takes an instance of at most ``limits.store_bytes`` and keeps none."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._held = 0

    def fragment(self, fragment: bytes) -> None:
        self._held += len(fragment)
        if self._held > LIMITS.store_bytes:
            self._peer.session.abort()

    def end(self) -> int:
        return 0

    def abandon(self) -> None:
        pass


class Archive(Application):
    """Lets everybody in; lists studies without end when asked."""

    def associate(self, peer: Peer, request: AssociateRequest) -> AssociateAccept:
        answer = negotiate(request.presentation_contexts, SUPPORTED)
        return AssociateAccept(
            called_ae_title=request.called_ae_title,
            calling_ae_title=request.calling_ae_title,
            presentation_contexts=answer.answers,
            user_information=UserInformation(
                max_pdu_bytes=LIMITS.max_pdu_bytes, implementation_class_uid="2.25.1"
            ),
        )

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterator[Match]:
        return iter(((0xFF00, identifier),) * 2_000)

    def store(self, peer: Peer, context: AcceptedContext, request: CStoreRequest) -> Receiver | int:
        return Discard(peer)


async def play(caller: Caller, port: int) -> int:
    """Send what the caller sends and return the type of the last PDU that came back before the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers: list[bytes] = []
    answered = asyncio.Event()
    sending = asyncio.get_running_loop().create_task(_send(caller, writer, answered))
    try:
        async with asyncio.timeout(LONGEST_S):
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65_536):
                    answers.append(chunk)
                    answered.set()
                    if caller.ends == "deaf":
                        await sending  # ends when the server has had enough
    finally:
        sending.cancel()
        writer.transport.abort()
        await asyncio.gather(sending, return_exceptions=True)
    return last_pdu(b"".join(answers))


async def _send(caller: Caller, writer: asyncio.StreamWriter, answered: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        for chunk in caller.chunks:
            if chunk == ANSWERED:
                await answered.wait()
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(caller.pause_s)
        if caller.ends == "half":
            writer.write_eof()
        if caller.ends == "reset":
            await asyncio.sleep(0.1)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def last_pdu(answer: bytes) -> int:
    """Type of the last whole PDU, CLOSED where there is none."""
    last, position = CLOSED, 0
    while position + 6 <= len(answer):
        pdu_type, length = struct.unpack_from(">BxI", answer, position)
        position += 6 + length
        last = pdu_type if position <= len(answer) else last
    return last


async def is_served(port: int) -> bool:
    """An honest client gets its C-ECHO and its matches."""
    proposal = Proposal(
        called_ae_title="ARCHIVE",
        calling_ae_title="HONEST",
        contexts=[(uid, (IMPLICIT_VR_LITTLE_ENDIAN,)) for uid in (VERIFICATION, STUDY_ROOT_FIND)],
    )
    seen = 0

    def count(status: int, identifier: bytes | memoryview) -> None:
        nonlocal seen
        seen += 1

    async with associate("127.0.0.1", port, proposal, gate=Scope.loopback()) as requestor:
        echoed = await requestor.echo() == 0
        await requestor.find(STUDY_ROOT_FIND, bytes(16), count)
    return echoed and seen == 2_000


async def gone(server: Server) -> None:
    """Wait until nobody is connected."""
    async with asyncio.timeout(LONGEST_S):
        await server._empty.wait()


async def play_all() -> dict[str, int]:
    """All callers at the same time, an honest client beside and after them."""
    async with serve(Archive(), limits=LIMITS) as server:
        port = await server.listen("127.0.0.1", 0)
        async with asyncio.TaskGroup() as tasks:
            running = {c.name: tasks.create_task(play(c, port)) for c in NAMED}
            meanwhile = [tasks.create_task(is_served(port)) for _ in range(3)]
        assert all(task.result() for task in meanwhile), "an honest client was not served"
        await gone(server)
        assert await is_served(port)
        await gone(server)
    return {name: task.result() for name, task in running.items()}


@pytest.fixture(scope="module")
def answers() -> dict[str, int]:
    return asyncio.run(play_all())


@pytest.mark.parametrize("caller", NAMED, ids=lambda caller: caller.name)
def test_server_answers_a_hostile_caller_as_the_standard_says(caller, answers):
    assert answers[caller.name] == caller.answer


def test_at_least_thirty_callers_are_named():
    assert len(NAMED) >= 30


async def _crowd(count: int) -> tuple[int, bool]:
    """So many silent connections at once; returns how many the server holds, and whether it serves on afterwards."""
    limits = replace(LIMITS, associations=20, associations_per_peer=20)
    async with serve(Archive(), limits=limits) as server:
        port = await server.listen("127.0.0.1", 0)
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
        most = server.associations
        for _, writer in crowd:
            writer.transport.abort()
        await gone(server)
        served = await is_served(port)
    return most, served


def test_a_crowd_of_silent_callers_is_bounded_and_leaves_no_trace():
    most, served = asyncio.run(_crowd(120))
    assert most <= 2 * 20 + 1  # beyond twice the bound connections are dropped unheard
    assert served


async def _deaf() -> int:
    """Ask for matches without end and read nothing; returns the bytes that the server queued at most."""

    class Endless(Archive):
        def find(
            self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
        ) -> Iterator[Match]:
            while True:
                yield 0xFF00, bytes(4_000)

    most = 0
    async with serve(Endless(), limits=LIMITS) as server:
        port = await server.listen("127.0.0.1", 0)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", port))
            await loop.sock_sendall(deaf, GOOD)
            await loop.sock_recv(deaf, 4_096)  # the accept; from here on nothing is read
            await loop.sock_sendall(deaf, data(FIND, 3, FIND_COMMAND) + data(FIND, 2, study()))
            async with asyncio.timeout(LONGEST_S):
                while server.associations:
                    (session,) = server._sessions or (None,)
                    if session is not None and session.connection.transport is not None:
                        most = max(most, session.connection.transport.get_write_buffer_size())
                    await asyncio.sleep(0.01)
    return most


def test_a_caller_that_reads_nothing_is_given_up_and_costs_one_buffer():
    most = asyncio.run(_deaf())
    assert LIMITS.write_buffer_bytes <= most < 4 * LIMITS.write_buffer_bytes


def test_memory_of_the_server_stays_small_over_all_of_them():
    """In a process of its own; the callers live in it too, so it is an upper bound."""
    program = (
        "import asyncio, memory_image, test_hostile_callers as t; asyncio.run(t.play_all()); "
        "print(memory_image.peak_mib())"
    )
    paths = [str(TESTS / "hostile"), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONASYNCIODEBUG": ""}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        timeout=55,
        check=True,
    )
    assert float(done.stdout) < MOST_MIB


def test_the_table_knows_more_than_one_kind_of_answer():
    assert {caller.answer for caller in NAMED} >= {CLOSED, ASSOCIATE_AC, ABORT}
