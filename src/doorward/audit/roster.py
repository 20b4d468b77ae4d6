"""Who is to be visited, and where the answers go: what the survey's engine asks of a list, a ledger or a queue.

Theory of operation: the engine takes one visitee after the other, asks its questions one by one, and hands every answer
over before it asks the next question; what was answered in an earlier life comes with the visitee and is not asked
again. A roster decides what durable means: a list keeps nothing, the ledger has committed when ``answered`` returns.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitee:
    """One address to visit."""

    #: Names it within its roster.
    number: int
    target: Target
    #: Numeric; the name itself where it could not be resolved.
    address: str
    #: Why the name could not be resolved; "" where it was.
    unknown: str = ""
    #: What was answered before, in the order of asking.
    answered: tuple[Attempt, ...] = ()


class Roster(Protocol):
    """Gives visitees out and takes answers in."""

    async def next(self) -> Visitee | None:
        """Return the next one to visit, None when there is none left."""

    def answered(self, visitee: Visitee, attempt: Attempt) -> None:
        """Take one answer (or one question given up); it is safe when this returns."""

    def finished(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Take the end of a visit: everything was asked."""

    def put_back(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Take a visitee back whose visit was stopped midway; its answers stay."""


class ListRoster:
    """A list in memory, for one audit from beginning to end."""

    def __init__(self, visitees: Iterable[Visitee]) -> None:
        self._waiting = iter(visitees)
        #: Facts of what was asked, finished or stopped, by the visitee's number.
        self.seen: dict[int, SystemFacts] = {}

    async def next(self) -> Visitee | None:
        """Return the next of the list."""
        return next(self._waiting, None)

    def answered(self, visitee: Visitee, attempt: Attempt) -> None:
        """Keep nothing: the visit itself holds its answers until it is finished."""

    def finished(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Keep the facts."""
        self.seen[visitee.number] = facts

    def put_back(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Keep what was seen of it, if anything was."""
        if facts.attempts:
            self.seen[visitee.number] = facts
