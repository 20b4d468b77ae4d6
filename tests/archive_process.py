"""An archive that is killed under load, again and again: each line that is printed was acknowledged by it before.

``killed FOLDER TIMES SEED``: one child after the other serves the archive in the folder; four associations send to it, and
after a drawn number of acknowledgements it is killed while they go on sending.
"""

import asyncio
import hashlib
import os
import random
import signal
import sys
from pathlib import Path

from archives import HOST, instance, legacy, opened, proposal_of, served
from doorward.errors import DoorwardError
from doorward.net.client import associate
from doorward.net.transfer import Instance, store
from loopback import OpenGate

SENDERS = 4
MOST_ACKNOWLEDGED = 25


async def _serve(folder: Path, pipe: int) -> None:
    async with (
        opened(folder, [legacy("ct1", "modality")]) as archive,
        served(archive, is_legacy=True) as port,
    ):
        os.write(pipe, b"%d\n" % port)
        await asyncio.Event().wait()


class _Life:
    """One child: what was sent to it, until it is killed."""

    def __init__(self, number: int, child: int, port: int, chance: random.Random) -> None:
        self.number, self.child, self.port, self.chance = number, child, port, chance
        self.left = chance.randint(1, MOST_ACKNOWLEDGED)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as senders:
            for sender in range(SENDERS):
                senders.create_task(self._send(sender))

    async def _send(self, sender: int) -> None:
        try:
            async with associate(HOST, self.port, proposal_of("CT1"), gate=OpenGate()) as requestor:
                for count in range(10_000):
                    uid = f"2.25.{self.number + 1}.{sender + 1}.{count + 1}"
                    one = instance(uid, self.chance.randbytes(self.chance.randrange(1, 60_000)))
                    status = await store(requestor, one)
                    self._acknowledged(one, status)
        except DoorwardError:
            return  # killed

    def _acknowledged(self, one: Instance, status: int) -> None:
        if status:
            sys.exit(f"refused with {status:04X}")
        digest = hashlib.sha256(one.data_set).hexdigest()
        os.write(1, f"{one.sop_instance_uid} {digest}\n".encode())
        self.left -= 1
        if self.left == 0:
            os.kill(self.child, signal.SIGKILL)


def _killed(folder: Path, times: int, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(times):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            asyncio.run(_serve(folder, writing))
            os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as lines:
            said = lines.readline()
        if not said:
            sys.exit("the archive did not open")
        asyncio.run(_Life(number, child, int(said), chance).run())
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit("the archive ended by itself")


if __name__ == "__main__":
    _killed(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
