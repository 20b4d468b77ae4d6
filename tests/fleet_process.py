"""Open practice archives as a process of their own, in whatever network namespace it is started.

    python fleet_process.py LOG ADDRESS:PORT:STUDIES...

Says "ready" when all are open, and ends with its standard input.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
IMAGES_PER_STUDY = 3


async def serve(log_file: str, texts: list[str]) -> None:
    """Serve until standard input ends."""
    from doorward.practice.fleet import fleet
    from doorward.practice.log import EventLog
    from doorward.practice.settings import from_names

    archives = []
    for text in texts:
        address, port, studies = text.split(":")
        (one,) = from_names(["open"], studies=int(studies), images=IMAGES_PER_STUDY)
        archives.append(replace(one, address=address, port=int(port)))
    log = EventLog(Path(log_file))
    async with fleet(archives, log=log):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
    log.close()


if __name__ == "__main__":
    sys.path.insert(0, str(SOURCE))
    asyncio.run(serve(sys.argv[1], sys.argv[2:]))
