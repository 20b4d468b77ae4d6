"""How many studies, where one answer is not all: the archive is asked again in parts by Study Date (and Study Time).

Theory of operation: first a day on which none can be, which tells whether the archive heeds dates at all; then range after
range, each divided until it is told to its end; at last a look at the whole answer, whether there are studies without a
date, which no range needs to hold. All on one association, with a pause between two queries; where the archive ends it, the
next is opened. Matching keys are Study Date and Study Time, never a patient's (promise 2); of a match the status and
(0020,1208) are read, and in the look at the end the length of its date.
With ``estimate``, what would take too long is sampled instead: days drawn by chance, and an interval instead of a number.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime

from doorward.audit.approach import Answer, Approach
from doorward.audit.count import Sight, is_doubted, is_whole, parts_counts
from doorward.audit.count_facts import PartsFacts
from doorward.audit.count_parts import (
    CONTROL_DAYS,
    CONTROL_SECONDS,
    STUDY_DATE,
    STUDY_TIME,
    Division,
    Span,
    first_spans,
)
from doorward.audit.facts import Outcome, QueryEnd, QueryFacts
from doorward.audit.probes.part_line import Line, line_to
from doorward.audit.probes.sampling import Chance, Sampling
from doorward.dicom.values import Attribute

#: Ranges of at most so many days are sampled, where an estimate is asked for.
_YEAR = 366
_ENDED = (QueryEnd.SUCCESS, QueryEnd.WARNING)


def is_needed(whole: QueryFacts, *, estimate: bool = False) -> bool:
    """Tell whether the whole answer of an archive is asked again in parts."""
    return is_doubted(whole) or (estimate and whole.reached_cap and whole.level == "STUDY")


def asker(
    whole: QueryFacts,
    *,
    estimate: bool = False,
    chance: Chance = secrets.randbelow,
    today: date | None = None,
) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the question for an archive that answered ``whole`` when it was asked for everything.

    ``chance`` and ``today`` are for tests.
    """

    async def ask(approach: Approach) -> Answer:
        async with line_to(approach, whole.information_model) as line:
            facts = await _Count(
                line,
                whole,
                estimate=estimate,
                chance=chance,
                today=today or datetime.now(UTC).date(),
            ).run()
        was_answered = facts.parts or facts.sample is not None or not line.stopped
        return Outcome.ANSWERED if was_answered else Outcome.INCONCLUSIVE, facts.stopped, facts

    return ask


