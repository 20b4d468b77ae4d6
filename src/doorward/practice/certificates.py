"""Keys and certificates for the personas with TLS, made on the spot and thrown away with their folder.

No key is ever shipped (promise 6): each start makes a new authority, a server certificate for the addresses in use and a
client certificate, all EC P-256 and valid for some weeks. Private keys are readable by their owner only.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

_VALID_DAYS = 60  # an audit warns of certificates that end within 30
#: Clocks of two machines may differ.
_SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeCertificates:
    """PEM files: what the archives use, and what a client needs to be let in."""

    authority: Path
    server_certificate: Path
    server_key: Path
    client_certificate: Path
    client_key: Path


def make_certificates(
    folder: Path, *, now: datetime, addresses: Sequence[str]
) -> PracticeCertificates:
    """Write an authority and what it signed into a folder; ``addresses`` are numeric names of the server.

    Raises FileExistsError where the folder holds such files already.
    """
    files = PracticeCertificates(
        authority=folder / "authority.pem",
        server_certificate=folder / "server.pem",
        server_key=folder / "server-key.pem",
        client_certificate=folder / "client.pem",
        client_key=folder / "client-key.pem",
    )
    authority = _Authority(now=now)
    _write(files.authority, authority.certificate)
    names = [x509.DNSName("localhost"), *(_address(address) for address in addresses)]
    for title, usage, alternatives, certificate, key_file in (
        (
            "practice archive",
            ExtendedKeyUsageOID.SERVER_AUTH,
            names,
            files.server_certificate,
            files.server_key,
        ),
        (
            "practice workstation",
            ExtendedKeyUsageOID.CLIENT_AUTH,
            [x509.DNSName("workstation.invalid")],
            files.client_certificate,
            files.client_key,
        ),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(certificate, authority.sign(title, key, usage, alternatives))
        _write_key(key_file, key)
    return files


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authority:
    """A certificate authority that lives as long as this object."""

    now: datetime
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    @property
    def name(self) -> x509.Name:
        return _name("Doorward practice authority")

    @property
    def certificate(self) -> x509.Certificate:
        """Its own certificate: may sign, and nothing else (RFC 5280 section 4.2.1.3)."""
        builder = self._begun(self.name, self.key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        return builder.add_extension(_usage(signs_certificates=True), True).sign(
            self.key, hashes.SHA256()
        )

    def sign(
        self,
        title: str,
        key: ec.EllipticCurvePrivateKey,
        usage: ObjectIdentifier,
        names: Sequence[x509.GeneralName],
    ) -> x509.Certificate:
        """Return a certificate of an end entity."""
        builder = self._begun(_name(title), key)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_usage(signs_certificates=False), True)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        return builder.sign(self.key, hashes.SHA256())

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=self.now - _SLACK,
            not_valid_after=self.now + timedelta(days=_VALID_DAYS),
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return builder.add_extension(identifier, False).add_extension(own, False)


def _name(title: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])


def _address(address: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(address))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(file: Path, certificate: x509.Certificate) -> None:
    with file.open("xb") as stream:
        stream.write(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(pem)
