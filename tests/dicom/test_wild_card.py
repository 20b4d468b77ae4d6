"""Wild cards, against an expression that is plainly right, and against patterns made to be slow."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.dicom.wild_card import fits, has_wild_card, is_prefix_pattern, prefix_of


def plainly_fits(pattern: str, text: str) -> bool:
    """The definition of PS3.4 section C.2.2.2.4, as a recursion."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return plainly_fits(pattern[1:], text) or (bool(text) and plainly_fits(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and plainly_fits(pattern[1:], text[1:])


@given(st.text("ab*?", max_size=7), st.text("ab\n^", max_size=7))
def test_a_pattern_fits_what_its_definition_says(pattern, text):
    assert fits(pattern, text) == plainly_fits(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "is_fit"),
    (
        ("*", "", True),
        ("?", "", False),
        ("A*", "A", True),
        ("A*", "a", False),
        ("[A]*", "A", False),
        ("[A]*", "[A] x", True),
        ("a.c", "abc", False),
        ("a\\?", "a\\b", True),
        ("山*", "山田", True),
    ),
)
def test_only_stars_and_question_marks_are_special(pattern, text, is_fit):
    assert fits(pattern, text) is is_fit


def test_a_pattern_made_to_be_slow_is_not():
    assert not fits("*a" * 500 + "*b", "a" * 20_000)
    assert fits("*a?" * 300 + "*", "ab" * 1_000)


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_what_fits_begins_with_the_prefix_and_a_prefix_pattern_says_no_more(pattern, text):
    begins = text.startswith(prefix_of(pattern))
    if fits(pattern, text) and has_wild_card(pattern):
        assert begins
    if is_prefix_pattern(pattern):
        assert fits(pattern, text) == begins == fnmatch.fnmatchcase(text, pattern)
