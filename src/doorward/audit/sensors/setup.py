"""Everything that a first start of sensors needs, in one folder: certificates, the NATS server's file, and ours.

Who is who is decided by certificates alone (``verify_and_map``), there is no password and nobody without a name. What a
sensor may do on the server: ask for its own work, acknowledge it, store results under its own name, and read its own inbox.
Not: read another sensor's work or anybody's results, make or change streams. The coordinator may manage the streams, hand
out work, and acknowledge results.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

from doorward.audit.sensors.authority import Authority
from doorward.audit.sensors.config import COORDINATOR, DEFAULT_PORT
from doorward.audit.sensors.messages import TOKEN
from doorward.audit.sensors.subjects import FACTS, WORK
from doorward.errors import ConfigError

#: A name in a certificate (RFC 1123 section 2.1); addresses are judged by themselves.
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")
#: Two years: then a new folder, with new credentials for everybody.
VALID_DAYS = 730

_SERVER = """\
# The NATS server of Doorward's sensors, written by 'doorward sensor init'. Start it with: nats-server -c {file}
server_name: doorward
listen: {listen}
# Results of systems with many doors are longer than the 1 MB that is usual.
max_payload: 4MB

jetstream {{
  # Work and results are kept below, in the folder jetstream.
  store_dir: {store}
  max_memory_store: 64MB
  max_file_store: 4GB
}}

tls {{
  cert_file: {certificate}
  key_file: {key}
  ca_file: {authority}
  # The certificate says who somebody is; without one nobody is served.
  verify_and_map: true
  timeout: 5
}}

authorization {{
  users: [
{users}
  ]
}}
"""

_USER = """\
    {{
      user: "CN={name}"
      permissions: {{
        publish: {{ allow: [{publish}] }}
        subscribe: {{ allow: ["_INBOX_{inbox}.>"] }}
      }}
    }}"""

_OWN = """\
# Written by 'doorward sensor init'. Files are looked for beside this one; keep the key to yourself.
[nats]
servers = [{servers}]
name = "{name}"
ca = "ca.pem"
certificate = "{stem}.pem"
key = "{stem}-key.pem"
"""

_ROUTES = """
# Which sensor asks which network: the longest prefix wins, default takes the rest.
[routes]
{routes}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """The files that were written."""

    folder: Path
    server: Path
    coordinator: Path
    sensors: Mapping[str, Path]


def init(
    folder: Path,
    sensors: Mapping[str, Sequence[str]],
    hosts: Sequence[str],
    *,
    now: datetime,
    port: int = DEFAULT_PORT,
    days: int = VALID_DAYS,
) -> SetUp:
    """Write a new folder for these sensors and a NATS server that is reached under ``hosts``; all for its owner alone.

    ``sensors`` gives each one its networks; one without takes whatever no network covers. Raises ConfigError for names that
    cannot be, and where the folder holds something already.
    """
    _check(sensors, hosts)
    authority = Authority(now=now, days=days)
    certificate, key = authority.server(hosts)
    coordinator = folder / f"{COORDINATOR}.toml"
    texts: dict[str, bytes] = {
        "ca.pem": authority.certificate(),
        "server.pem": certificate,
        "server-key.pem": key,
        "nats-server.conf": _server(folder.resolve(), sensors, hosts, port).encode(),
        coordinator.name: _coordinator(sensors, hosts, port).encode(),
    }
    for name in (COORDINATOR, *map(_stem, sensors)):
        texts[f"{name}.pem"], texts[f"{name}-key.pem"] = authority.client(name)
    for name in sensors:
        texts[f"{_stem(name)}.toml"] = _own(name, _stem(name), hosts, port).encode()
    _make(folder)
    for file, content in texts.items():
        _write(folder / file, content)
    return SetUp(
        folder=folder,
        server=folder / "nats-server.conf",
        coordinator=coordinator,
        sensors={name: folder / f"{_stem(name)}.toml" for name in sensors},
    )


