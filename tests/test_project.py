"""The test bench itself: nothing leaves loopback, missing peers are said aloud, the scripts speak one clear line."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTATION_ADDRESS = "192.0.2.1"  # RFC 5737: never anybody's


@pytest.fixture
def crossings(border):
    """Attempts that the test makes on purpose; forgotten again at its end."""
    yield border.crossings
    border.crossings.clear()


def refused(call):
    with pytest.raises(pytest.fail.Exception, match="leave loopback"):
        call()


@pytest.mark.parametrize("method", ("connect", "connect_ex"))
def test_no_socket_leaves_loopback(crossings, method):
    with socket.socket() as sock:
        refused(lambda: getattr(sock, method)((DOCUMENTATION_ADDRESS, 104)))
    assert crossings == ["192.0.2.1 port 104"]


def test_no_datagram_leaves_loopback(crossings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        refused(lambda: sock.sendto(b"?", (DOCUMENTATION_ADDRESS, 53)))
    assert crossings


def test_no_event_loop_leaves_loopback(crossings):
    async def dial():
        loop = asyncio.get_running_loop()
        await loop.create_connection(asyncio.Protocol, DOCUMENTATION_ADDRESS, 104)

    refused(lambda: asyncio.run(dial()))
    assert crossings == ["192.0.2.1 port 104"]


def test_no_mapped_address_leaves_loopback(crossings):
    with socket.socket(socket.AF_INET6) as sock:
        refused(lambda: sock.connect((f"::ffff:{DOCUMENTATION_ADDRESS}", 104)))
    assert crossings


def test_no_name_is_asked_of_the_network(crossings):
    refused(lambda: socket.getaddrinfo("archive.example", 104))
    assert crossings


def test_a_name_that_cannot_exist_is_unknown_without_asking():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("archive.invalid", 104)


def test_loopback_is_open():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1])),
    ):
        pass


PEER_TEST = """
import pytest

@pytest.mark.peer("orthanc")
def test_with_orthanc():
    raise AssertionError("ran")

@pytest.mark.peer("pynetdicom")
def test_with_pynetdicom():
    pass
"""


def run_peer_test(folder: Path, *, required: str) -> str:
    """Run two tests in a copy of the bench, on a machine without any Debian program."""
    tests = folder / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "pyproject.toml", folder)
    bench = (ROOT / "tests" / "conftest.py").read_text()
    (tests / "conftest.py").write_text(
        bench.replace('os.environ.get("PATH", ""), "/usr/sbin", ', "")
    )
    (tests / "test_peer.py").write_text(PEER_TEST)
    environment = {**os.environ, "DOORWARD_REQUIRE_PEERS": required, "PATH": str(folder)}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-q"]
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return run.stdout


@pytest.mark.timeout(90)  # it begins a pytest of its own, beside another lane of tests
def test_missing_peer_is_skipped_aloud(tmp_path):
    shown = run_peer_test(tmp_path, required="")
    assert "1 passed, 1 skipped" in shown
    assert "Peers missing: orthanc (1 tests skipped)" in shown


@pytest.mark.timeout(90)
def test_missing_peer_is_a_failure_where_peers_are_required(tmp_path):
    shown = run_peer_test(tmp_path, required="1")
    assert "1 passed, 1 error" in shown
    assert "peers are required and missing: orthanc" in shown


def set_up(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Run tools/setup.sh in a copy that has no environment yet."""
    (folder / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", folder / "tools")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return subprocess.run(
        [folder / "tools" / "setup.sh", "run"],
        env={"PATH": os.environ["PATH"], "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, body: str) -> str:
    script = folder / "fake-python"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return str(script)


def test_missing_venv_module_is_one_clear_line(tmp_path):
    python = fake_python(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac')
    run = set_up(tmp_path, python)
    assert run.returncode == 2
    assert (
        run.stderr == "doorward: the venv module or pip is missing: apt-get install python3-venv\n"
    )


def test_old_python_is_one_clear_line(tmp_path):
    python = fake_python(tmp_path, 'case "$2" in *version_info*) exit 1;; *) echo 3.9.2;; esac')
    run = set_up(tmp_path, python)
    assert run.returncode == 2
    assert run.stderr.startswith("doorward: Python 3.11 or later is needed")
    assert run.stderr.count("\n") == 1


def test_missing_python_is_one_clear_line(tmp_path):
    run = set_up(tmp_path, "no-such-python")
    assert run.returncode == 2
    assert (
        run.stderr
        == "doorward: Python 3.11 or later is missing: apt-get install python3 python3-venv\n"
    )


def test_peers_that_may_not_be_installed_are_named_in_one_line(tmp_path):
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    run = subprocess.run(
        ["/bin/sh", ROOT / "tools" / "peers.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0
    assert run.stderr.startswith("doorward: not installed, their tests are skipped: dcmtk")
    assert run.stderr.count("\n") == 1
