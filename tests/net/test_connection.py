import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from doorward.net import connection as connection_module
from doorward.net.connection import Connection, ForgetfulConnection
from doorward.wire.association import Role
from doorward.wire.command import CEchoRequest, CEchoResponse, CFindRequest
from doorward.wire.dimse import encode_command
from doorward.wire.encode import encode_pdu
from doorward.wire.events import Aborted, AssociateRequested, Closed, ReleaseRequested
from doorward.wire.pdu import Abort, DataTransfer, ReleaseReply, ReleaseRequest
from loopback import (
    HOST,
    STUDY_ROOT_FIND,
    VERIFICATION,
    House,
    calling,
    in_loop,
    limits,
    listening,
    until,
)
from playbook import AC, RQ, pdus_in

ECHO = DataTransfer(
    values=(
        (1, 3, encode_command(CEchoRequest(message_id=7, affected_sop_class_uid=VERIFICATION))),
    )
)
FIND_COMMAND = CFindRequest(message_id=8, affected_sop_class_uid=STUDY_ROOT_FIND)
FIND = (
    DataTransfer(values=((3, 3, encode_command(FIND_COMMAND)),)),
    DataTransfer(values=((3, 2, b"keys"),)),
)
KINDS = pytest.mark.parametrize("kind", (Connection, ForgetfulConnection))


class Owner:
    """Accepts, confirms, and remembers everything."""

    def __init__(self):
        self.events, self.connection, self.is_closed = [], None, False

    def opened(self, connection):
        self.connection = connection

    def take(self, event):
        self.events.append(event)
        if isinstance(event, AssociateRequested):
            self.connection.association.accept(AC)
        elif isinstance(event, ReleaseRequested):
            self.connection.association.confirm_release()

    def closed(self):
        self.is_closed = True


@asynccontextmanager
async def called(kind=Connection, **bounds):
    """An acceptor's connection, seen by its owner, and who calls it."""
    owner = Owner()
    listener = await asyncio.get_running_loop().create_server(
        lambda: kind(owner, role=Role.ACCEPTOR, limits=limits(**bounds)), HOST, 0
    )
    async with listener, calling(listener.sockets[0].getsockname()[1]) as caller:
        await until(lambda: owner.connection)
        yield owner, caller


def writes_of(connection):
    """Record each write to the transport from now on."""
    written, write = [], connection.transport.write

    def recording(chunk):
        written.append(bytes(chunk))
        write(chunk)

    connection.transport.write = recording
    return written


@in_loop
@KINDS
async def test_an_association_begins_and_ends_in_order(kind):
    async with called(kind) as (owner, caller):
        await caller.send(RQ)
        assert await caller.pdu() == AC
        await caller.send(ReleaseRequest())
        assert await caller.pdu() == ReleaseReply()
    await owner.connection.wait_closed()
    assert [type(event) for event in owner.events] == [AssociateRequested, ReleaseRequested]
    assert owner.is_closed
    assert owner.connection.is_gone


@in_loop
@KINDS
async def test_a_byte_at_a_time_is_enough(kind):
    async with called(kind) as (owner, caller):
        caller.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode_pdu(RQ):
            await caller.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert await caller.pdu() == AC
    assert owner.events[0] == AssociateRequested(RQ)


@in_loop
@KINDS
async def test_what_was_lost_is_told_once(kind):
    async with called(kind) as (owner, caller):
        await caller.send(RQ)
        await caller.pdu()
    await owner.connection.wait_closed()
    assert owner.events[1:] == [Closed()]


@in_loop
async def test_artim_ends_a_connection_that_asks_for_nothing():
    async with called(artim_s=0.05) as (owner, caller):
        assert await caller.read() == b""
    assert owner.events == [Closed(timed_out=True)]


@in_loop
async def test_artim_ends_a_connection_that_its_peer_does_not_close():
    async with called(artim_s=0.05) as (owner, caller):
        await caller.send(RQ)
        assert await caller.pdu() == AC
        await caller.send(RQ)
        assert await caller.pdu() == Abort(source=2, reason=2)
        assert await caller.pdu() is None
    assert isinstance(owner.events[1], Aborted)


@in_loop
async def test_addresses_of_both_sides_are_known():
    async with called() as (owner, caller):
        assert owner.connection.peer_address == caller.sock.getsockname()
        assert owner.connection.local_address == caller.sock.getpeername()
        assert owner.connection.tls is None


@in_loop
async def test_nothing_can_be_done_before_there_is_a_transport():
    connection = Connection(Owner(), role=Role.ACCEPTOR)
    for verb in (
        connection.flush,
        connection.close,
        connection.kill,
        connection.pause,
        connection.resume,
    ):
        verb()
    assert connection.peer_address == connection.local_address == ("", 0)
    assert connection.tls is None
    assert not connection.is_gone


# --- prompt delivery --------------------------------------------------------------------------------------------


@in_loop
async def test_command_and_data_set_leave_in_one_write():
    house = House(matches=[(0xFF00, b"first "), (0xFF00, b"second")])
    async with listening(house) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        written = writes_of(house.peers[0].session.connection)
        await caller.send(*FIND)
        reply = await caller.read()
        assert written == [reply]
        fragments = [pdu.values[0][2] for pdu in pdus_in(reply)]
        assert len(fragments) == 5, "two matches of command and identifier, and the final response"
        assert fragments[1::2] == [b"first ", b"second"]


