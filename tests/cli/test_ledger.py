"""``doorward ledger`` from outside: every command on a real ledger, and what a person can do wrong."""

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanState
from doorward.audit.report import comparison
from doorward.cli.main import run
from ledgers import NOON, finish_all, planned

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"


@pytest.fixture
def surveyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with a finished survey of two dead addresses, made by a real survey."""
    monkeypatch.chdir(tmp_path)
    fast = ["--timeout", "0.3", "--label", "spring"]
    assert run(["survey", "127.0.0.1:1", "127.0.0.2:1", "--ledger", "a.ledger", *fast]) == 3
    return Path("a.ledger")


@pytest.fixture
def open_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with two finished surveys, made up: an open archive each, and one that is not finished."""
    monkeypatch.chdir(tmp_path)
    with Ledger.open(Path("b.ledger")) as ledger:
        for days, address in ((0, "192.0.2.1"), (60, "192.0.2.2")):
            scan = planned(ledger, address, days=days)
            finish_all(ledger, scan)
            ledger.end(scan, state=ScanState.FINISHED, at=NOON)
        planned(ledger, "192.0.2.3", days=61)
    return Path("b.ledger")


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["ledger", *arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert "internal error" not in said.err
    return code, said.out, said.err


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list"], "LEDGER"),
        (["list", "none.ledger"], "none.ledger: there is no such ledger"),
        (["list", "words.txt"], "is no ledger of Doorward; it was left alone"),
        (["report", "none.ledger"], "there is no such ledger"),
        (["report", "a.ledger", "--scan", "9"], "has no survey number 9"),
        (["report", "a.ledger", "--json", "none/x.json"], "directory does not exist"),
        (["report", "a.ledger", "--json", "-", "--html", "-"], "standard output"),
        (["rejudge", "none.ledger"], "holds no survey"),
        (["end", "a.ledger"], "holds no survey that is not finished"),
        (["compare", "a.ledger"], "holds one survey; two are compared"),
        (["compare", "a.ledger", "none.ledger"], "none.ledger: there is no such ledger"),
        (["compare", "a.ledger", "a.ledger", "--after-scan", "7"], "has no survey number 7"),
        (["export", "a.ledger", "x.pdf"], "Name it so that it ends in .csv, .jsonl, .parquet."),
        (["export", "a.ledger", "none/x.csv"], "cannot be written (No such file"),
        (["export", "a.ledger"], "FILE"),
        (["prune", "a.ledger"], "--keep N, --days N, or both."),
        (["prune", "words.txt", "--keep", "1"], "is no ledger of Doorward"),
        (["shrink", "a.ledger"], "shrink"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    surveyed: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    Path("words.txt").write_text("hello world\n")
    code, out, err = _said(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert words in err


def test_a_ledger_of_another_program_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3
    from contextlib import closing

    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE scans (number INTEGER)")
        other.commit()
    before = file.read_bytes()
    for command in (["list"], ["rejudge"], ["prune", "--keep", "0"], ["end"]):
        code, _, err = _said(capsys, command[0], str(file), *command[1:])
        assert code == 2
        assert "is no ledger of Doorward; it was left alone" in err
    assert file.read_bytes() == before


def test_parquet_without_its_package_says_how_to_get_it(
    surveyed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = _said(capsys, "export", "a.ledger", "x.parquet")
    assert code == 2
    assert "Parquet needs the package pyarrow" in err
    assert "pip install 'doorward[parquet]', or export to .csv or .jsonl" in err
    assert not Path("x.parquet").exists()


# --- what is told -----------------------------------------------------------------------------------------------------


def test_the_surveys_are_listed_each_in_a_line(
    open_ones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = _said(capsys, "list", "b.ledger")
    assert (code, err) == (0, "")
    first, second, third = out.splitlines()
    assert first.startswith("  1  2026-03-14 12:00 UTC  finished     1 of 1 systems, 1 open")
    assert second.startswith("  2  2026-05-13")
    assert third.startswith("  3  2026-05-14 12:00 UTC  running      0 of 1 systems, 0 open")


def test_an_empty_ledger_is_said_to_be_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.ledger"
    Ledger.open(file).close()
    assert _said(capsys, "list", str(file)) == (0, "", f"doorward: {file} holds no survey\n")
    code, _, err = _said(capsys, "report", str(file))
    assert code == 2
    assert "holds no survey" in err


def test_a_report_can_be_had_again_in_every_form(
    surveyed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = _said(capsys, "report", "a.ledger", "--html", "x.html", "--json", "-")
    assert code == 0
    jsonschema.validate(json.loads(out), json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert err == "doorward: html report written to x.html\n"
    assert "Nothing could be tested." in Path("x.html").read_text(encoding="utf-8")
    code, out, _ = _said(capsys, "report", "a.ledger", "--html", "x.html")
    assert out.startswith("Nothing could be tested.")
    assert out.endswith("html: x.html\n")


def test_judging_anew_asks_nobody_and_changes_no_number(
    surveyed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, before, _ = _said(capsys, "report", "a.ledger")
    code, _, err = _said(capsys, "rejudge", "a.ledger")
    assert (code, err) == (0, "doorward: 2 systems judged anew\n")
    assert _said(capsys, "report", "a.ledger")[1] == before


def test_a_survey_that_will_not_go_on_is_ended(
    open_ones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = _said(capsys, "end", "b.ledger")
    assert code == 0
    assert "survey 3 is ended" in err
    assert "running" not in _said(capsys, "list", "b.ledger")[1]


def test_two_surveys_of_one_ledger_or_of_two_are_compared(
    surveyed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["survey", "127.0.0.1:1", "--ledger", "c.ledger", "--timeout", "0.3"]) == 3
    code, out, err = _said(capsys, "compare", "a.ledger", "c.ledger", "--json", "x.json")
    assert code == 0
    assert out.startswith("0 systems were open to strangers before, 0 now")
    assert err == "doorward: json comparison written to x.json\n"
    document = json.loads(Path("x.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, comparison.json_schema())
    code, out, err = _said(capsys, "compare", "a.ledger", "c.ledger", "--json", "-")
    assert json.loads(out) == document
    assert err == ""


def test_one_row_for_each_system_is_exported(
    open_ones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = _said(capsys, "export", "b.ledger", "x.csv", "--scan", "1")
    assert (code, err) == (0, "doorward: 1 system written to x.csv\n")
    head, row = Path("x.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("address,name,site,owner")
    assert row.startswith("192.0.2.1,")
    assert _said(capsys, "export", "b.ledger", "x.jsonl", "--scan", "2")[0] == 0
    assert json.loads(Path("x.jsonl").read_text(encoding="utf-8"))["address"] == "192.0.2.2"


@pytest.mark.parametrize(
    ("arguments", "words", "left"),
    [
        (["--keep", "1"], "forgotten: 2 surveys with 2 answers", 1),
        (["--keep", "2", "--only-answers"], "forgotten: 1 answer of 1 survey", 3),
        (["--keep", "9"], "forgotten: 0 surveys with 0 answers", 3),
    ],
)
def test_old_surveys_or_their_answers_are_forgotten(
    open_ones: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
    left: int,
) -> None:
    code, _, err = _said(capsys, "prune", "b.ledger", *arguments)
    assert (code, err) == (0, f"doorward: {words}\n")
    assert len(_said(capsys, "list", "b.ledger")[1].splitlines()) == left


def test_what_somebody_writes_is_read_but_not_changed(
    open_ones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(open_ones):
        assert _said(capsys, "list", "b.ledger")[0] == 0
        for command in (["rejudge"], ["prune", "--keep", "1"], ["end"]):
            code, _, err = _said(capsys, command[0], "b.ledger", *command[1:])
            assert code == 2
            assert "is being written by another Doorward" in err
