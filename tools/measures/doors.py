"""(f) Every door of many systems: the whole audit at level 2 against ``nmap -sV`` with its DICOM, HTTP and TLS scripts.

Both visit the same addresses with the same eight ports, as whole processes with start-up. Ours asks, counts, judges and
writes the JSON report; pauses for manners are off. nmap recognises versions and runs four scripts; it counts nothing.
nmap is asked about fewer systems, because a port that is silent or unknown to it costs it minutes; rates are per system.
``python -m measures.doors COUNT PORT...`` is our contestant.
"""

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measures.doorkeepers import STUDIES, is_open
from measures.figures import Figure, Missing, Row, compared, rate
from measures.processes import (
    Broken,
    TooSlow,
    allow_many_files,
    output_of,
    peak_kib,
    program,
    report,
    serving,
)
from measures.street import listener

if TYPE_CHECKING:
    from doorward.audit.facts import Attempt, SystemFacts
    from doorward.audit.targets import Target

GROUP = "f"
SYSTEMS = 500
FIRST = IPv4Address("127.3.0.1")
#: The door and where it may be: the product asks by the number of the port. The first free one is taken.
DOORS = {
    "dicom": (104, 11_112, 4_242),
    "dicom-tls": (2_762,),
    "http": (8_042, 8_080),
    "https": (443, 8_443),
    "hl7": (2_575,),
    "postgresql": (5_432,),
    "redis": (6_379,),
    "ftp": (21,),
}
#: nmap as it recognises versions by default, and with the likely questions only; on how many systems at most.
#: nmap -sV waits for each door that says nothing to each of its questions; longer than this nobody waits for a bench.
_NMAP_MOST_S = 300.0
_KINDS = (("nmap -sV", (), 8), ("nmap -sV --version-light", ("--version-light",), 40))
#: Below it two systems are enough and nmap, which takes a minute and more for one, is left out.
_LEAST_SCALE = 0.1
_OPEN_PORT = re.compile(r"^[0-9]+/tcp +open ", re.MULTILINE)
SCRIPTS = "dicom-ping,http-title,http-server-header,ssl-cert"


def addresses(count: int) -> list[str]:
    """Return that many loopback addresses."""
    return [str(FIRST + number) for number in range(count)]


def measure(*, scale: float) -> Iterator[Row]:
    """Measure both, one after the other, on the same street; one round takes minutes."""
    is_tiny = scale < _LEAST_SCALE
    count = 2 if is_tiny else int(SYSTEMS * scale)
    doors, missing = _free_doors()
    if missing:
        yield Missing(group=GROUP, name="all doors", reason=missing)
        return
    given = [f"{door}={port}" for door, port in doors.items()]
    with tempfile.TemporaryDirectory() as folder, serving("measures.street", folder, *given):
        found = report("measures.doors", count, *doors.values(), most_s=900)
        _require(found["seen"], count, doors)
        ours = [count / found["wall_s"]]
        yield rate(GROUP, f"doorward, {count} systems of 8 doors", ours, "systems/s", digits=2)
        peak = f"{found['peak_kib'] / 1024:.1f} MiB"
        yield Figure(group=GROUP, name="its peak memory", value=peak, note="report included")
        nmap = program("nmap")
        if nmap is None:
            yield Missing(group=GROUP, name="nmap -sV", reason="nmap is not installed")
            return
        for kind, options, most in () if is_tiny else _KINDS:
            few = min(most, count)
            seconds = _nmap(nmap, few, list(doors.values()), options)
            if seconds is None:
                bound = f"under {few / _NMAP_MOST_S:.3f}"
                note = f"systems/s: {few} systems were not done after {_NMAP_MOST_S:.0f} s"
                yield Figure(group=GROUP, name=kind, value=bound, note=note)
                continue
            theirs = [few / seconds]
            yield rate(GROUP, f"{kind}, {few} systems", theirs, "systems/s", digits=2)
            yield compared(GROUP, f"doorward / {kind}", ours, theirs)


def _free_doors() -> tuple[dict[str, int], str]:
    """Return a free port for each door, and what stands in the way."""
    doors: dict[str, int] = {}
    reason = ""
    for door, ports in DOORS.items():
        for port in ports:
            try:
                listener(port).close()
            except OSError as error:
                reason = f"port {port} cannot be had ({error.strerror})"
                continue
            doors[door] = port
            break
        else:
            return {}, reason
    return doors, ""


