"""The archive's own certificate authority: its server's certificate, one for each device, and who was revoked.

Theory of operation: at its first start an archive makes an authority of its own; no key is shipped, and nobody else's
authority is trusted (promise 6). It signs certificates of servers and devices, and nothing else: path length 0, and each end
entity has the one usage that it is for. Serial numbers are random; names are what the register knows.

Revoking works in two ways, and both are meant to be used. The register forgets the fingerprint: a door that asks it at each
operation refuses at once, open associations included. And the revocation list (RFC 5280 section 5) refuses in the handshake:
a TLS context that has loaded it, with checking of leaves switched on, does not let the device come as far as that.

A revocation list is made for this archive's own use, and lies beside the key that signs it. It is good until the authority
ends: were it to end sooner, an archive that nobody restarts would one day refuse everybody.

Keys are EC P-256, which PS3.15 B.12 and B.13 both allow; RSA of 3072 bits for devices that know nothing else.
Time is an argument. What is returned is PEM for a vault; nothing here reads or writes a file.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from doorward.access.identity import is_name
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

#: Clocks of two machines may differ.
_SLACK = timedelta(hours=1)
_RSA_BITS = 3072
#: RFC 9325 section 4.5 (BCP 195): RSA of 2048 bits, curves of 224 bits at the least; of curves, what TLS 1.3 still has.
_LEAST_RSA_BITS, _MOST_RSA_BITS = 2048, 8192
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_ORGANIZATION = "Doorward archive"


class KeyKind(StrEnum):
    """Which key a device gets."""

    EC = "ec"
    RSA = "rsa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate and its key as PEM; ``key`` is empty where the device made it and keeps it."""

    certificate: bytes
    key: bytes = field(default=b"", repr=False)
    #: SHA-256 of the DER form, in hexadecimal: what the register knows a device by.
    fingerprint: str
    serial: int
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One certificate that is refused from now on."""

    serial: int
    revoked_at: datetime


class Authority:
    """Signs for one archive. Made by ``make`` at its first start, by ``load`` ever after."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    def __repr__(self) -> str:
        return f"Authority({fingerprint_of(self._certificate)})"

    @classmethod
    def make(cls, name: str, *, now: datetime, limits: Limits = DEFAULT_LIMITS) -> "Authority":
        """Return a new authority; ``name`` tells people whose it is, such as the site's."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, "Authority")
        end = now + timedelta(days=limits.authority_days)
        builder = _begun(subject, subject, key.public_key(), key.public_key(), now=now, end=end)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_usage(signs_certificates=True), True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> "Authority":
        """Return the authority of two PEM texts. Raises ConfigError where they are damaged or not a pair."""
        loaded = certificate_from(certificate)
        try:
            private = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise _unusable("is no private key in PEM form", "authority key") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise _unusable("is no key of an authority of ours", "authority key")
        if private.public_key() != loaded.public_key():
            raise _unusable("does not belong to the authority's certificate", "authority key")
        return cls(loaded, private)

    @property
    def certificate(self) -> bytes:
        """Its certificate as PEM: what every device and browser must trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        """Its private key as PEM, for the vault alone."""
        return _pem(self._key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate in hexadecimal, for people who compare."""
        return fingerprint_of(self._certificate)

    @property
    def not_after(self) -> datetime:
        """When it ends, and with it all that it has signed."""
        return self._certificate.not_valid_after_utc

    def server(
        self, hosts: Sequence[str], *, now: datetime, limits: Limits = DEFAULT_LIMITS
    ) -> Credential:
        """Return the certificate of a server that is reached under these names and addresses. Raises ConfigError."""
        if not hosts:
            raise ConfigError("names no host", field="hosts")
        key = ec.generate_private_key(ec.SECP256R1())
        return self._signed(
            key.public_key(),
            hosts[0][:64],
            purposes=[ExtendedKeyUsageOID.SERVER_AUTH],
            hosts=hosts,
            now=now,
            days=limits.server_certificate_days,
            key=key,
        )

    def device(
        self,
        name: str,
        *,
        now: datetime,
        kind: KeyKind = KeyKind.EC,
        hosts: Sequence[str] = (),
        limits: Limits = DEFAULT_LIMITS,
    ) -> Credential:
        """Return certificate and key of a device by its name in the register.

        With ``hosts`` the device may also listen with it, as a destination of C-MOVE does. Raises ConfigError.
        """
        key: PrivateKey
        if kind is KeyKind.RSA:
            key = rsa.generate_private_key(public_exponent=65_537, key_size=_RSA_BITS)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        return self._device(key.public_key(), name, hosts, now, limits, key)

    def device_from_request(
        self,
        request: bytes,
        name: str,
        *,
        now: datetime,
        hosts: Sequence[str] = (),
        limits: Limits = DEFAULT_LIMITS,
    ) -> Credential:
        """Return a certificate for a key that the device made itself, from its PKCS#10 request as PEM.

        Of the request only the key is used: names and usages are ours to give. Raises ConfigError where it is damaged,
        not signed by its own key, or that key is weak.
        """
        try:
            asked = x509.load_pem_x509_csr(request)
            key = asked.public_key()
            is_own = asked.is_signature_valid
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
            raise _unusable("is no certificate request in PEM form", "request") from None
        if not is_own:
            raise _unusable("is not signed by its own key", "request")
        if not _is_strong(key):
            raise _unusable("has a key that is weak or of an unknown kind", "request")
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        return self._device(key, name, hosts, now, limits, None)

    def revocation_list(
        self, revoked: Collection[Revocation], *, number: int, now: datetime
    ) -> bytes:
        """Return the list of all who are refused as PEM (RFC 5280 section 5); ``number`` grows with each list."""
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self._certificate.subject,
            last_update=now - _SLACK,
            next_update=max(self.not_after, now + _SLACK),
        )
        builder = builder.add_extension(x509.CRLNumber(number), False)
        builder = builder.add_extension(_issuer_key(self._key.public_key()), False)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder(one.serial, one.revoked_at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def revocations(
        self, content: bytes, limits: Limits = DEFAULT_LIMITS
    ) -> tuple[int, tuple[Revocation, ...]]:
        """Return number and entries of a list that this authority has signed. Raises ConfigError where it has not."""
        try:
            found = x509.load_pem_x509_crl(content)
            number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except (ValueError, x509.ExtensionNotFound):
            raise _unusable("is no revocation list of ours", "revocations") from None
        if not found.is_signature_valid(self._key.public_key()):
            raise _unusable("is not signed by this authority", "revocations")
        if len(found) > limits.revoked_certificates:
            raise _unusable("names too many certificates", "revocations")
        entries = (
            Revocation(serial=one.serial_number, revoked_at=one.revocation_date_utc)
            for one in found
        )
        return number, tuple(entries)

    def revoke(
        self, serial: int, present: bytes | None, *, now: datetime, limits: Limits = DEFAULT_LIMITS
    ) -> bytes:
        """Return the list with one more certificate, as ``Vault.update`` wants it; None: there is no list yet.

        Certificates are never taken off the list again. Raises ConfigError where the present list is not ours, or full.
        """
        number, entries = (0, ()) if present is None else self.revocations(present, limits)
        if all(one.serial != serial for one in entries):
            entries = (*entries, Revocation(serial=serial, revoked_at=now))
        if len(entries) > limits.revoked_certificates:
            hint = "Make a new authority: then nothing that this one signed is trusted."
            message = f"holds {limits.revoked_certificates:,} certificates already"
            raise ConfigError(message, field="revocations", hint=hint)
        return self.revocation_list(entries, number=number + 1, now=now)

    def pkcs12(self, credential: Credential, *, name: str, passphrase: str) -> bytes:
        """Return key, certificate and chain in one file, for systems that take nothing else (RFC 7292).

        Encrypted by AES-256 with PBKDF2 and never by RC2 or 3DES: a system that knows only those gets the PEM files.
        """
        key = serialization.load_pem_private_key(credential.key, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        how = (
            serialization.PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(200_000)
            .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
            .hmac_hash(hashes.SHA256())
            .build(passphrase.encode())
        )
        own = certificate_from(credential.certificate)
        chain = [self._certificate]
        return pkcs12.serialize_key_and_certificates(name.encode(), key, own, chain, how)

    def _device(
        self,
        public: PublicKey,
        name: str,
        hosts: Sequence[str],
        now: datetime,
        limits: Limits,
        key: PrivateKey | None,
    ) -> Credential:
        if not is_name(name):
            raise ConfigError("is no name of a device", field="name")
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        days = limits.device_certificate_days
        return self._signed(
            public, name, purposes=purposes, hosts=hosts, now=now, days=days, key=key
        )

    def _signed(
        self,
        public: PublicKey,
        title: str,
        *,
        purposes: list[x509.ObjectIdentifier],
        hosts: Sequence[str],
        now: datetime,
        days: int,
        key: PrivateKey | None,
    ) -> Credential:
        # A certificate that outlives its authority looks good to people, and to no verifier.
        end = min(now + timedelta(days=days), self.not_after)
        if end <= now:
            hint = "Make a new authority and give every device a new certificate."
            raise ConfigError("has ended", field="authority", hint=hint)
        subject, own = _name(title, "Device or server"), self._key.public_key()
        builder = _begun(subject, self._certificate.subject, public, own, now=now, end=end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_usage(signs_certificates=False), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, False)
        signed = builder.sign(self._key, hashes.SHA256())
        return Credential(
            certificate=signed.public_bytes(serialization.Encoding.PEM),
            key=b"" if key is None else _pem(key),
            fingerprint=fingerprint_of(signed),
            serial=signed.serial_number,
            not_after=signed.not_valid_after_utc,
        )


def certificate_from(pem: bytes) -> x509.Certificate:
    """Return the first certificate of a PEM text. Raises ConfigError where there is none."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise _unusable("is no certificate in PEM form", "certificate") from None


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the DER form in hexadecimal, as ``Register.by_certificate`` wants it."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def hosts_of(pem: bytes) -> tuple[str, ...]:
    """Return the names and addresses for which a certificate was made. Raises ConfigError where it is none."""
    try:
        extension = certificate_from(pem).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        str(name.value)
        for name in extension.value
        if isinstance(name, x509.DNSName | x509.IPAddress)
    )


