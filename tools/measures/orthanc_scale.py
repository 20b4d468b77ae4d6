"""A real Orthanc with thousands of studies, counted by the audit at its default pace: ``python -m measures.orthanc_scale``.

Without a limit, and with LimitFindResults 100. Beside the count a stranger sends a C-ECHO every 20 ms on an association of
its own, from a process of its own: how long Orthanc takes to answer it shows what the count costs everybody else.
``--echo PORT`` is that stranger: it says the milliseconds of each echo when its standard input ends.
"""

import argparse
import asyncio
import http.client
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doorward.audit.facts import Attempt, Count, ExposureFacts, SystemFacts
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target
from doorward.dicom.values import Attribute, encode_identifier
from doorward.dicom.walk import Syntax
from doorward.net.client import Proposal, associate
from doorward.net.loop import run
from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from measures.processes import HOST, START_S, Broken, free_port, program, python

STUDIES = 10_000
ECHO_EVERY_S = 0.02
IDLE_S = 10.0
LIMIT = 100


# --- studies --------------------------------------------------------------------------------------------------------


def instance(number: int) -> bytes:
    """Return a synthetic study of one image without pixels, as a file: two to a patient, over ten years and one crowded day."""
    day = f"20{10 + number % 10:02}{number // 10 % 12 + 1:02}{number // 120 % 28 + 1:02}"
    when = "20200229" if number % 20 == 7 else day
    elements: list[Attribute] = [
        (0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
        (0x0008_0018, "UI", f"2.25.3{number:07}"),
        (0x0008_0020, "DA", when),
        (0x0008_0030, "TM", f"{number % 11 + 8:02}{number // 11 % 60:02}{number // 660 % 60:02}"),
        (0x0008_0050, "SH", ""),
        (0x0008_0060, "CS", "OT"),
        (0x0010_0010, "PN", f"SYNTHETIC^{number // 2}"),
        (0x0010_0020, "LO", f"SYNTHETIC{number // 2}"),
        (0x0020_000D, "UI", f"2.25.1{number:07}"),
        (0x0020_000E, "UI", f"2.25.2{number:07}"),
        (0x0020_0011, "IS", "1"),
        (0x0020_0013, "IS", "1"),
    ]
    meta: list[Attribute] = [(0x0002_0010, "UI", "1.2.840.10008.1.2.1")]
    syntax = Syntax.EXPLICIT_LITTLE
    return (
        bytes(128) + b"DICM" + encode_identifier(meta, syntax) + encode_identifier(elements, syntax)
    )


def load(http_port: int, studies: int) -> None:
    """Give the studies to Orthanc in zip files, which its REST interface takes; over DICOM it would take minutes."""
    for first in range(0, studies, 1_000):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(first, min(studies, first + 1_000)):
                archive.writestr(f"{number}.dcm", instance(number))
        connection = http.client.HTTPConnection(HOST, http_port, timeout=120)
        connection.request("POST", "/instances", packed.getvalue())
        if connection.getresponse().status != http.client.OK:
            raise Broken("Orthanc did not take the studies")
        connection.close()


@contextmanager
def orthanc(folder: Path, **settings: object) -> Iterator[tuple[int, int]]:
    """Run Orthanc on a folder; gives its DICOM and its HTTP port."""
    path = program("Orthanc")
    if path is None:
        raise Broken("Orthanc is not installed")
    port = free_port()
    http_port = port + 1
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "DicomPort": port,
                "HttpPort": http_port,
                "StorageDirectory": str(folder),
                "IndexDirectory": str(folder),
                "Plugins": [],
                "SyncStorageArea": False,
                "DicomAlwaysAllowFind": True,
                **settings,
            }
        )
    )
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([path, str(configuration)], stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + START_S
        while not _answers(http_port):
            if time.monotonic() > until or process.poll() is not None:
                raise Broken("Orthanc did not start")
            time.sleep(0.05)
        yield port, http_port
    finally:
        process.terminate()
        process.wait(30)


def _answers(http_port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, http_port, timeout=1)
    try:
        connection.request("GET", "/system")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


# --- the stranger ---------------------------------------------------------------------------------------------------


async def echo(port: int) -> None:
    """Send C-ECHO at a steady pace until standard input ends; print how many milliseconds each took."""
    proposal = Proposal(
        called_ae_title="ORTHANC",
        calling_ae_title="MODALITY",
        contexts=[(VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,))],
    )
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    took = []
    async with associate(HOST, port, proposal, gate=Scope.loopback()) as requestor:
        while not ended.is_set():
            begun = time.perf_counter()
            await requestor.echo()
            took.append(1_000 * (time.perf_counter() - begun))
            await asyncio.sleep(max(0.0, ECHO_EVERY_S - took[-1] / 1_000))
    print(json.dumps(took))


