"""Sensors for the tests: a real nats-server with the files of ``doorward sensor init``, rosters in memory, processes.

The server is Debian's, on a free port of loopback, in a folder of the test; it can be killed and started again on its files.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import coordinator_process
from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.roster import Visitee
from doorward.audit.scope import Scope
from doorward.audit.sensors.config import load_coordinator_config, load_sensor_config
from doorward.audit.sensors.coordinator import Coordinated, coordinate
from doorward.audit.sensors.sensor import Served, run_sensor
from doorward.audit.sensors.setup import SetUp, init
from doorward.audit.system import SurveySettings
from doorward.audit.targets import Target
from doorward.audit.traffic import UNPACED, Traffic
from doorward.practice.fleet import Running
from peers import HOST, POLL_S, SEARCH_PATH, START_S, accepts_connection, end, free_port
from practising import SHORT, Unheard

SOURCE = Path(__file__).resolve().parent.parent / "src"
#: Everything that waits for a server or a sensor, shortened.
QUICK = replace(
    SHORT,
    sensor_pull_s=0.4,
    sensor_retry_s=0.1,
    sensor_tick_s=0.05,
    sensor_reply_s=2.0,
    sensor_sweep_s=0.5,
    sensor_later_s=0.2,
    sensor_stop_s=1.0,
)
SETTINGS = SurveySettings(limits=QUICK)


class NatsServer:
    """A nats-server and the set-up that it was started with."""

    def __init__(self, files: SetUp, port: int) -> None:
        self.files = files
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *wrapper: str, host: str = HOST) -> None:
        """Start it, on whatever an earlier life has left."""
        program = shutil.which("nats-server", path=SEARCH_PATH) or "nats-server"
        with (self.files.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*wrapper, program, "-c", str(self.files.server)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while "Server is ready" not in self.news():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL, so that it can tidy up nothing; what it says from now on is news."""
        if self._process is not None:
            end(self._process)
            self._process = None
            (self.files.folder / "log").rename(self.files.folder / f"log-{time.monotonic_ns()}")

    def news(self) -> str:
        """Return what this life of the server has said."""
        return (self.files.folder / "log").read_text(errors="replace")

    def log(self) -> str:
        """The end of it, for messages."""
        return self.news()[-2_000:]

    def shorten_leases(self, seconds: float) -> None:
        """Let the coordinator give work to somebody else soon."""
        text = self.files.coordinator.read_text()
        text = text.replace("[nats]", f"[nats]\nlease_s = {seconds}", 1)
        self.files.coordinator.write_text(text)


@contextmanager
def nats_server(
    folder: Path, sensors: Mapping[str, Sequence[str]] | None = None
) -> Iterator[NatsServer]:
    """Run nats-server for some sensors; ``north`` alone by default."""
    port = free_port()
    files = init(
        folder / "nats", sensors or {"north": ()}, [HOST], now=datetime.now(UTC), port=port
    )
    server = NatsServer(files, port)
    server.start()
    assert accepts_connection([port])
    try:
        yield server
    finally:
        server.kill()


class MemoryRoster:
    """A roster that keeps everything, counts what comes twice, and can be given to a second life."""

    def __init__(self, visitees: Sequence[Visitee]) -> None:
        self.all = {one.number: one for one in visitees}
        self.answers: dict[int, list[Attempt]] = {number: [] for number in self.all}
        self.judged: dict[int, list[SystemFacts]] = {number: [] for number in self.all}
        self.returned: list[int] = []
        self.something = asyncio.Event()
        self._waiting = list(self.all)

    def again(self) -> None:
        """Begin a second life: who was not judged waits, with the answers so far."""
        self._waiting = [number for number, facts in self.judged.items() if not facts]

    async def next(self) -> Visitee | None:
        if not self._waiting:
            return None
        number = self._waiting.pop(0)
        return replace(self.all[number], answered=tuple(self.answers[number]))

    def answered(self, visitee: Visitee, attempt: Attempt) -> None:
        self.answers[visitee.number].append(attempt)

    def finished(self, visitee: Visitee, facts: SystemFacts) -> None:
        self.judged[visitee.number].append(facts)
        self.something.set()

    def put_back(self, visitee: Visitee, facts: SystemFacts) -> None:
        self.returned.append(visitee.number)

    @property
    def done(self) -> int:
        """Systems that have a verdict."""
        return sum(1 for facts in self.judged.values() if facts)

    async def until_done(self, number: int) -> None:
        """Wait until so many systems are judged."""
        while self.done < number:
            self.something.clear()
            await self.something.wait()

    def each_once(self) -> bool:
        """Whether every system was judged, once, on the very answers that were handed over."""
        return all(
            len(facts) == 1 and list(facts[0].attempts) == self.answers[number]
            for number, facts in self.judged.items()
        )


