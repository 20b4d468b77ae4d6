"""One entry after the other into the tables; what is remembered is never wrong."""

import dataclasses
from contextlib import closing

import pytest

from doorward.archive.index.entry import Outcome
from doorward.archive.index.filing import Filing, is_named
from doorward.archive.index.holdings import heads_of, referenced
from doorward.archive.index.store import open_writer
from doorward.archive.index.upkeep import problems
from doorward.limits import DEFAULT_LIMITS
from index_entries import entry


@pytest.fixture
def connection(tmp_path):
    with closing(open_writer(tmp_path / "index", DEFAULT_LIMITS)) as connection:
        yield connection


def column(connection, sql):
    return [value for (value,) in connection.execute(sql)]


def test_lists_of_a_study_grow_with_its_series_and_classes(connection):
    filing = Filing(connection, DEFAULT_LIMITS)
    filing.file([entry("1.1.1"), entry("1.2.1", Modality="SR", sop_class_uid="1.2.3")])
    filing.file([entry("1.3.1", Modality="CT"), entry("1.4.1", Modality="")])
    assert column(connection, "SELECT modalities FROM studies") == ["CT\\SR"]
    classes = column(connection, "SELECT sop_classes FROM studies")[0].split("\\")
    assert classes == sorted({"1.2.3", entry().sop_class_uid})
    assert problems(connection) == []


def test_what_was_rolled_back_is_forgotten(connection):
    filing = Filing(connection, DEFAULT_LIMITS)
    connection.execute("BEGIN")
    filing.file([entry("1.1.1")])
    connection.execute("ROLLBACK")
    filing.forget()
    assert [one.outcome for one in filing.file([entry("1.1.1")])] == [Outcome.NEW]
    assert column(connection, "SELECT instances FROM studies") == [1]
    assert problems(connection) == []


def test_what_is_remembered_is_bounded_and_changes_nothing(connection):
    filing = Filing(connection, dataclasses.replace(DEFAULT_LIMITS, index_known=1))
    uids = [f"{study}.{series}.{n}" for n in (1, 2) for study in (1, 2) for series in (1, 2)]
    filing.file([entry(uid, sop_class_uid=f"9.{uid[-1]}") for uid in uids])
    assert len(filing._places) == 1
    assert column(connection, "SELECT instances FROM studies") == [4, 4]
    assert column(connection, "SELECT sop_classes FROM studies") == ["9.1\\9.2"] * 2
    assert problems(connection) == []


def test_a_series_of_two_studies_is_reported(connection):
    filing = Filing(connection, DEFAULT_LIMITS)
    [first, second] = filing.file([entry("1.1.1"), entry("2.1.1", series_uid="1.1")])
    assert (first.is_inconsistent, second.is_inconsistent) == (False, True)


def test_labels_are_those_of_all_instances_and_can_be_taken_away(connection):
    filing = Filing(connection, DEFAULT_LIMITS)
    filing.file([entry("1.1.1", labels=frozenset("ab")), entry("1.1.2", labels=frozenset("bc"))])
    labels = "SELECT label FROM study_labels ORDER BY label"
    assert column(connection, labels) == ["a", "b", "c"]
    filing.unlabel(1, {"a", "z"})
    filing.label(1, {"b", "d"})
    assert column(connection, labels) == ["b", "c", "d"]


def test_a_blob_is_named_as_long_as_anything_needs_it(connection):
    filing = Filing(connection, DEFAULT_LIMITS)
    digest = bytes.fromhex(entry("1.1.1").digest)
    assert not is_named(connection, digest)
    filing.file([entry("1.1.1"), entry("2.1.1"), entry("2.1.1", digest=digest.hex())])
    deleted = filing.delete_study(1)
    assert deleted.digests == frozenset()  # kept aside for another study
    assert is_named(connection, digest)
    assert filing.delete_study(2).digests == {digest.hex(), entry("2.1.1").digest}
    tables = ("patients", "study_texts", "study_labels", "series_texts", "conflicts")
    assert [column(connection, f"SELECT count(*) FROM {name}") for name in tables] == [[0]] * 5


def test_how_the_files_of_an_instance_began_is_noted_whatever_became_of_it(connection):
    filing = Filing(connection, DEFAULT_LIMITS)
    heads = ["a" * 64, "b" * 64, "c" * 64]
    other = entry("2.1.1", "other")
    filing.file([entry("1.1.1", head_digest=heads[0]), entry("1.1.1", head_digest=heads[1])])
    filing.file([entry("1.1.1", head_digest=heads[1]), entry("1.1.1", "x", head_digest=heads[2])])
    assert heads_of(connection, entry("1.1.1").digest) == heads[:2]
    assert heads_of(connection, entry("1.1.1", "x").digest) == heads[2:]
    assert referenced(connection, [*heads, "d" * 64]) == set(heads)
    assert not filing.keep_head(other.digest, heads[0])
    assert heads_of(connection, other.digest) == []


def test_a_study_takes_with_it_how_its_files_began(connection):
    filing = Filing(connection, DEFAULT_LIMITS)
    filing.file([entry("1.1.1", head_digest="a" * 64), entry("2.1.1", head_digest="b" * 64)])
    assert filing.delete_study(1).digests == {entry("1.1.1").digest, "a" * 64}
    assert referenced(connection, ["a" * 64, "b" * 64]) == {"b" * 64}
    assert problems(connection) == []
