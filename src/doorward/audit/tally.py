"""A number with its honesty: what every count of the auditor is made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Exactness(StrEnum):
    """How far a count may be trusted (design: contracts)."""

    EXACT_COUNTER = "exact_counter"
    EXACT_ENUMERATED = "exact_enumerated"
    AT_LEAST = "at_least"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number with its honesty. ``value`` is None exactly where ``exactness`` is UNKNOWN."""

    value: int | None
    exactness: Exactness
    method: str  # a short sentence for people: how it was counted, and why it is not exact


UNKNOWN_COUNT = Count(value=None, exactness=Exactness.UNKNOWN, method="not counted")

#: Best first, for two counts of the same number.
_SOUNDEST = (
    Exactness.EXACT_COUNTER,
    Exactness.EXACT_ENUMERATED,
    Exactness.AT_LEAST,
    Exactness.ESTIMATED,
    Exactness.UNKNOWN,
)


def largest(counts: Iterable[Count]) -> Count:
    """Return the largest number, and of equals the soundest; where none is known, the first one, which says why."""
    every = tuple(counts)
    known = [count for count in every if count.value is not None]
    return max(known, key=_order) if known else next(iter(every), UNKNOWN_COUNT)


def _order(count: Count) -> tuple[int, int]:
    return count.value or 0, -_SOUNDEST.index(count.exactness)