@in_loop
async def test_the_answers_to_everything_in_one_read_leave_together():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        written = writes_of(house.peers[0].session.connection)
        await caller.send(ECHO, ECHO, ECHO, ReleaseRequest())
        assert len(await caller.read()) > 200
        assert len(written) == 1


@in_loop
async def test_both_sides_of_a_connection_send_small_messages_at_once():
    async with called() as (owner, _):
        sock = owner.connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def exchange_with_nagle_on(rounds):
    """Send command and identifier apart with Nagle on, as stock storescu does; returns the seconds it took."""
    loop = asyncio.get_running_loop()
    async with listening(House()) as (_, port), calling(port) as caller:
        caller.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        await caller.send(RQ)
        await caller.pdu()
        begun = loop.time()
        for _ in range(rounds):
            await caller.send(FIND[0])
            await caller.send(FIND[1])
            await caller.pdu()
        return loop.time() - begun


@pytest.mark.skipif(connection_module._QUICKACK is None, reason="no TCP_QUICKACK here")
@in_loop
async def test_a_sender_that_waits_for_acknowledgements_gets_them_quickly():
    assert await exchange_with_nagle_on(60) < 60 * 0.040 / 2, "40 ms are lost in each round"


def test_a_borrowed_socket_is_never_closed():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        borrowed = connection_module._Borrowed(
            ours.family, ours.type, ours.proto, fileno=ours.fileno()
        )
        del borrowed
        ours.send(b"x")
        assert theirs.recv(1) == b"x"


@in_loop
@pytest.mark.parametrize("option", (None, 9_999), ids=("unknown", "refused"))
async def test_a_system_without_quick_acknowledgement_works_too(monkeypatch, option):
    monkeypatch.setattr(connection_module, "_QUICKACK", option)
    async with listening(House()) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        assert await caller.pdu() is not None
        await caller.send(ECHO)
        assert await caller.pdu() is not None


# --- back pressure ----------------------------------------------------------------------------------------------

ECHO_RSP = DataTransfer(
    values=(
        (
            1,
            3,
            encode_command(
                CEchoResponse(
                    message_id_being_responded_to=7, status=0, affected_sop_class_uid=VERIFICATION
                )
            ),
        ),
    )
)


@in_loop
async def test_who_does_not_read_our_answers_is_not_heard_until_it_does():
    """Thousands of requests at once, and nobody takes the answers: they must not pile up with us."""
    house, most, count = House(), 65_536, 60_000
    bounds = limits(write_buffer_bytes=most)
    async with listening(house, bounds) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        connection = house.peers[0].session.connection
        request, reply = encode_pdu(ECHO), encode_pdu(ECHO_RSP)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(caller.send(request * count))
            await until(lambda: connection.transport.get_write_buffer_size() > most)
            assert not connection.transport.is_reading()
            # the bound, and the answers to one read of 256 KiB
            at_most = most + 262_144 * len(reply) // len(request)
            assert connection.transport.get_write_buffer_size() <= at_most
            left = count * len(reply)
            while left:
                left -= len(await caller.read())
        await until(connection.transport.is_reading)


@in_loop
async def test_others_have_their_turn_while_a_flood_of_small_requests_is_answered():
    async with listening(House()) as (_, port), calling(port) as flood, calling(port) as other:
        for caller in (flood, other):
            await caller.send(RQ)
            await caller.pdu()
        answered, reply = 0, len(encode_pdu(ECHO_RSP))

        async def count():
            nonlocal answered
            while answered < 3_000 * reply:
                answered += len(await flood.read())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(count())
            tasks.create_task(flood.send(encode_pdu(ECHO) * 3_000))
            await until(lambda: answered)
            await other.send(ECHO)
            assert await other.pdu() is not None
            assert answered < 3_000 * reply


@in_loop
async def test_what_waits_for_its_turn_is_answered_although_the_peer_has_said_all():
    async with listening(House()) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        await caller.send(encode_pdu(ECHO) * 1_000)
        caller.sock.shutdown(socket.SHUT_WR)
        left = 1_000 * len(encode_pdu(ECHO_RSP))
        while left:
            piece = await caller.read()
            assert piece, left
            left -= len(piece)


@in_loop
async def test_an_owner_may_stop_reading_and_go_on():
    async with called() as (owner, caller):
        owner.connection.pause()
        owner.connection.pause()
        await caller.send(RQ)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not owner.events
        owner.connection.resume()
        owner.connection.resume()
        assert await caller.pdu() == AC
        owner.connection.kill()
        owner.connection.resume()
        await owner.connection.wait_closed()


# --- memory -----------------------------------------------------------------------------------------------------


@in_loop
async def test_a_forgetful_connection_leaves_nothing_in_its_buffers():
    async with called(ForgetfulConnection) as (owner, caller):
        await caller.send(RQ)
        await caller.pdu()
        first = owner.connection.get_buffer(-1)
        assert b"DOORWARD" in bytes(first)
        await caller.send(ECHO, *[FIND[0], DataTransfer(values=((3, 2, bytes([65]) * 16_000),))])
        await until(lambda: len(owner.events) > 3)
    await owner.connection.wait_closed()
    last = owner.connection.get_buffer(-1)
    assert len(last) > len(first), "it grew"
    assert not any(first)
    assert not any(last)
