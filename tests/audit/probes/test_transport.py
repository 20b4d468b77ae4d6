"""TLS as a stranger meets it: what is spoken, what is refused, and what silence must not be taken for."""

import socket
import ssl
import warnings

import pytest

from certificates import make_certificates
from doorward.audit.approach import Approach, Pace, attempt
from doorward.audit.facts import Endpoint, Outcome
from doorward.audit.probes import transport
from doorward.audit.scope import Scope
from doorward.net.tls import TLS_VERSIONS, server_context
from loopback import HOST, House, in_loop, limits, listening
from scripted_peer import archive, finds, scripted_peer


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def approach(port, **bounds):
    bounds = {"tls_linger_s": 0.1, "tls_handshake_s": 0.5} | bounds
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(**bounds),
    )


async def asked(port, *, speaks_plain=None, authorities=None, **bounds):
    return await transport.asker(speaks_plain, authorities)(approach(port, **bounds))


def serving(credential, *, authority=None, oldest=None, newest=None, ciphers=None):
    context = server_context(
        credential.certificate_path,
        credential.key_path,
        client_authorities=authority and authority.certificate_path,
    )
    if ciphers:
        context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = TLS_VERSIONS[oldest or "TLSv1.2"]
        context.maximum_version = TLS_VERSIONS[newest or "TLSv1.3"]
    return context


def versions(facts):
    tls = facts.tls
    return (
        tls.accepts_tls_1_0,
        tls.accepts_tls_1_1,
        tls.accepts_tls_1_2,
        tls.accepts_tls_1_3,
    )


# --- TLS is spoken ----------------------------------------------------------------------------------------------


@in_loop
async def test_a_good_server_is_described(credentials):
    house = House()
    async with listening(house, tls=serving(credentials.server)) as (_, port):
        outcome, reason, facts = await asked(
            port, speaks_plain=False, authorities=credentials.authority.certificate_path
        )
    assert (outcome, reason) == (Outcome.ANSWERED, "")
    assert (facts.speaks_tls, facts.speaks_plain_dicom) == (True, False)
    assert versions(facts) == (False, False, True, True)
    assert facts.tls.version == "TLSv1.3"
    assert facts.tls.bits >= 128
    assert facts.tls.chain_trusted is True
    assert facts.tls.client_certificate_required is False
    assert facts.tls.certificate.key == "EC secp256r1"
    assert not house.peers, "nothing is said over any of these connections"


@in_loop
async def test_old_versions_are_seen(credentials):
    old = serving(
        credentials.server_rsa, oldest="TLSv1", newest="TLSv1.2", ciphers="ALL:@SECLEVEL=0"
    )
    async with listening(House(), tls=old) as (_, port):
        _, _, facts = await asked(port)
    assert versions(facts) == (True, True, True, False)
    assert facts.tls.version == "TLSv1.2"


@in_loop
async def test_a_version_without_a_suite_in_common_is_not_offered(credentials):
    """DCMTK with an EC certificate: alert handshake_failure at TLS 1.2, and TLS 1.3 works."""
    tls = serving(credentials.server, ciphers="ECDHE-RSA-AES256-GCM-SHA384")
    async with listening(House(), tls=tls) as (_, port):
        _, _, facts = await asked(port)
    assert versions(facts) == (False, False, False, True)
    assert facts.tls.client_certificate_required is False


@in_loop
@pytest.mark.parametrize(
    ("which", "is_trusted"), (("server", True), ("self_signed", False), ("expired", False))
)
async def test_the_chain_is_judged_by_the_operators_authorities(credentials, which, is_trusted):
    async with listening(House(), tls=serving(getattr(credentials, which))) as (_, port):
        _, _, facts = await asked(port, authorities=credentials.authority.certificate_path)
    assert facts.tls.chain_trusted is is_trusted


@in_loop
async def test_without_authorities_the_chain_is_judged_by_those_of_the_system(credentials):
    async with listening(House(), tls=serving(credentials.server)) as (_, port):
        _, _, facts = await asked(port)
    assert facts.tls.chain_trusted is False


@in_loop
@pytest.mark.parametrize("newest", ("TLSv1.2", "TLSv1.3"))
async def test_a_demand_for_a_client_certificate_is_seen(credentials, newest):
    tls = serving(credentials.server, authority=credentials.authority, newest=newest)
    async with listening(House(), tls=tls) as (_, port):
        outcome, _, facts = await asked(port)
    assert outcome is Outcome.ANSWERED
    assert facts.speaks_tls
    assert facts.tls.client_certificate_required is True
    assert versions(facts) == (False, False, True, newest == "TLSv1.3")
    assert facts.tls.version == newest


@in_loop
async def test_a_server_that_hangs_up_after_the_handshake_demands_nothing_that_is_known(
    credentials,
):
    async def script(call):
        pass

    tls = serving(credentials.server)
    async with scripted_peer(script, tls=tls) as peer:
        _, _, facts = await asked(peer.port)
    assert facts.speaks_tls
    assert facts.tls.client_certificate_required is not True


