"""Redis: PONG to a stranger is the proof; the words of its errors are those of the Redis source."""

from pathlib import Path

import pytest

from doorward.errors import PeerProtocolError
from doorward.greetings.conversation import Access, silence
from doorward.greetings.redis import greet
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "greetings"
PONG = b"+PONG\r\n"
HELLO = b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n"


def talk(*replies, cut=1 << 16):
    return lead(greet(DEFAULT_LIMITS), *replies, cut=cut)


@pytest.mark.parametrize("cut", (1, 7, 1_000))
def test_pong_to_a_stranger_shows_that_nobody_must_log_in(cut):
    result = talk(PONG, HELLO, cut=cut).result
    assert (result.access, result.version) == (Access.OPEN, "7.0.15")


@pytest.mark.parametrize(
    ("line", "access", "code"),
    (
        (b"-NOAUTH Authentication required.", Access.DEMANDED, "NOAUTH"),
        (b"-DENIED Redis is running in protected mode because", Access.REFUSED, "DENIED"),
        (b"-ERR operation not permitted", Access.DEMANDED, "ERR"),
        (b"-ERR unknown command", Access.UNKNOWN, "ERR"),
        (b"-LOADING Redis is loading the dataset in memory", Access.UNKNOWN, "LOADING"),
        (b"-NOPERM this user has no permissions", Access.UNKNOWN, "NOPERM"),
        (b"-CANARY secret", Access.UNKNOWN, ""),
    ),
)
def test_the_first_word_of_an_error_says_what_stands_in_the_way(line, access, code):
    result = talk(line + b"\r\n").result
    assert (result.access, result.code) == (access, code)


@pytest.mark.parametrize(
    "reply",
    (
        b"-ERR unknown command 'HELLO'\r\n",
        b"*2\r\n$1\r\nx\r\n:1\r\n",
        b"",
        silence(),
        b"*1\r\n+x\r\n",
    ),
)
def test_pong_is_kept_where_no_version_follows(reply):
    result = talk(PONG, reply).result
    assert (result.access, result.version) == (Access.OPEN, "")


def test_a_version_that_is_none_is_not_kept():
    assert talk(PONG, HELLO.replace(b"7.0.15", b"CANARY")).result.version == ""


def test_nothing_but_ping_and_hello_is_said():
    said = talk(PONG, HELLO).said
    assert said == [b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$5\r\nHELLO\r\n"]


@pytest.mark.parametrize(
    "reply", (b"HTTP/1.1 400 Bad Request\r\n", b"220 ftp\r\n", b"\x15\x03\x01\r\n")
)
def test_another_answer_is_no_redis(reply):
    with pytest.raises(PeerProtocolError, match="PING"):
        talk(reply)


def test_the_real_redis_is_understood():
    data = (CORPUS / "redis-open").read_bytes()[2:]
    assert talk(data[:7], data[7:]).result.version == "7.0.15"
