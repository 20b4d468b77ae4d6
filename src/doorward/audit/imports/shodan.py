"""Exports of Shodan: one banner per line, usually compressed (``shodan download``).

Read are ``ip_str``, ``port``, ``transport``, ``timestamp``, ``ssl`` (that it is there), ``_shodan.module``, the country and the
operator of the network. ``data``, ``http`` and everything else is what a stranger's system answered and may hold a patient's
name: it is never looked at.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from doorward.audit.imports import fields, whereabouts
from doorward.audit.imports.lines import Record, json_records, sightings
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting
from doorward.audit.place import Place


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield one sighting for each banner of a TCP port; raises ConfigError for another kind of file."""

    def take(record: Record) -> Iterator[Item]:
        banner = record.fields
        # Shodan names udp and tcp; an old banner names none and is of TCP.
        if banner.get("transport", "tcp") != "tcp":
            return
        # "org" is who was given the addresses, "isp" who runs the network; often they are the same.
        network_operator = banner.get("isp") or banner.get("org")
        yield Sighting(
            host=fields.address(banner.get("ip_str"), "ip_str"),
            port=fields.port(banner.get("port"), "port"),
            source="shodan",
            seen_at=fields.utc(banner.get("timestamp")),
            is_tls=True if fields.members(banner.get("ssl")) else None,
            service=fields.hint(fields.members(banner.get("_shodan")).get("module")),
            place=Place(
                country=whereabouts.country(
                    fields.members(banner.get("location")).get("country_code")
                ),
                network_operator=whereabouts.text(network_operator, options.limits),
            ),
        )

    records = json_records(stream, file, limits=options.limits)
    yield from sightings(records, file, options, take)
