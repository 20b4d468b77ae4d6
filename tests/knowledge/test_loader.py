"""The data files are read strictly: a slip fails here, not in an audit."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from doorward.errors import ConfigError
from doorward.knowledge import loader


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    size: int = 0
    share: float = 0.0
    tags: tuple[str, ...] = ()
    from_: str = ""


def read_rows(tmp_path, monkeypatch, text):
    package = tmp_path / "datapack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "t.toml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    loader.read.cache_clear()
    try:
        return loader.rows("datapack", "t.toml", "row", Row)
    finally:
        loader.read.cache_clear()
        import sys

        sys.modules.pop("datapack", None)


def test_rows_come_back_in_file_order_with_lists_as_tuples(tmp_path, monkeypatch):
    text = '[[row]]\nname = "b"\ntags = ["x", "y"]\nshare = 2\n[[row]]\nname = "a"\nfrom = "1.0"\n'
    first, second = read_rows(tmp_path, monkeypatch, text)
    assert (first.name, first.tags, first.share) == ("b", ("x", "y"), 2)
    assert (second.name, second.from_) == ("a", "1.0")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('[[row]]\nname = "a"\ncolour = "red"\n', "colour"),
        ("[[row]]\nsize = 1\n", "name"),
        ("[[row]]\nname = 1\n", "name"),
        ('[[row]]\nname = "a"\nsize = true\n', "size"),
        ('[[row]]\nname = "a"\nshare = true\n', "share"),
        ('[[row]]\nname = "a"\ntags = "x"\n', "tags"),
        ('[[row]]\nname = "a"\nfrom_ = "1"\n', "from_"),
        ('[[row]]\nname = "a"\ntags = ["x", 1]\n', "tags"),
        ("row = 7\n", "row"),
    ],
)
def test_a_slip_names_the_file_and_the_field(tmp_path, monkeypatch, text, field):
    with pytest.raises(ConfigError) as error:
        read_rows(tmp_path, monkeypatch, text)
    assert error.value.field == field
    assert str(error.value.file) == "t.toml"


def test_a_file_that_is_no_toml_is_a_config_error(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rows(tmp_path, monkeypatch, "[[row\n")


def test_a_missing_file_is_a_config_error():
    with pytest.raises(ConfigError, match="cannot be read"):
        loader.read("doorward.knowledge", "nowhere.toml")


def test_rows_that_were_read_elsewhere_are_held_to_the_same_rules():
    file = Path("x.json")
    assert loader.rows_of([{"name": "a", "from": "1"}], file, "row", Row)[0].from_ == "1"
    for found in ({}, ["a"], [{"name": "a", "colour": "red"}]):
        with pytest.raises(ConfigError) as error:
            loader.rows_of(found, file, "row", Row)
        assert error.value.file == file
