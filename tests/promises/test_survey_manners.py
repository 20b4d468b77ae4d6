"""Promise 5, for a survey as a whole: its manners are proved by the log of the fleet that was surveyed.

One association at a time for each system, the pace of all and of each network, hours, budgets, the stop button, dead hosts,
congestion. What the survey says of itself is never asked: the fleet's own log is, or the system calls of the process.
"""

import asyncio
import itertools
import json
import re
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor_process import doorward
from doorward.audit.exit_code import ExitCode
from doorward.audit.facts import Outcome, SystemFacts
from doorward.audit.roster import ListRoster, Visitee
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, conduct
from doorward.audit.targets import Target
from doorward.audit.traffic import UNPACED, Traffic, TrafficRules
from doorward.practice.certificates import PracticeCertificates, make_certificates
from doorward.practice.evidence import (
    By,
    Event,
    connections,
    fastest_second,
    most_associations_open,
    most_connections_open,
    open_hours,
    questions,
    repeated,
    without_release,
)
from doorward.practice.personas import PERSONAS, Speaks
from doorward.practice.settings import ArchiveSettings
from logged_fleet import Surveyed, archive, logged, most_visited_side_by_side, surveyed
from practising import SHORT, Unheard

pytestmark = pytest.mark.timeout(60)
#: Ports that the auditor knows, and that nobody else's tests listen on.
PORT, WEB = 5_678, 9_990
#: Personas that end an association themselves, by A-ABORT.
ABORTERS = {"store-only", "aborting"}
#: Systems of one network in the survey of everybody.
AT_A_TIME = 4
UNPACED_CLI = ("--rate", "0", "--network-rate", "0", "--network-systems", "64")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> PracticeCertificates:
    folder = tmp_path_factory.mktemp("certificates")
    return make_certificates(folder, now=datetime.now(UTC), addresses=())


# --- everybody, whatever they are like --------------------------------------------------------------------------------


def everybody() -> list[ArchiveSettings]:
    """A hundred systems: every persona at least twice, on six networks, a web door beside every fourth."""
    shut = ("refused", WEB)
    doors = itertools.cycle((("viewer", WEB), shut, shut, shut, ("listing", WEB), shut, shut))
    archives = []
    for number, name in enumerate(itertools.islice(itertools.cycle(PERSONAS), 100)):
        address = f"127.71.{number % 6}.{number // 6 + 1}"
        archives.append(archive(name, address, PORT, doors=[next(doors)], studies=150))
    return archives


async def conducted(
    running: Sequence[tuple[str, tuple[int, ...]]], rules: TrafficRules, **limits: float
) -> tuple[list[SystemFacts], Traffic]:
    """Visit addresses and ports from here, with short waits."""
    roster = ListRoster(
        Visitee(number=number, target=Target(host=address, ports=ports), address=address)
        for number, (address, ports) in enumerate(running)
    )
    bounds = replace(SHORT, **limits)
    traffic = Traffic(rules, limits=bounds)
    await conduct(
        roster,
        scope=Scope.loopback(),
        settings=SurveySettings(clearance_level=3, limits=bounds, discovers=True),
        observer=Unheard(),
        traffic=traffic,
    )
    return [roster.seen[number] for number in sorted(roster.seen)], traffic


@pytest.fixture(scope="module")
def whole(tmp_path_factory, certificates) -> tuple[list[SystemFacts], list[Event]]:
    """One survey of everybody."""

    async def run() -> tuple[list[SystemFacts], list[Event]]:
        archives = everybody()
        rules = replace(UNPACED, systems_at_a_time=64, network_at_a_time=AT_A_TIME)
        folder = tmp_path_factory.mktemp("whole")
        async with logged(archives, folder, certificates=certificates) as street:
            found, _ = await conducted([(one.address, (PORT, WEB)) for one in archives], rules)
        return found, street.events()

    return asyncio.run(run())


