"""Whether anything listens: an open port, a closed one, and one that the scope forbids."""

import asyncio
import socket

import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import Endpoint, Outcome, PortState, ReachFacts
from doorward.audit.probes import reach
from doorward.audit.scope import Scope
from doorward.errors import ConnectFailed, ConnectTimeout, ScopeError
from loopback import HOST, in_loop, limits


def approach(port, host=HOST):
    return Approach(
        endpoint=Endpoint(address=host, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(connect_s=0.2),
    )


def listener():
    opened = socket.socket()
    opened.bind((HOST, 0))
    opened.listen()
    return opened, opened.getsockname()[1]


@in_loop
async def test_an_open_port_is_told_and_nothing_is_said_to_it():
    opened, port = listener()
    with opened:
        outcome, _, facts = await reach.ask(approach(port))
        caller, _ = opened.accept()
        await asyncio.sleep(0)  # the transport is closed in the next turn of the loop
        with caller:
            caller.settimeout(2)
            said = caller.recv(64)
    assert said == b""
    assert (outcome, facts) == (Outcome.ANSWERED, ReachFacts(port_state=PortState.OPEN))


@in_loop
async def test_a_closed_port_is_an_answer():
    opened, port = listener()
    opened.close()
    outcome, reason, facts = await reach.ask(approach(port))
    assert (outcome, facts) == (Outcome.ANSWERED, ReachFacts(port_state=PortState.CLOSED))
    assert "refuses" in reason


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (ConnectTimeout("no answer"), PortState.FILTERED),
        (ConnectFailed("cannot be reached", kind="unreachable"), PortState.UNREACHABLE),
    ],
)
def test_silence_is_no_answer(monkeypatch, failure, state):
    async def fails(*_args, **_more):
        raise failure

    monkeypatch.setattr(reach, "dial", fails)

    outcome, _, facts = asyncio.run(reach.ask(approach(9)))
    assert (outcome, facts) == (Outcome.INCONCLUSIVE, ReachFacts(port_state=state))


def test_a_fault_of_our_own_system_says_nothing_about_the_port(monkeypatch):
    async def fails(*_args, **_more):
        raise ConnectFailed("no more files", kind="local")

    monkeypatch.setattr(reach, "dial", fails)

    with pytest.raises(ConnectFailed):
        asyncio.run(reach.ask(approach(9)))


@in_loop
async def test_the_scope_is_asked_before_the_port():
    with pytest.raises(ScopeError):
        await reach.ask(approach(80, host="192.0.2.1"))
