"""One row for each system of a survey, as a table for other programs: CSV, JSON lines or Parquet, in a stream.

A row holds what the sums hold and nothing of patients. Strings of strangers are harmless here too: no control characters,
and in CSV nothing that a spreadsheet would run as a formula.
"""

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from doorward.audit.report.outputs import write_parts
from doorward.audit.report.untrusted import harmless
from doorward.audit.standing import Standing
from doorward.errors import ConfigError

#: Name and kind of each column: text, number or truth.
COLUMNS = (
    *((name, "text") for name in ("address", "name", "site", "owner", "contact", "country")),
    *((name, "text") for name in ("network_operator", "product", "grade")),
    ("score", "number"),
    *((name, "text") for name in ("worst_severity", "rungs", "ports_asked")),
    *(
        (name, "truth")
        for name in ("unprotected", "downloadable", "writable", "suspected", "tested")
    ),
    *(
        column
        for count in ("patients", "studies", "images", "images_downloadable")
        for column in ((count, "number"), (f"{count}_exactness", "text"))
    ),
)
FORMATS = (".csv", ".jsonl", ".parquet")
#: A spreadsheet takes what begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ROWS_AT_A_TIME = 10_000


def export(standings: Iterable[Standing], file: Path) -> int:
    """Write one row for each system in the format of the file's ending; return how many.

    Raises ConfigError for another ending, a file that cannot be written, or Parquet without its package.
    """
    rows = _Counted(row(one) for one in standings)
    if file.suffix == ".csv":
        write_parts(file, _csv(rows))
    elif file.suffix == ".jsonl":
        write_parts(file, (json.dumps(one, ensure_ascii=False) + "\n" for one in rows))
    elif file.suffix == ".parquet":
        _write_parquet(file, rows)
    else:
        hint = f"Name it so that it ends in {', '.join(FORMATS)}."
        raise ConfigError("says by its name no format of an export", file=file, hint=hint)
    return rows.number


def row(one: Standing) -> dict[str, Any]:
    """Return the row of a system by the names of ``COLUMNS``."""
    place = one.place
    values: dict[str, Any] = {
        "address": one.address,
        "name": one.name,
        "site": place.site,
        "owner": place.owner,
        "contact": place.contact,
        "country": place.country,
        "network_operator": place.network_operator,
        "product": one.product,
        "grade": one.grade,
        "score": one.score,
        "worst_severity": "" if one.worst_severity is None else one.worst_severity.label,
        "rungs": " ".join(one.rungs),
        "ports_asked": " ".join(map(str, one.ports_asked)),
        "unprotected": one.is_unprotected,
        "downloadable": one.is_downloadable,
        "writable": one.is_writable,
        "suspected": one.is_suspected,
        "tested": one.is_tested,
    }
    for name in ("patients", "studies", "images", "images_downloadable"):
        count = getattr(one.counts, name)
        values[name] = count.value
        values[f"{name}_exactness"] = count.exactness.value
    return {name: _harmless(values[name]) for name, _ in COLUMNS}


def _harmless(value: object) -> object:
    return harmless(value) if isinstance(value, str) else value


class _Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._rows = iter(rows)
        self.number = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for one in self._rows:
            self.number += 1
            yield one


def _csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n")  # RFC 4180 section 2
    writer.writerow([name for name, _ in COLUMNS])
    for one in rows:
        writer.writerow([_cell(value) for value in one.values()])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _write_parquet(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    try:
        import pyarrow as arrow  # noqa: PLC0415 - an extra: it may be missing
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        hint = "Install it: pip install 'doorward[parquet]', or export to .csv or .jsonl."
        raise ConfigError("Parquet needs the package pyarrow", file=file, hint=hint) from None
    kinds = {"text": arrow.string(), "number": arrow.int64(), "truth": arrow.bool_()}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS])
    rest = iter(rows)
    file = file.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream, parquet.ParquetWriter(stream, schema) as writer:
                while batch := list(islice(rest, _ROWS_AT_A_TIME)):
                    writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be written ({reason})", file=file) from None
