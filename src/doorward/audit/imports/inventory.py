"""The operator's own inventory as a table: systems with site, owner, contact, country, AE titles and ports.

Columns are known by their names, in any order and with the names that people give them; what is not known is named once
and left out. A wrong value leaves its whole row out, with line and column, so that it can be corrected: a system with the
wrong owner or the wrong AE title would be a wrong answer. Spreadsheets of all kinds: see ``tables``.
"""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from doorward.audit.imports import fields, whereabouts
from doorward.audit.imports.fields import RowError
from doorward.audit.imports.lines import Record, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting, Skipped
from doorward.audit.imports.tables import Table, read_table
from doorward.audit.place import Place
from doorward.errors import ConfigError
from doorward.limits import Limits

#: What a column holds -> the names it may have. The first of the hosts that has a value in a row is taken.
COLUMNS: dict[str, tuple[str, ...]] = {
    "ip": ("ip", "ip_address", "ipaddress", "address", "ip_addr", "ipv4", "ipv6"),
    "host": ("host", "hostname", "host_name", "fqdn", "dns", "dns_name"),
    "name": ("name", "system", "server"),
    "port": ("port", "ports", "tcp_port", "dicom_port"),
    "site": ("site", "location", "hospital", "facility", "station"),
    "owner": ("owner", "organisation", "organization", "responsible"),
    "contact": ("contact", "email", "e_mail", "mail", "owner_contact"),
    "country": ("country", "country_code", "iso_country"),
    "called": (
        "ae_title",
        "ae",
        "aet",
        "aetitle",
        "called",
        "called_ae",
        "called_aet",
        "called_ae_title",
    ),
    "calling": ("calling", "calling_ae", "calling_aet", "calling_ae_title", "our_ae_title"),
    "tags": ("tags", "tag", "labels"),
    "role": ("role", "type", "kind"),
    "criticality": ("criticality", "priority"),
}
_HOSTS = ("ip", "host", "name")
_MEANING = {name: column for column, names in COLUMNS.items() for name in names}
#: "#NAME?", "#REF!", "#N/A": what a spreadsheet writes where a formula failed.
_FAILED_FORMULA = re.compile(r"#(?:NAME\?|REF!|N/A|VALUE!|DIV/0!|NULL!|NUM!|GETTING_DATA|#+)")
_HINT = "One column must be named " + " or ".join(
    name for column in _HOSTS for name in COLUMNS[column][:2]
)


def is_column(cell: str) -> bool:
    """Tell whether a cell is the name of a column that is read."""
    return _normal(cell) in _MEANING


def is_host_column(cell: str) -> bool:
    """Tell whether a cell is the name of a column that says which system is meant."""
    return _MEANING.get(_normal(cell)) in _HOSTS


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield one sighting for each system and port of the table; raises ConfigError.

    A row without a port is one sighting with None. Columns that are not known are Skipped, each once, on the header's line.
    """
    table = read_table(stream, file, options.limits, is_column)
    columns, unknown = _columns(table, options.limits)
    if not any(column in _HOSTS for column in columns.values()):
        message = "has no column that says which system is meant"
        raise ConfigError(message, file=file, line=table.header.line, hint=f"{_HINT}.")
    yield from unknown

    def take(record: Record) -> Iterator[Item]:
        return _systems(record, columns, options)

    yield from sightings(_records(table, options.limits), file, options, take)


def _normal(cell: str) -> str:
    """Return a column's name without what people write differently: "AE-Title" and "ae title" are "ae_title"."""
    folded = unicodedata.normalize("NFKC", cell).strip().casefold()
    return re.sub(r"[\s._/-]+", "_", folded).strip("_")


def _columns(table: Table, limits: Limits) -> tuple[dict[str, str], list[Skipped]]:
    """Return what each column holds, by its name as the operator wrote it, and a word on each of the others."""
    known: dict[str, str] = {}
    notes: list[Skipped] = []
    for cell in filter(None, table.header.cells):
        name, column = whereabouts.text(cell, limits), _MEANING.get(_normal(cell))
        if column is None:
            reason = f"the column {name!r} is not known and was left out"
        elif name in known:
            reason = f"the column {name!r} is there twice; the first one counts"
        else:
            known[name] = column
            continue
        notes.append(Skipped(line=table.header.line, reason=reason))
    return known, notes


