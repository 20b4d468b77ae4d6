"""LDAP: what slapd answered, and what other directories could."""

from pathlib import Path

import pytest

from doorward.errors import LimitExceeded, PeerProtocolError, TlsFailed
from doorward.greetings.conversation import Access
from doorward.greetings.ldap import greet, start_tls
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "greetings"
UNBIND = bytes.fromhex("3005 020106 4200")


def tlv(tag, value):
    length = bytes((len(value),)) if len(value) < 128 else b"\x82" + len(value).to_bytes(2, "big")
    return bytes((tag,)) + length + value


def message(number, tag, body):
    return tlv(0x30, tlv(2, bytes((number,))) + tlv(tag, body))


def result(code, text=b"CANARY"):
    return tlv(10, bytes((code,))) + tlv(4, b"") + tlv(4, text)


def entry(**attributes):
    listed = b"".join(
        tlv(0x30, tlv(4, name.encode()) + tlv(0x31, b"".join(tlv(4, v) for v in values)))
        for name, values in attributes.items()
    )
    return message(1, 0x64, tlv(4, b"CANARY") + tlv(0x30, listed))


def done(code=0, number=1):
    return message(number, 0x65, result(code))


def bound(code=0, number=2):
    return message(number, 0x61, result(code))


def extended(code=0, number=3):
    return message(number, 0x78, result(code))


def talk(*replies, use_tls=False, cut=1 << 16):
    return lead(greet(DEFAULT_LIMITS, use_tls=use_tls), *replies, cut=cut)


OPENLDAP = entry(objectClass=[b"top", b"OpenLDAProotDSE"])


@pytest.mark.parametrize(
    ("code", "access"),
    (
        (0, Access.OPEN),
        (8, Access.DEMANDED),
        (48, Access.DEMANDED),
        (49, Access.DEMANDED),
        (53, Access.DEMANDED),
        (13, Access.REFUSED),
        (2, Access.UNKNOWN),
        (51, Access.UNKNOWN),
    ),
)
def test_the_code_of_the_bind_says_whether_nobody_needs_a_name(code, access):
    seen = talk(OPENLDAP + done(), bound(code)).result
    assert (seen.access, seen.code, seen.product) == (access, str(code), "OpenLDAP")
    assert "CANARY" not in repr(seen)


def test_a_bind_means_nothing_where_the_root_entry_itself_needs_a_login():
    finished = talk(done(53))
    assert (finished.result.access, len(finished.said)) == (Access.DEMANDED, 1)


@pytest.mark.parametrize(
    ("attributes", "product", "version"),
    (
        ({"supportedCapabilities": [b"1.2.840.113556.1.4.800"]}, "Active Directory", ""),
        (
            {"vendorName": [b"389 Project"], "vendorVersion": [b"389-Directory/2.3.1 B2022"]},
            "389 Directory Server",
            "2.3.1",
        ),
        ({"vendorname": [b"Apache Software Foundation"]}, "ApacheDS", ""),
        ({"vendorName": [b"CANARY"], "vendorVersion": [b"CANARY"]}, "LDAP directory", ""),
        ({"vendorName": [], "vendorVersion": []}, "LDAP directory", ""),
    ),
)
def test_the_root_entry_names_the_software(attributes, product, version):
    seen = talk(entry(**attributes) + done(), bound(), cut=3).result
    assert (seen.product, seen.version) == (product, version)
    assert "CANARY" not in repr(seen)


def test_only_four_attributes_of_the_root_entry_are_asked_for():
    search, bind = talk(done(), bound()).said
    assert bind == bytes.fromhex("300c 020101 6007 020103 0400 8000".replace("020101", "020102"))
    assert b"namingContexts" not in search
    for name in (b"objectClass", b"supportedCapabilities", b"vendorName", b"vendorVersion"):
        assert name in search


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_tls_is_asked_for_after_the_bind():
    finished = talk(done(), bound(), extended(), use_tls=True)
    assert finished.said[-1] == "TLS"
    assert (finished.result.offers_tls, finished.result.demands_tls) == (True, False)
    assert finished.farewell == UNBIND


def test_where_tls_is_demanded_the_look_is_repeated_inside():
    finished = talk(done(13), extended(), done(number=4), bound(number=5), use_tls=True)
    seen = finished.result
    assert (seen.access, seen.offers_tls, seen.demands_tls) == (Access.OPEN, True, True)
    assert len(finished.said) == 5


def test_a_refusal_of_tls_is_an_answer():
    assert talk(done(), bound(), extended(2), use_tls=True).result.offers_tls is False


@pytest.mark.parametrize("end", (TlsFailed("the port does not speak TLS", kind="not_tls"), b""))
def test_the_bind_is_kept_when_tls_fails(end):
    replies = (done(), bound(), extended(), end) if end else (done(), bound(), end)
    assert talk(*replies, use_tls=True).result.access is Access.OPEN


def test_plain_text_behind_the_consent_to_tls_is_an_attack():
    seen = talk(done(), bound(), extended() + bound(), use_tls=True).result
    assert seen.offers_tls is None
    with pytest.raises(PeerProtocolError, match="plain text before TLS"):
        lead(start_tls(DEFAULT_LIMITS), extended() + b"x")


def test_start_tls_alone_is_what_a_prelude_needs():
    assert lead(start_tls(DEFAULT_LIMITS), extended(0, 1)).result is True
    assert lead(start_tls(DEFAULT_LIMITS), extended(2, 1)).result is False


# --- BER --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    (
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(80),
        bytes.fromhex("3080 0201 0161 0000"),  # indefinite
        bytes.fromhex("3085 0000000001 00"),
        bytes.fromhex("3003 020101"),  # no operation
        bytes.fromhex("3006 020101 6103 0a"),  # longer than its parent
        bytes.fromhex("3004 020101 61"),  # cut off
        bytes.fromhex("3006 020101 6581 00"),
        message(1, 0x61, result(0)),  # a bind response to a search
        message(1, 0x65, tlv(2, b"\0")),  # no result code
        message(1, 0x65, b""),
    ),
)
def test_another_answer_is_no_ldap(reply):
    with pytest.raises(PeerProtocolError):
        talk(reply)


def test_a_notice_of_disconnection_ends_it():
    with pytest.raises(PeerProtocolError, match="no answer to us"):
        talk(done(), extended(52, 0))


def test_other_messages_are_passed_over_while_an_answer_is_awaited():
    assert talk(done(), message(9, 0x79, b"") + bound()).result.access is Access.OPEN


def test_a_message_of_a_gigabyte_is_not_waited_for():
    with pytest.raises(LimitExceeded):
        talk(bytes.fromhex("3084 40000000"))


def test_the_real_slapd_is_understood():
    names = {"slapd-open": Access.OPEN, "slapd-login-first": Access.DEMANDED}
    for name, access in names.items():
        data = (CORPUS / name).read_bytes()[2:]
        assert talk(data, data[-14:]).result.access is access
