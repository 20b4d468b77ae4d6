"""A query of whatever door: the policy narrows it, the journal has it, then it is answered (C-FIND and QIDO alike).

Theory of operation. ``ask`` looks for the first page of what the policy lets this caller see, records the query with its
keys, never with their values, and returns the answers; nothing leaves before the system has the record
(docs/decisions/0009), and a refusal not before it is on disk. More of a long list follow page by page, on the same record.

``ask_now`` does the same without waiting for a thread, where few rows have to be read.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter

from doorward.access.identity import Decision, Identity
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event, identity_fields
from doorward.access.journal.record import Outcome as Ending
from doorward.access.policy import Restriction, restrict
from doorward.access.rules import Rules
from doorward.archive.head import WANTED
from doorward.archive.index.index import Index
from doorward.archive.index.levels import MADE_HERE, Level, level_of
from doorward.archive.index.plan import Order
from doorward.archive.index.search import Search
from doorward.archive.running.timings import Timings
from doorward.dicom.attributes import DataSetView
from doorward.dicom.query import AnyValue, Key, Query, Unmatched


def answerable(query: Query, level: Level) -> Query:
    """Return a query in which keys that nothing at this level can have are passed over, and named as ``unmatched``.

    Those are attributes of the levels below, and attributes that no index keeps: to compare them with nothing would hide
    what is there (PS3.4 section C.2.2.1.3: an optional key that is not supported is not matched).
    """

    def passed_over(key: Key) -> Key:
        is_kept = key.tag in WANTED or key.tag in MADE_HERE
        if isinstance(key.match, AnyValue) or (is_kept and level_of(key.tag) <= level):
            return key
        return replace(key, match=Unmatched())

    return replace(query, keys=tuple(map(passed_over, query.keys)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of a long list is wanted, and in which order; all of it as it came in where nothing is said."""

    order: Order = Order.RECEIVED
    offset: int = 0
    #: None: all
    limit: int | None = None
    #: The attributes that each answer needs; None: all that there are.
    wanted: Collection[int] | None = None

    @property
    def most(self) -> int | None:
        """How many are looked for: one more than is wanted says whether there are more."""
        return None if self.limit is None else self.limit + 1


_ALL = Part()


@dataclass(frozen=True, slots=True)
class Answers:
    """What may be answered. ``first`` are those of the first page; ``has_more``: some are left behind the limit."""

    first: Sequence[DataSetView]
    has_more: bool = False
    #: Those that follow on the first page; None where it is all.
    rest: AsyncIterator[Sequence[DataSetView]] | None = None

    async def pages(self) -> AsyncIterator[Sequence[DataSetView]]:
        """Yield all of them, once, some hundred at a time. Raises StorageError."""
        if self.first:
            yield self.first
        if self.rest is not None:
            async for page in self.rest:
                yield page


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Asks the index in the name of somebody."""

    index: Index
    journal: Journal
    #: Hears how long it takes.
    timings: Timings = field(default_factory=Timings)

    async def ask(
        self,
        query: Query,
        level: Level,
        record: Record,
        identity: Identity | None,
        rules: Rules,
        now: datetime,
        part: Part = _ALL,
    ) -> Answers | Decision:
        """Return the answers, or the decision that refuses them; recorded in either case.

        ``record`` says where the query comes from and what it is. Raises StorageError, LimitExceeded.
        """
        begun = perf_counter()
        restriction = restrict(identity, rules, now)
        decision = restriction.decision
        record = _completed(record, query, decision, identity)
        if not decision.is_allowed:
            refusal = replace(record, event=Event.REFUSAL, outcome=Ending.REFUSED)
            await self.journal.write(replace(refusal, reason=decision.reason))
            return decision
        answers = await self._answers(query, level, restriction, part)
        # The first page is counted before anything leaves; more of a long list follow on its record.
        count = len(answers.first)
        reason = "more may follow" if count >= self.index.limits.index_page else ""
        record = replace(record, matches=count, reason=reason)
        if not self.journal.hand_over(record):
            await self.journal.submit(record, is_synced=False)
        self.timings.query(perf_counter() - begun)
        return answers

    def ask_now(
        self,
        query: Query,
        level: Level,
        record: Record,
        identity: Identity | None,
        rules: Rules,
        now: datetime,
        part: Part = _ALL,
    ) -> Answers | None:
        """Return the answers, recorded, where that needs no waiting; None where it does: ``ask`` then.

        Raises StorageError, LimitExceeded.
        """
        begun = perf_counter()
        restriction = restrict(identity, rules, now)
        if not restriction.decision.is_allowed:
            return None
        search = self._search(query, level, restriction, part, part.offset, part.most)
        found = self.index.find_now(search)
        if found is None:
            return None
        has_more = part.limit is not None and len(found) > part.limit
        found = found[: part.limit]
        record = _completed(record, query, restriction.decision, identity, len(found))
        if not self.journal.hand_over(record):
            return None
        self.timings.query(perf_counter() - begun)
        return Answers(found, has_more)

    async def _answers(
        self, query: Query, level: Level, restriction: Restriction, part: Part
    ) -> Answers:
        page, limit = self.index.limits.index_page, part.limit
        is_short = limit is not None and limit < page
        most = part.most if is_short else limit
        found = self.index.pages(self._search(query, level, restriction, part, part.offset, most))
        first: list[DataSetView] = []
        async for views in found:
            first += views
            if len(first) >= page:
                break
        if limit is None:
            return Answers(first, rest=found)
        if is_short:
            return Answers(first[:limit], len(first) > limit)
        has_more = False
        if len(first) >= page:
            after = part.offset + limit
            behind = self._search(query, level, restriction, part, after, 1)
            has_more = [views async for views in self.index.pages(behind)] != []
        return Answers(first, has_more, found)

    def _search(
        self,
        query: Query,
        level: Level,
        restriction: Restriction,
        part: Part,
        offset: int,
        limit: int | None,
    ) -> Search:
        return Search(
            query,
            level,
            self.index.limits,
            restriction=restriction,
            order=part.order,
            limit=limit,
            offset=offset,
            wanted=part.wanted,
        )


def _completed(
    record: Record, query: Query, decision: Decision, identity: Identity | None, matches: int = 0
) -> Record:
    """Return the record of a query; in one step, since each checks all fields."""
    keys = tuple([f"{tag:08X}" for tag in sorted(query.asked)])
    who = {} if identity is None else identity_fields(identity)
    return replace(record, keys=keys, rule=decision.rule, matches=matches, **who)
