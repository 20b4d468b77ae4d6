"""What is read in the event loop is little, or it is not read there."""

import sqlite3
from contextlib import closing

import pytest

from doorward.archive.index.at_once import AtOnce
from index_entries import entry, in_index
from loopback import limits

COUNT = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {}) SELECT max(n) FROM c"


@pytest.fixture
def file(tmp_path):
    in_index(tmp_path, lambda index: index.write([entry()]))
    return tmp_path / "index"


@pytest.fixture
def at_once(file):
    with closing(AtOnce(file, limits(index_now_steps=1_000))) as one:
        yield one


def count_to(most):
    return lambda connection: connection.execute(COUNT.format(most)).fetchone()[0]


def test_what_is_short_is_done_and_what_is_long_is_given_up_each_time(at_once):
    for _ in range(20):
        assert at_once.read(count_to(20)) == 20
        assert at_once.read(count_to(1_000_000)) is None
    assert at_once.read(count_to(20)) == 20


def test_many_short_ones_are_done_however_many_came_before(at_once):
    assert [at_once.read(count_to(40)) for _ in range(200)] == [40] * 200


def test_nothing_is_written_and_no_lock_is_waited_for(at_once, file):
    assert at_once.read(lambda connection: connection.execute("DELETE FROM studies")) is None
    assert at_once.read(lambda c: c.execute("SELECT count(*) FROM studies").fetchone()[0]) == 1
    assert at_once.read(lambda c: c.execute("PRAGMA busy_timeout").fetchone()[0]) == 0


def test_a_fault_is_left_to_whoever_can_say_it_in_words(tmp_path, at_once):
    def fails(_):
        raise sqlite3.DatabaseError("malformed")

    assert at_once.read(fails) is None
    missing = AtOnce(tmp_path / "none", limits())
    assert missing.read(count_to(1)) is None
    missing.close()


def test_after_its_end_it_opens_anew(at_once):
    assert at_once.read(count_to(2)) == 2
    at_once.close()
    at_once.close()
    assert at_once.read(count_to(2)) == 2
