"""MySQL and MariaDB: the greeting, and the entry of a user that does not exist."""

from pathlib import Path

import pytest

from doorward.errors import LimitExceeded, PeerProtocolError, TlsFailed
from doorward.greetings.conversation import Access
from doorward.greetings.mysql import greet
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "greetings"
TLS = 0x800
OK = bytes.fromhex("00 00 00 02 00 00 00")


def packet(number, body):
    return len(body).to_bytes(3, "little") + bytes((number,)) + body


def greeting(version=b"8.0.36", capabilities=0xF7FF & ~TLS):
    fixed = bytes(4) + b"saltsalt\0" + capabilities.to_bytes(2, "little") + bytes(25)
    return packet(0, b"\x0a" + version + b"\0" + fixed + b"mysql_native_password\0")


def error(number, code):
    return packet(number, b"\xff" + code.to_bytes(2, "little") + b"#28000Access denied CANARY")


def talk(*replies, use_tls=False, user="doorward"):
    return lead(greet(DEFAULT_LIMITS, use_tls=use_tls, user=user), *replies)


@pytest.mark.parametrize(
    ("version", "product", "number"),
    (
        (b"8.0.36-0ubuntu0.22.04.1", "MySQL", "8.0.36"),
        (b"5.5.5-10.11.6-MariaDB-0+deb12u1", "MariaDB", "10.11.6"),
        (b"11.4.2-MariaDB", "MariaDB", "11.4.2"),
        (b"5.5.5", "MySQL", "5.5.5"),
        (b"CANARY", "MySQL", ""),
    ),
)
def test_the_greeting_names_product_and_version(version, product, number):
    result = talk(greeting(version), user=None).result
    assert (result.product, result.version, result.access) == (product, number, Access.UNKNOWN)


@pytest.mark.parametrize(
    ("reply", "access", "code"),
    (
        (packet(2, OK), Access.OPEN, ""),
        (error(2, 1045), Access.DEMANDED, "1045"),
        (error(2, 1698), Access.DEMANDED, "1698"),
        (error(2, 1130), Access.REFUSED, "1130"),
        (error(2, 3159), Access.REFUSED, "3159"),
        (error(2, 1040), Access.UNKNOWN, "1040"),
    ),
)
def test_the_answer_to_a_made_up_user_says_how_strangers_are_let_in(reply, access, code):
    done = talk(greeting(), reply)
    assert (done.result.access, done.result.code) == (access, code)
    assert done.result.demands_tls is (True if code == "3159" else None)
    assert done.farewell == bytes.fromhex("0100000001")
    assert "CANARY" not in repr(done.result)


def test_the_entry_is_that_of_a_made_up_user_with_an_empty_password():
    (entry,) = talk(greeting(), packet(2, OK)).said
    assert entry[3] == 1
    assert entry[36:] == b"doorward\0\0mysql_native_password\0"


@pytest.mark.parametrize(
    ("method", "empty"), ((b"mysql_native_password", b""), (b"caching_sha2_password", b"\0"))
)
def test_another_method_is_given_its_own_empty_password(method, empty):
    done = talk(greeting(), packet(2, b"\xfe" + method + b"\0salt"), error(4, 1045))
    assert done.said[1] == packet(3, empty)
    assert (done.result.access, done.result.method) == (Access.DEMANDED, method.decode())


@pytest.mark.parametrize(
    ("method", "name"),
    (
        (b"dialog", "dialog"),
        (b"mysql_clear_password", "mysql_clear_password"),
        (b"", "another method"),
        (b"CANARY <x>", "another method"),
    ),
)
def test_methods_without_an_empty_password_are_not_tried(method, name):
    done = talk(greeting(), packet(2, b"\xfe" + method + b"\0"))
    assert len(done.said) == 1
    assert (done.result.access, done.result.method) == (Access.DEMANDED, name)


def test_a_method_that_goes_on_asking_wants_a_password():
    done = talk(greeting(), packet(2, b"\xfecaching_sha2_password\0salt"), packet(4, b"\x01\x04"))
    assert (done.result.access, done.result.method) == (Access.DEMANDED, "caching_sha2_password")


def test_whom_the_server_does_not_let_speak_it_refuses():
    result = talk(error(0, 1130)).result
    assert (result.access, result.product) == (Access.REFUSED, "MySQL or MariaDB")


def test_the_request_for_tls_is_not_answered_and_the_entry_comes_inside():
    done = talk(greeting(capabilities=0xF7FF | TLS), packet(3, OK), use_tls=True)
    request, tls, entry = done.said
    assert (len(request), request[3], tls, entry[3]) == (36, 1, "TLS", 2)
    assert int.from_bytes(request[4:8], "little") & TLS
    assert (done.result.offers_tls, done.result.access) == (True, Access.OPEN)


def test_the_greeting_is_kept_when_the_rest_fails():
    offered = greeting(capabilities=0xF7FF | TLS)
    for end in (TlsFailed("no version in common", kind="version"), b"", packet(3, b"\x17")):
        result = talk(offered, end, use_tls=True).result
        assert (result.offers_tls, result.access) == (True, Access.UNKNOWN)


@pytest.mark.parametrize(
    "reply",
    (b"SSH-2.0-OpenSSH_9.2\r\n"[:5] + bytes(40), packet(0, b"\x09old"), packet(0, b""), b"\x01"),
)
def test_another_greeting_is_no_mysql(reply):
    with pytest.raises((PeerProtocolError, LimitExceeded)):
        talk(reply)


def test_an_error_without_a_number_is_none():
    with pytest.raises(PeerProtocolError):
        talk(packet(0, b"\xff\x15"))


def test_the_real_mariadb_is_understood():
    data = (CORPUS / "mariadb-password").read_bytes()[2:]
    end = 4 + int.from_bytes(data[:3], "little")
    result = talk(data[:end], data[end:]).result
    assert (result.product, result.access, result.code) == ("MariaDB", Access.DEMANDED, "1045")
