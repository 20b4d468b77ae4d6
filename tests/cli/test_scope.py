"""``doorward scope``: a file to fill in, and what it permits."""

from pathlib import Path

import pytest

from doorward.cli.main import run

FILLED = [
    "--organisation",
    "St. Example Hospital",
    "--network",
    "10.20.0.0/24",
    "--exclude",
    "10.20.0.9",
    "--authorised-by",
    "A. Head of IT",
    "--contact",
    "it@st-example.test",
]


def test_an_empty_scope_file_must_be_filled_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scope.toml"
    assert run(["scope", "init", str(file)]) == 0
    assert run(["scope", "show", str(file)]) == 2
    assert f"doorward: {file}:" in capsys.readouterr().err


def test_a_filled_scope_file_is_shown_and_judges_addresses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scope.toml"
    assert run(["scope", "init", str(file), *FILLED, "--level", "1"]) == 0
    capsys.readouterr()
    assert run(["scope", "show", str(file), "10.20.0.1", "127.0.0.1"]) == 0
    shown = capsys.readouterr().out
    assert "organisation    St. Example Hospital\n" in shown
    assert "clearance level 1\n" in shown
    assert "10.20.0.1: permitted\n" in shown
    assert run(["scope", "show", str(file), "10.20.0.9"]) == 4
    assert "is excluded by the scope file" in capsys.readouterr().err


def test_an_expired_scope_file_is_shown_and_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scope.toml"
    run(["scope", "init", str(file), *FILLED])
    lines = file.read_text(encoding="utf-8").splitlines()
    lines = [
        line.split("=")[0] + "= 2019-01-01" if line.startswith("valid_") else line for line in lines
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    capsys.readouterr()
    assert run(["scope", "show", str(file)]) == 4
    said = capsys.readouterr()
    assert "2019-01-01 to 2019-01-01" in said.out
    assert "expired on 2019-01-01" in said.err


def test_an_existing_file_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scope.toml"
    file.write_text("mine", encoding="utf-8")
    assert run(["scope", "init", str(file)]) == 2
    assert file.read_text(encoding="utf-8") == "mine"
    assert "exists already" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["scope", "init", str(tmp_path / "none" / "scope.toml")]) == 2
    assert "cannot be written (No such file" in capsys.readouterr().err
