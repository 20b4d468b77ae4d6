"""Country and network operator of a public address, from files on this machine: no question leaves it.

Theory of operation: an MMDB file (MaxMind DB, an open format) maps networks to records. Several publishers fill records in
several ways; the layouts read here are

    country_code                                  ip-location-db, IPinfo Lite
    country                                       IPinfo
    country.iso_code, registered_country.iso_code GeoLite2, DB-IP
    autonomous_system_organization, ..._number    GeoLite2 ASN, ip-location-db, DB-IP
    as_name, asn                                  IPinfo

A file says where a network is registered, not where a machine stands, so what the operator's inventory says always wins
(``Place.filled_from``). Addresses that are not public get nothing: their place is nobody's but the operator's. The files
are read with Python's own reader, piece by piece: a file that is cut while it is read cannot end the process.
"""

import errno
import ipaddress
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import maxminddb
from maxminddb.reader import Reader

from doorward.audit.imports import whereabouts
from doorward.audit.place import NOWHERE, Place
from doorward.audit.report.untrusted import harmless
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: The data package that tools/geo_package.py builds (docs/where.md).
PACKAGE = "doorward_geo"

#: What the reader raises at a broken file, beside OSError: it trusts what it reads.
_BROKEN = (
    *(RuntimeError, LookupError, ArithmeticError, AttributeError, TypeError, ValueError),
    struct.error,
)
#: One address of each /8 that is given out, and of each registry's IPv6: enough to see what a file is about.
_SAMPLES = (
    *(f"{first}.{first}.1.1" for first in range(1, 224)),
    *(f"{prefix}:1::1" for prefix in ("2001", "2400", "2600", "2800", "2a00", "2c00")),
)
_HINT = (
    "A MaxMind DB file (.mmdb) with country codes or network operators is needed: docs/where.md."
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file that places come from."""

    file: Path
    #: As the file names itself, harmless to print.
    database: str
    built: date
    #: What its licence wants to be said; "" where no data package brought it.
    notice: str = ""


class Where:
    """Looks addresses up; made by ``open``, closed as a context manager."""

    def __init__(self, tables: "tuple[_Table, ...]", *, with_private: bool) -> None:
        self._tables = tables
        self._with_private = with_private

    @classmethod
    def open(
        cls,
        country_mmdb: Path | None = None,
        network_mmdb: Path | None = None,
        *,
        with_private: bool = False,
    ) -> "Where":
        """Return the places of these files; without a country file, of the data package where it is installed.

        ``with_private``: look private and loopback addresses up, too, for whoever keeps a file of their own network.
        Raises ConfigError that names the file.
        """
        packaged = None if country_mmdb is not None else _packaged()
        with ExitStack() as opened:
            tables = []
            for file, needs in (
                (country_mmdb or packaged, "country"),
                (network_mmdb, "network_operator"),
            ):
                if file is not None:
                    table = opened.enter_context(_Table(file, is_package=file == packaged))
                    table.check(needs)
                    tables.append(table)
            opened.pop_all()
        return cls(tuple(tables), with_private=with_private)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for table in self._tables:
            table.close()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files in use; () where there is none, and every place is unknown."""
        return tuple(table.source for table in self._tables)

    def place(self, address: str) -> Place:
        """Return country and network operator; NOWHERE for names and for what is not public.

        Raises ConfigError where a file turns out to be broken.
        """
        try:
            numeric = _bare(ipaddress.ip_address(address))
        except ValueError:  # a name that could not be resolved
            return NOWHERE
        if not numeric.is_global and not self._with_private:
            return NOWHERE
        found = NOWHERE
        for table in self._tables:
            found = found.filled_from(table.place(numeric))
        return found

    def warnings(self, today: date, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
        """Return a sentence for each file that is older than ``place_table_days``."""
        return tuple(
            f"{source.file} was made on {source.built}, {(today - source.built).days:,} days ago: "
            "countries and network operators may have changed since."
            for source in self.sources
            if (today - source.built).days > limits.place_table_days
        )


def _bare(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one only dresses up."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _packaged() -> Path | None:
    """Return the table of the data package, None where it is not installed."""
    try:
        found = files(PACKAGE).joinpath("country.mmdb")
    except ModuleNotFoundError:
        return None
    return found if isinstance(found, Path) else None  # a zip file cannot be looked up in


# --- one file ---------------------------------------------------------------------------------------------------------


class _Table:
    """One MMDB file."""

    def __init__(self, file: Path, *, is_package: bool) -> None:
        self._file = file
        try:
            reader = maxminddb.open_database(file, maxminddb.MODE_FILE)
            assert isinstance(reader, Reader)
            self._reader = reader
            metadata = reader.metadata()
            self._has_ipv6 = metadata.ip_version == 6
            built = datetime.fromtimestamp(metadata.build_epoch, UTC).date()
            database = harmless(str(metadata.database_type))
        except (*_BROKEN, OSError) as error:
            raise self._unusable(error) from None
        notice = _notice(file.with_name("source.json")) if is_package else ""
        self.source = Source(file=file, database=database, built=built, notice=notice)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()

    def _unusable(self, error: Exception) -> ConfigError:
        # EINVAL: the reader looked for the end of an empty file, before its beginning.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            reason = error.strerror or type(error).__name__
            return ConfigError(f"cannot be read ({reason})", file=self._file, hint=_HINT)
        return ConfigError("is no MaxMind DB file, or a broken one", file=self._file, hint=_HINT)

    def place(self, address: Address) -> Place:
        record = self._record(address)
        return NOWHERE if record is None else _place(record)

    def _record(self, address: Address) -> Mapping[str, Any] | None:
        if address.version == 6 and not self._has_ipv6:
            return None
        try:
            record = self._reader.get(address)
        except (*_BROKEN, OSError) as error:
            raise self._unusable(error) from None
        return record if isinstance(record, dict) else None

    def check(self, needs: str) -> None:
        """Raise ConfigError where the file answers and never says what is needed, a field of ``Place``."""
        records = [self._record(ipaddress.ip_address(sample)) for sample in _SAMPLES]
        places = [_place(record) for record in records if record is not None]
        if places and not any(getattr(place, needs) for place in places):
            what = "countries" if needs == "country" else "network operators"
            message = f"holds no {what} in any layout that is known"
            raise ConfigError(message, file=self._file, hint=_HINT)


def _place(record: Mapping[str, Any]) -> Place:
    country = next((c for c in map(whereabouts.country, _codes(record)) if c), "")
    return Place(country=country, network_operator=_operator(record))


def _codes(record: Mapping[str, Any]) -> Iterator[object]:
    yield record.get("country_code")
    for name in ("country", "registered_country"):
        found = record.get(name)
        yield found.get("iso_code") if isinstance(found, dict) else found


def _operator(record: Mapping[str, Any]) -> str:
    for name in ("autonomous_system_organization", "as_name"):
        found = whereabouts.text(record.get(name), DEFAULT_LIMITS)
        if found:
            return found
    number = record.get("autonomous_system_number", record.get("asn"))
    digits = str(number).upper().removeprefix("AS") if isinstance(number, str | int) else ""
    return f"AS{digits}" if digits.isascii() and digits.isdecimal() and len(digits) <= 10 else ""


def _notice(file: Path) -> str:
    """Return what the data package says about its origin; "" where it says nothing that can be read."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    notice = said.get("notice") if isinstance(said, dict) else None
    return harmless(notice) if isinstance(notice, str) else ""
