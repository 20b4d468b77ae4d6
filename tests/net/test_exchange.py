"""The driver of conversations: over the gate, bounded in time, into TLS and out again."""

import asyncio
import ssl

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certificates import make_certificates
from doorward.errors import (
    ConnectFailed,
    LimitExceeded,
    PeerProtocolError,
    ReplyTimeout,
    ScopeError,
    TlsFailed,
)
from doorward.greetings.conversation import Farewell, Inbox, Secure
from doorward.limits import DEFAULT_LIMITS
from doorward.net.exchange import _Listener, exchange
from doorward.net.tls import probe_context, server_context
from loopback import HOST, OpenGate, in_loop, limits
from scripted_peer import scripted_peer


class Closed:
    def permit(self, address, port):
        raise ScopeError(f"{address} is outside", target=address)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def asking(*, secure=False, bounds=DEFAULT_LIMITS, count=5):
    """Say hello, perhaps ask for TLS, and return what came; the farewell is b"bye"."""
    inbox = Inbox(bounds)
    try:
        if secure:
            yield from inbox.say(b"START")
            yield from inbox.take(1)
            yield Secure()
        yield from inbox.say(b"hello")
        taken = yield from inbox.take(count)
    except TlsFailed as failure:
        return failure.kind
    yield Farewell(b"bye")
    return taken


async def led(port, conversation, **how):
    gate = how.pop("gate", OpenGate())
    return await exchange(HOST, port, conversation, gate=gate, **how)


@in_loop
async def test_a_conversation_is_led_and_ended_with_its_farewell():
    heard = []

    async def script(call):
        heard.append(await call.take(5))
        await call.send(b"wor")
        await call.send(b"ld")
        heard.append(await call.take(3))
        heard.append(await call.reader.read())

    async with scripted_peer(script) as peer:
        found = await led(peer.port, asking())
        assert (found.result, found.session) == (b"world", None)
        while len(heard) < 3:  # noqa: ASYNC110 - the script's own pace
            await asyncio.sleep(0)
    assert heard == [b"hello", b"bye", b""]


@in_loop
async def test_the_gate_is_asked_before_anything_is_sent():
    async def script(call):
        raise AssertionError("somebody came")

    async with scripted_peer(script) as peer:
        with pytest.raises(ScopeError):
            await led(peer.port, asking(), gate=Closed())
        assert not peer.calls


@in_loop
async def test_a_closed_port_is_no_conversation():
    async with scripted_peer(lambda call: call.until_gone()) as peer:
        port = peer.port
    with pytest.raises(ConnectFailed):
        await led(port, asking())


@in_loop
async def test_a_peer_that_hangs_up_ends_the_conversation():
    async def script(call):
        await call.take(5)
        await call.send(b"wor")

    async with scripted_peer(script) as peer:
        with pytest.raises(PeerProtocolError) as caught:
            await led(peer.port, asking())
        assert caught.value.field == "connection"


@in_loop
async def test_a_peer_that_stays_silent_costs_bounded_time():
    async def script(call):
        await call.until_gone()

    async with scripted_peer(script) as peer:
        with pytest.raises(ReplyTimeout):
            await led(peer.port, asking(), limits=limits(greeting_s=0.05))


@in_loop
async def test_a_conversation_may_return_what_it_knows_when_time_is_up():
    def patient():
        inbox = Inbox(DEFAULT_LIMITS)
        try:
            yield from inbox.say(b"hello")
            yield from inbox.take(100)
        except PeerProtocolError:
            yield Farewell(b"bye")
        return "enough"

    async def script(call):
        await call.send(b"x")
        await call.take(8)
        await call.reader.read()

    async with scripted_peer(script) as peer:
        found = await led(peer.port, patient(), limits=limits(greeting_s=0.05))
        assert found.result == "enough"


def waiting_for_a_line():
    inbox = Inbox(DEFAULT_LIMITS)
    yield from inbox.say(b"hello")
    return (yield from inbox.line())


@in_loop
async def test_a_peer_that_never_stops_costs_bounded_memory():
    async def script(call):
        while True:
            await call.send(bytes(65_536))

    async with scripted_peer(script) as peer:
        with pytest.raises(LimitExceeded):
            await led(peer.port, waiting_for_a_line())


# --- TLS --------------------------------------------------------------------------------------------------------------


def serving(certificates, *, authorities=None):
    credential = certificates.server
    return server_context(
        credential.certificate_path, credential.key_path, client_authorities=authorities
    )


@in_loop
async def test_tls_from_the_first_byte(certificates):
    async def script(call):
        await call.take(5)
        await call.send(b"world")
        await call.take(3)

    async with scripted_peer(script, tls=serving(certificates)) as peer:
        found = await led(peer.port, asking(), tls=probe_context())
    assert (found.result, found.session.version) == (b"world", "TLSv1.3")


def switching(certificates):
    """A peer that takes five bytes in clear text, switches to TLS and answers inside."""

    async def script(call):
        await call.take(5)
        await call.send(b"S")
        await call.writer.start_tls(serving(certificates))
        await call.take(5)
        await call.send(b"world")
        await call.take(3)

    return script


@in_loop
async def test_tls_on_the_way(certificates):
    async with scripted_peer(switching(certificates)) as peer:
        found = await led(peer.port, asking(secure=True), switch=probe_context())
    assert (found.result, found.session.version) == (b"world", "TLSv1.3")
    assert found.session.certificate == certificates.server.certificate.public_bytes(Encoding.DER)


@in_loop
async def test_tls_that_nobody_brought_is_told_to_the_conversation():
    async def script(call):
        await call.take(5)
        await call.send(b"S")
        await call.reader.read()

    async with scripted_peer(script) as peer:
        assert (await led(peer.port, asking(secure=True))).result == "other"


@in_loop
async def test_a_connection_that_ends_in_the_handshake_is_told_to_the_conversation():
    async def script(call):
        await call.take(5)
        await call.send(b"S")
        await call.take(1)
        call.writer.transport.abort()

    async with scripted_peer(script) as peer:
        found = await led(peer.port, asking(secure=True), switch=probe_context())
    assert found.result == "closed"


@in_loop
async def test_a_missing_client_certificate_is_told_to_the_conversation(certificates):
    async def script(call):
        await call.take(5)
        await call.send(b"S")
        try:
            await call.writer.start_tls(
                serving(certificates, authorities=certificates.authority.certificate_path)
            )
        except (ssl.SSLError, OSError):
            return

    async with scripted_peer(script) as peer:
        found = await led(peer.port, asking(secure=True), switch=probe_context())
    assert found.result == "certificate_required"


@in_loop
async def test_plain_text_after_the_consent_to_tls_makes_the_handshake_fail():
    async def script(call):
        await call.take(5)
        await call.send(b"S")
        await call.take(1)
        await call.send(b"injected in clear text")
        await call.reader.read()

    async with scripted_peer(script) as peer:
        found = await led(peer.port, asking(secure=True), switch=probe_context())
    assert found.result == "not_tls"


def test_what_comes_after_the_end_is_zeroed():
    listener = _Listener()
    listener.get_buffer(-1)[:5] = b"FIRST"
    listener.buffer_updated(5)
    listener.forget()
    listener.get_buffer(-1)[:5] = b"NAMES"
    listener.buffer_updated(5)
    assert bytes(listener.get_buffer(-1)[:5]) == bytes(5)
    assert not len(listener._waiting)
