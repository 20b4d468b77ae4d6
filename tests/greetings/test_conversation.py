"""What all conversations share: an inbox that waits, bounds and never confuses pieces with messages."""

from pathlib import Path

import pytest

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.greetings import ldap, mysql, postgresql
from doorward.greetings.conversation import Farewell, Inbox, Secure, until_tls, version_in
from doorward.limits import DEFAULT_LIMITS, Limits
from greeting_talk import CONVERSATIONS, check_greeting, lead

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "greetings"
RECORDED = sorted(CORPUS.iterdir())


def asking(limits=DEFAULT_LIMITS, count=4):
    inbox = Inbox(limits)
    yield from inbox.say(b"hello")
    first = yield from inbox.take(count)
    line = yield from inbox.line()
    yield Farewell(b"bye")
    return first, line, inbox.is_empty


@pytest.mark.parametrize("cut", (1, 2, 3, 100))
def test_how_the_bytes_were_cut_makes_no_difference(cut):
    talk = lead(asking(), b"fourline\r\n", cut=cut)
    assert talk.result == (b"four", b"line", True)
    assert talk.said == [b"hello"]
    assert talk.farewell == b"bye"


def test_what_was_not_read_waits():
    assert lead(asking(), b"fourline\r\nmore").result == (b"four", b"line", False)


def test_a_length_beyond_the_bound_is_refused_before_waiting_for_it():
    with pytest.raises(LimitExceeded) as caught:
        lead(asking(count=65_537), b"1234")
    assert (caught.value.limit, caught.value.seen) == ("greeting_bytes", 65_537)


def test_all_answers_together_are_bounded():
    with pytest.raises(LimitExceeded):
        lead(asking(Limits(greeting_bytes=8)), b"four" + b"x" * 5, cut=1)


def test_a_peer_that_hangs_up_ends_the_conversation():
    with pytest.raises(PeerProtocolError) as caught:
        lead(asking(), b"fo")
    assert caught.value.field == "connection"


@pytest.mark.parametrize(
    ("text", "version"),
    (
        (b"10.11.6-MariaDB-0+deb12u1", "10.11.6"),
        (b"8.0.36", "8.0.36"),
        (b"7", "7"),
        (b"1.2.3.4.5.6", "1.2.3.4.5"),
        (b"", ""),
        (b"secret 1.2", ""),
        (b"\xff1.2", ""),
    ),
)
def test_a_version_is_digits_and_dots_and_can_carry_no_name(text, version):
    assert version_in(text) == version


# --- preludes ---------------------------------------------------------------------------------------------------------


def played(prelude, *replies):
    said, left = [], list(replies)
    try:
        said.append(next(prelude))
        while True:
            said.append(prelude.send(left.pop(0)))
    except StopIteration as end:
        return end.value, said


def test_the_part_before_tls_is_a_prelude():
    end, said = played(until_tls(postgresql.greet(DEFAULT_LIMITS, use_tls=True)), b"S")
    assert (end, len(said)) == ("", 1)
    granted = bytes.fromhex("300c02010178070a010004000400")
    assert played(until_tls(ldap.start_tls(DEFAULT_LIMITS)), granted)[0] == ""


def test_a_prelude_says_why_there_is_no_tls():
    for reply in (b"E", b"SX"):
        end, _ = played(until_tls(postgresql.greet(DEFAULT_LIMITS, use_tls=True)), reply)
        assert end == "the server does not offer TLS"
    refused = bytes.fromhex("300c02010178070a010204000400")
    assert played(until_tls(ldap.start_tls(DEFAULT_LIMITS)), refused)[0]


def test_mysql_has_no_prelude_because_its_request_for_tls_is_not_answered():
    recorded = (CORPUS / "mariadb-tls").read_bytes()[2:]
    assert played(until_tls(mysql.greet(DEFAULT_LIMITS, use_tls=True)), recorded)[0]
    steps = mysql.greet(DEFAULT_LIMITS, use_tls=True)
    next(steps)
    assert isinstance(steps.send(recorded), Secure)


# --- what real servers said -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_what_was_recorded_keeps_the_invariants_of_fuzzing(path):
    data = path.read_bytes()
    check_greeting(data)
    for end in range(len(data)):
        check_greeting(data[:end])
    for at in range(2, len(data)):
        check_greeting(data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :])


@pytest.mark.parametrize(
    "path", [p for p in RECORDED if "tls" not in p.name], ids=lambda path: path.name
)
def test_a_recorded_answer_means_the_same_however_it_is_cut(path):
    data = path.read_bytes()
    make = list(CONVERSATIONS.values())[data[0]]

    def result(size):
        steps, at = make(), 2
        said = next(steps)
        try:
            while True:
                came = data[at : at + size] if isinstance(said, bytes) else b""
                said, at = steps.send(came), at + len(came)
        except StopIteration as end:
            return end.value

    assert result(1) == result(2) == result(7)
