"""Accepting on either event loop: who knocks is let in, and whoever knocks while the door closes is no fault."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from doorward.net.accepting import Acceptor
from doorward.net.loop import loop_factory
from loopback import HOST, until


def on_either_loop(test: Callable[..., Any]) -> Any:
    """Run a test on asyncio's own loop and on the one that programs run on."""

    @pytest.mark.parametrize("factory", [None, loop_factory()], ids=["asyncio", "programs"])
    def run(factory: Any) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test(), 15))

    run.__name__ = test.__name__
    return run


class House:
    """What was taken in, what has failed in the loop, and how often there was no room."""

    def __init__(self) -> None:
        self.taken: list[socket.socket] = []
        self.from_where: list[str] = []
        self.faults: list[str] = []
        self.crowded = 0
        self.listener = socket.create_server((HOST, 0))
        self.listener.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.faults.append(str(context)))

    def take(self, connection: socket.socket, address: str) -> None:
        self.taken.append(connection)
        self.from_where.append(address)

    def make_room(self) -> None:
        self.crowded += 1

    def knock(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), 5)

    def leave(self, *others: socket.socket) -> None:
        for one in (*self.taken, *others):
            one.close()


@on_either_loop
async def test_connections_are_taken_with_where_they_came_from_and_do_not_block() -> None:
    house = House()
    acceptor = Acceptor(house.listener, house.take, house.make_room)
    callers = [house.knock() for _ in range(3)]
    await until(lambda: len(house.taken) == 3)
    assert house.from_where == [HOST] * 3
    assert not any(one.getblocking() for one in house.taken)
    acceptor.close()
    house.leave(*callers)


@on_either_loop
async def test_closing_while_somebody_knocks_is_no_fault() -> None:
    """The loop has seen the connection, its callback waits, and what is called before it closes the door."""
    house = House()
    acceptor = Acceptor(house.listener, house.take, house.make_room)
    await asyncio.sleep(0)
    caller = house.knock()
    asyncio.get_running_loop().call_soon(acceptor.close)
    for _ in range(5):
        await asyncio.sleep(0)
    assert house.faults == []
    assert house.listener.fileno() == -1
    acceptor.close()  # once more does no harm
    house.leave(caller)


class Crowded(socket.socket):
    """A socket that listens, and has no descriptor left for the first two."""

    refused = 0

    def accept(self) -> tuple[socket.socket, Any]:
        if self.refused < 2:
            self.refused += 1
            raise OSError(24, "Too many open files")
        return super().accept()


@on_either_loop
async def test_where_none_can_be_accepted_room_is_made_and_it_is_tried_again() -> None:
    house = House()
    crowded = Crowded(fileno=house.listener.detach())
    house.listener = crowded
    acceptor = Acceptor(crowded, house.take, house.make_room)
    caller = house.knock()
    await until(lambda: bool(house.taken))
    assert house.crowded == 2
    acceptor.close()
    house.leave(caller)


@on_either_loop
async def test_it_may_be_closed_while_it_waits_for_room() -> None:
    house = House()
    crowded = Crowded(fileno=house.listener.detach())
    house.listener = crowded
    acceptor = Acceptor(crowded, house.take, house.make_room)
    caller = house.knock()
    await until(lambda: house.crowded == 1)
    acceptor.close()
    await asyncio.sleep(0)
    assert (house.taken, house.faults) == ([], [])
    house.leave(caller)