def test_a_survey_of_everybody_reached_everybody(whole):
    found, events = whole
    unheard = {Speaks.REFUSED, Speaks.FILTERED}
    reached = {one.address for one in everybody() if one.persona.speaks not in unheard}
    assert len(found) == len(everybody()) == 100
    assert {event.address for event in events if event.port == PORT} == reached
    assert {event.port for event in events} == {PORT, WEB}
    assert sum(event.event == "knocked" for event in events) > 10, "TLS doors"
    assert sum(event.event == "request" for event in events) > 100, "web doors"
    assert not [event for event in events if event.event in ("store", "get", "move")]


def test_no_system_ever_has_two_associations_open(whole):
    most = most_associations_open(whole[1], By.ADDRESS)
    assert len(most) > 50
    assert set(most.values()) == {1}


def test_doors_of_one_system_are_looked_at_side_by_side_and_asked_one_by_one(whole):
    """Only the first glance at its two ports may meet two connections; nothing else may."""
    _, events = whole
    assert max(most_connections_open(events, By.ADDRESS).values()) == 2
    later = most_connections_open(_without_glances(events), By.ADDRESS)
    assert len(later) > 60
    assert set(later.values()) == {1}


def _without_glances(events: Sequence[Event]) -> list[Event]:
    """Leave out the first two connections to each system: the looks at its two ports."""
    first: dict[str, set[tuple[str, int]]] = {}
    for event in events:
        seen = first.setdefault(event.address, set())
        if event.event == "connected" and len(seen) < 2:
            seen.add(event.connection)
    return [event for event in events if event.connection not in first[event.address]]


def test_every_association_ends_by_a_release_but_where_the_peer_aborts(whole):
    _, events = whole
    personas = {one.address: one.persona.name for one in everybody()}
    lost = without_release(events)
    assert {personas[event.address] for event in lost} == ABORTERS
    assert sum(event.event == "released" for event in events) > 200


def test_of_one_network_no_more_systems_are_visited_at_a_time_than_were_allowed(whole):
    most = most_visited_side_by_side(whole[1])
    assert set(most) == {f"127.71.{number}.0/24" for number in range(6)}
    assert set(most.values()) == {AT_A_TIME}, "and as many as that"


def test_what_refuses_or_swallows_is_called_once_for_each_port(whole):
    found, _ = whole
    personas = {one.address: one.persona.name for one in everybody()}
    dead = [one for one in found if personas[one.address] in ("refused", "filtered")]
    assert len(dead) >= 4
    for system in dead:
        (only,) = (made for made in system.attempts if made.endpoint.port == PORT)
        assert (only.probe, only.connections) == ("reach", 1)


# --- the pace ---------------------------------------------------------------------------------------------------------


def targets(archives: Sequence[ArchiveSettings]) -> list[str]:
    return [one.address for one in archives]


async def life(
    archives: Sequence[ArchiveSettings],
    folder: Path,
    *options: str,
    ports: Sequence[int] = (PORT,),
    meanwhile: Callable[[Process], Awaitable[None]] | None = None,
    timezone: str = "",
) -> Surveyed:
    """One life of a survey of these archives, in a process of its own; without archives it is resumed."""
    named = [*targets(archives), "--ports", ",".join(map(str, ports))] if archives else ["--resume"]
    command = [*named, "--ledger", "a.ledger", "--json", "a.json", *options]
    return await surveyed(command, folder, meanwhile=meanwhile, timezone=timezone)


