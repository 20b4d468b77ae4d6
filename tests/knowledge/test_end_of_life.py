"""Ends of branches: sourced, comparable, and only where something is known."""

import re
from datetime import date

import pytest

from doorward.knowledge.end_of_life import branches, ended
from doorward.knowledge.web_signatures import web_signatures

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize("row", branches(), ids=lambda row: f"{row.software}-{row.branch}")
def test_every_row_is_sound(row):
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", row.branch)
    assert date(2000, 1, 1) < row.last_day < date(2040, 1, 1)
    assert row.mark in ("S", "M")
    assert row.source
    assert row.software in {s.product for s in web_signatures() if s.kind == "server"}


def test_no_branch_stands_twice():
    keys = [(row.software, row.branch) for row in branches()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("software", "version", "branch"),
    [
        ("nginx", "1.18.0", "1.18"),
        ("nginx", "1.2.9", "1.2"),
        ("nginx", "1.20", "1.20"),
        ("nginx", "1.28.0", None),
        ("nginx", "1.180.0", None),
        ("Apache HTTP Server", "2.2.34", "2.2"),
        ("Apache HTTP Server", "2.4.58", None),
        ("Apache Tomcat", "8.5.90", "8.5"),
        ("Apache Tomcat", "7.0.109", "7"),
        ("Microsoft IIS", "7.5", "7.5"),
        ("Eclipse Jetty", "9.4.43", "9.4"),
        ("nobody", "1.0", None),
        ("nginx", "", None),
    ],
)
def test_the_longest_branch_that_fits_decides(software, version, branch):
    found = ended(software, version, TODAY)
    assert (found.branch if found else None) == branch


def test_a_branch_is_repaired_up_to_its_last_day():
    assert ended("nginx", "1.18.0", date(2021, 4, 20)) is None
    assert ended("nginx", "1.18.0", date(2021, 4, 21)) is not None
