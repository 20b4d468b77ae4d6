"""Strangers' text is harmless before any writer sees it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from doorward.audit.report.untrusted import Line, Lines, harmless
from judged_systems import HOSTILE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DCMTK 3.6.7", "DCMTK 3.6.7"),
        ("Köln 日本 Ω", "Köln 日本 Ω"),
        ("\x1b[2J\x1b]0;title\x07", "?[2J?]0;title?"),
        ("a\r\nb\tc\x0bd\u2028e", "a b c d e"),
        ("abc\u202edcba", "abc?dcba"),
        ("zero\u200bwidth\ufeff", "zero?width?"),
        ("\ud800", "?"),
        ("\x9b31m", "?31m"),
        ("  ", ""),
        ("", ""),
    ],
)
def test_what_steers_a_reader_is_removed(text: str, expected: str) -> None:
    assert harmless(text) == expected


def test_a_long_text_is_shortened() -> None:
    assert harmless("x" * 1_000_000, most=10) == "xxxxxxxxx…"
    assert harmless("x" * 10, most=10) == "x" * 10


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    clean = harmless(text + HOSTILE, most=200)
    assert len(clean) <= 200
    assert all(c == " " or c.isprintable() for c in clean)
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in clean)
    assert harmless(clean, most=200) == clean


def test_texts_of_the_model_are_cleaned_and_advice_keeps_its_lines() -> None:
    assert TypeAdapter(Line).validate_python("a\x1b\nb") == "a? b"
    assert TypeAdapter(Lines).validate_python("a\x1b\nb\rc") == "a?\nb c"
