"""(e) What the process itself costs: start-up alone, and a whole audit of an archive that refuses everybody."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measures.figures import Row, rate
from measures.processes import HOST, Broken, serving, timed

GROUP = "e"
#: Exit codes of an audit that came to an end: passed, findings, not tested (docs/cli.md).
VERDICTS = (0, 1, 3)


def measure(*, rounds: int) -> Iterator[Row]:
    """Time whole processes."""
    doorward = [sys.executable, "-m", "doorward"]
    version, audits = [], []
    with serving("measures.sinks", "closed") as archive, tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            version.append(timed([*doorward, "--version"], most_s=30))
            report = Path(folder) / f"{number}.json"
            command = [*doorward, "audit", f"{HOST}:{archive.port}", "--json", str(report)]
            audits.append(timed(command, most_s=60, codes=VERDICTS))
            _require_dicom(report)
    yield rate(GROUP, "doorward --version", version, "s", digits=2)
    note = "with 0.2 s between two connections, as by default"
    yield rate(GROUP, "doorward audit of a closed archive", audits, "s", digits=2, note=note)


def _require_dicom(report: Path) -> None:
    """Raise Broken when the audit did not get as far as the refusal."""
    totals = json.loads(report.read_text())["totals"]
    if totals["speaking_dicom"] != 1 or totals["unprotected"] != 0:
        raise Broken("the audit did not meet the refusal")
