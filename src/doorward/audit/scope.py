"""The written authorisation: which addresses may be asked, by whose permission, until when, how far.

Theory of operation: a scope is read from a TOML file that the operator keeps and can show. ``Scope.permit`` is the gate
in front of every connection (``net.dial`` asks it), so an address that this file refuses is never dialled, whatever a
name resolved to or a peer suggested. What it lets through, in this order:

1. nothing that is no plain numeric unicast address;
2. nothing that is excluded: exclusions win over everything, loopback included;
3. loopback, always: one's own machine needs no permission;
4. the networks of the file, on the days for which it is valid.

The day is given by the caller (``today``), never read from a clock.
"""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path

from doorward.errors import ConfigError, ScopeError
from doorward.limits import DEFAULT_LIMITS, Limits

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The highest clearance level there is (design: contracts); loopback needs no permission for it.
HIGHEST_LEVEL = 3

_FIELDS = (
    "organisation",
    "networks",
    "exclude",
    "authorised_by",
    "contact",
    "valid_from",
    "valid_until",
    "clearance_level",
    "notes",
)
_OPTIONAL = ("exclude", "notes")
_HINT = "'doorward scope init FILE' writes a scope file to fill in."

#: 0.0.0.0 reaches one's own machine on many systems, and no host is called anything in 0.0.0.0/8 (RFC 1122 3.2.1.3).
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_LIMITED_BROADCAST = IPv4Address("255.255.255.255")
#: A translator forwards these to the IPv4 address in their last 32 bits (RFC 6052 section 2.1).
_NAT64 = IPv6Network("64:ff9b::/96")
#: Wider than any one organisation holds: a /8 was the largest block ever given out, an IPv6 /16 more than a registry has.
_WIDEST_PREFIX = {4: 8, 6: 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One authorisation, judged on one day (``today``)."""

    organisation: str
    networks: tuple[Network, ...]
    exclude: tuple[Network, ...] = ()
    authorised_by: str = ""
    contact: str = ""
    valid_from: date | None = None
    valid_until: date | None = None  # the last valid day
    clearance_level: int = HIGHEST_LEVEL
    notes: str = ""
    today: date | None = None
    file: Path | None = None
    #: SHA-256 of the file: lets a report say under which text it was made. "" for the built-in loopback scope.
    sha256: str = ""

    @classmethod
    def loopback(cls) -> "Scope":
        """Return the scope that holds without any file: this machine and nothing else."""
        return cls(organisation="this machine (loopback)", networks=())

    def permit(self, address: str | Address, port: int) -> None:
        """Return when the address may be dialled; raise ScopeError with the reason when it may not."""
        target = _target_text(address, port)
        if not 0 < port < 65_536:
            raise ScopeError(f"{target} is no TCP port", target=target)
        numeric = _unicast(address, target)
        excluded = self._exclusion(numeric)
        if excluded is not None:
            message = f"{target} is excluded by {self._where()} ({excluded})"
            raise ScopeError(message, target=target, hint="Exclusions always win.")
        if numeric.is_loopback:
            return
        if not any(numeric in network for network in self.networks):
            raise ScopeError(
                f"{target} is not covered by {self._where()}; nothing was sent to it",
                target=target,
                hint=_HINT if self.file is None else f"Networks are listed in {self.file}.",
            )
        self.require_valid()

    def excludes(self, address: str | Address) -> bool:
        """Tell whether an address is excluded in writing (as opposed to: not covered at all)."""
        return self._exclusion(_unicast(address, str(address))) is not None

    def _exclusion(self, numeric: Address) -> Network | None:
        faces = _faces(numeric)
        return next((n for n in self.exclude if any(face in n for face in faces)), None)

    def left_s(self, now: datetime) -> float:
        """Return for how many seconds the authorisation still holds; ``now`` is in the operator's own clock."""
        if self.valid_until is None:
            return float("inf")
        end = datetime.combine(self.valid_until + timedelta(days=1), time(), tzinfo=now.tzinfo)
        return max((end - now).total_seconds(), 0.0)

    def require_valid(self) -> None:
        """Raise ScopeError on a day for which the authorisation does not hold."""
        if self.valid_from is None or self.valid_until is None or self.today is None:
            message = f"{self._where()} says nothing about the days on which it holds"
        elif self.today < self.valid_from:
            message = (
                f"{self._where()} is not valid before {self.valid_from}; today is {self.today}"
            )
        elif self.today > self.valid_until:
            message = f"{self._where()} expired on {self.valid_until}; today is {self.today}"
        else:
            return
        who = f" ({self.authorised_by})" if self.authorised_by else ""
        hint = f"Ask whoever authorised it{who} to renew it, then change its dates."
        raise ScopeError(message, target=str(self.file or ""), hint=hint)

    def level(self, address: str | Address, asked: int) -> int:
        """Return the clearance level for one address: what was asked, at most what is authorised."""
        numeric = _unicast(address, str(address))
        ceiling = HIGHEST_LEVEL if numeric.is_loopback else self.clearance_level
        return min(asked, ceiling)

    def _where(self) -> str:
        return "the loopback scope" if self.file is None else f"the scope file {self.file}"


def _target_text(address: str | Address, port: int) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def _unicast(address: str | Address, target: str) -> Address:
    """Return the address as what will really be dialled: an IPv4-mapped one is its IPv4 (RFC 4291 2.5.5.2)."""
    try:
        numeric = ip_address(address)
    except ValueError:
        message = f"{target}: only numeric addresses are dialled, names are resolved before"
        raise ScopeError(message, target=target) from None
    if isinstance(numeric, IPv6Address):
        if numeric.scope_id is not None:
            message = f"{target}: addresses with a zone (%...) are never dialled"
            raise ScopeError(message, target=target)
        numeric = numeric.ipv4_mapped or numeric
    if numeric.is_unspecified or numeric in _THIS_NETWORK:
        raise ScopeError(f"{target} is no address of a host", target=target)
    if numeric.is_multicast or numeric == _LIMITED_BROADCAST:
        raise ScopeError(f"{target} would reach many hosts at once", target=target)
    return numeric


def _faces(address: Address) -> tuple[Address, ...]:
    """Return the address and every IPv4 address that it would be translated to on its way."""
    if isinstance(address, IPv4Address):
        return (address,)
    faces: list[Address] = [address]
    if address.sixtofour is not None:
        faces.append(address.sixtofour)
    if address in _NAT64:
        faces.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return tuple(faces)


# --- the file ---------------------------------------------------------------------------------------------------------


def load_scope(path: Path, *, today: date, limits: Limits = DEFAULT_LIMITS) -> Scope:
    """Read a scope file.

    An expired file loads, so that it can be shown; it permits nothing but loopback. Raises ConfigError that names the
    file, the line and the field.
    """
    raw = _read(path, limits)
    try:
        text = raw.decode("utf-8-sig")
        table = tomllib.loads(text)
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=path, hint=_HINT) from None
    except tomllib.TOMLDecodeError as error:
        message, line = _toml_complaint(error)
        raise ConfigError(message, file=path, line=line, hint=_HINT) from None
    return _Reader(path, text, table).scope(today, hashlib.sha256(raw).hexdigest())


