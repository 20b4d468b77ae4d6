"""What holds for every test: nothing leaves loopback, and real peers are skipped aloud or required.

``@pytest.mark.peer("orthanc")`` (several names allowed) marks a test that needs a real program. Where it is missing the
test is skipped and counted at the end; with DOORWARD_REQUIRE_PEERS=1 it fails instead.
"""

import importlib.util
import ipaddress
import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

#: A shared machine may stop for a second; the 20 s of pytest-timeout are the bound instead.
settings.register_profile("doorward", deadline=None)
settings.load_profile("doorward")

ROOT = Path(__file__).resolve().parent.parent
REQUIRE_PEERS = os.environ.get("DOORWARD_REQUIRE_PEERS", "") not in ("", "0")
SKIP_REASON = "peer missing: "
#: Debian puts servers into sbin, which is not on everybody's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

# --- real peers -----------------------------------------------------------------------------------


def _programs(*names: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(name, path=SEARCH_PATH) for name in names)


def _modules(*names: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(name) is not None for name in names)


def _strace_works() -> bool:
    """Containers may forbid ptrace, so a trace of nothing is tried."""
    strace = shutil.which("strace", path=SEARCH_PATH)
    if strace is None:
        return False
    trial = [strace, "-f", "-o", os.devnull, "true"]
    return subprocess.run(trial, capture_output=True, timeout=10, check=False).returncode == 0


def _namespaces_work() -> bool:
    """Needs root, iproute2, and a container that may have networks of its own."""
    program = shutil.which("ip", path=SEARCH_PATH)
    if program is None or os.geteuid() != 0:
        return False
    name = f"doorward-trial-{os.getpid()}"
    made = [
        subprocess.run(
            [program, "netns", verb, name], capture_output=True, timeout=10, check=False
        ).returncode
        for verb in ("add", "del")
    ]
    return made == [0, 0]


PEERS: dict[str, Callable[[], bool]] = {
    "dcmtk": _programs("echoscu", "findscu", "storescu", "storescp", "dcmqrscp"),
    "orthanc": _programs("Orthanc"),
    "orthanc-dicomweb": lambda: Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so").exists(),
    "nmap": _programs("nmap"),
    "openssl": _programs("openssl"),
    "gnutls": _programs("gnutls-serv"),
    "nss": _programs("selfserv", "certutil", "pk12util"),
    "nginx": _programs("nginx"),
    "postgresql": lambda: bool(list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))),
    "mariadb": _programs("mariadbd", "mariadb-install-db", "my_print_defaults"),
    "redis": _programs("redis-server"),
    "slapd": _programs("slapd"),
    "samba": lambda: _programs("smbd")() and os.geteuid() == 0,
    "ganesha": lambda: _programs("ganesha.nfsd")() and os.geteuid() == 0,
    "apache2": _programs("apache2"),
    "lighttpd": _programs("lighttpd"),
    "lighttpd-tls": lambda: Path("/usr/lib/lighttpd/mod_openssl.so").exists(),
    "vsftpd": _programs("vsftpd"),
    "pyftpdlib": _modules("pyftpdlib"),
    "hl7": _modules("hl7"),
    "strace": _strace_works,
    "nats-server": lambda: _programs("nats-server")() and _modules("nats")(),
    "netns": _namespaces_work,
    "rsyslog": lambda: (
        _programs("rsyslogd")() and any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so"))
    ),
    "pynetdicom": _modules("pynetdicom", "pydicom"),
    "chromium": lambda: _programs("chromium")() and _modules("playwright")(),
}
#: A browser is 300 MB for two tests, a container may not have networks of its own, a machine may have another log daemon:
#: never required, always counted.
OPTIONAL_PEERS = frozenset({"chromium", "netns", "rsyslog"})


@cache
def peer_is_present(name: str) -> bool:
    """Whether the real peer can be used on this machine; asked once per run."""
    return PEERS[name]()


