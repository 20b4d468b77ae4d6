"""What an interview offers, and how it reads an answer."""

import tls_bytes as wire
from doorward.audit.tls_facts import SuiteSeen
from doorward.audit.tls_offers import (
    COMPACT_SUITES,
    all_signatures,
    group_in,
    group_of_1_3,
    is_signed,
    offered_groups,
    offered_suites,
    signature_in,
    suite_seen,
)
from doorward.knowledge.tls_parameters import group_name, suite_named, suite_of, suites
from doorward.web.tls_hello import TLS_1_0, TLS_1_2, TLS_1_3
from doorward.web.tls_records import Flight, FlightReader

ECDHE, DHE = 0xC02F, 0x009E


def flight(*messages: bytes) -> Flight:
    reader = FlightReader()
    reader.receive(wire.handshake(*messages))
    return reader.flight()


def test_every_suite_is_offered_in_its_versions_the_strongest_first():
    old, new = offered_suites(TLS_1_2), offered_suites(TLS_1_3)
    assert set(old) | set(new) == {suite.number for suite in suites()}
    assert not set(old) & set(new)
    assert suite_of(old[0]).is_authenticated
    assert suite_of(old[0]).has_forward_secrecy
    assert suite_of(old[-1]).bits == 0


def test_before_tls_1_3_no_finite_field_group_is_offered_so_that_servers_show_their_own():
    names = {group_name(number) for number in offered_groups(TLS_1_0)}
    assert {"x25519", "secp256r1", "sect163k1", "brainpoolP256r1"} <= names
    assert not any(name.startswith("ffdhe") or "tls13" in name for name in names)
    assert {"ffdhe2048", "X25519MLKEM768"} <= {group_name(n) for n in offered_groups(TLS_1_3)}


def test_the_compact_list_is_short_and_registered():
    assert 8 <= len(COMPACT_SUITES) <= 16
    assert set(COMPACT_SUITES) <= set(offered_suites(TLS_1_2))


def test_every_signature_scheme_is_offered_once():
    assert len(set(all_signatures())) == len(all_signatures()) > 20


def test_an_answer_with_a_curve_is_read():
    seen = flight(wire.server_hello(suite=ECDHE), wire.ecdhe(23, 0x0401))
    assert (group_in(seen), signature_in(seen)) == (23, 0x0401)
    assert suite_seen(TLS_1_2, ECDHE, seen) == SuiteSeen(
        name="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        group="secp256r1",
        signature="rsa_pkcs1_sha256",
    )


def test_an_answer_with_a_prime_is_read():
    seen = flight(wire.server_hello(suite=DHE), wire.dhe(b"\xff" * 128))
    assert suite_seen(TLS_1_2, DHE, seen).dh_bits == 1024


def test_tls_1_3_says_its_group_once_for_all_suites():
    seen = flight(wire.hello_of_1_3(0x1301, 24, is_retry=True))
    assert group_of_1_3(seen) == 24
    assert suite_seen(TLS_1_3, 0x1301, seen) == SuiteSeen(name="TLS_AES_128_GCM_SHA256")
    assert group_of_1_3(flight(wire.hello_of_1_3())) is None


def test_a_refusal_has_no_parameters():
    assert group_in(flight(wire.message(14, b""))) is None


def test_only_ephemeral_keys_of_a_named_server_are_signed():
    signed = {
        name: is_signed(suite_named(name))
        for name in (
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_DH_anon_WITH_AES_128_CBC_SHA",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA",
        )
    }
    assert list(signed.values()) == [True, False, False, False]