def _stem(sensor: str) -> str:
    """The name of a sensor's files and of its certificate: no sensor can be called like the coordinator."""
    return f"sensor-{sensor}"


def _check(sensors: Mapping[str, Sequence[str]], hosts: Sequence[str]) -> None:
    if not sensors or not hosts:
        hint = "Name at least one --sensor and one --host."
        raise ConfigError("a set-up needs a sensor and a server", hint=hint)
    for name, networks in sensors.items():
        if not TOKEN.fullmatch(name) or name == COORDINATOR:
            hint = "Letters, digits, - and _; not 'coordinator'."
            raise ConfigError(f"{name!r} is no name for a sensor", field="--sensor", hint=hint)
        for network in networks:
            try:
                ip_network(network)
            except ValueError:
                message = f"{network!r} is no network"
                raise ConfigError(message, field="--sensor", hint="NAME=10.1.0.0/16") from None
    for host in hosts:
        if not _is_address(host) and not _HOST.fullmatch(host):
            raise ConfigError(f"{host!r} is no host name or address", field="--host")
    if sum(not networks for networks in sensors.values()) > 1 and len(sensors) > 1:
        hint = "Give all but one their networks: --sensor NAME=10.1.0.0/16"
        raise ConfigError("two sensors would take everything", field="--sensor", hint=hint)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


# --- texts ------------------------------------------------------------------------------------------------------------


def _server(
    folder: Path, sensors: Mapping[str, Sequence[str]], hosts: Sequence[str], port: int
) -> str:
    users = [_coordinator_rights(), *map(_sensor_rights, sensors)]
    # One address: there alone. Several, or names: everywhere, for the server must be reached under all of them.
    host = hosts[0] if len(hosts) == 1 and _is_address(hosts[0]) else "0.0.0.0"  # noqa: S104 - TLS with certificates only
    return _SERVER.format(
        file=folder / "nats-server.conf",
        listen=_quoted(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"),
        store=_quoted(folder),
        certificate=_quoted(folder / "server.pem"),
        key=_quoted(folder / "server-key.pem"),
        authority=_quoted(folder / "ca.pem"),
        users="\n".join(users),
    )


def _coordinator_rights() -> str:
    allowed = ("$JS.API.>", f"$JS.ACK.{FACTS}.>", "doorward.work.>")
    return _rights(COORDINATOR, COORDINATOR, allowed)


def _sensor_rights(name: str) -> str:
    allowed = (
        f"$JS.API.CONSUMER.MSG.NEXT.{WORK}.{name}",
        f"$JS.ACK.{WORK}.{name}.>",
        f"doorward.facts.{name}.>",
    )
    return _rights(_stem(name), name, allowed)


def _rights(name: str, inbox: str, allowed: Sequence[str]) -> str:
    return _USER.format(name=name, inbox=inbox, publish=", ".join(map(_quoted, allowed)))


def _own(name: str, stem: str, hosts: Sequence[str], port: int) -> str:
    servers = (f"[{host}]" if ":" in host else host for host in hosts)
    listed = ", ".join(_quoted(f"tls://{server}:{port}") for server in servers)
    return _OWN.format(servers=listed, name=name, stem=stem)


def _coordinator(sensors: Mapping[str, Sequence[str]], hosts: Sequence[str], port: int) -> str:
    lines = []
    for name, networks in sensors.items():
        lines += [f'"{network}" = "{name}"' for network in networks]
        if not networks:
            lines.append(f'default = "{name}"')
    own = _own(COORDINATOR, COORDINATOR, hosts, port)
    return own + _ROUTES.format(routes="\n".join(lines))


def _quoted(text: object) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# --- files ------------------------------------------------------------------------------------------------------------


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            hint = "Choose a new folder; every set-up has credentials of its own."
            raise ConfigError("holds something already", file=folder, hint=hint)
        folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"cannot be made ({error.strerror})", file=folder) from None


def _write(file: Path, content: bytes) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
    except OSError as error:
        raise ConfigError(f"cannot be written ({error.strerror})", file=file) from None
