"""Tables as text: delimiters, encodings, spreadsheets' ways, and rows that are none."""

import io
from pathlib import Path

import pytest

from doorward.audit.imports.tables import Row, best_delimiter, cell, header_cells, read_table, split
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

FILE = Path("table.csv")


def is_known(name: str) -> bool:
    return name in ("host", "site")


def rows_of(content: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Row, list[Row]]:
    table = read_table(io.BytesIO(content), FILE, limits, is_known)
    return table.header, list(table.rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        ('="0123"', "0123"),
        ('=" x "', "x"),
        ("  \u00a0a ", "a"),
        ("\ufeffhost", "host"),
        ("=1+1", "=1+1"),
        ("", ""),
    ],
)
def test_a_cell_comes_without_its_wrapping(text: str, expected: str) -> None:
    assert cell(text) == expected


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("host,site", ","),
        ("host;site", ";"),
        ("host\tsite", "\t"),
        ("host|site", "|"),
        ("host", ","),
        ('"a,b,c,d";host;site', ";"),
    ],
)
def test_the_delimiter_makes_the_most_known_names(line: str, delimiter: str) -> None:
    assert best_delimiter(line, is_known) == delimiter


def test_rows_come_with_the_line_on_which_they_begin_and_without_empty_ones() -> None:
    header, rows = rows_of(b'\n\nhost,site\n\na,"b\nb"\n,\nc,d\n')
    assert header == Row(line=3, cells=("host", "site"))
    assert rows == [Row(line=5, cells=("a", "b\nb")), Row(line=8, cells=("c", "d"))]


def test_a_separator_line_is_obeyed_and_no_row() -> None:
    header, rows = rows_of(b"sep=|\r\nhost,x|site\r\na|b\r\n")
    assert header == Row(line=2, cells=("host,x", "site"))
    assert rows == [Row(line=3, cells=("a", "b"))]


def test_utf_16_is_read_by_its_mark_and_utf_32_refused() -> None:
    _, rows = rows_of("host\tsite\r\na\tSüd\r\n".encode("utf-16"))
    assert rows == [Row(line=2, cells=("a", "Süd"))]
    with pytest.raises(ConfigError, match="is UTF-32 text"):
        rows_of("host\n".encode("utf-32"))
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        rows_of("host\na\n".encode("utf-16") + b"\x00\xd8\x00")


def test_a_row_that_is_no_csv_has_a_fault_and_the_next_is_read() -> None:
    _, rows = rows_of(b'host\n"a"b\nc\n')
    assert rows == [Row(line=2, fault="is no CSV: see its quotes"), Row(line=3, cells=("c",))]


def test_the_line_ends_of_old_macintoshes_are_a_fault_of_the_header() -> None:
    with pytest.raises(ConfigError, match=r"table\.csv:1: has a header that is no CSV"):
        rows_of(b"host,site\ra,b\r")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_that_is_too_long_is_passed_over(encoding: str) -> None:
    content = ("host\n" + "x" * 100_000 + "\nc\n").encode(encoding)
    _, rows = rows_of(content, Limits(import_record_bytes=1_000))
    assert rows == [Row(line=2, fault="is longer than 1,000 bytes"), Row(line=3, cells=("c",))]


def test_a_header_that_is_too_long_or_too_wide_is_an_error() -> None:
    with pytest.raises(ConfigError, match="has a header that is longer than 1,000 bytes"):
        rows_of(b"host," + b"x" * 2_000 + b"\na\n", Limits(import_record_bytes=1_000))
    with pytest.raises(ConfigError, match="has 9 columns; at most 8 are read"):
        rows_of(b"host,,,,,,,,x\n", Limits(import_columns=8))


def test_a_quote_that_swallows_more_than_a_record_is_an_error_at_its_row() -> None:
    content = b'host\na\n"' + b"line\n" * 1_000
    with pytest.raises(ConfigError, match=r"table\.csv:3: a row is longer than 1,000 characters"):
        rows_of(content, Limits(import_record_bytes=1_000))


def test_a_look_at_the_head_gives_the_cells_of_the_header() -> None:
    assert header_cells(b"\xef\xbb\xbf\nhost;site\na;b", is_known) == ("host", "site")
    assert header_cells(b"sep=|\nhost|site\n", is_known) == ("host", "site")
    assert header_cells("host\tsite\n".encode("utf-16"), is_known) == ("host", "site")
    assert header_cells(b"", is_known) == ()
    assert split("a\rb", ",") == ()
