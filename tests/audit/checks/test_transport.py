"""TLS and certificates against PS3.15 B.12, for what is seen, not seen, and not tried."""

from dataclasses import replace
from datetime import timedelta

import pytest

from doorward.audit.checks import transport
from doorward.audit.door import Door
from doorward.audit.facts import Outcome, TransportFacts
from doorward.audit.verdict import Severity, Verdict
from seen import ANYBODY, CERTIFICATE, MUTUAL, NOW, PLAIN, attempt, door, system, tls

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
NOT_APPLICABLE, NOT_TESTED = Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED
UNKNOWN_TLS = TransportFacts(speaks_tls=None, speaks_plain_dicom=True)

#: Every rule that reads the handshake.
OF_THE_HANDSHAKE = (
    transport.version_outdated,
    transport.cipher_weak,
    transport.certificate_expired,
    transport.certificate_weak_key,
    transport.certificate_untrusted,
    transport.certificate_name_mismatch,
    transport.client_certificate_not_required,
)


def with_certificate(**fields):
    more = {k: fields.pop(k) for k in ("chain_trusted",) if k in fields}
    return door(tls(certificate=replace(CERTIFICATE, **fields), **more))


@pytest.mark.parametrize("rule", OF_THE_HANDSHAKE)
def test_where_no_tls_is_spoken_its_rules_do_not_apply(rule):
    assert rule(door(ANYBODY, PLAIN), NOW).verdict is NOT_APPLICABLE


@pytest.mark.parametrize("rule", OF_THE_HANDSHAKE)
def test_a_handshake_that_nobody_saw_is_no_verdict(rule):
    assert rule(door(ANYBODY, transport=Outcome.INCONCLUSIVE), NOW).verdict is INCONCLUSIVE
    assert rule(door(ANYBODY, UNKNOWN_TLS), NOW).verdict is INCONCLUSIVE
    assert rule(door(ANYBODY), NOW).verdict is NOT_TESTED


@pytest.mark.parametrize("rule", OF_THE_HANDSHAKE)
def test_a_good_handshake_passes_every_rule(rule):
    assert rule(door(MUTUAL), NOW).verdict is PASS


@pytest.mark.parametrize(
    ("seen", "verdict", "severity"),
    [
        (door(PLAIN), FAIL, None),
        (door(PLAIN, address="127.0.0.1"), FAIL, Severity.MEDIUM),
        (door(PLAIN, address="::1"), FAIL, Severity.MEDIUM),
        (door(PLAIN, address="archive.example"), FAIL, None),
        (door(MUTUAL), PASS, None),
        (door(tls(plain=True)), PASS, None),
        (door(ANYBODY, UNKNOWN_TLS), INCONCLUSIVE, None),
        (door(ANYBODY, transport=Outcome.INCONCLUSIVE), INCONCLUSIVE, None),
        (door(ANYBODY), NOT_TESTED, None),
    ],
)
def test_clear_text_is_a_fail_only_where_tls_is_known_to_be_missing(seen, verdict, severity):
    ruling = transport.tls_missing(seen, NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


def test_plain_beside_tls_is_told_once():
    scanned = system(
        attempt(ANYBODY, port=11112), attempt(PLAIN, port=11112), attempt(MUTUAL, port=2762)
    )
    plain, secure = (Door(system=scanned, port=port) for port in (11112, 2762))
    assert transport.tls_missing(plain, NOW).verdict is NOT_APPLICABLE
    ruling = transport.plain_beside_tls(plain, NOW)
    assert ruling.verdict is FAIL
    assert "2762" in ruling.evidence
    assert transport.plain_beside_tls(secure, NOW).verdict is PASS


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (door(ANYBODY, tls(plain=True)), FAIL),
        (door(MUTUAL), PASS),
        (door(tls(plain=None)), NOT_TESTED),
        (door(ANYBODY, PLAIN), NOT_APPLICABLE),
        (door(ANYBODY, UNKNOWN_TLS), INCONCLUSIVE),
    ],
)
def test_plain_dicom_on_a_tls_port_fails(seen, verdict):
    assert transport.plain_beside_tls(seen, NOW).verdict is verdict


