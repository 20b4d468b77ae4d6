"""(d) Resident memory of one idle association, on our server and on pynetdicom's.

(VmRSS with all of them open - VmRSS with one) / (their number - 1), each server a process of its own.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from measures import sinks
from measures.figures import Figure, Row
from measures.processes import Child, allow_many_files, serving
from measures.sender import association

GROUP = "d"
OURS = 1_000
PYNETDICOM = 100


def measure(*, scale: float) -> Iterator[Row]:
    """Measure both, one after the other; memory needs no rounds."""
    ours = max(20, int(OURS * scale))
    theirs = max(10, int(PYNETDICOM * scale))
    allow_many_files(ours + 200)
    with serving("measures.sinks", "ours") as server:
        mine = idle_kib(server, ours)
    with serving("measures.sinks", "pynetdicom") as server:
        other = idle_kib(server, theirs)
    yield Figure(
        group=GROUP, name=f"doorward, {ours:,} idle associations", value=f"{mine:.1f} KiB each"
    )
    yield Figure(
        group=GROUP, name=f"pynetdicom, {theirs:,} idle associations", value=f"{other:.1f} KiB each"
    )


def idle_kib(server: Child, count: int) -> float:
    """Return the resident KiB that one more idle association costs."""
    with ExitStack() as open_ones:
        open_ones.enter_context(association(server.port, sinks.TITLE))
        before = _settled_kib(server)
        for _ in range(count - 1):
            open_ones.enter_context(association(server.port, sinks.TITLE))
        after = _settled_kib(server)
    return (after - before) / (count - 1)


def _settled_kib(server: Child) -> int:
    """Return the resident memory once it stands still."""
    last = -1
    for _ in range(20):
        now = server.resident_kib()
        if now == last:
            break
        last = now
        time.sleep(0.2)
    return last
