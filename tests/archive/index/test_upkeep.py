"""Made anew as it was, checked so that what is wrong is seen, copied whole."""

import os
import re
import sqlite3
from contextlib import closing

import pytest

from doorward.archive.index.entry import Outcome
from doorward.archive.index.levels import Level
from doorward.archive.index.upkeep import problems, rebuild
from doorward.errors import ConfigError, UsageError
from index_entries import entry, found, in_index, opened, texts

UIDS = [f"{study}.{series}.{n}" for study in range(1, 4) for series in (1, 2) for n in (1, 2)]


def entries():
    return [entry(uid, PatientName=f"Doe^{uid[0]}") for uid in UIDS]


def everything(folder):
    async def work(index):
        answers = [await found(index, level) for level in Level]
        return answers, await index.totals(), await index.problems()

    return in_index(folder, work, may_create=False)


def test_an_index_that_is_made_anew_is_the_same(tmp_path):
    in_index(tmp_path, lambda index: index.write(entries()))
    before = everything(tmp_path)
    counts = rebuild(tmp_path / "index", iter([*entries(), entries()[0]]))
    assert counts == {Outcome.NEW: 12, Outcome.SAME: 1, Outcome.CONFLICT_KEPT: 0}
    assert everything(tmp_path) == before


def test_an_index_that_was_lost_or_damaged_is_made_anew(tmp_path):
    file = tmp_path / "index"
    rebuild(file, entries())
    file.write_bytes(b"SQLite format 3\x00" + os.urandom(8_000))
    rebuild(file, entries())
    answers, totals, wrong = everything(tmp_path)
    assert (len(answers[Level.IMAGE]), totals.studies, wrong) == (12, 3, [])
    assert (tmp_path / "index.before").stat().st_size == 8_016


def test_a_log_of_the_old_index_is_not_taken_for_one_of_the_new(tmp_path):
    file = tmp_path / "index"
    in_index(tmp_path, lambda index: index.write(entries()))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE studies SET uid = 'old' || number")
        log = (tmp_path / "index-wal").read_bytes()
    (tmp_path / "index-wal").write_bytes(log)
    rebuild(file, entries())
    answers, _, wrong = everything(tmp_path)
    assert texts(answers[Level.STUDY], "StudyInstanceUID") == ["1", "2", "3"]
    assert wrong == []
    assert (tmp_path / "index.before-wal").read_bytes() == log


def test_an_index_that_could_not_be_made_anew_stays_as_it_was(tmp_path):
    in_index(tmp_path, lambda index: index.write(entries()))
    before = everything(tmp_path)

    def broken():
        yield entry("9.1.1")
        raise UsageError("a blob is damaged")

    with pytest.raises(UsageError, match="a blob is damaged"):
        rebuild(tmp_path / "index", broken())
    assert everything(tmp_path) == before


def test_an_index_is_not_made_anew_while_it_is_written(tmp_path):
    with opened(tmp_path), pytest.raises(ConfigError, match="another Doorward"):
        rebuild(tmp_path / "index", [])


@pytest.mark.parametrize(
    ("statement", "words"),
    (
        ("UPDATE studies SET series = 7 WHERE number = 1", "1 studies count other series"),
        ("UPDATE studies SET instances = 7", "3 studies count other instances"),
        ("UPDATE series SET instances = 7 WHERE number = 2", "1 series count other instances"),
        (
            "UPDATE studies SET modalities = 'XX' WHERE number = 1",
            "1 studies list other modalities",
        ),
        ("UPDATE studies SET sop_classes = ''", "3 studies list other modalities or classes"),
        ("DELETE FROM instances", "studies or series hold nothing|other instances"),
        ("INSERT INTO patients VALUES (99, 'X', '', '')", "1 patients have no study"),
        ("INSERT INTO heads VALUES (x'01', x'02')", "1 beginnings of files belong to nothing"),
        ("UPDATE studies SET patient = 99", "3 rows belong to rows that are not there"),
        ("INSERT INTO study_texts VALUES (1, 'x', 99)", "1 rows belong to rows that are not there"),
    ),
)
def test_what_is_wrong_is_found(tmp_path, statement, words):
    in_index(tmp_path, lambda index: index.write(entries()))
    with closing(sqlite3.connect(tmp_path / "index", isolation_level=None)) as connection:
        assert problems(connection) == []
        connection.execute(statement)
        found = problems(connection)
    assert re.search(words, "\n".join(found))


def test_a_copy_of_a_running_index_is_whole_and_one_file(tmp_path):
    copies = tmp_path / "copies"
    copies.mkdir()

    async def work(index):
        await index.write(entries()[:6])
        await index.copy_to(copies / "index")
        await index.write(entries()[6:])
        with pytest.raises(ConfigError, match="is there already"):
            await index.copy_to(copies / "index")

    in_index(tmp_path, work)
    assert [path.name for path in copies.iterdir()] == ["index"]
    answers, _, wrong = everything(copies)
    assert (len(answers[Level.IMAGE]), wrong) == (6, [])


def test_an_index_that_is_made_anew_knows_how_files_began(tmp_path):
    one, head = entry("1.1.1"), "a" * 64
    heads = [(one.digest, head), ("b" * 64, head)]
    rebuild(tmp_path / "index", [one], heads=heads)

    async def work(index):
        return await index.heads_of(one.digest), await index.heads_of("b" * 64)

    assert in_index(tmp_path, work) == ([head], [])
