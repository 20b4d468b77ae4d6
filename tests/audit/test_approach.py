"""Manners: names, pace, patience; and whatever goes wrong on the way is no verdict."""

import asyncio
from itertools import pairwise

import pytest

from doorward.audit.approach import (
    TITLE_PREFIX,
    Approach,
    Pace,
    attempt,
    not_tested,
    random_title,
)
from doorward.audit.facts import AttributeFacts, Endpoint, Outcome
from doorward.audit.scope import Scope
from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectFailed,
    ConnectTimeout,
    LimitExceeded,
    ReplyTimeout,
    ScopeError,
    TlsFailed,
)
from doorward.net.tls import probe_context
from doorward.wire.uids import VERIFICATION
from loopback import HOST, in_loop, limits
from scripted_peer import (
    ASSOCIATE_RQ,
    RELEASE_RQ,
    archive,
    finds,
    rejection,
    scripted_peer,
)

CONTEXTS = [(VERIFICATION, ("1.2.840.10008.1.2",))]


def approach(port, *, gap_s=0.0, gate=None, admitted=("CALLED", "CALLING"), **bounds):
    bounds = {"congestion_pause_s": 0.001} | bounds
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=gate or Scope.loopback(),
        pace=Pace(gap_s),
        limits=limits(**bounds),
        admitted=admitted,
    )


# --- names ------------------------------------------------------------------------------------------------------


def test_made_up_titles_name_the_auditor_and_are_never_the_same():
    titles = {random_title() for _ in range(500)}
    assert len(titles) == 500
    assert all(title.startswith(TITLE_PREFIX) and len(title) == 16 for title in titles)
    assert all(title.isascii() and title.isalnum() and title == title.upper() for title in titles)


# --- pace -------------------------------------------------------------------------------------------------------


@in_loop
async def test_two_turns_never_overlap_and_keep_the_gap():
    pace, spans = Pace(0.02), []

    async def turn():
        now = asyncio.get_running_loop().time
        async with pace.turn():
            begun = now()
            await asyncio.sleep(0)
            spans.append((begun, now()))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(turn())
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(spans)]
    assert len(gaps) == 3
    assert min(gaps) >= 0.0199
    assert pace.connections == 4


@in_loop
async def test_the_first_turn_does_not_wait():
    begun = asyncio.get_running_loop().time()
    async with Pace(60.0).turn():
        assert asyncio.get_running_loop().time() - begun < 10


@in_loop
async def test_a_failed_turn_keeps_the_gap_too():
    pace, now = Pace(0.02), asyncio.get_running_loop().time
    with pytest.raises(ZeroDivisionError):
        async with pace.turn():
            raise ZeroDivisionError
    ended = now()
    async with pace.turn():
        assert now() - ended >= 0.0199


@in_loop
async def test_one_connection_at_a_time_whatever_is_asked_at_once():
    async with scripted_peer(archive(finds())) as peer:
        us = approach(peer.port, tls_handshake_s=0.05)

        async def ask():
            async with us.association("CALLED", "CALLING", CONTEXTS) as requestor:
                assert await requestor.echo() == 0

        async def shake():
            with pytest.raises(TlsFailed):
                await us.handshake(probe_context())

        async with asyncio.TaskGroup() as tasks:
            for task in (ask, shake, ask, ask):
                tasks.create_task(task())
    assert len(peer.calls) == us.pace.connections == 4
    assert peer.most_at_a_time == 1


# --- associations -----------------------------------------------------------------------------------------------


@in_loop
async def test_an_association_is_asked_for_under_the_titles_and_released():
    async with (
        scripted_peer(archive(finds())) as peer,
        approach(peer.port).association("THEM", "US", CONTEXTS),
    ):
        pass
    assert peer.calls[0].titles == ("THEM", "US")
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, RELEASE_RQ]


@in_loop
async def test_an_admitted_association_goes_in_under_what_was_let_in():
    async with scripted_peer(archive(finds())) as peer:
        us = approach(peer.port, admitted=("THEM", "DOORWARDXYZ"))
        async with us.admitted_association([VERIFICATION]) as requestor:
            assert requestor.contexts[1].transfer_syntax == "1.2.840.10008.1.2"
    assert peer.calls[0].titles == ("THEM", "DOORWARDXYZ")


def congested(times, then=None):
    """Rejects so many associations for now, then plays the other script."""
    seen = []

    async def script(call):
        seen.append(call)
        if len(seen) > times:
            await (then or archive(finds()))(call)
            return
        await call.asked()
        await call.send(rejection(2, 3, 1))
        await call.until_gone()

    return script


@in_loop
async def test_congestion_is_met_with_patience():
    async with (
        scripted_peer(congested(2)) as peer,
        approach(peer.port).admitted_association([VERIFICATION]) as requestor,
    ):
        assert await requestor.echo() == 0
    assert len(peer.calls) == 3


