"""The files of a sensor and of the coordinator: where the NATS server is, who one is, and which sensor asks whom.

    [nats]                                    [routes]                    (the coordinator's alone)
    servers = ["tls://nats.example:4222"]     "10.1.0.0/16" = "north"     the longest prefix wins
    name = "north"                            "10.1.2.0/24" = "annex"
    ca = "ca.pem"                             default = "south"           whatever no network covers
    certificate = "sensor-north.pem"
    key = "sensor-north-key.pem"              or: user = "...", password_file = "..."

Files are named as seen from the folder of the file that names them. Secrets that others could read are refused.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from doorward.audit.sensors.messages import TOKEN
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

COORDINATOR = "coordinator"
DEFAULT_ROUTE = "default"
DEFAULT_PORT = 4222
_FIELDS = frozenset(
    {"servers", "name", "ca", "certificate", "key", "user", "password_file", "plain", "lease_s"}
)
_INIT = "'doorward sensor init' writes such files."
#: Bits of a file's mode that let the group or everybody read or change it.
_OTHERS = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsConfig:
    """How one process comes to the NATS server, and under which name."""

    file: Path
    servers: tuple[str, ...]
    name: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    #: Without TLS; for a server on this machine and nothing else.
    is_plain: bool = False
    #: Of the coordinator: seconds without a sign of life until work goes to another sensor.
    lease_s: float = DEFAULT_LIMITS.sensor_lease_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Which sensor is responsible for which address."""

    networks: tuple[tuple[IPv4Network | IPv6Network, str], ...] = ()
    default: str = ""
    file: Path | None = None

    @property
    def sensors(self) -> tuple[str, ...]:
        """All sensors, each once."""
        named = [name for _, name in self.networks] + ([self.default] if self.default else [])
        return tuple(dict.fromkeys(named))

    def sensor(self, address: str) -> str:
        """Return who asks an address; raises ConfigError where nobody does."""
        numeric = ip_address(address)
        found = [
            (network.prefixlen, name)
            for network, name in self.networks
            if numeric.version == network.version and numeric in network
        ]
        if found:
            return max(found)[1]
        if self.default:
            return self.default
        hint = f'Name a network that holds it, or default = "NAME": one of {self.sensors}.'
        message = f"no sensor is responsible for {address}"
        raise ConfigError(message, file=self.file, field="routes", hint=hint)

    def require(self, addresses: Iterable[str]) -> None:
        """Raise ConfigError for the first address that nobody is responsible for; names without address are nobody's."""
        for address in addresses:
            if _is_numeric(address):
                self.sensor(address)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorConfig:
    """The coordinator's file."""

    nats: NatsConfig
    routes: Routes


def load_sensor_config(file: Path, *, limits: Limits = DEFAULT_LIMITS) -> NatsConfig:
    """Return what a sensor's file says; raises ConfigError that names file and field."""
    table = _table(file, limits, ("nats",))
    config = _nats(file, table, limits)
    if config.name == COORDINATOR:
        hint = "Give each site a name of its own."
        raise ConfigError("is no name for a sensor", file=file, field="nats.name", hint=hint)
    return config


def load_coordinator_config(file: Path, *, limits: Limits = DEFAULT_LIMITS) -> CoordinatorConfig:
    """Return what the coordinator's file says; raises ConfigError that names file and field."""
    table = _table(file, limits, ("nats", "routes"))
    nats = _nats(file, table, limits)
    routes = table.get("routes")
    if not isinstance(routes, dict) or not routes:
        message = "must say which sensor asks which network"
        raise ConfigError(message, file=file, field="routes", hint='Such as: default = "north"')
    networks = [
        (_network(file, text), _token(file, f"routes.{text}", name))
        for text, name in routes.items()
        if text != DEFAULT_ROUTE
    ]
    default = routes.get(DEFAULT_ROUTE)
    return CoordinatorConfig(
        nats=nats,
        routes=Routes(
            networks=tuple(networks),
            default="" if default is None else _token(file, "routes.default", default),
            file=file,
        ),
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def _table(file: Path, limits: Limits, known: Iterable[str]) -> dict[str, object]:
    raw = _read(file, limits, file=file, field=None)
    try:
        table = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=file, hint=_INIT) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not valid TOML: {error}", file=file, hint=_INIT) from None
    for name in table:
        if name not in known:
            raise ConfigError("is not known here", file=file, field=name)
    return table


