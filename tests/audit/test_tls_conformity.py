"""Facts against profiles: each kind of rule kept, broken, and where the facts end."""

from dataclasses import replace

import pytest

from doorward.audit.tls_conformity import (
    Status,
    accepted_groups,
    answer,
    conformity,
    leaves,
    listed,
    shown_certificates,
    suites_with,
    traits,
)
from doorward.audit.tls_facts import Accepted, Preference, SuiteSeen, TlsDepthFacts
from doorward.knowledge.tls_parameters import suite_named
from doorward.knowledge.tls_profiles import TlsRule
from doorward.net.certificate_facts import ChainFacts
from seen import CERTIFICATE
from tls_seen import (
    CBC,
    CHACHA,
    GCM,
    GOOD,
    STATIC,
    good,
    version,
    with_certificate,
    with_suites,
    with_version,
)

KEPT, BROKEN, NOT_SHOWN, UNKNOWN = Status.KEPT, Status.BROKEN, Status.NOT_SHOWN, Status.UNKNOWN
SMALL = SuiteSeen(name="TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", dh_bits=1024)
UNFINISHED = with_version(version("TLSv1.2", GCM, is_complete=False))
STATIC_UNFINISHED = with_version(version("TLSv1.3"), version("TLSv1.2", STATIC, is_complete=False))
LONG = with_certificate(
    not_before="2020-01-01T00:00:00+00:00", not_after="2040-01-01T00:00:00+00:00"
)
SHORT = with_certificate(
    not_before="2026-01-01T00:00:00+00:00", not_after="2026-06-01T00:00:00+00:00"
)
ROOT_WITH_SHA1 = with_certificate(signature="sha1WithRSAEncryption", is_self_signed=True)
ONLY_1_3 = with_version(
    version("TLSv1.2"), compresses=None, has_renegotiation_info=None, prefers_tls_1_3=None
)


def asked(facts: TlsDepthFacts, kind: str, *values: str, limit: int = 0, level="must", mark="S"):
    rule = TlsRule(
        profile="x", kind=kind, level=level, section="X 1", mark=mark, values=values, limit=limit
    )
    return answer(facts, rule)


