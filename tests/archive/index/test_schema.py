"""Versions: from each to the next, never back, and nothing that is not ours is touched."""

import sqlite3
from contextlib import closing

import pytest

from doorward.archive.index.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    migrate,
    require_database,
    version_of,
)
from doorward.archive.index.upkeep import problems
from doorward.errors import ConfigError
from index_entries import entry, in_index, opened


def test_a_new_file_is_of_the_newest_version_and_says_that_it_is_an_index(tmp_path):
    file = tmp_path / "index"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrate(connection, file)
        assert version_of(connection) == len(MIGRATIONS)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    require_database(file)


def test_an_older_index_becomes_a_newer_one_with_all_that_is_in_it(tmp_path):
    in_index(tmp_path, lambda index: index.write([entry()]))
    file = tmp_path / "index"
    later = (*MIGRATIONS, ("ALTER TABLE studies ADD COLUMN added TEXT NOT NULL DEFAULT 'x'",))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrate(connection, file, later)
        assert connection.execute("SELECT uid, added FROM studies").fetchall() == [("1", "x")]


@pytest.mark.parametrize("text", ["north", "radiology", "teaching"])
def test_a_bit_that_flips_in_what_no_blob_says_is_found_by_its_copy(tmp_path, text):
    named = {"site": "north", "department": "radiology", "labels": frozenset({"teaching"})}
    in_index(tmp_path, lambda index: index.write([entry(**named)]))
    file = tmp_path / "index"
    whole = file.read_bytes()
    places = [at for at in range(len(whole)) if whole.startswith(text.encode(), at)]
    assert len(places) >= 2
    for at in places:
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            assert any("missing from index" in problem for problem in problems(connection))


@pytest.mark.parametrize(
    "search",
    [
        "SELECT count(*) FROM studies",
        "SELECT number FROM studies",
        "SELECT uid FROM studies WHERE site = 'north' AND department = ''",
        "SELECT study FROM study_labels WHERE label = 'teaching'",
        "SELECT 1 FROM studies s WHERE EXISTS"
        " (SELECT 1 FROM study_labels WHERE study = s.number AND label = 'teaching')",
    ],
)
def test_no_search_goes_by_the_copies(tmp_path, search):
    in_index(tmp_path, lambda index: index.write([entry(site="north")]))
    with closing(sqlite3.connect(tmp_path / "index")) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {search}").fetchall()
    assert plan
    assert "_copied" not in str(plan)


def test_what_no_blob_says_is_copied_when_an_older_index_is_opened(tmp_path):
    file = tmp_path / "index"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrate(connection, file, MIGRATIONS[:2])
    in_index(tmp_path, lambda index: index.write([entry(site="north")]))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        assert version_of(connection) == len(MIGRATIONS)
        sql = "SELECT 1 FROM sqlite_master WHERE name = 'studies_copied'"
        assert connection.execute(sql).fetchone()
        assert problems(connection) == []


def test_a_step_that_fails_leaves_the_version_before_it(tmp_path):
    file = tmp_path / "index"
    broken = (*MIGRATIONS, ("CREATE TABLE more (x)", "CREATE TABLE studies (x)"))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, file, broken)
        assert version_of(connection) == len(MIGRATIONS)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        assert "more" not in tables


def test_an_index_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    in_index(tmp_path, lambda index: index.write([entry()]))
    file = tmp_path / "index"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")
    words = "version 99; this Doorward knows indexes up to 3"
    with pytest.raises(ConfigError, match=words), opened(tmp_path):
        pass
    with closing(sqlite3.connect(file)) as connection:
        assert version_of(connection) == 99


def test_another_file_is_refused_and_left_alone(tmp_path):
    (tmp_path / "index").write_bytes(b"hello")
    with pytest.raises(ConfigError, match="is no index of Doorward"), opened(tmp_path):
        pass
    assert (tmp_path / "index").read_bytes() == b"hello"


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "index")) as connection:
        connection.execute("CREATE TABLE patients (x)")
    before = (tmp_path / "index").read_bytes()
    with pytest.raises(ConfigError, match="is no index of Doorward"), opened(tmp_path):
        pass
    assert (tmp_path / "index").read_bytes() == before


def test_a_file_that_was_begun_by_a_process_that_died_becomes_an_index(tmp_path):
    with closing(sqlite3.connect(tmp_path / "index")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert in_index(tmp_path, lambda index: index.totals()).studies == 0
