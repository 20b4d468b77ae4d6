"""A process that writes a journal until it is killed: each number that it prints was acknowledged before."""

import asyncio
import os
import sys
from pathlib import Path

from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry, Event

STUDY = "1.2.826.0.1.3680043.2.1"


async def work(folder: Path, writers: int) -> None:
    """Write with so many at a time, for ever."""
    journal = Journal(folder)

    async def write(number: int) -> None:
        while True:
            entry = Entry(event=Event.STORE, studies=(f"{STUDY}.{number}",), identity=f"w{number}")
            record = await journal.write(entry)
            os.write(1, b"%d %s\n" % (record.sequence, record.digest.encode()))

    async with asyncio.TaskGroup() as group:
        for number in range(writers):
            group.create_task(write(number))


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
