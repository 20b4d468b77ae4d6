"""The survey on a terminal: a golden text, and never more than a screen or two."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from doorward.audit.place import NOWHERE, Place
from doorward.audit.report.survey_terminal import print_survey, survey_text
from judged_systems import HOSTILE, HOSTILE_SYSTEM, facts
from surveyed import archive, survey

GOLDEN = Path(__file__).parent / "golden"
FILES = (("json", Path("survey.json")), ("html", Path("survey.html")))
_COUNTRIES = [
    "AR",
    "AT",
    "AU",
    "BE",
    "BR",
    "CA",
    "CH",
    "CN",
    "CO",
    "CZ",
    "DE",
    "DK",
    "EC",
    "ES",
    "FI",
    "FR",
    "GB",
    "GR",
]


def _many() -> list[tuple]:
    return [
        (archive(f"127.0.{4 + i // 250}.{i % 250}", i), Place(country=_COUNTRIES[i % 18]))
        for i in range(1, 600)
    ]


def test_the_survey_reads_like_the_golden_text() -> None:
    frame, documents = survey(suspected=["127.0.3.3"])
    expected = (GOLDEN / "survey.txt").read_text(encoding="utf-8")
    assert survey_text(frame, documents, files=FILES) == expected


def test_hundreds_of_systems_fit_on_a_screen_or_two() -> None:
    frame, documents = survey(_many())
    text = survey_text(frame, documents, files=FILES)
    assert len(text.splitlines()) <= 60
    assert "8 others" in text
    assert "The worst 10 of 599" in text
    assert text.count("127.0.") == 10


def test_a_honeypot_that_comes_first_hides_nobody() -> None:
    frame, documents = survey(suspected=["127.0.3.3"])
    text = survey_text(frame, [documents[-1], *documents[:-1]])
    assert "The worst 4 of 5" in text
    assert "127.0.3.3" not in text


def test_only_the_first_documents_are_taken() -> None:
    frame, documents = survey(_many())
    waiting = iter(documents)
    survey_text(frame, waiting)
    assert len(list(waiting)) == 589


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_survey_keeps_its_width(width: int) -> None:
    frame, documents = survey(_many())
    text = survey_text(frame, documents, files=FILES, width=width)
    assert max(len(line) for line in text.splitlines()) <= min(width, 100)


def test_a_survey_without_countries_or_systems_says_so_in_a_few_lines() -> None:
    frame, documents = survey([])
    text = survey_text(frame, documents)
    assert text.startswith("Nothing could be tested.\n")
    assert "Country" not in text


def test_a_stranger_cannot_write_markup_or_escapes() -> None:
    hostile = replace(HOSTILE_SYSTEM, facts=facts("127.0.4.1", name=HOSTILE))
    frame, documents = survey([(hostile, replace(NOWHERE, site=HOSTILE, country=HOSTILE))])
    out = io.StringIO()
    print_survey(frame, documents, Console(file=out, force_terminal=True, width=100))
    shown = out.getvalue()
    assert "[red]DCMTK" in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    for sequence in shown.split("\x1b")[1:]:
        assert sequence[0] == "["
        assert sequence[1:].lstrip("0123456789;")[0] == "m"
