import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certificates import make_certificates
from doorward.access.authority import Authority
from doorward.errors import ConfigError, ConnectFailed, TlsFailed
from doorward.net.certificate import read_certificate
from doorward.net.tls import (
    TLS_VERSIONS,
    client_context,
    handshake,
    present,
    probe_context,
    refuse_revoked,
    server_context,
    telling,
    verifying_probe_context,
)
from loopback import HOST, House, OpenGate, associated, in_loop, limits, listening
from scripted_peer import scripted_peer


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def serving(credential, *, authority=None, only=None, ciphers=None):
    """A server's context; ``only`` one version of TLS, ``ciphers`` as OpenSSL names them."""
    context = server_context(
        credential.certificate_path,
        credential.key_path,
        client_authorities=authority and authority.certificate_path,
    )
    if only:
        context.minimum_version = context.maximum_version = TLS_VERSIONS[only]
    if ciphers:
        context.set_ciphers(ciphers)
    return context


async def shaken(port, context, **how):
    return await handshake(HOST, port, context, gate=OpenGate(), **how)


async def kind_of_failure(port, context, **how):
    with pytest.raises(TlsFailed) as caught:
        await shaken(port, context, **how)
    return caught.value.kind


def probing_as(credential, *, only=None):
    """A context of its own: without a certificate it would be shared, and what is changed in it met by every later test."""
    return probe_context(
        certificate=credential.certificate_path, key=credential.key_path, only=only
    )


# --- what we serve with -----------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize("only", ("TLSv1.2", "TLSv1.3"))
async def test_a_handshake_tells_what_was_agreed_on(credentials, only):
    async with listening(House(), tls=serving(credentials.server)) as (_, port):
        session = await shaken(port, probe_context(only=only))
    assert session.version == only
    assert "GCM" in session.cipher or "CHACHA" in session.cipher
    assert session.bits >= 128
    assert "doorward test server" in read_certificate(session.certificate).subject


@in_loop
@pytest.mark.parametrize("only", ("TLSv1", "TLSv1.1"))
async def test_we_serve_no_old_version(credentials, only):
    async with listening(House(), tls=serving(credentials.server_rsa)) as (_, port):
        assert await kind_of_failure(port, probe_context(only=only)) == "version"


@in_loop
@pytest.mark.parametrize(
    "suite", ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "AECDH-AES128-SHA")
)
async def test_we_serve_no_suite_without_forward_secrecy_and_authenticated_encryption(
    credentials, suite
):
    """RFC 9325 section 4.2, as PS3.15 B.12 asks."""
    context = probing_as(credentials.client, only="TLSv1.2")
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    async with listening(House(), tls=serving(credentials.server_rsa)) as (_, port):
        assert await kind_of_failure(port, context) == "refused"


# --- client certificates ----------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize("only", (None, "TLSv1.2", "TLSv1.3"))
async def test_a_missing_client_certificate_is_told_as_such(credentials, only):
    """TLS 1.3 says so after the handshake; up to TLS 1.2 the alert is that of any failed handshake."""
    context = serving(credentials.server, authority=credentials.authority, only=only)
    async with listening(House(), tls=context) as (_, port):
        assert await kind_of_failure(port, probe_context(), linger_s=5.0) == "certificate_required"


@in_loop
async def test_a_suite_that_is_not_there_is_no_missing_certificate(credentials):
    tls = serving(
        credentials.server,
        authority=credentials.authority,
        only="TLSv1.2",
        ciphers="ECDHE-ECDSA-AES256-GCM-SHA384",
    )
    ours = probing_as(credentials.client)
    ours.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    async with listening(House(), tls=tls) as (_, port):
        assert await kind_of_failure(port, ours) == "refused"