def _read(path: Path, limits: Limits, *, file: Path, field: str | None) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(limits.list_file_bytes + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"cannot be read ({reason})" if field is None else f"{path}: {reason}"
        raise ConfigError(message, file=file, field=field, hint=_INIT) from None
    if len(raw) > limits.list_file_bytes:
        message = f"is longer than {limits.list_file_bytes:,} bytes"
        raise ConfigError(message, file=file, field=field)
    return raw


def _nats(file: Path, table: Mapping[str, object], limits: Limits) -> NatsConfig:
    section = table.get("nats")
    if not isinstance(section, dict):
        raise ConfigError("is missing", file=file, field="nats", hint=_INIT)
    for name in section:
        if name not in _FIELDS:
            raise ConfigError("is not known here", file=file, field=f"nats.{name}")
    reader = _Section(file, section, limits)
    is_plain = reader.truth("plain")
    config = NatsConfig(
        file=file,
        servers=reader.servers(is_plain=is_plain),
        name=_token(file, "nats.name", section.get("name")),
        ca=reader.path("ca"),
        certificate=reader.path("certificate"),
        key=reader.path("key", is_secret=True),
        user=reader.text("user"),
        password=reader.secret("password_file"),
        is_plain=is_plain,
        lease_s=reader.seconds("lease_s", limits.sensor_lease_s),
    )
    _check_pairs(config)
    return config


def _check_pairs(config: NatsConfig) -> None:
    """Raise ConfigError for half a credential, or for none."""
    file = config.file
    if (config.certificate is None) != (config.key is None):
        name = "key" if config.key is None else "certificate"
        raise ConfigError("is missing: both are needed", file=file, field=f"nats.{name}")
    if bool(config.user) != bool(config.password):
        name = "user" if config.password else "password_file"
        raise ConfigError("is missing: both are needed", file=file, field=f"nats.{name}")
    if config.certificate is None and not config.user:
        message = "is missing: nobody is served without a name"
        hint = "Give certificate and key, or user and password_file."
        raise ConfigError(message, file=file, field="nats.certificate", hint=hint)


class _Section:
    """The [nats] section, read field by field."""

    def __init__(self, file: Path, values: Mapping[str, object], limits: Limits) -> None:
        self._file = file
        self._values = values
        self._limits = limits

    def _wrong(self, name: str, message: str, hint: str | None = None) -> ConfigError:
        return ConfigError(message, file=self._file, field=f"nats.{name}", hint=hint)

    def text(self, name: str) -> str:
        value = self._values.get(name, "")
        if not isinstance(value, str) or (name in self._values and not value.strip()):
            raise self._wrong(name, "must be a text")
        return value

    def truth(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self._wrong(name, "must be true or false")
        return value

    def seconds(self, name: str, default: float) -> float:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= 3600:
            raise self._wrong(name, "must be seconds, from 1 to 3600")
        return float(value)

    def path(self, name: str, *, is_secret: bool = False) -> Path | None:
        text = self.text(name)
        if not text:
            return None
        path = self._file.parent / text
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise self._wrong(name, f"{path}: {error.strerror}", _INIT) from None
        if is_secret and mode & _OTHERS:
            raise self._wrong(name, f"{path} can be read by others", f"chmod 600 {path}")
        return path

    def secret(self, name: str) -> str:
        path = self.path(name, is_secret=True)
        if path is None:
            return ""
        raw = _read(path, self._limits, file=self._file, field=f"nats.{name}")
        try:
            text = raw.decode().strip()
        except UnicodeDecodeError:
            text = ""
        if not text or not text.isprintable():
            raise self._wrong(name, f"{path} must hold the password in one line")
        return text

    def servers(self, *, is_plain: bool) -> tuple[str, ...]:
        value = self._values.get("servers")
        if not isinstance(value, list) or not value:
            raise self._wrong("servers", 'must be a list such as ["tls://nats.example:4222"]')
        return tuple(self._server(one, is_plain=is_plain) for one in value)

    def _server(self, text: object, *, is_plain: bool) -> str:
        try:
            parts = urlsplit(text if isinstance(text, str) else "")
            host, port = parts.hostname, parts.port or DEFAULT_PORT
        except ValueError:
            raise self._wrong("servers", "holds what is no address of a server") from None
        scheme = "nats" if is_plain else "tls"
        if parts.scheme != scheme or not host or parts.path.strip("/") or parts.username:
            message = f"must hold addresses such as {scheme}://nats.example:4222"
            hint = None
            if parts.scheme == "nats":
                hint = "Without TLS only on this machine, and only with plain = true."
            raise self._wrong("servers", message, hint)
        if is_plain and not _is_loopback(host):
            hint = "Others could read and change what travels: use tls://."
            raise self._wrong("servers", "without TLS must be on this machine", hint)
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}:{port}"


def _network(file: Path, text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        message = "is no network"
        hint = "Networks have no bits behind their prefix, such as 10.1.0.0/16."
        raise ConfigError(message, file=file, field=f"routes.{text}", hint=hint) from None


def _token(file: Path, field: str, value: object) -> str:
    if isinstance(value, str) and TOKEN.fullmatch(value):
        return value
    message = "must be a name of letters, digits, - and _"
    raise ConfigError(message, file=file, field=field)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_numeric(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True
