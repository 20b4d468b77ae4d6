"""What the operator typed, as targets: addresses, names, networks and lists of them.

    10.1.2.3        10.1.2.3:4242       pacs.example      pacs.example:104
    2001:db8::7     [2001:db8::7]:104   10.0.0.0/28       10.0.0.0/28:4242      @list.txt

Names stay names here: ``net`` resolves them, and the scope judges every address that comes out. A text that only looks
like an address ("10.1", "0x7f.1") is refused, because resolvers quietly turn such texts into addresses.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from doorward.audit.place import NOWHERE, Place
from doorward.audit.scope import Scope
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: One label of a host name (RFC 1123 section 2.1); the underscore occurs in the names of appliances.
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: The well-known port of DICOM (PS3.8 section 9.1.1); only stands in where a target has no ports yet.
DEFAULT_PORT = 104
_FORMS = "A target is an address, a name, a network such as 10.0.0.0/28, or @FILE; a port may follow: pacs.example:104."


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One host to audit: a numeric address or a name. ``ports`` is None where the operator named none."""

    host: str
    ports: tuple[int, ...] | None = None
    #: True where only a network named it: its exclusion is then silent, not an error of the operator's.
    is_swept: bool = False
    place: Place = NOWHERE
    #: AE titles that the operator's inventory gives this system.
    called_ae_titles: tuple[str, ...] = ()
    calling_ae_title: str = ""

    @property
    def is_numeric(self) -> bool:
        """True for an address, False for a name that must be resolved."""
        return _numeric(self.host) is not None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a text came from, for messages: the command line, or a line of a file."""

    file: Path | None = None
    line: int | None = None

    def wrong(self, text: str, message: str, hint: str = _FORMS) -> ConfigError:
        return ConfigError(f"{text!r} {message}", file=self.file, line=self.line, hint=hint)


def parse_targets(
    arguments: Iterable[str],
    *,
    ports: tuple[int, ...] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Target, ...]:
    """Return the targets of the command line, each host once, in the order of its first mention.

    ``ports`` is what a target without a port of its own is given. Raises ConfigError that names file and line.
    """
    found: dict[str, Target] = {}
    for text, place in _texts(arguments, limits):
        hosts, port = _hosts(text, place, limits.targets)
        asked = ports if port is None else (port,)
        for host in hosts:
            target = Target(host=host, ports=asked, is_swept="/" in text)
            found[host] = merged(found[host], target) if host in found else target
        if len(found) > limits.targets:
            message = f"makes more than {limits.targets:,} targets together with those before"
            raise place.wrong(text, message, "Audit one network at a time.")
    if not found:
        raise ConfigError("no target was given", hint=_FORMS)
    return tuple(found.values())


def within_scope(targets: Iterable[Target], scope: Scope) -> tuple[tuple[Target, ...], int]:
    """Return the targets that may be audited, and how many a network brought in that are excluded in writing.

    Raises ScopeError for the first other one that the scope refuses; names are judged later, when they are resolved.
    """
    kept: list[Target] = []
    skipped = 0
    for target in targets:
        if not target.is_numeric:
            kept.append(target)
        elif target.is_swept and scope.excludes(target.host):
            skipped += 1
        else:
            for port in target.ports or (DEFAULT_PORT,):
                scope.permit(target.host, port)
            kept.append(target)
    return tuple(kept), skipped


def parse_ports(text: str, *, limits: Limits = DEFAULT_LIMITS) -> tuple[int, ...]:
    """Return the ports of a list such as "104,4242,11110-11115", each once; raise ConfigError."""
    place = _Place()
    ports: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low = _port(first, text, place)
        high = _port(last, text, place) if dash else low
        if high < low:
            raise place.wrong(text, f"runs backwards at {part.strip()!r}")
        ports.update(dict.fromkeys(range(low, high + 1)))
    if len(ports) > limits.ports_per_target:
        message = f"names {len(ports):,} ports; at most {limits.ports_per_target:,} are asked"
        raise place.wrong(text, message, "An imaging system has a handful of ports: name those.")
    return tuple(ports)


def merged(before: Target, again: Target) -> Target:
    """Return one target of two mentions of the same host: all ports, the first word on everything else."""
    ports = tuple(dict.fromkeys((*(before.ports or ()), *(again.ports or ()))))
    is_swept = before.is_swept and again.is_swept
    return Target(
        host=before.host,
        ports=ports or None,
        is_swept=is_swept,
        place=before.place.filled_from(again.place),
        called_ae_titles=tuple(dict.fromkeys((*before.called_ae_titles, *again.called_ae_titles))),
        calling_ae_title=before.calling_ae_title or again.calling_ae_title,
    )


def _texts(arguments: Iterable[str], limits: Limits) -> Iterable[tuple[str, _Place]]:
    for argument in arguments:
        if argument.startswith("@"):
            yield from _lines(Path(argument[1:]), limits)
        else:
            yield argument.strip(), _Place()


def _lines(path: Path, limits: Limits) -> Iterable[tuple[str, _Place]]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(limits.list_file_bytes + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be read ({reason})", file=path) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=path) from None
    if len(raw) > limits.list_file_bytes:
        raise ConfigError(f"is longer than {limits.list_file_bytes:,} bytes", file=path)
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if content.startswith("@"):
            raise _Place(path, number).wrong(content, "names a list inside a list")
        if content:
            yield content, _Place(path, number)


def _hosts(text: str, place: _Place, most: int) -> tuple[Sequence[str], int | None]:
    """Return the hosts of one text and its port, if it has one."""
    host, port = _split_port(text, place)
    if "/" in host:
        return _network_hosts(host, text, place, most), port
    if "%" in host:
        raise place.wrong(text, "has a zone (%...), which is not supported")
    numeric = _numeric(host)
    return [str(numeric) if numeric is not None else _name(host, text, place)], port


def _split_port(text: str, place: _Place) -> tuple[str, int | None]:
    if "://" in text:
        raise place.wrong(text, "is a web address", "Give the host and the port: pacs.example:104.")
    if "@" in text:
        hint = "Give AE titles with --called and the target as HOST:PORT."
        raise place.wrong(text, "holds an '@'", hint)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            raise place.wrong(text, "is not of the form [ADDRESS]:PORT")
        return host, _port(rest[1:], text, place) if rest else None
    # Two colons or more without brackets: an IPv6 address, or an IPv6 network.
    if text.count(":") != 1:
        return text, None
    host, _, port = text.partition(":")
    return host, _port(port, text, place)


def _port(text: str, whole: str, place: _Place) -> int:
    text = text.strip()
    # isdecimal alone would take digits of other scripts, and int() takes signs and underscores.
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65_536:
        return int(text)
    raise place.wrong(whole, f"names the port {text!r}; a port is a number from 1 to 65535")


def _network_hosts(host: str, text: str, place: _Place, most: int) -> Sequence[str]:
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError:
        raise place.wrong(text, "is no network") from None
    if network.num_addresses > most:
        message = f"holds {network.num_addresses:,} addresses; at most {most:,} are audited at once"
        raise place.wrong(text, message, "Audit it in smaller networks.")
    # The first and the last address too: a /28 of the operator's may be cut out of a wider network.
    return [str(address) for address in network]


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _name(host: str, text: str, place: _Place) -> str:
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise place.wrong(text, "is no host name") from None
    labels = host.removesuffix(".").split(".")
    if re.fullmatch(r"[0-9.\-]+|.*\.0[xX][0-9a-fA-F]*|0[xX][0-9a-fA-F]*|.*\.[0-9]+", host):
        raise place.wrong(text, "looks like an address and is none")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise place.wrong(text, "is no host name")
    return host.lower()