def _records(table: Table, limits: Limits) -> Iterator[Record | Skipped]:
    """Yield the rows as fields by the names of the columns; the first of two columns of a name counts."""
    names = [whereabouts.text(cell, limits) for cell in table.header.cells]
    for row in table.rows:
        fault = row.fault
        if any(row.cells[len(names) :]):
            # Everything behind a stray delimiter would stand in the wrong column.
            fault = "has more cells than the header has columns"
        if fault:
            yield Skipped(line=row.line, reason=f"the row {fault}")
            continue
        cells = reversed(list(zip(names, row.cells, strict=False)))
        yield Record(row.line, {name: text for name, text in cells if name})


def _systems(record: Record, columns: dict[str, str], options: ImportOptions) -> Iterator[Sighting]:
    """Yield one row as sightings; raises RowError that names the column."""
    found: dict[str, tuple[str, str]] = {}
    for name, column in columns.items():
        text = str(record.fields.get(name, ""))
        if _FAILED_FORMULA.fullmatch(text):
            raise RowError(name, "holds the error of a spreadsheet's formula")
        if text and column not in found:
            found[column] = (text, name)
    host, host_port = _host(found)
    limits = options.limits
    place = Place(
        site=_text(found, "site", limits),
        owner=_text(found, "owner", limits),
        contact=_text(found, "contact", limits),
        country=whereabouts.required_country(*found["country"]) if "country" in found else "",
    )
    called = whereabouts.ae_title(*found["called"]) if "called" in found else ""
    calling = whereabouts.ae_title(*found["calling"]) if "calling" in found else ""
    ports = _ports(*found["port"], limits) if "port" in found else (host_port,)
    for port in ports:
        yield Sighting(
            host=host,
            port=port,
            source="inventory",
            place=place,
            called_ae_title=called,
            calling_ae_title=calling,
            tags=_tags(found, limits),
        )


def _host(found: dict[str, tuple[str, str]]) -> tuple[str, int | None]:
    """Return the host of a row, and the port that may stand behind it ("pacs.example:104")."""
    column = next((column for column in _HOSTS if column in found), None)
    if column is None:
        raise RowError(
            "host", "is empty, and so is every other column that says which system is meant"
        )
    text, name = found[column]
    if "/" in text:
        raise RowError(name, "is a network or a URL; a row is one system")
    before, colon, port = text.rpartition(":")
    # One colon, or one behind a bracket: more of them are an IPv6 address.
    if colon and (":" not in before or before.endswith("]")):
        return fields.host(before, name), fields.port(port, name)
    return fields.host(text, name), None


def _ports(text: str, name: str, limits: Limits) -> tuple[int, ...]:
    """Return the ports of a cell such as "104", "104;4242" or "104 11112", each once; raises RowError."""
    parts = re.split(r"[\s,;|/]+", text.strip(" ,;|/"))
    # A spreadsheet may show 104 as 104.0.
    ports = tuple(dict.fromkeys(fields.port(part.removesuffix(".0"), name) for part in parts))
    if len(ports) > limits.ports_per_target:
        raise RowError(name, f"names more than {limits.ports_per_target:,} ports")
    return ports


def _text(found: dict[str, tuple[str, str]], column: str, limits: Limits) -> str:
    return whereabouts.text(found[column][0], limits) if column in found else ""


def _tags(found: dict[str, tuple[str, str]], limits: Limits) -> tuple[str, ...]:
    """Return the tags, and role and criticality as tags of the form "role:pacs"."""
    texts = [
        f"{column}:{found[column][0].casefold()}"
        for column in ("role", "criticality")
        if column in found
    ]
    if "tags" in found:
        texts += re.split(r"[,;|]", found["tags"][0])
    tags = (whereabouts.text(text, limits) for text in texts)
    return tuple(dict.fromkeys(filter(None, tags)))[: limits.import_tags]
