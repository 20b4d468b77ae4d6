"""When the maker of a web server stopped to repair a branch of it.

Theory of operation: the longest branch that begins a version decides. A version name is a claim, and distributions repair
old branches under their old numbers, so nothing here says more than "possible".
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

from doorward.knowledge.loader import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One row of end_of_life.toml."""

    software: str
    branch: str
    ends: str  # ISO 8601
    mark: str  # S | M
    source: str

    @property
    def last_day(self) -> date:
        """The last day on which its maker repaired it."""
        return date.fromisoformat(self.ends)

    def covers(self, version: str) -> bool:
        """Tell whether a version belongs to this branch: 1.2 covers 1.2.9 and not 1.20."""
        return f"{version}.".startswith(f"{self.branch}.")


@cache
def branches() -> tuple[Branch, ...]:
    """Return every branch, in file order."""
    return rows("doorward.knowledge", "end_of_life.toml", "branch", Branch)


def ended(software: str, version: str, today: date) -> Branch | None:
    """Return the branch of a version whose last day is over, or None; also None where nothing is known."""
    fitting = [b for b in branches() if b.software == software and b.covers(version)]
    closest = max(fitting, key=lambda b: len(b.branch), default=None)
    return closest if closest is not None and closest.last_day < today else None
