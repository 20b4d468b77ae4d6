"""Cuts other tools' files into lines and records of JSON, in bounded memory, and goes on behind what is broken.

Theory of operation: ``lines`` is for text and CSV. ``json_records`` is for everything of JSON: an array, one object per
line, objects over several lines, an array cut off or with a comma too many; it looks for the next object that stands
outside of others, whatever is around it. Neither holds more than one record, at most ``limits.import_record_bytes``. What
cannot be read is passed by as ``Skipped``; reading goes on at the next line that may begin a record. ``sightings`` turns
rows into sightings and gives up with a ConfigError when too many in a row are of no use: that is another format. No reason
and no error quotes the file.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from doorward.audit.imports.fields import RowError, is_older
from doorward.audit.imports.sighting import ImportOptions, Item, Skipped
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

_PIECE_BYTES = 65_536
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: What may stand between two records; the record separator is that of RFC 7464.
_BETWEEN = re.compile(r"[ \t\r\n,\[\]\x1e\ufeff]*")
#: The beginning of a line that may begin a record.
_FRESH = re.compile(r"\n[ \t\r]*(?=[{\[,])")
#: "\ud83d\ude00": the longest thing whose end may be missing without a string being called unterminated.
_LONGEST_TOKEN = 12
_DECODER = json.JSONDecoder()
_OTHER_FORMAT = "Is it a whole file of that format, as the tool wrote it?"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end."""

    number: int
    content: bytes
    #: False for a last line without a line feed, which may be the half of one.
    has_end: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """One object of JSON; ``number`` is the line in which it begins."""

    number: int
    fields: dict[str, object]


#: What a reader makes of one row; it raises RowError for a row that is of no use as a whole.
Row = TypeVar("Row", Line, Record)


def lines(
    stream: IO[bytes], file: Path, *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Line | Skipped]:
    """Yield every line, empty ones too, without its end and without a byte order mark; too long ones are skipped.

    Raises ConfigError for UTF-16.
    """
    most = limits.import_record_bytes
    number = 0
    while content := stream.readline(most + 2):
        number += 1
        if number == 1:
            refuse_utf16(content, file)
        ended = content.removesuffix(b"\n").removesuffix(b"\r")
        if len(ended) <= most:
            ended = ended.removeprefix(codecs.BOM_UTF8) if number == 1 else ended
            yield Line(number, ended, has_end=content.endswith(b"\n"))
            continue
        while content and not content.endswith(b"\n"):
            content = stream.readline(_PIECE_BYTES)
        yield Skipped(line=number, reason=f"the line is longer than {most:,} bytes")


def json_records(
    stream: IO[bytes],
    file: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    ignored: re.Pattern[str] | None = None,
) -> Iterator[Record | Skipped]:
    """Yield the outermost objects of JSON one by one, and one Skipped for each stretch that is none.

    ``ignored`` is what may stand there without being JSON. An empty file yields nothing. Raises ConfigError where there
    is something and no object in it, for UTF-16, and where a break is followed by much, but by no line to go on from.
    """
    text = _Text(stream, file, limits)
    wrong: Skipped | None = None
    has_record = False
    while text.find():
        number = text.line
        match text.take(ignored):
            case dict() as fields:
                has_record = True
                yield Record(number, fields)
            case str() as reason:
                skipped = Skipped(line=number, reason=reason)
                wrong = wrong or skipped
                yield skipped
    if wrong is not None and not has_record:
        message = f"holds no record that can be read: {wrong.reason}"
        raise ConfigError(message, file=file, line=wrong.line, hint=_OTHER_FORMAT)


def sightings(
    rows: Iterable[Row | Skipped],
    file: Path,
    options: ImportOptions,
    take: Callable[[Row], Iterable[Item]],
) -> Iterator[Item]:
    """Yield what ``take`` makes of each row, without what is older than was asked for.

    A row for which ``take`` yields nothing was understood and is none of ours. A row for which it raises RowError is
    Skipped; more than ``limits.import_bad_rows`` of those in a row raise ConfigError.
    """
    patience = Patience(file, options.limits)
    for row in rows:
        if isinstance(row, Skipped):
            yield patience.bad(row)
            continue
        wrong = ""
        try:
            for item in take(row):
                yield unless_older(item, row.number, options)
        except RowError as error:
            wrong = error.reason
        if wrong:
            yield patience.bad(Skipped(line=row.number, reason=wrong))
        else:
            patience.good()


class Patience:
    """Tells a few broken rows from a file of another format."""

    def __init__(self, file: Path, limits: Limits) -> None:
        self._file = file
        self._most = limits.import_bad_rows
        self._bad = 0

    def good(self) -> None:
        """Take note of a row that was understood."""
        self._bad = 0

    def bad(self, skipped: Skipped) -> Skipped:
        """Return the Skipped; raises ConfigError when it is one too many in a row."""
        self._bad += 1
        if self._bad > self._most:
            message = f"{self._bad} rows in a row cannot be used; the last: {skipped.reason}"
            raise ConfigError(message, file=self._file, line=skipped.line, hint=_OTHER_FORMAT)
        return skipped