class Stranger:
    """The echoing process, from its start to ``milliseconds``."""

    def __init__(self, port: int) -> None:
        source = {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            python("measures.orthanc_scale", "--echo", port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ) | source,
        )

    def milliseconds(self) -> list[float]:
        """End it, and return what each echo took."""
        output, _ = self._process.communicate("", timeout=30)
        took: list[float] = json.loads(output)
        return took


def percentile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


# --- the count ------------------------------------------------------------------------------------------------------


class Unheard:
    def system_started(self, target: Target) -> None: ...
    def probe_finished(self, attempt: Attempt) -> None: ...
    def system_finished(self, system: SystemFacts) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    seconds: float
    queries: int
    studies: Count
    echoes: list[float]


def counted(port: int) -> Counted:
    """Audit one port at the default pace, while a stranger echoes."""
    stranger = Stranger(port)
    begun = time.perf_counter()
    (system,) = run(
        survey(
            [Target(host=HOST, ports=(port,))],
            scope=Scope.loopback(),
            settings=SurveySettings(),
            observer=Unheard(),
        )
    )
    seconds = time.perf_counter() - begun
    echoes = stranger.milliseconds()
    (exposure,) = [a.facts for a in system.attempts if isinstance(a.facts, ExposureFacts)]
    parts = next((a.facts for a in system.of("parts")), None)
    studies = getattr(parts, "studies", exposure.studies)
    return Counted(
        seconds=seconds, queries=getattr(parts, "queries", 0), studies=studies, echoes=echoes
    )


def idle(port: int) -> list[float]:
    """Let the stranger echo while nobody counts."""
    stranger = Stranger(port)
    time.sleep(IDLE_S)
    return stranger.milliseconds()


def report(name: str, found: Counted, idle_ms: Sequence[float]) -> None:
    p99, idle_p99 = percentile(found.echoes, 0.99), percentile(idle_ms, 0.99)
    print(
        f"{name:22} {found.studies.value:>8,} studies, {found.studies.exactness.value}, "
        f"{found.queries} part queries, {found.seconds:.1f} s\n"
        f"{'':22} C-ECHO of a stranger: median {percentile(found.echoes, 0.5):.1f} ms, p99 {p99:.1f} ms, "
        f"worst {max(found.echoes):.1f} ms of {len(found.echoes)}; idle: median {percentile(idle_ms, 0.5):.1f} ms, "
        f"p99 {idle_p99:.1f} ms, worst {max(idle_ms):.1f} ms; p99 {p99 / idle_p99:.2f} times idle\n"
        f"{'':22} {found.studies.method}",
        flush=True,
    )


def measure(name: str, port: int) -> None:
    """Count between two idle stretches: the machine's own noise changes within a minute."""
    before = idle(port)
    found = counted(port)
    report(name, found, before + idle(port))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--echo", type=int, metavar="PORT")
    chosen = parser.parse_args()
    if chosen.echo:
        asyncio.run(echo(chosen.echo))
        return
    with tempfile.TemporaryDirectory(prefix="doorward-orthanc-") as name:
        folder = Path(name)
        begun = time.perf_counter()
        with orthanc(folder) as (port, http_port):
            load(http_port, chosen.studies)
            print(f"loaded {chosen.studies:,} studies in {time.perf_counter() - begun:.1f} s")
            measure("no limit", port)
        with orthanc(folder, LimitFindResults=LIMIT) as (port, _):
            measure(f"LimitFindResults {LIMIT}", port)


if __name__ == "__main__":
    main()
