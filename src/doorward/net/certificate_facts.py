"""What certificates came to, as values alone.

Apart from those who read them, because reading loads the library ``cryptography``, which takes a quarter of a start.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """One X.509 certificate. Times are ISO 8601 UTC."""

    subject: str
    issuer: str
    names: tuple[str, ...]  # DNS and IP subject alternative names
    not_before: str
    not_after: str
    key: str  # "RSA 2048", "EC secp256r1", "Ed25519"
    key_bits: int
    signature: str  # "sha256WithRSAEncryption"
    is_self_signed: bool
    fingerprint_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """One list of certificates as a server sent it, leaf first."""

    certificates: tuple[CertificateFacts, ...]
    #: Entries that are no certificate.
    unreadable: int = 0
    #: Each certificate is signed by the next one (RFC 5246 section 7.4.2: "MUST directly certify").
    is_ordered: bool = True
    #: All of them are there, but not in the order of signing.
    is_sortable: bool = True
    #: The last one signed itself: an authority, which no client needs to be sent (unless it is the leaf).
    ends_in_root: bool = False
