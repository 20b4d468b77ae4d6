"""The ledger of surveys as everybody uses it: one writer, any number of readers beside it.

Theory of operation: a survey begins with its plan; then every system to visit is written down; then systems are handed out,
each answer is written the moment it is there, and the end of a visit brings the verdict. Whatever is interrupted anywhere in
between goes on there: planning is done again without harm, a system that was handed out waits again with its answers.
What survives what is told in ``store``. All methods raise ConfigError for what the file or the disk does.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.ledger import pruning, reading
from doorward.audit.ledger.records import (
    Added,
    Coverage,
    Progress,
    Pruned,
    ScanPlan,
    ScanRow,
    ScanState,
)
from doorward.audit.ledger.scans import Scans
from doorward.audit.ledger.store import Store
from doorward.audit.ledger.systems import Addressed, Systems
from doorward.audit.ledger.verdicts import Verdicts
from doorward.audit.roster import Visitee
from doorward.audit.standing import Standing
from doorward.audit.targets import Target
from doorward.limits import DEFAULT_LIMITS, Limits


class Ledger:
    """One ledger file, open. Belongs to one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scans = Scans(store)
        self._systems = Systems(store)
        self._verdicts = Verdicts(store)
        #: Kept up to date by the writer, so that a screen may ask often.
        self._progress: dict[int, Progress] = {}

    @classmethod
    def open(cls, file: Path, *, limits: Limits = DEFAULT_LIMITS) -> "Ledger":
        """Open a ledger for writing, made where there is none; ConfigError where somebody else is writing it."""
        return cls(Store.write(file, limits=limits))

    @classmethod
    def read(cls, file: Path, *, limits: Limits = DEFAULT_LIMITS) -> "Ledger":
        """Open a ledger for reading, also while it is being written."""
        return cls(Store.read(file, limits=limits))

    @property
    def file(self) -> Path:
        """Where it is."""
        return self._store.file

    @property
    def limits(self) -> Limits:
        """The bounds that it was opened with."""
        return self._store.limits

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def snapshot(self) -> AbstractContextManager[None]:
        """See one moment of the ledger throughout the context: for a report beside a running survey."""
        return self._store.snapshot()

    # --- scans --------------------------------------------------------------------------------------------------------

    def begin(self, plan: ScanPlan) -> int:
        """Write a new survey down and return its number."""
        return self._scans.begin(plan)

    def scans(self) -> tuple[ScanRow, ...]:
        """Return all surveys, oldest first."""
        return self._scans.all()

    def row(self, scan: int) -> ScanRow:
        """Return one survey; ConfigError where there is none of that number."""
        return self._scans.row(scan)

    def unfinished(self) -> ScanRow | None:
        """Return the newest survey that was not finished: killed, interrupted, or running now."""
        return self._scans.unfinished()

    def resume(self, scan: int) -> None:
        """Note that an interrupted survey goes on."""
        self._scans.resume(scan)

    def end(self, scan: int, *, state: ScanState, at: datetime) -> None:
        """Note how a survey ended; ``at`` is aware."""
        self._scans.end(scan, state=state, at=at)

    def discard(self, scan: int) -> None:
        """Forget a survey of which nothing was asked: planning it has failed."""
        self._progress.pop(scan, None)
        pruning.discard(self._store, scan)

    def prune(
        self,
        *,
        keep: int | None = None,
        before: datetime | None = None,
        only_answers: bool = False,
    ) -> Pruned:
        """Forget surveys beyond the ``keep`` newest, of these only what began ``before``, or their answers alone."""
        self._progress.clear()
        return pruning.prune(self._store, keep=keep, before=before, only_answers=only_answers)

    # --- systems ------------------------------------------------------------------------------------------------------

    def add(self, scan: int, visitees: Iterable[Addressed]) -> Added:
        """Write systems down in constant memory, each address once; adding the same again changes nothing."""
        self._progress.pop(scan, None)
        return self._systems.add(scan, visitees)

    def planned(self, scan: int) -> bool:
        """Tell whether every system is written down; if not, the planning was cut short and must be done again."""
        return self._scans.row(scan).is_planned

    def mark_planned(self, scan: int, targets: int) -> None:
        """Note that every system is written down; ``targets``: how many targets the operator named."""
        self._scans.mark_planned(scan, targets)

    def waiting(self, scan: int, most: int) -> list[Visitee]:
        """Hand out at most so many systems that wait, least number first, with their answers so far."""
        return self._systems.waiting(scan, most)

    def put_back(self, scan: int, number: int) -> None:
        """Let a system wait again whose visit was stopped; its answers stay."""
        self._systems.put_back(scan, number)

    def addresses(self, scan: int) -> Iterator[str]:
        """Yield the address of every system that waits, in constant memory."""
        return self._systems.addresses(scan)

    def target(self, number: int) -> Target:
        """Return what was to be visited under a number."""
        return self._systems.target(number)

    def answered(self, scan: int, number: int, attempt: Attempt) -> bool:
        """Write one answer down; it is safe when this returns. False: the same one is there already."""
        is_new = self._systems.answered(number, attempt)
        so_far = self._progress.get(scan)
        if is_new and so_far is not None:
            connections = so_far.connections + attempt.connections
            more = replace(so_far, answers=so_far.answers + 1, connections=connections)
            self._progress[scan] = more
        return is_new

    def finished(
        self,
        scan: int,
        number: int,
        standing: Standing,
        document: str,
        *,
        clearance_level: int | None = None,
    ) -> bool:
        """Write the end of a visit down, all or nothing; returns whether it is the first one for this system.

        ``clearance_level``: at which it was asked, where that was not the one of the plan.
        """
        is_first = self._verdicts.finished(scan, number, standing, document, clearance_level)
        so_far = self._progress.get(scan)
        if not is_first:
            self._progress.pop(scan, None)
        elif so_far is not None:
            self._progress[scan] = _one_more(so_far, standing)
        return is_first

    def replace_verdict(self, scan: int, number: int, standing: Standing, document: str) -> None:
        """Write another verdict on the same facts down."""
        self._progress.pop(scan, None)
        self._verdicts.replace(scan, number, standing, document)

    def progress(self, scan: int) -> Progress:
        """Return how far a survey has come; the writer knows it without asking the file."""
        if not self._store.is_writer:
            return reading.progress(self._store, scan)
        if scan not in self._progress:
            self._progress[scan] = reading.progress(self._store, scan)
        return self._progress[scan]

    # --- reading ------------------------------------------------------------------------------------------------------

    def facts(
        self, scan: int, *, with_unfinished: bool = False
    ) -> Iterator[tuple[int, SystemFacts]]:
        """Yield number and facts of every finished system; ``with_unfinished``: also of visits that were cut short."""
        return reading.facts(self._store, scan, with_unfinished=with_unfinished)

    def standings(self, scan: int) -> Iterator[Standing]:
        """Yield every verdict, worst first, ties by address."""
        return self._verdicts.standings(scan)

    def documents(self, scan: int) -> Iterator[str]:
        """Yield the document of every judged system, in the order of ``standings``."""
        return self._verdicts.documents(scan)

    def coverage(self, scan: int) -> Coverage:
        """Return how much was asked and answered."""
        return reading.coverage(self._store, scan)


def _one_more(so_far: Progress, standing: Standing) -> Progress:
    """Return the progress with one system that got its first verdict."""
    is_counted = not standing.is_suspected
    rungs = Counter(so_far.rungs)
    rungs.update(standing.rungs if is_counted else ())
    return replace(
        so_far,
        done=so_far.done + 1,
        unprotected=so_far.unprotected + (standing.is_unprotected and is_counted),
        suspected=so_far.suspected + standing.is_suspected,
        rungs=dict(rungs),
    )
