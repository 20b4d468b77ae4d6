"""A short text of a stranger: decoded in place, bounded, and nothing of it stays."""

import html
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.web.scratch import Scratch, folder_of


def scratch(text: bytes, most: int = 256) -> Scratch:
    made = Scratch(most)
    made.append(text)
    return made


def room(one: Scratch) -> bytes:
    return bytes(one._room)


@given(st.binary(max_size=200))
def test_percent_decoding_agrees_with_the_standard_library(text):
    one = scratch(text)
    one.percent_decode()
    assert bytes(one.view()) == unquote_to_bytes(text)


@pytest.mark.parametrize(
    "text",
    [
        "a &amp; b",
        "&lt;c&gt;",
        "&quot;x&quot;",
        "&#x26;&#38;&#X3c;",
        "&apos;",
        "plain",
        "&",
        "&;",
        "&#;",
        "&#x;",
    ],
)
def test_references_mean_what_html_says(text):
    one = scratch(text.encode())
    one.unescape()
    assert bytes(one.view()).decode() == html.unescape(text)


@pytest.mark.parametrize(
    ("text", "left"), [("&eacute;", "&eacute;"), ("&#233;", "&#233;"), ("&amp", "&amp")]
)
def test_other_references_stay_as_they_are(text, left):
    one = scratch(text.encode())
    one.unescape()
    assert bytes(one.view()).decode() == left


def test_a_space_that_does_not_break_is_a_space():
    one = scratch(b"a&nbsp;b&#160;c&#xA0;d")
    one.unescape()
    assert bytes(one.view()) == b"a b c d"


@given(st.binary(max_size=60))
def test_stripping_is_that_of_bytes(text):
    one = scratch(text)
    one.strip()
    assert bytes(one.view()) == text.strip()


def test_prefixes_and_suffixes_are_dropped_only_where_they_stand():
    one = scratch(b"/dicom/name/")
    assert not one.drop_prefix(b"dicom")
    assert not one.drop_suffix(b"name")
    assert one.drop_prefix(b"/dicom/")
    assert one.drop_suffix(b"/")
    assert one.equals(b"name")
    assert one.has(b"am")
    assert not one.has(b"/")
    one.drop_first(2)
    assert one.equals(b"me")
    one.drop_first(99)
    assert len(one) == 0


def test_what_is_too_long_is_not_kept_at_all():
    one = scratch(b"12345678", most=8)
    one.append(b"9")
    assert one.is_too_long
    assert bytes(one.view()) == b""
    one.append(b"x")
    assert room(one) == bytes(8)


@given(st.lists(st.sampled_from(["percent_decode", "unescape", "strip", "clear"]), max_size=6))
def test_nothing_is_left_behind_the_end(steps):
    one = scratch(b"  %41%42&amp;&lt;ZZCANARY%20  ")
    one.drop_suffix(b"  ")
    for step in steps:
        getattr(one, step)()
        assert room(one)[len(one) :] == bytes(256 - len(one))
    one.clear()
    assert room(one) == bytes(256)
    assert not one.is_too_long


def test_a_request_path_names_a_folder():
    assert folder_of("/") == b"/"
    assert folder_of("/dicom/") == folder_of("/dicom") == b"/dicom/"
    assert folder_of("/a%20b/") == b"/a b/"
