"""Ledgers and what goes into them, for the tests of audit/ledger: made up, small, and quick to write."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from doorward.audit.facts import (
    Attempt,
    Count,
    Endpoint,
    Exactness,
    Outcome,
    PortState,
    ReachFacts,
)
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanPlan
from doorward.audit.ledger.systems import Addressed
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from doorward.audit.targets import Target
from doorward.audit.verdict import Counts, Severity

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def plan(*, days: int = 0, label: str = "") -> ScanPlan:
    """A survey that begins so many days after the first."""
    begun = NOON + timedelta(days=days)
    return ScanPlan(started_at=begun, clearance_level=2, ports=(104, 11112), label=label)


def addressed(*addresses: str, ports: tuple[int, ...] | None = (104,)) -> Iterator[Addressed]:
    """Targets that are addresses, as the planning brings them."""
    for address in addresses:
        yield Target(host=address, ports=ports), address, ""


def attempt(
    address: str = "192.0.2.1",
    *,
    port: int = 104,
    probe: str = "reach",
    outcome: Outcome = Outcome.ANSWERED,
    connections: int = 1,
) -> Attempt:
    """One answer."""
    facts = ReachFacts(port_state=PortState.OPEN) if outcome is Outcome.ANSWERED else None
    return Attempt(
        probe=probe,
        endpoint=Endpoint(address=address, port=port),
        outcome=outcome,
        facts=facts,
        connections=connections,
    )


def exactly(number: int) -> Count:
    """A count that was enumerated."""
    return Count(value=number, exactness=Exactness.EXACT_ENUMERATED, method="enumerated")


def standing(
    address: str = "192.0.2.1", *, score: int | None = 10, rungs: tuple[str, ...] = ("E1", "E5")
) -> Standing:
    """An open archive."""
    return Standing(
        address=address,
        name="archive.example",
        place=Place(site="North", owner="A", contact="b@example", country="DE"),
        grade="not rated" if score is None else "F",
        score=score,
        rungs=rungs,
        counts=Counts(studies=exactly(3), images=exactly(70)),
        product="Archive 1.0",
        ports_asked=(104, 11112),
        is_unprotected="E5" in rungs,
        worst_severity=Severity.CRITICAL,
    )


def planned(ledger: Ledger, *addresses: str, days: int = 0) -> int:
    """Begin a survey of some addresses and return its number."""
    scan = ledger.begin(plan(days=days))
    ledger.add(scan, addressed(*addresses))
    ledger.mark_planned(scan, len(addresses))
    return scan


def finish_all(ledger: Ledger, scan: int) -> None:
    """Answer one question of each waiting system and judge it."""
    for visitee in ledger.waiting(scan, 1_000):
        ledger.answered(scan, visitee.number, attempt(visitee.address))
        document = f'{{"address":"{visitee.address}"}}'
        ledger.finished(scan, visitee.number, standing(visitee.address), document)


def written(file: Path) -> bytes:
    """Everything that a ledger left on disk."""
    return b"".join(path.read_bytes() for path in sorted(file.parent.glob(file.name + "*")))
