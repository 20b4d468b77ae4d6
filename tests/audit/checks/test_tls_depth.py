"""The checks of TLS in depth: every rule passes a good port, fails what it is about, and passes nothing unseen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from doorward.audit.checks import Per, rule_of, tls_depth
from doorward.audit.checks.registry import CATALOGUE
from doorward.audit.facts import Attempt, Endpoint, Outcome
from doorward.audit.tls_facts import Accepted, Preference, SuiteSeen, TlsDepthFacts
from doorward.audit.verdict import Severity, Verdict
from doorward.net.certificate_facts import ChainFacts
from seen import CERTIFICATE, MUTUAL, NOW, PLAIN, door
from tls_seen import (
    CBC,
    GCM,
    GOOD,
    STATIC,
    good,
    version,
    with_certificate,
    with_suites,
    with_version,
)

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
NOT_APPLICABLE, NOT_TESTED = Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED
IDS = [check.id for check in CATALOGUE if check.area == "tls_depth"]
SMALL = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
#: A port of another protocol: nobody else judges its certificate.
ADDRESS = "10.1.2.3"


def judged(check_id: str, facts: TlsDepthFacts | Outcome | None, *others):
    """Ask one rule about a port with these facts."""
    seen = door(*others, address=ADDRESS)
    port = seen.port
    endpoint = Endpoint(address=ADDRESS, port=port)
    if isinstance(facts, Outcome):
        more = (Attempt(probe="tls_depth", endpoint=endpoint, outcome=facts, reason="silence"),)
    elif facts is None:
        more = ()
    else:
        more = (
            Attempt(probe="tls_depth", endpoint=endpoint, outcome=Outcome.ANSWERED, facts=facts),
        )
    system = replace(seen.system, attempts=(*seen.system.attempts, *more))
    return rule_of(check_id).rule(replace(seen, system=system), NOW)


def dh(bits: int) -> SuiteSeen:
    return SuiteSeen(name=SMALL, dh_bits=bits)


NEVER_ON_A_GOOD_PORT = ("tls_suite_order_unset", "tls_group_dh_small", "tls_profile_b13_missed",
                        "tls_profile_mozilla_missed")  # fmt: skip


def test_there_are_twenty():
    assert len(IDS) == 20


@pytest.mark.parametrize("check_id", [i for i in IDS if i not in NEVER_ON_A_GOOD_PORT])
def test_a_good_port_passes(check_id):
    ruling = judged(check_id, GOOD)
    assert ruling.verdict is PASS, ruling.evidence


@pytest.mark.parametrize("check_id", IDS)
def test_a_port_that_was_not_looked_into_is_not_judged(check_id):
    assert rule_of(check_id).per is Per.ASKED
    assert judged(check_id, None).verdict is NOT_TESTED
    assert judged(check_id, good(speaks_tls=False)).verdict is NOT_APPLICABLE


@pytest.mark.parametrize("check_id", IDS)
def test_silence_is_never_a_pass(check_id):
    assert judged(check_id, Outcome.INCONCLUSIVE).verdict is INCONCLUSIVE
    assert judged(check_id, Outcome.NOT_TESTED).verdict is NOT_TESTED
    refused = (version("TLSv1.2"), version("TLSv1.3"))
    for versions in ((), refused):
        unknown = TlsDepthFacts(speaks_tls=True, versions=versions)
        assert judged(check_id, unknown).verdict is INCONCLUSIVE


UNFINISHED = with_version(version("TLSv1.2", GCM, is_complete=False))


@pytest.mark.parametrize(
    "check_id",
    [
        "tls_suite_broken_offered",
        "tls_suite_small_block_offered",
        "tls_suite_without_forward_secrecy",
        "tls_suite_cbc_offered",
        "tls_group_dh_small",
        "tls_profile_b12_missed",
    ],
)
def test_what_was_not_asked_to_its_end_passes_nothing(check_id):
    assert judged(check_id, UNFINISHED).verdict is INCONCLUSIVE


OLD = {"TLSv1": version("TLSv1", CBC), "SSLv3": version("SSLv3", STATIC)}
ALONE = with_version(version("TLSv1.2"), version("TLSv1.3"), OLD["TLSv1"])
MIXED = {"preference": Preference.CLIENT}


@pytest.mark.parametrize(
    ("check_id", "facts", "verdict", "severity"),
    [
        ("tls_ssl3_offered", with_version(OLD["SSLv3"]), FAIL, None),
        ("tls_ssl3_offered", with_version(version("SSLv3", is_accepted=None)), INCONCLUSIVE, None),
        ("tls_version_old_offered", with_version(OLD["TLSv1"]), FAIL, Severity.MEDIUM),
        ("tls_version_old_offered", ALONE, FAIL, None),
        ("tls_version_old_offered", with_version(version("TLSv1", is_accepted=None)), INCONCLUSIVE, None),
        ("tls_downgrade_unprotected", good(marks_downgrade=False), FAIL, None),
        ("tls_downgrade_unprotected", good(refuses_fallback=False), FAIL, None),
        ("tls_downgrade_unprotected", good(refuses_fallback=None, marks_downgrade=None), INCONCLUSIVE, None),
        ("tls_downgrade_unprotected", good(refuses_fallback=None), PASS, None),
        ("tls_downgrade_unprotected", with_version(version("TLSv1.2")), NOT_APPLICABLE, None),
        ("tls_suite_broken_offered", with_suites("TLS_RSA_WITH_NULL_SHA"), FAIL, None),
        ("tls_suite_broken_offered", with_suites("TLS_ECDH_anon_WITH_AES_128_CBC_SHA"), FAIL, None),
        ("tls_suite_broken_offered", with_suites("TLS_RSA_WITH_RC4_128_SHA"), FAIL, None),
        ("tls_suite_broken_offered", with_suites("TLS_RSA_EXPORT_WITH_RC4_40_MD5"), FAIL, None),
        ("tls_suite_broken_offered", with_suites("TLS_RSA_WITH_DES_CBC_SHA"), FAIL, None),
        ("tls_suite_small_block_offered", with_suites("TLS_RSA_WITH_3DES_EDE_CBC_SHA"), FAIL, None),
        ("tls_suite_without_forward_secrecy", with_suites(STATIC), FAIL, Severity.LOW),
        ("tls_suite_without_forward_secrecy", with_version(version("TLSv1.3"), version("TLSv1.2", STATIC)), FAIL, None),
        ("tls_suite_cbc_offered", with_suites(CBC), FAIL, None),
        ("tls_suite_order_unset", GOOD, NOT_APPLICABLE, None),
        ("tls_suite_order_unset", with_suites(CBC, preference=Preference.CLIENT), FAIL, None),
        ("tls_suite_order_unset", with_suites(CBC, preference=Preference.SERVER), PASS, None),
        ("tls_suite_order_unset", with_suites(CBC), INCONCLUSIVE, None),
        ("tls_group_dh_small", GOOD, NOT_APPLICABLE, None),
        ("tls_group_dh_small", with_suites(dh(2048)), PASS, None),
        ("tls_group_dh_small", with_suites(dh(1024)), FAIL, None),
        ("tls_group_dh_small", with_suites(dh(1536)), FAIL, Severity.MEDIUM),
        ("tls_group_curve_weak", good(groups=Accepted(names=("sect163k1",), is_complete=True)), FAIL, None),
        ("tls_group_curve_weak", good(groups=Accepted(names=("x25519",))), INCONCLUSIVE, None),
        ("tls_group_curve_weak", good(groups=Accepted(is_complete=True), groups_tls_1_3=Accepted()), NOT_APPLICABLE, None),
        ("tls_signature_weak_accepted", good(signatures=Accepted(names=("ecdsa_sha1",))), FAIL, None),
        ("tls_signature_weak_accepted", good(signatures=Accepted()), INCONCLUSIVE, None),
        ("tls_signature_weak_accepted", with_version(version("TLSv1.2")), NOT_APPLICABLE, None),
        ("tls_compression_offered", good(compresses=True), FAIL, None),
        ("tls_compression_offered", good(compresses=None), INCONCLUSIVE, None),
        ("tls_compression_offered", with_version(version("TLSv1.2"), compresses=None), PASS, None),
        ("tls_renegotiation_insecure", good(has_renegotiation_info=False), FAIL, None),
        ("tls_renegotiation_insecure", good(has_renegotiation_info=None), INCONCLUSIVE, None),
        ("tls_renegotiation_insecure", with_version(version("TLSv1.2"), has_renegotiation_info=None), PASS, None),
        ("tls_chain_disordered", good(is_leaf_only=True), NOT_TESTED, None),
        ("tls_chain_disordered", good(chains=(ChainFacts(certificates=(CERTIFICATE,), is_ordered=False),)), FAIL, None),
        ("tls_chain_disordered", good(chains=(ChainFacts(certificates=(CERTIFICATE,), unreadable=1),)), FAIL, None),
        ("tls_chain_expired", with_certificate(not_after=(NOW - timedelta(days=1)).isoformat()), FAIL, None),
        ("tls_chain_expired", with_certificate(not_before=(NOW + timedelta(days=1)).isoformat()), FAIL, None),
        ("tls_chain_expired", good(chains=()), INCONCLUSIVE, None),
        ("tls_chain_weak", with_certificate(key="RSA 1024", key_bits=1024), FAIL, None),
        ("tls_chain_weak", with_certificate(key="EC secp192r1", key_bits=192), FAIL, None),
        ("tls_chain_weak", with_certificate(signature="sha1WithRSAEncryption"), FAIL, None),
        ("tls_chain_weak", with_certificate(signature="md5WithRSAEncryption", is_self_signed=True), PASS, None),
        ("tls_chain_name_mismatch", with_certificate(names=("other.example",)), FAIL, None),
        ("tls_chain_name_mismatch", with_certificate(names=("10.1.2.3",)), PASS, None),
        ("tls_profile_b12_missed", with_version(OLD["TLSv1"]), FAIL, None),
        ("tls_profile_b12_missed", with_version(version("TLSv1.2")), NOT_TESTED, None),
        ("tls_profile_b13_missed", GOOD, NOT_APPLICABLE, None),
        ("tls_profile_b13_missed", with_suites(dh(1024)), FAIL, None),
        ("tls_profile_mozilla_missed", with_suites(CBC), FAIL, None),
    ],
)  # fmt: skip
def test_each_rule_judges_what_it_is_about(check_id, facts, verdict, severity):
    ruling = judged(check_id, facts)
    assert (ruling.verdict, ruling.severity) == (verdict, severity), ruling.evidence
    assert ruling.evidence.endswith((".", ")"))


def own_certificate(facts, *more_curves):
    """Return a web port's facts with a certificate for 397 days, and all curves of TLS 1.3."""
    leaf = replace(
        CERTIFICATE,
        not_before="2026-01-01T00:00:00+00:00",
        not_after="2027-02-02T00:00:00+00:00",
        key="EC secp256r1",
        key_bits=256,
        signature="ecdsa-with-SHA256",
    )
    curves = ("x25519", "secp256r1", "secp384r1", "secp521r1", "x448", *more_curves)
    groups = replace(facts.groups, names=curves)
    return replace(facts, chains=(ChainFacts(certificates=(leaf,)),), groups=groups)


