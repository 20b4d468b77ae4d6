"""A file is a ledger of one version or the next, or it is left alone."""

import json
import re
import sqlite3

import pytest

from doorward.audit.codec import from_json
from doorward.audit.facts import Attempt
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanPlan
from doorward.audit.ledger.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    migrate,
    require_ledger,
    version_of,
)
from doorward.audit.ledger.store import Store
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from ledgers import addressed, attempt, plan, standing

LATER = (
    *MIGRATIONS,
    ("ALTER TABLE scans ADD COLUMN weather TEXT NOT NULL DEFAULT 'fair'",),
    ("CREATE TABLE visitors (number INTEGER PRIMARY KEY)", "DROP TABLE documents"),
)


@pytest.fixture
def file(tmp_path):
    """A ledger of today's version with one survey."""
    file = tmp_path / "ledger"
    with Ledger.open(file) as ledger:
        ledger.begin(plan())
    return file


def connect(file):
    return sqlite3.connect(file, isolation_level=None)


def tables(connection):
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in found} - {"sqlite_sequence"}


def test_a_new_file_has_every_table_and_says_what_it_is(file):
    with connect(file) as connection:
        assert tables(connection) == {"scans", "systems", "answers", "verdicts", "documents"}
        assert version_of(connection) == len(MIGRATIONS)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()
    assert file.read_bytes()[68:72] == b"DwLg"


def test_an_older_file_is_brought_to_the_newest_version_with_all_it_holds(file):
    store = Store.write(file, migrations=LATER)
    assert store.row("PRAGMA user_version") == (len(LATER),)
    assert store.rows("SELECT number, weather FROM scans") == [(1, "fair")]
    assert store.rows("SELECT * FROM visitors") == []
    store.close()


def test_a_reader_of_an_older_file_brings_it_to_the_newest_version_too(file):
    store = Store.read(file, migrations=LATER)
    assert store.rows("SELECT weather FROM scans") == [("fair",)]
    with pytest.raises(ConfigError, match="may not be written"):
        store.execute("DELETE FROM scans")
    store.close()


def test_a_step_that_fails_midway_leaves_the_version_before(file):
    broken = (*MIGRATIONS, ("CREATE TABLE first (a)", "CREATE TABLE systems (a)"))
    connection = connect(file)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, file, broken)
    assert version_of(connection) == len(MIGRATIONS)
    assert "first" not in tables(connection)
    connection.close()


@pytest.mark.parametrize("opened", [Store.write, Store.read])
def test_a_file_of_a_newer_version_is_refused_with_what_to_do(file, opened):
    Store.write(file, migrations=LATER).close()
    before = file.read_bytes()
    with pytest.raises(
        ConfigError, match="version 3; this Doorward knows ledgers up to 1"
    ) as caught:
        opened(file)
    assert caught.value.file == file
    assert "Update" in (caught.value.hint or "")
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def other_database(file):
    with connect(file) as connection:
        connection.execute("CREATE TABLE patients (name)")
    connection.close()


def text(file):
    file.write_text("10.0.0.1\n")


def short(file):
    file.write_bytes(b"SQLite format 3\x00")


@pytest.mark.parametrize("made", [other_database, text, short])
@pytest.mark.parametrize("opened", [Ledger.open, Ledger.read])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path, made, opened):
    file = tmp_path / "precious"
    made(file)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="is no ledger") as caught:
        opened(file)
    assert "left alone" in str(caught.value)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_is_no_ledger(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        require_ledger(tmp_path)


# --- nothing but what the codec knows ---

#: Columns that hold text, and whose text it is. One that is not here is refused by the test below.
JSON = {"scans.plan": ScanPlan, "systems.target": Target, "answers.attempt": Attempt}
OURS = re.compile(
    r"(scans\.(state|started_at|ended_at|coverage)|systems\.(address|unknown)|answers\.outcome"
    r"|verdicts\.(address|address_order|name|grade|rungs|ports_\w+|product|site|owner|contact"
    r"|country|network_operator|\w+_exactness|\w+_method)|documents\.document)"
)


def test_what_was_seen_is_stored_as_the_codec_writes_it_and_nothing_else(tmp_path):
    file = tmp_path / "ledger"
    with Ledger.open(file) as ledger:
        scan = ledger.begin(plan())
        ledger.add(scan, addressed("192.0.2.1"))
        (visitee,) = ledger.waiting(scan, 1)
        ledger.answered(scan, visitee.number, attempt())
        ledger.finished(scan, visitee.number, standing(), "{}")
    connection = connect(file)
    for table in sorted(tables(connection)):
        described = connection.execute(f"PRAGMA table_info({table})").fetchall()
        for name, kind in ((row[1], row[2]) for row in described):
            column = f"{table}.{name}"
            if column in JSON:
                ((content,),) = connection.execute(f"SELECT {name} FROM {table}").fetchall()
                assert isinstance(from_json(JSON[column], content), JSON[column])
                assert set(json.loads(content)) == set(JSON[column].__dataclass_fields__)
            else:
                assert kind == "INTEGER" or OURS.fullmatch(column), f"{column}: whose text is it?"
    connection.close()
