"""Real peers on loopback for the tests: Orthanc, dcmqrscp and storescp as Debian ships them.

Each peer is a context manager: it starts the program on a free port, waits with a bounded deadline until the program
answers, and ends it by its process group. Ports come from below the kernel's range of ephemeral ports, so that no
outgoing connection takes a port between our choice and the program's bind; a lost race is retried with another port.
What the programs say goes to a log file in the peer's folder.

dcmqrscp, storescp and Orthanc 1.10 have no option to bind DICOM to one address: they listen on every interface of the
machine while a test runs. They hold synthetic data only.
"""

import errno
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from certificates import Credential

HOST = "127.0.0.1"
#: Below 32768, where Linux starts to take ephemeral ports (net.ipv4.ip_local_port_range).
LOWEST_PORT, HIGHEST_PORT = 15_000, 32_000
START_S = 15.0
POLL_S = 0.02
DEBIAN_ORTHANC = Path("/etc/orthanc")
#: Debian puts Orthanc into sbin, which is not on everybody's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
#: dcmqrdb keeps a table of fixed size; beyond it the oldest study is thrown away.
DCMQRSCP_STUDIES = 500


class PeerFailed(Exception):
    """A peer ended or stayed silent while it was started; the message carries the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a peer needs to speak TLS: its own credential, and whom it trusts.

    ``client_certificate`` is what it asks of its callers: require | verify (if present) | ignore.
    """

    own: Credential
    trusted: Credential
    client_certificate: str = "require"


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomPeer:
    """A running DICOM peer: where it listens and under which title."""

    port: int
    ae_title: str
    folder: Path
    log: Path
    pid: int
    host: str = HOST
    tls: Tls | None = None

    def log_text(self) -> str:
        """Return what the program has said so far."""
        return self.log.read_text(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orthanc(DicomPeer):
    """A running Orthanc with its REST interface on loopback."""

    http_port: int

    def rest(self, method: str, path: str, body: bytes | None = None) -> object:
        """Return the decoded JSON of one REST call."""
        connection = http.client.HTTPConnection(HOST, self.http_port, timeout=START_S)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise PeerFailed(f"Orthanc answered {response.status} to {method} {path}")
        return json.loads(answer)

    def load(self, files: Sequence[Path]) -> None:
        """Store the files through REST; no DICOM door needs to be open for it."""
        for path in files:
            self.rest("POST", "/instances", path.read_bytes())

    def statistics(self) -> dict[str, int]:
        """Return Orthanc's own counts of patients, studies, series and instances."""
        answer = self.rest("GET", "/statistics")
        assert isinstance(answer, dict)
        names = ("patients", "studies", "series", "instances")
        return {name: int(answer[f"Count{name.title()}"]) for name in names}


@contextmanager
def orthanc(
    folder: Path,
    *,
    configuration: Mapping[str, object] | None = None,
    debian_default: bool = False,
    files: Sequence[Path] = (),
    tls: Tls | None = None,
) -> Iterator[Orthanc]:
    """Run Orthanc, loaded with the files.

    ``configuration`` holds Orthanc's own keys and wins over a minimal one, whose DICOM rules are Orthanc's built-in
    ones. ``debian_default`` takes /etc/orthanc as it is, with nothing changed but ports and paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    extra = dict(configuration or {}) | (orthanc_tls(tls) if tls else {})

    def attempt() -> tuple[list[str], list[int]]:
        dicom_port, http_port = free_port(), free_port()
        write = write_debian_configuration if debian_default else write_minimal_configuration
        path = write(folder, dicom_port, http_port, extra)
        return ["Orthanc", str(path)], [dicom_port, http_port]

    with started(attempt, folder, answers_rest) as (process, ports):
        peer = Orthanc(
            port=ports[0],
            http_port=ports[1],
            ae_title=str(extra.get("DicomAet", "ORTHANC")),
            folder=folder,
            log=folder / "log",
            pid=process.pid,
            tls=tls,
        )
        peer.load(files)
        yield peer


def orthanc_tls(tls: Tls) -> dict[str, object]:
    """Return Orthanc's TLS settings for DICOM (since 1.9.0; the last one since 1.9.3)."""
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(tls.own.certificate_path),
        "DicomTlsPrivateKey": str(tls.own.key_path),
        "DicomTlsTrustedCertificates": str(tls.trusted.certificate_path),
        "DicomTlsRemoteCertificateRequired": tls.client_certificate == "require",
    }