def test_more_sound_curves_and_a_lifetime_of_ones_own_are_nothing_to_change():
    ruling = judged("tls_profile_mozilla_missed", own_certificate(GOOD))
    assert ruling.verdict is PASS
    assert "As strong as" in ruling.evidence
    assert "secp521r1, x448 accepted" in ruling.evidence
    assert "valid for 397 days" in ruling.evidence


def test_what_is_weaker_than_mozillas_profile_still_misses_it():
    cbc = judged("tls_profile_mozilla_missed", own_certificate(with_suites(CBC)))
    assert cbc.verdict is FAIL
    assert CBC in cbc.evidence
    odd = judged("tls_profile_mozilla_missed", own_certificate(GOOD, "secp256k1"))
    assert odd.verdict is FAIL
    unfinished = judged("tls_profile_mozilla_missed", own_certificate(UNFINISHED))
    assert unfinished.verdict is INCONCLUSIVE
    assert "397" not in unfinished.evidence


def test_a_dicom_port_is_not_held_against_a_profile_for_web_servers():
    ruling = judged("tls_profile_mozilla_missed", with_suites(CBC), MUTUAL)
    assert ruling.verdict is NOT_APPLICABLE
    assert "tls_profile_b12_missed" in ruling.evidence


def test_two_leaves_are_both_judged():
    weak = replace(CERTIFICATE, key="RSA 1024", key_bits=1024, fingerprint_sha256="two")
    chains = (ChainFacts(certificates=(CERTIFICATE,)), ChainFacts(certificates=(weak,)))
    assert judged("tls_chain_weak", good(chains=chains)).verdict is FAIL