def test_the_pace_of_all_and_of_each_network_holds_in_every_second(tmp_path, certificates):
    """Glances, TLS and web requests included. Three networks want to go on faster than all may together."""
    names = (("closed", "tls-checked"), ("closed", "old-web"), ("old-web", "echo-only"))
    archives = [
        archive(name, f"127.71.{20 + network}.{number}", PORT, doors=[("refused", WEB)])
        for network, pair in enumerate(names)
        for number, name in enumerate(pair, 1)
    ]
    rate, network_rate = 50, 20

    async def run() -> tuple[Surveyed, list[Event]]:
        async with logged(archives, tmp_path, certificates=certificates) as street:
            paced = ("--rate", str(rate), "--network-rate", str(network_rate))
            done = await life(archives, tmp_path, *paced, "--level", "1", ports=(PORT, WEB))
            return done, street.events()

    done, events = asyncio.run(run())
    assert done.exit_code in (ExitCode.PASSED, ExitCode.FOUND, ExitCode.NOT_TESTED), done.stderr
    assert connections(events, By.ALL)["all"] > 3 * rate
    assert rate * 0.6 < fastest_second(events, By.ALL)["all"] <= rate + SLACK
    by_network = fastest_second(events, By.NETWORK)
    assert max(by_network.values()) > network_rate * 0.6
    assert max(by_network.values()) <= network_rate + SLACK


#: A second that begins with a turn holds one more than the rate; one more for a fleet that notes a caller late.
SLACK = 2


# --- the stop button --------------------------------------------------------------------------------------------------

#: Seconds in which a signal reaches the auditor and what it had already sent reaches the fleet.
ON_ITS_WAY_S = 0.5
SLOWLY = {"delay_s": 0.004}


def slow_ones(network: int, count: int, studies: int) -> list[ArchiveSettings]:
    """Archives whose answer takes ``studies`` times 4 ms."""
    return [
        archive("open", f"127.71.{network}.{n}", PORT, studies=studies, **SLOWLY)
        for n in range(1, count + 1)
    ]


async def stopped(
    archives: Sequence[ArchiveSettings], folder: Path, *signals: int, gap_s: float = 0.3
) -> tuple[Surveyed, list[Event], Surveyed, list[Event]]:
    """Survey, send the signals once the first query runs, resume; what the log held after each life."""
    sent: list[float] = []
    two = ("--systems", "2", "--timeout", "5", *UNPACED_CLI)

    async with logged(archives, folder) as street:

        async def press(process: Process) -> None:
            await street.log.heard("find")
            for number in signals:
                await asyncio.sleep(gap_s)
                sent.append(time.time())
                process.send_signal(number)

        first = await life(archives, folder, *two, meanwhile=press)
        first.signalled = sent
        before = street.events()
    return first, before, *await resumed(archives, folder, *two)


async def resumed(
    archives: Sequence[ArchiveSettings], folder: Path, *options: str
) -> tuple[Surveyed, list[Event]]:
    """Go on with the survey when the archives have become fast; the log goes on too."""
    manners = [replace(one.persona.query, delay_s=0.0) for one in archives]
    fast = [
        replace(one, persona=replace(one.persona, query=query))
        for one, query in zip(archives, manners, strict=True)
    ]
    async with logged(fast, folder) as street:
        return await life([], folder, *options), street.events()


def begun_after(events: Sequence[Event], wall: float) -> list[str]:
    return [address for at, address in open_hours(events) if at > wall]


def studies_counted(folder: Path) -> dict[str, int | None]:
    report = json.loads((folder / "a.json").read_bytes())
    return {one["address"]: one["counts"]["studies"]["value"] for one in report["systems"]}


def test_the_first_signal_finishes_open_questions_and_begins_nothing_new(tmp_path):
    archives = slow_ones(30, 3, studies=307)
    first, before, second, after = asyncio.run(stopped(archives, tmp_path, signal.SIGTERM))
    assert first.exit_code == ExitCode.INTERRUPTED
    assert b"stopped by the operator; go on with: doorward survey" in first.stderr
    assert begun_after(before, first.signalled[0] + ON_ITS_WAY_S) == []
    assert not without_release(before)
    assert not [event for event in before if event.event == "cancel"]
    assert before[-1].wall > first.signalled[0] + 0.5, "the running query went on to its end"
    asked = questions(before)
    assert len({one.address for one in asked}) == 2, "of three systems two at a time"
    assert all(one.was_answered for one in asked)
    # and it goes on
    assert second.exit_code == ExitCode.FOUND, second.stderr
    assert not repeated(questions(after))
    assert set(studies_counted(tmp_path).values()) == {307}
    assert len(studies_counted(tmp_path)) == 3


