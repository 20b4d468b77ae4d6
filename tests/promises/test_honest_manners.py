"""Promise 5: the auditor says who it is, releases every association, cancels at a cap, and never crowds a system.

What reaches the peer is written down by ``scripted_peer``; Ctrl-C is a real SIGINT to a real process.
"""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from auditor_process import doorward
from doorward.audit.approach import TITLE_PREFIX
from doorward.audit.exit_code import ExitCode
from doorward.audit.facts import SystemFacts
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import parse_targets
from doorward.limits import Limits
from hostile_audit import SHORT, Watch
from scripted_peer import (
    ABORT,
    ASSOCIATE_RQ,
    C_CANCEL_RQ,
    C_FIND_RQ,
    CANCELLED,
    DATA_TF,
    RELEASE_RP,
    RELEASE_RQ,
    Call,
    Message,
    Script,
    ScriptedPeer,
    archive,
    final,
    finds,
    match,
    rejection,
    scripted_peer,
    study,
)

pytestmark = pytest.mark.timeout(60)
IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME = 0x52, 0x55
HONEST = archive(finds(study(1), study(2)))


async def audited(
    script: Script, limits: Limits = SHORT, **settings: object
) -> tuple[ScriptedPeer, SystemFacts]:
    async with scripted_peer(script) as peer:
        targets = parse_targets([f"{peer.host}:{peer.port}"], ports=(104,))
        chosen = SurveySettings(clearance_level=3, limits=limits, **settings)
        (facts,) = await survey(targets, scope=Scope.loopback(), settings=chosen, observer=Watch())
        await peer.at_rest()
    return peer, facts


def associations(peer: ScriptedPeer) -> list[Call]:
    """The calls that asked for an association."""
    return [call for call in peer.calls if call.request]


# --- who is it? -------------------------------------------------------------------------------------------------------------


def test_every_request_names_the_auditor():
    peer, _ = asyncio.run(audited(HONEST))
    assert len(associations(peer)) >= 4
    for call in associations(peer):
        names = call.user_information
        assert names[IMPLEMENTATION_CLASS_UID].startswith(b"2.25.")
        assert names[IMPLEMENTATION_VERSION_NAME].startswith(b"DOORWARD")
        called, calling = call.titles
        assert called.startswith(TITLE_PREFIX)
        assert calling.startswith(TITLE_PREFIX)


def test_titles_are_new_for_each_audit():
    first, second = (asyncio.run(audited(HONEST))[0] for _ in range(2))
    assert not {c.titles for c in associations(first)} & {c.titles for c in associations(second)}


def test_titles_of_others_are_used_only_where_the_operator_named_them():
    given = {"called_ae_titles": ("ARCHIVE",), "given_calling": "WORKSTATION"}
    peer, _ = asyncio.run(audited(HONEST, **given))
    for called, calling in (call.titles for call in associations(peer)):
        assert called == "ARCHIVE" or called.startswith(TITLE_PREFIX)
        assert calling == "WORKSTATION" or calling.startswith(TITLE_PREFIX)
        assert calling != "WORKSTATION" or called == "ARCHIVE"


# --- leaving ----------------------------------------------------------------------------------------------------------------


def on_find(answer) -> Script:
    return archive(answer)


async def _silent_find(call: Call, message: Message) -> None:
    """Never answers."""


async def _fails(call: Call, message: Message) -> None:
    await call.send(final(message, 0xC000))


async def _refused_contexts(call: Call) -> None:
    await call.asked()
    contexts = dict.fromkeys(call.contexts.values(), 3)
    await call.send(call.accept(results=contexts))
    await call.message()


@pytest.mark.parametrize(
    "script",
    [HONEST, on_find(_silent_find), on_find(_fails), _refused_contexts],
    ids=["answers", "silent", "fails", "refuses_contexts"],
)
def test_every_accepted_association_is_released(script):
    peer, _ = asyncio.run(audited(script))
    assert len(associations(peer)) >= 2
    for call in associations(peer):
        assert call.pdus[-1] == RELEASE_RQ
        assert ABORT not in call.pdus


