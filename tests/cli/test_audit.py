"""``doorward audit`` from outside: what a person can do wrong, and what arrives on which stream."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jsonschema
import pytest

from doorward.cli.main import run

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
FAST = ["--timeout", "0.3", "--level", "1"]


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A loopback port whose every connection is given to ``answer``; yields its number."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as opened:
        server.settimeout(10)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                opened.enter_context(connection)
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        # Wakes the accept above, which a close alone would not.
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _silent(connection: socket.socket) -> None:
    """Says nothing."""


def _web(connection: socket.socket) -> None:
    try:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# --- what is wrong before anything is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["10.0.0.1"], 4, "10.0.0.1:"),
        (["10.0.0.1"], 4, "doorward scope init"),
        (["127.0.0.1", "10.0.0.0/30"], 4, "not covered by the loopback scope"),
        (["::ffff:10.0.0.1"], 4, "not covered"),
        (["10.0.0.300"], 2, "looks like an address"),
        (["@{dir}/none.txt"], 2, "No such file"),
        (["127.0.0.1", "--ports", "0"], 2, "a port is a number"),
        (["127.0.0.1", "--scope", "{dir}/none.toml"], 2, "No such file"),
        (["127.0.0.1", "--json", "{dir}/none/report.json"], 2, "directory does not exist"),
        (["127.0.0.1", "--json", "-", "--output", "text=-"], 2, "standard output"),
        (["127.0.0.1", "--output", "pdf=x"], 2, "no report format 'pdf'"),
        (["127.0.0.1", "--fail-on", "awful"], 2, "severity must be one of"),
        (["127.0.0.1", "--called", "SEVENTEEN_LETTERS"], 2, "--called must be an AE title"),
        (["127.0.0.1", "--calling", "A\\B"], 2, "--calling must be an AE title"),
        (["127.0.0.1", "--client-cert", "x.pem"], 2, "belong together"),
        (["127.0.0.1", "--tls-ca", "{dir}/none.pem"], 2, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_asked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    filled = [argument.replace("{dir}", str(tmp_path)) for argument in arguments]
    assert run(["audit", *filled]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    message, *hint = said.err.splitlines()
    assert message.startswith("doorward: ")
    assert len(hint) <= 1


def test_an_expired_scope_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(
        'organisation = "x"\nnetworks = ["10.0.0.0/24"]\nauthorised_by = "a"\ncontact = "b"\n'
        "valid_from = 2019-01-01\nvalid_until = 2019-12-31\nclearance_level = 2\n",
        encoding="utf-8",
    )
    assert run(["audit", "10.0.0.1", "--scope", str(file)]) == 4
    assert "expired on 2019-12-31" in capsys.readouterr().err


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_a_closed_port_is_not_tested(closed_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", f"127.0.0.1:{closed_port}", *FAST]) == 3
    said = capsys.readouterr()
    assert "No imaging system answered here." in said.out
    assert "\x1b" not in said.out
    assert said.err == ""


def test_even_when_silence_is_allowed_nothing_tested_is_not_passed(closed_port: int) -> None:
    assert run(["audit", f"127.0.0.1:{closed_port}", *FAST, "--allow-inconclusive"]) == 3


def test_a_name_that_is_unknown_is_not_tested(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "pacs.invalid:104", *FAST]) == 3
    said = capsys.readouterr()
    assert "pacs.invalid" in said.out + said.err


def test_a_web_server_is_no_imaging_system(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(_web) as port:
        assert run(["audit", f"127.0.0.1:{port}", *FAST]) == 3
    assert "No imaging system answered here." in capsys.readouterr().out


def test_a_silent_port_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(_silent) as port:
        assert run(["audit", f"127.0.0.1:{port}", *FAST]) == 3
    shown = capsys.readouterr().out
    assert "not rated" in shown
    assert "No open door was found." not in shown


def test_json_on_standard_output_is_one_valid_document(
    closed_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", f"127.0.0.1:{closed_port}", *FAST, "--json", "-", "--verbose"]) == 3
    said = capsys.readouterr()
    report = json.loads(said.out)
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert report["systems"][0]["grade"] == "not rated"
    assert f"127.0.0.1:{closed_port} association" in said.err


def test_several_reports_are_written_in_one_run(
    closed_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "html", "text")}
    arguments = ["--json", str(files["json"]), "--html", str(files["html"])]
    arguments += ["--output", f"text={files['text']}"]
    assert run(["audit", f"127.0.0.1:{closed_port}", *FAST, *arguments]) == 3
    assert all("127.0.0.1" in file.read_text(encoding="utf-8") for file in files.values())
    said = capsys.readouterr()
    assert "No imaging system answered here." in said.out
    assert said.err.count("report written to") == 3


# --- as a process -----------------------------------------------------------------------------------------------------


def _process(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "doorward", "audit", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_in_the_middle_is_one_line_and_130(tmp_path: Path) -> None:
    connected = threading.Event()
    file = tmp_path / "report.json"

    def answer(connection: socket.socket) -> None:
        connected.set()

    with listening(answer) as port, _process(f"127.0.0.1:{port}", "--json", str(file)) as process:
        assert connected.wait(10)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("doorward: interrupted")
    assert "interrupted" in out
    assert json.loads(file.read_text(encoding="utf-8"))["scan"]["interrupted"] is True


def test_a_reader_that_leaves_early_does_not_change_the_exit_code(closed_port: int) -> None:
    with _process(f"127.0.0.1:{closed_port}", *FAST) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(10) == 3
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_an_audit_is_kept_in_a_ledger_where_one_is_named(
    closed_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = str(tmp_path / "a.ledger")
    for number in (1, 2):
        assert run(["audit", f"127.0.0.1:{closed_port}", *FAST, "--ledger", ledger]) == 3
        assert f"kept as survey {number} of {ledger}" in capsys.readouterr().err
    assert run(["ledger", "list", ledger]) == 0
    assert capsys.readouterr().out.count("1 of 1 systems") == 2


def test_a_ledger_that_is_none_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear colleague,\n" * 100)
    assert run(["audit", "127.0.0.1:9", *FAST, "--ledger", str(file)]) == 2
    assert "letter.txt" in capsys.readouterr().err
    assert file.read_text().startswith("Dear colleague")
