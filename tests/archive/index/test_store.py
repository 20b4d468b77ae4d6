"""How the file is opened, and what the disk does, in words that say nothing of patients."""

import os
import stat
import subprocess
import sys

import pytest

from doorward.archive.index.store import in_words, open_reader, open_writer, take_the_right
from doorward.errors import ConfigError, StorageError, StorageFull
from doorward.limits import DEFAULT_LIMITS


@pytest.fixture
def file(tmp_path):
    return tmp_path / "index"


def test_a_commit_reaches_the_disk_before_it_returns(file):
    connection = open_writer(file, DEFAULT_LIMITS)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    connection.close()


def test_only_its_owner_may_read_an_index_and_its_log(file):
    connection = open_writer(file, DEFAULT_LIMITS)
    connection.execute("INSERT INTO patients VALUES (1, '', '', '')")
    os.close(take_the_right(file))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}
    connection.close()


def test_a_reader_cannot_write(file):
    writer = open_writer(file, DEFAULT_LIMITS)
    reader = open_reader(file, DEFAULT_LIMITS)
    with pytest.raises(StorageError, match="may not be written"), in_words("write", file):
        reader.execute("DELETE FROM studies")
    reader.close()
    writer.close()


def test_the_right_to_write_comes_back_from_the_dead(file):
    child = (
        "import fcntl, os, sys\n"
        "h = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(h, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", child, f"{file}-lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(ConfigError, match="another Doorward"):
            take_the_right(file)
        process.kill()
        process.wait()
        os.close(take_the_right(file))


def test_a_full_disk_is_said_so_and_what_was_there_stays(file):
    connection = open_writer(file, DEFAULT_LIMITS)
    connection.execute("INSERT INTO patients VALUES (1, 'SECRET', '', '')")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    many = ((number, str(number)) for number in range(2, 10_000))
    with pytest.raises(StorageFull, match="no room is left") as caught, in_words("write", file):
        connection.executemany("INSERT INTO patients VALUES (?, 'SECRET', '', ?)", many)
    assert caught.value.kind == "full"
    assert "SECRET" not in str(caught.value)
    assert connection.execute("SELECT count(*) FROM patients").fetchone()[0] > 0
    connection.close()


def test_a_damaged_file_is_said_so(file):
    connection = open_writer(file, DEFAULT_LIMITS)
    connection.close()
    whole = bytearray(file.read_bytes())
    whole[4096:8192] = b"\xff" * 4096
    file.write_bytes(whole)
    reader = open_reader(file, DEFAULT_LIMITS)
    with pytest.raises(StorageError, match="it is damaged") as caught, in_words("read", file):
        reader.execute("SELECT * FROM patients").fetchall()
    reader.close()
    assert caught.value.kind == "damaged"
    assert "reindex" in caught.value.hint


def test_what_the_system_refuses_is_in_words_too(tmp_path):
    with pytest.raises(StorageError) as caught:
        open_writer(tmp_path / "not there" / "index", DEFAULT_LIMITS)
    assert caught.value.kind == "missing"
