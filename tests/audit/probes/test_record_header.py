"""Who hangs up at the fifth byte understands TLS alone; whoever waits, or reacts too early, leaves it open."""

import pytest

from certificates import make_certificates
from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import Endpoint
from doorward.audit.probes.record_header import takes_plain_dicom
from doorward.audit.scope import Scope
from doorward.errors import ScopeError
from doorward.net.silent_port import refusing_port
from doorward.net.tls import server_context
from loopback import HOST, House, in_loop, limits, listening
from scripted_peer import scripted_peer


def approach(port, address=HOST):
    return Approach(
        endpoint=Endpoint(address=address, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(tls_linger_s=0.2),
    )


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def serving(credentials):
    return server_context(
        credentials.server.certificate_path,
        credentials.server.key_path,
        client_authorities=credentials.authority.certificate_path,
    )


@in_loop
async def test_server_that_speaks_tls_alone_takes_no_plain_dicom(credentials):
    house = House()
    async with listening(house, tls=serving(credentials)) as (_, port):
        us = approach(port)
        assert await takes_plain_dicom(us) is False
    assert us.pace.connections == 1
    assert not house.peers


@in_loop
async def test_server_that_speaks_plain_dicom_waits_for_the_rest_of_the_header():
    async with listening(House()) as (_, port):
        assert await takes_plain_dicom(approach(port)) is None


async def drop_at_once(call):
    call.writer.transport.abort()


async def drop_the_first_four(call):
    await call.take(4)
    call.writer.transport.abort()


async def greet(call):
    await call.send(b"220 welcome\r\n")
    await call.until_gone()


@in_loop
@pytest.mark.parametrize("script", (drop_at_once, drop_the_first_four, greet))
async def test_reaction_before_the_fifth_byte_says_nothing(script):
    async with scripted_peer(script) as peer:
        assert await takes_plain_dicom(approach(peer.port)) is None


async def alert_at_the_fifth(call):
    await call.take(5)
    await call.send(bytes.fromhex("15 0303 0002 02 0a"))
    await call.until_gone()


async def drop_at_the_fifth(call):
    await call.take(5)
    call.writer.transport.abort()


@in_loop
@pytest.mark.parametrize("script", (alert_at_the_fifth, drop_at_the_fifth))
async def test_alert_or_a_lost_connection_at_the_fifth_byte_is_that_of_a_tls_parser(script):
    async with scripted_peer(script) as peer:
        assert await takes_plain_dicom(approach(peer.port)) is False
        assert len(peer.calls) == 1


@in_loop
async def test_port_that_nobody_answers_says_nothing():
    with refusing_port(HOST, 0) as port:
        assert await takes_plain_dicom(approach(port)) is None


@in_loop
async def test_nothing_is_dialled_outside_the_scope():
    with pytest.raises(ScopeError):
        await takes_plain_dicom(approach(2762, "192.0.2.1"))
