"""The probe on real sockets: a good server, a TLS 1.3 one, no TLS at all, a switch, silence; paced, one at a time."""

import asyncio
import ssl

import pytest

import tls_bytes as wire
from certificates import make_credential
from doorward.audit.approach import Approach, Pace, attempt
from doorward.audit.facts import Attempt, Endpoint, Outcome
from doorward.audit.probes import tls_depth
from doorward.audit.tls_facts import TlsDepthFacts
from doorward.errors import ScopeError
from loopback import HOST, OpenGate, in_loop, limits
from stream_server import read_all, serving


@pytest.fixture(scope="module")
def credential(tmp_path_factory):
    return make_credential(tmp_path_factory.mktemp("own"), "server", rsa_bits=2048)


def context(credential, *, only_1_3: bool = False) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(credential.certificate_path, credential.key_path)
    if only_1_3:
        made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


async def ask(port: int, probe=tls_depth.ask, *, name: str = "", gate=None, **bounds) -> Attempt:
    approach = Approach(
        endpoint=Endpoint(address=HOST, port=port, name=name),
        gate=gate or OpenGate(),
        pace=Pace(0.0),
        limits=limits(tls_handshake_s=2.0, **bounds),
    )
    made = await attempt("tls_depth", approach, probe)
    assert isinstance(made.facts, TlsDepthFacts | None)
    return made


@in_loop
async def test_a_server_of_today(credential):
    gate = OpenGate()
    async with serving(read_all, context(credential)) as port:
        made = await ask(port, gate=gate, name="archive.example")
    assert made.outcome is Outcome.ANSWERED
    facts = made.facts
    assert facts.accepted_versions == ("TLSv1.2", "TLSv1.3")
    assert facts.is_complete
    assert facts.chains[0].certificates[0].subject == "CN=doorward test server"
    assert not facts.is_leaf_only
    # one hello on each connection, and each connection was asked of the gate
    assert made.connections == facts.hellos == len(gate.asked)


@in_loop
async def test_where_only_tls_1_3_is_spoken_one_handshake_shows_the_leaf(credential):
    async with serving(read_all, context(credential, only_1_3=True)) as port:
        made = await ask(port)
    assert made.facts.accepted_versions == ("TLSv1.3",)
    assert made.facts.is_leaf_only
    assert made.facts.chains[0].certificates[0].key == "RSA 2048"
    assert made.connections == made.facts.hellos + 1


@in_loop
async def test_a_leaf_that_cannot_be_had_is_left_out():
    async def retrying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(wire.handshake(wire.hello_of_1_3(is_retry=True)))
        await reader.read()

    async with serving(retrying) as port:
        made = await ask(port)
    assert made.facts.accepted_versions == ("TLSv1.3",)
    assert made.facts.chains == ()
    assert not made.facts.is_leaf_only
    assert not made.facts.is_complete


@in_loop
async def test_an_address_is_never_sent_as_a_name(credential):
    names: list[str | None] = []
    secure = context(credential)
    secure.sni_callback = lambda _tls, name, _context: names.append(name)
    async with serving(read_all, secure) as port:
        await ask(port, name=HOST, tls_hellos=2)
        await ask(port, name="archive.example", tls_hellos=2)
    assert set(names) == {None, "archive.example"}


@in_loop
async def test_a_port_that_answers_in_plain_speaks_no_tls():
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        await read_all(reader, writer)

    async with serving(plain) as port:
        made = await ask(port)
    assert made.outcome is Outcome.ANSWERED
    assert made.facts.speaks_tls is False
    assert made.connections <= 3


@in_loop
async def test_a_port_that_only_hangs_up_is_inconclusive():
    async def gone(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    async with serving(gone) as port:
        made = await ask(port)
    assert made.outcome is Outcome.INCONCLUSIVE
    assert made.facts.speaks_tls is None


@in_loop
async def test_a_closed_port_is_inconclusive_without_facts():
    async with serving(read_all) as port:
        pass
    made = await ask(port)
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)


@in_loop
async def test_a_bound_on_hellos_makes_the_facts_incomplete(credential):
    async with serving(read_all, context(credential)) as port:
        made = await ask(port, tls_hellos=3)
    assert made.facts.hellos == made.connections - made.facts.is_leaf_only == 3
    assert not made.facts.is_complete


@in_loop
async def test_nothing_outside_the_scope_is_asked():
    class Shut:
        def permit(self, address: str, port: int) -> None:
            raise ScopeError("outside", target=address)

    with pytest.raises(ScopeError):
        await ask(1, gate=Shut())


def starttls():
    answer = yield b"TLS?"
    return "" if answer == b"yes" else "the server has no TLS"


@in_loop
async def test_a_protocol_that_switches_is_asked_on_each_connection():
    switches: list[bytes] = []

    async def switching(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        switches.append(await reader.readexactly(4))
        writer.write(b"yes")
        head = await reader.readexactly(5)
        assert head[0] == 22
        writer.write(wire.alert(40))
        await reader.read()

    async with serving(switching) as port:
        made = await ask(port, tls_depth.asker(starttls))
    assert made.facts.speaks_tls
    assert {version.is_accepted for version in made.facts.versions} == {False}
    assert switches == [b"TLS?"] * made.connections == [b"TLS?"] * 5


@in_loop
async def test_a_protocol_that_does_not_switch_has_no_tls():
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(b"no")
        await read_all(reader, writer)

    async with serving(refusing) as port:
        made = await ask(port, tls_depth.asker(starttls))
    assert made.outcome is Outcome.ANSWERED
    assert made.facts.speaks_tls is False
    assert made.facts.detail == "the server has no TLS"
