"""An archive in a process of its own as strangers meet it, and known callers who go on working beside them.

    with hostile_archive(tmp_path) as site:
        with site.watched() as seen:
            attack(site)
        assert seen.slowest_s < 2.0

``serve PLACE`` is that process: the archive as ``doorward archive run`` runs it, with short waits. ``work PLACE`` is the known
caller: once and again an echo and a query over TLS, a search and an image over HTTPS, each on a connection of its own; each
line that it prints says what it did and how long that took.
"""

import asyncio
import json
import logging
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from archive_commands import START_S, Process
from archive_folders import NOW, calling_context, ct1, ephemeral, made, rewritten
from archives import EVERYTHING, HOST, found, proposal_of
from doorward.access.identity import Register, Role
from doorward.access.journal.reading import show
from doorward.access.journal.record import Record
from doorward.archive.archive import Archive
from doorward.archive.running.folder import Folder
from doorward.archive.running.run import run as run_archive
from doorward.archive.running.settings import DestinationRow, LegacyPort
from doorward.errors import DoorwardError
from doorward.limits import DEFAULT_LIMITS
from doorward.net.client import associate
from doorward.net.loop import run as run_loop
from doorward.net.notify import Notifier
from loopback import OpenGate
from measures.index import entries, uid_of
from stow_bodies import MULTIPART, file, multipart

ROOT = Path(__file__).resolve().parent.parent
#: Whose certificate was stolen; it calls from elsewhere. Strangers have addresses behind it.
STOLEN, THIEF = "ct9", "127.0.0.9"
#: Short where somebody waits, as shipped where something is counted.
LIMITS = replace(
    DEFAULT_LIMITS,
    artim_s=1.5,
    associate_s=2.0,
    reply_s=3.0,
    idle_s=2.5,
    tls_handshake_s=2.5,
    drain_s=1.0,
    web_head_s=2.0,
    web_idle_s=1.5,
    web_stall_s=2.0,
    stow_s=20.0,
    blob_bytes=8_000_000,
    store_bytes=16_000_000,
)
STUDIES = int(os.environ.get("DOORWARD_TEST_HOSTILE_STUDIES", "3000"))
#: What the known caller stores is named below this.
STORED = "2.25.77."
#: A known caller is served within this, whatever goes on.
SERVED_S = 2.0
_SLOWER = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One thing that the known caller did."""

    what: str
    ended: float
    seconds: float
    fault: str = ""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What became of the known caller, and of the process, while something went on."""

    done: list[Done] = field(default_factory=list)
    #: The longest that the known caller waited before; a machine may have other work.
    usual_s: float = 0.0
    peak_mib: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def slowest_s(self) -> float:
        """The longest that the known caller waited."""
        return max(one.seconds for one in self.done)

    @property
    def faults(self) -> list[str]:
        """What the known caller was not given."""
        return [f"{one.what}: {one.fault}" for one in self.done if one.fault]

    def require(self, *, most_mib: float = 350.0) -> None:
        """Fail unless everybody was served, and little was held."""
        assert not self.faults, self.faults
        assert {one.what for one in self.done} >= {"echo", "find", "search", "store"}
        allowed_s = SERVED_S + _SLOWER * self.usual_s
        assert self.slowest_s < allowed_s, max(self.done, key=lambda one: one.seconds)
        assert self.peak_mib < most_mib


