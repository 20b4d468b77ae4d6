"""Devices are added, renewed and revoked, and register, certificates and revocation list agree at each step."""

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import CertificateSigningRequestBuilder, Name

from archive_folders import NOW, ct1, ephemeral, made
from doorward.access.authority import KeyKind, certificate_from, hosts_of, key_kind_of
from doorward.access.identity import Device, Role
from doorward.archive.running.devices import (
    Ordered,
    add_device,
    add_legacy,
    device_named,
    door_of,
    read_request,
    renew_device,
    revoke_device,
    standings,
)
from doorward.archive.running.folder import REVOCATIONS
from doorward.archive.running.settings import LegacyPort
from doorward.errors import ConfigError
from loopback import limits


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "pacs", ephemeral(legacy_port=(LegacyPort(name="old", port=1104),)))


def certificate_of(bundle):
    return certificate_from(bundle.files[f"{bundle.name}-certificate.pem"])


def revoked(folder):
    content = folder.vault().read(REVOCATIONS)
    _, entries = folder.authority().revocations(content)
    return {one.serial for one in entries}


def prints(folder, name="ct1"):
    return device_named(folder.register(), name).fingerprints


def test_a_device_is_known_by_the_certificate_of_its_bundle(folder):
    bundle = ct1(folder)
    sha256 = certificate_of(bundle).fingerprint(hashes.SHA256()).hex()
    assert prints(folder) == (sha256,)
    assert folder.register().by_certificate(sha256).name == "ct1"
    (standing,) = standings(folder)
    assert standing.not_after == (certificate_of(bundle).not_valid_after_utc,)
    assert not [name for name in folder.vault().names() if "ct1" in name]


def test_no_key_of_a_device_stays_with_the_archive(folder):
    bundle = ct1(folder)
    key = bundle.files["ct1-key.pem"]
    assert key
    vault = folder.vault()
    assert not [name for name in vault.names() if key.strip() in vault.read(name)]


def test_a_name_or_title_that_is_taken_changes_nothing(folder):
    ct1(folder)
    before, names = folder.register(), folder.vault().names()
    with pytest.raises(ConfigError):
        ct1(folder)
    with pytest.raises(ConfigError, match="AE title of ct1"):
        ct1(folder, "ct2", ae_titles=("ct1",))
    assert (folder.register(), folder.vault().names()) == (before, names)


def test_revoking_forgets_the_device_and_refuses_its_certificate(folder):
    first, second = ct1(folder), ct1(folder, "ct2")
    revoke_device(folder, "ct1", now=NOW)
    assert [one.name for one in folder.register().devices] == ["ct2"]
    assert revoked(folder) == {certificate_of(first).serial_number}
    with pytest.raises(ConfigError, match="no device"):
        revoke_device(folder, "ct1", now=NOW)
    ct1(folder)  # the name may be given again
    assert certificate_of(second).serial_number not in revoked(folder)


def test_two_certificates_hold_while_a_device_is_renewed_and_the_third_ends_the_first(folder):
    settings = folder.settings()
    bundles = [ct1(folder)]
    bundles += [renew_device(folder, settings, "ct1", Ordered(), now=NOW) for _ in range(2)]
    first, *held = [certificate_of(one) for one in bundles]
    assert prints(folder) == tuple(one.fingerprint(hashes.SHA256()).hex() for one in held)
    assert revoked(folder) == {first.serial_number}
    with pytest.raises(ConfigError):
        renew_device(folder, folder.settings(), "ct9", Ordered(), now=NOW)


