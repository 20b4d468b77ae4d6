"""The daily scores of FIRST (EPSS): how likely an id is to be exploited within 30 days.

Theory of operation: the file has some 300,000 lines and is often compressed (gzip), so it is read as it comes and never held:
each line is checked, and only the scores of the ids that were asked for stay. Line 1 names the day of the scores, line 2 the
columns. Inflated bytes and lines are bounded (limits.py).
"""

import re
import zlib
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from doorward.errors import ConfigError
from doorward.limits import Limits

GZIP = b"\x1f\x8b"
_DAY = re.compile(rb"#.*\bscore_date:([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[^,]{0,40})?(?:,.*)?")
_COLUMNS = b"cve,epss,percentile"
_NUMBER = rb"([0-9](?:\.[0-9]{1,20})?(?:[eE]-[0-9]{1,3})?)"
_ROW = re.compile(rb"(CVE-[0-9]{4}-[0-9]{4,19})," + _NUMBER + b"," + _NUMBER)
_PIECE_BYTES = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class EpssScores:
    """The scores of one day, of the ids that were asked for."""

    released: str  # ISO 8601
    read: int
    likelihood: dict[str, float] = field(default_factory=dict)


class EpssReader:
    """Takes the bytes of one file, plain or gzip, in pieces of any size."""

    def __init__(self, file: Path, *, wanted: Container[str], limits: Limits) -> None:
        self._file = file
        self._wanted = wanted
        self._limits = limits
        self._inflater: zlib._Decompress | None = None
        self._start = b""
        self._rest = b""
        self._bytes = 0
        self._line = 0
        self._released = ""
        self._likelihood: dict[str, float] = {}
        self._is_started = False

    def receive(self, piece: bytes) -> None:
        """Take the next bytes; ConfigError with the line of what breaks the form."""
        if not self._is_started:
            piece = self._start + piece
            if len(piece) < len(GZIP):
                self._start = piece
                return
            self._is_started = True
            if piece.startswith(GZIP):
                self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        if self._inflater is None:
            self._lines(piece)
        else:
            self._inflate(self._inflater, piece)

    def finish(self) -> EpssScores:
        """Return the scores; ConfigError where the file ends too early."""
        if self._inflater is not None and not self._inflater.eof:
            raise ConfigError("ends in the middle of the compressed data", file=self._file)
        if not self._is_started:
            self._rest = self._start
        if self._rest:
            self._take(self._rest.rstrip(b"\r"))
            self._rest = b""
        if self._line < 3:
            raise ConfigError("holds no score", file=self._file, line=self._line or 1)
        return EpssScores(
            released=self._released, read=self._line - 2, likelihood=dict(self._likelihood)
        )

    def _inflate(self, inflater: "zlib._Decompress", piece: bytes) -> None:
        try:
            while piece and not inflater.eof:
                self._lines(inflater.decompress(piece, _PIECE_BYTES))
                piece = inflater.unconsumed_tail
        except zlib.error:
            raise ConfigError("is no gzip file, or a damaged one", file=self._file) from None
        if piece or inflater.unused_data:
            raise ConfigError("goes on after the end of the compressed data", file=self._file)

    def _lines(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > self._limits.knowledge_csv_bytes:
            most = f"{self._limits.knowledge_csv_bytes:,}"
            raise ConfigError(f"is longer than {most} bytes", file=self._file)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._take(line.rstrip(b"\r"))
        if len(self._rest) > self._limits.knowledge_line_bytes:
            raise self._fault("is too long", line=self._line + 1)

    def _take(self, line: bytes) -> None:
        self._line += 1
        if self._line > 2:
            self._score(line)
        elif self._line == 1:
            self._released = self._day(line)
        elif line != _COLUMNS:
            raise self._fault(f"must name the columns {_COLUMNS.decode()}")

    def _day(self, line: bytes) -> str:
        hit = None
        if len(line) <= self._limits.knowledge_line_bytes:
            hit = _DAY.fullmatch(line.removeprefix(b"\xef\xbb\xbf"))
        try:
            return date.fromisoformat(hit[1].decode()).isoformat() if hit else self._no_day()
        except ValueError:
            return self._no_day()

    def _no_day(self) -> str:
        raise self._fault(
            "must name the day of the scores (#model_version:...,score_date:...)",
            hint="Is this an EPSS file as FIRST publishes it?",
        )

    def _score(self, line: bytes) -> None:
        hit = _ROW.fullmatch(line)
        if hit is None:
            raise self._fault("must be an id and two numbers from 0 to 1")
        identifier = hit[1].decode()
        probability, percentile = float(hit[2]), float(hit[3])
        if probability > 1 or percentile > 1:
            raise self._fault("must be an id and two numbers from 0 to 1")
        if identifier in self._wanted:
            self._likelihood[identifier] = probability

    def _fault(self, message: str, *, line: int = 0, hint: str | None = None) -> ConfigError:
        return ConfigError(message, file=self._file, line=line or self._line, hint=hint)