def test_the_second_signal_breaks_off_with_a_cancel_and_a_release(tmp_path):
    archives = slow_ones(31, 2, studies=307)
    first, before, second, after = asyncio.run(
        stopped(archives, tmp_path, signal.SIGINT, signal.SIGINT)
    )
    assert first.exit_code == ExitCode.INTERRUPTED, first.stderr
    assert b"Traceback" not in first.stderr
    cancelled = [one for one in questions(before) if one.status == 0xFE00]
    assert cancelled
    assert all(one.matches < 307 for one in cancelled)
    assert {event.address for event in before if event.event == "cancel"} == {
        one.address for one in cancelled
    }
    assert before[-1].wall < first.signalled[1] + 1.0, "at once, not at the end of the answer"
    assert not without_release(before)
    assert begun_after(before, first.signalled[0] + ON_ITS_WAY_S) == []
    assert b"--resume" in first.stderr
    # and it goes on
    assert second.exit_code == ExitCode.FOUND, second.stderr
    assert not repeated(questions(after))
    assert not without_release(after)
    assert set(studies_counted(tmp_path).values()) == {307}


def test_nobody_waits_for_a_turn_after_a_signal(tmp_path):
    """At one connection in ten seconds the turn of a system may be minutes away."""
    archives = [archive("open", f"127.71.32.{n}", PORT) for n in range(1, 7)]

    async def run() -> tuple[Surveyed, float]:
        sent: list[float] = []
        async with logged(archives, tmp_path) as street:

            async def press(process: Process) -> None:
                await street.log.heard("closed")
                sent.append(time.monotonic())
                process.send_signal(signal.SIGINT)

            done = await life(archives, tmp_path, "--rate", "0.1", meanwhile=press)
            return done, time.monotonic() - sent[0]

    done, took_s = asyncio.run(run())
    assert done.exit_code == ExitCode.INTERRUPTED
    assert took_s < 5


# --- hours ------------------------------------------------------------------------------------------------------------


def closing_window(closes: int) -> tuple[str, str]:
    """Return a time zone and a window that closes at that second: zones may be shifted by seconds (POSIX, TZ)."""
    shift = -closes % 60
    begin, end = (time.strftime("%H:%M", time.gmtime(closes + shift - s)) for s in (60, 0))
    return f"TST-0:00:{shift:02}", f"{begin}-{end}"


def test_when_the_window_closes_queries_are_cancelled_and_nothing_is_begun(tmp_path):
    archives = slow_ones(40, 3, studies=5_003)
    options = ("--systems", "2", *UNPACED_CLI)
    closes = int(time.time()) + 5
    timezone, window = closing_window(closes)

    async def run() -> tuple[Surveyed, list[Event], Surveyed, list[Event]]:
        async with logged(archives, tmp_path) as street:

            async def press(process: Process) -> None:
                await street.log.heard("cancel")
                await asyncio.sleep(closes + 1 - time.time())  # a second in which nothing may begin
                process.send_signal(signal.SIGINT)

            hours = ("--window", window)
            first = await life(
                archives, tmp_path, *options, *hours, meanwhile=press, timezone=timezone
            )
            before = street.events()
        return first, before, *await resumed(archives, tmp_path, *options)

    first, before, second, after = asyncio.run(run())
    assert b"outside the time window" in first.stderr, first.stderr
    assert first.exit_code == ExitCode.INTERRUPTED
    assert begun_after(before, closes) == []
    asked = questions(before)
    assert [one.status for one in asked] == [0xFE00, 0xFE00], "cancelled, and told so"
    assert not without_release(before)
    assert closes - 0.1 <= before[-1].wall <= closes + 1
    # and it goes on
    assert second.exit_code == ExitCode.FOUND
    assert not repeated(questions(after))
    assert set(studies_counted(tmp_path).values()) == {5_003}


