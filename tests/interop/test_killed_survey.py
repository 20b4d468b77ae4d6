"""A survey that is killed again and again: the same totals at the end, and no question asked twice that had an answer.

Sixty systems of the study, of every kind, run here; the survey is a process that gets SIGKILL at twenty drawn moments and is
resumed each time. What it asked is read from the fleet's log, what it had an answer to from its ledger after each kill. The
arithmetic: in the life in which a visit ends, the fleet sees no more connections than the answers of that life account for.
So whatever was asked there is an answer that the ledger did not have before; and the ledger has every answer once.
"""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor_process import environment
from doorward.audit.ledger.ledger import Ledger
from doorward.errors import ConfigError
from doorward.practice.certificates import make_certificates
from doorward.practice.evidence import By, Event, connections, events
from doorward.practice.fleet import fleet, secured
from doorward.practice.log import EventLog, Way
from doorward.practice.study_2019 import study
from doorward.practice.study_fleet import archives
from doorward.practice.study_system import (
    Behaviour,
    StudySystem,
    Web,
    inventory,
    truth,
    unprivileged,
)
from measures.study import checks, read_report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SYSTEMS, KILLS, SEED = 60, 20, 1
#: Of a fleet of the whole study, so that counting takes a while.
SCALE = 100
#: Every event of a survey that nobody kills is about this many; kills are spread over most of them.
EVENTS = 2_600
#: Longer than a drawn number of events ever takes, unless all that is asked is silent.
QUIET_S = 6
#: Refused and filtered doors tell the fleet nothing; a glance at a door may be over before it is seen.
OPTIONS = ("--rate", "0", "--network-rate", "0", "--systems", "8", "--timeout", "2")


def chosen() -> tuple[StudySystem, ...]:
    """Two of each behaviour, three with each kind of web server beside it, and more open ones, on networks of their own."""
    everybody = study(scale=SCALE)
    found: dict[str, StudySystem] = {}
    for behaviour in Behaviour:
        some = [s for s in everybody if s.behaviour is behaviour and not s.web]
        found |= {s.address: s for s in some[:2]}
    for web in (Web.VIEWER, Web.LISTING, Web.FTP):
        found |= {s.address: s for s in [s for s in everybody if s.web is web][:3]}
    for system in everybody:
        if len(found) < SYSTEMS and system.is_unprotected:
            found.setdefault(system.address, system)
    return unprivileged(replace(s, address=_moved(s.address)) for s in found.values())


def _moved(address: str) -> str:
    """Another fleet of the study may be running on this machine."""
    first, network, *rest = address.split(".")
    return ".".join((first, str(int(network) + 120), *rest))


class CountedLog(EventLog):
    """A log that tells when so many more events have been written."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._left = 0
        self._came = asyncio.Event()

    def note(self, event: str, door: str, number: int, way: Way, **details: object) -> None:
        super().note(event, door, number, way, **details)
        self._left -= 1
        if self._left <= 0:
            self._came.set()

    async def more(self, number: int) -> None:
        """Wait for so many more."""
        self._left = number
        self._came.clear()
        await self._came.wait()


# --- what is known after each life ------------------------------------------------------------------------------------

#: Address, port, probe.
Question = tuple[str, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What had happened when one life of the survey was over."""

    answered: Counter[Question] = field(default_factory=Counter)
    #: Address -> connections that the answers in the ledger account for.
    accounted: Counter[str] = field(default_factory=Counter)
    #: Address -> the most connections that one of its questions took.
    dearest: Counter[str] = field(default_factory=Counter)
    finished: frozenset[str] = frozenset()
    #: How many events the log had.
    events: int = 0
    exit_code: int = 0


