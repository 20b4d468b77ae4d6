"""Results of naabu: one JSON object per line (``naabu -json``, pkg/runner/output.go).

Read are ``ip`` or ``host``, ``port``, ``protocol``, ``tls``, ``cdn`` and ``timestamp``. Versions of 2022 wrote the port as an
object, ``{"Port": 104, "Protocol": 0, "TLS": false}``, which is taken too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from doorward.audit.imports import fields
from doorward.audit.imports.lines import Record, json_records, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting, Skipped

#: As text today; 0 was TCP and 1 UDP where the port was an object.
_TCP = (None, "", "tcp", 0)


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield one sighting for each open TCP port; raises ConfigError for another kind of file.

    What is marked as a content delivery network is Skipped unless ``options.with_cdn``: behind its addresses stands
    somebody else.
    """

    def take(record: Record) -> Iterator[Item]:
        result = record.fields
        port_object = fields.members(result.get("port"))
        if port_object.get("Protocol", result.get("protocol")) not in _TCP:
            return
        if result.get("cdn") is True and not options.with_cdn:
            yield Skipped(line=record.number, reason="cdn: is a content delivery network")
            return
        is_tls = port_object.get("TLS", result.get("tls")) is True
        yield Sighting(
            host=_host(record),
            port=fields.port(port_object.get("Port", result.get("port")), "port"),
            source="naabu",
            seen_at=fields.utc(result.get("timestamp")),
            # False only says that nobody looked closer.
            is_tls=True if is_tls else None,
        )

    records = json_records(stream, file, limits=options.limits)
    yield from sightings(records, file, options, take)


def _host(record: Record) -> str:
    """Return the address; the name only where there is none, as naabu writes both."""
    if record.fields.get("ip") not in (None, ""):
        return fields.address(record.fields["ip"], "ip")
    return fields.host(record.fields.get("host"), "host")
