"""MongoDB: answers as its manual shows them; BSON as bsonspec.org does."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.greetings.conversation import Access
from doorward.greetings.mongodb import encode_bson, greet, read_bson
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead


def element(kind, name, value):
    return bytes((kind,)) + name + b"\0" + value


def text(value):
    return struct.pack("<I", len(value) + 1) + value + b"\0"


def document(*elements):
    body = b"".join(elements)
    return struct.pack("<I", len(body) + 5) + body + b"\0"


def op_reply(body):
    whole = struct.pack("<IqII", 8, 0, 0, 1) + body
    return struct.pack("<IIII", 16 + len(whole), 1, 1, 1) + whole


def op_msg(body):
    whole = struct.pack("<IB", 0, 0) + body
    return struct.pack("<IIII", 16 + len(whole), 1, 1, 2013) + whole


OK = element(1, b"ok", struct.pack("<d", 1.0))
FAILED = element(1, b"ok", struct.pack("<d", 0.0))
HELLO = op_reply(
    document(
        element(8, b"ismaster", b"\x01"),
        element(4, b"hosts", document(element(2, b"0", text(b"CANARY:27017")))),
        element(2, b"setName", text(b"CANARY")),
        element(16, b"maxWireVersion", struct.pack("<i", 21)),
        OK,
    )
)
BUILD = op_msg(document(element(2, b"version", text(b"7.0.8")), OK))


def refused(code, message=b"Command getParameter requires authentication"):
    return document(
        FAILED, element(2, b"errmsg", text(message)), element(16, b"code", struct.pack("<i", code))
    )


def talk(*replies, cut=1 << 16):
    return lead(greet(DEFAULT_LIMITS), *replies, cut=cut)


@pytest.mark.parametrize(
    ("answer", "access", "code"),
    (
        (document(element(8, b"quiet", b"\0"), OK), Access.OPEN, ""),
        (document(element(16, b"ok", struct.pack("<i", 1))), Access.OPEN, ""),
        (refused(13), Access.DEMANDED, "13"),
        (refused(59, b"no such command"), Access.UNKNOWN, "59"),
        (document(), Access.UNKNOWN, ""),
    ),
)
def test_a_command_for_known_users_shows_whether_strangers_may_give_commands(answer, access, code):
    result = talk(HELLO, BUILD, op_msg(answer)).result
    assert (result.access, result.code, result.version) == (access, code, "7.0.8")
    assert "CANARY" not in repr(result)


def test_any_cut_gives_the_same():
    assert talk(HELLO, BUILD, op_msg(refused(13)), cut=1).result.access is Access.DEMANDED


def test_servers_before_3_6_are_asked_in_the_old_form():
    old = op_reply(document(element(8, b"ismaster", b"\x01"), OK))
    unauthorized = document(FAILED, element(2, b"errmsg", text(b"unauthorized")))
    done = talk(old, op_reply(document(OK)), op_reply(unauthorized))
    assert (done.result.access, done.result.version) == (Access.DEMANDED, "")
    assert [struct.unpack_from("<i", said, 12)[0] for said in done.said] == [2004] * 3


def test_only_three_commands_are_given_and_none_reads_data():
    said = talk(HELLO, BUILD, op_msg(refused(13))).said
    assert [struct.unpack_from("<i", one, 12)[0] for one in said] == [2004, 2013, 2013]
    assert [struct.unpack_from("<i", one)[0] for one in said] == [len(one) for one in said]
    assert b"Doorward security audit" in said[0]
    assert said[1][21:] == encode_bson({"buildInfo": 1, "$db": "admin"})
    assert said[2][21:] == encode_bson({"getParameter": 1, "quiet": 1, "$db": "admin"})


@pytest.mark.parametrize(
    "version",
    (
        element(16, b"version", bytes(4)),
        element(10, b"version", b""),
        element(2, b"version", text(b"CANARY")),
    ),
)
def test_a_version_that_is_none_is_not_kept(version):
    assert talk(HELLO, op_msg(document(version, OK)), op_msg(refused(13))).result.version == ""


@pytest.mark.parametrize(
    "reply",
    (
        b"HTTP/1.1 400 Bad Request\r\n"[:16] + bytes(9_000),
        op_reply(document(OK)),
        struct.pack("<IIII", 16, 1, 1, 1),
        struct.pack("<IIII", 40, 1, 1, 7) + bytes(24),
        struct.pack("<IIII", 36, 1, 1, 1) + bytes(20),
    ),
)
def test_another_answer_is_no_mongodb(reply):
    with pytest.raises((PeerProtocolError, LimitExceeded)):
        talk(reply)


# --- BSON -------------------------------------------------------------------------------------------------------------


def test_the_example_of_the_specification():
    example = bytes.fromhex("16000000 02 68656c6c6f00 06000000 776f726c6400 00")
    assert encode_bson({"hello": "world"}) == example
    assert read_bson(example, ("hello",)) == {"hello": b"world"}


def test_every_type_is_stepped_over():
    values = {
        1: bytes(8), 2: text(b"x"), 3: document(), 4: document(), 5: struct.pack("<IB", 3, 0) + b"abc",
        6: b"", 7: bytes(12), 8: b"\x01", 9: bytes(8), 10: b"", 11: b"a\0b\0",
        12: text(b"ns") + bytes(12), 13: text(b"js"), 14: text(b"symbol"), 15: document(),
        16: bytes(4), 17: bytes(8), 18: bytes(8), 19: bytes(16), 0xFF: b"", 0x7F: b"",
    }  # fmt: skip
    parts = [element(kind, b"field", value) for kind, value in values.items()]
    wanted = element(18, b"last", struct.pack("<q", 7))
    assert read_bson(document(*parts, wanted), ("last",)) == {"last": 7}


@pytest.mark.parametrize(
    "broken",
    (
        b"\5\0\0",
        struct.pack("<I", 4) + b"\0",
        struct.pack("<I", 50) + b"\0",
        document(element(99, b"x", b"")),
        document(b"\x10name without an end"),
        document(element(16, b"x", bytes(3))),
        document(element(2, b"x", struct.pack("<I", 0))),
        document(element(2, b"x", struct.pack("<I", 0xFFFF_FFFF))),
        document(element(3, b"x", struct.pack("<I", 4))),
        document(element(5, b"x", b"\1")),
        document(element(11, b"x", b"ab")),
        document(element(11, b"x", b"a\0bc"))[:-1] + b"c",
    ),
)
def test_a_document_with_a_length_that_lies_is_refused(broken):
    with pytest.raises(PeerProtocolError):
        read_bson(broken, ("x",))


@given(st.binary(max_size=200))
def test_random_bytes_are_a_document_or_none(data):
    try:
        read_bson(struct.pack("<I", len(data) + 5) + data + b"\0", ("ok",))
    except PeerProtocolError:
        pass
