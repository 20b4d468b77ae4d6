"""Index, then journal, for all that became durable together; each has its own end."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from doorward.access.journal.journal import Journal
from doorward.access.journal.reading import show
from doorward.archive.arrivals import Arrivals, Arrived
from doorward.archive.index.entry import Outcome, Written
from doorward.archive.index.index import Index
from doorward.errors import StorageError, UsageError
from index_entries import entry, opened
from journals import STUDY, Clock, stored


@contextmanager
def arrivals(folder: Path) -> Iterator[Arrivals]:
    """Both, in one folder."""
    journal = Journal(folder / "journal", clock=Clock())
    try:
        with opened(folder) as index:
            yield Arrivals(index, journal)
    finally:
        asyncio.run(journal.close())


def arrived(number: int, content: str = "") -> Arrived:
    return Arrived(
        entry(f"1.2.{number}", content),
        lambda written: stored(number, reason=written.outcome.value),
    )


def recorded(folder: Path) -> list[tuple[str, str]]:
    shown = [one.entry for one in show(folder / "journal")]
    return [(one.studies[0].removeprefix(f"{STUDY}."), one.reason) for one in shown]


def test_each_is_indexed_and_recorded_with_one_sync_of_either(tmp_path, monkeypatch):
    synced = []
    with arrivals(tmp_path) as both:
        original = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(fd) or original(fd))
        ends = both.keep([arrived(number) for number in range(5)])
    assert [one.outcome for one in ends if isinstance(one, Written)] == [Outcome.NEW] * 5
    assert len(synced) == 1, "of the journal; the index has syncs of its own"
    assert recorded(tmp_path) == [(str(number), "new") for number in range(5)]


def test_what_comes_twice_in_one_go_is_seen(tmp_path):
    with arrivals(tmp_path) as both:
        ends = both.keep([arrived(1), arrived(1), arrived(1, "other content")])
    assert [one.outcome for one in ends if isinstance(one, Written)] == [
        Outcome.NEW,
        Outcome.SAME,
        Outcome.CONFLICT_KEPT,
    ]


def test_one_that_cannot_be_indexed_is_not_recorded_and_the_others_are(tmp_path):
    bad = Arrived(entry("1.2.2", PatientID="half a pair: \ud800"), lambda _: stored(2))
    with arrivals(tmp_path) as both:
        first, second, third = both.keep([arrived(1), bad, arrived(3)])
    assert isinstance(first, Written)
    assert isinstance(second, UsageError)
    assert isinstance(third, Written)
    assert [number for number, _ in recorded(tmp_path)] == ["1", "3"]


def test_what_the_journal_cannot_take_is_not_acknowledged(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(5, "as the test wants it")

    with arrivals(tmp_path) as both:
        monkeypatch.setattr(os, "fdatasync", fail)
        ends = both.keep([arrived(1), arrived(2)])
        monkeypatch.undo()
    assert all(isinstance(one, StorageError) for one in ends)


def test_nothing_is_recorded_before_the_index_has_it(tmp_path, monkeypatch):
    seen: list[str] = []
    index_write, journal_write = Index.write_each_here, Journal.write_each_here

    def indexed(self, entries):
        ends = index_write(self, entries)
        seen.append("index")
        return ends

    def journalled(self, entries):
        seen.append("journal")
        return journal_write(self, entries)

    monkeypatch.setattr(Index, "write_each_here", indexed)
    monkeypatch.setattr(Journal, "write_each_here", journalled)
    with arrivals(tmp_path) as both:
        both.keep([arrived(1)])
    assert seen == ["index", "journal"]


@pytest.mark.parametrize("count", (0, 1))
def test_any_number_is_kept(tmp_path, count):
    with arrivals(tmp_path) as both:
        assert len(both.keep([arrived(number) for number in range(count)])) == count
