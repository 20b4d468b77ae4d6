"""What was acknowledged is remembered, without the name of any file."""

import os
import sqlite3
from contextlib import closing

import pytest

from doorward.archive.upkeep.done import Done, key_of
from doorward.errors import ConfigError
from loopback import limits

KEYS = [key_of(f"/patients/DOE^JOHN/{number}.dcm", 100, 7) for number in range(5)]


def test_what_was_added_is_there_after_it_was_closed(tmp_path):
    with closing(Done(tmp_path / "done", limits=limits(index_batch=2))) as done:
        for key in KEYS[:3]:
            done.add(key)
    with closing(Done(tmp_path / "done")) as done:
        assert done.known(KEYS) == set(KEYS[:3])
        assert done.known([]) == set()


def test_it_reaches_the_file_before_it_is_closed(tmp_path):
    with closing(Done(tmp_path / "done", limits=limits(index_batch=2, upkeep_note_s=99.0))) as one:
        for key in KEYS[:3]:
            one.add(key)
        with closing(sqlite3.connect(tmp_path / "done")) as other:
            assert other.execute("SELECT count(*) FROM done").fetchone() == (3,)


def test_another_path_size_or_time_is_another_file():
    ones = {key_of("a", 1, 1), key_of("b", 1, 1), key_of("a", 2, 1), key_of("a", 1, 2)}
    assert len(ones) == 4
    assert key_of("a", 1, 1) == key_of(os.path.abspath("a"), 1, 1)


def test_no_name_is_in_it_and_nobody_else_can_read_it(tmp_path):
    with closing(Done(tmp_path / "done")) as done:
        for key in KEYS:
            done.add(key)
    assert b"DOE" not in (tmp_path / "done").read_bytes()
    assert (tmp_path / "done").stat().st_mode & 0o777 == 0o600


def test_a_name_that_is_not_unicode_has_a_key():
    assert key_of(os.fsdecode(b"/x/\xff\xfe"), 1, 1) != key_of("/x/", 1, 1)


def test_another_database_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(ConfigError, match="no list of an import"):
        Done(tmp_path / "other")