@pytest.mark.parametrize(
    ("facts", "kind", "values", "limit", "status"),
    [
        (GOOD, "versions_forbidden", ("SSLv3", "TLSv1"), 0, KEPT),
        (with_version(version("TLSv1", CBC)), "versions_forbidden", ("TLSv1",), 0, BROKEN),
        (with_version(version("TLSv1", is_accepted=None)), "versions_forbidden", ("TLSv1",), 0, UNKNOWN),
        (GOOD, "versions_required", ("TLSv1.2",), 0, KEPT),
        (ONLY_1_3, "versions_required", ("TLSv1.2",), 0, NOT_SHOWN),
        (GOOD, "tls_1_3_preferred", (), 0, KEPT),
        (good(prefers_tls_1_3=False), "tls_1_3_preferred", (), 0, BROKEN),
        (good(prefers_tls_1_3=None), "tls_1_3_preferred", (), 0, UNKNOWN),
        (ONLY_1_3, "tls_1_3_preferred", (), 0, KEPT),
        (GOOD, "no_compression", (), 0, KEPT),
        (good(compresses=True), "no_compression", (), 0, BROKEN),
        (good(compresses=None), "no_compression", (), 0, UNKNOWN),
        (ONLY_1_3, "no_compression", (), 0, KEPT),
        (good(has_renegotiation_info=False), "renegotiation_info", (), 0, BROKEN),
        (GOOD, "renegotiation_info", (), 0, KEPT),
        (good(has_extended_master_secret=False), "extended_master_secret", (), 0, BROKEN),
        (GOOD, "suites_forbidden", ("RC4",), 0, KEPT),
        (UNFINISHED, "suites_forbidden", ("RC4",), 0, UNKNOWN),
        (with_suites("TLS_RSA_WITH_RC4_128_SHA"), "suites_forbidden", ("RC4",), 0, BROKEN),
        (with_suites(STATIC), "suites_allowed", (GCM, CHACHA), 0, BROKEN),
        (GOOD, "suites_allowed", GOOD.suites, 0, KEPT),
        (GOOD, "suites_required", (GCM,), 0, KEPT),
        (GOOD, "suites_required", (STATIC,), 0, NOT_SHOWN),
        (GOOD, "forward_secrecy_offered", (), 0, KEPT),
        (with_version(version("TLSv1.3"), version("TLSv1.2", STATIC)), "forward_secrecy_offered", (), 0, BROKEN),
        (STATIC_UNFINISHED, "forward_secrecy_offered", (), 0, UNKNOWN),
        (GOOD, "dh_bits", (), 2048, KEPT),
        (with_suites(SMALL), "dh_bits", (), 2048, BROKEN),
        (UNFINISHED, "dh_bits", (), 2048, UNKNOWN),
        (GOOD, "curve_bits", (), 256, KEPT),
        (good(groups=Accepted(names=("secp192r1",))), "curve_bits", (), 224, BROKEN),
        (good(groups_tls_1_3=Accepted(names=("ffdhe2048",))), "curve_bits", (), 224, KEPT),
        (GOOD, "groups_allowed", ("x25519", "secp256r1"), 0, KEPT),
        (GOOD, "groups_allowed", ("x25519",), 0, BROKEN),
        (with_certificate(key="RSA 1024", key_bits=1024), "rsa_bits", (), 2048, BROKEN),
        (with_certificate(key="EC secp256r1", key_bits=256), "rsa_bits", (), 2048, KEPT),
        (good(chains=()), "rsa_bits", (), 2048, UNKNOWN),
        (with_certificate(key="EC secp521r1"), "certificate_curves_allowed", ("secp256r1",), 0, BROKEN),
        (with_certificate(key="EC secp256r1"), "certificate_curves_allowed", ("secp256r1",), 0, KEPT),
        (with_certificate(signature="ecdsa-with-SHA1"), "certificate_hashes_forbidden", ("md5", "sha1"), 0, BROKEN),
        (ROOT_WITH_SHA1, "certificate_hashes_forbidden", ("sha1",), 0, KEPT),
        (good(chains=()), "certificate_hashes_forbidden", ("sha1",), 0, UNKNOWN),
        (with_certificate(signature="odd"), "certificate_signatures_allowed", ("sha256WithRSAEncryption",), 0, BROKEN),
        (LONG, "certificate_days", (), 366, BROKEN),
        (SHORT, "certificate_days", (), 366, KEPT),
        (GOOD, "handshake_hashes_forbidden", ("MD5", "SHA1"), 0, KEPT),
        (good(signatures=Accepted(names=("rsa_pkcs1_sha1",))), "handshake_hashes_forbidden", ("SHA1",), 0, BROKEN),
        (good(signatures=Accepted()), "handshake_hashes_forbidden", ("SHA1",), 0, UNKNOWN),
        (GOOD, "client_order", (), 0, KEPT),
        (with_suites(preference=Preference.SERVER), "client_order", (), 0, BROKEN),
    ],
)  # fmt: skip
def test_each_kind_of_rule(facts, kind, values, limit, status):
    found = asked(facts, kind, *values, limit=limit)
    assert found.status is status
    assert bool(found.words) == (status is not KEPT)
    assert found.sentence.endswith("(X 1)")


def test_a_rule_that_was_not_read_in_its_source_is_never_broken():
    facts = with_suites(CBC)
    assert asked(facts, "suites_forbidden", "CBC").status is BROKEN
    assert asked(facts, "suites_forbidden", "CBC", mark="M").status is NOT_SHOWN


def test_what_is_only_advised_is_broken_by_not_offering_it():
    assert asked(ONLY_1_3, "versions_required", "TLSv1.2", level="should").status is BROKEN


