"""How many there are, from days drawn by chance: stratified sampling with a confidence interval.

Source: W. G. Cochran, Sampling Techniques, 3rd edition, 1977: the total and its variance with the finite population
correction (sections 5.3 to 5.5), the degrees of freedom (equation 5.16). Strata are the working days of a year and its
weekends, so that neither growth nor quiet Sundays add to the variance; what is left is measured (where the week ends on
another day the interval is wider, not wrong). Nothing is assumed about how many images a study has: images are drawn with
the same days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, variance

#: Days drawn from each stratum before it is known how much it varies.
PILOT_DAYS = 3
#: Student's t for 95 %, two-sided, by degrees of freedom from 1.
_T: tuple[float, ...] = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
)
_T += (2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064)
_T += (2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """A range of days, and what was counted on those drawn from it: at least two, or all."""

    days: int
    drawn: tuple[int, ...]

    @property
    def deviation(self) -> float:
        """Standard deviation of a day; 0 where one day is all."""
        return sqrt(variance(self.drawn)) if len(self.drawn) > 1 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A total and half the width of its 95 % confidence interval."""

    total: float
    margin: float


def estimated_total(strata: Sequence[Stratum]) -> Estimate:
    """Return the sum over all days of all strata."""
    total = sum(one.days * mean(one.drawn) for one in strata)
    # The contribution of each stratum to the variance, and the degrees of freedom that stand behind it.
    shares = [
        (one.days * (one.days - len(one.drawn)) / len(one.drawn) * one.deviation**2, len(one.drawn))
        for one in strata
    ]
    spread = sum(share for share, _ in shares)
    if spread <= 0:
        return Estimate(total=total, margin=0.0)
    freedom = spread**2 / sum(share**2 / (drawn - 1) for share, drawn in shares if share > 0)
    return Estimate(total=total, margin=_student(freedom) * sqrt(spread))


def further_days(strata: Sequence[Stratum], most: int) -> tuple[int, ...]:
    """Return how many days more to draw from each stratum, ``most`` in all: in proportion to what it seems to hold.

    Not by the deviation of a pilot (Cochran's optimum): three days that happen to be no Sunday show none, and a stratum
    that is thought to be steady then says so of itself. Where days vary by the same part of their mean it is the optimum.
    """
    weights = [one.days * mean(one.drawn) for one in strata]
    whole = sum(weights)
    if whole <= 0:
        return (0,) * len(strata)
    return tuple(
        min(one.days - len(one.drawn), int(most * weight / whole))
        for one, weight in zip(strata, weights, strict=True)
    )


def _student(freedom: float) -> float:
    """Return Student's t for 95 %; beyond the table by its expansion, exact to 0.002."""
    if freedom <= len(_T):
        return _T[max(0, int(freedom) - 1)]
    return 1.96 + 2.42 / freedom
