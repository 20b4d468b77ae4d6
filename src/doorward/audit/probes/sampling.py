"""Days drawn by chance, and what was counted on them: the way to a number where counting all would take too long.

A stratum is what a range of at most a year has of working days, or of weekends. A few days of each are a pilot; the others
are drawn where there is much. Every day is counted to its end, within the day by time where it must be: a day that cannot
be ends the estimate.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from doorward.audit.count_facts import PartsFacts, SampleFacts
from doorward.audit.count_parts import Division, Span
from doorward.audit.estimate import (
    PILOT_DAYS,
    Estimate,
    Stratum,
    estimated_total,
    further_days,
)
from doorward.audit.facts import Count, Exactness, QueryFacts
from doorward.audit.probes.part_line import Line

#: Draws a number below its argument.
Chance = Callable[[int], int]


class _Days:
    """One stratum on its way: which days were drawn, and what lay on them."""

    def __init__(self, days: list[date]) -> None:
        self.days = len(days)
        self._left = days
        self.studies: list[int] = []
        self.images: list[int] = []

    def draw(self, chance: Chance) -> Span:
        """Return a day that was not drawn yet."""
        day = self._left.pop(chance(len(self._left)))
        return Span(first=day, last=day)


class Sampling:
    """Draws days and asks for them. ``told_whole`` says whether an answer is all that there is."""

    def __init__(
        self, line: Line, told_whole: Callable[[QueryFacts], bool], chance: Chance
    ) -> None:
        self._line = line
        self._told_whole = told_whole
        self._chance = chance
        self._says_images = True
        self._everywhere = 0, 0

    async def estimate(self, strata: Sequence[Span], counted: PartsFacts) -> PartsFacts | None:
        """Return ``counted`` with the strata estimated and added; None where not every drawn day could be counted."""
        self._everywhere = counted.control_matches, counted.control_instances
        self._says_images = all(p.matches == p.matches_with_instances for p in counted.parts)
        drawn = [_Days(days) for span in strata for days in _weeks_and_weekends(span) if days]
        pilot = [min(one.days, PILOT_DAYS) for one in drawn]
        if not await self._draw(drawn, pilot):
            return None
        further = further_days(_strata(drawn), self._line.limits.estimate_days - sum(pilot))
        if not await self._draw(drawn, further):
            return None
        return self._with_estimate(counted, drawn)

    async def _draw(self, drawn: Sequence[_Days], numbers: Sequence[int]) -> bool:
        for one, number in zip(drawn, numbers, strict=True):
            for _ in range(number):
                counted = await self._day(one.draw(self._chance))
                if counted is None:
                    return False
                one.studies.append(counted[0])
                one.images.append(counted[1])
        return True

    async def _day(self, day: Span) -> tuple[int, int] | None:
        """Return studies and images of one day, None where they could not be counted."""
        division = Division((day,), most=1)
        while (span := division.next()) is not None:
            answer = await self._line.ask(*span.keys)
            if answer is None:
                return None
            division.take(span, answer, is_whole=self._told_whole(answer))
            if not division.is_whole:
                return None
        if division.misses_times:
            return None
        studies = images = 0
        for answer in division.answers:
            studies += answer.matches - self._everywhere[0]
            images += answer.instances - self._everywhere[1]
            self._says_images &= answer.matches == answer.matches_with_instances
        return studies, images

    def _with_estimate(self, counted: PartsFacts, drawn: Sequence[_Days]) -> PartsFacts:
        again = sum(part.answers for part in counted.parts) - 1
        known = sum(part.matches for part in counted.parts) - again * self._everywhere[0]
        known_images = sum(part.instances for part in counted.parts) - again * self._everywhere[1]
        studies = estimated_total(_strata(drawn))
        sample = SampleFacts(
            days_drawn=sum(len(one.studies) for one in drawn),
            days=sum(one.days for one in drawn),
            strata=len(drawn),
            margin=round(studies.margin),
        )
        unsaid = Count(
            value=None,
            exactness=Exactness.UNKNOWN,
            method="the archive does not say how many images a study has",
        )
        images = estimated_total([Stratum(days=one.days, drawn=tuple(one.images)) for one in drawn])
        return replace(
            counted,
            sample=sample,
            studies=_count(known, studies, sample),
            images=_count(known_images, images, sample) if self._says_images else unsaid,
        )


def _weeks_and_weekends(span: Span) -> tuple[list[date], list[date]]:
    assert span.first is not None
    assert span.days is not None
    days = [span.first + timedelta(days=number) for number in range(span.days)]
    return [day for day in days if day.weekday() < 5], [day for day in days if day.weekday() >= 5]


def _strata(drawn: Sequence[_Days]) -> list[Stratum]:
    return [Stratum(days=one.days, drawn=tuple(one.studies)) for one in drawn]


def _count(known: int, estimate: Estimate, sample: SampleFacts) -> Count:
    total = known + estimate.total
    low, high = max(known, total - estimate.margin), total + estimate.margin
    method = (
        f"estimated: {low:,.0f} to {high:,.0f} with 95 % confidence, from {sample.days_drawn} of {sample.days:,} days drawn "
        f"by chance, working days and weekends of each year apart; {known:,} were counted beside them"
    )
    return Count(value=round(total), exactness=Exactness.ESTIMATED, method=method)
