"""``doorward survey`` from outside: what a person can do wrong, what stops it, and what arrives on which stream."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from auditor_process import SOURCE
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.scope import load_scope
from doorward.cli.main import run
from ledgers import plan

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
FAST = ["--timeout", "0.3", "--level", "1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))  # for processes: it may be relative
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.fixture
def dead() -> list[str]:
    """Two addresses where nobody is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    return [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]


@pytest.fixture(scope="module")
def archive() -> Iterator[str]:
    """An open practice archive of three studies; yields its address and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    command = [sys.executable, "-m", "doorward", "practice", "open", "--port-base", str(port)]
    command += ["--studies", "3", "--images", "10", "--seconds", "120"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        yield f"127.0.0.1:{port}"
        process.send_signal(signal.SIGINT)


def _scope_file(folder: Path, *networks: str, exclude: str = "") -> Path:
    file = folder / "scope.toml"
    arguments = ["--organisation", "St. Example", "--authorised-by", "A", "--contact", "b@c.test"]
    for network in networks:
        arguments += ["--network", network]
    arguments += ["--exclude", exclude] if exclude else []
    assert run(["scope", "init", str(file), *arguments]) == 0
    return file


def _process(*arguments: str, **more: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "doorward", "survey", *arguments],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more},
    )


# --- what is wrong before anything is asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "nothing to ask was named"),
        (["--resume"], 2, "doorward.ledger: there is no such ledger"),
        (["--resume", "127.0.0.1"], 2, "takes no targets"),
        (["--resume", "--level", "1"], 2, "takes no --level"),
        (["--resume", "--import", "x.csv", "--ports", "104"], 2, "takes no --import, --ports"),
        (["127.0.0.1", "--window", "25:00-26:00"], 2, "25:00 is no time of day"),
        (["127.0.0.1", "--window", "at night"], 2, "'mon-fri 18:00-07:00'"),
        (["127.0.0.1", "--window", "someday 18:00-19:00"], 2, "is no day of the week"),
        (["--import", "none.csv"], 2, "none.csv: there is no such file"),
        (["--import", "."], 2, "is a folder"),
        (["--import", "empty.csv"], 2, "empty.csv: is empty"),
        (["--import", "words.txt"], 2, "is of no format that is known by its content"),
        (["--import", "sheet=words.txt"], 2, "there is no format 'sheet' to import; there are"),
        (["--import", "nmap=words.txt"], 2, "words.txt:1: is no XML"),
        (["--import", "rows.csv"], 2, "nothing to ask was found"),
        (["10.0.0.1"], 4, "10.0.0.1:"),
        (["10.0.0.0/30"], 4, "the scope covers none of the targets; nothing was sent"),
        (["10.0.0.300"], 2, "looks like an address"),
        (["127.0.0.1", "--scope", "none.toml"], 2, "No such file"),
        (["127.0.0.1", "--json", "none/report.json"], 2, "directory does not exist"),
        (["127.0.0.1", "--json", "-", "--html", "-"], 2, "standard output"),
        (["127.0.0.1", "--fail-on", "awful"], 2, "severity must be one of"),
        (["127.0.0.1", "--called", "SEVENTEEN_LETTERS"], 2, "--called must be an AE title"),
        (["127.0.0.1", "--ports", "0"], 2, "a port is a number"),
        (["127.0.0.1", "--country-mmdb", "words.txt"], 2, "words.txt"),
        (["127.0.0.1", "--ledger", "words.txt"], 2, "is no ledger of Doorward; it was left alone"),
        (["127.0.0.1", "--ledger", "none/a.ledger"], 2, "cannot be opened (No such file"),
        (["127.0.0.1", "--ledger", "."], 2, "cannot be read (Is a directory)"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_leaves_no_survey_behind(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    (folder / "empty.csv").write_text("")
    (folder / "words.txt").write_text("hello world\n")
    (folder / "rows.csv").write_text("ip,port\n10.0.0.300,104\n")
    assert run(["survey", *arguments]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert "internal error" not in said.err
    assert "Traceback" not in said.err
    file = folder / "doorward.ledger"
    if file.exists():
        with Ledger.read(file) as ledger:
            assert ledger.scans() == ()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--level", "4"],
        ["--rate", "-1"],
        ["--systems", "0"],
        ["--max-connections", "none"],
        ["--pace", "1"],
    ],
)
def test_a_wrong_option_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(["survey", "127.0.0.1", *arguments]) == 2
    said = capsys.readouterr().err
    assert arguments[0] in said
    assert "Traceback" not in said


def test_a_ledger_that_somebody_writes_is_left_to_them(
    folder: Path, dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(folder / "doorward.ledger"):
        assert run(["survey", *dead, *FAST]) == 2
    said = capsys.readouterr().err
    assert f"is being written by another Doorward (process {os.getpid()})" in said


def test_an_unfinished_survey_goes_on_or_is_ended_before_another_begins(
    folder: Path, dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["survey", *dead, *FAST, "--max-connections", "1"]) == 130
    said = capsys.readouterr()
    how = "go on with: doorward survey --ledger doorward.ledger --resume"
    assert f"the budget of 1 connections is spent; {how}" in said.err
    assert "stopped early: what follows is incomplete" in " ".join(said.out.split())
    assert run(["survey", *dead, *FAST]) == 2
    said = capsys.readouterr()
    assert "holds a survey that is not finished" in said.err
    assert "doorward ledger end doorward.ledger" in said.err
    assert run(["survey", "--resume", "--timeout", "0.3"]) == 3
    said = capsys.readouterr()
    assert "going on with survey 1: 1 of 2 systems are done" in said.err
    assert "2 systems were asked" in said.out
    assert run(["survey", "--resume"]) == 2
    assert "holds no survey to go on with" in capsys.readouterr().err


def test_a_survey_killed_while_its_targets_were_read_is_begun_again(
    folder: Path, dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(folder / "doorward.ledger") as ledger:
        ledger.begin(plan())
    assert run(["survey", "--resume"]) == 2
    said = capsys.readouterr().err
    assert "was stopped while its targets were read" in said
    assert "Begin it again" in said
    assert run(["survey", *dead, *FAST]) == 3
    with Ledger.read(folder / "doorward.ledger") as ledger:
        assert [row.number for row in ledger.scans()] == [2]


def test_a_survey_under_a_permission_does_not_go_on_without_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = load_scope(_scope_file(folder, "10.1.0.0/30"), today=datetime.now(UTC).date())
    with Ledger.open(folder / "doorward.ledger") as ledger:
        begun = replace(plan(), organisation=scope.organisation, scope_sha256=scope.sha256)
        ledger.mark_planned(ledger.begin(begun), 1)
    capsys.readouterr()
    assert run(["survey", "--resume"]) == 2
    said = capsys.readouterr().err
    assert "its survey began under a scope file" in said
    assert "--scope FILE" in said


# --- who is asked -----------------------------------------------------------------------------------------------------


def test_what_another_tool_saw_outside_the_scope_is_counted_and_not_asked(
    folder: Path, dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    seen = [{"ip": f"10.9.9.{n}", "ports": [{"port": 104, "proto": "tcp"}]} for n in range(1, 6)]
    (folder / "masscan.json").write_text(json.dumps(seen))
    (folder / "own.csv").write_text(f"address,port,site\n127.0.0.1,{dead[0][10:]},Site A\nx y,1,\n")
    arguments = ["--import", "masscan.json", "--import", "inventory=own.csv"]
    assert run(["survey", *arguments, *FAST]) == 3
    said = capsys.readouterr().err
    assert "5 outside the scope, not asked (10.9.9.1, 10.9.9.2, 10.9.9.3 ...)" in said
    assert "own.csv, line 3: left out: " in said
    assert "1 system in 1 network, 1 port to ask" in said


def test_of_many_rows_that_are_left_out_the_first_are_explained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own.csv").write_text("address,port\n" + "10.0.0.300,104\n" * 12)
    assert run(["survey", "--import", "own.csv"]) == 2
    said = capsys.readouterr().err
    assert said.count("left out: ") == 5
    assert "own.csv: 7 more were left out" in said


def test_how_long_the_pace_makes_it_is_said_before_it_begins(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["127.0.9.0/24", "--ports", "1,2", "--network-rate", "0.1", "--timeout", "0.1"]
    assert run(["survey", *arguments, "--max-connections", "1"]) == 130
    said = capsys.readouterr().err
    size = "256 systems in 1 network, 512 ports to ask"
    assert f"{size}; at 200 connections/s, 0.1 to one network: 85 min, and longer" in said


def test_an_old_table_of_countries_is_said_to_be_old(
    folder: Path, dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from mmdb_writer import MMDBWriter
    from netaddr import IPSet

    writer = MMDBWriter(6, "synthetic", ipv4_compatible=True)
    writer.insert_network(IPSet(["1.1.0.0/16"]), {"country_code": "AU"})
    writer.to_db_file(str(folder / "old.mmdb"))
    raw = (folder / "old.mmdb").read_bytes()
    made = re.search(rb"build_epoch(.)", raw, re.DOTALL)
    assert made is not None
    long_ago = int((datetime.now(UTC) - timedelta(days=400)).timestamp())
    # type uint64 (extended type 9), as many bytes as the writer chose
    kind = raw.index(b"build_epoch") + len(b"build_epoch")
    width = raw[kind] & 0x1F
    at = kind + (1 if raw[kind] >> 5 else 2)
    changed = raw[:at] + long_ago.to_bytes(width, "big") + raw[at + width :]
    (folder / "old.mmdb").write_bytes(changed)
    assert run(["survey", *dead, *FAST, "--country-mmdb", "old.mmdb"]) == 3
    said = capsys.readouterr().err
    assert "old.mmdb was made on " in said
    assert "400 days ago" in said


# --- what arrives -----------------------------------------------------------------------------------------------------


def test_dead_addresses_do_not_sound_safe(
    dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["survey", *dead, *FAST]) == 3
    said = capsys.readouterr()
    assert said.out.startswith("Nothing could be tested.\n")
    assert "no answer can be judged: nothing is known about their safety" in said.out
    assert "exact" not in said.out
    assert "studies" not in said.out
    assert "\x1b" not in said.out + said.err
    assert run(["survey", *dead, *FAST, "--allow-inconclusive"]) == 3


def test_an_open_archive_is_counted_reported_and_exit_code_1(
    folder: Path, archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", "report.json", "--html", "report.html"]
    assert run(["survey", archive, "--timeout", "2", "--rate", "0", *files]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("1 of 1 system answers strangers")
    assert "3 studies with 30 images lie open" in " ".join(said.out.split())
    assert "json: report.json\nhtml: report.html\n" in said.out
    assert said.err.count("report written to") == 2
    assert "1 of 1 systems, 1 open, worst: a stranger may" in said.err
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert report["totals"]["studies"]["value"] == 3
    assert "answers strangers" in (folder / "report.html").read_text(encoding="utf-8")


def test_json_on_standard_output_is_one_valid_document_and_verbose_goes_elsewhere(
    dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["survey", *dead, *FAST, "--json", "-", "--verbose"]) == 3
    said = capsys.readouterr()
    report = json.loads(said.out)
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert len(report["systems"]) == 2
    assert f"doorward: {dead[0]} association: answered, the port is closed" in said.err


def test_the_operators_own_word_is_in_the_list_of_surveys(
    archive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [archive, "--timeout", "2", "--rate", "0", "--ledger", "other.ledger"]
    assert run(["survey", *arguments, "--fail-on", "critical", "--label", "first"]) == 1
    capsys.readouterr()
    assert run(["ledger", "list", "other.ledger"]) == 0
    assert capsys.readouterr().out.endswith("answers  first\n")


# --- as a process -----------------------------------------------------------------------------------------------------


def test_ctrl_c_finishes_what_is_open_and_tells_how_to_go_on(folder: Path) -> None:
    connected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as kept:

        def serve() -> None:
            try:
                while True:
                    kept.enter_context(server.accept()[0])
                    connected.set()
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        with _process(f"127.0.0.1:{port}", "--timeout", "1", "--systems", "1") as process:
            assert connected.wait(10)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "finishing the questions that are open; Ctrl-C again breaks them off" in err
    assert "stopped by the operator; go on with: doorward survey --ledger doorward.ledger" in err
    assert "stopped early" in " ".join(out.split())
    with Ledger.read(folder / "doorward.ledger") as ledger:
        assert ledger.unfinished() is not None


def test_outside_its_hours_a_survey_waits_and_can_be_stopped(folder: Path, dead: list[str]) -> None:
    shut = datetime.now(UTC).astimezone() + timedelta(hours=3)
    hours = f"{shut:%H}:00-{shut:%H}:30"
    with _process(*dead, "--window", hours) as process:
        assert process.stderr is not None
        said = ""
        while "outside the time window, which opens in" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    with Ledger.read(folder / "doorward.ledger") as ledger:
        assert ledger.progress(1).connections == 0


def _on_a_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a survey whose standard error is a terminal; return its exit code and what that terminal got."""
    ours, theirs = pty.openpty()
    with _process(
        *arguments, stderr=theirs, env={**os.environ, "TERM": "xterm", **environment}
    ) as process:
        os.close(theirs)
        got = b""
        try:
            while piece := os.read(ours, 65_536):
                got += piece
        except OSError:  # the other side has closed it
            pass
        assert process.stdout is not None
        process.stdout.read()
        code = process.wait(20)
    os.close(ours)
    return code, got.decode()


def test_a_terminal_has_a_live_line_that_is_gone_at_the_end(dead: list[str]) -> None:
    pace = ["--network-rate", "2", "--systems", "1"]
    code, got = _on_a_terminal(*dead, *FAST, *pace, NO_COLOR="")
    assert code == 3
    assert "of 2 systems" in got
    assert "asking 127.0.0." in got
    assert "\x1b[2K" in got  # erased
    assert got.rstrip().splitlines()[-1].endswith("connections/s")


def test_no_color_is_honoured_on_a_terminal(dead: list[str]) -> None:
    _, got = _on_a_terminal(*dead, *FAST, NO_COLOR="1")
    assert "of 2 systems" in got
    assert not re.search(r"\x1b\[[0-9;]*\b(3[0-9]|4[0-9]|9[0-7])m", got)
