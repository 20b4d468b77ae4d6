import asyncio
import socket
from contextlib import AsyncExitStack, suppress

import pytest

from doorward.errors import AssociationRejected
from doorward.net.server import serve
from doorward.wire.command import CStoreRequest
from doorward.wire.encode import encode_pdu
from doorward.wire.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    ReleaseReply,
    ReleaseRequest,
)
from loopback import (
    CT,
    ECHO,
    EXPLICIT,
    HOST,
    STUDY_ROOT_FIND,
    House,
    RawCaller,
    associated,
    calling,
    find_request,
    in_loop,
    limits,
    listening,
    message,
    proposal,
    until,
)
from playbook import RQ

FIND_MESSAGE = b"".join(map(encode_pdu, message(3, find_request(), b"keys")))
ECHO_MESSAGE = encode_pdu(*message(1, ECHO))
FULL = AssociateReject(result=2, source=3, reason=2)
BY_USER = Abort(source=0, reason=0)


# --- the application's own work ----------------------------------------------------------------------------------


@in_loop
async def test_what_an_application_does_beside_its_associations_ends_with_the_server():
    class Working(House):
        async def work(self):
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    began, ended = asyncio.Event(), asyncio.Event()
    async with listening(Working()) as (_, port), associated(port) as requestor:
        await began.wait()
        assert await requestor.echo() == 0
    assert ended.is_set()


@in_loop
async def test_a_bug_in_it_is_logged_and_the_server_goes_on(caplog):
    class Faulty(House):
        async def work(self):
            raise ValueError("NOBODY^MUST SEE THIS")

    async with listening(Faulty()) as (_, port), associated(port) as requestor:
        await until(lambda: caplog.records)
        assert await requestor.echo() == 0
    assert "the work beside all associations ended by a fault: ValueError" in caplog.text
    assert "NOBODY" not in caplog.text


# --- listening --------------------------------------------------------------------------------------------------


@in_loop
async def test_a_taken_port_is_an_error_of_the_system():
    async with listening(House()) as (_, port):
        with pytest.raises(OSError, match="in use"):
            async with listening(House()) as (server, _):
                await server.listen(HOST, port)


@in_loop
async def test_one_server_may_listen_on_several_addresses():
    house = House()
    async with serve(house) as server:
        ports = [await server.listen(host, 0) for host in ("127.0.0.1", "127.0.0.2", "::1")]
        for host, port in zip(("127.0.0.1", "127.0.0.2"), ports, strict=False):
            async with calling(port, host) as caller:
                await caller.send(RQ)
                await caller.pdu()
    assert [peer.local_address for peer in house.peers] == ["127.0.0.1", "127.0.0.2"]


# --- caps -------------------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    "bounds", (limits(associations=2), limits(associations_per_peer=2)), ids=("in all", "per peer")
)
async def test_one_association_too_many_is_rejected_for_now(bounds):
    async with listening(House(), bounds) as (server, port):
        async with associated(port), associated(port) as second:
            with pytest.raises(AssociationRejected) as caught:
                async with associated(port):
                    raise AssertionError("never reached")
            rejection = caught.value
            assert (rejection.result, rejection.source, rejection.reason) == (2, 3, 2)
            assert await second.echo() == 0
        await until(lambda: not server.associations)
        async with associated(port) as after:
            assert await after.echo() == 0


@in_loop
async def test_the_cap_of_one_address_does_not_touch_another():
    async with serve(House(), limits=limits(associations_per_peer=1)) as server:
        port = await server.listen(HOST, 0)
        async with associated(port):
            with socket.socket() as sock:
                sock.bind(("127.0.0.9", 0))
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, (HOST, port))
                caller = RawCaller(sock)
                await caller.send(RQ)
                assert not isinstance(await caller.pdu(), AssociateReject)


@in_loop
async def test_a_connection_that_asks_for_nothing_makes_room_and_one_that_has_asked_does_not():
    house = House()
    async with listening(house, limits(associations=1)) as (server, port):
        async with calling(port) as first:
            await first.send(RQ)
            assert isinstance(await first.pdu(), AssociateAccept)
            async with calling(port) as silent, calling(port) as late:
                assert await silent.read() == b""
                await late.send(RQ)
                assert await late.pdu() == FULL
            await first.send(ReleaseRequest())
            assert await first.pdu() == ReleaseReply()
        await until(lambda: not server.associations)


@in_loop
async def test_those_who_were_rejected_and_stay_shut_nobody_out():
    house = House()
    async with listening(house, limits(associations=1)) as (server, port), AsyncExitStack() as ends:
        async with calling(port) as first:
            await first.send(RQ)
            assert isinstance(await first.pdu(), AssociateAccept)
            rejected = await ends.enter_async_context(calling(port))
            await rejected.send(RQ)
            assert await rejected.pdu() == FULL
        await until(lambda: server.associations == 1)
        async with calling(port) as late:
            await late.send(RQ)
            assert isinstance(await late.pdu(), AssociateAccept)


