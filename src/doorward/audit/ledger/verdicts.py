"""One judged system: the dozen columns that sums and tables need, and its document.

Everything is read worst first, in the order of the report (``sums.worst_first``): by score, the most open studies first, then
by address; what has no score goes behind, and what looks like a honeypot last.
Reading goes page by page from where the last page ended, so that nothing is held and no writer is held up.
"""

import zlib
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from doorward.audit.facts import Count, Exactness
from doorward.audit.ledger.store import Store
from doorward.audit.ledger.systems import storable
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from doorward.audit.verdict import Counts, Severity
from doorward.errors import ConfigError

#: The rank behind every score: neither good nor bad.
NOT_RATED = 101
#: What looks like a honeypot goes behind everything: nobody is exposed.
_SET_APART = 1_000
_FLAGS = (
    *("is_unprotected", "is_downloadable", "is_writable"),
    *("is_suspected", "is_tested", "is_silent"),
)
_PLACE = ("site", "owner", "contact", "country", "network_operator")
_COUNTS = ("patients", "studies", "images", "images_downloadable")
_PORTS = ("ports_asked", "ports_unprotected", "ports_shut", "ports_silent")
_PLAIN = ("address", "name", "grade", "score", "product")
_COLUMNS = (
    *_PLAIN,
    *("worst_severity", "rungs"),
    *_PORTS,
    *_PLACE,
    *_FLAGS,
    *(f"{count}{part}" for count in _COUNTS for part in ("", "_exactness", "_method")),
)
#: What a cell may hold: SQLite itself takes anything anywhere.
_TYPES = tuple(
    int | None
    if name in ("score", "worst_severity", *_COUNTS)
    else (int if name in _FLAGS else str)
    for name in _COLUMNS
)
_ORDER = "rank, fewer_studies, address_order"
#: Fast: most of a document are sentences of our own that repeat themselves.
_ZLIB_LEVEL = 1
#: Before the first row of every page.
_BEFORE_ALL = (-1, 0, b"", 0)


