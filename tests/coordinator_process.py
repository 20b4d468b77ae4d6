"""A coordinator with a ledger as a process of its own, that can be killed and started again.

    python coordinator_process.py COORDINATOR.TOML LEDGER ADDRESS:PORT...

Begins a survey of the systems, or goes on with the one that the ledger holds. Every system that is judged is a line of
standard output; the last line is JSON: what was coordinated, and what the ledger says of each system.
"""

import asyncio
import json
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

SOURCE = Path(__file__).resolve().parent.parent / "src"


def main() -> None:
    """Carry out one life."""
    from doorward.audit.campaign import Judge, LedgerRoster
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.ledger.records import ScanPlan, ScanState
    from doorward.audit.sensors.config import load_coordinator_config
    from doorward.audit.sensors.coordinator import coordinate, scan_name
    from doorward.audit.system import SurveySettings
    from doorward.audit.targets import parse_targets
    from doorward.audit.traffic import UNPACED, Traffic
    from doorward.knowledge.advisories import Additions
    from doorward.limits import DEFAULT_LIMITS

    config, file, *texts = sys.argv[1:]
    limits = replace(
        DEFAULT_LIMITS,
        sensor_sweep_s=1.0,
        sensor_pull_s=0.5,
        sensor_retry_s=0.2,
        sensor_later_s=0.3,
    )
    settings = SurveySettings(limits=limits)
    with Ledger.open(Path(file)) as ledger:
        row = ledger.unfinished()
        if row is None:
            plan = ScanPlan(started_at=datetime.now(UTC), clearance_level=2, ports=(104,))
            scan = ledger.begin(plan)
            systems = [(target, target.host, "") for target in parse_targets(texts)]
            ledger.add(scan, systems)
            ledger.mark_planned(scan, len(systems))
            row = ledger.row(scan)
        scan = row.number
        judge = Judge(now=datetime.now(UTC), additions=Additions())
        roster = LedgerRoster(ledger, scan, judge, on_finished=lambda one: _say(one.address))

        async def coordinated() -> object:
            return await coordinate(
                roster,
                load_coordinator_config(Path(config)),
                scan=scan_name(scan, row.plan.started_at),
                settings=settings,
                traffic=Traffic(replace(UNPACED, systems_at_a_time=3)),
                observer=_Unheard(),
                say=lambda words: _say(words, sys.stderr),
            )

        done = asyncio.run(coordinated())
        ledger.end(scan, state=ScanState.FINISHED, at=datetime.now(UTC))
        counts = {
            one.address: [one.counts.studies.value, one.counts.images.value, one.is_unprotected]
            for one in ledger.standings(scan)
        }
    _say(json.dumps({"done": asdict(done), "counts": counts}))


def _say(line: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    stream.write(f"{line}\n")
    stream.flush()


class _Unheard:
    """An observer whom nobody listens to."""

    def system_started(self, target: object) -> None: ...
    def probe_finished(self, attempt: object) -> None: ...
    def system_finished(self, system: object) -> None: ...


if __name__ == "__main__":
    sys.path.insert(0, str(SOURCE))
    main()
