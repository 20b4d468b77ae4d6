"""TLS on an accepted socket: on asyncio's loop and on uvloop, and what fails."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

import pytest

from certificates import Certificates, make_certificates
from doorward.net.lean_tls import begin_tls
from doorward.net.loop import loop_factory
from doorward.net.tls import server_context

LOOPS = [pytest.param(None, id="asyncio")]
if loop_factory() is not None:
    LOOPS.append(pytest.param(loop_factory(), id="uvloop"))


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to send."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def shaken(made: Certificates, talk: Callable[[int], object], handshake_s: float = 5) -> None:
    """Accept one connection of ``talk``, which runs in a thread, and begin TLS on it."""
    context = server_context(made.server.certificate_path, made.server.key_path)
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        talking = asyncio.create_task(asyncio.to_thread(talk, listener.getsockname()[1]))
        try:
            accepted, _ = await loop.sock_accept(listener)
            await begin_tls(Echo(), accepted, context, handshake_s)
        finally:
            await talking


@pytest.mark.parametrize("factory", LOOPS)
def test_more_than_one_read_goes_both_ways(made: Certificates, factory: object) -> None:
    sent = b"0123456789abcdef" * 40_000
    got = bytearray()

    def talk(port: int) -> None:
        context = ssl.create_default_context(cafile=str(made.authority.certificate_path))
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            for start in range(0, len(sent), 65_536):
                piece = sent[start : start + 65_536]
                client.sendall(piece)
                left = len(piece)
                while left:
                    read = client.recv(left)
                    assert read, "the server has hung up"
                    got.extend(read)
                    left -= len(read)

    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]
        runner.run(shaken(made, talk))
    assert bytes(got) == sent


@pytest.mark.parametrize("factory", LOOPS)
@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b""], ids=["no TLS", "gone"])
def test_peer_that_speaks_no_tls_is_an_error(
    made: Certificates, factory: object, said: bytes
) -> None:
    def talk(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(said)

    with asyncio.Runner(loop_factory=factory) as runner, pytest.raises(OSError, match=r"(?s).*"):  # type: ignore[arg-type]
        runner.run(shaken(made, talk))


@pytest.mark.parametrize("factory", LOOPS)
def test_peer_that_says_nothing_has_its_time(made: Certificates, factory: object) -> None:
    def talk(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.settimeout(5)
            assert plain.recv(1) == b""

    with asyncio.Runner(loop_factory=factory) as runner, pytest.raises(OSError, match=r"(?s).*"):  # type: ignore[arg-type]
        runner.run(shaken(made, talk, 1))


def test_connection_that_is_given_up_is_closed(made: Certificates) -> None:
    def talk(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.settimeout(5)
            assert plain.recv(1) == b""

    async def run() -> None:
        async with asyncio.timeout(0.2):
            await shaken(made, talk)

    with pytest.raises(TimeoutError):
        asyncio.run(run())
