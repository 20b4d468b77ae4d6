"""What an X.509 certificate says, as far as rules need it (RFC 5280)."""

import warnings
from datetime import UTC

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from doorward.errors import PeerProtocolError
from doorward.net.certificate_facts import CertificateFacts

#: What the library raises for a stranger's bytes; the exceptions of x509 are no ValueErrors.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def read_certificate(der: bytes) -> CertificateFacts:
    """Return the facts of a DER certificate; raises PeerProtocolError when it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # odd serial numbers and the like are the peer's business
            certificate = x509.load_der_x509_certificate(der)
            key, bits = _key(certificate)
            return CertificateFacts(
                subject=certificate.subject.rfc4514_string(),
                issuer=certificate.issuer.rfc4514_string(),
                names=_names(certificate),
                not_before=certificate.not_valid_before_utc.astimezone(UTC).isoformat(),
                not_after=certificate.not_valid_after_utc.astimezone(UTC).isoformat(),
                key=key,
                key_bits=bits,
                signature=certificate.signature_algorithm_oid._name,  # noqa: SLF001 - the library's only spelling of the name
                is_self_signed=certificate.subject == certificate.issuer,
                fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            )
    except _UNREADABLE as error:
        raise PeerProtocolError(
            f"{len(der)} bytes that are no certificate", field="Certificate", source="RFC 5280"
        ) from error


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    match certificate.public_key():
        case rsa.RSAPublicKey(key_size=bits):
            return f"RSA {bits}", bits
        case ec.EllipticCurvePublicKey() as key:
            return f"EC {key.curve.name}", key.curve.key_size
        case dsa.DSAPublicKey(key_size=bits):
            return f"DSA {bits}", bits
        case ed25519.Ed25519PublicKey():
            return "Ed25519", 256
        case ed448.Ed448PublicKey():
            return "Ed448", 456
        case other:
            return type(other).__name__, 0


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )
