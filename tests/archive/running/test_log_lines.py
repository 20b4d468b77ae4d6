"""What is said is one line; the text of a fault is never in it."""

import json
import logging

import pytest

from doorward.archive.running.log_lines import JsonLines, TextLines

SECRET = "NOBODY^KNOWN"


def record(message, *args, level=logging.INFO, fault=None):
    info = None if fault is None else (type(fault), fault, fault.__traceback__)
    return logging.LogRecord("doorward.archive", level, __file__, 1, message, args, info)


def raised():
    try:
        raise ValueError(SECRET)
    except ValueError as fault:
        return fault


@pytest.mark.parametrize("lines", (TextLines(is_coloured=False), JsonLines()))
def test_a_fault_is_named_by_kind_and_place(lines):
    said = lines.format(record("a task failed\nfuture: <%s>", SECRET, fault=raised()))
    assert SECRET not in said
    assert "ValueError at " in said
    assert "test_log_lines.py:" in said
    assert len(said.splitlines()) == 1


def test_a_fault_without_a_place_is_named_by_kind():
    said = TextLines(is_coloured=False).format(record("failed", fault=KeyError(SECRET)))
    assert said == "doorward: failed: KeyError"


def test_warnings_are_red_where_a_terminal_shows_it():
    warning = record("weak: %s", "x", level=logging.WARNING)
    assert TextLines(is_coloured=True).format(warning) == (
        "\x1b[1;31mdoorward: warning: weak: x\x1b[0m"
    )
    assert TextLines(is_coloured=False).format(warning) == "doorward: warning: weak: x"
    assert TextLines(is_coloured=True).format(record("ready")) == "doorward: ready"


def test_nothing_in_a_message_steers_a_terminal():
    assert TextLines(is_coloured=False).format(record("%s", "a\x1b[2Jb")) == "doorward: a?[2Jb"


def test_programs_get_one_object_with_the_time_in_utc():
    stated = json.loads(JsonLines().format(record("ready", level=logging.ERROR)))
    assert stated.pop("time").endswith("+00:00")
    assert stated == {"level": "error", "logger": "doorward.archive", "message": "ready"}


def test_fields_are_words_or_quoted_and_stay_one_line():
    one = record("refused")
    one.fields = {"peer": "10.0.0.9", "reason": 'No "rule" lets\nyou', "none": "", "record": 7}
    text = TextLines(is_coloured=False).format(one)
    quoted = '"No \\"rule\\" lets\\nyou"'
    assert text == f'doorward: refused peer=10.0.0.9 reason={quoted} none="" record=7'
    stated = json.loads(JsonLines().format(one))
    assert (stated["reason"], stated["record"]) == (one.fields["reason"], 7)