def test_what_the_checks_of_a_dicom_port_judge_is_left_to_them():
    seen = with_certificate(not_after=(NOW - timedelta(days=1)).isoformat())
    assert judged("tls_chain_expired", seen, MUTUAL).verdict is NOT_APPLICABLE
    old = with_version(OLD["TLSv1"])
    assert judged("tls_version_old_offered", old, MUTUAL).verdict is NOT_APPLICABLE
    assert judged("tls_version_old_offered", old, PLAIN).verdict is FAIL


def test_a_wildcard_stands_for_one_label():
    named = replace(door().system, name="archive.hospital.example")
    for name, verdict in (("*.hospital.example", PASS), ("*.example", FAIL)):
        facts = with_certificate(names=(name,))
        endpoint = Endpoint(address=ADDRESS, port=443)
        made = Attempt(probe="tls_depth", endpoint=endpoint, outcome=Outcome.ANSWERED, facts=facts)
        seen = replace(door(), system=replace(named, attempts=(made,)), port=443)
        assert rule_of("tls_chain_name_mismatch").rule(seen, NOW).verdict is verdict


def test_evidence_carries_the_profiles_sections():
    ruling = judged("tls_profile_b12_missed", with_version(OLD["TLSv1"]))
    assert "RFC 9325 section 3.1.1" in ruling.evidence
    assert "Meets DICOM PS3.15 B.12" in judged("tls_profile_b12_missed", GOOD).evidence


def test_the_area_is_bound_to_its_probe():
    assert {c.probe for c in CATALOGUE if c.area == "tls_depth"} == {tls_depth.PROBE}
