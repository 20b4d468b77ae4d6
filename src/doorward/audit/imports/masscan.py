"""masscan's JSON: an array (-oJ), one object per line (-oD), and both as old versions or jq leave them.

Status records name an open port; banner records name the kind of service on it. Of a banner only that kind is taken
(out-json.c and out-ndjson.c of masscan).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from doorward.audit.imports.fields import RowError, address, elements, hint, members, port, utc
from doorward.audit.imports.lines import Record, json_records, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting

#: The last record of old versions, which is no JSON: the scan came to its end.
_FINISHED = re.compile(r"\{\s*finished\s*:\s*1\s*\}")
#: Kinds of banner that only a TLS server gives (masscan-app.c).
_TLS = frozenset({"ssl", "x509", "x509ca"})


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield the open TCP ports; raises ConfigError like ``json_records`` and ``sightings``."""
    records = json_records(stream, file, limits=options.limits, ignored=_FINISHED)
    return sightings(records, file, options, _sightings)


def _sightings(record: Record) -> Iterator[Sighting]:
    fields = record.fields
    host = address(fields.get("ip"), "ip")
    seen_at = utc(fields.get("timestamp"))
    if "port" in fields:
        yield from _sighting(host, seen_at, fields, members(fields.get("data")), "service_name")
        return
    if "ports" not in fields:
        raise RowError("ports", "is missing")
    for entry in elements(fields["ports"]):
        door = members(entry)
        if "service" in door:
            yield from _sighting(host, seen_at, door, members(door["service"]), "name")
        else:
            yield from _sighting(host, seen_at, door, door, "name")


def _sighting(
    host: str,
    seen_at: str,
    door: Mapping[str, object],
    found: Mapping[str, object],
    kind_field: str,
) -> Iterator[Sighting]:
    """Yield the door if it is an open one of TCP: ``found`` holds its status or the kind of its banner."""
    if door.get("proto", "tcp") != "tcp" or found.get("status", "open") != "open":
        return
    service = hint(found.get(kind_field))
    yield Sighting(
        host=host,
        port=port(door.get("port"), "port"),
        source="masscan",
        seen_at=seen_at,
        is_tls=True if service in _TLS else None,
        service=service,
    )
