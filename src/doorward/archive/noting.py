"""What a door writes into the journal by itself, so that no flood of strangers fills the disk with it.

Theory of operation: the first refusal of an address is recorded at once; further ones within a minute are counted, and the
next record says how many there were. The table of addresses is bounded; where it is full, the oldest is forgotten. So are
the records of all addresses together: whoever has very many gets one record that says how many more there were.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry, Event, Outcome, Record
from doorward.errors import LimitExceeded, StorageError
from doorward.limits import DEFAULT_LIMITS, Limits


@dataclass(slots=True)
class _Seen:
    since: float
    unsaid: int = 0


class Noting:
    """Notes refusals, no more than one a minute for an address, an identity and a reason."""

    def __init__(
        self, journal: Journal, *, clock: Callable[[], float], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._limits = limits
        self._seen: dict[tuple[str, str, str], _Seen] = {}
        #: Since when records are counted, how many there were, and how many refusals had no room.
        self._since, self._records, self._unrecorded = clock(), 0, 0

    def refusal(self, entry: Entry) -> None:
        """Record a refusal, or count it."""
        now, key = self._clock(), (entry.peer, entry.identity, entry.reason)
        seen = self._seen.get(key)
        if seen is not None and now - seen.since < self._limits.web_refusal_s:
            seen.unsaid += 1
            return
        if seen is None and len(self._seen) >= self._limits.web_refusals:
            del self._seen[next(iter(self._seen))]
        unsaid = 0 if seen is None else seen.unsaid
        self._seen.pop(key, None)
        self._seen[key] = _Seen(now)
        if not self._has_room(now):
            self._unrecorded += 1 + unsaid
            return
        reason = f"{entry.reason} ({unsaid} more before)" if unsaid else entry.reason
        self.note(replace(entry, reason=reason))

    def _has_room(self, now: float) -> bool:
        """Whether one more record of whomever may be written now."""
        if now - self._since >= self._limits.web_refusal_s:
            if self._unrecorded:
                reason = f"{self._unrecorded} more from other addresses"
                self.note(Entry(event=Event.REFUSAL, outcome=Outcome.REFUSED, reason=reason))
            self._since, self._records, self._unrecorded = now, 0, 0
        self._records += 1
        return self._records <= self._limits.refusal_records

    def note(self, entry: Entry) -> None:
        """Record what nobody waits for; where that fails, whoever waits for a later record is told."""
        try:
            self._journal.submit(entry).add_done_callback(_look_at)
        except (StorageError, LimitExceeded):
            return


def _look_at(written: "asyncio.Future[Record]") -> None:
    """Take note of how it ended, so that nobody warns of an error that was not looked at."""
    if not written.cancelled():
        written.exception()
