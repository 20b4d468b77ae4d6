"""What an interview offers, and how an answer is read: the tables of ``knowledge`` in the terms of one ClientHello.

Suites are offered strongest first, so that a server that reads only the beginning of a list finds there what it has.
"""

from functools import cache

from doorward.audit.tls_facts import SuiteSeen
from doorward.knowledge.tls_parameters import (
    Suite,
    group_name,
    group_named,
    groups,
    signature_name,
    signature_schemes,
    suite_named,
    suite_of,
    suites,
)
from doorward.web.tls_hello import TLS_1_2, TLS_1_3
from doorward.web.tls_records import Flight, KeyExchange, read_key_exchange

#: What nearly every server has, for those that fail on a long hello.
COMPACT_SUITES = tuple(
    suite.number
    for name in (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        "TLS_RSA_WITH_RC4_128_SHA",
    )
    if (suite := suite_named(name)) is not None
)
#: Tried first: a server that follows the client then names them before the rare ones.
_COMMON_GROUPS = ("x25519", "secp256r1", "secp384r1", "secp521r1", "x448")


def _strength(suite: Suite) -> tuple[bool, bool, int, int]:
    """Sort key, best first: what a server that reads only the beginning of a list should find there."""
    return (
        not suite.has_forward_secrecy or suite.is_anonymous or suite.authentication == "PSK",
        not suite.is_authenticated,
        -suite.bits,
        suite.number,
    )


@cache
def offered_suites(version: int) -> tuple[int, ...]:
    """Return every suite of a version, strongest first; all old suites fit all versions up to TLS 1.2."""
    of_version = [s for s in suites() if s.is_tls_1_3 == (version == TLS_1_3)]
    return tuple(s.number for s in sorted(of_version, key=_strength))


@cache
def offered_groups(version: int) -> tuple[int, ...]:
    """Return what to offer: up to TLS 1.2 no finite-field group, so that the server shows its own (RFC 7919 section 4)."""
    common = [g.number for name in _COMMON_GROUPS if (g := group_named(name)) is not None]
    rest = [g.number for g in groups() if g.number not in common]
    if version != TLS_1_3:
        of_curves = {g.number for g in groups() if g.kind == "ec" and "tls13" not in g.name}
        rest = [number for number in rest if number in of_curves]
    return (*common, *rest)


@cache
def all_signatures() -> tuple[int, ...]:
    """Return every signature scheme, those of TLS 1.3 first."""
    return tuple(scheme.number for scheme in signature_schemes())


def suite_seen(version: int, number: int, flight: Flight) -> SuiteSeen:
    """Return the facts of one suite that was chosen."""
    if version == TLS_1_3:  # the group is of the whole version, not of the suite
        return SuiteSeen(name=suite_of(number).name)
    found = _key_exchange(flight)
    return SuiteSeen(
        name=suite_of(number).name,
        group="" if found.group is None else group_name(found.group),
        dh_bits=found.dh_bits,
        signature="" if found.signature is None else signature_name(found.signature),
    )


def _key_exchange(flight: Flight) -> KeyExchange:
    if flight.hello is None:
        return KeyExchange()
    suite = suite_of(flight.hello.suite)
    return read_key_exchange(
        flight.key_exchange,
        kind=suite.key_exchange,
        has_hint="PSK" in suite.name,
        is_signed=is_signed(suite),
        has_scheme=flight.hello.version >= TLS_1_2,
    )


def is_signed(suite: Suite) -> bool:
    """Tell whether the server signs its ephemeral key under this suite (RFC 5246 section 7.4.3)."""
    is_ephemeral = suite.key_exchange in ("DHE", "ECDHE")
    return is_ephemeral and suite.authentication in ("RSA", "DSS", "ECDSA")


def group_in(flight: Flight) -> int | None:
    """Return the group of an ephemeral key up to TLS 1.2."""
    return _key_exchange(flight).group


def signature_in(flight: Flight) -> int | None:
    """Return the signature scheme of TLS 1.2."""
    return _key_exchange(flight).signature


def group_of_1_3(flight: Flight) -> int | None:
    """Return the group that a HelloRetryRequest asks for."""
    return flight.hello.group if flight.hello is not None and flight.hello.is_retry else None
