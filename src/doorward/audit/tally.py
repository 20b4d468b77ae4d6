"""A number with its honesty: what every count of the auditor is made of."""

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
