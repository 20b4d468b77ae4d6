"""Before TLS: who says nothing makes room, who is refused is told of, on either event loop, and no socket is left open."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from certificates import Certificates, make_certificates
from doorward.limits import Limits
from doorward.net.application import Peer
from doorward.net.client import associate
from doorward.net.loop import loop_factory
from doorward.net.server import Server, serve
from doorward.net.tls import client_context, server_context
from loopback import HOST, House, OpenGate, limits, proposal, until


class Hearing(House):
    """Hears who was turned away."""

    def __init__(self) -> None:
        super().__init__()
        self.turned: list[str] = []
        self.known: list[Peer] = []

    def turned_away(self, address: str, reason: str) -> None:
        self.turned.append(address)

    def connected(self, peer: Peer) -> None:
        self.known.append(peer)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def greeted(
    house: House, certificates: Certificates, bounds: Limits
) -> AsyncIterator[tuple[Server, int]]:
    own = certificates.server
    tls = server_context(own.certificate_path, own.key_path)
    async with serve(house, limits=bounds) as server:
        yield server, await server.listen(HOST, 0, tls=tls)


def on_either_loop(test: Callable[..., Any]) -> Any:
    """Run a test on asyncio's own loop and on the one that programs run on."""

    @pytest.mark.parametrize("factory", [None, loop_factory()], ids=["asyncio", "programs"])
    def run(factory: Any, certificates: Certificates) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test(certificates), 15))

    run.__name__ = test.__name__
    return run


def silent(address: str, port: int) -> socket.socket:
    """A connection from an address of loopback that says nothing."""
    return socket.create_connection((HOST, port), 5, source_address=(address, 0))


async def is_ended(connection: socket.socket) -> bool:
    """Whether the other side has ended it."""
    try:
        return await asyncio.to_thread(connection.recv, 1) == b""
    except ConnectionResetError:
        return True


async def is_served(port: int, certificates: Certificates) -> bool:
    tls = client_context(authorities=certificates.authority.certificate_path)
    async with associate(HOST, port, proposal(), gate=OpenGate(), tls=tls) as requestor:
        return await requestor.echo() == 0


@on_either_loop
async def test_an_association_stands_behind_its_handshake(certificates: Certificates) -> None:
    house = Hearing()
    async with greeted(house, certificates, limits()) as (server, port):
        assert await is_served(port, certificates)
        await until(lambda: not server.associations)
    assert house.known[0].is_encrypted
    assert house.turned == []


@on_either_loop
async def test_who_waits_longest_makes_room_and_of_the_same_address_first(
    certificates: Certificates,
) -> None:
    bounds = limits(associations=3, associations_per_peer=2, tls_handshake_s=10.0)
    async with greeted(Hearing(), certificates, bounds) as (server, port):
        other = silent("127.0.0.3", port)
        crowd = []
        for _ in range(3):
            crowd.append(silent("127.0.0.2", port))
            await until(lambda: len(server._greetings) == min(3, 1 + len(crowd)))
        assert await is_ended(crowd[0])
        assert await is_served(port, certificates)
        for one in (*crowd, other):
            one.close()


@on_either_loop
async def test_a_crowd_leaves_no_file_open(certificates: Certificates) -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    bounds = limits(associations=20, associations_per_peer=10, tls_handshake_s=1.0)
    async with greeted(Hearing(), certificates, bounds) as (server, port):
        before = files()
        crowd = [silent(f"127.0.0.{2 + n % 9}", port) for n in range(200)]
        await until(lambda: len(server._greetings) <= 20)
        assert await is_served(port, certificates)
        for one in crowd:
            one.close()
        await until(lambda: not len(server._greetings))
        await until(lambda: files() <= before + 4)  # uvloop opens one for itself


@on_either_loop
async def test_a_handshake_that_is_refused_or_too_slow_is_told_with_its_address(
    certificates: Certificates,
) -> None:
    house = Hearing()
    async with greeted(house, certificates, limits(tls_handshake_s=0.5)) as (server, port):
        connection = silent("127.0.0.5", port)
        assert await is_ended(connection)
        old = ssl.create_default_context()
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("AES128-SHA")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(
                HOST, port, ssl=old, local_addr=("127.0.0.6", 0), server_hostname="localhost"
            )
        await until(lambda: not len(server._greetings))
        connection.close()
    assert "127.0.0.6" in house.turned
    assert house.known == []


def test_a_port_that_is_taken_is_said(certificates: Certificates) -> None:
    async def twice() -> None:
        async with greeted(Hearing(), certificates, limits()) as (server, port):
            own = certificates.server
            tls = server_context(own.certificate_path, own.key_path)
            with pytest.raises(OSError, match="in use"):
                await server.listen(HOST, port, tls=tls)

    asyncio.run(twice())
