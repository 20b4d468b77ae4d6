"""(g) Another tool's findings: a masscan file of 1 GB read in a process of its own, which never holds it.

The peak is VmHWM of proc(5), once for a tenth of the file and once for all of it: it must not grow with the file. The file
is made while it is read, so that no disk is measured. Run alone it reads one file and prints what it came to:
``python -m measures.import_stream MEGABYTES``.
"""

import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from doorward.audit.imports import masscan
from doorward.audit.imports.sighting import ImportOptions, Sighting
from measures.figures import Figure, Row
from measures.processes import Broken, output_of, peak_kib, python

GROUP = "g"
MEGABYTES = 1_000
#: What the reader may take, whatever the size of the file.
MOST_KIB = 60 * 1024
#: The peak for all of it against the peak for a tenth: allocators keep a little more over time.
TARGET_CONSTANT = 0.8
_DOORS_PER_BLOCK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One file, read to its end."""

    megabytes: int
    doors: int
    seconds: float
    peak_kib: int


class Scan(io.RawIOBase):
    """What ``masscan -oJ --banners`` writes, without end but for its size: one block of records again and again."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._block = block()
        self._left = size // len(self._block)
        #: Records that will be given.
        self.doors = self._left * _DOORS_PER_BLOCK
        self._rest = b"[\n"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if not self._rest and self._left >= 0:
            self._left -= 1
            self._rest = self._block if self._left >= 0 else b"]\n"
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def block() -> bytes:
    """Return records of a thousand doors, every tenth one with a banner, in masscan's own layout."""
    return "".join(
        f'{{   "ip": "10.{n % 223}.{n // 223}.7",   "timestamp": "1573000000", "ports": [ {{"port": 104,'
        f' "proto": "tcp", {_found(n)}}} ] }}\n,\n'
        for n in range(_DOORS_PER_BLOCK)
    ).encode()


def _found(number: int) -> str:
    if number % 10:
        return '"status": "open", "reason": "syn-ack", "ttl": 53'
    return f'"service": {{"name": "http", "banner": "{"HTTP/1.1 200 OK " * 40}"}} '


def measure(*, scale: float) -> Iterator[Row]:
    """Measure a tenth of the file and the whole."""
    whole = max(20, int(MEGABYTES * scale))
    few, all_of_it = passage(max(2, whole // 10)), passage(whole)
    yield Figure(
        group=GROUP,
        name=f"masscan file of {whole:,} MB",
        value=f"{whole / all_of_it.seconds:.1f} MB/s",
        note=f"{all_of_it.doors / all_of_it.seconds:,.0f} doors/s",
    )
    yield Figure(
        group=GROUP,
        name=f"peak memory for {whole:,} MB, {MOST_KIB // 1024} MiB / peak",
        value=f"{all_of_it.peak_kib / 1024:.1f} MiB",
        ratio=MOST_KIB / all_of_it.peak_kib,
        target=1.0,
    )
    yield Figure(
        group=GROUP,
        name="peak memory for a tenth / for all of it",
        value=f"{few.peak_kib / 1024:.1f} MiB for a tenth",
        ratio=few.peak_kib / all_of_it.peak_kib,
        target=TARGET_CONSTANT,
    )


def passage(megabytes: int) -> Passage:
    """Read a file of that size in a child; raises Broken where a door was lost."""
    _, output = output_of(python("measures.import_stream", megabytes), most_s=600)
    return Passage(**json.loads(output))


def read(megabytes: int) -> Passage:
    """Read a file of that size here; raises Broken where a door was lost."""
    scan = Scan(megabytes * 1_000_000)
    begun = time.perf_counter()
    items = masscan.read(io.BufferedReader(scan), Path("scan.json"), ImportOptions())
    doors = sum(isinstance(item, Sighting) for item in items)
    seconds = time.perf_counter() - begun
    if doors != scan.doors:
        raise Broken(f"{doors:,} doors of {scan.doors:,} came out")
    return Passage(megabytes=megabytes, doors=doors, seconds=seconds, peak_kib=peak_kib())


if __name__ == "__main__":
    print(json.dumps(asdict(read(int(sys.argv[1])))))
