"""Tables as text (RFC 4180, and what spreadsheets make of it): one row at a time, each bounded.

Theory of operation: the encoding comes from the byte order mark (none: UTF-8), the delimiter from a first line ``sep=;`` or
from the header: it is the one that makes the most names the caller knows. Rows follow one by one with the line on which
they begin. A row that is no CSV is given with its fault and the next one is read; a quote that is never closed would
swallow the rest of the file and is an error instead. Cells come without the wrapping of spreadsheets (``="0123"``).
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from doorward.audit.imports.source import Rewound
from doorward.errors import ConfigError
from doorward.limits import Limits

DELIMITERS = ",;\t|"
#: Excel writes and obeys it; the delimiter is then no guess.
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
#: The way to make a spreadsheet keep leading zeros.
_KEPT_AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)
_SAVE_AS = 'Save it as "CSV UTF-8" in the spreadsheet.'
#: UTF-32 first: its mark begins with that of UTF-16.
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARK_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: the line on which it begins, and its cells or what is wrong with it."""

    line: int
    cells: tuple[str, ...] = ()
    fault: str = ""

    @property
    def is_empty(self) -> bool:
        """Nothing stands in it, as in the last rows of many a spreadsheet."""
        return not self.fault and not any(self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header and the rows below it, empty ones left out."""

    header: Row
    rows: Iterator[Row]


def cell(text: str) -> str:
    """Return what stands in a cell, without the spaces around it and a spreadsheet's ``="..."``."""
    text = text.strip().strip("\ufeff\x00")
    kept = _KEPT_AS_TEXT.fullmatch(text)
    return kept.group(1).strip() if kept else text


def read_table(
    stream: IO[bytes], file: Path, limits: Limits, is_known: Callable[[str], bool]
) -> Table:
    """Return the table in a stream; ``is_known`` tells whether a cell is a name that a header may have.

    Raises ConfigError, also while the rows are read: not the right encoding, or a quote that is never closed.
    """
    lines = _Lines(stream, file, limits)
    first = lines.next_line()
    while first is not None and not (first.strip() or lines.fault):
        first = lines.next_line()
    if first is None:
        raise ConfigError("holds no table: it is empty", file=file)
    if lines.fault:
        raise ConfigError(f"has a header that {lines.fault}", file=file, line=1)
    separator = _SEPARATOR_LINE.fullmatch(first)
    if separator is None:
        lines.put_back(first)
    delimiter = separator.group(1) if separator else best_delimiter(first, is_known)
    rows = _rows(lines, delimiter)
    header = next((row for row in rows if not row.is_empty), Row(line=1))
    if header.fault:
        raise ConfigError(f"has a header that {header.fault}", file=file, line=header.line)
    if len(header.cells) > limits.import_columns:
        message = f"has {len(header.cells):,} columns; at most {limits.import_columns:,} are read"
        raise ConfigError(message, file=file, line=header.line)
    return Table(header=header, rows=(row for row in rows if not row.is_empty))


def best_delimiter(line: str, is_known: Callable[[str], bool]) -> str:
    """Return the delimiter that makes the most known names of a header line; the comma where none makes any."""

    def score(delimiter: str) -> tuple[int, int]:
        cells = split(line, delimiter)
        return sum(is_known(name) for name in cells), len(cells)

    return max(DELIMITERS, key=score)


def split(line: str, delimiter: str) -> tuple[str, ...]:
    """Return the cells of one line that stands alone; none where it is no CSV."""
    try:
        return tuple(cell(text) for row in csv.reader([line], delimiter=delimiter) for text in row)
    except csv.Error:
        return ()


def header_cells(head: bytes, is_known: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the cells of the first row in the beginning of a file, for a look at it; none where there is no text."""
    is_wide = head.startswith(_UTF_16) and not head.startswith(_UTF_32)
    text = head.decode("utf-16" if is_wide else "utf-8-sig", "replace")
    filled = (line for line in text.splitlines() if line.strip())
    first = next(filled, "")
    separator = _SEPARATOR_LINE.fullmatch(first)
    if separator is not None:
        return split(next(filled, ""), separator.group(1))
    return split(first, best_delimiter(first, is_known))


def _rows(lines: "_Lines", delimiter: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin_row()
        cells: list[str] | None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = None  # its message may quote the row
        if cells is not None and not lines.fault:
            yield Row(line=lines.row_line, cells=tuple(map(cell, cells)))
        else:
            lines.require_closed_quote(is_broken=cells is None)
            yield Row(line=lines.row_line, fault=lines.fault or "is no CSV: see its quotes")


class _Lines(Iterator[str]):
    """The lines of a file as text, counted for the row that ``csv`` is making of them."""

    def __init__(self, stream: IO[bytes], file: Path, limits: Limits) -> None:
        self._file = file
        self._most = limits.import_record_bytes
        self._waiting: str | None = None
        self._number = 0
        self._row_chars = 0
        self._is_at_end = False
        self.row_line = 1
        #: What is wrong with a line of the row, beyond the grammar of CSV.
        self.fault = ""
        head = stream.read(_MARK_BYTES)
        self._bytes: IO[bytes] = io.BufferedReader(Rewound(stream, head))
        self._text: io.TextIOWrapper | None = None
        if head.startswith(_UTF_32):
            raise ConfigError("is UTF-32 text", file=file, hint=_SAVE_AS)
        if head.startswith(_UTF_16):
            self._text = io.TextIOWrapper(self._bytes, encoding="utf-16", newline="\n")

    def begin_row(self) -> None:
        """The next line begins a row."""
        self.row_line = self._number + (0 if self._waiting is not None else 1)
        self._row_chars = 0
        self.fault = ""

    def require_closed_quote(self, *, is_broken: bool) -> None:
        """Raise ConfigError where the end of the file was reached inside a quote that hides other lines."""
        if is_broken and self._is_at_end and self._number > self.row_line:
            message = "a quote begins in this row and is never closed"
            raise ConfigError(message, file=self._file, line=self.row_line)

    def put_back(self, line: str) -> None:
        """Give this line, the last one taken, once more."""
        self._waiting = line

    def __next__(self) -> str:
        line = self.next_line()
        if line is None:
            self._is_at_end = True
            raise StopIteration
        self._row_chars += len(line)
        if self._row_chars > self._most:
            message = f"a row is longer than {self._most:,} characters; is one of its quotes never closed?"
            raise ConfigError(message, file=self._file, line=self.row_line)
        return line

    def next_line(self) -> str | None:
        """Return the next line with its end, None behind the last; raises ConfigError for what is no text."""
        if self._waiting is not None:
            line, self._waiting = self._waiting, None
            return line
        self._number += 1
        try:
            found = self._read()
        except UnicodeError:
            found = None
        if found is None:
            line_number = self._number if self._text is None else None
            raise ConfigError("is not UTF-8 text", file=self._file, line=line_number, hint=_SAVE_AS)
        if found == "":
            self._number -= 1
            return None
        return found

    def _read(self) -> str:
        """Return one line, "" at the end. One that is too long is passed over; its row gets a fault."""
        if self._text is not None:
            line = self._text.readline(self._most + 1)
            if len(line) <= self._most:
                return line
            while line and not line.endswith("\n"):
                line = self._text.readline(self._most)
        else:
            raw = self._bytes.readline(self._most + 1)
            if len(raw) <= self._most:
                return raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
            while raw and not raw.endswith(b"\n"):
                raw = self._bytes.readline(self._most)
        self.fault = f"is longer than {self._most:,} bytes"
        return "\n"
