"""NFS and the portmapper: NULL and GETPORT, and nothing else."""

import struct
from pathlib import Path

import pytest

from doorward.errors import PeerProtocolError
from doorward.greetings.nfs import NfsGreeting, PortmapperGreeting, greet, greet_portmapper
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "greetings"
LAST = 0x8000_0000


def record(body, *, pieces=1):
    size = -(-len(body) // pieces)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    marks = [LAST | len(p) if p is parts[-1] else len(p) for p in parts]
    return b"".join(struct.pack(">I", m) + p for m, p in zip(marks, parts, strict=True))


def reply(number, stat=0, result=b"", verifier=b"", **how):
    head = struct.pack(">IIIII", number, 1, 0, 0, len(verifier)) + verifier
    return record(head + struct.pack(">I", stat) + result, **how)


MISMATCH = struct.pack(">II", 4, 4)


def nfs(*replies):
    return lead(greet(DEFAULT_LIMITS), *replies)


def portmapper(*replies):
    return lead(greet_portmapper(DEFAULT_LIMITS), *replies)


def test_the_versions_that_answer_are_seen():
    talk = nfs(reply(2, 2, MISMATCH), reply(3), reply(4))
    assert talk.result == NfsGreeting(versions=(3, 4))


def test_the_real_ganesha_speaks_version_4_only():
    data = (CORPUS / "ganesha-4").read_bytes()[2:]
    cut = [4 + (int.from_bytes(data[:4], "big") & ~LAST)]
    cut.append(cut[0] + 4 + (int.from_bytes(data[cut[0] : cut[0] + 4], "big") & ~LAST))
    parts = data[: cut[0]], data[cut[0] : cut[1]], data[cut[1] :]
    assert nfs(*parts).result == NfsGreeting(versions=(4,))


def test_only_the_procedure_that_does_nothing_is_called():
    for number, said in zip((2, 3, 4), nfs(reply(2), reply(3), reply(4)).said, strict=True):
        call = struct.pack(">IIIIII", number, 0, 2, 100_003, number, 0) + bytes(16)
        assert said == struct.pack(">I", LAST | 40) + call


def test_a_denied_call_or_another_program_is_no_version():
    denied = record(struct.pack(">IIIII", 2, 1, 1, 1, 1))
    assert nfs(denied, reply(3, 1), reply(4, 1)).result == NfsGreeting()


def test_a_record_may_come_in_fragments_and_with_a_verifier():
    assert nfs(
        reply(2, pieces=3, verifier=b"12345678"), reply(3, 1), reply(4, 1)
    ).result.versions == (2,)


def test_the_portmapper_tells_ports():
    talk = portmapper(reply(1, 0, struct.pack(">I", 2049)), reply(2, 0, struct.pack(">I", 0)))
    assert talk.result == PortmapperGreeting(nfs_port=2049, mount_port=0)
    asked = [struct.unpack(">IIII", said[-16:]) for said in talk.said]
    assert asked == [(100_003, 3, 6, 0), (100_005, 3, 6, 0)]


@pytest.mark.parametrize("answer", (reply(1, 1), reply(1, 0, b"\0\0"), reply(1, 0, b"\xff" * 4)))
def test_what_is_no_port_is_none(answer):
    assert portmapper(answer, reply(2, 1)).result == PortmapperGreeting()


@pytest.mark.parametrize(
    "answer",
    (
        record(b"short"),
        record(struct.pack(">III", 9, 1, 0)),  # another call's reply
        record(struct.pack(">III", 2, 1, 0)),  # cut off
        record(struct.pack(">IIIIII", 2, 1, 0, 0, 400, 0)),  # a verifier that does not end
        b"HTTP/1.1 400 Bad Request\r\n"[:3],
    ),
)
def test_another_answer_is_no_nfs(answer):
    with pytest.raises(PeerProtocolError):
        nfs(answer)