def _nmap(nmap: str, count: int, ports: Sequence[int], options: Sequence[str]) -> float | None:
    """Return how long nmap takes, None where it is not done in time: a bound is a figure too."""
    with tempfile.TemporaryDirectory() as folder:
        targets = Path(folder) / "targets"
        targets.write_text("\n".join(addresses(count)))
        command = [nmap, "-sV", "-n", "-Pn", "-T4", "--max-retries", "1", "--script", SCRIPTS]
        command += [*options, "-p", ",".join(map(str, ports)), "-iL", str(targets)]
        try:
            seconds, said = output_of(command, most_s=_NMAP_MOST_S)
        except TooSlow:
            return None
    found = len(_OPEN_PORT.findall(said))
    if found != count * len(ports):
        raise Broken(f"nmap found {found} open ports of {count} systems")
    return seconds


def _require(seen: dict[str, int], count: int, doors: dict[str, int]) -> None:
    """Raise Broken where a door was not judged as it stands: a figure of an audit that failed is none."""
    for door, name in _EXPECTED.items():
        wanted = sum(is_open(address, doors[door]) for address in addresses(count))
        if seen.get(name, 0) != wanted:
            raise Broken(f"{name}: {seen.get(name, 0)} of {wanted} were found; seen: {seen}")
    if seen.get("faults", 0):
        raise Broken(f"{seen['faults']} questions ended in a fault of ours")


#: What the audit must find behind the open form of a door.
_EXPECTED = {
    "dicom": "archives counted",
    "dicom-tls": "archives counted in TLS",
    "http": "web archives counted",
    "postgresql": "postgresql open",
    "redis": "redis open",
    "ftp": "ftp open",
}

# --- our contestant ---


class _Nobody:
    """Watches nothing."""

    def system_started(self, target: "Target") -> None:
        """Not told."""

    def probe_finished(self, attempt: "Attempt") -> None:
        """Not told."""

    def system_finished(self, system: "SystemFacts") -> None:
        """Not told."""


def _audit(count: int, ports: tuple[int, ...]) -> tuple[list["SystemFacts"], int]:
    """Audit as ``doorward audit --json`` does; return the facts and the length of the report."""
    from doorward.audit.judge import judge
    from doorward.audit.report.assemble import ScanRecord, assemble
    from doorward.audit.report.outputs import FORMATS
    from doorward.audit.scope import Scope
    from doorward.audit.survey import SurveySettings, survey
    from doorward.audit.targets import parse_targets
    from doorward.limits import DEFAULT_LIMITS
    from doorward.net.loop import run

    limits = replace(DEFAULT_LIMITS, probe_gap_s=0.0, hello_gap_s=0.0)
    settings = SurveySettings(clearance_level=2, ports=ports, limits=limits)
    scope = Scope.loopback()
    targets = parse_targets(addresses(count), ports=ports)
    begun = datetime.now(UTC)
    systems = run(survey(targets, scope=scope, settings=settings, observer=_Nobody()))
    record = ScanRecord(
        version="bench",
        started_at=begun,
        finished_at=datetime.now(UTC),
        clearance_level=2,
        scope=scope,
        targets=count,
    )
    judged = [judge(system, now=begun) for system in systems]
    return systems, len(FORMATS["json"](assemble(judged, record)))


def _seen(systems: Sequence["SystemFacts"]) -> Counter[str]:
    """Return what was found, by kind."""
    seen: Counter[str] = Counter()
    for system in systems:
        for attempt in system.attempts:
            seen.update(_kinds(attempt))
    return seen


def _kinds(attempt: "Attempt") -> Iterator[str]:
    from doorward.audit.database_facts import DatabaseFacts
    from doorward.audit.facts import ExposureFacts, Outcome
    from doorward.audit.file_facts import FtpFacts
    from doorward.audit.web_facts import DicomWebFacts
    from doorward.greetings.conversation import Access

    if attempt.outcome is Outcome.ERROR:
        yield "faults"
    facts: Any = attempt.facts
    match facts:
        case ExposureFacts() if facts.studies.value == STUDIES:
            is_tls = attempt.endpoint.port in DOORS["dicom-tls"]
            yield "archives counted in TLS" if is_tls else "archives counted"
        case DicomWebFacts() if facts.studies.value == STUDIES:
            yield "web archives counted"
        case DatabaseFacts() if facts.plain is Access.OPEN:
            yield f"{facts.protocol} open"
        case FtpFacts() if facts.folder is not None:
            yield "ftp open"


def main() -> None:
    count, *ports = map(int, sys.argv[1:])
    allow_many_files(2_000)
    systems, length = _audit(count, tuple(ports))
    said = {"seen": _seen(systems), "peak_kib": peak_kib(), "report_bytes": length}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
