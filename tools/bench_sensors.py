"""Surveys the study of 2019 by three sensors in three network namespaces: ``make bench-sensors``, ``SCALE=1000`` for less.

Each site has the fleet on its own loopback and one sensor; NATS is all that is between the sites and the coordinator. In the
middle one sensor is killed and started again, later the server is. Then every number of the study is checked, and by the
fleets' own logs who was asked what. Needs root, nats-server and iproute2. A number that is wrong ends with 1.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "src"))

from bench import machine
from bench_study import told
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.sensors.setup import SetUp, init
from doorward.practice import evidence
from doorward.practice.study_fleet import STUDIES
from measures import study
from measures.processes import Broken, allow_many_files, python
from measures.sites import HUB, sites, within
from measures.study import SEPTEMBER, Check

_PORT = 4222
#: Who asks which networks; the last one asks all others. About a third of the systems each.
_SITES: dict[str, tuple[str, ...]] = {
    "north": ("127.16.0.0/16",),
    "east": ("127.17.0.0/16", "127.18.0.0/15", "127.20.0.0/14", "127.24.0.0/14"),
    "south": (),
}
_PACE = ("--rate", "0", "--network-rate", "0", "--hosts", "48", "--network-systems", "48")
_LOOK_S = 0.2


def main() -> int:
    """Run it once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=1, help="divide the holdings of the fleet")
    parser.add_argument("--seconds", type=float, default=1_800, help="give up after")
    chosen = parser.parse_args()
    print(machine())
    allow_many_files(8_000)
    with tempfile.TemporaryDirectory(prefix="doorward-sensors-") as name, ExitStack() as stack:
        folder = Path(name)
        spaces = stack.enter_context(sites(tuple(_SITES)))
        files = init(folder / "nats", _SITES, [HUB], now=datetime.now(UTC), port=_PORT)
        try:
            is_right = carry_out(chosen.scale, chosen.seconds, folder, spaces, files, stack)
        except Broken as fault:
            print(f"BROKEN: {fault}")
            return 1
    return 0 if is_right else 1


def carry_out(
    scale: int,
    most_s: float,
    folder: Path,
    spaces: dict[str, str],
    files: SetUp,
    stack: ExitStack,
) -> bool:
    """Start everybody, kill two of them in the middle, wait for the end and check."""
    server = ("nats-server", "-c", str(files.server))
    running = stack.enter_context(_process(within(spaces["hub"]), server, folder / "server"))
    inventory = folder / "inventory.csv"
    for site in _SITES:
        options = ("--scale", scale, "--log", folder / f"{site}.events", "--inventory", inventory)
        table = folder / f"{site}.fleet"
        command = python("doorward", "practice", SEPTEMBER, *options)
        stack.enter_context(_process(within(spaces[site]), command, table))
        _until_said(table, "\nall ", f"the fleet of {site}")
    sensors = {site: _sensor(site, spaces, files, folder, stack) for site in _SITES}
    ledger, report = folder / "ledger", folder / "report.json"
    command = python("doorward", "survey", "--import", f"inventory={inventory}")
    command += ["--ledger", str(ledger), "--json", str(report), "--systems", "144"]
    command += ["--network-systems", "144", "--rate", "0", "--network-rate", "0"]
    command += ["--sensors", str(files.coordinator)]
    begun = time.monotonic()
    said = folder / "survey"
    survey = stack.enter_context(_process(within(spaces["hub"]), command, said))
    _until(lambda: _done(ledger) >= 600, most_s, "a quarter of the systems")
    sensors["north"].kill()
    print(f"sensor north killed after {_done(ledger):,} systems")
    _sensor("north", spaces, files, folder, stack)
    _until(lambda: _done(ledger) >= 1_200, most_s, "half of the systems")
    running.kill()
    running.wait()
    print(f"the server killed after {_done(ledger):,} systems")
    stack.enter_context(_process(within(spaces["hub"]), server, folder / "server-again"))
    _until(lambda: survey.poll() is not None, most_s, "the end of the survey")
    if survey.returncode not in (1, 3):
        raise Broken(f"the survey ended with {survey.returncode}: {said.read_text()[-800:]}")
    print(f"surveyed in {time.monotonic() - begun:.0f} s")
    systems = STUDIES[SEPTEMBER](scale)
    is_right = told("the study by three sensors", study.checks(systems, study.read_report(report)))
    return told("who was asked what", _manners(folder, ledger)) and is_right


def _manners(folder: Path, ledger: Path) -> Iterator[Check]:
    with Ledger.read(ledger) as read:
        judged = [one.address for one in read.standings(1)]
    yield Check(name="systems judged", wanted=2_300, found=len(judged))
    yield Check(name="judged twice", wanted=0, found=len(judged) - len(set(judged)))
    for site in _SITES:
        with (folder / f"{site}.events").open() as lines:
            seen = list(evidence.events(lines))
        most = evidence.most_associations_open(seen, evidence.By.ADDRESS)
        name = f"most associations open at one system of {site}"
        yield Check(name=name, wanted=1, found=max(most.values()))
        if site != "north":  # its sensor was killed between an answer and its delivery, perhaps
            repeated = len(evidence.repeated(evidence.questions(seen)))
            yield Check(name=f"questions asked twice in {site}", wanted=0, found=repeated)


def _sensor(
    site: str, spaces: dict[str, str], files: SetUp, folder: Path, stack: ExitStack
) -> "subprocess.Popen[bytes]":
    command = python("doorward", "sensor", "run", "--config", files.sensors[site], *_PACE)
    log = folder / f"{site}-{time.monotonic_ns()}.sensor"
    return stack.enter_context(_process(within(spaces[site]), command, log))


@contextmanager
def _process(
    wrapper: Sequence[str], command: Sequence[str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(log.parent), "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _done(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with Ledger.read(ledger) as read:
        return read.progress(1).done if read.scans() else 0


def _until_said(log: Path, words: str, what: str) -> None:
    _until(lambda: words in log.read_text(), 30, what)


def _until(is_so: Callable[[], bool], most_s: float, what: str) -> None:
    until = time.monotonic() + most_s
    while not is_so():
        if time.monotonic() > until:
            raise Broken(f"{what}: waited {most_s:g} s in vain")
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
