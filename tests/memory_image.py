"""Looks for bytes in the memory of a living process: what a core dump of it would hold (proc(5), /proc/PID/mem)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Pages of the kernel that every process shows.
_NOT_OURS = ("[vvar]", "[vsyscall]", "[vdso]")
#: Read at a time; windows overlap by the longest needle.
_BLOCK = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One place where a needle lies. ``around`` is what stands there, for a person who looks for the cause."""

    address: int
    region: str
    around: bytes


def needles(words: Sequence[bytes]) -> list[bytes]:
    """The words as bytes and as Python's wider strings hold them."""
    texts = [word.decode("ascii") for word in words]
    return [
        *words,
        *(t.encode("utf-16-le") for t in texts),
        *(t.encode("utf-32-le") for t in texts),
    ]


def regions(pid: int) -> Iterator[tuple[int, int, str]]:
    """Start, end and name of everything that the process may read."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        parts = line.split(maxsplit=5)
        name = parts[5] if len(parts) > 5 else "anonymous"
        if "r" in parts[1] and name not in _NOT_OURS:
            start, end = (int(number, 16) for number in parts[0].split("-"))
            yield start, end, name


def traces(pid: int, words: Sequence[bytes]) -> list[Trace]:
    """Every place in the memory of the process where one of the words lies, in any of Python's encodings.

    Raises PermissionError where the system forbids to look.
    """
    wanted = needles(words)
    overlap = max(map(len, wanted))
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end, name in regions(pid):
            for at in range(start, end, _BLOCK):
                memory.seek(at)
                try:
                    block = memory.read(min(_BLOCK + overlap, end - at))
                except OSError:
                    continue  # mapped, and not there: a guard page
                found += [
                    Trace(
                        address=at + place,
                        region=name,
                        around=block[max(0, place - 32) : place + 48],
                    )
                    for needle in wanted
                    for place in places(block, needle)
                ]
    return found


def places(block: bytes, needle: bytes) -> Iterator[int]:
    """Where the needle lies in the block."""
    place = block.find(needle)
    while place >= 0:
        yield place
        place = block.find(needle, place + 1)


def peak_mib() -> float:
    """Most resident memory that this process ever had (VmHWM).

    Not ``ru_maxrss``: that of a child begins with what its parent had before the child's program was loaded.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