def lists_until_cancelled(listing: asyncio.Event | None = None) -> Script:
    """List studies until C-CANCEL comes; the event is set when the first matches are out."""

    async def script(call: Call) -> None:
        await call.accepted()
        asking: Message | None = None
        number = 0
        while True:
            if asking is not None:
                number += 1
                await call.send(match(asking, study(number)))
                if number == 50 and listing is not None:
                    listing.set()
                if not call.reader._buffer:
                    await asyncio.sleep(0.001)
                    continue
            message = await call.message()
            if message is None:
                return
            if message.command_field == C_CANCEL_RQ:
                await call.send(final(asking or message, CANCELLED))
                asking = None
            elif message.command_field == C_FIND_RQ:
                asking = message
            else:
                await call.send(final(message))

    return script


async def _interrupted(folder: Path) -> tuple[ScriptedPeer, int, bytes]:
    listing = asyncio.Event()

    async def press_control_c(process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(10):
            await listing.wait()
        process.send_signal(signal.SIGINT)

    async with scripted_peer(lists_until_cancelled(listing)) as peer:
        command = ["audit", f"{peer.host}:{peer.port}", "--json", "report.json"]
        async with doorward(command, folder / "home", meanwhile=press_control_c) as done:
            code, said = done.exit_code, done.stderr
        await peer.at_rest()
    return peer, code, said


def test_control_c_in_the_middle_of_a_count_releases_the_association(tmp_path):
    peer, code, said = asyncio.run(_interrupted(tmp_path))
    assert code == ExitCode.INTERRUPTED
    assert b"Traceback" not in said
    assert b"interrupted" in said
    last = associations(peer)[-1]
    assert C_FIND_RQ in last.commands
    assert RELEASE_RQ in last.pdus, "A-RELEASE-RQ also on Ctrl-C"
    assert ABORT not in last.pdus[: last.pdus.index(RELEASE_RQ)]


# --- not more than needed -----------------------------------------------------------------------------------------------------


def test_a_cap_is_kept_with_c_cancel_and_the_association_goes_on():
    limits = replace(SHORT, count_matches=20)
    peer, facts = asyncio.run(audited(lists_until_cancelled(), limits))
    counting = [call for call in associations(peer) if C_CANCEL_RQ in call.commands]
    assert counting
    for call in counting:
        assert call.commands.count(C_CANCEL_RQ) == call.commands.count(C_FIND_RQ)
        assert call.pdus[-1] == RELEASE_RQ
    exposure = next(a.facts for a in facts.attempts if a.probe == "exposure")
    assert exposure.studies.value == 20
    assert exposure.studies.exactness == "at_least"


def test_only_one_match_is_asked_for_when_attributes_are_looked_at():
    peer, _ = asyncio.run(audited(lists_until_cancelled()))
    assert associations(peer)[-1].commands == [C_FIND_RQ, C_CANCEL_RQ]


def test_one_connection_at_a_time_with_a_gap_between_two():
    limits = replace(SHORT, probe_gap_s=0.15)
    peer, _ = asyncio.run(audited(HONEST, limits))
    assert peer.most_at_a_time == 1
    opened = [call.opened_at for call in peer.calls]
    closed = [call.closed_at for call in peer.calls]
    gaps = [after - before for before, after in zip(closed[:-1], opened[1:], strict=True)]
    assert len(gaps) >= 3
    assert min(gaps) > 0.15 * 0.8  # the peer sees the end a little later than we do


def test_a_busy_archive_is_asked_again_a_few_times_with_growing_pauses():
    async def busy(call: Call) -> None:
        await call.asked()
        await call.send(rejection(2, 3, 1))
        await call.until_gone()

    limits = replace(SHORT, congestion_pause_s=0.1, congestion_retries=2)
    peer, _ = asyncio.run(audited(busy, limits))
    asked = [call.opened_at for call in associations(peer)]
    assert len(asked) == 3
    first, second = asked[1] - asked[0], asked[2] - asked[1]
    assert first >= 0.1
    assert second >= 0.2


def test_how_much_is_sent_to_one_system_is_small():
    """At the highest level: associations, PDUs and commands of one audit of one port."""
    peer, _ = asyncio.run(audited(HONEST))
    assert len(peer.calls) <= 12
    assert len(peer.commands) <= 6
    assert sum(call.pdus.count(DATA_TF) for call in peer.calls) <= 12
    assert all(call.pdus[0] == ASSOCIATE_RQ for call in associations(peer))
    assert RELEASE_RP not in {kind for call in peer.calls for kind in call.pdus}