def unless_older(item: Item, line: int, options: ImportOptions) -> Item:
    """Return the item, or a Skipped in its place where it was seen before ``options.oldest``."""
    if isinstance(item, Skipped) or not is_older(item.seen_at, options.oldest):
        return item
    return Skipped(line=line, reason="was seen before the oldest time that is asked for")


def refuse_utf16(start: bytes, file: Path) -> None:
    """Raise ConfigError for a file that begins with the byte order mark of UTF-16."""
    if start.startswith(_UTF16):
        hint = "PowerShell's > writes UTF-16; write the file with the tool's own option instead."
        raise ConfigError("is UTF-16, not UTF-8 text", file=file, line=1, hint=hint)


class _Text:
    """A window that slides over the text of a stream; holds one record and what was read with it."""

    def __init__(self, stream: IO[bytes], file: Path, limits: Limits) -> None:
        self._stream = stream
        self._file = file
        self._most = limits.import_record_bytes
        # Broken bytes become U+FFFD: in a banner they do not matter, in an address they are refused there.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at = 0
        self._has_begun = self._has_ended = False
        #: The line in which the window's position stands, from 1.
        self.line = 1

    def find(self) -> bool:
        """Go to the next thing that is no separator; False: there is none."""
        while True:
            self._go(_end_of(_BETWEEN, self._text, self._at))
            if self._at < len(self._text):
                return True
            if not self._more():
                return False

    def take(self, ignored: re.Pattern[str] | None) -> dict[str, object] | str | None:
        """Return the object that begins here and go behind it; else why there is none, and go to a fresh line.

        None: what stands here may be ignored.
        """
        begins_object = self._text[self._at] == "{"
        broken_at, reason = self._at, "is no JSON object"
        while begins_object:
            begin = self._at
            found = self._decoded()
            if isinstance(found, dict):
                return found if self._at - begin <= self._most else self._too_long
            broken_at, reason, is_cut = found
            if not is_cut:
                break
            if len(self._text) - self._at > self._most:
                self._go_to_fresh_line(self._at)
                return self._too_long
            has_more = self._more()
            broken_at += self._at - begin
            if not has_more:
                reason = self._at_the_end(broken_at)
                break
        if ignored is not None and (match := ignored.match(self._text, self._at)) is not None:
            self._go(match.end())
            return None
        self._go_to_fresh_line(broken_at)
        return f"the record {reason}"

    def _decoded(self) -> dict[str, object] | tuple[int, str, bool]:
        """Return the object that begins here and go behind it; else where it breaks, how, and whether more text may help.

        The decoder's own errors hold the text: none may leave this method.
        """
        try:
            found, end = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            is_open = error.msg.startswith("Unterminated string")
            is_cut = is_open or error.pos >= len(self._text) - _LONGEST_TOKEN
            return (len(self._text) if is_open else error.pos), "is no JSON", is_cut
        except RecursionError:
            return self._at, "is nested too deeply", False
        except ValueError:  # Python reads no integer of more than 4,300 digits
            return self._at, "holds a number that is too long", False
        self._go(end)
        assert isinstance(found, dict)  # it began with a brace
        return found

    @property
    def _too_long(self) -> str:
        return f"the record is longer than {self._most:,} bytes"

    def _at_the_end(self, broken_at: int) -> str:
        is_cut = broken_at >= len(self._text.rstrip())
        return "is cut off: the file ends in it" if is_cut else "is no JSON"

    def _go(self, position: int) -> None:
        self.line += self._text.count("\n", self._at, position)
        self._at = position

    def _more(self) -> bool:
        """Read on, so much that what is held at least doubles: a long record is decoded a few times, not often."""
        if self._has_ended:
            return False
        held = len(self._text) - self._at
        piece = self._stream.read(max(_PIECE_BYTES, min(held, self._most - held)))
        if not self._has_begun:
            refuse_utf16(piece, self._file)
            self._has_begun = True
        self._has_ended = not piece
        added = self._decoder.decode(piece, final=self._has_ended)
        self._text = self._text[self._at :] + added
        self._at = 0
        return bool(piece or added)

    def _go_to_fresh_line(self, broken_at: int) -> None:
        """Go behind what is broken: to the line of the break if nothing stands before it there, else to a later one."""
        line = self.line
        start = self._text.rfind("\n", self._at, broken_at)
        is_first_on_line = start >= 0 and not self._text[start:broken_at].strip()
        self._go(start if is_first_on_line else broken_at)
        passed = 0
        while (match := _FRESH.search(self._text, self._at)) is None:
            before = self._at
            self._go(self._open_line())
            passed += self._at - before
            if self._more():
                continue
            if passed > self._most:
                message = "is broken here, and no record begins on a line of its own after it"
                raise ConfigError(message, file=self._file, line=line, hint=_OTHER_FORMAT)
            self._go(len(self._text))
            return
        self._go(match.end())

    def _open_line(self) -> int:
        """Return where the last line begins if it may still become the first of a record, else the end of the text."""
        start = self._text.rfind("\n", max(self._at, len(self._text) - _PIECE_BYTES))
        is_open = start >= 0 and not self._text[start:].strip()
        return start if is_open else len(self._text)


def _end_of(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    assert match is not None  # the pattern matches the empty string
    return match.end()