def test_a_device_that_made_its_key_gets_a_certificate_for_it(folder, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    request = CertificateSigningRequestBuilder().subject_name(Name([])).sign(key, hashes.SHA256())
    file = tmp_path / "ct1.csr"
    file.write_bytes(request.public_bytes(serialization.Encoding.PEM))
    device = Device(name="ct1", role=Role.MODALITY, ae_titles=("CT1",))
    ordered = Ordered(request=read_request(file))
    bundle = add_device(folder, folder.settings(), device, ordered, now=NOW)
    assert certificate_of(bundle).public_key() == key.public_key()
    assert (bundle.passphrase, "ct1-key.pem" in bundle.files) == ("", False)
    with pytest.raises(ConfigError, match="longer"):
        read_request(file, limits=limits(secret_bytes=10))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_request(tmp_path / "none.csr")


def test_keys_may_be_rsa(folder):
    device = Device(name="ct1", role=Role.MODALITY, ae_titles=("CT1",))
    ordered = Ordered(key_kind=KeyKind.RSA)
    bundle = add_device(folder, folder.settings(), device, ordered, now=NOW)
    assert certificate_of(bundle).public_key().key_size == 3072


def made_for(bundle):
    pem = bundle.files[f"{bundle.name}-certificate.pem"]
    return key_kind_of(pem), hosts_of(pem)


def test_a_renewed_device_listens_where_it_did_with_the_kind_of_key_that_it_had(folder):
    device = Device(name="ws1", role=Role.WORKSTATION, ae_titles=("WS1",))
    begun = Ordered(key_kind=KeyKind.RSA, hosts=("ws1.example", "10.0.0.8"))
    add_device(folder, folder.settings(), device, begun, now=NOW)

    def renewed(**wanted):
        return renew_device(folder, folder.settings(), "ws1", Ordered(**wanted), now=NOW)

    assert made_for(renewed()) == (KeyKind.RSA, ("ws1.example", "10.0.0.8"))
    assert made_for(renewed(hosts=("ws2.example",))) == (KeyKind.RSA, ("ws2.example",))
    assert made_for(renewed(key_kind=KeyKind.EC)) == (KeyKind.EC, ("ws2.example",))
    assert made_for(renewed(hosts=())) == (KeyKind.EC, ())


def test_a_device_whose_certificate_is_not_kept_is_renewed_only_as_somebody_says(folder):
    ct1(folder)
    folder.vault().remove(f"certificate-{prints(folder)[0]}.pem")
    for said in (Ordered(), Ordered(hosts=()), Ordered(key_kind=KeyKind.EC)):
        with pytest.raises(ConfigError, match="no certificate") as caught:
            renew_device(folder, folder.settings(), "ct1", said, now=NOW)
        assert "--no-host" in caught.value.hint
    said = Ordered(key_kind=KeyKind.EC, hosts=("10.0.0.8",))
    assert made_for(renew_device(folder, folder.settings(), "ct1", said, now=NOW)) == (
        KeyKind.EC,
        ("10.0.0.8",),
    )
    assert made_for(renew_device(folder, folder.settings(), "ct1", Ordered(), now=NOW))


def test_a_legacy_device_is_let_in_on_a_port_that_the_settings_name(folder):
    device = Device(
        name="old1",
        role=Role.MODALITY,
        ae_titles=("OLD1",),
        addresses=("10.0.0.7",),
        legacy_port="old",
    )
    commands = add_legacy(folder, folder.settings(), device)
    assert commands[0] == "echoscu -v -aet OLD1 -aec DOORWARD 127.0.0.1 1104"
    assert folder.register().by_address("10.0.0.7", "OLD1", port="old").name == "old1"


def test_a_legacy_port_that_is_not_there_is_named_with_those_that_are(folder):
    def legacy(port):
        return Device(
            name="old1",
            role=Role.MODALITY,
            ae_titles=("OLD1",),
            addresses=("10.0.0.7",),
            legacy_port=port,
        )

    with pytest.raises(ConfigError, match="older") as caught:
        add_legacy(folder, folder.settings(), legacy("older"))
    assert "old." in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        add_legacy(folder, ephemeral(), legacy("old"))
    assert "[[legacy_port]]" in caught.value.hint
    assert folder.register().devices == ()


def test_devices_are_told_the_first_host_and_the_fingerprint_of_the_server(folder):
    door = door_of(folder, folder.settings())
    assert (door.host, door.ae_title) == ("127.0.0.1", "DOORWARD")
    assert len(door.server_fingerprint) == 64
