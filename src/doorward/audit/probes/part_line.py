"""Part queries to one archive, one after the other: on one association for as long as it lasts, within a budget.

An archive that ends its association at a question that is too large (some abort instead of saying so) is called again; one
that ends three in a row without a match, falls silent or lets us in no more is left alone, and what it told so far stays.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from doorward.audit.approach import Approach
from doorward.audit.count import MatchCounter
from doorward.audit.facts import QueryEnd, QueryFacts
from doorward.audit.probes.exposure import STUDY_KEYS, USUAL_ADDITIONS, counted
from doorward.dicom.values import Attribute
from doorward.errors import DoorwardError, ScopeError
from doorward.net.client import Requestor

#: Associations in a row that end at the question, without a match.
_MOST_LOSSES = 3


@asynccontextmanager
async def line_to(approach: Approach, model: str) -> AsyncIterator["Line"]:
    """Open the line to an archive whose studies are asked for at ``model``; hang up when the context is left."""
    line = Line(approach, model)
    try:
        yield line
    finally:
        await line.hang_up()


class Line:
    """Part queries to one archive, one after the other: on one association for as long as it lasts."""

    def __init__(self, approach: Approach, model: str) -> None:
        self.limits = approach.limits
        self.queries = 0
        #: Why nothing more may be asked; "" while it may.
        self.stopped = ""
        self._approach = approach
        self._model = model
        self._until = 0.0
        self._most_queries = 0
        self._losses = 0
        self._rest_s = 0.0
        self._held = AsyncExitStack()
        self._requestor: Requestor | None = None

    def allow(self, queries: int, seconds: float) -> None:
        """Begin a new budget: so many queries and seconds from now on."""
        self.stopped = ""
        self._most_queries = self.queries + queries
        self._until = asyncio.get_running_loop().time() + seconds

    async def ask(
        self,
        *keys: Attribute,
        most: int | None = None,
        counter: MatchCounter | None = None,
    ) -> QueryFacts | None:
        """Ask for the studies that match; None when nothing more may be asked (see ``stopped``)."""
        left_s = self._until - asyncio.get_running_loop().time()
        if left_s <= 0:
            self.stopped = "the time for counting in parts was used up"
        elif self.queries >= self._most_queries:
            self.stopped = (
                f"after {self.queries} part queries counting was stopped at our own limit"
            )
        requestor = None if self.stopped else await self._opened()
        if requestor is None:
            return None
        asked = {tag: (tag, vr, value) for tag, vr, value in (*STUDY_KEYS[1:], *keys)}
        counter = counter or MatchCounter(asked=len(asked) + 1 + USUAL_ADDITIONS)
        self.queries += 1
        answer = await counted(
            requestor,
            self._model,
            (STUDY_KEYS[0], *asked.values()),
            counter,
            max_matches=most,
            max_s=min(left_s, self.limits.count_s),
        )
        await self._look_after(answer)
        return None if self.stopped else answer

    async def _opened(self) -> Requestor | None:
        """Return the association, a new one where the last was ended; pauses between two queries on one.

        The pause is as long as the last answer took, at least: a slow archive works for us half of its time and no more.
        """
        if self._requestor is not None:
            await asyncio.sleep(max(self.limits.part_gap_s, self._rest_s))
            return self._requestor
        try:
            self._requestor = await self._held.enter_async_context(
                self._approach.admitted_association((self._model,))
            )
        except ScopeError:
            raise
        except DoorwardError:
            if not self.queries:
                raise
            self.stopped = "the archive did not let us in again"
        return self._requestor

    async def _look_after(self, answer: QueryFacts) -> None:
        """Hang up after an answer that ended the association, and note what ends the questions."""
        self._rest_s = answer.duration_s
        if answer.end is QueryEnd.SILENT:
            self.stopped = "the archive fell silent when it was asked in parts"
        elif answer.end is QueryEnd.NO_CONTEXT:
            self.stopped = "the query context was not accepted again"
        elif answer.end is not QueryEnd.ABORTED:
            self._losses = 0
            return
        self._losses = 0 if answer.matches else self._losses + 1
        if self._losses >= _MOST_LOSSES:
            self.stopped = (
                f"the archive ended the association at {self._losses} part queries in a row"
            )
        await self.hang_up()

    async def hang_up(self) -> None:
        """Release the association, where one stands."""
        self._requestor = None
        await self._held.aclose()
