"""``doorward checks`` lists the whole catalogue."""

import json

import pytest

from doorward.audit.checks import CATALOGUE
from doorward.cli.main import run


def test_every_check_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["checks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [check.id for check in CATALOGUE]
    assert all(line.endswith(check.title) for line, check in zip(lines, CATALOGUE, strict=True))


def test_json_holds_the_same_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["checks", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == [check.id for check in CATALOGUE]
    assert rows[0]["severity"] == CATALOGUE[0].severity.label
    assert all(row["description"] and row["risk"] for row in rows)