# --- budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (("--max-connections", "5"), b"the budget of 5 connections is spent"),
        (("--max-bytes", "3000"), b"the budget of 3,000 bytes is spent"),
        (("--max-seconds", "1", "--rate", "8"), b"the time of 1 seconds is used up"),
    ],
    ids=["connections", "bytes", "seconds"],
)
def test_a_spent_budget_ends_the_survey_and_it_can_be_resumed(budget, reason, tmp_path):
    archives = [archive("open", f"127.71.41.{n}", PORT, studies=487) for n in range(1, 4)]

    async def run() -> tuple[Surveyed, list[Event]]:
        async with logged(archives, tmp_path) as street:
            return await life(archives, tmp_path, *UNPACED_CLI, *budget), street.events()

    first, before = asyncio.run(run())
    assert first.exit_code == ExitCode.INTERRUPTED
    assert reason in first.stderr
    assert not without_release(before)
    begun = [at for at, _ in open_hours(before)]
    if budget[0] == "--max-connections":
        assert len(begun) == 5
    elif budget[0] == "--max-seconds":
        assert 0.5 < begun[-1] - begun[0] < 1.2
    else:
        assert questions(before) == (), "what contexts are accepted had used it up"
    second, after = asyncio.run(resumed(archives, tmp_path, *UNPACED_CLI))
    assert second.exit_code == ExitCode.FOUND
    assert not repeated(questions(after))
    assert set(studies_counted(tmp_path).values()) == {487}


# --- who does not answer, and who is busy -----------------------------------------------------------------------------


@pytest.mark.peer("strace")
def test_a_system_that_swallows_everything_costs_one_call_for_each_port(tmp_path):
    """Told by the system calls of the real process: the kernel of the fleet does not say who knocked."""
    ports = (PORT, WEB, 2_104)
    doors = [("filtered", port) for port in ports[1:]]
    archives = [archive("filtered", f"127.71.42.{n}", PORT, doors=doors) for n in (1, 2)]
    trace = tmp_path / "strace"
    wrapper = ["strace", "-f", "-qq", "-e", "trace=connect", "-e", "signal=none", "-o", str(trace)]
    listed = ",".join(map(str, ports))
    command = ["survey", *targets(archives), "--ports", listed, "--timeout", "0.5", "--level", "3"]

    async def run() -> int:
        async with (
            logged(archives, tmp_path),
            doorward(command, tmp_path / "home", wrapper=wrapper) as done,
        ):
            return done.exit_code

    assert asyncio.run(run()) == ExitCode.NOT_TESTED
    called = _CONNECT.findall(trace.read_text())
    assert sorted(called) == sorted((str(p), one.address) for one in archives for p in ports)


_CONNECT = re.compile(r'connect\(.*sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')


@pytest.mark.parametrize(("name", "answers"), [("congested", 3), ("busy-twice", 2)])
def test_who_is_busy_is_asked_again_after_growing_pauses_and_then_left_alone(
    name, answers, tmp_path
):
    pause_s = 0.15

    async def run() -> tuple[list[SystemFacts], list[Event]]:
        archives = [archive(name, "127.71.43.1", PORT)]
        async with logged(archives, tmp_path) as street:
            found, _ = await conducted(
                [("127.71.43.1", (PORT,))], UNPACED, congestion_pause_s=pause_s
            )
            return found, street.events()

    (system,), events = asyncio.run(run())
    rejected = [event for event in events if event.event == "rejected"]
    assert len(rejected) == answers, "the first and its retries, whatever else might be asked"
    pauses = [
        later.t - earlier.t
        for earlier, later in itertools.pairwise(
            event for event in events if event.event in ("rejected", "associated")
        )
    ]
    assert pauses[0] >= pause_s
    assert pauses[1] >= 2 * pause_s
    (asked,) = system.of("association")
    is_open = name == "busy-twice"
    assert (asked.outcome is Outcome.ANSWERED) is is_open
    assert bool(without_release(events)) is False
    assert bool(questions(events)) is is_open
