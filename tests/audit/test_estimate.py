"""An interval that says 95 % holds the truth about as often."""

from random import Random
from statistics import mean

import pytest

from doorward.audit.estimate import PILOT_DAYS, Estimate, Stratum, estimated_total, further_days


def test_where_every_day_was_drawn_the_sum_is_sure():
    strata = [Stratum(days=3, drawn=(1, 2, 9)), Stratum(days=1, drawn=(4,))]
    assert estimated_total(strata) == Estimate(total=16.0, margin=0.0)


def test_the_worked_example():
    """One stratum of 100 days, 4 drawn: mean 10, s^2 = 8/3; N(N-n)s^2/n = 6400; t(3) = 3.182."""
    found = estimated_total([Stratum(days=100, drawn=(8, 10, 10, 12))])
    assert found.total == 1_000
    assert found.margin == pytest.approx(3.182 * 80, rel=1e-6)


def test_strata_add_up_and_their_spreads_in_squares():
    one = Stratum(days=100, drawn=(8, 10, 10, 12))
    found = estimated_total([one, one])
    assert found.total == 2_000
    # n - 1 = 3 of each: six degrees of freedom
    assert found.margin == pytest.approx(2.447 * 80 * 2**0.5, rel=1e-6)


def test_days_without_any_study_estimate_to_nothing():
    assert estimated_total([Stratum(days=365, drawn=(0, 0, 0))]) == Estimate(total=0.0, margin=0.0)


def test_more_days_are_drawn_where_there_is_much():
    strata = [
        Stratum(days=365, drawn=(0, 0, 0)),
        Stratum(days=365, drawn=(10, 10, 10)),
        Stratum(days=365, drawn=(20, 40, 60)),
    ]
    assert further_days(strata, 100) == (0, 20, 80)


def test_no_more_days_are_drawn_than_there_are():
    assert further_days([Stratum(days=4, drawn=(1, 50, 99))], 100) == (1,)
    assert further_days([Stratum(days=4, drawn=(0, 0, 0))], 100) == (0,)


def year(chance: Random, busy: int) -> list[int]:
    """The studies of 365 days: weekends are quiet, days vary."""
    usual = [busy // 8 if day % 7 > 4 else busy for day in range(365)]
    return [max(0, round(chance.gauss(one, one**0.5 * 2))) for one in usual]


def test_intervals_hold_the_truth_as_often_as_they_say():
    """300 archives of eight growing years, each sampled as the probe does: a pilot, then where there is much."""
    chance = Random(2019)
    held, widths = 0, []
    for _ in range(300):
        strata = []
        for n in range(8):
            days = year(chance, 20 + 30 * n)
            strata.append([studies for day, studies in enumerate(days) if day % 7 <= 4])
            strata.append([studies for day, studies in enumerate(days) if day % 7 > 4])
        for days in strata:
            chance.shuffle(days)
        pilot = [Stratum(days=len(days), drawn=tuple(days[:PILOT_DAYS])) for days in strata]
        further = further_days(pilot, 150 - PILOT_DAYS * len(pilot))
        found = estimated_total(
            [
                Stratum(days=len(days), drawn=tuple(days[: PILOT_DAYS + more]))
                for days, more in zip(strata, further, strict=True)
            ]
        )
        truth = sum(map(sum, strata))
        held += abs(found.total - truth) <= found.margin
        widths.append(found.margin / truth)
    assert 0.92 <= held / 300 <= 0.99
    assert mean(widths) < 0.05
