"""How it travels: TLS, its version, suite and certificate (PS3.15 B.12, BCP 195)."""

import ipaddress
from datetime import datetime, timedelta

from doorward.audit.checks.registry import check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    number,
    passed,
    unasked,
)
from doorward.audit.door import Door, dicom_doors
from doorward.audit.facts import TlsFacts
from doorward.audit.verdict import Severity
from doorward.net.certificate_facts import CertificateFacts

_GOOD_VERSIONS = ("TLSv1.2", "TLSv1.3")
_WARN_BEFORE = timedelta(days=30)

#: Marks of suites that protect little or nothing (RFC 9325 section 4.1), as OpenSSL and the IANA registry write them.
_BROKEN = ("NULL", "EXP", "RC4", "RC2", "DES", "MD5", "ADH", "AECDH", "ANON", "IDEA", "SEED")
_FORWARD_SECRECY = ("ECDHE", "DHE", "EDH", "TLS_AES", "TLS_CHACHA20")
_AUTHENTICATED = ("GCM", "CCM", "POLY1305")
_LEAST_SUITE_BITS = 128

#: As ``net.certificate`` names them.
_KEYS = ("RSA", "DSA", "EC", "ED25519", "ED448")
_LEAST_RSA_BITS = 2048
_LEAST_CURVE_BITS = 224
_WEAK_SIGNATURES = ("md2", "md5", "sha1")

#: Common names of certificates whose private key is shipped with a product (dcm4chee-arc: key.p12, valid to 2034).
_SHIPPED = {"dcm4che": "dcm4chee-arc"}


@check("dimse_tls_missing")
def tls_missing(door: Door, _now: datetime) -> Ruling:
    """Judge whether DICOM travels in clear text (rung T)."""
    if door.speaks_tls is True:
        return passed(f"Port {door.port} speaks TLS.")
    if door.speaks_tls is None or door.speaks_plain_dicom is None:
        return unasked(door, "transport")
    beside = [d.port for d in dicom_doors(door.system) if d.speaks_tls is True]
    if beside:
        return not_applicable(
            f"Port {door.port} is plain, port {beside[0]} speaks TLS: see dimse_plain_beside_tls."
        )
    evidence = f"Port {door.port} takes DICOM in clear text and speaks no TLS."
    if _is_loopback(door.system.address):
        return failed(f"{evidence} It was audited on the machine itself.", Severity.MEDIUM)
    return failed(evidence)


@check("dimse_plain_beside_tls")
def plain_beside_tls(door: Door, _now: datetime) -> Ruling:
    """Judge a plain way in beside an encrypted one."""
    encrypted = [d.port for d in dicom_doors(door.system) if d.speaks_tls is True]
    if not encrypted:
        settled = door.speaks_tls is False
        return not_applicable("No port speaks TLS.") if settled else unasked(door, "transport")
    if door.speaks_plain_dicom is True:
        where = "the same port" if door.port in encrypted else f"port {encrypted[0]}"
        return failed(f"Port {door.port} takes plain DICOM although {where} speaks TLS.")
    if door.speaks_plain_dicom is False:
        return passed(f"Port {door.port} takes no plain DICOM.")
    return not_tested(f"Whether port {door.port} also takes plain DICOM was not tried.")


@check("tls_version_outdated")
def version_outdated(door: Door, _now: datetime) -> Ruling:
    """Judge the versions (PS3.15 B.12: 1.2 shall, 1.3 may, older shall not)."""
    tls = door.tls
    if tls is None:
        return _no_tls(door)
    if tls.version not in _GOOD_VERSIONS:
        return failed(f"{tls.version or 'An unnamed version'} was negotiated.")
    old = {"1.0": tls.accepts_tls_1_0, "1.1": tls.accepts_tls_1_1}
    accepted = [version for version, answer in old.items() if answer]
    if accepted:
        return failed(
            f"{tls.version} was negotiated, but TLS {' and '.join(accepted)} would be accepted too.",
            Severity.MEDIUM,
        )
    if None in old.values():
        return not_tested(
            f"{tls.version} was negotiated; whether older versions would be accepted was not tried."
        )
    return passed(f"{tls.version} was negotiated; TLS 1.0 and 1.1 were refused.")


@check("tls_cipher_weak")
def cipher_weak(door: Door, _now: datetime) -> Ruling:
    """Judge the negotiated suite (RFC 9325 section 4)."""
    tls = door.tls
    if tls is None:
        return _no_tls(door)
    suite = tls.cipher.upper()
    if not suite:
        return _unseen(tls, "suite")
    if tls.bits < _LEAST_SUITE_BITS or any(mark in suite for mark in _BROKEN):
        return failed(
            f"{tls.cipher} ({tls.bits} bit) was negotiated: it protects little or nothing."
        )
    if not any(mark in suite for mark in _FORWARD_SECRECY):
        return failed(f"{tls.cipher} was negotiated: it has no forward secrecy.", Severity.MEDIUM)
    if not any(mark in suite for mark in _AUTHENTICATED):
        return failed(f"{tls.cipher} was negotiated: not authenticated encryption.", Severity.LOW)
    return passed(f"{tls.cipher} was negotiated; other suites were not tried.")


