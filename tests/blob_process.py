"""A process that stores blobs and says each one's name only after its commit: for strace, and to be killed.

``some FOLDER COUNT`` stores so many by four writers and ends. ``killed FOLDER TIMES SEED`` does so without end in one child
after the other, each killed at a drawn moment; its last line says how many parts lay there unfinished, all kills together.
"""

import asyncio
import itertools
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
ACKNOWLEDGED = "stored "
WRITERS = 4
#: From the start of a child to its end, drawn evenly: opening a store takes the first few milliseconds.
MOST_S = 0.09


def environment() -> dict[str, str]:
    """What a child needs to find this tree."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHONASYNCIO")}
    return inherited | {"PYTHONPATH": os.pathsep.join([str(SOURCE), str(SOURCE.parent / "tests")])}


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one call, below PIPE_BUF: a kill leaves no half of it


def _store(folder: Path, contents: Iterator[bytes], told: str) -> None:
    from blob_stores import LIMITS, put
    from doorward.archive.blobs.store import BlobStore

    store = BlobStore.open(folder, limits=LIMITS)

    async def write() -> None:
        for whole in contents:
            blob = await put(store, whole)
            _say(told + blob.digest)

    async def all_writers() -> None:
        async with asyncio.TaskGroup() as writers:
            for _ in range(WRITERS):
                writers.create_task(write())

    asyncio.run(all_writers())
    store.close()


def _drawn(chance: random.Random) -> Iterator[bytes]:
    while True:
        yield chance.randbytes(chance.randrange(1, 40_000))


def _killed(folder: Path, times: int, seed: int) -> None:
    chance = random.Random(seed)
    interrupted = 0
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for life in range(times):
        child = os.fork()
        if not child:
            _store(folder, _drawn(random.Random(seed + life)), ACKNOWLEDGED)
        ended = signal.sigtimedwait({signal.SIGCHLD}, chance.random() * MOST_S)
        if ended is not None:
            sys.exit("a child ended by itself")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        signal.sigtimedwait({signal.SIGCHLD}, 0)
        incoming = folder / "incoming"
        interrupted += len(list(incoming.iterdir())) if incoming.exists() else 0
    _say(f"interrupted {interrupted}")


def main() -> None:
    """Do what the arguments say."""
    import blob_stores  # noqa: F401 - before the first fork, so that no child has to

    match sys.argv[1:]:
        case ["some", folder, count]:
            chosen = itertools.islice(_drawn(random.Random(1)), int(count))
            _store(Path(folder), chosen, "")
        case ["killed", folder, times, seed]:
            _killed(Path(folder), int(times), int(seed))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