@pytest.mark.parametrize(
    ("handshake", "verdict", "severity"),
    [
        ({"version": "TLSv1.3"}, PASS, None),
        ({"version": "TLSv1.2"}, PASS, None),
        ({"version": "TLSv1.1"}, FAIL, None),
        ({"version": "TLSv1"}, FAIL, None),
        ({"version": ""}, FAIL, None),
        ({"accepts_tls_1_0": True}, FAIL, Severity.MEDIUM),
        ({"accepts_tls_1_1": True}, FAIL, Severity.MEDIUM),
        ({"accepts_tls_1_0": None}, NOT_TESTED, None),
        ({"accepts_tls_1_0": None, "accepts_tls_1_1": True}, FAIL, Severity.MEDIUM),
    ],
)
def test_versions_below_1_2_fail(handshake, verdict, severity):
    ruling = transport.version_outdated(door(tls(**handshake)), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


@pytest.mark.parametrize(
    ("cipher", "bits", "verdict", "severity"),
    [
        ("TLS_CHACHA20_POLY1305_SHA256", 256, PASS, None),
        ("ECDHE-RSA-AES128-GCM-SHA256", 128, PASS, None),
        ("DHE-RSA-AES256-GCM-SHA384", 256, PASS, None),
        ("ECDHE-RSA-AES256-SHA384", 256, FAIL, Severity.LOW),
        ("AES128-SHA", 128, FAIL, Severity.MEDIUM),
        ("AES256-GCM-SHA384", 256, FAIL, Severity.MEDIUM),
        ("DES-CBC3-SHA", 112, FAIL, None),
        ("ECDHE-RSA-RC4-SHA", 128, FAIL, None),
        ("NULL-SHA256", 0, FAIL, None),
        ("ADH-AES256-GCM-SHA384", 256, FAIL, None),
        ("AECDH-AES128-SHA", 128, FAIL, None),
        ("EXP-RC4-MD5", 40, FAIL, None),
    ],
)
def test_suites_are_judged_by_encryption_secrecy_and_authentication(
    cipher, bits, verdict, severity
):
    ruling = transport.cipher_weak(door(tls(cipher=cipher, bits=bits)), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


def test_what_mutual_tls_hides_from_strangers_is_not_tested():
    hidden = door(tls(cipher="", bits=0, certificate=None))
    for rule in OF_THE_HANDSHAKE[1:6]:
        ruling = rule(hidden, NOW)
        assert ruling.verdict is NOT_TESTED
        assert "--client-cert" in ruling.evidence


def test_what_could_not_be_read_for_no_reason_is_inconclusive():
    odd = door(tls(cipher="", bits=0, certificate=None, client_certificate_required=False))
    for rule in OF_THE_HANDSHAKE[1:6]:
        assert rule(odd, NOW).verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("fields", "verdict", "severity"),
    [
        ({}, PASS, None),
        ({"not_after": (NOW - timedelta(days=1)).isoformat()}, FAIL, None),
        ({"not_before": (NOW + timedelta(days=1)).isoformat()}, FAIL, None),
        ({"not_after": (NOW + timedelta(days=12)).isoformat()}, FAIL, Severity.LOW),
        ({"not_after": (NOW + timedelta(days=31)).isoformat()}, PASS, None),
        ({"not_after": "some day"}, INCONCLUSIVE, None),
        ({"not_after": "2027-01-01T00:00:00"}, INCONCLUSIVE, None),
    ],
)
def test_validity_is_judged_at_the_time_of_the_audit(fields, verdict, severity):
    ruling = transport.certificate_expired(with_certificate(**fields), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"key": "RSA 2048", "key_bits": 2048, "signature": "sha256WithRSAEncryption"}, PASS),
        ({"key": "RSA 1024", "key_bits": 1024}, FAIL),
        ({"key": "DSA 1024", "key_bits": 1024}, FAIL),
        ({"key": "EC secp192r1", "key_bits": 192}, FAIL),
        ({"key": "Ed25519", "key_bits": 256, "signature": "ed25519"}, PASS),
        ({"signature": "sha1WithRSAEncryption"}, FAIL),
        ({"signature": "md5WithRSAEncryption"}, FAIL),
        ({"signature": "ecdsa-with-SHA1"}, FAIL),
        ({"signature": "sha1WithRSAEncryption", "is_self_signed": True}, PASS),
        ({"key": "Unheard 7", "key_bits": 0}, INCONCLUSIVE),
    ],
)
def test_weak_keys_and_signatures_fail(fields, verdict):
    assert transport.certificate_weak_key(with_certificate(**fields), NOW).verdict is verdict


@pytest.mark.parametrize(
    ("fields", "verdict", "severity"),
    [
        ({"chain_trusted": True}, PASS, None),
        ({"chain_trusted": True, "is_self_signed": True}, PASS, None),
        ({"chain_trusted": False}, FAIL, Severity.LOW),
        ({"chain_trusted": None}, NOT_TESTED, None),
        ({"chain_trusted": False, "is_self_signed": True}, FAIL, Severity.MEDIUM),
        ({"chain_trusted": None, "is_self_signed": True}, FAIL, Severity.MEDIUM),
        ({"chain_trusted": True, "subject": "CN=dcm4che,O=dcm4che,C=AT"}, FAIL, None),
        ({"chain_trusted": True, "subject": "O=x, CN = dcm4che"}, FAIL, None),
        ({"chain_trusted": True, "subject": "CN=dcm4che.hospital.example"}, PASS, None),
    ],
)
def test_a_certificate_must_be_ones_own_and_checkable(fields, verdict, severity):
    ruling = transport.certificate_untrusted(with_certificate(**fields), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        (("10.1.2.3",), PASS),
        (("archive.hospital.example",), PASS),
        (("ARCHIVE.hospital.example.",), PASS),
        (("*.hospital.example",), PASS),
        (("*.example",), FAIL),
        (("other.example", "10.1.2.4"), FAIL),
        ((), FAIL),
    ],
)
def test_the_certificate_names_the_system_by_name_or_address(names, verdict):
    facts = tls(certificate=replace(CERTIFICATE, names=names))
    named = replace(system(attempt(facts)), name="archive.hospital.example")
    seen = Door(system=named, port=104)
    assert transport.certificate_name_mismatch(seen, NOW).verdict is verdict


@pytest.mark.parametrize(
    ("required", "verdict"), [(True, PASS), (False, FAIL), (None, INCONCLUSIVE)]
)
def test_a_client_certificate_is_asked_for_or_not_or_unknown(required, verdict):
    seen = door(tls(client_certificate_required=required))
    assert transport.client_certificate_not_required(seen, NOW).verdict is verdict
