"""A practice fleet that keeps its log, for tests of manners: run here, surveyed from a process of its own or from here.

The log is what is believed: it is written by the fleet, and read back from the disk by ``doorward.practice.evidence``. A test
may wait for what the log is about to say, so nothing has to be slept for.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditor_process import environment
from doorward.practice.certificates import PracticeCertificates
from doorward.practice.evidence import Event, events, network_of
from doorward.practice.fleet import Running, fleet
from doorward.practice.holding import Holding
from doorward.practice.log import EventLog, Way
from doorward.practice.personas import PERSONAS, QueryManners
from doorward.practice.settings import ArchiveSettings, Door

#: A visit ends when the auditor hangs up; the fleet may hear of it only so much later.
HEARS_LATE_S = 0.05


class HeardLog(EventLog):
    """A log that also tells who waits for an event."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._waiting: list[tuple[Callable[[str, str], bool], asyncio.Event]] = []

    def note(self, event: str, door: str, number: int, way: Way, **details: object) -> None:
        """Write it, and wake up who waits for it."""
        super().note(event, door, number, way, **details)
        for wanted, came in self._waiting:
            if wanted(event, way[0]):
                came.set()

    async def heard(self, event: str, address: str = "") -> None:
        """Wait for the next such event ("": at any address)."""
        came = asyncio.Event()
        pair = (lambda name, at: name == event and address in ("", at)), came
        self._waiting.append(pair)
        try:
            async with asyncio.timeout(20):
                await came.wait()
        finally:
            self._waiting.remove(pair)


@dataclass(slots=True, kw_only=True)
class LoggedFleet:
    """Archives that run, and what is known of who called them."""

    running: tuple[Running, ...]
    log: HeardLog
    file: Path

    def events(self) -> list[Event]:
        """Everything that has happened so far, read from the disk."""
        self.log.flush()
        with self.file.open(encoding="ascii") as stream:
            return list(events(stream))


@asynccontextmanager
async def logged(
    archives: Sequence[ArchiveSettings],
    folder: Path,
    *,
    certificates: PracticeCertificates | None = None,
) -> AsyncIterator[LoggedFleet]:
    """Run the archives with a log in the folder."""
    file = folder / "fleet.log"
    log = HeardLog(file)
    try:
        async with fleet(archives, certificates=certificates, log=log) as running:
            yield LoggedFleet(running=running, log=log, file=file)
    finally:
        log.close()


def archive(
    name: str,
    address: str,
    port: int,
    *,
    doors: Iterable[tuple[str, int]] = (),
    studies: int = 40,
    patients: int = 10,
    **query: object,
) -> ArchiveSettings:
    """One archive of a persona, with more doors beside it; ``query`` changes its manners (``QueryManners``)."""
    persona = PERSONAS[name]
    if query:
        manners: QueryManners = replace(persona.query, **query)
        persona = replace(persona, query=manners)
    seed = int(address.rpartition(".")[2])
    return ArchiveSettings(
        persona=persona,
        address=address,
        port=port,
        holding=Holding(studies=studies, patients=patients, seed=seed),
        doors=tuple(Door(port=at, persona=PERSONAS[one]) for one, at in doors),
    )


# --- what a log shows beside what ``evidence`` reads -------------------------------------------------------------------


def most_visited_side_by_side(found: Iterable[Event]) -> dict[str, int]:
    """Return for each network the most systems that were being visited at one time.

    A visit lasts from the first connection to an address to the last sign of it.
    """
    visits: dict[str, list[float]] = {}
    for event in found:
        span = visits.setdefault(event.address, [event.t, event.t])
        span[1] = event.t
    steps: dict[str, list[tuple[float, int]]] = {}
    for address, (begin, end) in visits.items():
        late = max(begin, end - HEARS_LATE_S)
        steps.setdefault(network_of(address), []).extend(((begin, 1), (late, -1)))
    most = {}
    for network, changes in steps.items():
        now = most[network] = 0
        for _, change in sorted(changes):
            now += change
            most[network] = max(most[network], now)
    return most


# --- the auditor in a process of its own ------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Surveyed:
    """A survey that is over."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    #: Wall time (seconds since 1970) of each signal that it was sent.
    signalled: list[float] = field(default_factory=list)


async def surveyed(
    arguments: Sequence[str],
    folder: Path,
    *,
    meanwhile: Callable[[Process], Awaitable[None]] | None = None,
    timezone: str = "",
) -> Surveyed:
    """Run ``doorward survey`` to its end; ``meanwhile`` may send signals. ``timezone`` is POSIX's TZ."""
    variables = environment(folder) | ({"TZ": timezone} if timezone else {})
    errors = folder / "survey.stderr"
    with errors.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "doorward",
            "survey",
            *arguments,
            stdin=DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=folder,
            env=variables,
        )
    helper = None if meanwhile is None else asyncio.ensure_future(meanwhile(process))
    try:
        async with asyncio.timeout(40):
            stdout, _ = await process.communicate()
            if helper is not None:
                await helper
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        if helper is not None:
            helper.cancel()
    return Surveyed(exit_code=process.returncode or 0, stdout=stdout, stderr=errors.read_bytes())