@check("tls_certificate_expired")
def certificate_expired(door: Door, now: datetime) -> Ruling:
    """Judge the validity against the time of the audit."""
    certificate = _certificate(door)
    if isinstance(certificate, Ruling):
        return certificate
    try:
        start = datetime.fromisoformat(certificate.not_before)
        end = datetime.fromisoformat(certificate.not_after)
        if now < start:
            return failed(f"The certificate is valid only from {start.date()} on.")
        if now > end:
            return failed(f"The certificate ended on {end.date()}.")
        left = end - now
    except (ValueError, TypeError):  # no date, or one without a time zone
        return inconclusive("The validity of the certificate could not be read.")
    if left < _WARN_BEFORE:
        return failed(
            f"The certificate ends on {end.date()}, in {number(left.days, 'day')}.", Severity.LOW
        )
    return passed(f"The certificate is valid until {end.date()}.")


@check("tls_certificate_weak_key")
def certificate_weak_key(door: Door, _now: datetime) -> Ruling:
    """Judge key and signature (RFC 9325 section 4.5)."""
    certificate = _certificate(door)
    if isinstance(certificate, Ruling):
        return certificate
    kind = certificate.key.split(" ")[0].upper()
    if kind not in _KEYS:
        return inconclusive("The kind of key is not known to us.")
    if kind in ("RSA", "DSA") and certificate.key_bits < _LEAST_RSA_BITS:
        return failed(f"The key is {kind} with only {certificate.key_bits} bit.")
    if kind == "EC" and certificate.key_bits < _LEAST_CURVE_BITS:
        return failed(f"The key is on a curve of only {certificate.key_bits} bit.")
    signature = certificate.signature.lower().replace("-", "")
    # Nobody relies on the signature that a certificate makes over itself.
    if not certificate.is_self_signed and any(mark in signature for mark in _WEAK_SIGNATURES):
        return failed(f"The certificate is signed with {certificate.signature}.", Severity.MEDIUM)
    return passed(f"The key is {certificate.key}, the signature {certificate.signature}.")


@check("tls_certificate_untrusted")
def certificate_untrusted(door: Door, _now: datetime) -> Ruling:
    """Judge whether clients can check the certificate, and whether its key is public."""
    certificate = _certificate(door)
    if isinstance(certificate, Ruling):
        return certificate
    owner = _SHIPPED.get(_common_name(certificate.subject))
    if owner is not None:
        return failed(
            f"The certificate carries the name of the one that is shipped with {owner}, whose "
            "private key is in everybody's hands."
        )
    tls = door.tls
    assert tls is not None
    if tls.chain_trusted:
        return passed("The certificate leads to a trusted authority.")
    if certificate.is_self_signed:
        return failed("The certificate is signed by itself.", Severity.MEDIUM)
    if tls.chain_trusted is None:
        return not_tested("Whether the certificate leads to a trusted authority was not tried.")
    return failed(
        "The certificate is of an authority that this computer does not know; where it is the "
        "hospital's own, name its file with --tls-ca.",
        Severity.LOW,
    )


@check("tls_certificate_name_mismatch")
def certificate_name_mismatch(door: Door, _now: datetime) -> Ruling:
    """Judge the subject alternative names (RFC 9525 section 6; the subject itself does not count)."""
    certificate = _certificate(door)
    if isinstance(certificate, Ruling):
        return certificate
    wanted = [w for w in (door.system.name, door.system.address) if w]
    if any(_matches(name, want) for name in certificate.names for want in wanted):
        return passed("The certificate names this system.")
    if not certificate.names:
        return failed("The certificate names no system at all (no subject alternative name).")
    return failed(f"None of its {number(len(certificate.names), 'name')} is this system's.")


@check("tls_client_certificate_not_required")
def client_certificate_not_required(door: Door, _now: datetime) -> Ruling:
    """Judge whether TLS is served to a caller without a certificate."""
    tls = door.tls
    if tls is None:
        return _no_tls(door)
    match tls.client_certificate_required:
        case True:
            return passed("A caller without a client certificate is turned away.")
        case False:
            return failed("TLS was served to a caller without a client certificate.")
    return inconclusive("Whether a client certificate is required could not be told.")


def _no_tls(door: Door) -> Ruling:
    if door.speaks_tls is False:
        return not_applicable(f"Port {door.port} speaks no TLS.")
    return unasked(door, "transport")


def _certificate(door: Door) -> CertificateFacts | Ruling:
    tls: TlsFacts | None = door.tls
    if tls is None:
        return _no_tls(door)
    return tls.certificate or _unseen(tls, "certificate")


def _unseen(tls: TlsFacts, what: str) -> Ruling:
    if tls.client_certificate_required:
        return not_tested(
            f"The handshake stopped for want of a client certificate before the {what} could be "
            "seen: show one with --client-cert and --client-key."
        )
    return inconclusive(f"The {what} could not be read.")


def _common_name(distinguished_name: str) -> str:
    parts = (part.strip().partition("=") for part in distinguished_name.split(","))
    return next((value.strip() for key, _, value in parts if key.strip().upper() == "CN"), "")


def _matches(name: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(wanted)
    except ValueError:
        pass
    name, wanted = name.lower().rstrip("."), wanted.lower().rstrip(".")
    if name.startswith("*."):  # one label only (RFC 9525 section 6.3)
        return wanted.partition(".")[2] == name[2:]
    return name == wanted


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
