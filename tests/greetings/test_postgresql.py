"""PostgreSQL: the rule of pg_hba.conf shows in the first answer, and nothing else is read."""

import struct

import pytest

from doorward.errors import LimitExceeded, PeerProtocolError, TlsFailed
from doorward.greetings.conversation import Access, silence
from doorward.greetings.postgresql import greet
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

SSL_REQUEST = bytes.fromhex("00000008 04d2162f")
TERMINATE = b"X\0\0\0\4"


def message(kind, body):
    return kind + struct.pack(">I", len(body) + 4) + body


def authentication(number, more=b""):
    return message(b"R", struct.pack(">I", number) + more)


def error(code, text=b"no pg_hba.conf entry for host CANARY"):
    fields = b"SFATAL\0VFATAL\0C" + code + b"\0M" + text + b"\0Fauth.c\0\0"
    return message(b"E", fields)


def plain(*replies, **how):
    return lead(greet(DEFAULT_LIMITS, use_tls=False), *replies, **how)


def secured(*replies):
    return lead(greet(DEFAULT_LIMITS, use_tls=True), *replies)


@pytest.mark.parametrize(
    ("reply", "access", "method"),
    (
        (authentication(0), Access.OPEN, "trust"),
        (authentication(3), Access.DEMANDED, "password in clear text"),
        (authentication(5, b"salt"), Access.DEMANDED, "md5"),
        (
            authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
            Access.DEMANDED,
            "scram-sha-256",
        ),
        (authentication(10, b"CANARY\0\0"), Access.DEMANDED, "sasl"),
        (authentication(7), Access.DEMANDED, "gss"),
        (authentication(99), Access.UNKNOWN, ""),
    ),
)
def test_the_first_answer_says_how_strangers_are_let_in(reply, access, method):
    talk = plain(reply)
    assert (talk.result.access, talk.result.method) == (access, method)
    assert talk.farewell == TERMINATE


@pytest.mark.parametrize(
    ("code", "access"),
    (
        (b"28000", Access.REFUSED),  # pg_hba.conf
        (b"53300", Access.UNKNOWN),  # too many connections
        (b"57P03", Access.UNKNOWN),  # starting up
    ),
)
def test_of_an_error_only_the_code_is_read(code, access):
    result = plain(error(code)).result
    assert (result.access, result.code) == (access, code.decode())
    assert "CANARY" not in repr(result)


def test_an_error_without_a_proper_code_has_none():
    assert plain(message(b"E", b"Mtext\0\0")).result.code == ""
    assert plain(message(b"E", b"CCANARY\0\0")).result.code == ""


def test_notices_are_passed_over_in_pieces_of_any_size():
    notice = message(b"N", b"SNOTICE\0\0") + message(b"v", bytes(8))
    assert plain(notice + authentication(5, b"salt"), cut=1).result.method == "md5"


def test_who_asks_is_made_up_and_named_honestly():
    (startup,) = plain(authentication(0)).said
    assert startup[4:8] == bytes.fromhex("00030000")
    assert b"user\0doorward\0database\0doorward\0" in startup
    assert b"application_name\0Doorward security audit\0\0" in startup
    assert int.from_bytes(startup[:4], "big") == len(startup)


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_tls_comes_first_where_it_is_offered():
    talk = secured(b"S", authentication(0))
    assert talk.said[:2] == [SSL_REQUEST, "TLS"]
    assert (talk.result.offers_tls, talk.result.access) == (True, Access.OPEN)


def test_without_tls_the_same_connection_goes_on():
    talk = secured(b"N", authentication(3))
    assert "TLS" not in talk.said
    assert (talk.result.offers_tls, talk.result.access) == (False, Access.DEMANDED)


def test_plain_text_behind_the_consent_to_tls_is_an_attack():
    with pytest.raises(PeerProtocolError, match="plain text before TLS"):
        secured(b"S" + authentication(0))


@pytest.mark.parametrize(
    "end", (TlsFailed("a certificate is asked for", kind="certificate_required"), silence(), b"")
)
def test_what_is_known_of_tls_is_kept_when_the_rest_fails(end):
    result = secured(b"S", end).result
    assert (result.offers_tls, result.access) == (True, Access.UNKNOWN)


# --- what is no PostgreSQL --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", (b"H", b"\x15\x03\x01", b"E"))
def test_another_answer_to_the_request_for_tls_is_no_postgresql(reply):
    with pytest.raises(PeerProtocolError, match="SSLRequest"):
        secured(reply)


@pytest.mark.parametrize(
    "reply",
    (b"HTTP/1.1 400 Bad Request\r\n", message(b"Z", b"I"), b"R\0\0\0\3", b"R\0\0\0\6\0\0", b"R"),
)
def test_another_answer_to_the_startup_is_no_postgresql(reply):
    with pytest.raises(PeerProtocolError):
        plain(reply)


def test_a_message_of_a_gigabyte_is_not_waited_for():
    with pytest.raises(LimitExceeded):
        plain(b"R\x40\0\0\0")
