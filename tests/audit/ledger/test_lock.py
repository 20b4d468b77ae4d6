"""One writer at a time, also after one that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from doorward.audit.ledger.lock import WriterLock, beside
from doorward.errors import ConfigError

SOURCE = Path(__file__).resolve().parents[3] / "src"
HOLDER = """
import sys, time
from pathlib import Path
from doorward.audit.ledger.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(file: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_told_who_writes_and_what_to_do(tmp_path):
    file = tmp_path / "ledger"
    with holder(file) as first:
        with pytest.raises(
            ConfigError, match=rf"another Doorward \(process {first.pid}\)"
        ) as caught:
            WriterLock(file)
        assert caught.value.file == file
        assert "Wait" in (caught.value.hint or "")
        first.communicate("")


def test_the_lock_of_a_killed_writer_is_free_at_once(tmp_path):
    file = tmp_path / "ledger"
    with holder(file) as first:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    assert beside(file, "-lock").exists()
    WriterLock(file).release()


def test_a_released_lock_leaves_nothing_behind_and_can_be_taken_again(tmp_path):
    for _ in range(3):
        WriterLock(tmp_path / "ledger").release()
        assert list(tmp_path.iterdir()) == []


def test_one_process_cannot_write_twice_either(tmp_path):
    lock = WriterLock(tmp_path / "ledger")
    with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
        WriterLock(tmp_path / "ledger")
    lock.release()


def test_a_lock_that_was_removed_while_it_was_opened_is_taken_anew(tmp_path, monkeypatch):
    file, before = tmp_path / "ledger", os.stat
    removals = []

    def stat(path, **options):
        # The moment between opening and looking: the first writer goes and takes its file along.
        if not removals:
            removals.append(path)
            os.unlink(path)
        return before(path, **options)

    monkeypatch.setattr("doorward.audit.ledger.lock.os.stat", stat)
    lock = WriterLock(file)
    assert removals
    assert beside(file, "-lock").exists()
    lock.release()


def test_a_link_to_a_ledger_has_the_same_lock(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "ledger").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "ledger")
    lock = WriterLock(tmp_path / "link")
    with pytest.raises(ConfigError, match="is being written"):
        WriterLock(tmp_path / "real" / "ledger")
    lock.release()
