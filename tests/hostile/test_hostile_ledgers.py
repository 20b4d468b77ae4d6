"""A ledger that somebody mailed: whatever is in the file, every command ends with one clear sentence.

Nothing in the file is carried out, nothing of it steers a terminal, and neither time nor memory runs away.
"""

import shutil
import sqlite3
import zlib
from pathlib import Path

import pytest

from doorward.cli.main import run

pytestmark = pytest.mark.timeout(60)

DEEP = "[" * 200_000
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
#: What was done to the file: statements, and a value for each question mark.
ROWS = {
    "state": "UPDATE scans SET state = 'odd'",
    "end is no time": "UPDATE scans SET ended_at = 'odd'",
    "end is bytes": "UPDATE scans SET ended_at = X'00'",
    "targets are a text": "UPDATE scans SET targets = 'x'",
    "plan is a number": "UPDATE scans SET plan = 5",
    "settings nest": ("UPDATE scans SET plan = json_set(plan, '$.settings', ?)", DEEP),
    "begun before all time": (
        "UPDATE scans SET plan = json_set(plan, '$.started_at', ?)",
        "0001-01-01T00:00:00+23:00",
    ),
    "score is a text": "UPDATE verdicts SET score = 'abc'",
    "rungs are bytes": "UPDATE verdicts SET rungs = X'00'",
    "studies are many": "UPDATE verdicts SET studies = 'many', is_unprotected = 1",
    "half a study": "UPDATE verdicts SET studies = 1.5, is_unprotected = 1",
    "fewer than none": "UPDATE verdicts SET studies = -5, is_unprotected = 1",
    "a number nobody knows": "UPDATE verdicts SET studies = 5, studies_exactness = 'unknown'",
    "site is a number": "UPDATE verdicts SET site = X'ff'",
    "product without end": "UPDATE verdicts SET product = CAST(zeroblob(40000000) AS TEXT)",
}
DOCUMENTS = {
    "a text": "abc",
    "a number": 4,
    "not JSON": zlib.compress(b'"]}<script>alert(1)</script>'),
    "nested": zlib.compress(b"[" * 1_000_000),
    "another thing": zlib.compress(b'{"address": 5}'),
    "a bomb": zlib.compress(b"x" * 50_000_000),
}
SCHEMAS = {
    "an endless view": (
        "ALTER TABLE scans RENAME TO old; CREATE VIEW scans AS "
        f"{ENDLESS} SELECT x AS number, plan, state, ended_at, targets, coverage FROM c, old"
    ),
    "a trigger": (
        "CREATE TRIGGER t AFTER UPDATE ON systems BEGIN DELETE FROM answers; END;"
        "CREATE TRIGGER u AFTER INSERT ON verdicts BEGIN DELETE FROM answers; END"
    ),
    "a virtual table": "CREATE VIRTUAL TABLE v USING fts5(x)",
    "a column that computes": "ALTER TABLE verdicts ADD COLUMN x AS (zeroblob(900000000))",
    "a table less": "DROP TABLE documents",
    "a version below none": "PRAGMA user_version = -1",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small ledger with a survey that found a closed port."""
    file = tmp_path_factory.mktemp("ledgers") / "whole.ledger"
    run(["survey", "127.9.9.9:9", "127.9.9.10:9", "--ledger", str(file), "--rate", "0"])
    return file


@pytest.fixture
def altered(whole, tmp_path):
    def alter(statements: str, *values: object) -> Path:
        file = tmp_path / "mailed.ledger"
        shutil.copy(whole, file)
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("PRAGMA ignore_check_constraints = 1")
        if values:
            connection.execute(statements, values)
        else:
            connection.executescript(statements)
        connection.close()
        return file

    return alter


def commands(file: Path, whole: Path) -> list[list[str]]:
    out = file.parent
    return [
        ["ledger", "list", str(file)],
        ["ledger", "report", str(file), "--json", str(out / "r.json")],
        ["ledger", "report", str(file), "--html", str(out / "r.html")],
        ["ledger", "export", str(file), str(out / "r.csv")],
        ["ledger", "compare", str(file), str(whole)],
        ["ledger", "rejudge", str(file)],
        ["ledger", "prune", str(file), "--keep", "1", "--only-answers"],
    ]


def said(arguments, capsys):
    code = run(arguments)
    out, err = capsys.readouterr()
    assert "internal error" not in err, (arguments, err)
    assert not any(c in out + err for c in "\x1b\x07\u202e"), arguments
    return code, err


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_of_anything_is_one_clear_sentence(altered, whole, capsys, row):
    file = altered(*((row,) if isinstance(row, str) else row))
    refused = [said(arguments, capsys)[0] == 2 for arguments in commands(file, whole)]
    assert any(refused)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_of_anything_is_one_clear_sentence_and_no_report(
    altered, whole, capsys, document
):
    file = altered("UPDATE documents SET document = ?", document)
    for arguments in commands(file, whole)[1:3]:
        code, err = said(arguments, capsys)
        assert code == 2, arguments
        assert "document" in err
    assert not list(file.parent.glob("*r.*")), "half a report is none"


@pytest.mark.parametrize("statements", SCHEMAS.values(), ids=SCHEMAS)
def test_nothing_that_stands_in_a_file_is_carried_out(altered, whole, capsys, statements):
    file = altered(statements)
    before = file.read_bytes()
    for arguments in commands(file, whole):
        code, err = said(arguments, capsys)
        assert code == 2, arguments
        assert "other tables" in err or "version -1" in err
    assert file.read_bytes() == before


def test_words_of_a_stranger_do_not_steer_the_terminal(altered, whole, capsys):
    file = altered(
        "UPDATE scans SET plan = json_set(plan, '$.label', ?)", "\x1b]0;x\x07\x1b[31m\u202e<b>"
    )
    for arguments in commands(file, whole):
        assert said(arguments, capsys)[0] in (0, 1, 3)
    assert "<b>" in run_and_read(["ledger", "list", str(file)], capsys)


def run_and_read(arguments, capsys):
    run(arguments)
    return capsys.readouterr().out


def test_a_survey_does_not_go_on_with_a_plan_that_nobody_wrote(altered, capsys):
    file = altered(
        "UPDATE scans SET state = 'running', plan = json_set(plan, '$.ports', json('[]'));"
        "UPDATE systems SET is_done = 0, target = json_remove(target, '$.ports')"
    )
    said(["survey", "--ledger", str(file), "--resume", "--rate", "0"], capsys)


def test_a_lock_that_leads_elsewhere_empties_nothing(whole, tmp_path, capsys):
    file, victim = tmp_path / "mine.ledger", tmp_path / "victim"
    shutil.copy(whole, file)
    victim.write_text("precious")
    (tmp_path / "mine.ledger-lock").symlink_to(victim)
    code, err = said(["ledger", "rejudge", str(file)], capsys)
    assert code == 2
    assert "symbolic links" in err
    assert victim.read_text() == "precious"
