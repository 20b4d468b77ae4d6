"""Targets become systems in the ledger: within the scope, resolved, each address once, in a stream.

What the operator named and the scope refuses ends the survey before its first packet; what another tool saw and the scope
does not cover is counted and left out, because nobody named it. Excluded addresses are left out in either case, in silence
where only a network brought them in.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from doorward.audit.ledger.ledger import Ledger
from doorward.audit.place import NOWHERE, Place
from doorward.audit.scope import Scope
from doorward.audit.survey import addresses
from doorward.audit.targets import DEFAULT_PORT, Target
from doorward.errors import ScopeError
from doorward.limits import DEFAULT_LIMITS, Limits

#: One system to be: its target, its address (or name), and why the name could not be resolved.
Row = tuple[Target, str, str]


@dataclass(slots=True, kw_only=True)
class Planned:
    """What became of the targets."""

    named: int = 0
    systems: int = 0
    merged: int = 0
    #: Seen by another tool, and not covered by the scope.
    outside: int = 0
    excluded: int = 0
    unknown_names: int = 0
    #: The first few of ``outside``, for a message.
    examples: list[str] = field(default_factory=list)


async def plan(
    ledger: Ledger,
    scan: int,
    targets: Iterable[Target],
    scope: Scope,
    *,
    locate: Callable[[str], Place] = lambda _: NOWHERE,
    on_system: Callable[[Target, str], None] = lambda _, __: None,
    on_progress: Callable[[Planned], None] = lambda _: None,
    limits: Limits = DEFAULT_LIMITS,
) -> Planned:
    """Write every system that the targets name into the scan; doing it again changes nothing.

    ``locate`` says what an offline table knows of an address; ``on_system`` is told each target that may be asked, with
    its address. Raises ScopeError for a target that the operator named and the scope refuses, ConfigError where the ledger
    cannot be written.
    """
    planned = Planned()
    batch: list[Row] = []
    for target in targets:
        planned.named += 1
        rows = await _systems(target, scope, planned)
        for _, address, _ in rows:
            on_system(target, address)
        batch += [_placed(row, locate) for row in rows]
        if len(batch) >= limits.ledger_rows_at_a_time:
            _write(ledger, scan, batch, planned)
            on_progress(planned)
            await asyncio.sleep(0)  # addresses alone never wait, and Ctrl-C comes through the loop
    _write(ledger, scan, batch, planned)
    ledger.mark_planned(scan, planned.named)
    return planned


def _write(ledger: Ledger, scan: int, batch: list[Row], planned: Planned) -> None:
    added = ledger.add(scan, batch)
    planned.systems += added.new
    planned.merged += added.merged
    batch.clear()


async def _systems(target: Target, scope: Scope, planned: Planned) -> list[Row]:
    try:
        if target.is_numeric:
            for port in target.ports or (DEFAULT_PORT,):
                scope.permit(target.host, port)
            return [(target, target.host, "")]
        found = await addresses(target, scope)
    except ScopeError:
        if target.is_numeric and scope.excludes(target.host):
            planned.excluded += 1
        elif target.is_swept:
            planned.outside += 1
            if len(planned.examples) < _EXAMPLES:
                planned.examples.append(target.host)
        else:
            raise
        return []
    planned.unknown_names += sum(1 for _, unknown in found if unknown)
    return [(target, address, unknown) for address, unknown in found]


_EXAMPLES = 3


def _placed(row: Row, locate: Callable[[str], Place]) -> Row:
    target, address, unknown = row
    place = target.place if unknown else target.place.filled_from(locate(address))
    return replace(target, place=place), address, unknown
