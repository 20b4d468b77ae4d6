"""Oracle's listener: two numbers of its answer, whatever the answer is."""

import pytest

from doorward.errors import PeerProtocolError
from doorward.greetings.tns import greet, version_of
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

RESEND = bytes.fromhex("0008 0000 0b 00 0000")


def packet(kind, body):
    return (8 + len(body)).to_bytes(2, "big") + bytes((0, 0, kind, 0, 0, 0)) + body


def refusal(text):
    return packet(4, bytes.fromhex("2200") + len(text).to_bytes(2, "big") + text)


def talk(*replies):
    return lead(greet(DEFAULT_LIMITS), *replies)


def test_a_refusal_names_version_and_reason():
    text = b"(DESCRIPTION=(TMP=)(VSNNUM=186647040)(ERR=1189)(ERROR_STACK=(ARGS='CANARY')))"
    result = talk(refusal(text)).result
    assert (result.product, result.version, result.code) == (
        "Oracle listener",
        "11.2.0.2.0",
        "1189",
    )
    assert "CANARY" not in repr(result)


@pytest.mark.parametrize(
    ("number", "version"),
    (
        (169_869_568, "10.2.0.1.0"),
        (186_647_040, "11.2.0.2.0"),
        (318_767_104, "19.0.0.0.0"),
        (352_321_536, "21.0.0.0.0"),
        (0, ""),
        (9_999_999_999, ""),
    ),
)
def test_the_version_number_is_taken_apart(number, version):
    assert version_of(number) == version


def test_an_acceptance_or_a_redirect_is_an_answer_too():
    for kind in (2, 5):
        assert talk(packet(kind, bytes(24))).result.product == "Oracle listener"


def test_a_request_to_resend_is_granted_twice():
    assert len(talk(RESEND, RESEND, refusal(b"(ERR=0)")).said) == 3
    with pytest.raises(PeerProtocolError, match="resend"):
        talk(RESEND, RESEND, RESEND)


def test_the_command_is_the_only_thing_asked():
    (said,) = talk(refusal(b"")).said
    assert int.from_bytes(said[:2], "big") == len(said)
    assert (
        said[58:]
        == b"(CONNECT_DATA=(CID=(PROGRAM=doorward)(HOST=)(USER=doorward))(COMMAND=version))"
    )
    assert int.from_bytes(said[24:26], "big") == len(said) - 58
    assert int.from_bytes(said[26:28], "big") == 58


@pytest.mark.parametrize(
    "reply", (b"HTTP/1.1 ", packet(6, b""), bytes.fromhex("0004 0000 04 00 0000"))
)
def test_another_answer_is_no_listener(reply):
    with pytest.raises(PeerProtocolError):
        talk(reply)
