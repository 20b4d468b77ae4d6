import asyncio
import errno
import socket
import ssl

import pytest

from certificates import make_certificates
from doorward.errors import ConnectFailed, ConnectTimeout, ScopeError, TlsFailed
from doorward.net.dial import MeteredGate, OnlyGate, _connect_failure, dial, resolve, tls_failure
from doorward.net.tls import client_context, probe_context
from loopback import HOST, House, OpenGate, in_loop, limits, listening
from scripted_peer import scripted_peer


class Closed:
    """A gate that nobody passes."""

    def permit(self, address, port):
        raise ScopeError(f"{address} is outside", target=address)


async def dialled(port, **how):
    transport, protocol = await dial(
        HOST, port, gate=how.pop("gate", OpenGate()), protocol=asyncio.Protocol, **how
    )
    return transport, protocol


@pytest.fixture
def listener():
    with socket.create_server((HOST, 0)) as sock:
        yield sock


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


# --- names ------------------------------------------------------------------------------------------------------


@in_loop
async def test_a_literal_address_is_not_looked_up():
    assert await resolve("192.0.2.7") == ["192.0.2.7"]
    assert await resolve("[2001:DB8::1]") == ["2001:db8::1"]


@in_loop
async def test_localhost_gives_each_address_once_and_ipv4_first():
    found = await resolve("localhost")
    assert found[0] == "127.0.0.1"
    assert len(found) == len(set(found))


@in_loop
@pytest.mark.parametrize("name", ("archive.invalid", "with space.invalid", "a" * 64 + ".invalid"))
async def test_an_unknown_name_says_so(name):
    with pytest.raises(ConnectFailed, match="not known") as caught:
        await resolve(name)
    assert caught.value.kind == "name"
    assert "spelling" in caught.value.hint


# --- the gate ---------------------------------------------------------------------------------------------------


@in_loop
async def test_a_refused_address_gets_no_packet(listener):
    with pytest.raises(ScopeError):
        await dialled(listener.getsockname()[1], gate=Closed())
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


@in_loop
async def test_a_gate_of_one_place_lets_nothing_else_be_dialled(listener):
    port = listener.getsockname()[1]
    for elsewhere in (
        OnlyGate(HOST, port + 1, "the collector"),
        OnlyGate("127.0.0.2", port, "the collector"),
    ):
        with pytest.raises(ScopeError, match="this is not the collector"):
            await dialled(port, gate=elsewhere)
    transport, _ = await dialled(port, gate=OnlyGate(HOST, port, "the collector"))
    transport.abort()


@in_loop
async def test_a_name_is_never_dialled():
    with pytest.raises(ValueError, match="localhost"):
        await dial("localhost", 104, gate=OpenGate(), protocol=asyncio.Protocol)


@in_loop
async def test_the_gate_is_asked_for_the_address_in_plain_spelling(listener):
    gate = OpenGate()
    port = listener.getsockname()[1]
    transport, _ = await dialled(port, gate=gate)
    assert gate.asked == [(HOST, port)]
    transport.abort()


# --- connecting -------------------------------------------------------------------------------------------------


@in_loop
async def test_small_messages_leave_at_once(listener):
    transport, _ = await dialled(listener.getsockname()[1])
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    transport.abort()


@in_loop
async def test_a_closed_port_refuses(listener):
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(ConnectFailed, match=f"refuses connections on port {port}") as caught:
        await dialled(port)
    assert caught.value.kind == "refused"


@in_loop
async def test_no_answer_is_a_timeout():
    """A full backlog drops the SYN: this is what a filtered port looks like, without leaving loopback."""
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        try:
            with pytest.raises(ConnectTimeout, match=r"no answer from .* within 0.1 s"):
                await dialled(silent.getsockname()[1], limits=limits(connect_s=0.1))
        finally:
            for filler in fillers:
                filler.close()


@in_loop
async def test_a_connection_that_is_over_at_once_is_still_returned(listener):
    """The peer may reset before we are back: that is for the protocol to tell, not an error of the system."""

    class Impatient(asyncio.Protocol):
        def connection_made(self, transport):
            transport.abort()

    transport, _ = await dial(HOST, listener.getsockname()[1], gate=OpenGate(), protocol=Impatient)
    assert transport.is_closing()


@pytest.mark.parametrize(
    ("number", "kind"),
    (
        (errno.ECONNREFUSED, "refused"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.ECONNRESET, "unreachable"),
        (errno.EMFILE, "local"),
        (errno.ENFILE, "local"),
        (errno.EADDRNOTAVAIL, "local"),
        (errno.EPERM, "local"),
    ),
    ids=lambda value: errno.errorcode.get(value, value),
)
def test_errors_of_the_system_have_few_kinds(number, kind):
    failure = _connect_failure(OSError(number, ""), HOST, 104, is_tls=False)
    assert isinstance(failure, ConnectFailed)
    assert failure.kind == kind


def test_a_timeout_of_the_system_is_a_timeout():
    failure = _connect_failure(OSError(errno.ETIMEDOUT, ""), HOST, 104, is_tls=False)
    assert isinstance(failure, ConnectTimeout)


# --- TLS --------------------------------------------------------------------------------------------------------