def write_minimal_configuration(
    folder: Path, dicom_port: int, http_port: int, extra: Mapping[str, object]
) -> Path:
    """Write a configuration that names only ports and paths, and returns its path."""
    storage = str(folder / "storage")
    minimal: dict[str, object] = {
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "HttpThreadsCount": 4,
        "SyncStorageArea": False,
        "Plugins": [],
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(minimal | dict(extra), indent=1))
    return path


def write_debian_configuration(
    folder: Path, dicom_port: int, http_port: int, extra: Mapping[str, object]
) -> Path:
    """Copy Debian's configuration folder, change ports and paths, and return the copy.

    Further settings go to a file of their own; Orthanc refuses a key that occurs twice.
    """
    copy = folder / "etc"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(DEBIAN_ORTHANC, copy)
    main = copy / "orthanc.json"
    text = main.read_text()
    storage = json.dumps(str(folder / "storage"))
    changes = {
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "StorageDirectory": storage,
        "IndexDirectory": storage,
    }
    for key, value in changes.items():
        line = re.compile(rf'^(\s*"{key}" : )[^\n]*,$', re.MULTILINE)
        text, count = line.subn(rf"\g<1>{value},", text)
        if count != 1:
            raise PeerFailed(f"Debian's orthanc.json has {count} lines for {key}")
    main.write_text(text)
    if extra:
        (copy / "extra.json").write_text(json.dumps(dict(extra)))
    return copy


def answers_rest(ports: Sequence[int]) -> bool:
    """Tell whether Orthanc answers on REST and listens for DICOM."""
    connection = http.client.HTTPConnection(HOST, ports[1], timeout=1)
    try:
        connection.request("GET", "/system")
        return connection.getresponse().status == http.client.OK and accepts_connection(ports)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageArea:
    """One line of dcmqrscp's AETable: a called title with its access mode and its callers.

    ``access`` is R, RW or W. ``peers`` is ANY or "(AETITLE, host name, port), ...": the host by name, never by number,
    and not in the order that the comment in Debian's own file gives.
    """

    ae_title: str
    access: str = "R"
    peers: str = "ANY"
    files: tuple[Path, ...] = ()


@contextmanager
def dcmqrscp(
    folder: Path,
    areas: Sequence[StorageArea],
    *,
    options: Sequence[str] = (),
    hosts: Mapping[str, int] | None = None,
    max_associations: int = 16,
) -> Iterator[DicomPeer]:
    """Run dcmqrscp with one storage area per title; the peer's ae_title is that of the first area.

    The files of an area are put into its database beforehand with dcmqridx, so that areas closed for storage can be
    filled too. ``hosts`` are the titles that C-MOVE may name, with their ports on localhost. dcmqrscp 3.6.7 has no TLS.
    """
    configuration = folder / "dcmqrscp.cfg"
    for area in areas:
        fill_dcmqrdb(folder / area.ae_title, area.files)
    configuration.write_text(dcmqrscp_configuration(folder, areas, hosts or {}, max_associations))

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        command = ["dcmqrscp", "--verbose", "--config", str(configuration), *options]
        return [*command, str(port)], [port]

    with started(attempt, folder, accepts_connection) as (process, ports):
        yield DicomPeer(
            port=ports[0],
            ae_title=areas[0].ae_title,
            folder=folder,
            log=folder / "log",
            pid=process.pid,
        )


