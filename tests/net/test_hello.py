"""One hello over a real connection: what each kind of server does with it, and the switch before it."""

import asyncio
import time

import pytest

import tls_bytes as wire
from doorward.errors import ConnectFailed, LimitExceeded, ScopeError, TlsFailed
from doorward.limits import DEFAULT_LIMITS
from doorward.net.hello import _Listener, greet
from doorward.web.tls_hello import ClientHello
from doorward.web.tls_records import Flight, FlightEnd
from loopback import HOST, OpenGate, in_loop, limits, until
from stream_server import Script, serving

HELLO = ClientHello(versions=(0x0303,), suites=(0xC02F,), random=bytes(32))
CLOSE_NOTIFY = bytes.fromhex("15030100020100")


class ShutGate:
    """Nobody authorised anything."""

    def permit(self, address: str, port: int) -> None:
        raise ScopeError("outside", target=address)


async def ask(port: int, **options) -> Flight:
    values = {"gate": OpenGate(), "limits": limits(tls_handshake_s=5.0)} | options
    return await greet(HOST, port, HELLO, **values)


def saying(*chunks: bytes, heard: list[bytes] | None = None) -> Script:
    """Read the hello, answer, and read what comes then."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        assert head[0] == 22
        await reader.readexactly(int.from_bytes(head[3:5], "big"))
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        if heard is not None:
            heard.append(await reader.read())

    return script


@in_loop
async def test_the_first_flight_is_read_and_the_connection_ended_politely():
    heard: list[bytes] = []
    answer = wire.handshake(wire.server_hello(), wire.certificate(b"leaf"), wire.DONE)
    async with serving(saying(answer[:20], answer[20:], heard=heard)) as port:
        flight = await ask(port)
        await until(lambda: heard)
    assert flight.end is FlightEnd.HELLO_DONE
    assert flight.certificates == (b"leaf",)
    assert heard == [CLOSE_NOTIFY]


@in_loop
async def test_a_connection_that_is_closed_without_a_word_is_a_value():
    async with serving(saying()) as port:
        assert (await ask(port)).end is FlightEnd.CLOSED


@in_loop
async def test_an_answer_that_is_no_tls_is_a_value():
    async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert (await ask(port)).end is FlightEnd.NOT_TLS


@in_loop
async def test_silence_ends_at_the_bound():
    async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(mute) as port:
        begun = time.monotonic()
        flight = await ask(port, limits=limits(tls_handshake_s=0.1))
    assert flight.end is FlightEnd.SILENT
    assert time.monotonic() - begun < 5


@in_loop
async def test_a_server_that_sends_drop_by_drop_does_not_stretch_the_bound():
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x16\x03\x03\x40\x00")
        while not writer.is_closing():
            writer.write(b"\x02")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as port:
        flight = await ask(port, limits=limits(tls_handshake_s=0.2))
    assert flight.end is FlightEnd.SILENT


@in_loop
async def test_a_server_that_never_stops_talking_is_cut_at_the_bound():
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(wire.handshake(wire.server_hello()))
        while not writer.is_closing():
            writer.write(wire.record(20, b"\x01") * 1000)
            await writer.drain()

    async with serving(flood) as port:
        flight = await ask(port)
    assert flight.end is FlightEnd.MALFORMED
    assert "tls_flight_bytes" in flight.detail


@in_loop
async def test_nothing_is_dialled_outside_the_scope():
    async with serving(saying()) as port:
        with pytest.raises(ScopeError):
            await ask(port, gate=ShutGate())


@in_loop
async def test_a_closed_port_raises_as_dialling_does():
    async with serving(saying()) as port:
        pass
    with pytest.raises(ConnectFailed):
        await ask(port)


# --- the switch to TLS ------------------------------------------------------------------------------------------------


def postgresql():
    """As PostgreSQL does it: one question, one letter."""
    answer = yield bytes.fromhex("00000008 04d2162f")
    return "" if answer[:1] == b"S" else "the server has no TLS"


def mysql():
    """As MySQL does it: its greeting first, and no answer to our wish."""
    greeting = yield b""
    assert greeting
    return b"\x20\0\0\x01wish"


def after(question: int, answer: bytes, *then: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(question)
        writer.write(answer)
        await saying(*then)(reader, writer)

    return script


FLIGHT = wire.handshake(wire.server_hello(), wire.DONE)


@in_loop
async def test_tls_begins_after_the_servers_consent():
    async with serving(after(8, b"S", FLIGHT)) as port:
        assert (await ask(port, prelude=postgresql)).end is FlightEnd.HELLO_DONE


@in_loop
async def test_a_server_without_tls_is_told_apart_from_one_that_fails():
    async with serving(after(8, b"N")) as port:
        with pytest.raises(TlsFailed) as caught:
            await ask(port, prelude=postgresql)
    assert caught.value.kind == "refused"
    assert str(caught.value) == "the server has no TLS"


@in_loop
async def test_last_words_go_out_before_the_hello_without_waiting():
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x4a\0\0\0greeting")
        assert await reader.readexactly(8) == b"\x20\0\0\x01wish"
        await saying(FLIGHT)(reader, writer)

    async with serving(script) as port:
        assert (await ask(port, prelude=mysql)).end is FlightEnd.HELLO_DONE


@in_loop
async def test_a_connection_that_ends_before_the_consent_is_a_refusal():
    async def gone(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)

    async with serving(gone) as port:
        with pytest.raises(TlsFailed, match="before TLS could begin"):
            await ask(port, prelude=postgresql)


@in_loop
async def test_a_server_that_talks_on_before_tls_meets_a_bound():
    def patient():
        while True:
            yield b""

    async def chatter(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(bytes(1000))
            await writer.drain()

    async with serving(chatter) as port:
        with pytest.raises(LimitExceeded) as caught:
            await ask(port, prelude=patient)
    assert caught.value.limit == "tls_prelude_bytes"


@in_loop
async def test_silence_before_the_consent_is_silence():
    async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(mute) as port:
        flight = await ask(port, prelude=postgresql, limits=limits(tls_handshake_s=0.1))
    assert flight.end is FlightEnd.SILENT


def test_what_was_read_is_zeroed():
    listener = _Listener(b"hello", None, DEFAULT_LIMITS)
    listener.is_speaking_tls = True
    listener.get_buffer(-1)[:5] = b"NAMES"
    listener.buffer_updated(5)
    assert bytes(listener.get_buffer(-1)[:5]) == bytes(5)