# --- no TLS -----------------------------------------------------------------------------------------------------


def saying(greeting):
    async def script(call):
        await call.take(1)
        await call.send(greeting)
        await call.take(100_000)

    return script


@in_loop
@pytest.mark.parametrize("greeting", (b"SSH-2.0-x\r\n", bytes.fromhex("07 00 00000004 00000200")))
async def test_who_answers_a_hello_in_other_words_speaks_no_tls(greeting):
    async with scripted_peer(saying(greeting)) as peer:
        outcome, _, facts = await asked(peer.port)
    assert (outcome, facts.speaks_tls, facts.tls) == (Outcome.ANSWERED, False, None)
    assert "does not speak TLS" in facts.detail


async def hang_up(call):
    await call.take(1)
    call.writer.transport.abort()


async def say_nothing(call):
    await call.take(100_000)


@in_loop
@pytest.mark.parametrize("script", (hang_up, say_nothing))
async def test_a_lost_handshake_means_no_tls_only_where_plain_dicom_is_spoken(script):
    async with scripted_peer(script) as peer:
        known = await asked(peer.port, speaks_plain=True, tls_handshake_s=0.1)
        unknown = await asked(peer.port, speaks_plain=None, tls_handshake_s=0.1)
        not_dicom = await asked(peer.port, speaks_plain=False, tls_handshake_s=0.1)
    assert (known[0], known[2].speaks_tls) == (Outcome.ANSWERED, False)
    assert (unknown[0], unknown[2].speaks_tls) == (Outcome.INCONCLUSIVE, None)
    assert (not_dicom[0], not_dicom[2].speaks_tls) == (Outcome.INCONCLUSIVE, None)
    assert unknown[1] == unknown[2].detail


@in_loop
async def test_plain_dicom_is_asked_with_one_connection_only():
    async with scripted_peer(archive(finds())) as peer:
        us = approach(peer.port, tls_handshake_s=0.1)
        made = await attempt("transport", us, transport.asker(True, None))
        assert len(peer.calls) == made.connections == 1
    assert made.outcome is Outcome.ANSWERED


# --- some questions without an answer ---------------------------------------------------------------------------


def from_the_third_connection_on(us, happens):
    """Let the first handshakes go through, the second of which looks for a demanded certificate."""
    turn = us.pace.turn

    def turning():
        if us.pace.connections == 2:
            happens()
        return turn()

    us.pace.turn = turning


@in_loop
async def test_a_silence_among_the_versions_refuses_none(credentials):
    async with (
        scripted_peer(say_nothing) as silent,
        listening(House(), tls=serving(credentials.server)) as (_, port),
    ):
        us = approach(port, tls_handshake_s=0.05)

        def fall_silent():
            us.endpoint = Endpoint(address=HOST, port=silent.port)

        from_the_third_connection_on(us, fall_silent)
        outcome, _, facts = await transport.asker(None, None)(us)
    assert (outcome, facts.speaks_tls) == (Outcome.ANSWERED, True)
    assert versions(facts) == (None, None, None, None)
    assert facts.tls.chain_trusted is None
    assert facts.tls.certificate is not None


@in_loop
async def test_a_listener_that_goes_away_midway_keeps_what_was_seen(credentials):
    with socket.create_server((HOST, 0)) as gone:
        closed_port = gone.getsockname()[1]
    async with listening(House(), tls=serving(credentials.server)) as (_, port):
        us = approach(port)

        def go_away():
            us.endpoint = Endpoint(address=HOST, port=closed_port)

        from_the_third_connection_on(us, go_away)
        outcome, _, facts = await transport.asker(None, None)(us)
    assert (outcome, facts.tls.version) == (Outcome.ANSWERED, "TLSv1.3")
    assert versions(facts) == (None, None, None, None)
    assert facts.tls.chain_trusted is None


@in_loop
async def test_a_closed_port_is_inconclusive():
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    made = await attempt("transport", approach(port), transport.asker(None, None))
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)


@in_loop
async def test_a_certificate_that_cannot_be_read_costs_its_facts_only(credentials, monkeypatch):
    monkeypatch.setattr(ssl.SSLObject, "getpeercert", lambda *_, **__: b"\x30\x00")
    async with listening(House(), tls=serving(credentials.server)) as (_, port):
        outcome, _, facts = await asked(port)
    assert (outcome, facts.speaks_tls, facts.tls.certificate) == (Outcome.ANSWERED, True, None)


# --- plain DICOM beside TLS -------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(("tries_plain", "takes_plain"), ((True, False), (False, None)))
async def test_port_that_speaks_tls_is_asked_whether_it_takes_anything_else(
    credentials, tries_plain, takes_plain
):
    tls = serving(credentials.server, authority=credentials.authority)
    async with listening(House(), tls=tls) as (_, port):
        ask = transport.asker(None, None, tries_plain=tries_plain)
        outcome, _, facts = await ask(approach(port))
    assert (outcome, facts.speaks_tls) == (Outcome.ANSWERED, True)
    assert facts.speaks_plain_dicom is takes_plain
