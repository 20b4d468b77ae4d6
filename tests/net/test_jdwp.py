"""The handshake of the Java debugger: the same fourteen bytes, and nothing after them."""

import asyncio

import pytest

from doorward.net.jdwp import HANDSHAKE, shakes_hands
from loopback import HOST, OpenGate, in_loop, limits


async def served(reply):
    """Return (verdict, bytes that reached the server)."""
    got = bytearray()
    over = asyncio.Event()

    async def serve(reader, writer):
        try:
            got.extend(await reader.read(64))
            if reply is not None:
                writer.write(reply)
                await writer.drain()
            got.extend(await reader.read(64))
        except ConnectionError:
            pass
        writer.close()
        over.set()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        port = server.sockets[0].getsockname()[1]
        verdict = await shakes_hands(HOST, port, gate=OpenGate(), limits=limits(jdwp_s=0.2))
        await over.wait()
        return verdict, bytes(got)
    finally:
        server.close()


@in_loop
async def test_a_debugger_is_known_by_its_handshake_and_gets_no_packet():
    assert await served(HANDSHAKE) == (True, HANDSHAKE)


@pytest.mark.parametrize(
    "reply",
    [b"", b"HTTP/1.1 400 Bad\r\n\r\n", b"JDWP", b"JDWP-Handshaky", HANDSHAKE + b"x", b"\x00" * 99],
)
@in_loop
async def test_everything_else_is_none(reply):
    verdict, _ = await served(reply)
    assert not verdict


@in_loop
async def test_silence_is_not_an_answer():
    assert (await served(None))[0] is None
