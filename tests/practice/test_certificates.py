"""Certificates made on the spot let the right ones in and are nobody else's to read."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from doorward.errors import DoorwardError
from doorward.net.client import associate
from doorward.net.tls import client_context, server_context
from doorward.practice.certificates import make_certificates
from loopback import OpenGate, in_loop, proposal
from practising import practising

NOW = datetime.now(UTC)
VERIFICATION = [("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return make_certificates(folder, now=NOW, addresses=("127.0.1.1", "::1"))


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_keys_are_readable_by_their_owner_only(certificates):
    for key in (certificates.server_key, certificates.client_key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_an_existing_key_is_not_overwritten(certificates):
    with pytest.raises(FileExistsError):
        make_certificates(certificates.server_key.parent, now=NOW, addresses=())


def test_certificates_are_signed_by_their_authority_and_short_lived(certificates):
    authority = read(certificates.authority)
    for file in (certificates.server_certificate, certificates.client_certificate):
        read(file).verify_directly_issued_by(authority)
        assert read(file).not_valid_before_utc < NOW
        assert read(file).not_valid_after_utc < NOW + timedelta(days=61)


def test_server_certificate_names_its_addresses(certificates):
    extension = read(certificates.server_certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["127.0.1.1", "::1"]


def test_two_makings_share_nothing(certificates, tmp_path):
    other = make_certificates(tmp_path, now=NOW, addresses=())
    assert other.server_key.read_bytes() != certificates.server_key.read_bytes()
    assert server_context(other.server_certificate, other.server_key)


@in_loop
async def test_client_with_its_certificate_is_let_in_and_a_stranger_is_not(certificates):
    trusted = client_context(
        authorities=certificates.authority,
        certificate=certificates.client_certificate,
        key=certificates.client_key,
    )
    stranger = client_context(authorities=certificates.authority)
    async with practising("mutual-tls", certificates=certificates) as (one,):
        where = (one.address, one.port, proposal(VERIFICATION))
        async with associate(*where, gate=OpenGate(), tls=trusted) as requestor:
            assert await requestor.echo() == 0
        with pytest.raises(DoorwardError, match="asks for a certificate"):
            async with associate(*where, gate=OpenGate(), tls=stranger):
                pass
