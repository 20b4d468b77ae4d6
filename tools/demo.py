"""The main job in under a minute: starts archives whose truth is known, audits them, and holds the report against the truth.

The archives are one that was never open (``doorward archive``), which is given studies first and asked by those it knows and
by strangers; practice ones; and, where Debian's Orthanc is installed, two of these. What is run are the commands that
everybody has: ``doorward archive``, ``doorward practice``, ``doorward audit``, and DCMTK's where it is installed. Ends with 0
when every verdict was the expected one, although the report is full of findings.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

import demo_archive  # noqa: E402 - found beside this file
import demo_orthanc  # noqa: E402 - found beside this file
from doorward.errors import DoorwardError  # noqa: E402 - found in src/
from doorward.practice.personas import PERSONAS  # noqa: E402 - found in src/

#: What is started: persona, studies, images of each. The first is as large as the archive of a big hospital.
ARCHIVES = (
    ("open", 250_001, 30),
    ("chatty", 12_345, 40),
    ("capped-500", 9_000, 25),
    ("no-image-counts", 4_321, 20),
    ("store-only", 2_345, 30),
    ("called-checked", 2_345, 30),
    ("tls", 3_210, 30),
    ("mutual-tls", 3_210, 30),
    ("congested", 2_345, 30),
    ("http", 0, 0),
)
#: Several personas show the auditor's care with counts: what must come out (persona -> studies, images).
COUNTS = {
    "open": ("250,001", "7,500,030"),
    "chatty": ("12,345", "493,800"),
    "capped-500": ("9,000", "225,000"),
    "no-image-counts": ("4,321", "unknown"),
    "tls": ("3,210", "96,300"),
}
#: The certificate that clients check our archive's against.
AUTHORITY = "authority.pem"
#: All ends long before; without these a demo could hang.
AUDIT_S = 40.0
PRACTICE_S = 57.0
START_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One system and what is true of it."""

    target: str
    name: str
    rungs: tuple[str, ...]
    counts: tuple[str, str] | None = None
    #: "": whatever it is.
    grade: str = ""
    #: No question to one of its doors stays without an answer.
    is_all_answered: bool = False
    #: Asked beside the port of ``target``.
    more_ports: tuple[int, ...] = ()

    @property
    def targets(self) -> list[str]:
        """What ``doorward audit`` is given."""
        address = self.target.rpartition(":")[0]
        return [self.target, *(f"{address}:{port}" for port in self.more_ports)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where reports go")
    parser.add_argument("--no-orthanc", action="store_true", help="practice archives only")
    options = parser.parse_args()
    begun = time.monotonic()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            archive, is_shut = try_archive(stack, options.folder)
            known = start_practice(stack) + ([] if options.no_orthanc else start_orthanc(stack))
            code = audit([*known, archive], options.folder)
    except DemoFailed as failed:
        print(f"demo: {failed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    if code not in (0, 1, 3):
        print(f"demo: the audit ended with exit code {code}", file=sys.stderr)
        return 2
    report = json.loads((options.folder / "report.json").read_text())
    is_right = compare([*known, archive], report) and is_shut
    print(f"\nThe report: {(options.folder / 'report.html').resolve()}")
    print(f"For scripts: {(options.folder / 'report.json').resolve()}")
    print(f"Done in {time.monotonic() - begun:.0f} s. More to try: doorward practice --list")
    return 0 if is_right else 1


class DemoFailed(Exception):
    """Something that the demo needs did not start."""


def try_archive(stack: ExitStack, folder: Path) -> tuple[Known, bool]:
    """Start an archive that was never open and try it; tell whether all came as it must.

    What clients check its certificate against is left beside the report, so that the printed audit can be understood.
    """
    print("An archive of our own: made, given studies, and asked.\n")
    try:
        archive = stack.enter_context(demo_archive.running(doorward(), environment()))
        trials = demo_archive.try_it(archive)
    except (demo_archive.ArchiveFailed, DoorwardError, subprocess.TimeoutExpired) as failure:
        raise DemoFailed(f"the archive could not be tried: {failure}") from None
    shutil.copy(archive.authority, folder / AUTHORITY)
    wrong = [trial for trial in trials if trial.seen != trial.expected]
    print()
    width = max(len(trial.what) for trial in trials)
    for one in trials:
        verdict = "as it must" if one not in wrong else f"DIFFERS: must be {one.expected}"
        print(f"{one.what:<{width}}  {one.seen:<11}  {verdict}")
    print()
    known = Known(
        target=f"{demo_archive.ADDRESS}:{archive.dicom_port}",
        more_ports=(archive.https_port,),
        name="doorward archive",
        rungs=("E1",),
        counts=("unknown", "unknown"),
        grade="A+",
        is_all_answered=True,
    )
    return known, not wrong


def start_practice(stack: ExitStack) -> list[Known]:
    """Start the practice archives on port 11112 of an address each; on free ports where that is taken."""
    for port in (11_112, 0):
        found = _start_practice(stack, port)
        if found is not None:
            return found
    raise DemoFailed("the practice archives did not start")


def _start_practice(stack: ExitStack, port: int) -> list[Known] | None:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorward-demo-")))
    settings = folder / "practice.toml"
    settings.write_text("".join(_toml(index, port) for index in range(len(ARCHIVES))))
    process = subprocess.Popen(
        [*doorward(), "practice", "--config", str(settings), "--seconds", str(PRACTICE_S)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    )
    stack.callback(end, process)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in ARCHIVES]  # "" once the process has ended
    if not all(lines):
        return None
    rows = [line.split()[:2] for line in lines]
    return [
        Known(target=place, name=name, rungs=PERSONAS[name].rungs, counts=COUNTS.get(name))
        for place, name in rows
    ]


def _toml(index: int, port: int) -> str:
    persona, studies, images = ARCHIVES[index]
    return (
        f'[[archive]]\npersona = "{persona}"\naddress = "127.0.2.{index + 1}"\nport = {port}\n'
        f"studies = {studies}\nimages = {images}\n"
    )


def start_orthanc(stack: ExitStack) -> list[Known]:
    """Start two real archives where Debian's Orthanc is installed: one opened for queries, one with its own rules."""
    program = demo_orthanc.program()
    if program is None:
        print("demo: no Orthanc here (apt-get install orthanc): practice archives only\n")
        return []
    print(
        "demo: Orthanc cannot be bound to one address. For the next seconds two of them listen on all interfaces of\n"
        "demo: this machine, with synthetic images only (make demo ARGS=--no-orthanc leaves them out).\n"
    )
    is_open = (True, False)
    instances = [
        stack.enter_context(demo_orthanc.running(program, answers_queries=one)) for one in is_open
    ]
    loaded = asyncio.run(demo_orthanc.load(instances, START_S))
    if not loaded:
        print("demo: Orthanc did not start, or did not take the images: practice archives only\n")
        return []
    holding = demo_orthanc.HOLDING
    everything = ("E1", "E2", "E3", "E4", "E5", "E6", "E7", "T")
    return [
        Known(
            target=f"127.0.3.1:{instances[0].port}",
            name="Orthanc, opened",
            rungs=everything,
            counts=(f"{holding.studies:,}", f"{holding.images:,}"),
            grade="F",
        ),
        Known(
            target=f"127.0.3.2:{instances[1].port}",
            name="Orthanc, as it comes",
            rungs=("E1", "E2", "E3", "E4", "E7", "T"),
        ),
    ]


def audit(known: Sequence[Known], folder: Path) -> int:
    """Run ``doorward audit`` as anybody would, and return its exit code."""
    command = ["audit", *(target for one in known for target in one.targets)]
    command += ["--tls-ca", str(folder / AUTHORITY)]
    command += ["--html", str(folder / "report.html"), "--json", str(folder / "report.json")]
    print(f"$ doorward {' '.join(command)}\n", flush=True)
    try:
        return subprocess.run(
            [*doorward(), *command], env=environment(), timeout=AUDIT_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        raise DemoFailed(f"the audit took more than {AUDIT_S:g} s") from None


def doorward() -> list[str]:
    return [sys.executable, "-m", "doorward"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def end(process: "subprocess.Popen[Any]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- the truth --------------------------------------------------------------------------------------------------------


def compare(known: Sequence[Known], report: dict[str, Any]) -> bool:
    """Print what each archive is beside what the audit said, and return whether all agree."""
    systems = {system["address"]: system for system in report["systems"]}
    print("\nWhat the archives really are, beside what the audit found out:\n")
    rows = [("archive", "truth", "found", "grade", "open questions", "studies", "images", "")]
    wrong = 0
    for one in known:
        system = systems.get(one.target.rpartition(":")[0])
        found = tuple(system["ladder"]) if system else ()
        counts = system["counts"] if system else {}
        told = (words(counts.get("studies")), words(counts.get("images")))
        # V is a matter of the version that is installed, not of what the archive lets people do
        agrees = tuple(r for r in found if r != "V") == one.rungs
        agrees = agrees and (told == one.counts if one.counts else True)
        grade, unanswered = (system["grade"], open_questions(system)) if system else ("", 0)
        agrees = agrees and one.grade in ("", grade) and not (one.is_all_answered and unanswered)
        wrong += not agrees
        verdict = "agrees" if agrees else "DIFFERS"
        rungs = short(one.rungs), short(found)
        rows.append((one.name, *rungs, grade, str(unanswered), *told, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"\n{len(known) - wrong} of {len(known)} agree.")
    print_side_by_side(known, systems)
    return wrong == 0


def print_side_by_side(known: Sequence[Known], systems: dict[str, dict[str, Any]]) -> None:
    """Say what strangers get of the same studies, in each archive that holds them."""
    studies = demo_orthanc.HOLDING.studies
    for one in known:
        system = systems.get(one.target.rpartition(":")[0])
        if one.grade and system is not None:
            count = words(system["counts"].get("studies"))
            shown = "nothing" if count == "unknown" else f"{count} studies"
            grade = system["grade"]
            print(f"{one.name}, {studies} studies in it: grade {grade}, strangers see {shown}.")


def open_questions(system: dict[str, Any]) -> int:
    """Return how many questions to the doors of a system have no answer; ports that are no such door are asked none."""
    undecided = ("inconclusive", "error", "not_tested")
    return sum(f["verdict"] in undecided and f["port"] is not None for f in system["findings"])


def short(rungs: Sequence[str]) -> str:
    """Return "E1-E7 T" for a row of rungs."""
    numbers = [int(rung[1:]) for rung in rungs if rung[0] == "E"]
    others = [rung for rung in rungs if rung[0] != "E"]
    runs: list[str] = []
    for number in numbers:
        if runs and int(runs[-1].rpartition("E")[2]) == number - 1:
            runs[-1] = f"{runs[-1].partition('-')[0]}-E{number}"
        else:
            runs.append(f"E{number}")
    return " ".join([*runs, *others])


def words(count: dict[str, Any] | None) -> str:
    if count is None or count["value"] is None:
        return "unknown"
    least = "at least " if count["exactness"] == "at_least" else ""
    return f"{least}{count['value']:,}"


if __name__ == "__main__":
    sys.exit(main())
