"""``doorward explain`` tells a person what to do."""

import pytest

from doorward.audit.checks import CATALOGUE
from doorward.cli.main import run


@pytest.mark.parametrize("check", CATALOGUE, ids=lambda check: check.id)
def test_every_check_is_explained_whole(capsys: pytest.CaptureFixture[str], check: object) -> None:
    known = next(c for c in CATALOGUE if c is check)
    assert run(["explain", known.id]) == 0
    shown = capsys.readouterr().out
    words = " ".join(shown.split())
    for part in (known.title, known.description, known.risk, known.verify):
        assert " ".join(part.split()) in words
    for text in known.remediation.values():
        assert " ".join(text.split()) in words
    assert all(reference.label in shown for reference in known.references)


def test_dashes_and_capitals_are_forgiven(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "DIMSE-Store-Open"]) == 0
    assert "dimse_store_open" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("dimse_store_opne", "Did you mean dimse_store_open"),
        ("query", "dimse_query"),
        ("zzz", "'doorward checks' lists them all."),
    ],
)
def test_a_typo_is_answered_with_near_ids(
    capsys: pytest.CaptureFixture[str], typed: str, hint: str
) -> None:
    assert run(["explain", typed]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"doorward: there is no check '{typed}'\n")
    assert hint in said.err
