"""What the making of an index remembers: the order, the sender, and what was deleted since."""

import sqlite3
from contextlib import closing, contextmanager

import pytest

from doorward.access.journal.record import Entry, Event, Outcome
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.shelf import open_shelf
from doorward.archive.index.entry import PatientKey
from doorward.archive.upkeep.scratch import KnownStudy, Scratch
from index_entries import entry, in_index
from journals import Clock, written
from loopback import limits

A, B, C = ("aa" * 32, "bb" * 32, "cc" * 32)
P1, P2 = PatientKey("P1", "", ""), PatientKey("P2", "", "")


def stored(blob, study="1.2", who="ct1", reason="", outcome=Outcome.SUCCESS):
    return Entry(
        event=Event.STORE, identity=who, blob=blob, studies=(study,), reason=reason, outcome=outcome
    )


def deleted(study="1.2", outcome=Outcome.SUCCESS):
    return Entry(event=Event.DELETE, studies=(study,), outcome=outcome)


@contextmanager
def scratch(folder, entries, held=(A, B, C)):
    shelf = open_shelf(folder / "blobs", LocalDisk(), limits(), may_write=True)
    try:
        for digest in held:
            (folder / "blobs" / "blobs" / digest[:2] / digest).write_bytes(b"")
        clock = Clock()
        written(folder / "journal", entries, clock=clock)
        with closing(Scratch(folder / "scratch", limits(index_batch=2))) as one:
            one.take_journal(folder / "journal")
            one.take_blobs(shelf)
            yield one
    finally:
        shelf.give_back()


def test_blobs_come_in_the_order_of_the_journal_and_those_without_record_last(tmp_path):
    with scratch(tmp_path, [stored(C), stored(A, who="ct2")]) as one:
        came = list(one.blobs())
    assert [each.digest for each in came] == [C, A, B]
    assert [each.source for each in came] == ["ct1", "ct2", ""]
    assert [each.has_record for each in came] == [True, True, False]
    assert not (tmp_path / "scratch").exists()


def test_what_came_again_keeps_its_first_time_and_sender(tmp_path):
    again = [stored(A, who="ct2", reason="same"), stored(B, who="ct2", reason="conflict kept")]
    first = [stored(A), stored(B, reason="conflict kept"), stored(C)]
    with scratch(tmp_path, first + again) as one:
        assert [each.source for each in one.blobs()] == ["ct1"] * 3


def test_what_was_only_said_to_be_the_same_has_a_record_too(tmp_path):
    """A crash came between the index and the journal; the sender came again."""
    with scratch(tmp_path, [stored(A, reason="same")], held=[A]) as one:
        [came] = one.blobs()
    assert (came.has_record, came.source) == (True, "ct1")


def test_a_failed_store_says_nothing(tmp_path):
    with scratch(tmp_path, [stored(A, outcome=Outcome.FAILED)], held=[A]) as one:
        [came] = one.blobs()
    assert not came.has_record


@pytest.mark.parametrize(
    ("entries", "is_deleted"),
    [
        ([stored(A), deleted()], True),
        ([stored(A), deleted("1.3")], False),
        ([stored(A), deleted(outcome=Outcome.FAILED)], False),
        ([stored(A), deleted(), stored(A)], False),
        ([stored(A), deleted(), stored(A, reason="same")], False),
        ([stored(A), deleted(), stored(A), deleted()], True),
    ],
)
def test_what_was_deleted_after_it_came_is_deleted(tmp_path, entries, is_deleted):
    with scratch(tmp_path, entries, held=[A]) as one:
        [came] = one.blobs()
    assert came.is_deleted is is_deleted


def test_of_a_study_of_two_patients_nobody_knows_whose_was_deleted(tmp_path):
    entries = [stored(A), stored(B), stored(C, study="1.3"), deleted(), deleted("1.3")]
    with scratch(tmp_path, entries) as one:
        for came, patient in zip(one.blobs(), (P1, P2, P1), strict=True):
            one.leave_out(came, patient)
        assert [each.digest for each in one.not_surely_deleted()] == [A, B]


def test_beginnings_of_files_come_back_as_pairs(tmp_path):
    with scratch(tmp_path, []) as one:
        one.take_head(A, B)
        one.take_head(A, B)
        assert list(one.heads()) == [(A, B)]


def test_labels_that_can_be_read_are_remembered(tmp_path):
    async def labelled(index):
        await index.write([entry("1.1.1", site="north", department="ct", PatientID="P1")])
        [study] = await index.studies_with("1")
        await index.label(study.number, {"vip", "teaching"})

    in_index(tmp_path, labelled)
    with scratch(tmp_path, []) as one:
        assert one.study("1", P1) is None
        one.study.cache_clear()
        assert one.take_studies(tmp_path / "index")
        known = KnownStudy(site="north", department="ct", labels=frozenset({"vip", "teaching"}))
        assert one.study("1", P1) == known
        assert one.study("1", P2) is None


def test_an_index_that_cannot_be_read_is_no_reason_to_stop(tmp_path):
    (tmp_path / "index").write_bytes(b"SQLite format 3\0" + bytes(5000))
    with scratch(tmp_path, []) as one:
        assert not one.take_studies(tmp_path / "index")
        assert not one.take_studies(tmp_path / "none")


def test_what_an_earlier_one_has_left_is_thrown_away(tmp_path):
    with closing(sqlite3.connect(tmp_path / "scratch")) as left:
        left.execute("CREATE TABLE stored (x)")
    with scratch(tmp_path, [stored(A)], held=[A]) as one:
        assert len(list(one.blobs())) == 1