def test_a_good_port_meets_b12_and_mozilla():
    for profile in ("rfc9325", "ps315-b12"):
        found = conformity(GOOD, profile)
        assert (found.meets, found.because) == (True, ())
    short = with_certificate(
        not_before="2026-09-01T00:00:00+00:00",
        not_after="2026-12-01T00:00:00+00:00",
        key="RSA 2048",
        key_bits=2048,
        signature="sha256WithRSAEncryption",
    )
    assert conformity(short, "mozilla-intermediate").meets is True


def test_b13_is_not_shown_by_a_server_without_its_rare_suites():
    found = conformity(GOOD, "ps315-b13")
    assert found.meets is None
    assert "TLS_AES_128_CCM_SHA256" in found.because[0]
    assert "PS3.15 B.13" in found.because[0]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (with_version(version("TLSv1", CBC)), "TLSv1 accepted (RFC 9325 section 3.1.1)"),
        (with_suites("TLS_RSA_WITH_NULL_SHA"), "TLS_RSA_WITH_NULL_SHA accepted (PS3.15 B.12"),
        (with_suites("TLS_DH_anon_WITH_AES_128_GCM_SHA256"), "RFC 5246 A.5"),
        (with_suites(SMALL), "Diffie-Hellman with 1024 bit (RFC 9325 section 4.5)"),
        (good(has_renegotiation_info=False), "no secure renegotiation (RFC 9325 section 3.5)"),
    ],
)
def test_b12_is_missed_with_the_section_that_says_so(facts, words):
    found = conformity(facts, "ps315-b12")
    assert found.meets is False
    assert any(words in sentence for sentence in found.because)


def test_what_a_profile_advises_does_not_miss_it():
    found = conformity(with_suites(STATIC), "ps315-b12")
    assert found.meets is True
    assert any(STATIC in sentence for sentence in found.advice)


def test_a_broken_rule_weighs_more_than_an_unknown_one():
    facts = with_version(version("TLSv1", CBC), version("TLSv1.1", is_accepted=None))
    assert conformity(facts, "ps315-b12").meets is False


def test_a_port_that_refused_everything_meets_and_misses_nothing():
    for profile in ("ps315-b12", "ps315-b13", "mozilla-intermediate"):
        assert conformity(TlsDepthFacts(speaks_tls=True), profile).meets is None


def test_an_unfinished_interview_meets_nothing():
    assert conformity(UNFINISHED, "ps315-b12").meets is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (GCM, set()),
        ("TLS_AES_128_GCM_SHA256", set()),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA",
         {"less than 128 bit", "64-bit blocks", "static RSA", "no forward secrecy", "CBC"}),
        ("TLS_DH_anon_WITH_RC4_128_MD5",
         {"RC4", "no authentication", "finite-field Diffie-Hellman"}),
        ("TLS_ECDH_RSA_WITH_NULL_SHA",
         {"no encryption", "static Diffie-Hellman", "no forward secrecy"}),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5",
         {"export", "RC4", "less than 112 bit", "less than 128 bit", "static RSA", "no forward secrecy"}),
    ],
)  # fmt: skip
def test_traits_of_suites(name, found):
    assert traits(suite_named(name)) == found


def test_lists_of_names_are_short():
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdef")) == "a, b, c, d and 2 more"


def test_groups_seen_with_a_suite_count_too():
    facts = with_suites(SuiteSeen(name=CBC, group="secp160r1"))
    assert "secp160r1" in [group.name for group in accepted_groups(facts)]
    assert suites_with(facts, ["CBC"]) == (CBC,)


def test_certificates_are_counted_once_and_leaves_apart():
    authority = replace(CERTIFICATE, fingerprint_sha256="ca")
    other = replace(CERTIFICATE, fingerprint_sha256="other")
    chains = (
        ChainFacts(certificates=(CERTIFICATE, authority)),
        ChainFacts(certificates=(other, authority)),
        ChainFacts(certificates=()),
    )
    facts = good(chains=chains)
    assert [c.fingerprint_sha256 for c in leaves(facts)] == [
        CERTIFICATE.fingerprint_sha256,
        "other",
    ]
    assert len(shown_certificates(facts)) == 3
