"""A C-STORE that is taken in by a task: no faster than it is taken, and answered after its last fragment."""

import asyncio

from doorward.net.incoming import StreamedStore
from doorward.net.transfer import Answer, Instance, store
from loopback import (
    CONTEXTS,
    CT,
    IMPLICIT,
    House,
    associated,
    in_loop,
    limits,
    listening,
    proposal,
    until,
)

STORAGE = proposal([*CONTEXTS, (CT, (IMPLICIT,))])


def large(size=2_000_000):
    return Instance(
        sop_class_uid=CT,
        sop_instance_uid="2.25.1",
        transfer_syntax_uid=IMPLICIT,
        data_set=bytes(range(250)) * (size // 250),
    )


class Taking(House):
    """An archive whose stores are taken in by what a test says."""

    def __init__(self, take):
        super().__init__()
        self.take = take

    def store(self, peer, context, request):
        return self.take


@in_loop
async def test_all_fragments_come_and_the_answer_goes_back():
    came = []

    async def take(fragments):
        came.extend([one async for one in fragments])
        return Answer(0xB000, "kept aside")

    async with listening(Taking(take)) as (_, port), associated(port, what=STORAGE) as requestor:
        status = await store(requestor, large())

    assert status == 0xB000
    assert b"".join(came) == large().data_set


@in_loop
async def test_a_sender_waits_for_a_receiver_that_is_slow():
    may_go_on = asyncio.Event()
    seen = []

    async def take(fragments):
        await may_go_on.wait()
        seen.append(sum([len(one) async for one in fragments]))
        return Answer(0)

    house = Taking(take)
    bounds = limits(incoming_bytes=100_000)
    async with (
        listening(house, bounds) as (_, port),
        associated(port, what=STORAGE) as requestor,
        asyncio.TaskGroup() as tasks,
    ):
        sending = tasks.create_task(store(requestor, large(20_000_000)))
        await until(lambda: house.peers and not _is_read(house))
        assert not sending.done()
        may_go_on.set()
        assert await sending == 0

    assert seen == [20_000_000]


def _is_read(house):
    transport = house.peers[0].session.connection.transport
    return transport is not None and transport.is_reading()


@in_loop
async def test_a_receiver_that_has_made_up_its_mind_is_not_answered_before_the_end():
    async def take(fragments):
        async for _ in fragments:
            break
        return Answer(0x0124, "no")

    async with listening(Taking(take)) as (_, port), associated(port, what=STORAGE) as requestor:
        assert await store(requestor, large()) == 0x0124
        assert await store(requestor, large()) == 0x0124


@in_loop
async def test_a_receiver_is_cancelled_where_the_association_ends():
    ended = asyncio.Event()

    async def take(fragments):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Answer(0)

    async with listening(Taking(take)) as (server, port):
        async with associated(port, what=STORAGE) as requestor, asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(store(requestor, large(100_000)))
            await until(lambda: any(one.is_busy for one in server._sessions))
            sending.cancel()
            requestor.connection.kill()
        await ended.wait()


class Still:
    """A connection of which nothing is asked but its bounds."""

    limits = limits(incoming_bytes=100)

    def pause(self):
        raise AssertionError("too much waits")

    def resume(self):
        pass


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


@in_loop
async def test_a_receiver_is_woken_for_a_quarter_of_what_may_wait_or_at_the_end():
    came = []

    async def take(fragments):
        async for one in fragments:
            came.append(one)  # noqa: PERF401 - each when it comes
        return Answer(0)

    incoming = StreamedStore(Still(), None, None, take)
    running = asyncio.create_task(incoming.run())
    await turns()
    for expected in (0, 0, 3, 3):
        incoming.fragment(b"0123456789")
        await turns()
        assert len(came) == expected
    incoming.end()
    assert await running == Answer(0)
    assert len(came) == 4
