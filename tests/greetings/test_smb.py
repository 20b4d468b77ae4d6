"""SMB: what Samba answered, and what it could answer instead."""

import struct
from pathlib import Path

import pytest

from doorward.errors import PeerProtocolError
from doorward.greetings.smb import SmbGreeting, greet_first, greet_second
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "greetings"


def recorded(name):
    return (CORPUS / name).read_bytes()[2:]


def first(*replies):
    return lead(greet_first(DEFAULT_LIMITS), *replies)


def second(*replies):
    return lead(greet_second(DEFAULT_LIMITS), *replies)


def framed(message):
    return struct.pack(">I", len(message)) + message


def changed(name, at, new):
    """A recorded answer with other bytes at an offset of the SMB message."""
    data = recorded(name)
    return data[: at + 4] + new + data[at + 4 + len(new) :]


def test_the_newest_dialect_of_samba_is_seen():
    assert second(recorded("samba-second")).result == SmbGreeting(
        dialect="3.1.1", signing_required=False, encrypts=True
    )
    assert second(recorded("samba-old-second")).result.dialect == "2.1"


def test_the_first_version_is_seen_where_samba_speaks_it():
    assert first(recorded("samba-v1-first")).result.dialect == "1"
    assert first(recorded("samba-first")).result.dialect == ""


def test_a_server_that_answers_in_a_newer_version_does_not_speak_the_first():
    assert first(recorded("samba-second")).result == SmbGreeting()


def test_signing_is_required_where_the_bit_says_so():
    assert second(changed("samba-second", 66, b"\x03\0")).result.signing_required
    assert first(changed("samba-v1-first", 35, b"\x0f")).result.signing_required


def test_encryption_is_a_capability_before_3_1_1_and_a_context_in_it():
    assert not second(changed("samba-second", 70, bytes(2))).result.encrypts
    assert second(changed("samba-second", 68, b"\x02\x03")).result.encrypts is bool(
        recorded("samba-second")[4 + 88] & 0x40
    )


def test_a_refusal_is_an_answer_without_a_dialect():
    assert second(changed("samba-second", 8, b"\x0d\0\0\xc0")).result == SmbGreeting()


def test_what_is_offered_is_all_of_2_and_3_or_nothing_but_1():
    (said,) = second(recorded("samba-second")).said
    assert said[4:8] == b"\xfeSMB"
    assert said[104:114] == bytes.fromhex("0202 1002 0003 0203 1103")
    assert int.from_bytes(said[:4], "big") == len(said) - 4
    (said,) = first(recorded("samba-v1-first")).said
    assert said.endswith(b"\x02NT LM 0.12\0")


@pytest.mark.parametrize(
    "reply",
    (
        b"HTTP/1.1 400",
        framed(b"\xfeSMB" + bytes(60)),
        framed(b"\xfeSMB" + bytes(8) + b"\x01" + bytes(120)),
        changed("samba-second", 124, b"\xff\xff\0\0"),
    ),
)
def test_another_answer_to_the_newer_versions_is_none(reply):
    with pytest.raises(PeerProtocolError):
        second(reply)


@pytest.mark.parametrize(
    "reply",
    (
        b"HTTP/1.1 400",
        framed(b"\xffSMB\x73" + bytes(40)),
        framed(b"\xffSMBr" + bytes(27) + b"\x11\0\0"),
    ),
)
def test_another_answer_to_the_first_version_is_none(reply):
    with pytest.raises(PeerProtocolError):
        first(reply)
