"""ZMap's output: bare addresses, CSV with a header, or one JSON object per line.

``saddr`` is who answered and ``sport`` the port that was scanned: ZMap names them from its receiver's side. A list of
bare addresses holds no port; the operator says it. Which answers count is ``success``, or ``classification`` without it.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from doorward.audit.imports.fields import RowError, address, port, utc
from doorward.audit.imports.lines import Line, Record, json_records, lines, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting
from doorward.audit.imports.source import Rewound
from doorward.errors import ConfigError

_BARE_ADDRESS = re.compile(r"(?=.*[.:])[0-9A-Fa-f.:]{2,45}")
#: How a flag is written in CSV and, by json-c, in JSON; True is 1.
_YES = (1, "1", "true")
_HEADER_HINT = (
    "Write it with zmap -f saddr,sport,success,repeat and with its header, or as bare addresses."
)


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield the doors that answered; raises ConfigError, also where neither file nor options name the port."""
    head = stream.read(16)
    whole = io.BufferedReader(Rewound(stream, head))
    if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        records = json_records(whole, file, limits=options.limits)
        return sightings(records, file, options, _Json(file, options).take)
    text = lines(whole, file, limits=options.limits)
    return sightings(text, file, options, _Text(file, options).take)


class _Doors:
    """Makes sightings of rows whose fields have names, whatever they were written in."""

    def __init__(self, file: Path, options: ImportOptions) -> None:
        self._file = file
        self._options = options

    def of(self, fields: Mapping[str, object], line: int) -> Iterator[Sighting]:
        """Yield the door of one row; nothing for what was refused and for what was seen before."""
        if not _has_answered(fields) or fields.get("repeat") in _YES:
            return
        host = address(fields.get("saddr"), "saddr")
        asked = fields.get("sport")
        if asked not in (None, ""):
            number = port(asked, "sport")
        elif self._options.port is not None:
            number = self._options.port
        else:
            message = "does not say which port was scanned"
            hint = "Say it with --port, for example --port 104."
            raise ConfigError(message, file=self._file, line=line, hint=hint)
        seen_at = utc(fields.get("timestamp_str")) or utc(fields.get("timestamp_ts"))
        yield Sighting(host=host, port=number, source="zmap", seen_at=seen_at)


class _Json(_Doors):
    """Takes records of JSON."""

    def take(self, record: Record) -> Iterator[Sighting]:
        """Yield what one record says."""
        return self.of(record.fields, record.number)


class _Text(_Doors):
    """Takes lines of text: the first one says what the others are."""

    def __init__(self, file: Path, options: ImportOptions) -> None:
        super().__init__(file, options)
        self._columns: tuple[str, ...] = ()

    def take(self, line: Line) -> Iterable[Sighting]:
        """Yield what one line says."""
        if not line.content.strip():
            return ()
        cells = _cells(line.content)
        if not self._columns:
            self._columns = self._columns_of(cells, line.number)
            if "saddr" in map(_name, cells):
                return ()
        # ZMap ends every line; half an address is the address of somebody else.
        if not line.has_end:
            raise RowError("the last line", "has no end: the file is cut off")
        return self.of(dict(zip(self._columns, cells, strict=False)), line.number)

    def _columns_of(self, cells: tuple[str, ...], line: int) -> tuple[str, ...]:
        names = tuple(map(_name, cells))
        if "saddr" in names:
            return names
        if len(cells) == 1 and _BARE_ADDRESS.fullmatch(cells[0]):
            return ("saddr",)
        message = "holds neither addresses, one per line, nor a header with the column saddr"
        raise ConfigError(message, file=self._file, line=line, hint=_HEADER_HINT)


def _has_answered(fields: Mapping[str, object]) -> bool:
    """Tell whether the answer opened the door; without both fields ZMap itself left out what did not."""
    if "success" in fields:
        return fields["success"] in _YES
    return fields.get("classification", "synack") == "synack"


def _cells(content: bytes) -> tuple[str, ...]:
    text = content.decode("utf-8", "replace")
    try:
        row = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        raise RowError("the line", "is no CSV") from None
    return tuple(cell.strip() for cell in row)


def _name(cell: str) -> str:
    """Return the name of a column as ZMap writes it today: it once wrote timestamp-str."""
    return cell.lower().replace("-", "_")
