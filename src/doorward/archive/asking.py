"""A query of whatever door: the policy narrows it, the journal has it, then it is answered (C-FIND and QIDO alike).

Theory of operation. ``ask`` looks for the first page of what the policy lets this caller see, records the query with its
keys, never with their values, and returns the answers; nothing leaves before the record is on disk. More of a long list
follow page by page, on the same record.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from doorward.access.identity import Decision, Identity
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.policy import Restriction, restrict
from doorward.access.rules import Rules
from doorward.archive.index.index import Index
from doorward.archive.index.levels import Level
from doorward.archive.index.plan import Order
from doorward.dicom.attributes import DataSetView
from doorward.dicom.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of a long list is wanted, and in which order; all of it as it came in where nothing is said."""

    order: Order = Order.RECEIVED
    offset: int = 0
    #: None: all
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What may be answered. ``first`` are those of the first page; ``has_more``: some are left behind the limit."""

    first: Sequence[DataSetView]
    has_more: bool
    _rest: AsyncIterator[DataSetView]

    async def views(self) -> AsyncIterator[DataSetView]:
        """Yield all of them, once. Raises StorageError."""
        for view in self.first:
            yield view
        async for view in self._rest:
            yield view


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Asks the index in the name of somebody."""

    index: Index
    journal: Journal

    async def ask(
        self,
        query: Query,
        level: Level,
        record: Record,
        identity: Identity | None,
        rules: Rules,
        now: datetime,
        part: Part | None = None,
    ) -> Answers | Decision:
        """Return the answers, or the decision that refuses them; recorded in either case.

        ``record`` says where the query comes from and what it is. Raises StorageError, LimitExceeded.
        """
        restriction = restrict(identity, rules, now)
        decision = restriction.decision
        keys = tuple(f"{tag:08X}" for tag in sorted(query.asked))
        record = replace(record, keys=keys, rule=decision.rule).by(identity)
        if not decision.is_allowed:
            refusal = replace(record, event=Event.REFUSAL, outcome=Ending.REFUSED)
            await self.journal.write(replace(refusal, reason=decision.reason))
            return decision
        answers = await self._answers(query, level, restriction, part or Part())
        # The first page is counted before anything leaves; more of a long list follow on its record.
        count = len(answers.first)
        reason = "more may follow" if count >= self.index.limits.index_page else ""
        await self.journal.write(replace(record, matches=count, reason=reason))
        return answers

    async def _answers(
        self, query: Query, level: Level, restriction: Restriction, part: Part
    ) -> Answers:
        page, limit = self.index.limits.index_page, part.limit
        # One more than is wanted says whether there are more.
        is_short = limit is not None and limit < page
        most = limit + 1 if limit is not None and is_short else limit
        found = self._found(query, level, restriction, part, part.offset, most)
        first: list[DataSetView] = []
        async for view in found:
            first.append(view)
            if len(first) >= page:
                break
        if limit is None:
            return Answers(first, False, found)
        if is_short:
            return Answers(first[:limit], len(first) > limit, found)
        has_more = False
        if len(first) >= page:
            behind = self._found(query, level, restriction, part, part.offset + limit, 1)
            has_more = [view async for view in behind] != []
        return Answers(first, has_more, found)

    def _found(
        self,
        query: Query,
        level: Level,
        restriction: Restriction,
        part: Part,
        offset: int,
        limit: int | None,
    ) -> AsyncIterator[DataSetView]:
        return self.index.find(
            query, level, restriction=restriction, order=part.order, limit=limit, offset=offset
        )
