"""Part queries go over one association for as long as it lasts, and stop where they should."""

import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.count import Sight
from doorward.audit.facts import Endpoint, QueryEnd
from doorward.audit.probes.part_line import line_to
from doorward.audit.scope import Scope
from doorward.errors import ConnectFailed, ScopeError
from doorward.wire.uids import STUDY_ROOT_FIND
from loopback import HOST, in_loop, limits
from part_archives import STUDY_DATE, Habits, PartArchive, spread
from scripted_peer import C_FIND_RQ, RELEASE_RQ, abort, archive, match, scripted_peer, study

DAY = (STUDY_DATE, "DA", "20100101")


def approach(port, **bounds):
    quick = {"reply_s": 0.2, "cancel_s": 0.1, "release_s": 0.1, "part_gap_s": 0.0}
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(**(quick | bounds)),
        admitted=("CALLED", "CALLING"),
    )


@in_loop
async def test_questions_share_an_association_that_is_released():
    held = PartArchive(spread(9), Habits())
    async with scripted_peer(archive(held.on_find)) as peer:
        async with line_to(approach(peer.port), STUDY_ROOT_FIND) as line:
            line.allow(9, 9.0)
            everything = await line.ask()
            day = await line.ask(DAY)
        assert (everything.matches, everything.instances) == (9, 18)
        assert 0 < day.matches < 9
        assert line.queries == 2
    assert [call.pdus[-1] for call in peer.calls] == [RELEASE_RQ]
    assert peer.commands == [C_FIND_RQ] * 2
    assert list(peer.calls[0].contexts.values()) == [STUDY_ROOT_FIND.encode()]


@in_loop
async def test_a_budget_ends_the_questions_and_a_new_one_begins_them_again():
    held = PartArchive(spread(9), Habits())
    async with (
        scripted_peer(archive(held.on_find)) as peer,
        line_to(approach(peer.port), STUDY_ROOT_FIND) as line,
    ):
        line.allow(1, 9.0)
        assert await line.ask() is not None
        assert await line.ask() is None
        assert "our own limit" in line.stopped
        line.allow(1, 9.0)
        assert await line.ask() is not None
        line.allow(1, 0.0)
        assert await line.ask() is None
        assert "time" in line.stopped
    assert len(held.asked) == 2


@in_loop
async def test_another_counter_takes_the_matches():
    held = PartArchive([("", "", 1), ("20200101", "", 1)], Habits())
    async with (
        scripted_peer(archive(held.on_find)) as peer,
        line_to(approach(peer.port), STUDY_ROOT_FIND) as line,
    ):
        line.allow(9, 9.0)
        sight = Sight(STUDY_DATE)
        await line.ask((STUDY_DATE, "DA", ""), counter=sight)
    assert (sight.seen, sight.absent) == (2, 1)


@in_loop
async def test_after_an_abort_midway_the_next_question_opens_another_association():
    async def on_find(call, message):
        await call.send(match(message, study()), abort(0, 0))

    async with (
        scripted_peer(archive(on_find)) as peer,
        line_to(approach(peer.port), STUDY_ROOT_FIND) as line,
    ):
        line.allow(9, 9.0)
        for _ in range(5):
            assert (await line.ask()).end is QueryEnd.ABORTED
    assert len(peer.calls) == 5


@in_loop
async def test_who_aborts_three_times_without_a_match_is_left_alone():
    async def on_find(call, message):
        await call.send(abort(0, 0))

    async with (
        scripted_peer(archive(on_find)) as peer,
        line_to(approach(peer.port), STUDY_ROOT_FIND) as line,
    ):
        line.allow(9, 9.0)
        answers = [await line.ask() for _ in range(4)]
    assert [answer is None for answer in answers] == [False, False, True, True]
    assert "3 part queries in a row" in line.stopped
    assert len(peer.calls) == 3


@in_loop
async def test_silence_ends_the_questions():
    held = PartArchive(spread(9), Habits(silent_at=2))
    async with (
        scripted_peer(archive(held.on_find)) as peer,
        line_to(approach(peer.port), STUDY_ROOT_FIND) as line,
    ):
        line.allow(9, 9.0)
        assert await line.ask() is not None
        assert await line.ask() is None
        assert "fell silent" in line.stopped
        assert await line.ask() is None
    assert len(held.asked) == 2


@in_loop
async def test_a_context_that_is_refused_ends_the_questions():
    held = PartArchive(spread(9), Habits())
    results = {STUDY_ROOT_FIND.encode(): 3}
    async with (
        scripted_peer(archive(held.on_find, results=results)) as peer,
        line_to(approach(peer.port), STUDY_ROOT_FIND) as line,
    ):
        line.allow(9, 9.0)
        assert await line.ask() is None
        assert "not accepted" in line.stopped


@in_loop
async def test_who_is_gone_from_the_beginning_is_an_error_and_later_an_end():
    async def on_find(call, message):
        await call.send(match(message, study()), abort(0, 0))

    async with scripted_peer(archive(on_find)) as peer:
        us = approach(peer.port)
        async with line_to(us, STUDY_ROOT_FIND) as line:
            line.allow(9, 9.0)
            assert await line.ask() is not None
            us.endpoint = Endpoint(address=HOST, port=1)
            assert await line.ask() is None
            assert "did not let us in again" in line.stopped
    async with line_to(approach(1), STUDY_ROOT_FIND) as line:
        line.allow(9, 9.0)
        with pytest.raises(ConnectFailed):
            await line.ask()


@in_loop
async def test_the_scope_is_asked_for_each_association():
    async def on_find(call, message):
        await call.send(match(message, study()), abort(0, 0))

    async with scripted_peer(archive(on_find)) as peer:
        us = approach(peer.port)
        async with line_to(us, STUDY_ROOT_FIND) as line:
            line.allow(9, 9.0)
            assert await line.ask() is not None
            us.endpoint = Endpoint(address="192.0.2.1", port=104)
            with pytest.raises(ScopeError):
                await line.ask()


@in_loop
async def test_a_slow_archive_rests_as_long_as_it_worked(monkeypatch):
    pauses = []

    async def rest(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("doorward.audit.probes.part_line.asyncio.sleep", rest)
    held = PartArchive(spread(9), Habits())
    async with (
        scripted_peer(archive(held.on_find)) as peer,
        line_to(approach(peer.port), STUDY_ROOT_FIND) as line,
    ):
        line.allow(9, 9.0)
        answers = [await line.ask() for _ in range(3)]
    assert pauses == [answers[0].duration_s, answers[1].duration_s]
