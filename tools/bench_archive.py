"""Measures the archive beside Orthanc and dcmqrscp in one run: ``make bench-archive SCALE=0.2 ARGS="--only a d"``.

(a) taking in 525 KB, (b) tiny instances, (c) queries, (d) retrieval, (e) the memory of all of it. Every contestant of a round
is measured before the next round begins, and a ratio is the median over the rounds. A goal that is missed is said and does
not fail the run, unless --strict; a measurement that broke does. All files lie in one folder of the tree, so that
they are on the disk where an archive would be, and are deleted at the end.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "src"))

from bench import machine, measured, verdict
from measures import archive_ingest, archive_queries, archive_retrieval
from measures.archive_peers import Contestant, behind_nginx, dcmqrscp, debian_orthanc, doorward
from measures.figures import Row, table
from measures.processes import ROOT, peak_kib, program

#: Issue 5 (e).
MOST_MB = 200.0

Measure = Callable[[], Iterator[Row]]


class Bench:
    """All contestants of one run, in one folder."""

    def __init__(self, folder: Path, stack: ExitStack, rounds: int, scale: float) -> None:
        self._folder = folder
        self._stack = stack
        self._rounds = rounds
        self._scale = scale
        self._has_orthanc = program("Orthanc") is not None
        self._running: list[Contestant] | None = None
        self._peaks: list[int] = []

    def groups(self) -> dict[str, tuple[str, Measure]]:
        """Return what can be measured, by letter."""
        return {
            "a": ("taking in 525 KB", self._ct),
            "b": ("taking in tiny instances", self._tiny),
            "c": ("queries", self._queries),
            "d": ("retrieval", self._retrieval),
        }

    def note_memory(self) -> None:
        """Remember the peak of ours, while it still runs."""
        self._peaks += [peak_kib(one.pid) for one in self._running or () if one.pid]

    def memory(self) -> list[Row]:
        """Return the row for the memory."""
        return [archive_ingest.memory(max(self._peaks), MOST_MB)] if self._peaks else []

    def _contestants(self) -> list[Contestant]:
        if self._running is None:
            enter = self._stack.enter_context
            running = [*enter(doorward(self._folder / "ours"))]
            if self._has_orthanc:
                running.append(enter(debian_orthanc(self._folder / "orthanc")))
            if program("dcmqrscp") is not None:
                running.append(enter(dcmqrscp(self._folder / "dcmqrscp")))
            self._running = running
        return self._running

    def _ct(self) -> Iterator[Row]:
        contestants = self._contestants()
        return archive_ingest.measure_ct(
            contestants, self._folder, rounds=self._rounds, scale=self._scale
        )

    def _tiny(self) -> Iterator[Row]:
        rounds = min(2, self._rounds)  # each takes half a minute
        return archive_ingest.measure_tiny(self._contestants(), rounds=rounds, scale=self._scale)

    def _retrieval(self) -> Iterator[Row]:
        by_name = {one.name: one for one in self._contestants()}
        ours, theirs, theirs_tls = by_name["doorward"], by_name.get("Orthanc"), None
        with ExitStack() as stack:
            if theirs is not None and program("nginx") is not None:
                theirs_tls = stack.enter_context(behind_nginx(self._folder / "nginx", theirs))
            yield from archive_retrieval.measure(
                ours, theirs, theirs_tls, rounds=self._rounds, scale=self._scale
            )

    def _queries(self) -> Iterator[Row]:
        """Fill two archives of their own, and ask them."""
        studies = max(1_000, int(archive_queries.STUDIES * self._scale))
        with ExitStack() as stack:
            ours, _ = stack.enter_context(doorward(self._folder / "ours-full", studies=studies))
            theirs = None
            if self._has_orthanc:
                theirs = stack.enter_context(
                    debian_orthanc(self._folder / "orthanc-full", SyncStorageArea=False)
                )
                archive_queries.load(theirs.http_port, studies)
            print(f"(c) {studies:,} studies are held ...", file=sys.stderr, flush=True)
            rounds = min(3, self._rounds)
            yield from archive_queries.measure(ours, theirs, studies, rounds=rounds)
            self._peaks.append(peak_kib(ours.pid))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices="abcd", default=list("abdc"))
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many counts")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes; 10: 1,000,000 studies")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a goal is missed")
    chosen = parser.parse_args()
    begun, where = time.monotonic(), machine()
    rows: list[Row] = []
    broken: list[str] = []
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".bench-") as folder, ExitStack() as stack:
        bench = Bench(Path(folder), stack, chosen.rounds, chosen.scale)
        available = bench.groups()
        for letter in chosen.only:
            name, measure = available[letter]
            found, fault = measured(name, measure, letter)
            rows += found
            broken += [fault] if fault else []
        bench.note_memory()
        rows += bench.memory()
    print(f"{where}, {chosen.rounds} rounds, sizes x {chosen.scale:g}")
    print(table(rows))
    return verdict(rows, broken, is_strict=chosen.strict, seconds=time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main())
