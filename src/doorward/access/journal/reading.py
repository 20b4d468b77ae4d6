"""Which records concern a study, somebody, a time or an event; and the journal as JSON lines or CSV.

Reading needs no lock and trusts nothing: a line that is no record is passed over here and named by ``verify``.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from doorward.access.journal.record import Entry, Event, Record, format_time, read_record
from doorward.access.journal.segments import read_lines, segment_paths
from doorward.limits import DEFAULT_LIMITS, Limits

_ENTRY_FIELDS = tuple(one.name for one in fields(Entry))
#: The columns of the CSV, in their order.
COLUMNS = ("sequence", "time", *_ENTRY_FIELDS, "previous", "digest")
#: What spreadsheets take for the beginning of a formula (OWASP, CSV injection): an AE title is chosen by its caller.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records to show; "" and None want any. ``since`` is included, ``until`` is not."""

    study: str = ""
    identity: str = ""
    event: Event | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, record: Record) -> bool:
        """Whether this is one of them."""
        entry = record.entry
        return (
            (not self.study or self.study in entry.studies)
            and (not self.identity or self.identity == entry.identity)
            and (self.event is None or self.event == entry.event)
            and (self.since is None or record.time >= self.since)
            and (self.until is None or record.time < self.until)
        )

    def needles(self) -> tuple[bytes, ...]:
        """Return what a line must contain to be one of them: most are passed over without being parsed."""
        texts = [json.dumps(one) for one in (self.study, self.identity) if one]
        if self.event is not None:
            texts.append(f'"event":{json.dumps(self.event)}')
        return tuple(one.encode("ascii") for one in texts)


def show(
    folder: Path, wanted: Wanted | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Record]:
    """Yield the records that are wanted, oldest first, one at a time. Raises OSError, as files do."""
    asked = wanted or Wanted()
    needles = asked.needles()
    for path in segment_paths(folder):
        for line in read_lines(path, limits):
            if line.offset == 0 or not all(needle in line.text for needle in needles):
                continue
            try:
                record = read_record(line.text)
            except ValueError:
                continue
            if asked.takes(record):
                yield record


def as_json_lines(records: Iterable[Record]) -> Iterator[str]:
    """Yield one JSON object a record, with its newline; empty fields are left out."""
    for record in records:
        stated = {name: value for name, value in _stated(record).items() if value}
        yield json.dumps(stated) + "\n"


def as_csv(records: Iterable[Record]) -> Iterator[str]:
    """Yield the head line and a line a record; lists are joined by spaces, formulas are defused by an apostrophe."""
    yield _csv_line(COLUMNS)
    for record in records:
        yield _csv_line(_cell(value) for value in _stated(record).values())


def _stated(record: Record) -> dict[str, object]:
    entry = {name: getattr(record.entry, name) for name in _ENTRY_FIELDS}
    stated = {"sequence": record.sequence, "time": format_time(record.time), **entry}
    return {**stated, "previous": record.previous, "digest": record.digest}


def _cell(value: object) -> str:
    text = " ".join(value) if isinstance(value, tuple) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # RFC 4180
    return line.getvalue()
