"""Certificates for the tests, made on the spot: a good server, a good client, and the faults that an audit must name.

Keys are made anew in every run and live in the test's own folder; none is kept in the repository.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate with its private key: PEM files, and the objects to sign further ones with."""

    certificate_path: Path
    key_path: Path
    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """One credential of each kind, named after what is special about it."""

    authority: Credential
    server: Credential  # EC P-256, right names, valid, signed by authority
    server_rsa: Credential  # the same with RSA-2048
    client: Credential
    #: A client certificate of an authority that nobody trusts.
    stranger: Credential
    expired: Credential
    not_yet_valid: Credential
    wrong_name: Credential
    weak_key: Credential  # RSA-1024
    self_signed: Credential


def make_certificates(folder: Path) -> Certificates:
    """Make all credentials in the folder; takes about a tenth of a second."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = make_credential(folder, "authority", is_authority=True)
    elsewhere = make_credential(folder, "unknown-authority", is_authority=True)
    return Certificates(
        authority=authority,
        server=make_credential(folder, "server", issuer=authority),
        server_rsa=make_credential(folder, "server-rsa", issuer=authority, rsa_bits=2048),
        client=make_credential(folder, "client", issuer=authority, names=()),
        stranger=make_credential(folder, "stranger", issuer=elsewhere, names=()),
        expired=make_credential(folder, "expired", issuer=authority, valid_days=(-400, -30)),
        not_yet_valid=make_credential(folder, "future", issuer=authority, valid_days=(30, 400)),
        wrong_name=make_credential(folder, "wrong", issuer=authority, names=("pacs.invalid",)),
        weak_key=make_credential(folder, "weak", issuer=authority, rsa_bits=1024),
        self_signed=make_credential(folder, "self-signed"),
    )


def make_credential(
    folder: Path,
    name: str,
    *,
    issuer: Credential | None = None,
    names: tuple[str, ...] = LOOPBACK_NAMES,
    valid_days: tuple[int, int] = (-1, 365),
    rsa_bits: int | None = None,
    is_authority: bool = False,
) -> Credential:
    """Make and write one credential; without an issuer it signs itself.

    ``valid_days`` are the first and the last day of validity, counted from now. The key is EC P-256 unless
    ``rsa_bits`` is given.
    """
    key: PrivateKey
    if rsa_bits is None:
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    certificate = sign(key, name, issuer, names, valid_days, is_authority)
    certificate_path, key_path = folder / f"{name}.crt", folder / f"{name}.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Credential(
        certificate_path=certificate_path, key_path=key_path, certificate=certificate, key=key
    )


def sign(
    key: PrivateKey,
    name: str,
    issuer: Credential | None,
    names: tuple[str, ...],
    valid_days: tuple[int, int],
    is_authority: bool,
) -> x509.Certificate:
    """Return the signed certificate with the extensions that a strict verifier asks for (RFC 5280 section 4.2)."""
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"doorward test {name}")])
    issuer_key = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=valid_days[0]))
        .not_valid_after(now + timedelta(days=valid_days[1]))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(key_usage(is_authority), critical=True)
    )
    if not is_authority:
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general_name(one) for one in names]), critical=False
            )
    return builder.sign(issuer_key, hashes.SHA256())


def general_name(name: str) -> x509.GeneralName:
    """Return an IP address name for a numeric address, else a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_usage(is_authority: bool) -> x509.KeyUsage:
    """Return the key usage of an authority or of an end entity."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
