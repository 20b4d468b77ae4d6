"""What the authority signs is what OpenSSL and TLS accept, for its purpose only, and no more once it is revoked."""

import ssl
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from doorward.access.authority import (
    Authority,
    Credential,
    KeyKind,
    Revocation,
    certificate_from,
    fingerprint_of,
    hosts_of,
    is_renewal_due,
    key_kind_of,
    require_current,
)
from doorward.access.identity import Device, Register, Role
from doorward.access.vault import Vault
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS
from doorward.net.tls import client_context, server_context

#: OpenSSL looks at the real clock.
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
HOSTS = ("pacs.example", "127.0.0.1", "::1")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make("Example clinic", now=NOW)


@pytest.fixture(scope="module")
def server(authority: Authority) -> Credential:
    return authority.server(HOSTS, now=NOW)


@pytest.fixture(scope="module")
def device(authority: Authority) -> Credential:
    return authority.device("ct1", now=NOW)


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def extension(credential: Credential | bytes, kind: type[x509.ExtensionType]):
    pem = credential if isinstance(credential, bytes) else credential.certificate
    return certificate_from(pem).extensions.get_extension_for_class(kind)


def openssl(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, timeout=15, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def both_contexts(
    folder: Path, authority: Authority, server: Credential, client: Credential | None
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of our own kind: a server that wants a certificate, and a client with its own."""
    trusted = written(folder, "authority.pem", authority.certificate)
    serving = server_context(
        written(folder, "server.pem", server.certificate),
        written(folder, "server-key.pem", server.key),
        client_authorities=trusted,
    )
    if client is None:
        return serving, client_context(authorities=trusted)
    certificate = written(folder, "client.pem", client.certificate)
    key = written(folder, "client-key.pem", client.key)
    return serving, client_context(authorities=trusted, certificate=certificate, key=key)


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1"
) -> bytes | None:
    """Return the client's certificate as the server saw it; raises SSLError where one side refuses."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(up, down, server_side=True)
    calling = client.wrap_bio(down, up, server_hostname=host)
    for _ in range(6):
        for side in (calling, serving):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return serving.getpeercert(binary_form=True)


# --- what is signed -----------------------------------------------------------------------------------------------------


@pytest.mark.peer("openssl")
def test_openssl_accepts_the_chain_for_its_purpose_and_no_other(
    authority, server, device, tmp_path
):
    trusted = written(tmp_path, "authority.pem", authority.certificate)
    paths = {
        "sslserver": written(tmp_path, "server.pem", server.certificate),
        "sslclient": written(tmp_path, "device.pem", device.certificate),
    }
    for purpose, path in paths.items():
        for asked in paths:
            code, said = openssl(
                "verify", "-x509_strict", "-CAfile", trusted, "-purpose", asked, path
            )
            assert (code == 0) == (purpose == asked), said


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("kind", KeyKind)
def test_openssl_opens_the_bundle_of_a_device_with_its_passphrase_only(authority, tmp_path, kind):
    credential = authority.device("ct1", now=NOW, kind=kind)
    bundle = authority.pkcs12(credential, name="ct1", passphrase="made-up-passphrase")
    path = written(tmp_path, "ct1.p12", bundle)
    code, said = openssl(
        "pkcs12", "-in", path, "-passin", "pass:made-up-passphrase", "-nodes", "-info"
    )
    assert code == 0, said
    assert said.count("BEGIN CERTIFICATE") == 2
    assert said.count("BEGIN PRIVATE KEY") == 1
    assert "AES-256-CBC" in said
    assert "hmacWithSHA256" in said
    assert openssl("pkcs12", "-in", path, "-passin", "pass:other", "-nodes")[0] != 0


def test_the_authority_signs_end_entities_and_nothing_below_them(authority, server, device):
    own = extension(authority.certificate, x509.BasicConstraints)
    assert (own.critical, own.value.ca, own.value.path_length) == (True, True, 0)
    for credential in (server, device):
        assert not extension(credential, x509.BasicConstraints).value.ca
        usage = extension(credential, x509.KeyUsage).value
        assert usage.digital_signature
        assert not usage.key_cert_sign
        assert not usage.crl_sign


def test_serial_numbers_are_random_and_positive(authority):
    serials = {authority.device("ct1", now=NOW).serial for _ in range(20)}
    assert len(serials) == 20
    assert all(2**100 < serial < 2**159 for serial in serials)  # RFC 5280 section 4.1.2.2


def test_lifetimes_are_bounded_and_end_with_the_authority(authority, server, device):
    assert server.not_after == NOW + DEFAULT_LIMITS.server_certificate_days * DAY
    assert device.not_after == NOW + DEFAULT_LIMITS.device_certificate_days * DAY
    late = authority.not_after - DAY
    assert authority.device("ct1", now=late).not_after == authority.not_after
    with pytest.raises(ConfigError, match="has ended"):
        authority.device("ct1", now=authority.not_after)


def test_a_device_is_found_in_the_register_by_what_the_handshake_shows(
    authority, server, device, tmp_path
):
    shown = shake_hands(*both_contexts(tmp_path, authority, server, device))
    assert shown is not None
    fingerprint = fingerprint_of(x509.load_der_x509_certificate(shown))
    register = Register(
        devices=(Device(name="ct1", role=Role.MODALITY, fingerprints=(device.fingerprint,)),)
    )
    identity = register.by_certificate(fingerprint)
    assert identity is not None
    assert identity.name == "ct1"
    assert register.without("ct1").by_certificate(fingerprint) is None


@pytest.mark.parametrize("host", HOSTS)
def test_the_server_is_verified_under_each_of_its_names(authority, server, device, tmp_path, host):
    contexts = both_contexts(tmp_path, authority, server, device)
    assert shake_hands(*contexts, host=host)
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake_hands(*contexts, host="other.example")


def test_nobody_without_a_certificate_of_this_authority_comes_in(
    authority, server, device, tmp_path
):
    stranger = Authority.make("Example clinic", now=NOW).device("ct1", now=NOW)
    for client in (None, stranger, server):  # a server's certificate is no device's
        with pytest.raises(ssl.SSLError):
            shake_hands(*both_contexts(tmp_path, authority, server, client))


def test_a_device_may_listen_only_where_that_was_asked_for(authority, server, device, tmp_path):
    destination = authority.device("ws1", now=NOW, hosts=("127.0.0.1",))
    contexts = both_contexts(tmp_path, authority, destination, device)
    assert shake_hands(*contexts)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(*both_contexts(tmp_path, authority, device, device))


# --- revoking -----------------------------------------------------------------------------------------------------------


def test_who_is_revoked_is_refused_in_the_handshake_of_a_running_server(
    authority, server, device, tmp_path
):
    serving, calling = both_contexts(tmp_path, authority, server, device)
    other = authority.device("mr1", now=NOW)
    present = authority.revocation_list((), number=1, now=NOW)
    serving.load_verify_locations(written(tmp_path, "revoked.pem", present))
    serving.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    assert shake_hands(serving, calling)
    newer = authority.revoke(device.serial, present, now=NOW + timedelta(seconds=1))
    serving.load_verify_locations(written(tmp_path, "revoked.pem", newer))
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        shake_hands(serving, calling)
    (tmp_path / "other").mkdir()
    _, innocent = both_contexts(tmp_path / "other", authority, server, other)
    assert shake_hands(serving, innocent)


@pytest.mark.peer("openssl")
def test_openssl_reads_the_revocation_list_and_refuses_by_it(authority, device, tmp_path):
    trusted = written(tmp_path, "authority.pem", authority.certificate)
    leaf = written(tmp_path, "device.pem", device.certificate)
    for is_revoked in (False, True):
        revoked = (Revocation(serial=device.serial, revoked_at=NOW),) if is_revoked else ()
        content = authority.revocation_list(revoked, number=7, now=NOW)
        listed = written(tmp_path, "revoked.pem", content)
        code, said = openssl(
            "verify", "-x509_strict", "-CAfile", trusted, "-CRLfile", listed, "-crl_check", leaf
        )
        assert (code != 0) == is_revoked, said
        assert ("certificate revoked" in said) == is_revoked


def test_the_list_grows_keeps_its_entries_and_counts_on(authority):
    first = authority.revoke(11, None, now=NOW)
    second = authority.revoke(12, first, now=NOW + DAY)
    again = authority.revoke(11, second, now=NOW + 2 * DAY)
    number, entries = authority.revocations(again)
    assert number == 3
    assert {(one.serial, one.revoked_at) for one in entries} == {(11, NOW), (12, NOW + DAY)}


def test_the_list_is_good_for_as_long_as_the_authority(authority):
    content = x509.load_pem_x509_crl(authority.revocation_list((), number=1, now=NOW))
    assert content.next_update_utc == authority.not_after


def test_a_list_of_somebody_else_is_refused(authority):
    foreign = Authority.make("Example clinic", now=NOW).revoke(11, None, now=NOW)
    with pytest.raises(ConfigError, match="not signed by this authority"):
        authority.revocations(foreign)
    for damaged in (b"", b"nothing", authority.certificate):
        with pytest.raises(ConfigError, match="no revocation list"):
            authority.revoke(11, damaged, now=NOW)


def test_the_list_is_bounded(authority):
    small = replace(DEFAULT_LIMITS, revoked_certificates=1)
    present = authority.revoke(11, None, now=NOW, limits=small)
    with pytest.raises(ConfigError, match="1 certificates"):
        authority.revoke(12, present, now=NOW, limits=small)


# --- keys of devices ------------------------------------------------------------------------------------------------------


def request_of(key, *, signer=None, title: str = "administrator") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    builder = x509.CertificateSigningRequestBuilder(subject_name=subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65_537, 2_048)],
    ids=["ec", "rsa"],
)
def test_a_request_gives_its_key_and_nothing_else(authority, key):
    credential = authority.device_from_request(request_of(key), "ct1", now=NOW)
    certificate = certificate_from(credential.certificate)
    assert certificate.public_key() == key.public_key()
    assert credential.key == b""
    (title,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert title.value == "ct1"
    assert not extension(credential, x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    "request_pem",
    [
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        request_of(rsa.generate_private_key(65_537, 1_024)),
        request_of(ed25519.Ed25519PrivateKey.generate()),
        request_of(ec.generate_private_key(ec.SECP256K1())),
    ],
    ids=["empty", "damaged", "rsa-1024", "ed25519", "secp256k1"],
)
def test_a_damaged_or_weak_request_is_refused(authority, request_pem):
    with pytest.raises(ConfigError) as error:
        authority.device_from_request(request_pem, "ct1", now=NOW)
    assert error.value.field == "request"


def test_a_request_with_the_signature_of_another_key_is_refused(authority):
    mine = x509.load_pem_x509_csr(request_of(ec.generate_private_key(ec.SECP256R1())))
    der = bytearray(mine.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    try:
        forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    except ValueError:
        pytest.fail("the flipped bit should be inside the signature")
    with pytest.raises(ConfigError, match="own key"):
        authority.device_from_request(forged, "ct1", now=NOW)


def test_rsa_is_for_devices_that_know_nothing_else(authority):
    key = certificate_from(authority.device("ct1", now=NOW, kind=KeyKind.RSA).certificate)
    public = key.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3_072


# --- keeping it -----------------------------------------------------------------------------------------------------------


def test_an_authority_comes_back_from_its_vault(authority, device, tmp_path):
    vault = Vault.create(tmp_path / "secrets")
    vault.add("authority.pem", authority.certificate)
    vault.add("authority-key.pem", authority.key)
    loaded = Authority.load(vault.read("authority.pem"), vault.read("authority-key.pem"))
    certificate_from(device.certificate).verify_directly_issued_by(
        certificate_from(loaded.certificate)
    )
    later = loaded.device("mr1", now=NOW)
    certificate_from(later.certificate).verify_directly_issued_by(
        certificate_from(authority.certificate)
    )


def test_an_authority_of_two_halves_is_refused(authority, device):
    other = Authority.make("Example clinic", now=NOW)
    for certificate, key in (
        (authority.certificate, other.key),
        (authority.certificate, b""),
        (b"", authority.key),
        (authority.certificate, authority.certificate),
    ):
        with pytest.raises(ConfigError):
            Authority.load(certificate, key)


def test_an_ended_certificate_and_one_from_the_future_are_refused(server):
    require_current(server.certificate, what="server certificate", now=NOW)
    with pytest.raises(ConfigError, match="ended on"):
        require_current(server.certificate, what="server certificate", now=server.not_after)
    with pytest.raises(ConfigError, match="not valid yet"):
        require_current(server.certificate, what="server certificate", now=NOW - DAY)


def test_renewal_is_due_in_time(server):
    due = server.not_after - DEFAULT_LIMITS.renewal_days * DAY
    assert is_renewal_due(server.certificate, now=due)
    assert not is_renewal_due(server.certificate, now=due - timedelta(seconds=1))


@pytest.mark.parametrize("hosts", [(), ("höst.example",), ("x" * 300, "ü")])
def test_hosts_that_cannot_stand_in_a_certificate_are_refused(authority, hosts):
    with pytest.raises(ConfigError):
        authority.server(hosts, now=NOW)


@pytest.mark.parametrize("name", ["", "CT1", "../ct1", "x" * 65])
def test_a_device_has_the_name_that_the_register_knows(authority, name):
    with pytest.raises(ConfigError, match="no name"):
        authority.device(name, now=NOW)
    with pytest.raises(ConfigError, match="common name"):
        Authority.make("x" * 65, now=NOW)


def test_no_key_is_in_a_repr(authority, device):
    for shown in (repr(authority), repr(device)):
        assert "PRIVATE" not in shown
        assert device.key.decode().splitlines()[1] not in shown


def test_the_hosts_of_a_certificate_are_those_that_it_was_made_for():
    authority = Authority.make("Example clinic", now=NOW)
    server = authority.server(["pacs.example", "10.0.0.7", "::1"], now=NOW)
    assert hosts_of(server.certificate) == ("pacs.example", "10.0.0.7", "::1")
    assert hosts_of(authority.certificate) == ()
    assert authority.fingerprint == fingerprint_of(certificate_from(authority.certificate))


@pytest.mark.parametrize("kind", KeyKind)
def test_the_kind_of_key_of_a_certificate_is_the_one_that_was_ordered(authority, kind):
    assert key_kind_of(authority.device("ct1", now=NOW, kind=kind).certificate) is kind