def after_life(ledger_file: Path, log_file: Path, exit_code: int) -> Life:
    """Read what the ledger and the log hold now."""
    answered: Counter[Question] = Counter()
    accounted: Counter[str] = Counter()
    dearest: Counter[str] = Counter()
    finished: frozenset[str] = frozenset()
    lines = log_file.read_bytes().count(b"\n")
    if is_planned(ledger_file):
        with Ledger.read(ledger_file) as ledger:
            scan = ledger.scans()[-1].number
            finished = frozenset(one.address for one in ledger.standings(scan))
            for _, system in ledger.facts(scan, with_unfinished=True):
                for made in system.attempts:
                    answered[system.address, made.endpoint.port, made.probe] += 1
                    accounted[system.address] += made.connections
                    dearest[system.address] = max(dearest[system.address], made.connections)
    return Life(
        answered=answered,
        accounted=accounted,
        dearest=dearest,
        finished=finished,
        events=lines,
        exit_code=exit_code,
    )


def is_planned(ledger_file: Path) -> bool:
    """Tell whether there is a survey that can go on: a kill may come before there is any."""
    try:
        with Ledger.read(ledger_file) as ledger:
            rows = ledger.scans()
            return bool(rows) and rows[-1].is_planned
    except ConfigError:
        assert not ledger_file.exists() or not ledger_file.stat().st_size
        return False


# --- the survey and its end -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that is left at the end."""

    systems: tuple[StudySystem, ...]
    #: The first is the state before the first life.
    lives: Sequence[Life]
    events: Sequence[Event]
    report: Path

    def seen(self, first: int, last: int) -> list[Event]:
        """What the fleet saw after the end of one life and until the end of another."""
        return list(self.events[self.lives[first].events : self.lives[last].events])

    def steps(self) -> Iterator[tuple[Life, Life, list[Event]]]:
        """Yield each life with the one before it, and what the fleet saw in it."""
        for number in range(1, len(self.lives)):
            before, after = self.lives[number - 1], self.lives[number]
            yield before, after, self.seen(number - 1, number)


async def one_life(folder: Path, log: CountedLog, chance: random.Random | None) -> int:
    """Start or resume the survey and kill it at a drawn moment, or let it end; return its exit code."""
    ledger = folder / "a.ledger"
    targets = (
        ("--resume",)
        if is_planned(ledger)
        else ("--import", f"inventory={folder / 'inventory.csv'}")
    )
    arguments = (*targets, *OPTIONS, "--ledger", str(ledger), "--json", str(folder / "a.json"))
    with (folder / "survey.stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "doorward", "survey", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=folder,
            env=environment(folder),
        )
    try:
        if chance is not None:
            await drawn_moment(log, chance)
            assert process.returncode is None, (folder / "survey.stderr").read_text()
            process.kill()
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def drawn_moment(log: CountedLog, chance: random.Random) -> None:
    """Most moments lie among the fleet's events, and a little beside them; some while the program starts or plans."""
    if chance.random() > 0.15:
        try:
            async with asyncio.timeout(QUIET_S):
                await log.more(chance.randint(1, int(1.6 * EVENTS / KILLS)))
        except TimeoutError:
            return  # nobody answers just now: as good a moment as any
        await asyncio.sleep(chance.uniform(0, 0.03))  # the moment is what is drawn, not a wait
    else:
        await asyncio.sleep(chance.uniform(0, 1))


async def killed_again_and_again(folder: Path) -> Outcome:
    systems = chosen()
    made = archives(systems)
    (folder / "inventory.csv").write_text("".join(inventory(systems)))
    chance = random.Random(SEED)
    log_file, ledger = folder / "fleet.log", folder / "a.ledger"
    log = CountedLog(log_file)
    lives = [Life()]
    secret = [one.address for one in made if secured(one)]
    certificates = make_certificates(folder, now=datetime.now(UTC), addresses=secret)
    try:
        async with fleet(made, certificates=certificates, log=log):
            for number in range(KILLS + 1):
                is_last = number == KILLS
                code = await one_life(folder, log, None if is_last else chance)
                await hung_up()
                log.flush()
                lives.append(after_life(ledger, log_file, code))
    finally:
        log.close()
    found = list(events(log_file.read_text("ascii").splitlines(keepends=True)))
    return Outcome(systems=systems, lives=lives, events=found, report=folder / "a.json")


