"""A whole archive that is killed under load, again and again: each line that is printed was acknowledged by it before.

``killed FOLDER CLIENT TIMES SEED [SNAPSHOTS]``: one child after the other runs the archive of the folder as
``doorward archive run`` does. Two associations send to it and ask for storage commitment, two connections send by STOW.
After a drawn number of acknowledgements and a drawn moment it is killed while they go on; some children are killed while
they still start.

    life N                       one more child; how the folder was before it is in SNAPSHOTS (``power_cut``)
    stored UID DATA-SET FILE     an instance: SHA-256 of its data set, and of its file as it came ("-": no file of its own)
    aside UID DATA-SET           the same UID with another content, kept aside
    asked TRANSACTION UID,...    a request for storage commitment
"""

import asyncio
import hashlib
import http.client
import json
import logging
import os
import random
import re
import signal
import ssl
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import archives
from archive_folders import calling_context, ct1, ephemeral, made, ports_of
from archives import HOST, SYNTAXES, proposal_of
from commitment_peers import COMMITMENT, ask, information
from doorward.archive.running.folder import Folder
from doorward.archive.running.run import run
from doorward.archive.running.settings import AuditMessageSettings
from doorward.errors import DoorwardError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.client import associate
from doorward.net.notify import Notifier
from doorward.net.transfer import Instance, store
from index_entries import CT
from loopback import OpenGate
from power_cut import LIFE, snapshot
from stow_bodies import END, MULTIPART, file_of, part

MOST_ACKNOWLEDGED = 25
#: After the last acknowledgement that counts; and of a child that is killed while it starts, after its beginning.
LATEST_S, EARLIEST_START_S = 0.03, 0.4
#: One child in so many does not live to serve anybody.
KILLED_STARTING = 6
LARGEST_BYTES = 60_000
ASIDE = 0xB000
#: So small that each life moves pages from the log into the index, and begins a segment of the journal.
LIMITS = replace(DEFAULT_LIMITS, index_log_bytes=400_000, journal_segment_bytes=16_384)
#: Nobody listens there, so the audit messages stay in the spool.
NOBODY = 1


def prepare(folder: Path, client: Path) -> Folder:
    """Make the archive, and what a device needs to call it."""
    collector = AuditMessageSettings(address=HOST, port=NOBODY)
    archive = made(folder, ephemeral(audit_messages=collector))
    calling_context(ct1(archive), client)
    return archive


def environment() -> dict[str, str]:
    """What a child needs to find this tree."""
    tests = Path(__file__).resolve().parent
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHONASYNCIO")}
    return inherited | {"PYTHONPATH": os.pathsep.join([str(tests.parent / "src"), str(tests)])}


def command(
    folder: Path, client: Path, times: int, seed: int, snapshots: Path | None = None
) -> list[str]:
    """Return how this process is started."""
    words = [folder, client, times, seed, *([snapshots] if snapshots else [])]
    return [sys.executable, __file__, "killed", *map(str, words)]


def context(client: Path) -> ssl.SSLContext:
    """Return the TLS of the device that was let in."""
    context = ssl.create_default_context(cafile=str(client / "authority.pem"))
    context.load_cert_chain(client / "ct1-certificate.pem", client / "ct1-key.pem")
    return context


def say(line: str) -> None:
    """Print a line."""
    os.write(
        1, f"{line}\n".encode()
    )  # one call, below PIPE_BUF: lines of several threads stay whole


# --- the archive ------------------------------------------------------------------------------------------------------


class _Pipe(logging.Handler):
    """What the archive says goes to its parent."""

    def __init__(self, pipe: int) -> None:
        super().__init__(logging.INFO)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        os.write(self._pipe, f"{record.getMessage()}\n".encode())


def _serve(folder: Path, pipe: int, limits: Limits) -> None:
    log = logging.getLogger("doorward.archive")
    log.setLevel(logging.INFO)
    log.addHandler(_Pipe(pipe))
    asyncio.run(run(Folder(folder, limits=limits), stop=asyncio.Event(), notifier=Notifier()))


# --- those who send ---------------------------------------------------------------------------------------------------


