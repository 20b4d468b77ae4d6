"""Facts of TLS in depth as the probe would have returned them: a good port, and changes to it. All values are invented."""

from dataclasses import replace

from doorward.audit.tls_facts import (
    Accepted,
    Preference,
    SuiteSeen,
    TlsDepthFacts,
    VersionSeen,
)
from doorward.net.certificate_facts import ChainFacts
from seen import CERTIFICATE

GCM, CHACHA = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
STATIC, CBC = "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
OF_1_3 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def version(
    name: str, *suites: str | SuiteSeen, accepted: bool | None = None, **more
) -> VersionSeen:
    """One version: accepted where it has suites, refused where it has none, unless said otherwise."""
    seen = tuple(s if isinstance(s, SuiteSeen) else SuiteSeen(name=s) for s in suites)
    values = {
        "is_accepted": bool(seen) if accepted is None else accepted,
        "is_complete": True,
        "refusal": "" if seen else "protocol_version",
    } | more
    return VersionSeen(version=name, suites=seen, **values)


GOOD = TlsDepthFacts(
    speaks_tls=True,
    versions=(
        version("SSLv3"),
        version("TLSv1"),
        version("TLSv1.1"),
        version("TLSv1.2", GCM, CHACHA),
        version("TLSv1.3", *OF_1_3),
    ),
    groups=Accepted(names=("x25519", "secp256r1"), is_complete=True),
    groups_tls_1_3=Accepted(names=("x25519", "secp256r1"), is_complete=True),
    signatures=Accepted(names=("rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"), is_complete=True),
    signatures_tls_1_3=Accepted(names=("rsa_pss_rsae_sha256",), is_complete=True),
    chains=(ChainFacts(certificates=(CERTIFICATE,)),),
    compresses=False,
    has_renegotiation_info=True,
    has_extended_master_secret=True,
    refuses_fallback=True,
    marks_downgrade=True,
    prefers_tls_1_3=True,
    requests_client_certificate=False,
    hellos=60,
    is_complete=True,
)


def good(**changes) -> TlsDepthFacts:
    """The good port with some facts changed."""
    return replace(GOOD, **changes)


def with_version(*changed: VersionSeen, **more) -> TlsDepthFacts:
    """The good port with some versions changed; None in place of a version leaves it out."""
    by_name = {v.version: v for v in (*GOOD.versions, *changed)}
    return replace(GOOD, versions=tuple(by_name.values()), **more)


def with_suites(
    *names: str | SuiteSeen, preference: Preference = Preference.UNKNOWN
) -> TlsDepthFacts:
    """The good port with these suites in TLS 1.2 beside a good one."""
    return with_version(version("TLSv1.2", GCM, *names, preference=preference))


def with_certificate(**fields) -> TlsDepthFacts:
    """The good port with another leaf."""
    return good(chains=(ChainFacts(certificates=(replace(CERTIFICATE, **fields),)),))