class _Count:
    """One archive being counted in parts."""

    def __init__(
        self, line: Line, whole: QueryFacts, *, estimate: bool, chance: Chance, today: date
    ) -> None:
        self._line = line
        self._whole = whole
        self._estimate = estimate
        self._chance = chance
        self._facts = PartsFacts(whole_matches=whole.matches, queries=0)
        #: The warning that this archive puts under an empty answer too; it says nothing of a cap.
        self._usual_status: int | None = None
        #: Of one range, where our own limit ended the whole answer: what is larger is sampled.
        self._most = line.limits.estimate_whole_matches if whole.reached_cap else None
        self._division = Division(
            first_spans(today),
            most=self._most or whole.matches,
            stratum_days=_YEAR if whole.reached_cap else 0,
        )

    async def run(self) -> PartsFacts:
        """Ask everything, and return what it amounts to."""
        limits = self._line.limits
        # Dividing leaves half of the time to sampling, where that is wanted.
        seconds = limits.count_parts_s / 2 if self._estimate else limits.count_parts_s
        self._line.allow(limits.count_parts, seconds)
        stopped = await self._control() or await self._divide()
        self._note(parts=self._division.parts(), stopped=stopped)
        if self._division.strata and not stopped:
            self._line.allow(limits.count_parts, limits.count_parts_s / 2)
            sampling = Sampling(self._line, self._told_whole, self._chance)
            facts = await sampling.estimate(self._division.strata, self._facts)
            if facts is not None:
                return replace(facts, queries=self._line.queries)
            self._note(
                stopped=self._line.stopped or "one day is more than the archive tells at once"
            )
        elif not stopped:
            await self._look_for_dates()
        self._note(queries=self._line.queries)
        studies, images = parts_counts(self._whole, self._facts, ends_usually=self._ends_usually)
        return replace(self._facts, studies=studies, images=images)

    def _note(self, **changes: object) -> None:
        self._facts = replace(self._facts, **changes)  # type: ignore[arg-type]

    def _told_whole(self, answer: QueryFacts) -> bool:
        return is_whole(answer, self._whole, usual_status=self._usual_status)

    @property
    def _ends_usually(self) -> bool:
        """The whole answer ended with the warning that stands under every answer."""
        usual = self._usual_status
        return usual is not None and self._whole.final_status == usual

    async def _ask(self, span: Span) -> QueryFacts | None:
        return await self._line.ask(*span.keys, most=self._most)

    # --- is the date heeded at all? ---

    async def _control(self) -> str:
        """Ask for days on which none can be; returns why counting in parts is no use, or ""."""
        day, other_day = (Span(first=day, last=day) for day in CONTROL_DAYS)
        answer = await self._ask(day)
        if answer is None:
            return self._line.stopped
        if answer.matches >= self._whole.matches or answer.reached_cap:
            return "the archive ignores the date that it is asked for"
        if answer.end is QueryEnd.WARNING:
            self._usual_status = answer.final_status
        elif answer.end is not QueryEnd.SUCCESS:
            return f"the archive takes no date as a key ({_ending(answer)})"
        if answer.matches:
            again = await self._ask(other_day)
            if again is None or again.matches != answer.matches:
                return self._line.stopped or "the archive has studies on impossible days"
        self._note(control_matches=answer.matches, control_instances=answer.instances)
        return ""

    async def _heeds_times(self, span: Span) -> bool:
        """Ask for seconds of a crowded day at which hardly anything begins, and whether its studies have a time."""
        for second in CONTROL_SECONDS:
            answer = await self._ask(replace(span, seconds=(second, second)))
            if answer is None or not self._told_whole(answer):
                return False
            if answer.matches == 0:
                break
        else:
            return False
        sight = await self._look(STUDY_TIME, *span.keys)
        return sight is not None and sight.absent == 0

    # --- parts ---

    async def _divide(self) -> str:
        """Ask range after range; returns why not all of them, or ""."""
        division, are_times_known = self._division, False
        while (span := division.next()) is not None:
            answer = await self._ask(span)
            if answer is None and self._estimate:
                division.put_aside(span)
                return ""
            if answer is None:
                return self._line.stopped
            told = self._told_whole(answer)
            if not told and division.needs_times(span) and not are_times_known:
                are_times_known = True
                division.heeds_times = await self._heeds_times(span)
            division.take(span, answer, is_whole=told)
        if division.misses_times:
            return "some studies of a crowded day have no time"
        return ""

    # --- studies without a date ---

    async def _look_for_dates(self) -> None:
        """Look at the whole answer once more, where the parts hold more than it: are there studies without a date?"""
        total = sum(part.matches for part in self._facts.parts)
        is_sum = self._whole.end is QueryEnd.SUCCESS or self._ends_usually
        if not self._division.is_whole or total < self._whole.matches + is_sum:
            return  # nothing to be sure of, or the parts are just the whole
        sight = await self._look(STUDY_DATE)
        if sight is None:
            return
        reached = self._facts.control_matches
        if sight.absent and not reached:
            before = await self._ask(Span(first=None, last=date.min))
            reached = 0 if before is None else before.matches
        self._note(looked_at=sight.seen, undated=sight.absent, undated_reached=reached)

    async def _look(self, tag: int, *keys: Attribute) -> Sight | None:
        """Return how many of the matches have no value at a tag; None where nothing was told."""
        sight = Sight(tag)
        asked = {key[0]: key for key in ((tag, "DA" if tag == STUDY_DATE else "TM", ""), *keys)}
        answer = await self._line.ask(
            *asked.values(), most=self._line.limits.sight_matches, counter=sight
        )
        return None if answer is None else sight


def _ending(answer: QueryFacts) -> str:
    if answer.final_status is None:
        return f"the answer was {answer.end.value}"
    return f"status {answer.final_status:04X}"
