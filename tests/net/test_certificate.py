import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from certificates import make_certificates
from doorward.errors import PeerProtocolError
from doorward.net.certificate import read_certificate

SIGNER = ed25519.Ed25519PrivateKey.generate()
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def certificate_for(public_key):
    """A certificate over a public key of any kind, signed by somebody."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "archive")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")]))
        .public_key(public_key)
        .serial_number(77)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(SIGNER, None)
        .public_bytes(Encoding.DER)
    )


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def der(credential):
    return credential.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("make", "key", "bits"),
    (
        (lambda: rsa.generate_private_key(65537, 1024), "RSA 1024", 1024),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "EC secp384r1", 384),
        (lambda: dsa.generate_private_key(1024), "DSA 1024", 1024),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519", 256),
        (ed448.Ed448PrivateKey.generate, "Ed448", 456),
        (x25519.X25519PrivateKey.generate, "X25519PublicKey", 0),
    ),
)
def test_keys_are_named_with_their_size(make, key, bits):
    facts = read_certificate(certificate_for(make().public_key()))
    assert (facts.key.split(".")[-1].lower(), facts.key_bits) == (key.lower(), bits)


def test_a_certificate_says_whose_it_is_and_how_long():
    content = certificate_for(SIGNER.public_key())
    facts = read_certificate(content)
    assert (facts.subject, facts.issuer) == ("CN=archive", "CN=somebody")
    assert (facts.not_before, facts.not_after) == (
        "2030-01-02T03:04:05+00:00",
        "2030-01-03T03:04:05+00:00",
    )
    assert facts.signature == "ed25519"
    assert facts.fingerprint_sha256 == sha256(content).hexdigest()
    assert not facts.is_self_signed
    assert facts.names == ()


def test_names_are_those_of_the_extension(credentials):
    assert read_certificate(der(credentials.server)).names == ("localhost", "127.0.0.1", "::1")
    assert read_certificate(der(credentials.client)).names == ()


def test_who_signs_for_itself_is_found_out(credentials):
    assert read_certificate(der(credentials.self_signed)).is_self_signed
    assert not read_certificate(der(credentials.server)).is_self_signed


def test_the_signature_algorithm_is_named(credentials):
    assert "SHA256" in read_certificate(der(credentials.server)).signature.upper()
    assert isinstance(credentials.server.certificate.signature_hash_algorithm, hashes.SHA256)


@given(st.binary(max_size=200))
def test_what_is_no_certificate_is_said_by_its_length_only(content):
    with pytest.raises(PeerProtocolError, match=f"{len(content)} bytes that are no certificate"):
        read_certificate(content)


def test_a_version_that_does_not_exist_is_refused(credentials):
    content = der(credentials.server)
    assert content.count(bytes.fromhex("a003020102")) == 1  # version 3, RFC 5280 section 4.1.2.1
    with pytest.raises(PeerProtocolError, match="no certificate"):
        read_certificate(content.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020107")))


def test_an_extension_that_occurs_twice_costs_the_names_only(credentials):
    key_usage, alternative_names = bytes.fromhex("551d0f"), bytes.fromhex("551d11")
    content = der(credentials.server).replace(key_usage, alternative_names)
    facts = read_certificate(content)
    assert facts.names == ()
    assert facts.subject == read_certificate(der(credentials.server)).subject


def test_a_damaged_certificate_is_read_or_refused(credentials):
    """The x509 exceptions of the library are no ValueErrors: thousands of damages, from one seed."""
    chance, whole = random.Random(5280), der(credentials.server)
    refused = 0
    for _ in range(6_000):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        try:
            read_certificate(bytes(content))
        except PeerProtocolError:
            refused += 1
    assert 1_000 < refused < 6_000
