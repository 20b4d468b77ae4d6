import shutil
import sqlite3

import pytest

from doorward.access.journal.index import StudyIndex, records
from doorward.access.journal.reading import Wanted
from doorward.access.journal.record import Event
from doorward.access.journal.segments import segment_paths
from journals import STUDY, stored, written
from loopback import limits

BOUNDS = limits(journal_segment_bytes=1_000)


def who(index, number):
    return [record.sequence for record in index.who_looked(f"{STUDY}.{number}")]


@pytest.fixture
def folder(tmp_path):
    written(tmp_path, [stored(number % 5) for number in range(25)], limits=BOUNDS)
    return tmp_path


@pytest.fixture
def index(folder):
    made = StudyIndex(folder)
    yield made
    made.close()


def test_every_record_of_a_study_is_found_and_no_other(index):
    assert who(index, 3) == [4, 9, 14, 19, 24]
    assert who(index, 7) == []


def test_records_of_this_moment_are_found_without_being_asked_for(folder, index):
    assert who(index, 3)[-1] == 24
    written(folder, [stored(3, event=Event.RETRIEVE)], limits=BOUNDS)
    assert who(index, 3)[-1] == 26
    assert who(index, 3) == who(index, 3)


def test_only_what_is_new_is_read(folder, index, monkeypatch):
    from doorward.access.journal import index as module

    who(index, 3)
    read = []
    real = module.read_lines

    def reading(path, *arguments, start=0):
        read.append(start)
        return real(path, *arguments, start=start)

    monkeypatch.setattr(module, "read_lines", reading)
    index.catch_up()
    assert len(read) == 2  # the last record that is known, and what follows on it
    assert 0 not in read


def test_a_lost_index_is_made_anew(folder, index):
    expected = who(index, 1)
    index.close()
    for path in folder.glob("*.sqlite"):
        path.unlink()
    again = StudyIndex(folder)
    assert who(again, 1) == expected
    again.close()


def test_a_damaged_index_is_made_anew(folder, index):
    expected = who(index, 1)
    index.close()
    (path,) = folder.glob("*.sqlite")
    path.write_bytes(b"no database at all" * 400)
    again = StudyIndex(folder)
    assert who(again, 1) == expected
    again.close()


def test_the_index_of_another_journal_is_made_anew(folder, index, tmp_path_factory):
    who(index, 1)
    other = tmp_path_factory.mktemp("other")
    written(other, [stored(1), stored(2)])
    for path in segment_paths(folder):
        path.unlink()
    for path in segment_paths(other):
        shutil.copy(path, folder)
    assert who(index, 1) == [1]
    assert who(index, 3) == []


def test_the_index_can_live_elsewhere_and_two_can_ask(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "index.sqlite"
    one, two = StudyIndex(folder, path=path), StudyIndex(folder, path=path)
    assert who(one, 2) == who(two, 2) == [3, 8, 13, 18, 23]
    one.close()
    two.close()
    assert not list(folder.glob("*.sqlite"))


def test_a_folder_that_is_not_there_raises(tmp_path):
    with pytest.raises(sqlite3.Error):
        StudyIndex(tmp_path / "none")


def test_records_that_are_wanted_are_looked_up_or_read_and_are_the_same(folder, monkeypatch):
    wanted = Wanted(study=f"{STUDY}.3", identity="ct1")
    looked_up = list(records(folder, wanted))
    (folder / "studies-1.sqlite").unlink()

    def refuse(_):
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(StudyIndex, "catch_up", refuse)
    assert list(records(folder, wanted)) == looked_up
    assert [record.sequence for record in looked_up] == [4, 9, 14, 19, 24]
    assert len(list(records(folder))) == 25
    assert list(records(folder, Wanted(study=f"{STUDY}.3", identity="ct2"))) == []
