"""A process that writes an index and says each instance only after its commit: to be killed.

``killed FOLDER TIMES SEED`` writes without end in one child after the other, each killed at a drawn moment.
"""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

WRITERS = 4
#: From the start of a child to its end, drawn evenly.
MOST_S = 0.15


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one call, below PIPE_BUF: a kill leaves no half of it


def _write(folder: Path, life: int) -> None:
    from doorward.archive.index.index import Index
    from index_entries import entry

    index = Index.open(folder / "index")

    async def write(writer: int) -> None:
        for number in range(1_000_000):
            # A new study now and then; its series come from all writers.
            study = f"{life}{number // 20:04}"
            uids = [f"{study}.{number % 2}.{writer}{number}{n}" for n in range(1 + number % 3)]
            await index.write([entry(uid, PatientID=f"P{study}") for uid in uids])
            _say(" ".join(uids))

    async def all_writers() -> None:
        async with asyncio.TaskGroup() as writers:
            for writer in range(WRITERS):
                writers.create_task(write(writer))

    asyncio.run(all_writers())


def main() -> None:
    """Do what the arguments say."""
    import doorward.archive.index.index  # noqa: F401 - before the first fork, so that no child has to
    import index_entries  # noqa: F401

    folder, times, seed = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    chance = random.Random(seed)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for life in range(1, times + 1):
        child = os.fork()
        if not child:
            _write(folder, life)
        ended = signal.sigtimedwait({signal.SIGCHLD}, 0.02 + chance.random() * MOST_S)
        if ended is not None:
            sys.exit("a child ended by itself")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        signal.sigtimedwait({signal.SIGCHLD}, 0)


if __name__ == "__main__":
    main()
