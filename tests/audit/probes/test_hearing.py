"""A port that does not greet as expected: each way is told apart, and none of them is silence taken for safety."""

import asyncio

import pytest

from doorward.audit.facts import Outcome
from doorward.audit.probes.hearing import heard
from doorward.audit.share_facts import ShareFacts
from doorward.errors import (
    ConnectFailed,
    LimitExceeded,
    PeerProtocolError,
    ReplyTimeout,
    TlsFailed,
)
from doorward.greetings.conversation import end_of_stream, silence

NOTHING = ShareFacts(protocol="smb")


def outcome_of(failure):
    async def look():
        raise failure

    return asyncio.run(heard(look(), NOTHING, otherwise="no SMB"))


def failed(kind):
    return ConnectFailed("said by a test", kind=kind)


def test_what_was_heard_is_returned_as_it_is():
    async def look():
        return ShareFacts(protocol="smb", is_recognised=True)

    outcome, reason, facts = asyncio.run(heard(look(), NOTHING))
    assert (outcome, reason, facts.is_recognised) == (Outcome.ANSWERED, "", True)


def test_a_refused_connection_is_a_closed_port():
    outcome, reason, facts = outcome_of(failed("refused"))
    assert (outcome, reason, facts.is_open) == (Outcome.ANSWERED, "the port is closed", False)


def test_a_connection_that_failed_otherwise_says_nothing_about_the_port():
    with pytest.raises(ConnectFailed):
        outcome_of(failed("unreachable"))


@pytest.mark.parametrize("failure", [ReplyTimeout("late"), TlsFailed("no TLS", kind="alert")])
def test_silence_and_failed_tls_are_no_answer(failure):
    outcome, reason, facts = outcome_of(failure)
    assert (outcome, facts) == (Outcome.INCONCLUSIVE, NOTHING)
    assert reason == str(failure)


def test_a_peer_that_hangs_up_has_not_answered():
    outcome, reason, facts = outcome_of(end_of_stream())
    assert (outcome, facts) == (Outcome.INCONCLUSIVE, NOTHING)
    assert "hung up" in reason


@pytest.mark.parametrize(
    "failure",
    [
        PeerProtocolError("odd", field="magic", source="its protocol"),
        silence(),
        LimitExceeded(limit="greeting_bytes", value=1, seen=2),
    ],
    ids=["odd", "silence", "long"],
)
def test_what_is_not_understood_is_something_else(failure):
    outcome, reason, _ = outcome_of(failure)
    assert (outcome, reason) == (Outcome.ANSWERED, "the port is open and speaks no SMB")
