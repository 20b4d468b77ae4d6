"""The practice studies surveyed as an operator would do it, and every number held against the fleet's own truth.

Theory of operation: the fleet is one process, ``doorward survey`` another, and between them there is only the wire. What
must be found comes from ``practice.study_system.truth``, what was found from the JSON report; of each system too, so that
no two errors cancel out. The report is read line by line: it is larger than the memory that the auditor may have.
``bench_study`` prints it, tests/interop/test_study.py asserts it.
"""

import json
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doorward.practice.sixty_days import differences
from doorward.practice.study_fleet import STUDIES, openable
from doorward.practice.study_numbers import changes, countries
from doorward.practice.study_system import StudySystem, Sums, truth
from measures.processes import START_S, Broken, allow_many_files, environment, peak_kib, python

SEPTEMBER, NOVEMBER = STUDIES
#: How an operator surveys what he may ask as fast as he likes: no pace, many side by side.
UNPACED = (
    *("--rate", "0", "--network-rate", "0"),
    *("--systems", "128", "--network-systems", "64"),
)
#: ``doorward survey`` ends so where something was found, or a question stayed without an answer.
_CODES = (0, 1, 3)
_SYSTEMS = '"systems": ['


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One number that must be right."""

    name: str
    wanted: object
    found: object

    @property
    def is_right(self) -> bool:
        """It is what it must be."""
        return self.wanted == self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A running practice study."""

    pid: int
    name: str
    systems: tuple[StudySystem, ...]
    inventory: Path
    log: Path | None

    def peak_kib(self) -> int:
        """Return the largest resident memory that it ever had, in KiB."""
        return peak_kib(self.pid)

    def cpu_s(self) -> float:
        """Return the seconds that it has kept a processor busy (fields 14 and 15 of proc(5) stat)."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """One life of a survey that has ended."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_kib: int
    report: Path
    ledger: Path


# --- the two processes ------------------------------------------------------------------------------------------------


@contextmanager
def fleet(name: str, scale: int, folder: Path, *, log: Path | None = None) -> Iterator[Fleet]:
    """Run a practice study until the context is left; raises Broken where it does not start."""
    allow_many_files(8_000)
    inventory = folder / f"{name}.csv"
    complaints = folder / f"{name}.stderr"
    options: list[object] = ["--scale", scale, "--inventory", inventory]
    options += [] if log is None else ["--log", log]
    with complaints.open("wb") as stderr:
        process = subprocess.Popen(
            python("doorward", "practice", name, *options),
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_environment(folder),
        )
    try:
        if not _is_complete(process):
            raise Broken(f"{name} did not start: {complaints.read_text()[-800:]}")
        yield Fleet(
            pid=process.pid,
            name=name,
            systems=openable(STUDIES[name](scale)),
            inventory=inventory,
            log=log,
        )
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _is_complete(process: "subprocess.Popen[bytes]") -> bool:
    """Tell whether the table of the fleet came to its end: then every archive answers."""
    assert process.stdout is not None
    said = b""
    until = time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, until - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), 65_536)
            said += chunk
            if not chunk or (said.endswith(b"\n") and b"\nall " in said):
                break
    return b"\nall " in said


def survey(
    on: Fleet,
    folder: Path,
    *,
    options: Sequence[str] = UNPACED,
    most_s: float = 900.0,
    quiet: bool = True,
) -> Surveyed:
    """Survey a fleet from a clean ledger in a process of its own; raises Broken where it fails or takes too long."""
    ledger, report = folder / f"{on.name}.ledger", folder / f"{on.name}.json"
    peak = folder / "survey.peak"
    command = python("measures.observed", peak, "survey", "--import", f"inventory={on.inventory}")
    command += ["--ledger", str(ledger), "--json", str(report), *options]
    complaints = folder / "survey.stderr"
    begun = time.perf_counter()
    with complaints.open("wb") as stderr, (folder / f"{on.name}.txt").open("wb") as stdout:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr if quiet else None, env=_environment(folder)
        )
    clock = threading.Timer(most_s, process.kill)
    clock.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        clock.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begun
    if process.returncode not in _CODES:
        said = complaints.read_text()[-800:]
        raise Broken(f"the survey ended with {process.returncode} after {wall_s:.0f} s: {said}")
    return Surveyed(
        exit_code=process.returncode,
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_kib=int(peak.read_text()),
        report=report,
        ledger=ledger,
    )


