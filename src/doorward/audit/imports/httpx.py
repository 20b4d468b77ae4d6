"""Results of httpx: one JSON object per line (``httpx -json``, runner/types.go).

Read are ``host_ip``, ``host``, ``port``, ``scheme``, ``timestamp``, ``failed``, and of ``url`` what stands before its path.
Title, body, headers and paths are a stranger's page and may hold a patient's name: they are never looked at.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from doorward.audit.imports import fields
from doorward.audit.imports.fields import RowError
from doorward.audit.imports.lines import Record, json_records, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting

#: Scheme, host and port of a URL (RFC 3986 section 3.2); a user's name before the host is passed over.
_ORIGIN = re.compile(
    r"(https?)://(?:[^/?#@]{0,256}@)?(\[[0-9A-Fa-f:.%]{2,64}\]|[^/?#:@\[\]]{1,253})(?::([0-9]{1,5}))?(?=[/?#]|\Z)",
    re.IGNORECASE,
)
_WELL_KNOWN = {"http": 80, "https": 443}


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield one sighting for each web server that answered; raises ConfigError for another kind of file."""

    def take(record: Record) -> Iterator[Item]:
        if record.fields.get("failed") is True:
            return
        scheme, host, port = _origin(record.fields)
        yield Sighting(
            host=host,
            port=port,
            source="httpx",
            seen_at=fields.utc(record.fields.get("timestamp")),
            is_tls=scheme == "https",
            service="http",
        )

    records = json_records(stream, file, limits=options.limits)
    yield from sightings(records, file, options, take)


def _origin(result: dict[str, object]) -> tuple[str, str, int]:
    """Return scheme, host and port; what the fields do not say, the URL does. Raises RowError."""
    url = result.get("url")
    found = _ORIGIN.match(url) if isinstance(url, str) else None
    url_scheme, url_host, url_port = found.groups() if found else (None, None, None)
    scheme = result.get("scheme") or (url_scheme or "").lower()
    if not isinstance(scheme, str) or scheme not in _WELL_KNOWN:
        raise RowError("scheme", "is neither http nor https")
    if result.get("host_ip"):
        host = fields.address(result["host_ip"], "host_ip")
    elif result.get("host"):
        host = fields.host(result["host"], "host")
    else:
        host = fields.host(url_host, "url")
    port = result.get("port") or url_port or _WELL_KNOWN[scheme]
    return scheme, host, fields.port(port, "port")
