import asyncio
import gc
import sys

import pytest

from doorward.audit.count import MatchCounter
from doorward.errors import ReplyTimeout
from doorward.net import loop
from doorward.net.connection import ForgetfulConnection
from doorward.net.operations import FindEnd
from doorward.wire.association import Role
from loopback import HOST, STUDY_ROOT_FIND, House, associated, calling, limits, listening, until
from playbook import AC, RQ

LOOPS = pytest.mark.parametrize("name", ("asyncio", "uvloop"))


class Acceptor:
    """Accepts whoever comes."""

    connection = None

    def opened(self, connection):
        self.connection = connection

    def take(self, event):
        if self.connection.association.request_pdu and not self.connection.association.accept_pdu:
            self.connection.association.accept(AC)

    def closed(self):
        pass


def run_on(name, main, monkeypatch):
    """Run on one of the two loops, as a machine that has it would."""
    if name == "uvloop":
        pytest.importorskip("uvloop")
    else:
        monkeypatch.setitem(sys.modules, "uvloop", None)

    async def checked():
        assert type(asyncio.get_running_loop()).__module__.startswith(name)
        await main()

    loop.run(checked())


@LOOPS
def test_an_archive_is_counted_and_released_on_either_loop(name, monkeypatch):
    async def main():
        house = House(matches=[(0xFF00, bytes(8))] * 3_000)
        async with listening(house) as (server, port):
            async with associated(port, forgetful=True) as requestor:
                assert await requestor.echo() == 0
                counter = MatchCounter(asked=6)
                found = await requestor.find(STUDY_ROOT_FIND, b"keys", counter.take)
            assert (found.end, found.matches) == (FindEnd.FINAL, 3_000)
            await until(lambda: server.associations == 0)

    run_on(name, main, monkeypatch)


@LOOPS
def test_what_a_forgetful_connection_reads_lies_in_its_own_buffer(name, monkeypatch):
    async def main():
        owner = Acceptor()
        listener = await asyncio.get_running_loop().create_server(
            lambda: ForgetfulConnection(owner, role=Role.ACCEPTOR), HOST, 0
        )
        async with listener, calling(listener.sockets[0].getsockname()[1]) as caller:
            await caller.send(RQ)
            await caller.pdu()
            buffer = owner.connection.get_buffer(-1)
            assert b"DOORWARD" in bytes(buffer), "it was read as bytes, which nobody can wipe"
        await owner.connection.wait_closed()
        assert not any(buffer)

    run_on(name, main, monkeypatch)


@LOOPS
def test_silence_ends_at_the_deadline_on_either_loop(name, monkeypatch):
    async def main():
        listener = await asyncio.get_running_loop().create_server(asyncio.Protocol, HOST, 0)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            with pytest.raises(ReplyTimeout, match="association request"):
                async with associated(port, limits(associate_s=0.05, release_s=0.05)):
                    pass

    run_on(name, main, monkeypatch)


def test_the_garbage_collector_looks_less_often_only_while_it_runs():
    before = gc.get_threshold()

    async def main():
        return gc.get_threshold()

    assert loop.run(main())[0] > before[0]
    assert gc.get_threshold() == before
