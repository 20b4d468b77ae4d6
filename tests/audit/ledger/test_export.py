"""A survey as a table: every format holds the same rows, and no row runs in a spreadsheet."""

import csv
import json
import sys

import pytest

from doorward.audit.facts import Count, Exactness
from doorward.audit.ledger.export import COLUMNS, export, row
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from doorward.audit.verdict import Counts, Severity
from doorward.errors import ConfigError


def counted(value):
    return Count(value=value, exactness=Exactness.EXACT_ENUMERATED, method="counted")


def some(number=3):
    return [
        Standing(
            address=f"127.1.0.{n}",
            name="=cmd()" if n == 1 else "pacs",
            place=Place(site="Süd\x1b[31m", country="DE"),
            grade="F",
            score=None if n == 2 else n,
            rungs=("E1", "E5"),
            counts=Counts(studies=counted(2**40 + n)),
            ports_asked=(104, 11112),
            is_unprotected=True,
            worst_severity=Severity.CRITICAL,
        )
        for n in range(number)
    ]


def test_every_format_holds_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        assert export(some(), tmp_path / name) == 3
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines == [row(one) for one in some()]
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == lines
    with (tmp_path / "a.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [one["studies"] for one in read] == [str(line["studies"]) for line in lines]
    assert list(read[0]) == [name for name, _ in COLUMNS]


def test_no_cell_is_a_formula_or_steers_a_terminal(tmp_path):
    export(some(), tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text()
    assert ",'=cmd()," in text
    assert "\x1b" not in text


def test_a_survey_without_systems_is_a_table_without_rows(tmp_path):
    assert export([], tmp_path / "a.csv") == 0
    assert (tmp_path / "a.csv").read_text().split(",")[0] == "address"


def test_an_unknown_ending_names_those_that_are_known(tmp_path):
    with pytest.raises(ConfigError, match="no format") as caught:
        export([], tmp_path / "a.xlsx")
    assert ".parquet" in caught.value.hint


def test_a_folder_that_does_not_exist_is_an_error_in_words(tmp_path):
    pytest.importorskip("pyarrow")
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(ConfigError, match="cannot be written"):
            export(some(), tmp_path / "none" / name)


def test_parquet_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError) as caught:
        export([], tmp_path / "a.parquet")
    assert "doorward[parquet]" in caught.value.hint