class Verdicts:
    """The judged systems of one ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def finished(
        self, scan: int, number: int, standing: Standing, document: str, clearance_level: int | None
    ) -> bool:
        """Write the end of a visit down, all or nothing; returns whether it is the first one."""
        with self._store.transaction():
            is_first = self._store.execute(
                "UPDATE systems SET is_done = 1 WHERE number = ? AND scan = ? AND is_done = 0",
                (number, scan),
            )
            self._store.execute(
                "UPDATE systems SET clearance_level = coalesce(?, clearance_level) WHERE number = ?",
                (clearance_level, number),
            )
            self._write(scan, number, standing, document)
        return bool(is_first)

    def replace(self, scan: int, number: int, standing: Standing, document: str) -> None:
        """Write another verdict on the same facts down."""
        with self._store.transaction():
            self._write(scan, number, standing, document)

    def _write(self, scan: int, number: int, standing: Standing, document: str) -> None:
        values = (number, scan, *_order(standing), *_values(standing))
        marks = ", ".join("?" * len(values))
        self._store.execute(
            f"REPLACE INTO verdicts (system, scan, {_ORDER}, {', '.join(_COLUMNS)})"  # noqa: S608 - our own names
            f" VALUES ({marks})",
            values,
        )
        packed = zlib.compress(storable(document).encode(), _ZLIB_LEVEL)
        self._store.execute(
            "REPLACE INTO documents (system, document) VALUES (?, ?)", (number, packed)
        )

    def standings(self, scan: int) -> Iterator[Standing]:
        """Yield every verdict, worst first."""
        columns = ", ".join(f"verdicts.{column}" for column in _COLUMNS)
        for row in self._worst_first(scan, columns, "", self._store.limits.ledger_rows_at_a_time):
            yield self._standing(row)

    def documents(self, scan: int) -> Iterator[str]:
        """Yield the document of every judged system, worst first."""
        beside = "JOIN documents USING (system)"
        most = self._store.limits.ledger_systems_at_a_time
        for row in self._worst_first(scan, "documents.document", beside, most):
            yield self._unpacked(row[0])

    def _worst_first(self, scan: int, columns: str, beside: str, most: int) -> Iterator[Any]:
        after: tuple[int, int, bytes, int] = _BEFORE_ALL
        while True:
            page = self._store.rows(
                f"SELECT {columns}, {_ORDER}, system FROM verdicts {beside}"  # noqa: S608 - our own names
                f" WHERE scan = ? AND ({_ORDER}, system) > (?, ?, ?, ?)"
                f" ORDER BY {_ORDER}, system LIMIT ?",
                (scan, *after, most),
            )
            for row in page:
                yield row[:-4]
            if len(page) < most:
                return
            after = page[-1][-4:]

    def _unpacked(self, packed: bytes) -> str:
        most = self._store.limits.document_bytes
        inflater = zlib.decompressobj()
        try:
            text = inflater.decompress(packed, most).decode()
        except (zlib.error, TypeError, ValueError):
            raise ConfigError(
                "is damaged: a document is unreadable", file=self._store.file
            ) from None
        if not inflater.eof:
            message = f"holds a document of more than {most:,} bytes, or a part of one"
            raise ConfigError(message, file=self._store.file)
        return text

    def _standing(self, row: Any) -> Standing:
        value = dict(zip(_COLUMNS, row, strict=True))
        if not all(map(isinstance, row, _TYPES)):
            raise ConfigError("is damaged: a verdict is unreadable", file=self._store.file)
        severity = value["worst_severity"]
        plain: dict[str, Any] = {name: value[name] for name in _PLAIN}
        flags: dict[str, Any] = {name: bool(value[name]) for name in _FLAGS}
        try:
            ports: dict[str, Any] = {
                name: tuple(int(port) for port in value[name].split()) for name in _PORTS
            }
            return Standing(
                **plain,
                **flags,
                place=Place(**{name: value[name] for name in _PLACE}),
                counts=Counts(**{name: _count(value, name) for name in _COUNTS}),
                rungs=tuple(value["rungs"].split()),
                **ports,
                worst_severity=None if severity is None else Severity(severity),
            )
        except ValueError:
            raise ConfigError(
                "is damaged: a verdict is unreadable", file=self._store.file
            ) from None


def address_order(address: str) -> bytes:
    """Return bytes that sort as reports do: names first, then IPv4, then IPv6, each by number."""
    try:
        numeric = ip_address(address)
    except ValueError:
        return b"\x00" + storable(address).encode()
    return bytes([numeric.version]) + numeric.packed


def _order(standing: Standing) -> tuple[int, int, bytes]:
    """Return the values of the columns in ``_ORDER``; the same order as ``sums.worst_first`` without counted honeypots."""
    rank = NOT_RATED if standing.score is None else standing.score
    rank += _SET_APART if standing.is_suspected else 0
    studies = standing.counts.studies.value if standing.is_unprotected else 0
    return rank, -(studies or 0), address_order(standing.address)


def _values(standing: Standing) -> tuple[str | int | None, ...]:
    counts = (getattr(standing.counts, name) for name in _COUNTS)
    severity = standing.worst_severity
    return (
        *(_plain(getattr(standing, name)) for name in _PLAIN),
        None if severity is None else int(severity),
        " ".join(standing.rungs),
        *(" ".join(map(str, getattr(standing, name))) for name in _PORTS),
        *(storable(getattr(standing.place, name)) for name in _PLACE),
        *(int(getattr(standing, name)) for name in _FLAGS),
        *(part for c in counts for part in (c.value, c.exactness.value, storable(c.method))),
    )


def _plain(value: str | int | None) -> str | int | None:
    return storable(value) if isinstance(value, str) else value


def _count(value: dict[str, Any], name: str) -> Count:
    exactness = Exactness(value[f"{name}_exactness"])
    number = value[name]
    if number is not None and (number < 0 or exactness is Exactness.UNKNOWN):
        raise ValueError("no such number")
    return Count(value=number, exactness=exactness, method=value[f"{name}_method"])
