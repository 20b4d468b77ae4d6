"""Every table has an origin and a date, and age is counted in days."""

from datetime import date, timedelta
from pathlib import Path

import pytest

import doorward.knowledge
from doorward.knowledge import KNOWLEDGE_DATE
from doorward.knowledge.sources import OLD_AFTER_DAYS, age, origins, sources_markdown, tables

FOLDER = Path(doorward.knowledge.__file__).parent


def test_every_data_file_has_a_row_and_every_row_a_file():
    files = {path.name for path in FOLDER.glob("*.toml")} - {"sources.toml"}
    assert {table.name for table in tables()} == files
    assert len(tables()) == len(files)


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_every_table_has_rows_a_date_and_an_origin(table):
    assert table.rows > 1
    assert date.fromisoformat(table.date) >= date.fromisoformat(KNOWLEDGE_DATE)
    assert len(table.holds) > 20
    assert [origin for origin in origins() if origin.table == table.name]


@pytest.mark.parametrize("origin", origins(), ids=lambda origin: origin.name[:40])
def test_every_origin_has_a_licence_with_its_mark(origin):
    assert origin.table in {table.name for table in tables()}
    assert len(origin.name) > 10
    assert origin.licence
    assert origin.mark in ("S", "M")


def test_the_date_in_reports_is_that_of_the_advisories():
    (dated,) = [table.date for table in tables() if table.name == "advisories.toml"]
    assert dated == KNOWLEDGE_DATE


@pytest.mark.parametrize(
    ("days", "is_old", "is_ahead"),
    [
        (0, False, False),
        (OLD_AFTER_DAYS, False, False),
        (OLD_AFTER_DAYS + 1, True, False),
        (-1, False, True),
    ],
)
def test_more_than_180_days_are_old(days, is_old, is_ahead):
    dated = date(2026, 10, 31)
    found = age(dated, dated + timedelta(days=days))
    assert (found.days, found.is_old, found.is_ahead) == (days, is_old, is_ahead)
    assert OLD_AFTER_DAYS == 180


def test_the_page_names_every_table_and_origin():
    page = sources_markdown()
    assert all(f"`{table.name}`" in page for table in tables())
    assert all(origin.name in page for origin in origins())