async def tls_kind(script, **bounds):
    """The kind of failure that a peer's bytes lead to."""
    async with scripted_peer(script) as peer:
        with pytest.raises(TlsFailed) as caught:
            await dialled(peer.port, tls=probe_context(), limits=limits(**bounds))
    return caught.value.kind


@in_loop
@pytest.mark.parametrize(
    "greeting",
    (
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        bytes.fromhex("07 00 00000004 00000000"),
    ),
)
async def test_other_protocols_do_not_speak_tls(greeting):
    async def script(call):
        await call.send(greeting)
        await call.take(10_000)

    assert await tls_kind(script) == "not_tls"


@in_loop
async def test_a_peer_that_hangs_up_closed_the_handshake():
    async def script(call):
        await call.take(1)
        call.writer.transport.abort()

    assert await tls_kind(script) == "closed"


@in_loop
async def test_a_peer_that_ends_the_stream_closed_the_handshake():
    async def script(call):
        await call.take(1)

    assert await tls_kind(script) == "closed"


@in_loop
async def test_a_peer_that_stays_silent_is_a_timeout_and_no_refusal():
    async def script(call):
        await call.take(100_000)

    assert await tls_kind(script, tls_handshake_s=0.1) == "timeout"


@in_loop
async def test_an_untrusted_certificate_is_refused(credentials):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = credentials.self_signed
    context.load_cert_chain(own.certificate_path, own.key_path)
    verifying = client_context(authorities=credentials.authority.certificate_path)

    async with listening(House(), tls=context) as (_, port):
        with pytest.raises(TlsFailed, match="not trusted") as caught:
            await dialled(port, tls=verifying)
    assert caught.value.kind == "certificate_refused"


@pytest.mark.parametrize(
    ("reason", "kind"),
    (
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_required"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "certificate_required"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "refused"),
        ("WRONG_VERSION_NUMBER", "not_tls"),
        ("HTTP_REQUEST", "not_tls"),
        ("RECORD_LAYER_FAILURE", "not_tls"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "version"),
        ("UNSUPPORTED_PROTOCOL", "version"),
        ("UNEXPECTED_EOF_WHILE_READING", "closed"),
        ("TLSV1_ALERT_UNKNOWN_CA", "other"),
        (None, "other"),
    ),
)
def test_reasons_of_openssl_have_few_kinds(reason, kind):
    error = ssl.SSLError(1, "")
    error.reason = reason
    assert tls_failure(error).kind == kind


# --- a budget of bytes ------------------------------------------------------------------------------------------


class _Kept(asyncio.Protocol):
    def __init__(self):
        self.came, self.all_came = bytearray(), asyncio.Event()

    def data_received(self, data):
        self.came += data
        if len(self.came) == 100:
            self.all_came.set()


class _KeptInPlace(asyncio.BufferedProtocol):
    def __init__(self):
        self.came, self.all_came, self._buffer = bytearray(), asyncio.Event(), bytearray(16)

    def get_buffer(self, sizehint):
        return self._buffer

    def buffer_updated(self, nbytes):
        self.came += self._buffer[:nbytes]
        if len(self.came) == 100:
            self.all_came.set()


@pytest.mark.parametrize("kind", (_Kept, _KeptInPlace))
@in_loop
async def test_a_metered_gate_is_told_every_byte_and_the_protocol_misses_none(kind, listener):
    counted = []
    gate = MeteredGate(OpenGate(), counted.append)
    transport, protocol = await dial(HOST, listener.getsockname()[1], gate=gate, protocol=kind)
    peer, _ = listener.accept()
    with peer:
        peer.sendall(bytes(range(100)))
        async with asyncio.timeout(2):
            await protocol.all_came.wait()
    transport.abort()
    assert bytes(protocol.came) == bytes(range(100))
    assert sum(counted) == 100


@in_loop
async def test_a_metered_gate_refuses_what_the_gate_behind_it_refuses(listener):
    with pytest.raises(ScopeError):
        await dialled(listener.getsockname()[1], gate=MeteredGate(Closed(), lambda _: None))


@in_loop
async def test_a_protocol_that_drops_everything_needs_no_meter(listener):
    transport, _ = await dialled(
        listener.getsockname()[1], gate=MeteredGate(OpenGate(), lambda _: None)
    )
    transport.abort()


def answering(monkeypatch, found):
    """Name servers that bring what one of a stranger might; there is none on this machine to ask."""

    async def getaddrinfo(*_, **__):
        await asyncio.sleep(0 if found else 60)
        return [(socket.AF_INET, 0, 0, "", (address, 0)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)


@in_loop
async def test_a_name_for_a_thousand_addresses_is_no_name(monkeypatch):
    answering(monkeypatch, [f"192.0.2.{number}" for number in range(100)])
    with pytest.raises(ConnectFailed, match="stands for more than 64 addresses") as caught:
        await resolve("many.example")
    assert caught.value.kind == "name"


@in_loop
async def test_a_name_server_that_is_silent_holds_nobody_up(monkeypatch):
    answering(monkeypatch, [])
    with pytest.raises(ConnectFailed, match=r"no answer to where slow\.example is") as caught:
        await resolve("slow.example", limits=limits(resolve_s=0.02))
    assert caught.value.kind == "name"
