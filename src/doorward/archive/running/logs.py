"""What is said in the log about single records: who was not let in, what was refused, what has failed.

Theory of operation. The journal has everything and is the proof; the log has what an administrator looks for when something
does not work, with the number of its record, under which ``doorward archive journal show`` has the rest. There is the address,
our own name of whoever it was, the reason in our own words; no UID, no AE title, nothing that a peer has written.

A flood of refusals does not become one of the log: no more than ``log_refusals`` in a minute, then how many there were.
"""

import logging
from collections.abc import Callable, Mapping

from doorward.access.journal.record import Event, Outcome, Record
from doorward.limits import DEFAULT_LIMITS, Limits

_log = logging.getLogger("doorward.archive.access")
#: Failures that are the peer's, and need nobody's attention.
_USUAL = frozenset({Event.ASSOCIATION_CLOSED})


class RecordLog:
    """Says what was refused and what has failed; ``take`` is called with each record that is on the disk."""

    def __init__(self, *, clock: Callable[[], float], limits: Limits = DEFAULT_LIMITS) -> None:
        self._clock = clock
        self._limits = limits
        self._since = float("-inf")
        self._said = 0

    def take(self, record: Record) -> None:
        """Say it, or count it."""
        entry = record.entry
        if entry.outcome is Outcome.SUCCESS or entry.event in _USUAL:
            return
        now = self._clock()
        if now - self._since >= self._limits.log_refusals_s:
            self._say_unsaid()
            self._since, self._said = now, 0
        self._said += 1
        if self._said <= self._limits.log_refusals:
            is_refusal = entry.outcome is Outcome.REFUSED
            level = logging.INFO if is_refusal else logging.WARNING
            event = "refused" if entry.event is Event.REFUSAL else entry.event.value
            _log.log(level, "%s", event, extra={"fields": fields_of(record)})

    def _say_unsaid(self) -> None:
        unsaid = self._said - self._limits.log_refusals
        if unsaid > 0:
            _log.warning("further refusals and failures that only the journal has: %d", unsaid)


def fields_of(record: Record) -> Mapping[str, str | int]:
    """Return what is said of a record, by name; what it has not is left out."""
    entry = record.entry
    stated = {
        "outcome": entry.outcome.value,
        "peer": entry.peer,
        "identity": entry.identity,
        "operation": entry.operation,
        "reason": entry.reason,
        "rule": entry.rule,
    }
    found: dict[str, str | int] = {name: value for name, value in stated.items() if value}
    return found | {"record": record.sequence}