# --- time -------------------------------------------------------------------------------------------------------


@in_loop
async def test_an_idle_association_is_aborted():
    house = House()
    async with listening(house, limits(idle_s=0.05)) as (server, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        assert await caller.pdu() == BY_USER
        assert await caller.pdu() is None
        await until(lambda: not server.associations)
    assert house.ends == [False]


@in_loop
async def test_a_running_operation_is_no_idleness():
    go_on = asyncio.Event()

    async def slowly():
        yield 0xFF00, b"one "
        await go_on.wait()
        yield 0xFF00, b"two "

    house = House()
    house.matches = slowly()
    async with listening(house, limits(idle_s=0.02)) as (_, port), associated(port) as requestor:
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        result = await requestor.find(STUDY_ROOT_FIND, b"keys", lambda *_: None)
    assert (result.matches, result.final_status) == (2, 0)


def forever():
    while True:
        yield 0xFF00, bytes(1_000)


@in_loop
@pytest.mark.parametrize("what", ("a list", "echoes"))
async def test_who_never_reads_is_dropped_whatever_is_queued_for_it(what):
    """A peer that keeps its window shut must not keep a place at our server."""
    house = House()
    house.matches = forever()
    bounds = limits(idle_s=0.05, artim_s=0.05, write_buffer_bytes=65_536)
    async with listening(house, bounds) as (server, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        sent = FIND_MESSAGE if what == "a list" else ECHO_MESSAGE * 100_000
        with suppress(ConnectionError):  # it is dropped while it still asks
            await caller.send(sent)
        await until(lambda: not server.associations)
    assert house.ends == [False]


# --- the end ----------------------------------------------------------------------------------------------------


@in_loop
async def test_closing_lets_a_running_operation_finish_and_takes_nobody_new():
    go_on = asyncio.Event()

    async def slowly():
        yield 0xFF00, b"one "
        await go_on.wait()
        yield 0xFF00, b"two "

    house = House()
    house.matches = slowly()
    async with listening(house) as (server, port), calling(port) as idle:
        await idle.send(RQ)
        await idle.pdu()
        async with associated(port) as requestor, asyncio.TaskGroup() as tasks:
            found = tasks.create_task(requestor.find(STUDY_ROOT_FIND, b"keys", lambda *_: None))
            await until(lambda: len(house.identifiers) == 1)
            closing = tasks.create_task(server.close())
            assert await idle.pdu() == BY_USER
            idle.sock.close()
            with pytest.raises(ConnectionRefusedError):
                async with calling(port):
                    raise AssertionError("never reached")
            assert not closing.done()
            go_on.set()
            result = await found
        assert (result.matches, result.final_status) == (2, 0)
    assert sorted(house.ends) == [False, False]


@in_loop
async def test_what_does_not_finish_in_time_is_ended():
    async def stuck():
        await asyncio.get_running_loop().create_future()
        yield 0xFF00, b"never "

    house = House()
    house.matches = stuck()
    async with listening(house) as (server, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        await caller.send(FIND_MESSAGE)
        await until(lambda: house.identifiers)
        await server.close(drain_s=0.02)
        await until(lambda: not server.associations)
    assert house.ends == [False]


@in_loop
async def test_an_association_in_the_middle_of_an_instance_may_finish_it():
    house = House()
    async with (
        listening(house) as (server, port),
        associated(port, what=proposal([(CT, (EXPLICIT,))])) as requestor,
    ):
        association, flush = requestor.connection.association, requestor.connection.flush
        request = CStoreRequest(
            message_id=1, affected_sop_class_uid=CT, affected_sop_instance_uid="2.25.9"
        )
        association.send_message(1, request)
        association.send_fragment(1, b"half", is_last=False)
        flush()
        await until(lambda: house.requests)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(server.close())
            await asyncio.sleep(0)
            association.send_fragment(1, b"half", is_last=True)
            flush()
            await until(lambda: house.stored)
    assert house.stored == {"2.25.9": b"halfhalf"}


@in_loop
async def test_a_peer_that_releases_during_the_drain_ends_in_order():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        await caller.pdu()
        await caller.send(ReleaseRequest())
        assert await caller.pdu() == ReleaseReply()
    assert house.ends == [True]


@in_loop
async def test_who_is_unwelcome_from_now_on_is_ended_and_nobody_else():
    house = House()
    async with listening(house) as (server, port), calling(port) as one, calling(port) as other:
        for caller in (one, other):
            await caller.send(RQ)
            await caller.pdu()
        ports = sorted(session.peer.port for session in server._sessions)
        assert server.end(lambda peer: peer.port == ports[0]) == 1
        await until(lambda: len(house.ends) == 1)
        assert [session.peer.port for session in server._sessions] == ports[1:]
        assert server.end(lambda _: False) == 0