def _read(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(limits.list_file_bytes + 1)
    except OSError as error:
        message = f"cannot be read ({error.strerror or type(error).__name__})"
        raise ConfigError(message, file=path, hint=_HINT) from None
    if len(raw) > limits.list_file_bytes:
        message = f"is longer than {limits.list_file_bytes:,} bytes"
        raise ConfigError(message, file=path, hint=_HINT)
    return raw


def _toml_complaint(error: tomllib.TOMLDecodeError) -> tuple[str, int | None]:
    """Return what is wrong and the line, which Python 3.11 only has inside the sentence."""
    found = re.search(r"^(.*?) \(at line (\d+), column (\d+)\)$", str(error))
    if found is None:
        return f"is not valid TOML: {error}", None
    return f"is not valid TOML: {found[1]} (column {found[3]})", int(found[2])


class _Reader:
    """Turns the table of one file into a Scope, and knows where each field stands."""

    def __init__(self, path: Path, text: str, table: Mapping[str, object]) -> None:
        self.path = path
        self.text = text
        self.table = table

    def scope(self, today: date, sha256: str) -> Scope:
        self._refuse_unknown_fields()
        valid_from, valid_until = self._day("valid_from"), self._day("valid_until")
        if valid_until < valid_from:
            raise self._wrong("valid_until", f"lies before valid_from ({valid_from})")
        networks = self._networks("networks")
        if not networks:
            raise self._wrong("networks", "is empty: this scope would permit nothing")
        return Scope(
            organisation=self._text("organisation"),
            networks=networks,
            exclude=self._networks("exclude"),
            authorised_by=self._text("authorised_by"),
            contact=self._text("contact"),
            valid_from=valid_from,
            valid_until=valid_until,
            clearance_level=self._level(),
            notes=self._text("notes"),
            today=today,
            file=self.path,
            sha256=sha256,
        )

    def _refuse_unknown_fields(self) -> None:
        # A misspelt "exclude" would silently permit what it was to forbid.
        for name in self.table:
            if name not in _FIELDS:
                near = difflib.get_close_matches(name, _FIELDS, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(_FIELDS)}."
                raise self._wrong(name, "is not a field of a scope file", hint)

    def _wrong(self, field: str, message: str, hint: str = _HINT) -> ConfigError:
        found = re.search(
            rf"^[ \t]*[\"']?{re.escape(field)}[\"']?[ \t]*[=.]", self.text, re.MULTILINE
        )
        line = None if found is None else self.text.count("\n", 0, found.start()) + 1
        return ConfigError(message, file=self.path, line=line, field=field, hint=hint)

    def _value(self, field: str) -> object:
        value = self.table.get(field)
        if value is None and field not in _OPTIONAL:
            raise self._wrong(field, "is missing")
        return value

    def _text(self, field: str) -> str:
        value = self._value(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(field, 'must be text in quotes, such as "St. Example Hospital"')
        if not value.strip() and field not in _OPTIONAL:
            raise self._wrong(field, "must not be empty")
        return value.strip()

    def _day(self, field: str) -> date:
        value = self._value(field)
        # A datetime is a date to isinstance, and a time of day would not be obeyed.
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        raise self._wrong(field, "must be a day without quotes, such as 2026-12-31")

    def _level(self) -> int:
        value = self._value("clearance_level")
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST_LEVEL:
            return value
        raise self._wrong("clearance_level", f"must be a whole number from 0 to {HIGHEST_LEVEL}")

    def _networks(self, field: str) -> tuple[Network, ...]:
        value = self._value(field)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(field, 'must be a list of networks, such as ["10.0.0.0/24"]')
        return tuple(self._network(field, item) for item in value)

    def _network(self, field: str, text: str) -> Network:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            raise self._wrong(field, f"{text!r} is no address or network") from None
        if "/" in text and ip_address(text.split("/", maxsplit=1)[0]) != network.network_address:
            hint = f"Write {str(network)!r} for the network, or the address without '/'."
            raise self._wrong(field, f"{text!r} has bits set behind its prefix", hint)
        if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
            raise self._wrong(field, f"{text!r} hides IPv4 addresses: write them as IPv4")
        if field == "networks" and network.prefixlen < _WIDEST_PREFIX[network.version]:
            raise self._wrong(field, f"{text!r} is wider than any organisation's network")
        return network


# --- the template -----------------------------------------------------------------------------------------------------

_TEMPLATE = """\
# Scope of a Doorward audit: the written permission to ask these systems.
# Doorward dials no address outside it. Loopback (127.0.0.0/8, ::1) needs no permission.

# The organisation that runs the systems.
organisation = {organisation}

# The networks (or single addresses) that may be asked, IPv4 and IPv6.
networks = [{networks}]

# Never asked, even inside the networks: life-supporting devices, other people's systems.
exclude = [{exclude}]

# Who gave the permission (a person who may), and whom to call when something looks wrong.
authorised_by = {authorised_by}
contact = {contact}

# The first and the last day of the permission.
valid_from = {valid_from}
valid_until = {valid_until}

# How far the audit may go. It never retrieves and never stores, at any level.
#   0  judge what was imported, connect to nothing
#   1  connect and negotiate
#   2  also count studies (no patient attribute is requested)
#   3  also see whether patient attributes come back in one single answer (discarded unread)
clearance_level = {clearance_level}

# For people: ticket, change number, time windows.
notes = {notes}
"""


def scope_template(
    *,
    today: date,
    valid_until: date,
    organisation: str = "",
    networks: Iterable[str] = (),
    exclude: Iterable[str] = (),
    authorised_by: str = "",
    contact: str = "",
    clearance_level: int = 2,
    notes: str = "",
) -> str:
    """Return the text of a scope file, valid from ``today``; what is left empty must be filled in before it loads."""
    return _TEMPLATE.format(
        organisation=_quoted(organisation),
        networks=", ".join(_quoted(network) for network in networks),
        exclude=", ".join(_quoted(network) for network in exclude),
        authorised_by=_quoted(authorised_by),
        contact=_quoted(contact),
        valid_from=today.isoformat(),
        valid_until=valid_until.isoformat(),
        clearance_level=clearance_level,
        notes=_quoted(notes),
    )


def _quoted(text: str) -> str:
    """Return a TOML basic string (TOML 1.0: control characters and quotes are escaped)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
