"""The certificates of a set-up: what they are good for, and for how long."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from doorward.audit.sensors.authority import Authority

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(now=NOW, days=10)


def loaded(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def value(certificate: x509.Certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


def test_the_authority_may_sign_and_nothing_else(authority):
    own = loaded(authority.certificate())
    assert value(own, x509.BasicConstraints).ca
    assert value(own, x509.BasicConstraints).path_length == 0
    assert value(own, x509.KeyUsage).key_cert_sign
    assert not value(own, x509.KeyUsage).digital_signature


def test_a_server_has_all_its_names_and_only_serves(authority):
    certificate, key = authority.server(["nats.example", "10.0.0.1", "2001:db8::1"])
    made = loaded(certificate)
    names = value(made, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["nats.example"]
    addresses = [ip_address("10.0.0.1"), ip_address("2001:db8::1")]
    assert names.get_values_for_type(x509.IPAddress) == addresses
    assert list(value(made, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert load_pem_private_key(key, None).public_key() == made.public_key()
    made.verify_directly_issued_by(loaded(authority.certificate()))


def test_a_client_is_known_by_its_common_name_alone(authority):
    made = loaded(authority.client("sensor-north")[0])
    assert made.subject.rfc4514_string() == "CN=sensor-north"
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert list(value(made, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):  # nats-server would take a name from there first
        value(made, x509.SubjectAlternativeName)


def test_certificates_end_when_they_are_told_to(authority):
    made = loaded(authority.client("sensor-north")[0])
    assert made.not_valid_after_utc == NOW + timedelta(days=10)
    assert made.not_valid_before_utc < NOW


def test_another_authority_is_another_one(authority):
    other = Authority(now=NOW, days=10)
    made = loaded(other.client("sensor-north")[0])
    with pytest.raises(InvalidSignature):
        made.verify_directly_issued_by(loaded(authority.certificate()))