def dcmqrscp_configuration(
    folder: Path, areas: Sequence[StorageArea], hosts: Mapping[str, int], max_associations: int
) -> str:
    """Return the text of a dcmqrscp.cfg with its three tables."""
    host_lines = [f"{title} = ({title}, localhost, {port})" for title, port in hosts.items()]
    area_lines = [
        f"{area.ae_title} {folder / area.ae_title} {area.access}"
        f" ({DCMQRSCP_STUDIES}, 1024mb) {area.peers}"
        for area in areas
    ]
    lines = ["MaxPDUSize = 16384", f"MaxAssociations = {max_associations}"]
    lines += ["HostTable BEGIN", *host_lines, "HostTable END"]
    lines += ["VendorTable BEGIN", "VendorTable END"]
    lines += ["AETable BEGIN", *area_lines, "AETable END", ""]
    return "\n".join(lines)


def fill_dcmqrdb(storage: Path, files: Sequence[Path]) -> None:
    """Copy the files into a dcmqrscp storage area and index them with dcmqridx."""
    storage.mkdir(parents=True, exist_ok=True)
    copies = [shutil.copy(path, storage / path.name) for path in files]
    if copies:
        command = ["dcmqridx", str(storage), *map(str, copies)]
        subprocess.run(command, check=True, capture_output=True, timeout=START_S)


@contextmanager
def storescp(
    folder: Path,
    *,
    ae_title: str = "STORESCP",
    options: Sequence[str] = ("--fork",),
    tls: Tls | None = None,
) -> Iterator[DicomPeer]:
    """Run storescp; what it receives lies under ``folder / "received"``, byte by byte as it came."""
    received = folder / "received"
    received.mkdir(parents=True, exist_ok=True)

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        command = ["storescp", "--verbose", "--aetitle", ae_title, "--accept-all"]
        command += ["--bit-preserving", "--output-directory", str(received), *options]
        return [*command, *(dcmtk_tls(tls) if tls else ()), str(port)], [port]

    with started(attempt, folder, accepts_connection) as (process, ports):
        yield DicomPeer(
            port=ports[0],
            ae_title=ae_title,
            folder=folder,
            log=folder / "log",
            pid=process.pid,
            tls=tls,
        )


def dcmtk_tls(tls: Tls) -> list[str]:
    """Return the options with which storescp speaks TLS."""
    return [
        *("--enable-tls", str(tls.own.key_path), str(tls.own.certificate_path)),
        *("--add-cert-file", str(tls.trusted.certificate_path)),
        f"--{tls.client_certificate}-peer-cert",
    ]


Attempt = Callable[[], tuple[list[str], list[int]]]
Ready = Callable[[Sequence[int]], bool]


@contextmanager
def started(
    attempt: Attempt, folder: Path, ready: Ready
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """Start what ``attempt`` proposes, wait until it is ready, and end it at the end.

    A program that dies at once has probably lost its port to another one: two further attempts follow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    for is_last in (False, False, True):
        command, ports = attempt()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [shutil.which(command[0], path=SEARCH_PATH) or command[0], *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )
        try:
            if is_up(process, ready, ports):
                yield process, ports
                return
            if process.poll() is None or is_last:
                raise PeerFailed(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
        finally:
            end(process)


def is_up(process: subprocess.Popen[bytes], ready: Ready, ports: Sequence[int]) -> bool:
    """Poll until the program is ready (True), has ended or has taken too long (False)."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if ready(ports):
            # Another program may have answered on a port that ours has failed to bind.
            return process.poll() is None
        time.sleep(POLL_S)
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and the children that it forked, and collect it.

    Its data are thrown away, so it need not tidy up: Orthanc takes three seconds to end on SIGTERM.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(START_S)


def accepts_connection(ports: Sequence[int]) -> bool:
    """Tell whether something listens on the first port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, ports[0])) == 0


def free_port() -> int:
    """Return a TCP port on which nothing listens now."""
    while True:
        port = LOWEST_PORT + secrets.randbelow(HIGHEST_PORT - LOWEST_PORT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError as refused:
                if refused.errno != errno.EADDRINUSE:
                    raise
                continue
            return port