def missing_peers(item: pytest.Item) -> list[str]:
    """Names of the peers that the test asks for and that are not here."""
    names = [str(name) for marker in item.iter_markers("peer") for name in marker.args]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise pytest.UsageError(f"{item.nodeid}: unknown peer {unknown}, known: {sorted(PEERS)}")
    return sorted({name for name in names if not peer_is_present(name)})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a missing peer; with peers required the test itself fails (below)."""
    for item in items:
        missing = missing_peers(item)
        if missing and not (REQUIRE_PEERS and set(missing) - OPTIONAL_PEERS):
            item.add_marker(pytest.mark.skip(reason=SKIP_REASON + ", ".join(missing)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail at once, before any fixture tries to start the peer."""
    missing = set(missing_peers(item)) - OPTIONAL_PEERS
    if REQUIRE_PEERS and missing:
        pytest.fail(f"peers are required and missing: {', '.join(sorted(missing))}", pytrace=False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say aloud which peers were missing and how many tests did not run for it."""
    skipped: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        _, found, names = reason.partition(SKIP_REASON)
        skipped.update(names.split(", ") if found else [])
    if skipped:
        counts = ", ".join(f"{name} ({count} tests skipped)" for name, count in skipped.items())
        terminalreporter.write_line(f"Peers missing: {counts}", yellow=True, bold=True)


# --- nothing leaves loopback ------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """Whether a numeric address, or the one name allowed, stays on this machine."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class Border:
    """Stands between the tests and the network; remembers every attempt to cross it."""

    def __init__(self) -> None:
        self.crossings: list[str] = []

    def check(self, family: int, address: Any) -> None:
        """Fail the test when the address is not on this machine."""
        if family not in (socket.AF_INET, socket.AF_INET6) or is_loopback(str(address[0])):
            return
        self.refuse(f"{address[0]} port {address[1]}")

    def refuse(self, where: str) -> None:
        """End the test. A BaseException, so that no ``except OSError`` can hide it."""
        self.crossings.append(where)
        pytest.fail(f"a test tried to leave loopback: {where}")

    def resolve(self, host: Any) -> None:
        """Names are not asked of anybody: ``.invalid`` never exists (RFC 6761 section 6.4)."""
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or is_loopback(name) or _is_numeric(name):
            return
        if name.rstrip(".").endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.refuse(f"a look-up of the name {name!r}")


def _is_numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


@pytest.fixture(scope="session")
def border() -> Iterator[Border]:
    """Replace the calls that reach out, asyncio's included (it calls ``socket.connect``)."""
    guard = Border()
    patch = pytest.MonkeyPatch()

    def guarded(name: str, place_of_address: int) -> None:
        original = getattr(socket.socket, name)

        def call(self: socket.socket, *args: Any) -> Any:
            guard.check(self.family, args[place_of_address])
            return original(self, *args)

        patch.setattr(socket.socket, name, call)

    guarded("connect", 0)
    guarded("connect_ex", 0)
    guarded("sendto", -1)
    getaddrinfo = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        guard.resolve(host)
        return getaddrinfo(host, *args, **kwargs)

    patch.setattr(socket, "getaddrinfo", resolve)
    yield guard
    patch.undo()


@pytest.fixture(autouse=True)
def never_leaves_loopback(border: Border) -> Iterator[None]:
    """Promise 1 for the tests themselves: what another thread tried is found here."""
    border.crossings.clear()
    yield
    if border.crossings:
        pytest.fail(f"a test tried to leave loopback: {', '.join(border.crossings)}")


@pytest.fixture(autouse=True)
def own_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No test reads or writes the knowledge that whoever runs it has taken in (XDG Base Directory)."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "xdg"))


# --- asyncio ----------------------------------------------------------------------------------------

#: Where time or output is part of what is tested, the loop runs as it does in production.
PLAIN_LOOP = {"perf", "interop", "promises", "browser"}


@pytest.fixture(autouse=True)
def asyncio_debug(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run event loops in debug mode: never-awaited coroutines, calls from the wrong thread."""
    node: pytest.Item = request.node
    place = set(node.path.relative_to(ROOT).parts)
    if PLAIN_LOOP & (place | {marker.name for marker in node.iter_markers()}):
        monkeypatch.delenv("PYTHONASYNCIODEBUG", raising=False)
    else:
        monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