@in_loop
async def test_a_known_client_certificate_is_let_in_and_seen(credentials):
    house = House()
    tls = serving(credentials.server, authority=credentials.authority)
    client = credentials.client
    ours = client_context(
        authorities=credentials.authority.certificate_path,
        certificate=client.certificate_path,
        key=client.key_path,
        check_name=False,
    )
    async with listening(house, tls=tls) as (_, port), associated(port, tls=ours) as requestor:
        assert await requestor.echo() == 0
    assert "doorward test client" in read_certificate(house.peers[0].certificate).subject


@in_loop
@pytest.mark.parametrize("who", ("stranger", "expired"))
async def test_a_client_certificate_that_is_not_trusted_is_refused(credentials, who):
    tls = serving(credentials.server, authority=credentials.authority)
    ours = probing_as(getattr(credentials, who))
    async with listening(House(), tls=tls) as (_, port):
        assert await kind_of_failure(port, ours, linger_s=5.0) in ("certificate_refused", "other")


@in_loop
async def test_a_revoked_client_certificate_is_refused_from_the_next_handshake_on(tmp_path):
    now = datetime.now(UTC)
    authority = Authority.make("test", now=now)
    server, client = authority.server([HOST], now=now), authority.device("ct1", now=now)
    files = {
        "authority": authority.certificate,
        "server": server.certificate + server.key,
        "client": client.certificate + client.key,
        "revoked": authority.revocation_list((), number=1, now=now),
    }
    at = {name: tmp_path / f"{name}.pem" for name in files}
    for name, content in files.items():
        at[name].write_bytes(content)
    tls = server_context(at["server"], at["server"], client_authorities=at["authority"])
    refuse_revoked(tls, at["revoked"])
    ours = client_context(authorities=at["authority"], certificate=at["client"])
    async with listening(House(), tls=tls) as (_, port):
        async with associated(port, tls=ours) as requestor:
            assert await requestor.echo() == 0
        later = now + timedelta(seconds=1)
        at["revoked"].write_bytes(authority.revoke(client.serial, files["revoked"], now=later))
        refuse_revoked(tls, at["revoked"])
        assert await kind_of_failure(port, ours, linger_s=5.0) in ("certificate_refused", "other")


@in_loop
async def test_a_handshake_that_is_refused_is_told_once_and_why(credentials):
    tls = serving(credentials.server, authority=credentials.authority)
    told = []
    with telling(told.append):
        refused = serving_object(tls, b"GET / HTTP/1.1\r\n\r\n")
    untold = serving_object(tls, b"GET / HTTP/1.1\r\n\r\n")
    for made in (refused, untold):
        for _ in range(2):
            with pytest.raises(ssl.SSLError):
                made.do_handshake()
    assert told == ["TLS: http request"]


def serving_object(tls, said):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(said)
    return tls.wrap_bio(incoming, outgoing, server_side=True)


@in_loop
async def test_another_certificate_is_presented_from_the_next_handshake_on(credentials):
    tls = serving(credentials.server)
    async with listening(House(), tls=tls) as (_, port):
        before = await shaken(port, probe_context())
        present(tls, credentials.expired.certificate_path, credentials.expired.key_path)
        after = await shaken(port, probe_context())
    assert before.certificate != after.certificate
    with pytest.raises(ConfigError):
        present(tls, credentials.server.certificate_path, credentials.client.key_path)


@in_loop
async def test_an_association_without_the_certificate_fails_as_tls(credentials):
    house = House()
    tls = serving(credentials.server, authority=credentials.authority)
    async with listening(house, tls=tls) as (_, port):
        with pytest.raises(TlsFailed) as caught:
            async with associated(port, tls=probe_context()):
                raise AssertionError("never reached")
    assert caught.value.kind == "certificate_required"
    assert not house.peers


@in_loop
async def test_who_lingers_in_vain_is_served_without_a_certificate(credentials):
    async with listening(House(), tls=serving(credentials.server)) as (_, port):
        session = await shaken(port, probe_context(), linger_s=0.05)
    assert session.version == "TLSv1.3"