def key_kind_of(pem: bytes) -> KeyKind:
    """Return which key a certificate is for. Raises ConfigError where it is none."""
    is_rsa = isinstance(certificate_from(pem).public_key(), rsa.RSAPublicKey)
    return KeyKind.RSA if is_rsa else KeyKind.EC


def require_current(pem: bytes, *, what: str, now: datetime) -> None:
    """Refuse a certificate that has ended or not begun, before anybody is served with it. Raises ConfigError."""
    certificate = certificate_from(pem)
    if now >= certificate.not_valid_after_utc:
        ended = certificate.not_valid_after_utc.date().isoformat()
        raise ConfigError(f"ended on {ended}", field=what, hint="Renew it; see the documentation.")
    if now < certificate.not_valid_before_utc:
        hint = "Set this machine's clock right."
        raise ConfigError("is not valid yet", field=what, hint=hint)


def is_renewal_due(pem: bytes, *, now: datetime, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Tell whether a certificate ends so soon that it should be replaced. Raises ConfigError where it is none."""
    remaining = certificate_from(pem).not_valid_after_utc - now
    return remaining <= timedelta(days=limits.renewal_days)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    public: PublicKey,
    signer: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _SLACK,
        not_valid_after=end,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return builder.add_extension(identifier, False).add_extension(_issuer_key(signer), False)


def _issuer_key(public: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)


def _name(title: str, field_name: str) -> x509.Name:
    try:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
                x509.NameAttribute(NameOID.COMMON_NAME, title),
            ]
        )
    except ValueError:
        hint = "1 to 64 characters (RFC 5280, ub-common-name)."
        raise ConfigError("is no common name", field=field_name, hint=hint) from None


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        hint = "Names in ASCII, as the DNS has them (xn--...)."
        raise ConfigError("is no host name", field="hosts", hint=hint) from None


def _is_strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return _LEAST_RSA_BITS <= key.key_size <= _MOST_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Return the key usage (RFC 5280 section 4.2.1.3); every suite of ours is signed, so nothing enciphers."""
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


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _unusable(what: str, field_name: str) -> ConfigError:
    return ConfigError(what, field=field_name, hint="Restore the file from a backup.")
