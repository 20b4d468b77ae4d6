"""ZGrab2's JSON lines: what its modules came to on each host; what they were told there is not read.

A module that ended with "success" spoke its protocol with the door (status.go of ZGrab2). Newer versions write the port of
each module, for older ones the operator says it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from doorward.audit.imports.fields import RowError, address, hint, host_name, members, port, utc
from doorward.audit.imports.lines import Record, json_records, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting, Skipped
from doorward.errors import ConfigError

#: Modules that speak over UDP.
_OVER_UDP = frozenset({"bacnet", "ntp"})
#: Modules that cannot succeed without TLS; of the others only their result would say it.
_OVER_TLS = frozenset({"tls", "https"})


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield a door for each module that succeeded; raises ConfigError, also where nothing names the port."""
    records = json_records(stream, file, limits=options.limits)
    return sightings(records, file, options, _Modules(file, options).take)


class _Modules:
    """Makes sightings of what the modules report."""

    def __init__(self, file: Path, options: ImportOptions) -> None:
        self._file = file
        self._options = options

    def take(self, record: Record) -> Iterator[Item]:
        """Yield the doors of one host."""
        fields = record.fields
        if "data" not in fields:
            raise RowError("data", "is missing")
        succeeded = [
            (name, members(answer))
            for name, answer in members(fields["data"]).items()
            if members(answer).get("status") == "success"
        ]
        if not succeeded:
            return
        host = _host(fields)
        for name, answer in succeeded:
            try:
                yield from self._door(host, name, answer, record.number)
            except RowError as error:
                wrong = error.reason
            else:
                continue
            yield Skipped(line=record.number, reason=wrong)

    def _door(
        self, host: str, name: str, answer: Mapping[str, object], line: int
    ) -> Iterator[Sighting]:
        protocol = hint(answer.get("protocol")) or hint(name)
        if protocol in _OVER_UDP:
            return
        yield Sighting(
            host=host,
            port=self._port(answer.get("port"), line),
            source="zgrab2",
            seen_at=utc(answer.get("timestamp")),
            is_tls=True if protocol in _OVER_TLS else None,
            service=protocol,
        )

    def _port(self, written: object, line: int) -> int:
        if written is not None:
            return port(written, "port")
        if self._options.port is not None:
            return self._options.port
        message = "does not say which port was asked"
        advice = "Say it with --port, for example --port 443."
        raise ConfigError(message, file=self._file, line=line, hint=advice)


def _host(fields: Mapping[str, object]) -> str:
    if fields.get("ip"):
        return address(fields["ip"], "ip")
    if fields.get("domain"):
        return host_name(fields["domain"], "domain")
    raise RowError("ip", "is missing")
