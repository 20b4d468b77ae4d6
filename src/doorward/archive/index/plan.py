"""A query as SQL: which key starts the search, which others SQL checks, and whether that is all.

Theory of operation. ``lookup.conditions`` says what texts to look for. Each condition becomes a comparison of a column: of
a UID, or of a text in ``study_texts`` or ``series_texts``. The narrowest one starts the search by the index of texts; the
others are checked for what it finds, by the index of owners. What SQL cannot say (``is_exact`` is false then) is left to
``query.matches``. The planner of SQLite is given no choice (CROSS JOIN, INDEXED BY): it knows nothing of how often a text
occurs, and a wrong guess costs a hospital's whole archive.

Values of strangers are parameters, always.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from doorward.access.policy import Restriction
from doorward.access.rules import Names, Studies
from doorward.archive.index.levels import (
    ISSUER_OF_PATIENT_ID,
    MODALITY,
    PATIENT_COUNTS,
    PATIENT_ID,
    PATIENT_NAME,
    SERIES_INSTANCE_UID,
    SERIES_TEXTS,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    STUDY_TEXTS,
    Level,
    level_of,
)
from doorward.dicom.lookup import Condition, Lookup, conditions
from doorward.dicom.periods import ALWAYS, Period
from doorward.dicom.person_name import fold
from doorward.dicom.query import Key, Like, Named, Query
from doorward.dicom.tags import vr_of
from doorward.limits import Limits


class Sql(NamedTuple):
    """A piece of SQL and its parameters."""

    text: str
    values: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        """Show the text; the values may be a patient's."""
        return f"Sql({self.text!r})"


