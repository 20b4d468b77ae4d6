"""Where a search starts, what SQL decides alone, and that values of strangers stay values."""

import dataclasses
import sqlite3
from contextlib import closing
from datetime import date

import pytest

from doorward.access.identity import Decision
from doorward.access.policy import Restriction
from doorward.access.rules import Studies
from doorward.archive.index.levels import Level
from doorward.archive.index.plan import Order, Sql, _prefixed, chain, plan_of
from doorward.archive.index.schema import MIGRATIONS
from doorward.dicom.query import Rules
from doorward.limits import DEFAULT_LIMITS
from index_entries import query

YES = Decision(is_allowed=True, reason="Allowed", rule="r")


def plan(level=Level.STUDY, rules=None, /, *, is_limited=False, limits=DEFAULT_LIMITS, **keys):
    return plan_of(
        query(rules, **keys),
        level,
        restriction=None,
        order=Order.RECEIVED,
        is_limited=is_limited,
        limits=limits,
    )


def steps(made, number="s.number"):
    """What SQLite does for a plan, in its own words."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        sql = f"EXPLAIN QUERY PLAN SELECT {number} FROM {made.source} WHERE {made.where.text}"
        return [row[3] for row in connection.execute(sql, made.where.values)]


@pytest.mark.parametrize(
    ("keys", "start", "is_exact"),
    (
        ({}, "SCAN s", True),
        ({"StudyInstanceUID": "1"}, "SEARCH s USING COVERING INDEX", True),
        ({"PatientID": "1"}, "SEARCH t USING PRIMARY KEY (tag=? AND text=?)", True),
        ({"PatientID": "1", "ModalitiesInStudy": "CT"}, "SEARCH t USING PRIMARY KEY", True),
        ({"PatientName": "Doe*"}, "SEARCH t USING PRIMARY KEY (tag=? AND text>? AND text<?)", True),
        ({"PatientName": "*Doe"}, "SEARCH t USING PRIMARY KEY (tag=?)", False),
        (
            {"StudyDate": "20200101-"},
            "SEARCH t USING PRIMARY KEY (tag=? AND text>? AND text<?)",
            True,
        ),
        ({"PatientName": "*", "PatientComments": "x"}, "SCAN s", False),
        ({"SeriesInstanceUID": "1"}, "SCAN s", False),
    ),
)
def test_a_search_starts_where_fewest_are(keys, start, is_exact):
    made = plan(**keys)
    assert steps(made)[0].startswith(start)
    assert made.is_exact is is_exact


def test_a_week_is_narrower_than_a_modality():
    made = plan(StudyDate="20191228-20200103", ModalitiesInStudy="CT")
    assert "text>? AND text<?" in steps(made)[0]
    made = plan(StudyDate="20100101-", ModalitiesInStudy="CT")
    assert "text=?" in steps(made)[0]


def test_the_narrowest_key_starts_and_the_others_are_checked_by_owner():
    made = plan(PatientID="1", StudyDate="20200101-20201231", PatientName="D*")
    first, second, *checks = steps(made)
    assert first.startswith("SEARCH t USING PRIMARY KEY (tag=? AND text=?)")
    assert second.startswith("SEARCH s USING INTEGER PRIMARY KEY")
    searches = [text for text in checks if text.startswith("SEARCH t")]
    assert len(searches) == 2
    assert all("study_texts_of (study=? AND tag=? AND text>?" in text for text in searches)


def test_a_key_that_holds_for_many_starts_nothing_where_few_answers_are_wanted():
    assert steps(plan(ModalitiesInStudy="CT", is_limited=True))[0].startswith("SCAN s")
    assert steps(plan(ModalitiesInStudy="CT"))[0].startswith("SEARCH t")
    assert steps(plan(PatientID="1", is_limited=True))[0].startswith("SEARCH t")


@pytest.mark.parametrize("level", (Level.SERIES, Level.IMAGE))
def test_lower_levels_are_reached_from_the_study(level):
    made = plan(level, PatientID="1")
    first, *others = steps(made)
    assert first.startswith("SEARCH t")
    assert not [text for text in others if text.startswith("SCAN")]


def test_a_uid_leads_up_too():
    made = plan(Level.IMAGE, SOPInstanceUID="1", PatientID="1")
    assert steps(made)[0].startswith("SEARCH i USING INDEX")
    assert chain(Level.STUDY) == ""
    assert chain(Level.IMAGE).count("JOIN") == 2


def test_names_as_they_are_written_are_looked_up_folded_and_checked_again():
    made = plan(Level.STUDY, Rules(folded_names=False), PatientName="DOE")
    assert "doe" in made.where.values
    assert not made.is_exact
    made = plan(Level.STUDY, Rules(folded_names=False), PatientName="DOE*")
    assert not made.where.values


def test_values_of_strangers_are_never_part_of_the_sql():
    bad = "x' OR 1=1 --"
    made = plan(
        PatientID=bad, PatientName=f"*{bad}*", StudyInstanceUID=f"{bad}\\1", StudyID=f"{bad}*"
    )
    assert "1=1" not in made.where.text + made.source
    assert "1=1" not in repr(made.where)


def test_more_alternatives_than_sql_takes_are_left_to_the_reference():
    limits = dataclasses.replace(DEFAULT_LIMITS, index_alternatives=2)
    assert plan(PatientID="a*\\b*", limits=limits).is_exact
    assert not plan(PatientID="a*\\b*\\c*", limits=limits).is_exact
    many = "\\".join(map(str, range(10_000)))
    made = plan(PatientID=many, StudyInstanceUID=many, AccessionNumber=many)
    assert not made.is_exact
    assert len(made.where.values) < 32_766
    steps(made)


@pytest.mark.parametrize(
    ("prefix", "values"),
    (
        ("ab", ("ab", "ac")),
        ("a\U0010ffff", ("a\U0010ffff", "b")),
        ("\ud7ff", ("\ud7ff", "\ue000")),
        ("\U0010ffff", ("\U0010ffff",)),
    ),
)
def test_a_prefix_is_a_range_of_texts(prefix, values):
    assert _prefixed("c", prefix).values == values


def test_a_restriction_is_part_of_every_plan():
    studies = Studies(
        sites=frozenset({"a"}),
        departments=frozenset(),
        labels=frozenset({"l"}),
        since=date(987, 1, 2),
    )
    restriction = Restriction(
        decision=YES, allow=(studies,), deny=(Studies(before=date(2020, 1, 1)),)
    )
    made = plan_of(
        query(),
        Level.PATIENT,
        restriction=restriction,
        order=Order.NEWEST,
        is_limited=True,
        limits=DEFAULT_LIMITS,
    )
    assert {"a", "l", "09870102", "20200101"} <= set(made.where.values)
    assert made.restriction("x") == Sql(*made.restriction("x"))
    steps(made)