@dataclass(kw_only=True)
class Site:
    """A running archive and its known caller."""

    folder: Folder
    process: Process
    contexts: dict[str, ssl.SSLContext]
    worker: "subprocess.Popen[str]"
    done: list[Done] = field(default_factory=list)
    _said: threading.Condition = field(default_factory=threading.Condition)

    @property
    def pid(self) -> int:
        """The process of the archive."""
        return self.process.process.pid

    @property
    def ports(self) -> dict[str, int]:
        """By door: "dicom", "https", "old"."""
        return self.process.ports

    def files(self) -> int:
        """How many descriptors the archive holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory_mib(self, name: str = "VmRSS") -> float:
        """A line of proc(5) in MiB."""
        said = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert said, "the archive has ended"
        return int(said[1]) / 1024

    def cpu_s(self) -> float:
        """Seconds of a processor that the archive has taken (proc(5), stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def journal_bytes(self) -> int:
        """How long the journal is."""
        return sum(path.stat().st_size for path in self.folder.journal.glob("*"))

    def journal(self) -> list[Record]:
        """The whole journal, as far as it is on disk."""
        return list(show(self.folder.journal))

    @contextmanager
    def watched(self) -> Iterator[Seen]:
        """Watch the known caller, memory and processor until the end of the block, and one more round."""
        calm = len(self.done)
        self.round_done()
        usual_s = max(one.seconds for one in self.done[calm:])
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # VmHWM begins anew
        seen, begin, cpu = Seen(usual_s=usual_s), len(self.done), self.cpu_s()
        since = time.monotonic()
        try:
            yield seen
        finally:
            self.round_done()
            seen.done = self.done[begin:]
            seen.peak_mib = self.memory_mib("VmHWM")
            seen.cpu_s = self.cpu_s() - cpu
            seen.wall_s = time.monotonic() - since

    def round_done(self, seconds: float = 30.0) -> None:
        """Wait until the known caller has begun and ended one round from now on."""
        with self._said:
            wanted = sum(one.what == "store" for one in self.done) + 2
            enough = lambda: sum(one.what == "store" for one in self.done) >= wanted  # noqa: E731
            assert self._said.wait_for(enough, seconds), "the known caller is not served any more"

    def settled(self, files: int, seconds: float = 12.0) -> None:
        """Wait until no more descriptors are open than before; the known caller has a few now and then."""
        until = time.monotonic() + seconds
        while self.files() > files + 12:
            assert time.monotonic() < until, f"{self.files()} files are open, {files} before"
            time.sleep(0.05)

    def listen(self) -> None:
        """Take what the known caller says until it ends."""
        assert self.worker.stdout is not None
        for line in self.worker.stdout:
            with self._said:
                self.done.append(Done(**json.loads(line)))
                self._said.notify_all()


# --- the process of the archive -----------------------------------------------------------------------------------------


async def _serve(place: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_archive(Folder(place, limits=LIMITS), stop=stop, notifier=Notifier())


# --- the known caller ---------------------------------------------------------------------------------------------------


async def _work(place: Path, ports: dict[str, int]) -> None:
    tls = {name: context_of(place, name) for name in ("ws1", "ct1")}
    number = 0
    while True:
        number += 1
        async with (
            _timed("echo"),
            associate(
                HOST, ports["dicom"], proposal_of("WS1"), gate=OpenGate(), tls=tls["ws1"]
            ) as requestor,
        ):
            assert await requestor.echo() == 0
        async with (
            _timed("find"),
            associate(
                HOST, ports["dicom"], proposal_of("WS1"), gate=OpenGate(), tls=tls["ws1"]
            ) as requestor,
        ):
            status, answers = await found(requestor, "STUDY", StudyInstanceUID=uid_of(7))
            assert (status, len(answers)) == (0, 1)
        async with _timed("search"):
            path = f"/dicom-web/studies?StudyInstanceUID={uid_of(7)}"
            answer = await asks(ports["https"], tls["ws1"], f"GET {path} HTTP/1.1".encode())
            assert answer.startswith(b"HTTP/1.1 200"), answer[:60]
        async with _timed("store"):
            body = multipart([file(f"{STORED}{os.getpid()}.{number}")])
            head = f"POST /dicom-web/studies HTTP/1.1\r\nContent-Type: {MULTIPART}\r\n"
            head += f"Content-Length: {len(body)}"
            answer = await asks(ports["https"], tls["ct1"], head.encode(), body)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:60]


@asynccontextmanager
async def _timed(what: str) -> AsyncIterator[None]:
    began, fault = time.monotonic(), ""
    try:
        async with asyncio.timeout(15):
            yield
    except (AssertionError, DoorwardError, OSError, TimeoutError) as error:
        fault = f"{type(error).__name__}: {error}"
    now = time.monotonic()
    said = {"what": what, "ended": now, "seconds": now - began, "fault": fault}
    os.write(1, json.dumps(said).encode() + b"\n")
    await asyncio.sleep(0.02)  # a known caller is no flood itself


async def asks(
    port: int, tls: ssl.SSLContext, head: bytes, body: bytes = b"", *, address: str = HOST
) -> bytes:
    """Ask once over HTTPS and return everything that comes; ``head`` is the line and headers but Host."""
    reader, writer = await asyncio.open_connection(
        HOST, port, ssl=tls, server_hostname="localhost", local_addr=(address, 0)
    )
    try:
        writer.write(head + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n" + body)
        return await reader.read()
    finally:
        writer.transport.abort()


# --- from nothing -------------------------------------------------------------------------------------------------------


def context_of(place: Path, name: str) -> ssl.SSLContext:
    """Return the TLS of a device, from the bundle that was made for it."""
    folder = place.parent / f"{name}-bundle"
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    context.check_hostname = False
    context.load_cert_chain(folder / f"{name}-certificate.pem", folder / f"{name}-key.pem")
    return context


async def _fill(folder: Folder, studies: int) -> None:
    archive = await Archive.open(folder.path, register=Register(), rules=EVERYTHING)
    try:
        left = entries(studies)
        while batch := list(islice(left, 500)):
            await archive.index.write(batch)
    finally:
        await archive.close()


def prepared(place: Path, destination_port: int) -> Folder:
    """Make the archive: known are ws1 and ct1, somebody who was robbed, and an old device."""
    settings = ephemeral(legacy_port=(LegacyPort(name="old", port=0),))
    folder = made(place, settings)
    row = DestinationRow(ae_title="DEAD", address=HOST, port=destination_port, plain=True)
    rewritten(folder, lambda one: replace(one, destination=(row,)))
    text = folder.settings_file.read_text()
    allowed = text.replace('# destinations = ["WS2"]', 'destinations = ["DEAD"]')
    assert allowed != text
    folder.settings_file.write_text(allowed)
    roles = {"ws1": Role.WORKSTATION, "ct1": Role.MODALITY, STOLEN: Role.MIGRATION}
    for name, role in roles.items():
        bundle = ct1(folder, name, role=role, **_ends(role))
        calling_context(bundle, place.parent / f"{name}-bundle")
    asyncio.run(_fill(folder, STUDIES))
    return folder


def _ends(role: Role) -> dict[str, Any]:
    return {"expires_at": NOW + timedelta(days=1)} if role is Role.MIGRATION else {}


def _environment() -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / name) for name in ("src", "tests", "tools"))
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": path}