@in_loop
async def test_the_pauses_grow():
    async with scripted_peer(congested(2)) as peer:
        us = approach(peer.port, congestion_pause_s=0.03)
        async with us.admitted_association([VERIFICATION]):
            pass
    first, second, third = (call.opened_at for call in peer.calls)
    assert second - first >= 0.03
    assert third - second >= 0.06


@in_loop
async def test_patience_has_an_end_and_no_verdict():
    async with scripted_peer(congested(99)) as peer:
        us = approach(peer.port)

        async def ask(approach):
            async with approach.admitted_association([VERIFICATION]):
                raise AssertionError("never reached")

        made = await attempt("exposure", us, ask)
    assert len(peer.calls) == made.connections == 3
    assert made.outcome is Outcome.INCONCLUSIVE
    assert "temporary congestion" in made.reason
    assert made.facts is None


@in_loop
async def test_a_lasting_rejection_is_not_repeated():
    async def script(call):
        await call.asked()
        await call.send(rejection(1, 1, 7))
        await call.until_gone()

    async with scripted_peer(script) as peer:
        with pytest.raises(AssociationRejected):
            async with approach(peer.port).admitted_association([VERIFICATION]):
                raise AssertionError("never reached")
    assert len(peer.calls) == 1


@in_loop
async def test_a_gate_that_refuses_lets_nothing_out():
    class Closed:
        def permit(self, address, port):
            raise ScopeError("no", target=address)

    async with scripted_peer(archive(finds())) as peer:
        us = approach(peer.port, gate=Closed())

        async def ask(approach):
            async with approach.association("A", "B", CONTEXTS):
                raise AssertionError("never reached")

        with pytest.raises(ScopeError):
            await attempt("association", us, ask)
        with pytest.raises(ScopeError):
            await us.handshake(probe_context())
        assert not peer.calls


def test_the_same_door_over_tls_keeps_its_pace():
    plain = approach(104)
    secured = plain.over(probe_context())
    assert secured.pace is plain.pace
    assert secured.endpoint == plain.endpoint
    assert plain.tls is None
    assert secured.over(None).tls is None


def test_a_name_of_the_operator_is_sent_in_tls():
    assert approach(104).server_name is None
    named = Approach(
        endpoint=Endpoint(address=HOST, port=104, name="archive.example"),
        gate=Scope.loopback(),
        pace=Pace(0),
    )
    assert named.server_name == "archive.example"


# --- attempts ---------------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    ("error", "outcome"),
    (
        (ConnectFailed("x", kind="refused"), Outcome.INCONCLUSIVE),
        (ConnectFailed("x", kind="unreachable"), Outcome.INCONCLUSIVE),
        (ConnectFailed("x", kind="local"), Outcome.ERROR),
        (ConnectTimeout("x"), Outcome.INCONCLUSIVE),
        (ReplyTimeout("x"), Outcome.INCONCLUSIVE),
        (TlsFailed("x", kind="other"), Outcome.INCONCLUSIVE),
        (AssociationAborted("x", by_peer=True), Outcome.INCONCLUSIVE),
        (AssociationRejected("x", result=1, source=1, reason=7), Outcome.INCONCLUSIVE),
        (LimitExceeded(limit="x", value=1, seen=2), Outcome.INCONCLUSIVE),
    ),
    ids=lambda value: type(value).__name__,
)
async def test_whatever_goes_wrong_is_an_outcome_without_facts(error, outcome):
    async def ask(approach):
        raise error

    made = await attempt("exposure", approach(104), ask)
    assert made.outcome is outcome
    assert made.reason == str(error)
    assert made.facts is None
    assert made.connections == 0


@in_loop
async def test_an_answer_is_kept_with_its_circumstances():
    facts = AttributeFacts(returned={"PatientName": 12})

    async def ask(approach):
        async with approach.pace.turn():
            return Outcome.ANSWERED, "", facts

    us = approach(104)
    us.pace.connections = 5
    made = await attempt("attributes", us, ask)
    assert (made.probe, made.outcome, made.facts) == ("attributes", Outcome.ANSWERED, facts)
    assert made.connections == 1
    assert made.endpoint == us.endpoint
    assert made.started_at.endswith("+00:00")
    assert made.duration_s >= 0


@in_loop
async def test_a_fault_of_ours_is_not_hidden_as_an_outcome():
    async def ask(approach):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await attempt("exposure", approach(104), ask)


def test_a_question_that_was_not_asked_says_why():
    made = not_tested("exposure", Endpoint(address=HOST, port=104), "needs clearance level 2")
    assert (made.outcome, made.reason) == (Outcome.NOT_TESTED, "needs clearance level 2")
    assert (made.facts, made.connections) == (None, 0)
