"""What the commands of an archive share: days end in the evening, lists are words, secrets come from a terminal or a pipe."""

import io
from datetime import datetime

import pytest

from doorward.cli.archive_options import ask, end_of, folder_of, words_of
from doorward.errors import ConfigError


def test_a_day_ends_in_the_evening_of_this_machine():
    end = end_of("2026-12-31")
    assert end.utcoffset() is not None
    assert (end.year, end.month, end.day, end.hour, end.minute) == (2026, 12, 31, 23, 59)
    assert end_of(None) is None


@pytest.mark.parametrize("text", ["", "tomorrow", "31.12.2026", "2026-13-01"])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(ConfigError, match="no day"):
        end_of(text)
    assert datetime


def test_lists_are_words():
    assert words_of(" query, retrieve,,") == ["query", "retrieve"]
    assert words_of("") == []


def test_without_a_terminal_a_secret_is_the_next_line(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("first line\n with spaces \n\n"))
    assert ask("Code") == "first line"
    assert ask("Password") == " with spaces "
    with pytest.raises(ConfigError, match="Password"):
        ask("Password")


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no archive"):
        folder_of(tmp_path)