def _child(*words: object, **named: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(Path(__file__)), *map(str, words)],
        stdin=subprocess.DEVNULL,
        text=True,
        env=_environment(),
        **named,
    )


@contextmanager
def hostile_archive(place: Path, destination_port: int = 9) -> Iterator[Site]:
    """Run an archive and its known caller until the end of the block."""
    folder = prepared(place / "pacs", destination_port)
    child = _child("serve", folder.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process = Process(child)
    listener = threading.Thread(target=process.listen)
    listener.start()
    try:
        assert process.until("HTTPS on", START_S), process.lines
        worker = _child("work", folder.path, json.dumps(process.ports), stdout=subprocess.PIPE)
        contexts = {name: context_of(folder.path, name) for name in ("ws1", "ct1", STOLEN)}
        site = Site(folder=folder, process=process, contexts=contexts, worker=worker)
        working = threading.Thread(target=site.listen)
        working.start()
        try:
            yield site
        finally:
            worker.kill()
            worker.wait()
            working.join()
            assert worker.stdout is not None
            worker.stdout.close()
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        listener.join()
        assert child.stderr is not None
        child.stderr.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if sys.argv[1] == "serve":
        run_loop(_serve(Path(sys.argv[2])))
    else:
        asyncio.run(_work(Path(sys.argv[2]), json.loads(sys.argv[3])))
