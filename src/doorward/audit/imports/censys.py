"""Exports of Censys: hosts with their services, as JSON of two generations or as a table with dotted headers.

Legacy Search v2 writes ``ip`` and ``services[]`` at the top, the Platform below ``host``; both are taken as an array, one per
line, or as an answer of the interface with ``result.hits``. A table has columns such as ``services.port`` or
``host.services.0.port``. Read are addresses, ports, transports, names of services, times, that there is TLS, the country and
the operator of the network. Banners, titles and bodies are a stranger's text and may hold a patient's name: they are never
looked at.
"""

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from doorward.audit.imports import fields, whereabouts
from doorward.audit.imports.fields import RowError
from doorward.audit.imports.lines import Record, json_records, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting, Skipped
from doorward.audit.imports.source import Rewound
from doorward.audit.imports.tables import Table, read_table
from doorward.audit.place import Place
from doorward.errors import ConfigError

_LOOK_BYTES = 1_024
_SERVICE_FIELDS = (
    "port",
    "transport_protocol",
    "service_name",
    "extended_service_name",
    "protocol",
    "observed_at",
    "scan_time",
)
_SERVICE_COLUMN = re.compile(
    rf"services(?:\.([0-9]{{1,4}})|\[([0-9]{{1,4}})\])?\.({'|'.join(_SERVICE_FIELDS)})"
)
_HOST_COLUMNS = ("ip", "location.country_code", "autonomous_system.name", "last_updated_at")
#: Several services in one cell: "104, 443" or "[104, 443]".
_LIST = re.compile(r"[\s,;|\[\]\"']+")


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield one sighting for each service over TCP; raises ConfigError for another kind of file."""
    head = stream.read(_LOOK_BYTES)
    whole: IO[bytes] = io.BufferedReader(Rewound(stream, head))
    # An empty file is a search that found nothing.
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[", b""):
        records = json_records(whole, file, limits=options.limits)
    else:
        table = read_table(whole, file, options.limits, is_column)
        if "ip" not in map(_column, table.header.cells):
            message = "has no column for the address: its header would be ip or host.ip"
            raise ConfigError(message, file=file, line=table.header.line)
        records = _table_records(table)

    def take(record: Record) -> Iterator[Item]:
        for host in _hosts(record.fields):
            yield from _services(host, record.number, options)

    yield from sightings(records, file, options, take)


def is_column(cell: str) -> bool:
    """Tell whether a cell is the name of a column that is read."""
    return _column(cell) in _HOST_COLUMNS or is_service_column(cell)


def is_service_column(cell: str) -> bool:
    """Tell whether a cell is the name of a column about services, which no other table has."""
    return _SERVICE_COLUMN.fullmatch(_column(cell)) is not None


def _hosts(top: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Yield the hosts of one JSON object: itself, what is wrapped in it, or the hits of an answer of the interface."""
    result = fields.members(top.get("result"))
    if isinstance(result.get("hits"), list):
        for hit in fields.elements(result["hits"]):
            yield _unwrapped(fields.members(hit))
    else:
        yield _unwrapped(result or top)


def _unwrapped(host: Mapping[str, object]) -> Mapping[str, object]:
    for name in ("host", "host_v1", "resource"):
        host = fields.members(host.get(name)) or host
    return host


def _services(
    host: Mapping[str, object], line: int, options: ImportOptions
) -> Iterator[Sighting | Skipped]:
    """Yield the services of one host; one that cannot be used does not cost the others."""
    address = fields.address(host.get("ip"), "ip")
    services = host.get("services")
    if not isinstance(services, list):
        raise RowError("services", "is missing" if services is None else "is no list")
    place = Place(
        country=whereabouts.country(fields.members(host.get("location")).get("country_code")),
        network_operator=whereabouts.text(
            fields.members(host.get("autonomous_system")).get("name"), options.limits
        ),
    )
    for service in map(fields.members, services):
        transport = service.get("transport_protocol")
        # QUIC and UDP are no doors of ours; a table may have no column for it.
        if isinstance(transport, str) and transport.upper() not in ("", "TCP"):
            continue
        seen_at = service.get("observed_at") or service.get("scan_time")
        wrong = ""
        try:
            yield Sighting(
                host=address,
                port=fields.port(service.get("port"), "services.port"),
                source="censys",
                seen_at=fields.utc(seen_at or host.get("last_updated_at")),
                is_tls=True if _is_tls(service) else None,
                service=fields.hint(service.get("service_name") or service.get("protocol")),
                place=place,
            )
        except RowError as error:
            wrong = error.reason
        if wrong:
            yield Skipped(line=line, reason=wrong)


def _is_tls(service: Mapping[str, object]) -> bool:
    """The legacy search marks TLS by an S behind the name (HTTP: HTTPS), both by what they know of the session."""
    name = service.get("service_name")
    is_marked = isinstance(name, str) and service.get("extended_service_name") == f"{name}S"
    return is_marked or bool(fields.members(service.get("tls")))


# --- tables -----------------------------------------------------------------------------------------------------------


def _column(cell: str) -> str:
    return cell.lower().removeprefix("host.")


def _table_records(table: Table) -> Iterator[Record | Skipped]:
    columns = [_column(cell) for cell in table.header.cells]
    services = [_SERVICE_COLUMN.fullmatch(column) for column in columns]
    for row in table.rows:
        if row.fault:
            yield Skipped(line=row.line, reason=f"the row {row.fault}")
            continue
        host: dict[str, object] = {}
        by_index: dict[str, dict[str, str]] = {}
        for column, service, text in zip(columns, services, row.cells, strict=False):
            if service is not None and text:
                index = service.group(1) or service.group(2) or ""
                by_index.setdefault(index, {})[service.group(3)] = text
            elif column in _HOST_COLUMNS:
                outer, dot, inner = column.partition(".")
                host[outer] = {inner: text} if dot else text
        host["services"] = [one for found in by_index.values() for one in _one_by_one(found)]
        yield Record(row.line, host)


def _one_by_one(service: dict[str, str]) -> Iterator[dict[str, object]]:
    """Yield the services of one group of cells; lists that go with the list of ports are taken apart with it."""
    lists = {name: _LIST.sub(" ", text).split() for name, text in service.items()}
    ports = lists.get("port", [])
    if len(ports) < 2:
        yield dict(service)
        return
    for position, port in enumerate(ports):
        one: dict[str, object] = {
            name: found[position] for name, found in lists.items() if len(found) == len(ports)
        }
        yield one | {"port": port}