# --- verifying --------------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    ("which", "is_trusted"),
    (
        ("server", True),
        ("wrong_name", True),
        ("self_signed", False),
        ("expired", False),
        ("not_yet_valid", False),
    ),
)
async def test_a_verifying_probe_judges_the_chain_and_not_the_name(credentials, which, is_trusted):
    context = verifying_probe_context(credentials.authority.certificate_path)
    async with listening(House(), tls=serving(getattr(credentials, which))) as (_, port):
        if is_trusted:
            assert (await shaken(port, context)).certificate
        else:
            assert await kind_of_failure(port, context) == "certificate_refused"


@in_loop
async def test_a_verifying_probe_trusts_the_system_and_nobody_else(credentials):
    async with listening(House(), tls=serving(credentials.server)) as (_, port):
        assert await kind_of_failure(port, verifying_probe_context()) == "certificate_refused"


@in_loop
@pytest.mark.parametrize(("which", "is_let_in"), (("server", True), ("wrong_name", False)))
async def test_our_own_clients_check_the_name_too(credentials, which, is_let_in):
    context = client_context(authorities=credentials.authority.certificate_path)
    async with listening(House(), tls=serving(getattr(credentials, which))) as (_, port):
        if is_let_in:
            assert await shaken(port, context, server_name="localhost")
        else:
            kind = await kind_of_failure(port, context, server_name="localhost")
            assert kind == "certificate_refused"


@in_loop
async def test_our_own_clients_speak_no_old_version(credentials):
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context().verify_mode is ssl.CERT_REQUIRED


# --- peers that do not shake hands ------------------------------------------------------------------------------


@in_loop
async def test_a_handshake_has_an_end(credentials):
    async def script(call):
        await call.take(100_000)

    async with scripted_peer(script) as peer:
        kind = await kind_of_failure(
            peer.port, probe_context(), limits=limits(tls_handshake_s=0.05)
        )
    assert kind == "timeout"


@in_loop
async def test_a_closed_port_is_no_matter_of_tls():
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed):
        await shaken(port, probe_context())


@in_loop
async def test_what_is_sent_after_the_handshake_is_dropped(credentials):
    async def script(call):
        await call.send(b"something that nobody reads " * 100)
        await call.until_gone()

    tls = serving(credentials.server)
    async with scripted_peer(script, tls=tls) as peer:
        assert await shaken(peer.port, probe_context(), linger_s=0.05)


# --- files ------------------------------------------------------------------------------------------------------


def test_missing_files_are_named(credentials, tmp_path):
    there, missing = credentials.server.certificate_path, tmp_path / "missing.pem"
    with pytest.raises(ConfigError, match="no such file") as caught:
        server_context(there, missing)
    assert caught.value.file == missing
    with pytest.raises(ConfigError, match="no such file") as caught:
        server_context(missing, credentials.server.key_path)
    assert caught.value.file == missing
    with pytest.raises(ConfigError, match="no such file") as caught:
        client_context(authorities=missing)
    assert caught.value.file == missing


def test_files_that_are_no_certificates_are_named(credentials, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("nothing of the kind")
    with pytest.raises(ConfigError, match="no PEM certificate"):
        verifying_probe_context(text)
    with pytest.raises(ConfigError, match="cannot be used together"):
        server_context(text, text)
    with pytest.raises(ConfigError, match="cannot be used together"):
        probe_context(
            certificate=credentials.client.certificate_path, key=credentials.server.key_path
        )


def test_a_file_that_may_not_be_read_says_so(credentials, tmp_path):
    if Path("/proc/self").stat().st_uid == 0:
        pytest.skip("root reads everything")
    key = tmp_path / "secret.key"
    key.write_bytes(credentials.server.key_path.read_bytes())
    key.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        server_context(credentials.server.certificate_path, key)


def test_an_authority_is_needed_to_ask_for_certificates(credentials):
    own = credentials.server
    assert server_context(own.certificate_path, own.key_path).verify_mode is ssl.CERT_NONE
    asking = serving(own, authority=credentials.authority)
    assert asking.verify_mode is ssl.CERT_REQUIRED
