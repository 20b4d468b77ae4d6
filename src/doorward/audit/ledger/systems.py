"""Whom to visit, and every answer, written the moment it is there.

Theory of operation: a system is waiting until its verdict is written. Which of the waiting ones were handed out is known in
memory alone, so after a kill they wait again, with the answers that they gave before. One mark is enough for that, however
many systems there are: they are handed out by number, and those that come back are remembered one by one.
"""

import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from doorward.audit.codec import attempt_from_json, attempt_to_json, from_json, to_json
from doorward.audit.facts import Attempt
from doorward.audit.ledger.records import Added
from doorward.audit.ledger.store import Store
from doorward.audit.roster import Visitee
from doorward.audit.targets import Target, merged
from doorward.errors import ConfigError

#: A target, its numeric address (or the name itself), and why the name could not be resolved ("" where it was).
Addressed = tuple[Target, str, str]


class Systems:
    """The systems and answers of one ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: The highest number handed out, and the lower ones that came back, by survey.
        self._marks: dict[int, int] = defaultdict(int)
        self._returned: dict[int, list[int]] = defaultdict(list)

    def add(self, scan: int, visitees: Iterable[Addressed]) -> Added:
        """Write systems down, a thousand in one transaction, each address once; adding the same again changes nothing.

        A system that was done and gets further ports waits again.
        """
        rest = iter(visitees)
        new = merged_count = 0
        # Taken out before the transaction begins: where they come from may be slow, or fail.
        while batch := list(islice(rest, self._store.limits.ledger_rows_at_a_time)):
            with self._store.transaction():
                fresh = sum(self._add(scan, *one) for one in batch)
            new += fresh
            merged_count += len(batch) - fresh
        return Added(new=new, merged=merged_count)

    def _add(self, scan: int, target: Target, address: str, unknown: str) -> bool:
        is_new = self._store.execute(
            "INSERT INTO systems (scan, address, target, unknown) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (scan, address) DO NOTHING",
            (scan, address, to_json(target), storable(unknown)),
        )
        if is_new:
            return True
        number, text, was_done = self._store.row(
            "SELECT number, target, is_done FROM systems WHERE scan = ? AND address = ?",
            (scan, address),
        )
        before = from_json(Target, text, file=self._store.file)
        after = merged(before, target)
        if after != before:
            is_done = was_done and after.ports == before.ports
            self._store.execute(
                "UPDATE systems SET target = ?, is_done = ? WHERE number = ?",
                (to_json(after), is_done, number),
            )
            if was_done and not is_done:
                self.put_back(scan, number)
        return False

    def waiting(self, scan: int, most: int) -> list[Visitee]:
        """Hand out at most so many systems that wait, least number first, with their answers so far."""
        back = self._returned[scan]
        again = [heapq.heappop(back) for _ in range(min(most, len(back)))]
        found = self._store.rows(
            "SELECT number, target, address, unknown FROM systems"
            " WHERE number IN (SELECT value FROM json_each(?)) AND is_done = 0 ORDER BY number",
            (json.dumps(again),),
        )
        found += self._store.rows(
            "SELECT number, target, address, unknown FROM systems"
            " WHERE scan = ? AND is_done = 0 AND number > ? ORDER BY number LIMIT ?",
            (scan, self._marks[scan], most - len(found)),
        )
        self._marks[scan] = max([self._marks[scan], *(row[0] for row in found)])
        return self._visitees(found)

    def addresses(self, scan: int) -> Iterator[str]:
        """Yield the address of everybody who waits, page by page."""
        after = 0
        while page := self._store.rows(
            "SELECT number, address FROM systems"
            " WHERE scan = ? AND is_done = 0 AND number > ? ORDER BY number LIMIT ?",
            (scan, after, self._store.limits.ledger_rows_at_a_time),
        ):
            yield from (address for _, address in page)
            after = page[-1][0]

    def target(self, number: int) -> Target:
        """Return what was to be visited under a number; raises ConfigError where there is no such system."""
        row = self._store.row("SELECT target FROM systems WHERE number = ?", (number,))
        if row is None:
            raise ConfigError(f"holds no system {number}", file=self._store.file)
        return from_json(Target, row[0], file=self._store.file)

    def put_back(self, scan: int, number: int) -> None:
        """Let a system wait again whose visit was stopped; its answers stay."""
        # Beyond the mark it was never handed out, and will be in its turn.
        if number <= self._marks[scan] and number not in self._returned[scan]:
            heapq.heappush(self._returned[scan], number)

    def _visitees(self, rows: Sequence[Any]) -> list[Visitee]:
        answers = self.answers([row[0] for row in rows])
        return [
            Visitee(
                number=number,
                target=from_json(Target, target, file=self._store.file),
                address=address,
                unknown=unknown,
                answered=answers.get(number, ()),
            )
            for number, target, address, unknown in rows
        ]

    def answered(self, number: int, attempt: Attempt) -> bool:
        """Write one answer down; it is safe when this returns. False: the same one is there already.

        The same answer comes twice where a sensor was not sure that it had been heard.
        """
        text = attempt_to_json(attempt, limits=self._store.limits)
        port, outcome = attempt.endpoint.port, attempt.outcome.value
        changed = self._store.execute(
            "INSERT INTO answers (system, port, outcome, connections, attempt)"
            " SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM answers"
            " WHERE system = ?1 AND port = ?2 AND outcome = ?3 AND connections = ?4 AND attempt = ?5)",
            (number, port, outcome, attempt.connections, text),
        )
        return bool(changed)

    def answers(self, numbers: Sequence[int]) -> dict[int, tuple[Attempt, ...]]:
        """Return the answers of some systems, in the order of asking. Raises ConfigError where one has too many."""
        self._require_few(numbers)
        found: dict[int, list[Attempt]] = defaultdict(list)
        for system, text in self._store.rows(
            "SELECT system, attempt FROM answers"
            " WHERE system IN (SELECT value FROM json_each(?)) ORDER BY number",
            (json.dumps(numbers),),
        ):
            attempt = attempt_from_json(text, file=self._store.file, limits=self._store.limits)
            found[system].append(attempt)
        return {system: tuple(attempts) for system, attempts in found.items()}

    def _require_few(self, numbers: Sequence[int]) -> None:
        """A ledger may come by mail: nobody's audit gives as many answers as a file can hold."""
        most = self._store.limits.answers_per_system
        row = self._store.row(
            "SELECT system FROM answers WHERE system IN (SELECT value FROM json_each(?))"
            " GROUP BY system HAVING count(*) > ? LIMIT 1",
            (json.dumps(numbers), most),
        )
        if row is not None:
            message = f"holds more than {most:,} answers of system {row[0]}"
            raise ConfigError(message, file=self._store.file, hint="No audit of ours wrote this.")


def storable(text: str) -> str:
    """Return a text that UTF-8 can write: halves of surrogate pairs become question marks."""
    return text.encode("utf-8", "replace").decode()
