"""What a list of certificates amounts to: who signed whom, and in which order they were sent (RFC 5246 section 7.4.2).

No trust is decided here: that needs authorities, and net/tls.py asks OpenSSL for it.
"""

import warnings
from collections.abc import Sequence
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from doorward.errors import PeerProtocolError
from doorward.net.certificate import read_certificate
from doorward.net.certificate_facts import CertificateFacts, ChainFacts


def read_chain(encoded: Sequence[bytes]) -> ChainFacts:
    """Return the facts of a list of DER certificates; entries that are none are counted."""
    facts: list[CertificateFacts] = []
    loaded: list[x509.Certificate] = []
    for der in encoded:
        try:
            facts.append(read_certificate(der))
        except PeerProtocolError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd numbers in certificates are the peer's business
            loaded.append(x509.load_der_x509_certificate(der))
    return ChainFacts(
        certificates=tuple(facts),
        unreadable=len(encoded) - len(facts),
        is_ordered=all(_signed(one, by) for one, by in pairwise(loaded)),
        is_sortable=_is_sortable(loaded),
        ends_in_root=bool(loaded) and _signed(loaded[-1], loaded[-1]),
    )


def _is_sortable(loaded: Sequence[x509.Certificate]) -> bool:
    """Tell whether a way leads from the leaf over every certificate, whatever their order."""
    if not loaded:
        return True
    current, left = loaded[0], list(loaded[1:])
    while left:
        following = next((other for other in left if _signed(current, other)), None)
        if following is None:
            return False
        left.remove(following)
        current = following
    return True


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether the issuer's name and key stand behind the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (
        UnsupportedAlgorithm
    ):  # MD5 and the like cannot be verified any more: the names have to do
        return certificate.issuer == issuer.subject
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
