"""Single fields of other tools' files: hosts, ports, times, hints; each is checked, none is quoted.

A field that cannot be used raises ``RowError``, which names the field and what is wrong with it and never holds the text
itself: what stands in a scanner's file was in part written by strangers' systems.
"""

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeGuard

from doorward.errors import ConfigError

#: One label of a host name (RFC 1123 section 2.1); the underscore occurs in the names of appliances.
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: What resolvers would quietly turn into an address: "10.1", "0x7f.1", "1.2.3.4.5".
_LIKE_AN_ADDRESS = re.compile(r"[0-9.\-]+|.*\.0[xX][0-9a-fA-F]*|0[xX][0-9a-fA-F]*|.*\.[0-9]+")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#: An IPv4 address of one system (1 to 223) as ``ipaddress`` writes it: nearly every row of a scan, read ten times faster.
_PLAIN_IPV4 = re.compile(rf"(?:22[0-3]|2[01][0-9]|1[0-9][0-9]|[1-9][0-9]?)(?:\.{_OCTET}){{3}}")
_NAME_CHARS = 253
#: An IPv6 address with its zone: 45 characters and an interface's name.
_ADDRESS_CHARS = 80
_HINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,31}", re.ASCII)
_TIME_CHARS = 40
#: The first second of 1990: no scan is older than the first of these tools.
_EARLIEST = 631_152_000
#: The last second before 2100.
_LATEST = 4_102_444_799


class RowError(ConfigError):
    """A row cannot be used: ``field`` and what is wrong with it, never its text."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, field=field)
        self.reason = f"{field} {message}"


def address(value: object, field: str) -> str:
    """Return a numeric address as ``ipaddress`` writes it; raises RowError.

    An IPv4 address mapped into IPv6 comes back as IPv4 (RFC 4291 section 2.5.5.2), so that the scope judges what is
    dialled. The zone of an address that is unique without it is dropped.
    """
    text = _text(value, field)
    if _PLAIN_IPV4.fullmatch(text):
        return text
    found = _numeric(text)
    if found is None:
        raise RowError(field, "is no IP address")
    return _usable(found, field)


def host_name(value: object, field: str) -> str:
    """Return a host name in lower case, international ones as RFC 5890 writes them; raises RowError."""
    text = _text(value, field).strip().removesuffix(".")
    if len(text) <= _NAME_CHARS and not text.isascii():
        text = _ascii_name(text)
    if _LIKE_AN_ADDRESS.fullmatch(text[: _NAME_CHARS + 1]):
        raise RowError(field, "looks like an address and is none")
    if len(text) > _NAME_CHARS or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise RowError(field, "is no host name")
    return text.lower()


def host(value: object, field: str) -> str:
    """Return an address like ``address``, or a name like ``host_name``; raises RowError."""
    text = _text(value, field).strip()
    if text.startswith("[") and text.endswith("]"):
        return address(text[1:-1], field)
    if _numeric(text) is not None or ":" in text:
        return address(text, field)
    return host_name(text, field)


def port(value: object, field: str) -> int:
    """Return a TCP port of a number or its digits; raises RowError."""
    if isinstance(value, str):
        text = value.strip()
        # isdecimal alone would take digits of other scripts, and int() takes signs and underscores.
        number = int(text) if len(text) <= 5 and text.isascii() and text.isdecimal() else 0
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise RowError(field, "is missing" if value is None else "is no port")
    if not 0 < number < 65_536:
        raise RowError(field, "is no port from 1 to 65535")
    return number


def utc(value: object) -> str:
    """Return a time as ISO 8601 in UTC to the second, "" for what is none: a door is not lost for want of a date.

    Takes seconds since 1970 as a number or as digits, and ISO 8601; without a zone it is UTC, as Shodan writes it.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _TIME_CHARS:
            return ""
        if not (text.isascii() and text.isdecimal()):
            return _of_iso(text)
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    # False for NaN too: comparisons with it are.
    return _of_seconds(int(value)) if _EARLIEST <= value <= _LATEST else ""


def is_older(seen_at: str, oldest: datetime | None) -> bool:
    """Tell whether a time as ``utc`` returns it is before another, aware one; an unknown time never is."""
    return bool(seen_at) and oldest is not None and datetime.fromisoformat(seen_at) < oldest


def hint(value: object) -> str:
    """Return the kind of a service in lower case, "" for what is no short word: prose may hold anything."""
    if isinstance(value, str) and _HINT.fullmatch(value):
        return value.lower()
    return ""


def members(value: object) -> Mapping[str, object]:
    """Return an object of JSON, an empty one for everything else."""
    return value if _is_object(value) else {}


def elements(value: object) -> list[object]:
    """Return an array of JSON, an empty one for everything else."""
    return value if isinstance(value, list) else []


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)  # the keys of JSON are strings (RFC 8259 section 4)


def _text(value: object, field: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise RowError(field, "is missing" if value is None or value == "" else "is no text")


def _numeric(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if len(text) > _ADDRESS_CHARS:
        return None
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def _usable(found: ipaddress.IPv4Address | ipaddress.IPv6Address, field: str) -> str:
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return _usable(found.ipv4_mapped, field)
        if found.scope_id is not None:
            if found.is_link_local:
                raise RowError(field, "has a zone (%...), which only the scanner's machine knows")
            found = ipaddress.IPv6Address(int(found))
    if found.is_unspecified or found.is_multicast or str(found) == "255.255.255.255":
        raise RowError(field, "is not the address of one system")
    return str(found)


def _ascii_name(text: str) -> str:
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


@lru_cache(maxsize=256)  # a scanner writes hundreds of rows in a second
def _of_seconds(seconds: int) -> str:
    return _written(datetime.fromtimestamp(seconds, UTC))


def _of_iso(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _written(moment) if _EARLIEST <= moment.timestamp() <= _LATEST else ""


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
