"""Errors that a person makes, made on purpose: one clear line each, the right exit code, never a traceback.

``doorward`` runs as a process of its own here, as it does for a person. What may not be dialled is 192.0.2.0/24 (RFC 5737);
a listener on this machine shows that a refusal comes before any connection.
"""

import asyncio
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certificates import Certificates
from doorward.audit.exit_code import ExitCode
from doorward.audit.scope import scope_template
from doorward.limits import DEFAULT_LIMITS
from doorward.net.application import Match, Peer
from doorward.wire.command import CFindRequest
from doorward.wire.negotiation import AcceptedContext
from doorward_archive import DoorwardArchive, served
from peers import Orthanc, Tls, storescp

pytestmark = pytest.mark.interop

SOURCE = Path(__file__).resolve().parents[2] / "src"
#: Documentation addresses: nobody has them.
NOWHERE = "192.0.2.7"
INTERRUPTED_LINE = "doorward: interrupted: the report holds what was finished"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "doorward", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE), "NO_COLOR": "1"}


def doorward(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    done = subprocess.run(
        command(*arguments),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error; a second, indented one may say what to do."""
    first, *more = done.stderr.splitlines()
    assert first.startswith("doorward: ")
    assert len(more) <= 1
    assert all(line.startswith("  ") for line in more)
    return first.removeprefix("doorward: ")


@contextmanager
def listener() -> Iterator[socket.socket]:
    """A port on this machine; connections wait in its queue, so that none can be missed."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield listening


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def was_called(listening: socket.socket) -> bool:
    """Somebody has connected since."""
    return bool(select.select([listening], [], [], 0)[0])


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield port_of(bound)


# --- nobody there ----------------------------------------------------------------------------------


def test_a_wrong_host_name_is_named() -> None:
    done = doorward("audit", "pacs.invalid:104", "--json", "-")
    assert done.returncode == ExitCode.NOT_TESTED
    assert complaint(done) == (
        "pacs.invalid: No usable answer: the host name pacs.invalid is not known."
    )
    words = doorward("audit", "pacs.invalid:104").stdout
    assert words.count("the host name pacs.invalid is not known") == 1


def test_a_closed_port_is_named(closed_port: int) -> None:
    done = doorward("audit", f"127.0.0.1:{closed_port}", "--json", "-")
    assert done.returncode == ExitCode.NOT_TESTED
    assert complaint(done) == f"127.0.0.1: Port {closed_port} is closed."
    assert f"Port {closed_port} is closed." in doorward("audit", f"127.0.0.1:{closed_port}").stdout


def test_one_wrong_name_does_not_spoil_the_rest(closed_port: int) -> None:
    done = doorward("audit", "pacs.invalid", f"127.0.0.1:{closed_port}", "--json", "-")
    assert done.returncode == ExitCode.NOT_TESTED
    assert sorted(line.split(": ")[1] for line in done.stderr.splitlines()) == [
        "127.0.0.1",
        "pacs.invalid",
    ]


# --- another protocol ------------------------------------------------------------------------------


@pytest.mark.peer("orthanc")
@pytest.mark.timeout(60)
def test_the_web_port_of_an_archive_is_called_a_web_port(open_orthanc: Orthanc) -> None:
    done = doorward("audit", f"127.0.0.1:{open_orthanc.http_port}", "--json", "-")
    (system,) = json.loads(done.stdout)["systems"]
    (service,) = system["services"]
    assert (service["protocol"], service["product"]) == ("http", "Orthanc 1.10.1")
    assert "E2" not in system["ladder"]
    evidence = {f["check"]: f["evidence"] for f in system["findings"]}
    assert evidence["dimse_speaks_dicom"] == f"Port {service['port']} speaks HTTP, not DICOM."
    is_open = any(
        f["verdict"] == "fail" and f["check"] == "web_rest_open" for f in system["findings"]
    )
    assert is_open


def test_a_web_server_that_waits_for_more_is_inconclusive_in_time() -> None:
    # As Python's own: it reads lines, and an association request has none.
    with listener() as silent:
        done = doorward("audit", f"127.0.0.1:{port_of(silent)}", "--timeout", "0.5", "--json", "-")
    assert done.returncode == ExitCode.NOT_TESTED
    assert "no answer to the association request within 0.5 s" in complaint(done)


@pytest.mark.peer("dcmtk")
def test_a_tls_port_needs_no_option(certificates: Certificates, tmp_path: Path) -> None:
    tls = Tls(
        own=certificates.server_rsa,
        trusted=certificates.authority,
        client_certificate="ignore",
    )
    with storescp(tmp_path, tls=tls) as peer:
        done = doorward("audit", f"127.0.0.1:{peer.port}")
    assert done.returncode == ExitCode.FOUND  # anybody may store
    assert done.stderr == ""
    assert f"Port {peer.port} DICOM over TLS" in done.stdout


# Some hundred connections, one after the other and with the pauses that manners ask for.
@pytest.mark.timeout(60)
def test_tls_without_dicom_behind_it_is_not_called_dicom(certificates: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = certificates.server
    context.load_cert_chain(own.certificate_path, own.key_path)
    with listener() as listening:
        thread = threading.Thread(target=answer_as_a_web_server, args=(listening, context))
        thread.start()
        done = doorward("audit", f"127.0.0.1:{port_of(listening)}", "--json", "-")
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert done.returncode == ExitCode.NOT_TESTED
    (system,) = json.loads(done.stdout)["systems"]
    assert "E2" not in system["ladder"]
    assert (system["grade"], system["shows_imaging"]) == ("not rated", False)
    assert [service["protocol"] for service in system["services"]] == ["https"]


def answer_as_a_web_server(listening: socket.socket, context: ssl.SSLContext) -> None:
    """400 Bad Request to whatever comes inside TLS, until the listener is shut."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.settimeout(2)
                if secure.recv(4096):
                    secure.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        except OSError:
            connection.close()


# --- the scope -------------------------------------------------------------------------------------


def scope_file(
    folder: Path, *, days: int = 30, networks: tuple[str, ...] = ("192.0.2.0/24",)
) -> Path:
    """A scope file that is valid until ``days`` from today."""
    today = datetime.now(UTC).astimezone().date()
    path = folder / "scope.toml"
    text = scope_template(
        today=min(today, today + timedelta(days=days)),
        valid_until=today + timedelta(days=days),
        organisation="Test",
        networks=networks,
        authorised_by="A. Tester",
        contact="nobody@example.invalid",
    )
    path.write_text(text)
    return path


def test_without_a_scope_nothing_beyond_this_machine_is_dialled() -> None:
    with listener() as here:
        # The first target is permitted, the second is not: neither may be dialled.
        done = doorward("audit", f"127.0.0.1:{port_of(here)}", f"{NOWHERE}:104")
        assert not was_called(here)
    assert done.returncode == ExitCode.OUT_OF_SCOPE
    assert complaint(done) == (
        f"{NOWHERE}:104 is not covered by the loopback scope; nothing was sent to it"
    )
    assert "doorward scope init" in done.stderr
    assert done.stdout == ""


def test_an_expired_scope_is_refused_before_any_connection(tmp_path: Path) -> None:
    scope = scope_file(tmp_path, days=-1)
    with listener() as here:
        done = doorward("audit", f"127.0.0.1:{port_of(here)}", "--scope", scope)
        assert not was_called(here)
    assert done.returncode == ExitCode.OUT_OF_SCOPE
    assert f"{scope} expired on " in complaint(done)
    assert "A. Tester" in done.stderr


def test_an_address_outside_a_valid_scope_is_refused(tmp_path: Path) -> None:
    scope = scope_file(tmp_path, networks=("198.51.100.0/24",))
    done = doorward("audit", NOWHERE, "--scope", scope)
    assert done.returncode == ExitCode.OUT_OF_SCOPE
    assert f"{NOWHERE}:104 is not covered by the scope file {scope}" in complaint(done)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_scope_file_without_the_right_to_read_it_is_named(tmp_path: Path) -> None:
    scope = scope_file(tmp_path)
    scope.chmod(0)
    done = doorward("audit", "127.0.0.1", "--scope", scope)
    assert done.returncode == ExitCode.USAGE
    assert complaint(done) == f"{scope}: cannot be read (Permission denied)"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8 text"),
        (lambda path: path.write_text("networks = ["), ""),
    ],
    ids=["missing", "directory", "binary", "broken"],
)
def test_a_scope_file_that_cannot_be_used_is_named(tmp_path: Path, make: object, says: str) -> None:
    scope = tmp_path / "scope.toml"
    assert callable(make)
    make(scope)
    with listener() as here:
        done = doorward("audit", f"127.0.0.1:{port_of(here)}", "--scope", scope)
        assert not was_called(here)
    assert done.returncode == ExitCode.USAGE
    said = complaint(done)
    assert said.startswith(str(scope))
    assert said.endswith(says)


# --- other files and options -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["@missing.txt"], "missing.txt: cannot be read (No such file or directory)"),
        (["127.0.0.1", "--json", "missing/report.json"], "directory does not exist"),
        (["127.0.0.1", "--tls-ca", "missing.pem"], "missing.pem: cannot be read"),
        (["127.0.0.1", "--client-cert", "a.pem"], "--client-key belong together"),
        (["127.0.0.1:99999"], "a port is a number from 1 to 65535"),
        (["http://127.0.0.1:8042"], "is a web address"),
        (["127.0.0.1", "--called", "LONGER THAN SIXTEEN"], "must be an AE title"),
        (["127.0.0.1", "--fail-on", "terrible"], "severity must be one of"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], says: str) -> None:
    done = doorward("audit", *arguments)
    assert done.returncode == ExitCode.USAGE
    assert says in complaint(done)
    assert done.stdout == ""


# --- Ctrl-C ----------------------------------------------------------------------------------------


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """An audit in the background; killed at the end where it still runs."""
    with subprocess.Popen(
        command("audit", *arguments),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def held_audit(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """An audit that waits for a peer which took its association request and says nothing."""
    with (
        listener() as listening,
        running(*arguments, f"127.0.0.1:{port_of(listening)}") as process,
    ):
        listening.settimeout(15)
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(15)
            assert connection.recv(4096)[:1] == b"\x01"  # A-ASSOCIATE-RQ: it waits for us now
            yield process, connection


def test_ctrl_c_before_an_answer_ends_at_once() -> None:
    with held_audit() as (process, connection):
        process.send_signal(signal.SIGINT)
        # A-ABORT by the service user, or the end alone where the signal came before asyncio had handed the socket over.
        assert connection.recv(4096) in (bytes.fromhex("07000000000400000000"), b"")
        stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == ExitCode.INTERRUPTED
    assert stderr.splitlines() == [INTERRUPTED_LINE]
    assert "Traceback" not in stdout


class Hanging(DoorwardArchive):
    """It takes a query and never answers it."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = threading.Event()

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> AsyncIterator[Match]:
        self.was_asked.set()
        return self.nothing()

    async def nothing(self) -> AsyncIterator[Match]:
        await asyncio.Event().wait()
        yield (0, None)


def test_ctrl_c_in_the_middle_of_a_query_releases_the_association() -> None:
    limits = replace(DEFAULT_LIMITS, drain_s=0.0)
    with (
        served(Hanging(), limits=limits) as archive,
        running(f"127.0.0.1:{archive.port}", "--called", archive.ae_title) as process,
    ):
        assert archive.was_asked.wait(15)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == ExitCode.INTERRUPTED
    assert stderr.splitlines() == [INTERRUPTED_LINE]
    assert "incomplete" in stdout
    # Two pairs of titles (one refused), a ClientHello, the contexts, the query: those that stood were released.
    assert archive.endings.count("released") == 3
    assert archive.commands == ["C-ECHO"]


@pytest.mark.peer("orthanc")
def test_ctrl_c_keeps_what_was_finished(default_orthanc: Orthanc) -> None:
    # Both systems are asked at the same time, and the held one never ends.
    finished = f"127.0.0.2:{default_orthanc.port}"
    with held_audit("--json", "-", "--verbose", finished) as (process, _):
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("127.0.0.2: finished"):
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == ExitCode.INTERRUPTED
    assert '"interrupted": true' in stdout
    assert '"address": "127.0.0.2"' in stdout
    assert stderr.splitlines()[-1] == INTERRUPTED_LINE


def test_two_ctrl_c_are_not_too_many() -> None:
    with held_audit() as (process, _):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
    assert process.returncode in (ExitCode.INTERRUPTED, -signal.SIGINT)
    assert "Traceback" not in stdout + stderr
