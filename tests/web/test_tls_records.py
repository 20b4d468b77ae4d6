"""A server's first flight, as bytes made by hand: what is read, where reading ends, and what cannot hurt."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tls_bytes as wire
from doorward.web.tls_records import (
    Alert,
    Flight,
    FlightEnd,
    FlightReader,
    KeyExchange,
    read_key_exchange,
)
from tls_bytes import DONE, REQUEST, TIGHT, check_flight

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "tls_records"


HELLO = wire.server_hello()


def read(*chunks: bytes, limits=None) -> Flight:
    reader = FlightReader() if limits is None else FlightReader(limits)
    for chunk in chunks:
        reader.receive(chunk)
    return reader.flight()


def test_a_whole_flight_of_tls_1_2():
    extensions = wire.extension(0xFF01, b"\0") + wire.extension(23)
    flight = read(
        wire.handshake(wire.server_hello(extensions=extensions), wire.certificate(b"leaf", b"ca")),
        wire.handshake(wire.ecdhe(23), REQUEST, DONE),
    )
    assert flight.end is FlightEnd.HELLO_DONE
    assert (flight.hello.version, flight.hello.suite) == (0x0303, 0xC02F)
    assert flight.hello.has_renegotiation_info
    assert flight.hello.has_extended_master_secret
    assert flight.certificates == (b"leaf", b"ca")
    assert flight.requests_certificate


def test_one_message_over_several_records_and_several_in_one():
    whole = wire.server_hello() + wire.certificate(b"x" * 300) + DONE
    cut = b"".join(wire.record(22, whole[i : i + 7]) for i in range(0, len(whole), 7))
    assert read(cut) == read(wire.record(22, whole))


def test_messages_that_nobody_asked_for_are_passed_over():
    status, ticket = wire.message(22, b"\x01\0\0\0"), wire.message(4, b"\0")
    assert read(wire.handshake(HELLO, status, ticket, DONE)).end is FlightEnd.HELLO_DONE


def test_an_old_server_without_extensions():
    hello = read(wire.handshake(wire.server_hello(0x0300, 5, extensions=None), DONE)).hello
    assert (hello.version, hello.suite) == (0x0300, 5)
    assert not hello.has_renegotiation_info


def test_a_retry_names_suite_and_group_and_ends_the_flight():
    flight = read(wire.handshake(wire.hello_of_1_3(0x1302, 24, is_retry=True)))
    assert flight.end is FlightEnd.RETRY
    assert (flight.hello.version, flight.hello.suite, flight.hello.group) == (0x0304, 0x1302, 24)


def test_tls_1_3_goes_on_when_more_is_encrypted_than_an_alert_can_be():
    hello = wire.handshake(wire.hello_of_1_3()) + wire.record(20, b"\x01")
    small = wire.record(23, bytes(27))
    assert read(hello + small).end is FlightEnd.SILENT
    assert read(hello + small + wire.record(23, bytes(400))).end is FlightEnd.ENCRYPTED


@pytest.mark.parametrize("end", [b"DOWNGRD\x01", b"DOWNGRD\x00"])
def test_the_mark_of_a_downgrade_is_seen(end):
    hello = read(wire.handshake(wire.server_hello(random=bytes(24) + end))).hello
    assert hello.is_marked_as_downgrade


def test_tls_1_3_itself_is_never_a_downgrade():
    random = bytes(24) + b"DOWNGRD\x01"
    extensions = wire.extension(43, b"\x03\x04")
    hello = read(wire.handshake(wire.server_hello(random=random, extensions=extensions))).hello
    assert not hello.is_marked_as_downgrade


def test_an_alert_ends_the_flight_and_keeps_what_came_before():
    flight = read(wire.handshake(wire.server_hello()) + wire.alert(40))
    assert flight.end is FlightEnd.ALERT
    assert flight.alert == Alert(level=2, description=40)
    assert flight.alert.name == flight.detail == "handshake_failure"
    assert flight.hello is not None


def test_a_warning_about_the_name_ends_nothing():
    flight = read(wire.alert(112, level=1) + wire.handshake(wire.server_hello(), DONE))
    assert flight.end is FlightEnd.HELLO_DONE


def test_an_alert_that_nobody_registered_has_a_number():
    assert read(wire.alert(200)).alert.name == "alert 200"


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n", b"SSH-2.0-x\r\n", b"\x07\0\0\0\0\4", b"\x16\x05\0", b"\0"],
)
def test_what_is_no_record_is_no_tls(answer):
    assert read(answer).end is FlightEnd.NOT_TLS
    assert read(*(answer[i : i + 1] for i in range(len(answer)))).end is FlightEnd.NOT_TLS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (wire.handshake(HELLO) + b"GET /", "no TLS record"),
        (b"\x16\x03\x03\xff\xff", "longer than the protocol allows"),
        (wire.record(21, b"\x02"), "less than two bytes"),
        (wire.record(23, b"x"), "before the ServerHello"),
        (wire.handshake(DONE), "no ServerHello"),
        (wire.handshake(HELLO, HELLO), "second ServerHello"),
        (wire.handshake(wire.message(2, b"\x03\x03")), "beyond its end"),
        (wire.handshake(HELLO, wire.message(11, b"\0\0\x09")), "beyond its end"),
        (wire.record(22, b"\x02\xff\xff\xff"), "tls_flight_bytes"),
    ],
)
def test_what_breaks_the_rules_ends_the_flight_in_words_of_ours(content, words):
    flight = read(content)
    assert flight.end is FlightEnd.MALFORMED
    assert words in flight.detail


def test_a_flight_that_never_ends_is_cut_at_the_bound():
    flight = read(wire.handshake(HELLO), wire.record(20, b"\x01") * 40, limits=TIGHT)
    assert flight.end is FlightEnd.MALFORMED
    assert "tls_flight_bytes" in flight.detail
    assert flight.hello is not None


def test_only_so_many_certificates_are_kept():
    content = wire.handshake(HELLO, wire.certificate(b"a", b"b", b"c"), DONE)
    assert read(content, limits=TIGHT).certificates == (b"a", b"b")


def test_nothing_is_read_after_the_end():
    reader = FlightReader()
    reader.receive(wire.alert(70))
    reader.receive(wire.handshake(HELLO))
    reader.stop(FlightEnd.CLOSED)
    assert reader.is_finished
    assert reader.flight().hello is None
    assert reader.flight().end is FlightEnd.ALERT


def test_an_ending_from_outside_is_kept():
    reader = FlightReader()
    assert not reader.is_finished
    reader.stop(FlightEnd.CLOSED)
    assert reader.flight().end is FlightEnd.CLOSED


# --- the parameters of a key exchange ---------------------------------------------------------------------------------


def exchange(made: bytes, kind: str, **changes) -> KeyExchange:
    values = {"has_hint": False, "is_signed": True, "has_scheme": True} | changes
    return read_key_exchange(made[4:], kind=kind, **values)


def test_the_curve_and_the_signature_of_an_ephemeral_key():
    assert exchange(wire.ecdhe(29, 0x0804), "ECDHE") == KeyExchange(group=29, signature=0x0804)


def test_the_bits_of_a_prime_without_its_leading_zeros():
    prime = b"\0\0\x80" + bytes(127)
    assert exchange(wire.dhe(prime, 0x0401), "DHE").dh_bits == 1024


def test_before_tls_1_2_a_signature_does_not_say_its_scheme():
    assert exchange(wire.ecdhe(23, None), "ECDHE", has_scheme=False).signature is None


def test_an_anonymous_key_is_not_signed():
    assert exchange(wire.dhe(b"\xff" * 128, None), "DHE", is_signed=False).signature is None


def test_a_hint_for_shared_keys_comes_first():
    body = wire.message(12, wire.block(2, b"hint") + wire.dhe(b"\xff" * 256)[4:])
    assert exchange(body, "DHE", has_hint=True).dh_bits == 2048


@pytest.mark.parametrize("kind", ["DHE", "ECDHE", "RSA"])
@pytest.mark.parametrize("body", [b"", b"\x03", b"\x01\0\x20", b"\xff\xff", b"\x03\0\x17\xff"])
def test_a_body_that_leads_beyond_its_end_gives_what_was_readable(kind, body):
    found = exchange(b"\0\0\0\0" + body, kind)
    assert found.signature is None


# --- any bytes --------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=400))
def test_any_bytes_end_or_wait_however_they_are_cut(data):
    check_flight(data)


PIECES = st.sampled_from(
    [
        wire.handshake(HELLO),
        wire.handshake(wire.certificate(b"abc")),
        wire.handshake(wire.ecdhe(23)),
        wire.handshake(DONE),
        wire.handshake(wire.hello_of_1_3(is_retry=True)),
        wire.alert(40),
        wire.alert(112, 1),
        wire.record(20, b"\x01"),
        wire.record(23, bytes(70)),
        b"\x16\x03",
    ]
)


@given(st.lists(PIECES, max_size=8), st.integers(0, 255))
def test_any_order_of_messages_ends_or_waits_however_it_is_cut(pieces, first):
    check_flight(bytes((first,)) + b"".join(pieces))


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_corpus_of_the_fuzzer_holds_the_invariant(path):
    check_flight(path.read_bytes())
