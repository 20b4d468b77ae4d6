"""A query page by page: first the numbers of rows, some ten thousand at a time, then their views, some hundred at a time.

Theory of operation: between two pages nothing is held but numbers, so a reader that takes an hour keeps no old state of the
file alive. Each step goes on after the last number (and day) of the one before. A row that was deleted meanwhile is passed
over; numbers are never used twice; and the restriction is asked again with each page, so that a study which has become
invisible is not shown.
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from doorward.access.policy import Restriction
from doorward.archive.index.kept import KeptView
from doorward.archive.index.levels import (
    INSTANCES_OF_SERIES,
    INSTANCES_OF_STUDY,
    MODALITIES_IN_STUDY,
    PATIENT_COUNTS,
    SERIES_OF_STUDY,
    SOP_CLASSES_IN_STUDY,
    Level,
    level_of,
)
from doorward.archive.index.plan import Order, Plan, Sql, chain, plan_of
from doorward.archive.index.rows import decode_view
from doorward.dicom.attributes import Attribute, DataSetView
from doorward.dicom.query import Query, matches
from doorward.limits import Limits

_ALIAS = {Level.PATIENT: "s", Level.STUDY: "s", Level.SERIES: "e", Level.IMAGE: "i"}
_TABLE = {Level.PATIENT: "studies", Level.STUDY: "studies"} | {
    Level.SERIES: "series",
    Level.IMAGE: "instances",
}
_OF_STUDY = frozenset(
    {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, SERIES_OF_STUDY, INSTANCES_OF_STUDY}
)
#: After every day and every number.
_LATEST = ("~", 0)


class Search:
    """One query on its way. ``next_page`` may be called from any thread, by one at a time."""

    def __init__(
        self,
        query: Query,
        level: Level,
        limits: Limits,
        *,
        restriction: Restriction | None = None,
        order: Order = Order.RECEIVED,
        limit: int | None = None,
        offset: int = 0,
        wanted: Collection[int] | None = None,
    ) -> None:
        """Plan it. ``wanted``: the attributes that answers need; all that there are where nothing is said."""
        self._plan = plan_of(
            query,
            level,
            restriction=restriction,
            order=order,
            is_limited=limit is not None,
            limits=limits,
        )
        self._limits = limits
        self._left = limit
        self._skip = offset
        self._numbers: Sequence[int] = ()
        self._at = 0
        self._last = _LATEST
        self._has_more = limit is None or limit > 0
        self._wanted = None if wanted is None else frozenset(wanted)
        if self._wanted is not None and not self._plan.is_exact:
            self._wanted |= {key.tag for key in query.keys}  # they are compared again
        self._adds_study = level is not Level.PATIENT and (
            self._wanted is None or not self._wanted.isdisjoint(_OF_STUDY)
        )
        #: Nothing is added to what is kept of the study.
        self._is_bare = (
            level is Level.STUDY and not self._adds_study and not self._plan.wants_patient_counts
        )
        self._page_sql = _page_sql(self._plan, is_bare=self._is_bare)

    @property
    def is_narrow(self) -> bool:
        """Whether few rows are read: it starts from a value that few have."""
        return self._plan.is_narrow

    @property
    def is_over(self) -> bool:
        """Whether it is known that nothing follows."""
        is_read = self._at >= len(self._numbers) and not self._has_more
        return is_read or self._left == 0

    def next_page(self, connection: sqlite3.Connection) -> list[DataSetView]:
        """Return the next answers, [] at the end. Raises sqlite3.Error."""
        while self._left is None or self._left > 0:
            if self._at >= len(self._numbers):
                if not self._has_more:
                    return []
                self._find_numbers(connection)
                continue
            page = self._numbers[self._at : self._at + self._limits.index_page]
            self._at += len(page)
            answers = self._fitting(self._views(connection, page))
            if answers:
                return answers
        return []

    def all_of(self, connection: sqlite3.Connection, most: int) -> list[DataSetView] | None:
        """Return all answers where they are no more than that, None where they are. Raises sqlite3.Error."""
        answers: list[DataSetView] = []
        # Each row is an answer, and no more are wanted: what lies behind them need not be known.
        is_few = self._plan.is_exact and self._left is not None and self._left <= most
        while not self.is_over:
            if self._at >= len(self._numbers):
                passed = 0 if self._plan.is_exact else self._skip
                self._find_numbers(connection, most + passed + 1)
            if self._has_more and not is_few:
                return None
            answers += self.next_page(connection)
        return answers

    def _fitting(self, views: Sequence[DataSetView]) -> list[DataSetView]:
        """Return those that match, without the first that are to be left out and those beyond the limit."""
        plan = self._plan
        fitting = views if plan.is_exact else [v for v in views if matches(plan.query, v)]
        wanted = list(fitting[self._skip :])
        self._skip -= min(self._skip, len(fitting))
        if self._left is not None:
            wanted = wanted[: self._left]
            self._left -= len(wanted)
        return wanted

    # --- numbers ------------------------------------------------------------------------------------------

    def _find_numbers(self, connection: sqlite3.Connection, most: int | None = None) -> None:
        plan = self._plan
        number = f"{_ALIAS[plan.level]}.number"
        # In one go at most as many as are wanted, where each of them will be shown.
        most = min(most or self._limits.index_numbers, self._limits.index_numbers)
        passed = 0
        if plan.is_exact:
            # Each number is an answer, so none has to be read to be left out.
            passed, self._skip = self._skip, 0
            if self._left is not None:
                most = min(most, self._left)
        distinct = "DISTINCT " if plan.is_distinct else ""
        if plan.order is Order.RECEIVED:
            after = Sql(f"{number} > ?", (self._last[1],))
            columns, by = f"'', {number}", number
        else:
            after = self._after_newest(number)
            columns, by = f"s.study_day, {number}", f"s.study_day DESC, {number} DESC"
        found = connection.execute(
            f"SELECT {distinct}{columns} FROM {plan.source} WHERE {plan.where.text} AND {after.text}"  # noqa: S608
            f" ORDER BY {by} LIMIT ? OFFSET ?",
            (*plan.where.values, *after.values, most, passed),
        ).fetchall()
        self._numbers = [number for _, number in found]
        self._at = 0
        self._has_more = len(found) == most
        if found:
            self._last = found[-1]

    def _after_newest(self, number: str) -> Sql:
        if self._last == _LATEST:
            return Sql("1")
        return Sql(f"(s.study_day, {number}) < (?, ?)", self._last)

    # --- views --------------------------------------------------------------------------------------------

    def _views(self, connection: sqlite3.Connection, numbers: Sequence[int]) -> list[DataSetView]:
        # These are numbers of ours: as JSON, so that a page of any size is one statement.
        values = (json.dumps(list(numbers)), *self._page_sql.values)
        rows = connection.execute(self._page_sql.text, values)
        if self._is_bare:
            wanted = self._wanted
            return [KeptView(text, wanted) for (text,) in rows]
        if self._plan.level is Level.PATIENT:
            return [self._patient_view(row) for row in rows]
        known: dict[int, KeptView] = {}
        return [self._view(row, known) for row in rows]

    def _patient_view(self, row: tuple[Any, ...]) -> DataSetView:
        view = decode_view(row[1], self._wanted)
        kept = {tag: a for tag, a in view.items() if level_of(tag) is Level.PATIENT}
        return kept | _patient_counts(row[6])

    def _view(self, row: tuple[Any, ...], known: dict[int, KeptView]) -> KeptView:
        number = row[0]
        view = known.get(number)
        if view is None:
            view = known[number] = KeptView(row[1], self._wanted, self._made(row))
        if self._plan.level >= Level.SERIES:
            text, instances = row[7:9]
            view = KeptView(text, self._wanted, {INSTANCES_OF_SERIES: _count(instances)}, view)
        if self._plan.level is Level.IMAGE:
            view = KeptView(row[9], self._wanted, {}, view)
        return view

    def _made(self, row: tuple[Any, ...]) -> dict[int, Attribute]:
        made = _patient_counts(row[6])
        if self._adds_study:
            made[MODALITIES_IN_STUDY] = _listed("CS", row[2])
            made[SOP_CLASSES_IN_STUDY] = _listed("UI", row[3])
            made[SERIES_OF_STUDY] = _count(row[4])
            made[INSTANCES_OF_STUDY] = _count(row[5])
        return made


def _patient_counts(cell: str) -> dict[int, Attribute]:
    if not cell:
        return {}
    return dict(zip(PATIENT_COUNTS, map(_count, json.loads(cell)), strict=True))


def _listed(vr: str, cell: str) -> Attribute:
    return Attribute(vr, tuple(cell.split("\\")) if cell else ())


def _count(number: int) -> Attribute:
    return Attribute("IS", (str(number),))


def _page_sql(plan: Plan, *, is_bare: bool) -> Sql:
    """Return the statement for the rows of one page, in the order of its numbers; ``is_bare``: the view only."""
    seen = plan.restriction("s")
    counts = Sql("''")
    if plan.wants_patient_counts:
        inner = plan.restriction("f")
        text = (
            "(SELECT json_array(count(*), sum(f.series), sum(f.instances))"  # noqa: S608
            f" FROM studies f WHERE f.patient = s.patient AND {inner.text})"
        )
        counts = Sql(text, inner.values)
    columns = f"s.number, s.view, s.modalities, s.sop_classes, s.series, s.instances, {counts.text}"
    if is_bare:
        columns = "s.view"
    if plan.level >= Level.SERIES:
        columns += ", e.view, e.instances"
    if plan.level is Level.IMAGE:
        columns += ", i.view"
    alias = _ALIAS[plan.level]
    text = (
        f"WITH n(value, place) AS MATERIALIZED (SELECT value, key FROM json_each(?)) SELECT {columns}"  # noqa: S608
        f" FROM n CROSS JOIN {_TABLE[plan.level]} {alias} ON {alias}.number = n.value"
        f"{chain(max(plan.level, Level.STUDY))} WHERE {seen.text} ORDER BY n.place"
    )
    return Sql(text, (*counts.values, *seen.values))