async def hung_up() -> None:
    """Let the fleet hear that its caller is dead: the kernel has closed every connection of a process that was waited for."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Outcome:
    return asyncio.run(killed_again_and_again(tmp_path_factory.mktemp("killed")))


# --- what must be so --------------------------------------------------------------------------------------------------


def test_it_was_killed_twenty_times_and_each_of_most_lives_got_somewhere(outcome):
    *killed, last = outcome.lives[1:]
    assert [life.exit_code for life in killed] == [-signal.SIGKILL] * KILLS
    assert last.exit_code == 1, "something is open"
    grown = sum(len(after.answered) > len(before.answered) for before, after, _ in outcome.steps())
    assert grown >= KILLS // 2
    caught = [{place for place, _, _ in life.answered} - life.finished for life in killed]
    assert sum(map(bool, caught)) >= KILLS // 2, "visits were caught half way"


def test_the_totals_are_those_of_the_fleet(outcome):
    assert truth(outcome.systems).total.unprotected > 20
    report = read_report(outcome.report)
    assert [one for one in checks(outcome.systems, report) if not one.is_right] == []


def test_every_system_is_judged_once_and_stays_so(outcome):
    everybody = {system.address for system in outcome.systems}
    assert len(everybody) == SYSTEMS
    assert outcome.lives[-1].finished == everybody
    for before, after, _ in outcome.steps():
        assert before.finished <= after.finished


def test_no_answer_is_lost(outcome):
    for before, after, _ in outcome.steps():
        assert before.answered <= after.answered


def test_the_ledger_has_every_answer_once(outcome):
    """Only a door that was busy, or has TLS, is asked for an association twice by one visit."""
    twice = {q: number for q, number in outcome.lives[-1].answered.items() if number > 1}
    assert set(twice.values()) <= {2}
    may = {Behaviour.CONGESTED, Behaviour.TLS, Behaviour.TLS_CHECKED, Behaviour.MUTUAL_TLS}
    places = {s.address for s in outcome.systems if may & {s.behaviour, s.second_behaviour}}
    assert {probe for _, _, probe in twice} <= {"association"}
    assert {address for address, _, _ in twice} <= places


def test_who_was_finished_is_never_called_again(outcome):
    for before, _, seen in outcome.steps():
        assert not {event.address for event in seen} & before.finished


def test_studies_that_were_counted_are_never_asked_for_again(outcome):
    asked = 0
    for before, _, seen in outcome.steps():
        finds = {(event.address, event.port) for event in seen if event.event == "find"}
        counted = {
            (address, port) for address, port, probe in before.answered if probe == "exposure"
        }
        assert not finds & counted
        asked += len(finds)
    assert asked > 20


def test_when_a_visit_ends_nothing_had_been_asked_but_what_its_new_answers_account_for(outcome):
    ended = resumed = 0
    for before, after, seen in outcome.steps():
        called = connections(seen, By.ADDRESS)
        for address in after.finished - before.finished:
            new = after.accounted[address] - before.accounted[address]
            assert called.get(address, 0) <= new, address
            ended += 1
            resumed += before.accounted[address] > 0
    assert ended == SYSTEMS
    assert resumed > 5, "some visits began in one life and ended in another"


def test_a_kill_costs_each_system_at_most_the_question_that_was_open(outcome):
    costs = outcome.lives[-1].dearest
    repeats = 0
    for before, after, seen in outcome.steps():
        for address, called in connections(seen, By.ADDRESS).items():
            more = called - (after.accounted[address] - before.accounted[address])
            assert more <= costs[address], address
            repeats += more > 0
    assert 0 < repeats <= KILLS * 8, "no more systems than are asked side by side"