def roster_of(running: Sequence[Running]) -> MemoryRoster:
    """A roster of practice archives."""
    return MemoryRoster(
        [
            Visitee(
                number=number,
                target=Target(host=one.address, ports=(one.port,)),
                address=one.address,
            )
            for number, one in enumerate(running, start=1)
        ]
    )


async def coordinated(
    server: NatsServer,
    roster: MemoryRoster,
    *,
    scan: str = "scan-1",
    settings: SurveySettings = SETTINGS,
    traffic: Traffic | None = None,
    said: list[str] | None = None,
) -> Coordinated:
    """Be the coordinator of a survey."""
    return await coordinate(
        roster,
        load_coordinator_config(server.files.coordinator),
        scan=scan,
        settings=settings,
        traffic=traffic or Traffic(replace(UNPACED, systems_at_a_time=4)),
        observer=Unheard(),
        say=[].append if said is None else said.append,
    )


@asynccontextmanager
async def sensing(
    server: NatsServer,
    name: str = "north",
    *,
    scope: Scope | None = None,
    settings: SurveySettings = SETTINGS,
    said: list[str] | None = None,
    traffic: Traffic | None = None,
) -> AsyncIterator["asyncio.Task[Served]"]:
    """Have a sensor in this process for as long as the context is open."""
    stop = asyncio.Event()
    task = asyncio.ensure_future(
        run_sensor(
            load_sensor_config(server.files.sensors[name]),
            scope=scope or Scope.loopback(),
            settings=settings,
            traffic=traffic or Traffic(replace(UNPACED, systems_at_a_time=2)),
            observer=Unheard(),
            stop=stop,
            say=[].append if said is None else said.append,
        )
    )
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.wait([task]), 10)
        task.result()


class SensorProcess:
    """``doorward sensor run`` as a process of its own."""

    def __init__(
        self, server: NatsServer, name: str = "north", *options: str, wrapper: Sequence[str] = ()
    ) -> None:
        self.log = server.files.folder / f"{name}-{time.monotonic_ns()}.log"
        command = [
            *wrapper,
            sys.executable,
            *("-m", "doorward", "sensor", "run", "--config", str(server.files.sensors[name])),
            *("--rate", "0", "--network-rate", "0", "--hosts", "2", "--timeout", "2"),
            *options,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                start_new_session=True,
            )

    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    async def until_said(self, words: str) -> None:
        """Wait for words of its log; the test's own time limit is the bound."""
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            await asyncio.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL."""
        end(self.process)

    def interrupt(self) -> int:
        """Ctrl-C, and its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(START_S)


class CoordinatorProcess:
    """``coordinator_process`` on a ledger."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    @classmethod
    async def start(
        cls, server: NatsServer, ledger: Path, targets: Sequence[str], *wrapper: str
    ) -> "CoordinatorProcess":
        """Begin a life; ``wrapper`` is a command to run it under."""
        return cls(
            await asyncio.create_subprocess_exec(
                *wrapper,
                sys.executable,
                coordinator_process.__file__,
                str(server.files.coordinator),
                str(ledger),
                *targets,
                stdout=asyncio.subprocess.PIPE,
            )
        )

    async def until_judged(self, number: int) -> None:
        """Read its lines until so many systems are judged."""
        while len(self.lines) < number:
            line = await self.process.stdout.readline()
            assert line, self.lines
            self.lines.append(line.decode().strip())

    async def kill(self) -> None:
        """SIGKILL where it still runs; what was judged until then is in ``lines``."""
        if self.process.returncode is None:
            self.process.kill()
        rest = await self.process.stdout.read()
        self.lines += rest.decode().split()
        await self.process.wait()

    async def result(self) -> dict[str, Any]:
        """What the last life says at its end."""
        rest = await self.process.stdout.read()
        assert await self.process.wait() == 0
        *judged, last = (*self.lines, *rest.decode().splitlines())
        self.lines = judged
        return json.loads(last)
