"""Surveys the study of 2019 from a clean ledger and checks every number: ``make bench-study``, ``SCALE=100`` for a smaller one.

The fleet and ``doorward survey`` are two processes on this machine; everything is enumerated over the wire, nothing is
paced. Printed are all numbers with ok or WRONG, then time, answers a second and memory beside their targets, which are
meant for two quiet cores. A number that is wrong ends with 1; a target that is missed only with --strict.
--sixty-days surveys the fleet of November too and compares. --marginal first surveys a fleet with hardly any studies, so
that what a system costs cancels out of the rate.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "src"))

from bench import machine
from doorward.errors import DoorwardError
from doorward.practice.study_fleet import STUDIES, openable
from measures import study
from measures.processes import Broken
from measures.study import NOVEMBER, SEPTEMBER, UNPACED, Check, Fleet, Surveyed

#: The fleet at this scale holds a few dozen studies for each archive: the visits are all there is.
_HARDLY_ANY = 1_000
_MOST_WALL_S, _MOST_MB, _LEAST_RATE = 300.0, 300.0, 160_000.0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=1, help="divide the holdings of the fleet")
    parser.add_argument("--sixty-days", action="store_true", help="then November, and compare")
    parser.add_argument("--marginal", action="store_true", help="also the rate of counting alone")
    parser.add_argument("--systems", type=int, default=128, help="systems asked side by side")
    parser.add_argument("--seconds", type=float, default=1_800, help="give one survey up after")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for a missed target")
    return parser.parse_args()


def told(title: str, checks: Iterable[Check]) -> bool:
    """Print a table of numbers; return whether all are right."""
    rows = list(checks)
    width = max(len(row.name) for row in rows)
    print(f"\n{title}")
    for row in rows:
        verdict = "ok" if row.is_right else f"WRONG: {shown(row.found)}"
        print(f"  {row.name:<{width}}  {shown(row.wanted):>30}  {verdict}")
    return all(row.is_right for row in rows)


def shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, tuple):
        return " / ".join(map(shown, value))
    return str(value)


def surveyed(name: str, scale: int, folder: Path, chosen: argparse.Namespace) -> tuple[bool, bool]:
    """Survey one fleet and print all about it; return whether the numbers are right and the targets met."""
    with study.fleet(name, scale, folder) as fleet:
        done = carry_out(fleet, folder, chosen)
        fleet_mb, fleet_cpu_s = megabytes(fleet.peak_kib()), fleet.cpu_s()
    rows = study.checks(fleet.systems, study.read_report(done.report))
    is_right = told(f"{name}, scale {scale}: systems / studies / images / downloadable", rows)
    number = study.answers(fleet.systems)
    print(f"\n  {number:,} answers counted, processors busy: survey {done.cpu_s:.1f} s,", end=" ")
    print(f"fleet {fleet_cpu_s:.1f} s; peak memory of the fleet {fleet_mb:.0f} MB")
    is_met = target("wall time", done.wall_s, "s", most=_MOST_WALL_S)
    is_met &= target("peak memory of the survey", megabytes(done.peak_kib), "MB", most=_MOST_MB)
    is_met &= target("answers a second", number / done.wall_s, "/s", least=_LEAST_RATE // scale)
    if chosen.marginal:
        is_met &= marginal(name, done, number, folder, chosen)
    return is_right, is_met


def megabytes(kib: int) -> float:
    return kib * 1_024 / 1e6


def carry_out(fleet: Fleet, folder: Path, chosen: argparse.Namespace) -> Surveyed:
    print(f"surveying {fleet.name} ...", file=sys.stderr, flush=True)
    more = ("--systems", str(chosen.systems))
    return study.survey(
        fleet, folder, options=(*UNPACED, *more), most_s=chosen.seconds, quiet=False
    )


def marginal(
    name: str, whole: Surveyed, number: int, folder: Path, chosen: argparse.Namespace
) -> bool:
    """Print the rate of counting without what the visits themselves cost."""
    small = folder / "small"
    small.mkdir()
    with study.fleet(name, _HARDLY_ANY, small) as fleet:
        visits = carry_out(fleet, small, chosen)
    print(f"  {'visits alone':<28} {visits.wall_s:>12,.1f} s")
    seconds = whole.wall_s - visits.wall_s
    if seconds <= 0:
        print("  counting was too short to be told from the visits")
        return False
    rate = (number - study.answers(fleet.systems)) / seconds
    return target("answers a second, counting", rate, "/s", least=_LEAST_RATE)


def target(
    name: str, value: float, unit: str, *, most: float | None = None, least: float | None = None
) -> bool:
    is_met = value < most if most is not None else value >= (least or 0.0)
    bound = f"under {most:,.0f}" if most is not None else f"at least {least:,.0f}"
    verdict = "PASS" if is_met else "MISS"
    print(f"  {name:<28} {value:>12,.1f} {unit:<4} {verdict} ({bound})")
    return is_met


def both(folder: Path, scale: int) -> bool:
    """Compare the two surveys; print the sixty-days table and return whether it is right."""
    found = study.comparison(folder / f"{SEPTEMBER}.ledger", folder / f"{NOVEMBER}.ledger")
    before, after = (openable(STUDIES[name](scale)) for name in (SEPTEMBER, NOVEMBER))
    return told("sixty days later", study.change_checks(before, after, found))


def main() -> int:
    chosen = options()
    print(machine())
    is_right = is_met = True
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        folder = Path(name)
        try:
            for one in (SEPTEMBER, NOVEMBER) if chosen.sixty_days else (SEPTEMBER,):
                right, met = surveyed(one, chosen.scale, folder, chosen)
                is_right &= right
                is_met &= met or one == NOVEMBER
            if chosen.sixty_days:
                is_right &= both(folder, chosen.scale)
        except (Broken, DoorwardError, OSError) as fault:
            print(f"BROKEN: {fault}")
            return 1
    seconds = time.monotonic() - begun
    print(f"\n{'every number is right' if is_right else 'WRONG NUMBERS'}, {seconds:.0f} s")
    return 1 if not is_right or (chosen.strict and not is_met) else 0


if __name__ == "__main__":
    sys.exit(main())
