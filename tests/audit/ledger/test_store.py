"""Whatever the disk does is one clear sentence, and what was committed is there afterwards."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.store import Store
from doorward.errors import ConfigError
from ledgers import attempt, finish_all, planned

SOURCE = Path(__file__).resolve().parents[3] / "src"
TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path):
    """A closed ledger with a hundred judged systems."""
    file = tmp_path / "ledger"
    with Ledger.open(file) as ledger:
        scan = planned(ledger, *(f"192.0.2.{n}" for n in range(1, 101)))
        finish_all(ledger, scan)
    return file


def integrity(file: Path) -> str:
    connection = sqlite3.connect(file)
    (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return answer


def test_a_closed_ledger_is_one_file_that_only_its_owner_may_read(file):
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert integrity(file) == "ok"


def test_commits_are_handed_to_the_system_and_the_log_is_that_of_wal(file):
    store = Store.write(file)
    assert store.row("PRAGMA journal_mode") == ("wal",)
    assert store.row("PRAGMA synchronous") == (1,)  # NORMAL
    assert store.row("PRAGMA foreign_keys") == (1,)
    store.close()


def test_a_transaction_is_all_or_nothing(file):
    store = Store.write(file)

    def stopped():
        with store.transaction():
            store.execute("DELETE FROM scans")
            assert store.row("SELECT count(*) FROM scans") == (0,)
            raise KeyError

    with pytest.raises(KeyError):
        stopped()
    assert store.row("SELECT count(*) FROM scans") == (1,)
    store.close()


def test_a_snapshot_sees_one_moment(file):
    writer, reader = Store.write(file), Store.read(file)
    with reader.snapshot():
        assert reader.row("SELECT count(*) FROM answers") == (100,)
        writer.execute("DELETE FROM answers")
        assert reader.row("SELECT count(*) FROM answers") == (100,)
    assert reader.row("SELECT count(*) FROM answers") == (0,)
    reader.close()
    writer.close()


def test_a_reader_cannot_write_and_sees_every_commit_of_a_writer_beside_it(file):
    with Ledger.open(file) as writer, Ledger.read(file) as reader:
        scan = planned(writer, "192.0.2.200")
        (visitee,) = writer.waiting(scan, 5)
        for count in range(1, 4):
            writer.answered(scan, visitee.number, attempt(port=count))
            assert reader.progress(scan).answers == count
        with pytest.raises(ConfigError, match="may not be written"):
            reader.mark_planned(scan, 9)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_second_writer_is_refused_and_the_first_goes_on(file):
    with Ledger.open(file) as first:
        with pytest.raises(ConfigError, match="is being written by another Doorward"):
            Ledger.open(file)
        assert first.row(1).number == 1
    Ledger.open(file).close()


def test_there_is_nothing_to_read_where_there_is_no_ledger(tmp_path):
    with pytest.raises(ConfigError, match="no such ledger"):
        Ledger.read(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_in_a_folder_that_is_not_there_is_one_clear_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be opened \(No such file or directory\)"):
        Ledger.open(tmp_path / "nowhere" / "ledger")


READER = """
import os, sys
from pathlib import Path
from doorward.audit.ledger.ledger import Ledger
if os.geteuid() == 0:
    os.setuid(65534)  # no permission stops root
with Ledger.read(Path(sys.argv[1])) as ledger:
    print(ledger.progress(1).done)
"""


def test_a_ledger_where_nothing_can_be_written_can_be_read(file):
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(file, folder))
        copy.chmod(0o444)
        copy.parent.chmod(0o555)
        run = subprocess.run(
            [sys.executable, "-c", READER, str(copy)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=False,
        )
        copy.parent.chmod(0o755)
    assert run.stdout == "100\n", run.stderr


# --- damage ---


@pytest.mark.parametrize("opened", [Ledger.open, Ledger.read])
@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_a_file_that_is_cut_short_is_said_to_be_so(file, opened, kept):
    os.truncate(file, int(file.stat().st_size * kept))
    with pytest.raises(
        ConfigError, match=r"is damaged: [\d,]+ of its [\d,]+ bytes are missing"
    ) as caught:
        opened(file)
    assert "copy" in (caught.value.hint or "")


def test_a_page_of_rubbish_is_said_to_be_damage_where_it_is_met(file):
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="is damaged") as caught, Ledger.read(file) as ledger:
        list(ledger.standings(1))
    assert caught.value.file == file


FULL = """
import resource, signal, sys
from pathlib import Path
from ledgers import attempt, planned
from doorward.audit.ledger.ledger import Ledger
from doorward.errors import ConfigError
ledger = Ledger.open(Path(sys.argv[1]))
scan = planned(ledger, "192.0.2.1")
number = ledger.waiting(scan, 1)[0].number
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
told = 0
try:
    while True:
        ledger.answered(scan, number, attempt(port=told % 60_000, probe="x" * 2_000))
        told += 1
except ConfigError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(told, "|", error, "|", error.hint)
ledger.close()
"""


def run_full(file: Path, code: str = FULL) -> tuple[int, str]:
    run = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in run.stderr, run.stderr
    told, _, words = run.stdout.partition(" | ")
    return int(told), words


def test_a_file_that_may_not_grow_is_one_clear_sentence_and_keeps_what_it_has(tmp_path):
    file = tmp_path / "ledger"
    told, words = run_full(file)
    assert told > 10
    assert "the disk" in words
    assert "Make room" in words
    assert integrity(file) == "ok"
    with Ledger.read(file) as ledger:
        assert ledger.progress(1).answers == told


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_one_clear_sentence_and_the_ledger_goes_on_where_there_is_room(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        code = FULL.replace("resource.setrlimit(", "(lambda *_: None)(")
        told, words = run_full(small / "ledger", code)
        assert told > 10
        assert "the disk is full" in words
        with Ledger.read(small / "ledger") as ledger:
            assert ledger.progress(1).answers == told
        shutil.copytree(small, large)
    finally:
        subprocess.run(["umount", small], check=True)
    assert integrity(large / "ledger") == "ok"
    with Ledger.open(large / "ledger") as ledger:
        (visitee,) = ledger.waiting(1, 5)
        assert len(visitee.answered) == told
        assert ledger.answered(1, visitee.number, attempt(port=65_000))


def test_no_text_of_sqlite_reaches_an_error(file):
    store = Store.write(file)
    with pytest.raises(ConfigError) as caught:
        store.execute("INSERT INTO scans (state, started_at, plan) VALUES ('DOE^JANE', '', '')")
    assert "DOE" not in str(caught.value)
    assert caught.value.__suppress_context__
    with pytest.raises(ConfigError, match="could not be used"):
        store.execute("SELECT 'DOE^JANE' FROM nowhere")
    store.close()
