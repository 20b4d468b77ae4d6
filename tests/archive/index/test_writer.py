"""Nobody is told before the commit, many share one, and a disk that fails is believed."""

import asyncio
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from blob_process import environment
from doorward.archive.index.entry import Outcome
from doorward.archive.index.filing import Filing
from doorward.archive.index.store import open_reader, open_writer
from doorward.archive.index.writer import Writer
from doorward.errors import LocalProtocolError, StorageError, StorageFull, UsageError
from doorward.limits import DEFAULT_LIMITS
from index_entries import entry, opened

PROCESS = Path(__file__).resolve().parents[2] / "index_process.py"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def connection(file):
    return open_writer(file, DEFAULT_LIMITS)


@pytest.fixture
def writer(connection, file):
    writer = Writer(connection, file, DEFAULT_LIMITS)
    yield writer
    writer.close()


def filed(uid):
    return partial(Filing.file, entries=[entry(uid)])


def count(file):
    reader = open_reader(file, DEFAULT_LIMITS)
    try:
        return reader.execute("SELECT count(*) FROM instances").fetchone()[0]
    finally:
        reader.close()


class Held:
    """Work that holds the writer until it is let go, so that other work gathers behind it."""

    def __init__(self, writer) -> None:
        self._begun, self._go_on = threading.Event(), threading.Event()
        self.told = writer.submit(self._do)
        assert self._begun.wait(10)

    def _do(self, _filing) -> None:
        self._begun.set()
        assert self._go_on.wait(10)

    def let_go(self) -> None:
        self._go_on.set()
        self.told.result(10)


def test_what_is_told_can_be_read_by_others(writer, file):
    for number in range(1, 6):
        writer.submit(filed(f"1.1.{number}")).result(10)
        assert count(file) == number


def test_work_that_waits_together_is_committed_together(writer, connection):
    statements = []
    held = Held(writer)
    connection.set_trace_callback(statements.append)
    told = [writer.submit(filed(f"1.1.{number}")) for number in range(20)]
    held.let_go()
    assert all(one.result(10) for one in told)
    # The commit of what was held, and one of all others.
    assert [text for text in statements if text == "COMMIT"] == ["COMMIT"] * 2


def test_work_that_was_cancelled_before_its_turn_is_left_out(writer, file):
    held = Held(writer)
    first, second = writer.submit(filed("1.1.1")), writer.submit(filed("1.1.2"))
    assert first.cancel()
    held.let_go()
    second.result(10)
    assert count(file) == 1


def test_what_one_piece_of_work_raises_is_its_own(writer, file):
    def refuse(filing):
        filing.file([entry("1.2.1")])
        raise UsageError("not this one")

    held = Held(writer)
    told = [writer.submit(work) for work in (filed("1.1.1"), refuse, filed("1.1.2"))]
    held.let_go()
    assert isinstance(told[1].exception(10), UsageError)
    assert all(told[n].result(10) for n in (0, 2))
    assert count(file) == 2


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(writer, connection, file):
    writer.submit(filed("1.1.1")).result(10)

    def most_pages(pages, _filing):
        connection.execute(f"PRAGMA max_page_count = {pages}")

    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    writer.submit(partial(most_pages, pages)).result(10)
    many = [entry(f"2.1.{number}") for number in range(500)]
    refused = writer.submit(partial(Filing.file, entries=many))
    assert isinstance(refused.exception(10), StorageFull)
    writer.submit(partial(most_pages, 1 << 30)).result(10)
    writer.submit(partial(Filing.file, entries=many)).result(10)
    assert count(file) == 501


def test_after_an_error_of_the_disk_nothing_is_taken_in_any_more(writer, file):
    failure = StorageError("the disk", operation="write", path=file, kind="failed")

    def fail(_filing):
        raise_from_the_disk()

    def raise_from_the_disk():
        import sqlite3

        error = sqlite3.OperationalError("disk I/O error with SECRET")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
        raise error

    error = writer.submit(fail).exception(10)
    assert (type(error), error.kind) == (StorageError, failure.kind)
    assert "SECRET" not in str(error)
    assert isinstance(writer.submit(filed("1.1.1")).exception(10), StorageError)
    assert count(file) == 0


def test_all_that_was_handed_in_is_done_before_the_end(writer, file):
    told = [writer.submit(filed(f"1.1.{number}")) for number in range(50)]
    writer.close()
    assert all(one.done() for one in told)
    assert count(file) == 50
    with pytest.raises(LocalProtocolError, match="closed"):
        writer.submit(filed("2.1.1"))


@pytest.mark.slow
@pytest.mark.timeout(60)  # other work on the machine may take the disk
def test_every_acknowledged_instance_is_there_after_twenty_kills(tmp_path):
    seed = random.SystemRandom().randrange(1 << 32)
    command = [sys.executable, str(PROCESS), "killed", str(tmp_path), "20", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    acknowledged = done.stdout.split()
    assert len(acknowledged) > 100, f"seed {seed}"

    async def look(index):
        held = await index.instances_with(acknowledged)
        return held, await index.totals(), await index.problems()

    with opened(tmp_path) as index:
        held, totals, problems = asyncio.run(look(index))
    assert [one.sop_instance_uid for one in held] == acknowledged, f"seed {seed}"
    assert totals.instances >= len(acknowledged)
    assert problems == [], f"seed {seed}"


def test_a_thread_that_waits_does_its_work_itself(writer, file):
    [written] = writer.do_each([filed("1.1.1")])[0].result()
    assert written.outcome is Outcome.NEW
    assert count(file) == 1


def test_threads_that_wait_together_share_a_commit(writer, connection, file):
    commits = []
    connection.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    held = Held(writer)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(writer.do_each, [filed(f"1.1.{n}")]) for n in range(8)]
        while writer._brought.qsize() < 8:  # the time limit of the test is the bound
            time.sleep(0.001)
        held.let_go()
        outcomes = [one.result(10)[0].result()[0].outcome for one in waiting]
    assert outcomes == [Outcome.NEW] * 8
    assert count(file) == 8
    assert len(commits) == 2  # what held the writer, and all that had come meanwhile


def test_one_that_fails_takes_back_nothing_of_those_beside_it(writer, file):
    def spoilt(filing):
        filing.file([entry("1.2.1")])
        raise UsageError("no")

    held = Held(writer)
    good, bad = writer.submit(filed("1.1.1")), writer.submit(spoilt)
    later = writer.submit(filed("1.3.1"))
    held.let_go()
    assert good.result(10)[0].outcome is later.result(10)[0].outcome is Outcome.NEW
    with pytest.raises(UsageError, match="no"):
        bad.result(10)
    assert count(file) == 2


def test_a_thread_is_told_of_a_disk_that_fails(writer, connection):
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StorageFull):
        writer.do_each([lambda filing: [filing.file([entry(f"1.{n}.1")]) for n in range(500)]])[
            0
        ].result()


def test_a_closed_writer_takes_no_work_of_threads(writer):
    writer.close()
    with pytest.raises(LocalProtocolError):
        writer.do_each([filed("1.1.1")])[0].result()