class Order(Enum):
    """The order of answers."""

    #: As they came in: no sorting.
    RECEIVED = "received"
    #: By Study Date, the newest first; studies without one at the end.
    NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a query is answered. ``numbers`` are rows of the level; for patients, of the first study of each."""

    query: Query
    level: Level
    order: Order
    source: str
    where: Sql
    restriction: Callable[[str], Sql]
    #: SQL says all; else ``query.matches`` has the last word.
    is_exact: bool
    is_distinct: bool
    #: It starts from a value that few have: a UID, a Patient ID, an Accession Number.
    is_narrow: bool

    @property
    def wants_patient_counts(self) -> bool:
        """The numbers of studies, series and instances of a patient are asked for."""
        return not self.query.asked.isdisjoint(PATIENT_COUNTS)


#: Alias, table, and its column that names the level above.
_TABLES = {
    Level.STUDY: ("s", "studies", ""),
    Level.SERIES: ("e", "series", "study"),
    Level.IMAGE: ("i", "instances", "series"),
}
_COLUMNS = {
    STUDY_INSTANCE_UID: (Level.STUDY, "s.uid"),
    SERIES_INSTANCE_UID: (Level.SERIES, "e.uid"),
    SOP_INSTANCE_UID: (Level.IMAGE, "i.uid"),
    SOP_CLASS_UID: (Level.IMAGE, "i.sop_class"),
}
#: Tags by which few are found where a value is given whole, and how few.
_NARROW = {SOP_INSTANCE_UID: 0, SERIES_INSTANCE_UID: 1, STUDY_INSTANCE_UID: 2} | {
    PATIENT_ID: 3,
    0x00080050: 3,  # Accession Number
    PATIENT_NAME: 4,
    0x00200010: 4,  # Study ID
    0x00100030: 5,  # Patient's Birth Date
    0x00400253: 5,  # Performed Procedure Step ID
}
_NARROW_RANK = 3
_FEW_VALUES = 64
_PREFIXED = {PATIENT_NAME: 6, PATIENT_ID: 6, 0x00080050: 6}
_PERIOD_RANK = 7
#: From here on a condition may hold for a good part of all: it starts a search only where all answers are wanted.
_WIDE_RANK = 8
_WIDE_TEXTS = frozenset({ISSUER_OF_PATIENT_ID, MODALITY})
_LAST_CHARACTER = 0x10FFFF
#: Of 32,766 that SQLite takes; the others are for restrictions.
_MOST_VALUES = 20_000


class _Test(NamedTuple):
    """One condition as SQL: checked for a row, or where the search starts."""

    level: Level
    check: Sql
    rank: int
    #: FROM and WHERE of a search that starts here; None where it cannot.
    start: tuple[str, Sql] | None
    is_exact: bool
    may_repeat: bool = False


def plan_of(
    query: Query,
    level: Level,
    *,
    restriction: Restriction | None,
    order: Order,
    is_limited: bool,
    limits: Limits,
) -> Plan:
    """Return how to answer a query at a level. ``is_limited``: few of the answers are wanted, in order."""
    asked = conditions(query)
    found = _bounded(_test_of(one, query, level, limits) for one in asked)
    least = _WIDE_RANK if is_limited else _WIDE_RANK + 10
    startable = [test for test in found if test.start is not None and test.rank < least]
    first = min(startable, key=lambda test: test.rank, default=None)
    seen = _restriction_of(restriction)
    target = max(level, Level.STUDY)
    begins_at = first.level if first is not None else target
    head, start = _TABLES[target][1] + " " + _TABLES[target][0], Sql("1")
    if first is not None and first.start is not None:
        head, start = first.start
    checks = [test.check for test in found if test is not first]
    if level is Level.PATIENT:
        checks.append(_first_of_patient(seen))
    return Plan(
        query=query,
        level=level,
        order=order,
        source=head + _joins(begins_at, target),
        where=_all_of([start, *checks, seen("s")]),
        restriction=seen,
        is_exact=len(found) == len(asked) and all(test.is_exact for test in found),
        is_distinct=first is not None and first.may_repeat,
        is_narrow=first is not None
        and first.rank <= _NARROW_RANK
        and sum(len(test.check.values) for test in found) <= _FEW_VALUES,
    )


def _bounded(tests: Iterator[_Test | None]) -> list[_Test]:
    """Return what SQL can do, as long as SQLite takes so many parameters (SQLITE_MAX_VARIABLE_NUMBER)."""
    found = []
    left = _MOST_VALUES
    for test in tests:
        if test is not None and len(test.check.values) <= left:
            left -= len(test.check.values)
            found.append(test)
    return found


def chain(level: Level) -> str:
    """Return the joins that lead from a row of a level up to its study."""
    return _joins(level, level)


def _joins(begins_at: Level, target: Level) -> str:
    joins = ""
    for level in range(begins_at, Level.STUDY, -1):
        alias, _, above = _TABLES[Level(level)]
        upper, table, _ = _TABLES[Level(level - 1)]
        joins += f" CROSS JOIN {table} {upper} ON {upper}.number = {alias}.{above}"
    for level in range(begins_at + 1, target + 1):
        alias, table, above = _TABLES[Level(level)]
        upper = _TABLES[Level(level - 1)][0]
        joins += f" CROSS JOIN {table} {alias} ON {alias}.{above} = {upper}.number"
    return joins


def _first_of_patient(seen: Callable[[str], Sql]) -> Sql:
    inner = seen("f")
    text = f"s.number = (SELECT min(f.number) FROM studies f WHERE f.patient = s.patient AND {inner.text})"  # noqa: S608
    return Sql(text, inner.values)


def _all_of(parts: Sequence[Sql]) -> Sql:
    return Sql(" AND ".join(p.text for p in parts), tuple(v for p in parts for v in p.values))


def _any_of(parts: Sequence[Sql]) -> Sql:
    text = " OR ".join(part.text for part in parts)
    return Sql(f"({text})" if parts else "0", tuple(v for part in parts for v in part.values))


# --- conditions -----------------------------------------------------------------------------------------


def _test_of(condition: Condition, query: Query, level: Level, limits: Limits) -> _Test | None:
    """Return what SQL can do for a condition, None for nothing."""
    tag = condition.tag
    if level_of(tag) > level:
        return None  # no such attribute at this level: unheard of, so left to the reference
    if vr_of(tag) == "PN" and not query.rules.folded_names:
        if condition.test is not Lookup.EQUAL:
            return None
        is_exact, texts = False, tuple(map(fold, condition.texts))
    else:
        is_exact, texts = condition.is_exact, condition.texts
    if tag in _COLUMNS:
        return _column_test(condition, texts, limits)
    if tag not in STUDY_TEXTS | SERIES_TEXTS:
        return None
    owner = Level.STUDY if tag in STUDY_TEXTS else Level.SERIES
    alias, table, _ = _TABLES[owner]
    name = "study" if owner is Level.STUDY else "series"
    held = (
        f"EXISTS (SELECT 1 FROM {name}_texts t INDEXED BY {name}_texts_of"  # noqa: S608
        f" WHERE t.{name} = {alias}.number AND t.tag = ?"
    )
    absent = Sql(f"NOT {held})", (tag,))
    if condition.test is Lookup.ABSENT:
        return _Test(owner, absent, _WIDE_RANK + 9, None, is_exact=False)
    compared = _comparison(condition, texts, "t.text", limits)
    if compared is None:
        literals = _literals(condition, query, limits)
        compared = _contains(literals, "t.text")
        is_exact = False
    if compared is None:
        return None
    check = Sql(f"{held} AND {compared.text})", (tag, *compared.values))
    if condition.or_absent:
        return _Test(owner, _any_of([check, absent]), _WIDE_RANK + 9, None, is_exact=False)
    start = Sql(f"t.tag = ? AND {compared.text}", (tag, *compared.values))
    source = f"{name}_texts t CROSS JOIN {table} {alias} ON {alias}.number = t.{name}"
    is_single = condition.test is Lookup.EQUAL and len(texts) == 1
    rank = _rank(condition)
    return _Test(owner, check, rank, (source, start), is_exact, may_repeat=not is_single)


def _column_test(condition: Condition, texts: tuple[str, ...], limits: Limits) -> _Test | None:
    if condition.or_absent or condition.test in (Lookup.ABSENT, Lookup.SCAN):
        return None  # a UID is never absent, so this is the reference's
    owner, column = _COLUMNS[condition.tag]
    compared = _comparison(condition, texts, column, limits)
    if compared is None:
        return None
    alias, table, _ = _TABLES[owner]
    is_indexed = column.endswith(".uid")
    start = (f"{table} {alias}", compared) if is_indexed else None
    return _Test(owner, compared, _rank(condition), start, condition.is_exact)


def _comparison(
    condition: Condition, texts: tuple[str, ...], column: str, limits: Limits
) -> Sql | None:
    """Return a condition on a column of texts, None where there is none or too many alternatives."""
    if len(texts) + len(condition.periods) > limits.index_alternatives:
        return None if condition.test is not Lookup.EQUAL else _equal(column, texts)
    match condition.test:
        case Lookup.EQUAL:
            return _equal(column, texts)
        case Lookup.PREFIX:
            return _any_of([_prefixed(column, text) for text in texts])
        case Lookup.RANGE:
            between = f"{column} BETWEEN ? AND ?"
            return _any_of([Sql(between, (p.first, p.last)) for p in condition.periods])
        case _:
            return None


def _equal(column: str, texts: tuple[str, ...]) -> Sql:
    if len(texts) == 1:
        return Sql(f"{column} = ?", texts)
    return Sql(f"{column} IN ({','.join('?' * len(texts))})", texts)


def _prefixed(column: str, prefix: str) -> Sql:
    """Return what a text that begins so is: not below the prefix, and below the next one of that length."""
    head = prefix.rstrip(chr(_LAST_CHARACTER))
    if not head:
        return Sql(f"{column} >= ?", (prefix,))
    after = ord(head[-1]) + 1
    after = 0xE000 if after == 0xD800 else after  # half a surrogate pair is no character
    return Sql(f"({column} >= ? AND {column} < ?)", (prefix, head[:-1] + chr(after)))


def _rank(condition: Condition) -> int:
    """Return how wide a condition is likely to be."""
    tag = condition.tag
    if condition.test is Lookup.EQUAL:
        return _NARROW.get(tag, _WIDE_RANK + (tag in _WIDE_TEXTS))
    if condition.test is Lookup.PREFIX:
        return _PREFIXED.get(tag, _WIDE_RANK)
    if condition.test is Lookup.RANGE:
        is_short = vr_of(tag) == "DA" and all(map(_is_short, condition.periods))
        return _PERIOD_RANK if is_short else _WIDE_RANK + 2
    return _WIDE_RANK + 3


def _is_short(period: Period) -> bool:
    """Tell whether a period of days lies in two months that follow each other."""
    if not period.first or period.last == ALWAYS:
        return False
    first, last = (int(day[:4]) * 12 + int(day[4:6]) for day in period)
    return last - first <= 1


# --- a wild card at the beginning -------------------------------------------------------------------------


def _literals(condition: Condition, query: Query, limits: Limits) -> tuple[str, ...]:
    """Return texts of which every match holds one; () where nothing of the kind is known."""
    if condition.test is not Lookup.SCAN:
        return ()
    (key,) = (key for key in query.keys if key.tag == condition.tag)
    found = tuple(map(_longest_literal, _patterns(key)))
    return found if all(found) and len(found) <= limits.index_alternatives else ()


def _patterns(key: Key) -> Sequence[str]:
    match key.match:
        case Like(patterns):
            return patterns
        case Named(names):
            return [next(group for group in name if group) for name in names]
        case _:
            return ()


def _longest_literal(pattern: str) -> str:
    # A name fits as well where "^" is missing at its end, so none is looked for.
    plain = pattern.replace("?", "*").replace("^", "*")
    return max(plain.split("*"), key=len)


def _contains(literals: Sequence[str], column: str) -> Sql | None:
    if not literals:
        return None
    return _any_of([Sql(f"instr({column}, ?) > 0", (text,)) for text in literals])


# --- who may see what ---------------------------------------------------------------------------------------


def _restriction_of(restriction: Restriction | None) -> Callable[[str], Sql]:
    """Return the condition on a study, by alias, under which ``Restriction.shows`` is true."""

    def of(alias: str) -> Sql:
        if restriction is None:
            return Sql("1")
        allowed = _any_of([_holds(studies, alias, unknown=False) for studies in restriction.allow])
        denied = _any_of([_holds(studies, alias, unknown=True) for studies in restriction.deny])
        return Sql(f"{allowed.text} AND NOT {denied.text}", (*allowed.values, *denied.values))

    return of


def _holds(studies: Studies, alias: str, *, unknown: bool) -> Sql:
    named = (
        ("site", studies.sites),
        ("department", studies.departments),
        ("referring_physician", studies.referring_physicians),
    )
    parts = [
        _is_among(f"{alias}.{column}", names, unknown=unknown)
        for column, names in named
        if names is not None
    ]
    if studies.labels is not None:
        labels = sorted(studies.labels)
        is_one = _equal("l.label", tuple(labels)) if labels else Sql("0")
        text = f"EXISTS (SELECT 1 FROM study_labels l WHERE l.study = {alias}.number AND {is_one.text})"  # noqa: S608
        parts.append(Sql(text, is_one.values))
    if studies.since is not None or studies.before is not None:
        parts.append(_in_time(studies, f"{alias}.study_day", unknown=unknown))
    return _all_of([Sql("1"), *parts])


def _is_among(column: str, names: Names, *, unknown: bool) -> Sql:
    if not names:
        return Sql("0")
    known = _equal(column, tuple(sorted(names - {""}))) if names - {""} else Sql("0")
    return _any_of([known, Sql(f"{column} = ''")]) if unknown else known


def _in_time(studies: Studies, column: str, *, unknown: bool) -> Sql:
    since = "0" if studies.since is None else studies.since.isoformat().replace("-", "")
    before = "~" if studies.before is None else studies.before.isoformat().replace("-", "")
    known = Sql(f"({column} >= ? AND {column} < ?)", (since, before))
    return _any_of([known, Sql(f"{column} = ''")]) if unknown else known
