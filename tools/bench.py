"""Measures Doorward against real peers in one run and prints the table: ``make bench ARGS="--only a b"``.

Groups: (a) counting C-FIND answers, (b) hosts a second, (c) C-STORE receive, (d) memory of idle associations, (e) process
start, (f) every door of 500 systems, (g) blobs made durable; the last two take minutes and only run when asked for. Every
contestant of a round is measured before the next round begins. A target that is missed is said loudly and does not fail the
run, unless --strict; a measurement that broke does. docs/performance.md holds the last figures.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "src"))

from doorward.errors import DoorwardError
from measures import blobs, counting, doors, hosts, memory, receiving, startup
from measures.figures import Figure, Missing, Row, table
from measures.processes import Broken

#: What --quick and --tiny shrink the sizes to.
QUICK = 0.25
TINY = 0.01


def groups(rounds: int, scale: float) -> dict[str, tuple[str, Callable[[], Iterator[Row]]]]:
    """Return what can be measured, by letter."""
    return {
        "a": ("counting C-FIND answers", lambda: counting.measure(rounds=rounds, scale=scale)),
        "b": ("asking hosts", lambda: hosts.measure(rounds=rounds, scale=scale)),
        "c": ("receiving C-STORE", lambda: receiving.measure(rounds=rounds, scale=scale)),
        "d": ("memory of idle associations", lambda: memory.measure(scale=scale)),
        "e": ("process start", lambda: startup.measure(rounds=rounds)),
        "f": ("every door", lambda: doors.measure(scale=scale)),
        "g": ("storing blobs", lambda: blobs.measure(rounds=rounds, scale=scale)),
    }


def machine() -> str:
    """Return what the figures were measured on."""
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {load:.1f}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def measured(
    name: str, measure: Callable[[], Iterator[Row]], letter: str
) -> tuple[list[Row], str | None]:
    """Run one group; return its rows and what broke."""
    print(f"({letter}) {name} ...", file=sys.stderr, flush=True)
    rows: list[Row] = []
    try:
        rows.extend(measure())
    except (Broken, DoorwardError, OSError) as fault:
        rows.append(Missing(group=letter, name=name, reason=f"BROKEN: {fault}"))
        return rows, f"({letter}) {fault}"
    return rows, None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices="abcdefg", default=list("abcde"))
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many counts")
    parser.add_argument("--quick", action="store_true", help="small sizes, 3 rounds")
    parser.add_argument("--tiny", action="store_true", help="does it run at all? 1 round")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    chosen = parser.parse_args()
    rounds = 1 if chosen.tiny else min(3, chosen.rounds) if chosen.quick else chosen.rounds
    scale = TINY if chosen.tiny else QUICK if chosen.quick else 1.0

    begun = time.monotonic()
    where = machine()
    rows: list[Row] = []
    broken: list[str] = []
    available = groups(rounds, scale)
    for letter in chosen.only:
        name, measure = available[letter]
        found, fault = measured(name, measure, letter)
        rows += found
        broken += [fault] if fault else []
    print(f"{where}, {rounds} rounds, sizes x {scale:g}")
    print(table(rows))
    return verdict(rows, broken, is_strict=chosen.strict, seconds=time.monotonic() - begun)


def verdict(rows: list[Row], broken: list[str], *, is_strict: bool, seconds: float) -> int:
    """Say what was missed and what broke, and return the exit code."""
    missed = [row for row in rows if isinstance(row, Figure) and row.is_missed]
    for row in missed:
        print(f"MISSED: ({row.group}) {row.name}: {row.ratio:.2f}x, wanted {row.target:g}x")
    for fault in broken:
        print(f"BROKEN: {fault}")
    targets = sum(isinstance(row, Figure) and row.target is not None for row in rows)
    absent = sum(isinstance(row, Missing) for row in rows) - len(broken)
    print(
        f"{targets - len(missed)} of {targets} targets reached, {absent} not measured for want of a"
        f" peer, {len(broken)} broken, {seconds:.0f} s"
    )
    return 1 if broken or (is_strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
