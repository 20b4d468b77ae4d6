"""What is done with instances that have become durable together: the index, then the journal (promise 7).

One commit of the index and one sync of the journal serve all of them; each has its own end. An instance that the journal
could not name is in the index and was not acknowledged: sent again, it is recorded then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.archive.index.entry import Entry, Written
from doorward.archive.index.index import Index
from doorward.errors import DoorwardError


@dataclass(frozen=True, slots=True)
class Arrived:
    """One instance whose blob is durable: its entry, and the record of what became of it."""

    entry: Entry
    record: Callable[[Written], Record]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Keeps what arrived; for the group of a store of blobs."""

    index: Index
    journal: Journal

    def keep(self, arrived: Sequence[Arrived]) -> list[Written | DoorwardError]:
        """Return what became of each when index and journal are durable, or why it is not so. Blocks."""
        ends: list[Written | DoorwardError] = []
        for future in self.index.write_each_here([one.entry for one in arrived]):
            fault = future.exception()
            if isinstance(fault, DoorwardError):
                ends.append(fault)
            else:
                ends += future.result()
        indexed = [number for number, end in enumerate(ends) if isinstance(end, Written)]
        records = [
            one.record(end)
            for one, end in zip(arrived, ends, strict=True)
            if isinstance(end, Written)
        ]
        for number, recorded in zip(indexed, self.journal.write_each_here(records), strict=True):
            fault = recorded.exception()
            if isinstance(fault, DoorwardError):
                ends[number] = fault
        return ends