def comparison(before: Path, after: Path) -> dict[str, Any]:
    """Return what ``doorward ledger compare`` says of two ledgers; raises Broken where it fails."""
    command = python("doorward", "ledger", "compare", before, after, "--json", "-")
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=_environment(before.parent),
    )
    if done.returncode:
        raise Broken(f"the comparison ended with {done.returncode}: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _environment(folder: Path) -> dict[str, str]:
    """Return what the processes see; not the knowledge that whoever runs this has taken in (XDG Base Directory)."""
    return environment() | {"XDG_DATA_HOME": str(folder)}


# --- one survey -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a JSON report says: the frame as it is, and of each system its numbers."""

    frame: Mapping[str, Any]
    #: Address -> (studies, images, patients, images that can be taken) of systems that answer strangers.
    open: Mapping[str, tuple[int | None, ...]]
    set_apart: frozenset[str]
    #: Open systems with a number that was not counted to the last one.
    inexact: frozenset[str]


def read_report(file: Path) -> Report:
    """Return the report of a survey, read line by line as ``audit.report.survey`` writes it."""
    head: list[str] = []
    found: dict[str, tuple[int | None, ...]] = {}
    set_apart: set[str] = set()
    inexact: set[str] = set()
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            if line.strip() == _SYSTEMS:
                break
            head.append(line)
        for line in stream:
            if not line.startswith("    {"):
                continue
            system = json.loads(line.strip().removesuffix(","))
            if system["honeypot"]["is_suspected"]:
                set_apart.add(system["address"])
            elif "E5" in system["ladder"]:
                found[system["address"]] = _numbers(system)
                if any(not c["exactness"].startswith("exact") for c in _counts(system)):
                    inexact.add(system["address"])
    frame = json.loads("".join((*head, _SYSTEMS, "]}")))
    return Report(
        frame=frame, open=found, set_apart=frozenset(set_apart), inexact=frozenset(inexact)
    )


def _counts(system: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the counts of a system; that of what can be taken only where anything can."""
    names = ["studies", "images", "patients"]
    names += ["images_downloadable"] if "E6" in system["ladder"] else []
    return [system["counts"][name] for name in names]


def _numbers(system: Mapping[str, Any]) -> tuple[int | None, ...]:
    numbers = [count["value"] for count in _counts(system)]
    return tuple(numbers) if len(numbers) == 4 else (*numbers, 0)


def checks(systems: Sequence[StudySystem], report: Report) -> Iterator[Check]:
    """Yield every number that a survey of the fleet must find, with what it found."""
    wanted = truth(systems)
    totals = report.frame["totals"]
    yield from _totals(wanted.total, totals)
    exposed = len(wanted.exposed_countries)
    yield Check(name="countries", wanted=exposed, found=totals["exposed_countries"])
    yield Check(
        name="web viewers over plain HTTP",
        wanted=wanted.total.viewers,
        found=totals["web_viewers_plain_http"],
    )
    yield Check(
        name="file servers", wanted=wanted.total.file_servers, found=totals["file_listings"]
    )
    yield from _countries(wanted.countries, report.frame["countries"])
    yield from _each(systems, report)


def _totals(wanted: Sums, totals: Mapping[str, Any]) -> Iterator[Check]:
    for name, number, found in (
        ("systems", wanted.systems - wanted.set_apart, totals["systems"]),
        ("set apart", wanted.set_apart, totals["left_out"]),
        ("unprotected", wanted.unprotected, totals["unprotected"]),
        ("giving images away", wanted.retrievable, totals["downloadable"]),
        ("studies", wanted.studies, totals["studies"]["value"]),
        ("images", wanted.images, totals["images"]["value"]),
        ("downloadable", wanted.images_retrievable, totals["images_downloadable"]["value"]),
        ("patients", wanted.patients, totals["patients"]["value"]),
    ):
        yield Check(name=name, wanted=number, found=found)


#: systems, studies, images, downloadable images
_Row = tuple[int, int, int, int]


def _countries(wanted: Mapping[str, Sums], found: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """Yield a row for each country of which any number was published, and one for all others."""
    truly = {code: _true_row(sums) for code, sums in wanted.items() if sums.unprotected}
    seen = {row["country"]: _found_row(row) for row in found if row["unprotected"]}
    named = {row.country for row in countries() if not row.is_drawn}
    named |= {code for code, row in changes().items() if row.published}
    for code in [code for code in truly if code in named]:
        yield Check(name=f"{code}, as published", wanted=truly[code], found=seen.get(code))
    others = {code: row for code, row in truly.items() if code not in named}
    right = sum(seen.get(code) == row for code, row in others.items())
    yield Check(name="other countries that are right", wanted=len(others), found=right)
    yield Check(name="countries too many", wanted=0, found=len(seen.keys() - truly.keys()))


def _true_row(sums: Sums) -> _Row:
    return sums.unprotected, sums.studies, sums.images, sums.images_retrievable


def _found_row(row: Mapping[str, Any]) -> _Row:
    studies, images = (row[name]["value"] for name in ("studies", "images"))
    # Where nothing can be taken and a neighbour was silent, the report says that it does not know.
    downloadable = row["images_downloadable"]["value"] if row["downloadable"] else 0
    return row["unprotected"], studies, images, downloadable


def _each(systems: Sequence[StudySystem], report: Report) -> Iterator[Check]:
    exposed = {
        s.address: (s.studies, s.images, s.patients, s.images if s.is_retrievable else 0)
        for s in systems
        if s.is_unprotected
    }
    apart = {s.address for s in systems if s.is_set_apart}
    right = sum(report.open.get(address) == row for address, row in exposed.items())
    yield Check(name="archives that are right one by one", wanted=len(exposed), found=right)
    yield Check(name="closed, said to be open", wanted=0, found=len(report.open.keys() - exposed))
    yield Check(name="not counted to the last one", wanted=0, found=len(report.inexact))
    yield Check(
        name="honeypots and demonstrations, each",
        wanted=len(apart),
        found=len(apart) if report.set_apart == apart else sorted(report.set_apart ^ apart),
    )


def answers(systems: Sequence[StudySystem]) -> int:
    """Return how many answers a survey counts: one for each patient and each study of whoever answers."""
    return sum(
        s.studies + s.patients for s in systems if s.archive_port in s.asked and s.archive_port
    )


# --- two surveys ------------------------------------------------------------------------------------------------------


def change_checks(
    before: Sequence[StudySystem], after: Sequence[StudySystem], found: Mapping[str, Any]
) -> Iterator[Check]:
    """Yield every number of the sixty-days table, with what the comparison of the two surveys says."""
    wanted = differences(before, after)
    for name, number, seen in (
        ("unprotected in September", truth(before).total.unprotected, "before"),
        ("unprotected in November", truth(after).total.unprotected, "after"),
    ):
        yield Check(name=name, wanted=number, found=found[seen]["unprotected"])
    yield Check(name="new", wanted=len(wanted.new), found=found["new"])
    for change, addresses in (
        ("still_open", wanted.still_open),
        ("gone", wanted.gone),
        ("newly_open", wanted.newly_open),
        ("newly_listed", wanted.newly_listed),
        ("method_improved", wanted.by_method),
    ):
        yield _change(change, addresses, found)
    for change in ("closed", "set_apart", "unknown_now", "unknown_before"):
        yield Check(name=change.replace("_", " "), wanted=0, found=found["numbers"][change])
    for name, codes in (
        ("clean_countries", wanted.clean_countries),
        ("new_countries", wanted.new_countries),
    ):
        yield _set(name, codes, found[name])


def _change(change: str, addresses: Collection[str], found: Mapping[str, Any]) -> Check:
    seen = [one["address"] for one in found["systems"] if one["change"] == change]
    return _set(change, addresses, seen)


def _set(name: str, wanted: Collection[str], seen: Collection[str]) -> Check:
    """Compare two sets, shown by their sizes where they are the same."""
    name = name.replace("_", " ")
    if set(wanted) == set(seen):
        return Check(name=name, wanted=len(wanted), found=len(seen))
    return Check(name=name, wanted=len(wanted), found=f"{len(seen)}, others than these")
