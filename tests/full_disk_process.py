"""A whole archive on a small disk that is full again and again, at drawn moments.

``FOLDER CLIENT ROUNDS SEED``: the folder lies on the small disk, in which this process takes room away and gives it back.
Printed are the lines of ``archive_process``, and

    refused DOOR STATUS     "dicom" or "web"; "ended" where the connection was
    again DOOR              room was given back, and the next instance was taken in
"""

import asyncio
import http.client
import json
import os
import random
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from archive_process import LIMITS, Senders, begun, context, ports_said, say
from archives import HOST, SYNTAXES, proposal_of
from doorward.errors import DoorwardError
from doorward.net.client import associate
from doorward.net.transfer import Instance, store
from index_entries import CT
from loopback import OpenGate
from stow_bodies import MULTIPART, file_of, multipart

#: What is left at most: less than an image, or so much that the room ends in the index or the journal.
MOST_LEFT_BYTES = 250_000
#: Refusals of one round, and instances of one round.
REFUSALS, INSTANCES = 4, 60


class _Round:
    """Sends to both doors in turn."""

    def __init__(self, senders: Senders, ports: dict[str, int], tls: ssl.SSLContext) -> None:
        self._senders, self._ports, self._tls = senders, ports, tls
        self._number = 0
        self.doors: dict[str, Callable[[Instance], Awaitable[str]]] = {
            "dicom": self._by_association,
            "web": self._by_request,
        }

    async def send(self, door: str) -> bool:
        """Send one more instance; whether it was taken in."""
        self._number += 1
        one = self._senders.instance(1 if door == "dicom" else 3, self._number)
        status = await self.doors[door](one)
        if status:
            say(f"refused {door} {status}")
        return not status

    async def _by_association(self, one: Instance) -> str:
        proposal = proposal_of("CT1", (CT, SYNTAXES))
        try:
            async with associate(
                HOST, self._ports["dicom"], proposal, gate=OpenGate(), tls=self._tls
            ) as requestor:
                status = await store(requestor, one)
        except DoorwardError:
            return "ended"
        if status:
            return f"{status:04X}"
        self._senders.acknowledged(one, status)
        return ""

    async def _by_request(self, one: Instance) -> str:
        return await asyncio.to_thread(self._post, one)

    def _post(self, one: Instance) -> str:
        whole = file_of(one, preamble=b"\1" * 128)
        connection = http.client.HTTPSConnection(
            HOST, self._ports["https"], context=self._tls, timeout=15
        )
        try:
            headers = {"Content-Type": MULTIPART}
            connection.request("POST", "/dicom-web/studies", multipart([whole]), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return "ended"
        finally:
            connection.close()
        if answer.status != 200:
            return str(answer.status)
        assert "00081199" in json.loads(content)
        self._senders.acknowledged(one, 0, whole)
        return ""


class _Ballast:
    """A file that takes room away."""

    def __init__(self, folder: Path) -> None:
        self._file = folder.parent / "ballast"

    def leave(self, free_bytes: int) -> None:
        """Take away all but so much."""
        found = os.statvfs(self._file.parent)
        size = max(1, found.f_bavail * found.f_frsize - free_bytes)
        with self._file.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def give_back(self) -> None:
        """Take nothing away any more."""
        self._file.unlink()


async def _rounds(folder: Path, one: _Round, rounds: int, chance: random.Random) -> None:
    ballast = _Ballast(folder)
    for _ in range(rounds):
        ballast.leave(chance.randrange(MOST_LEFT_BYTES))
        refusals = 0
        for _ in range(INSTANCES):
            refusals += not await one.send(chance.choice(tuple(one.doors)))
            if refusals == REFUSALS:
                break
        ballast.give_back()
        for door in one.doors:
            if not await one.send(door):
                sys.exit(f"{door} takes nothing in although there is room")
            say(f"again {door}")


def _main(folder: Path, client: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    child, reading = begun(folder, replace(LIMITS, blob_reserve_bytes=0))
    ports, tls = ports_said(reading), context(client)

    async def run() -> None:
        senders = Senders(1, ports, tls, chance)
        await _rounds(folder, _Round(senders, ports, tls), rounds, chance)
        if senders.fault:
            sys.exit(senders.fault)

    try:
        asyncio.run(run())
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
