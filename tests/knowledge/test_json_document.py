"""A fault in a JSON document is told by line or path, never by value."""

from pathlib import Path

import pytest

from doorward.errors import ConfigError
from doorward.knowledge.json_document import parse_json

FILE = Path("a.json")


def parse(text: str):
    return parse_json(text.encode(), FILE)


def test_members_lists_and_values_are_found():
    root = parse('{"a": {"b": [1, 2]}, "day": "2026-10-31T10:00:00Z", "t": " x "}')
    assert [node.number(most=5) for node in root.member("a").items("b")] == [1, 2]
    assert root.member("day").day() == "2026-10-31"
    assert root.member("t").text() == "x"
    assert list(root.items("nowhere")) == []
    assert root.has("a")
    assert not root.member("t").has("a")


@pytest.mark.parametrize(
    ("text", "line"),
    [("{\n  1\n}", 2), ("", 1), ('{"a": 1}\n\n}', 3), ('{"a": 1', 1)],
)
def test_no_json_names_the_line(text, line):
    with pytest.raises(ConfigError, match="is no JSON") as error:
        parse(text)
    assert (error.value.file, error.value.line) == (FILE, line)


@pytest.mark.parametrize(
    "content", [b'{"a": NaN}', b'{"a": "\xff\xfe"}', b'{"a": ' + b"9" * 9_000 + b"}"]
)
def test_what_python_would_take_and_json_does_not_is_refused(content):
    with pytest.raises(ConfigError, match="is no JSON"):
        parse_json(content, FILE)


def test_a_tower_of_lists_is_refused():
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse("[" * 200_000)


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda root: root.member("b"), "/b"),
        (lambda root: root.member("a").member("b"), "/a"),
        (lambda root: list(root.items("a")), "/a"),
        (lambda root: root.member("n").text(), "/n"),
        (lambda root: root.member("blank").text(), "/blank"),
        (lambda root: root.member("a").number(most=1), "/a"),
        (lambda root: root.member("n").number(most=1), "/n"),
        (lambda root: root.member("yes").number(most=1), "/yes"),
        (lambda root: root.member("a").day(), "/a"),
        (lambda root: next(root.items("list")).member("x"), "/list/0/x"),
    ],
)
def test_a_fault_names_its_path_and_no_value(ask, field):
    root = parse('{"a": "SECRET", "n": 7, "blank": " ", "yes": true, "list": [{}]}')
    with pytest.raises(ConfigError) as error:
        ask(root)
    assert error.value.field == field
    assert "SECRET" not in str(error.value)