class Senders:
    """Sends to one child until it is killed; by whom that is done, is told when enough was acknowledged."""

    def __init__(
        self, life: int, ports: dict[str, int], tls: ssl.SSLContext, chance: random.Random
    ) -> None:
        self._life, self._ports, self._tls, self._chance = life, ports, tls, chance
        self.left = chance.randint(1, MOST_ACKNOWLEDGED)
        self.fault = ""
        self.is_killed = False
        self.enough = asyncio.Event()

    async def run(self) -> None:
        """Return when nobody answers any more."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as senders:
            for sender in (1, 2):
                senders.create_task(self._associations(sender))
            for sender in (3, 4):
                senders.create_task(asyncio.to_thread(self._requests, sender, loop))

    def instance(self, sender: int, number: int, uid: str = "") -> Instance:
        """Return one more instance; an examination has eight of them."""
        root = f"2.25.{self._life}.{sender}"
        return archives.instance(
            uid or f"{root}.{number}",
            self._chance.randbytes(self._chance.randrange(1, LARGEST_BYTES)),
            StudyInstanceUID=f"{root}.9{number // 8}.1",
            SeriesInstanceUID=f"{root}.9{number // 8}.2",
        )

    def _count(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.enough.set()

    def acknowledged(self, one: Instance, status: int, file: bytes = b"") -> None:
        """Print that an instance was taken in; another status is a fault."""
        data_set = hashlib.sha256(one.data_set).hexdigest()
        if status == 0:
            whole = hashlib.sha256(file).hexdigest() if file else "-"
            say(f"stored {one.sop_instance_uid} {data_set} {whole}")
        elif status == ASIDE:
            say(f"aside {one.sop_instance_uid} {data_set}")
        else:
            self.fault = f"refused with {status:04X}"

    # --- C-STORE, N-ACTION ---

    async def _associations(self, sender: int) -> None:
        number = 0
        proposal = proposal_of("CT1", (CT, SYNTAXES), COMMITMENT)
        try:
            while not self.fault:
                async with associate(
                    HOST, self._ports["dicom"], proposal, gate=OpenGate(), tls=self._tls
                ) as requestor:
                    sent = [self.instance(sender, number + n) for n in range(1, 6)]
                    number += 5
                    for one in (*sent, *self._again(sent, sender)):
                        self.acknowledged(one, await store(requestor, one))
                        self._count()
                    uids = [one.sop_instance_uid for one in sent]
                    transaction = f"{uids[0]}.7"
                    data = information(transaction, [(CT, uid) for uid in uids])
                    asking = await ask(requestor, data)
                    if asking.response is not None and asking.response.status == 0:
                        say(f"asked {transaction} {','.join(uids)}")
        except DoorwardError as error:
            self._ended(error)

    def _ended(self, error: Exception) -> None:
        """It was killed, and so it ends; what comes earlier is a fault."""
        if not self.is_killed:
            self.fault = self.fault or f"{error!r} before it was killed"
            self.enough.set()

    def _again(self, sent: list[Instance], sender: int) -> list[Instance]:
        """Return what comes again: the same, and the same UID with another content."""
        drawn = self._chance.random()
        if drawn < 0.2:
            return [sent[0]]
        if drawn < 0.4:
            number = int(sent[1].sop_instance_uid.rpartition(".")[2])
            return [self.instance(sender, number, sent[1].sop_instance_uid)]
        return []

    # --- STOW ---

    def _requests(self, sender: int, loop: asyncio.AbstractEventLoop) -> None:
        connection = http.client.HTTPSConnection(
            HOST, self._ports["https"], context=self._tls, timeout=15
        )
        number = 0
        try:
            while not self.fault:
                count = self._chance.randint(1, 4)
                sent = [self.instance(sender, number + n) for n in range(1, count + 1)]
                number += count
                self._post(connection, sent)
                loop.call_soon_threadsafe(self._count)
        except (OSError, http.client.HTTPException) as error:
            loop.call_soon_threadsafe(self._ended, error)
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPSConnection, sent: list[Instance]) -> None:
        preamble = self._chance.choice((bytes(128), self._chance.randbytes(128)))
        files = {one.sop_instance_uid: file_of(one, preamble=preamble) for one in sent}
        body = b"".join(map(part, files.values())) + END
        headers = {"Content-Type": MULTIPART}
        connection.request("POST", "/dicom-web/studies", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            self.fault = f"STOW answered {answer.status}"
            return
        taken = {_uid_of(item) for item in json.loads(content)["00081199"]["Value"]}
        for one in sent:
            if one.sop_instance_uid in taken:
                self.acknowledged(one, 0, files[one.sop_instance_uid])


def _uid_of(item: dict[str, Any]) -> str:
    return str(item["00081155"]["Value"][0])


# --- one life after the other -----------------------------------------------------------------------------------------


def begun(folder: Path, limits: Limits = LIMITS) -> tuple[int, int]:
    """Start a child and return its process and what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            _serve(folder, writing, limits)
        except BaseException as fault:  # noqa: BLE001 - told to the parent, in the only words it hears
            os.write(writing, f"ended by {fault!r}\n".encode())
        os._exit(1)
    os.close(writing)
    return child, reading


def ports_said(reading: int) -> dict[str, int]:
    """Read what it says until everybody can call."""
    said: list[str] = []
    with os.fdopen(os.dup(reading)) as lines:
        for line in lines:
            said.append(line)
            ports = ports_of(said)
            if {"dicom", "https"} <= ports.keys():
                return ports
    sys.exit("the archive did not open: " + re.sub(r"\s+", " ", "".join(said)))


async def _life(
    number: int, child: int, ports: dict[str, int], tls: ssl.SSLContext, chance: random.Random
) -> None:
    senders = Senders(number, ports, tls, chance)
    later_s = chance.random() * LATEST_S

    async def kill() -> None:
        await senders.enough.wait()
        await asyncio.sleep(later_s)
        senders.is_killed = True
        os.kill(child, signal.SIGKILL)

    killing = asyncio.create_task(kill())
    await senders.run()
    await killing
    if senders.fault:
        sys.exit(senders.fault)


def _killed(
    folder: Path, client: Path, times: int, seed: int, snapshots: Path | None = None
) -> None:
    chance = random.Random(seed)
    tls = context(client)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for number in range(1, times + 1):
        if snapshots is not None:
            snapshot(folder, snapshots / str(number))
        say(f"{LIFE}{number}")
        child, reading = begun(folder)
        if number % KILLED_STARTING == 0:
            signal.sigtimedwait({signal.SIGCHLD}, chance.random() * EARLIEST_START_S)
            os.kill(child, signal.SIGKILL)
        else:
            asyncio.run(_life(number, child, ports_said(reading), tls, chance))
        _, status = os.waitpid(child, 0)
        signal.sigtimedwait({signal.SIGCHLD}, 0)
        os.close(reading)
        if not os.WIFSIGNALED(status):
            sys.exit("the archive ended by itself")


if __name__ == "__main__":
    places = [Path(word) for word in sys.argv[6:]]
    _killed(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), *places)
