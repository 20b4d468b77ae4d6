"""The certificates of a set-up: an authority for one server and its clients, thrown away once it has signed.

All keys are EC P-256 and made on the spot (promise 6: none is shipped). The authority's own key is never written: whoever
finds the folder cannot make a further sensor. A client's common name is the user that nats-server.conf gives rights to.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Clocks of two machines may differ.
_SLACK = timedelta(hours=1)


class Authority:
    """Signs for as long as this object lives."""

    def __init__(self, *, now: datetime, days: int) -> None:
        self._now = now
        self._days = days
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Doorward sensors authority")

    def certificate(self) -> bytes:
        """Return its own certificate as PEM: may sign, and nothing else (RFC 5280 section 4.2.1.3)."""
        builder = self._begun(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        return self._signed(builder.add_extension(_usage(signs_certificates=True), True))

    def server(self, hosts: Sequence[str]) -> tuple[bytes, bytes]:
        """Return certificate and key, as PEM, of a server that is reached under these names and addresses."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._entity("nats-server", ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, name: str) -> tuple[bytes, bytes]:
        """Return certificate and key, as PEM, of a client that is known by its common name."""
        return self._entity(name, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _entity(
        self, name: str, purpose: x509.ObjectIdentifier, names: x509.SubjectAlternativeName | None
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._begun(_name(name), key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_usage(signs_certificates=False), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
        if names is not None:
            builder = builder.add_extension(names, False)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return self._signed(builder), pem

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=self._now - _SLACK,
            not_valid_after=self._now + timedelta(days=self._days),
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(key)
        return builder.add_extension(identifier, False).add_extension(own, False)

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(title: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


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
