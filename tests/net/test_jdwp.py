"""The handshake of the Java debugger: the same fourteen bytes, and nothing after them."""

import pytest

from doorward.net.jdwp import HANDSHAKE, _Handshake, shakes_hands
from loopback import HOST, OpenGate, in_loop, limits
from web_servers import speaker


async def served(reply):
    """Return (verdict, bytes that reached the server)."""
    async with speaker(reply) as (port, got):
        verdict = await shakes_hands(HOST, port, gate=OpenGate(), limits=limits(jdwp_s=0.2))
    return verdict, bytes(got)


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


def test_what_was_read_is_zeroed():
    listener = _Handshake()
    listener.get_buffer(-1)[:5] = b"NAMES"
    listener.buffer_updated(5)
    assert bytes(listener.get_buffer(-1)[:5]) == bytes(5)
