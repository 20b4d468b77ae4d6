"""``doorward practice`` as a person and as a script use it: the real process."""

import csv
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from doorward.cli.main import run
from doorward.practice.evidence import events
from doorward.practice.personas import PERSONAS
from doorward.practice.study_fleet import DESCRIPTIONS

SOURCE = Path(__file__).resolve().parents[2] / "src"


#: A loopback of its own: a study has fixed addresses, and another may be running.
APART = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c")
LOOPBACK_UP = "ip link set lo up && exec "


def may_stand_apart() -> bool:
    tools = all(map(shutil.which, ("unshare", "ip")))
    tried = [*APART, LOOPBACK_UP + "true"]
    return tools and subprocess.run(tried, capture_output=True, check=False).returncode == 0


@contextmanager
def practice(*arguments: str, folder: Path, is_apart: bool = False):
    """The process, with a folder of its own for what it leaves behind."""
    command = [sys.executable, "-m", "doorward", "practice", *arguments]
    if is_apart:
        command = [*APART, LOOPBACK_UP + shlex.join(command)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(folder)}
    environment.pop("PYTHONASYNCIODEBUG", None)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def settings(folder: Path, *personas: str) -> str:
    file = folder / "practice.toml"
    file.write_text("".join(f'[[archive]]\npersona = "{one}"\nport = 0\n' for one in personas))
    return str(file)


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_archives_say_where_they_are_and_leave_nothing_behind(tmp_path, number):
    config = settings(tmp_path, "open", "mutual-tls", "http")
    kept = tmp_path / "kept"
    kept.mkdir()
    with practice("--config", config, folder=kept) as process:
        lines = [process.stdout.readline().split(maxsplit=2) for _ in range(3)]
        assert [line[1] for line in lines] == ["open", "mutual-tls", "http"]
        assert [line[0].rpartition(":")[0] for line in lines] == [
            "127.0.1.1",
            "127.0.1.2",
            "127.0.1.3",
        ]
        assert list(kept.glob("*/client-key.pem"))
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
        assert "--tls-ca authority.pem" in process.stderr.read()
    assert not list(kept.iterdir())


def test_archives_end_by_themselves_after_so_many_seconds(tmp_path):
    config = settings(tmp_path, "open")
    with practice("--config", config, "--seconds", "0.05", folder=tmp_path) as process:
        assert process.wait(10) == 0


def test_every_door_of_an_archive_is_said(tmp_path):
    file = tmp_path / "practice.toml"
    file.write_text('[[archive]]\npersona = "open"\nport = 0\nviewer_port = 0\nweb_port = 0\n')
    with practice("--config", str(file), folder=tmp_path) as process:
        line = process.stdout.readline()
    assert re.match(r"127\.0\.1\.1:\d+,\d+,\d+  open  Answers", line)


def test_log_has_every_event_once_the_program_has_ended(tmp_path):
    log = tmp_path / "log"
    with practice("--config", settings(tmp_path, "ssh"), "--log", str(log), folder=tmp_path) as p:
        host, _, port = p.stdout.readline().split()[0].partition(":")
        with socket.create_connection((host, int(port))) as caller:
            assert caller.recv(4) == b"SSH-"
            p.send_signal(signal.SIGINT)
            assert p.wait(10) == 0
    with log.open() as lines:
        assert next(events(lines)).event == "connected"


@pytest.mark.skipif(not may_stand_apart(), reason="no network namespace may be made here")
def test_study_says_its_sums_and_how_to_survey_it(tmp_path):
    inventory = tmp_path / "the list.csv"
    arguments = ("study-2019", "--scale", "1000", "--inventory", str(inventory))
    with practice(*arguments, folder=tmp_path, is_apart=True) as process:
        lines = [process.stdout.readline()]
        while not lines[-1].startswith("all "):
            lines.append(process.stdout.readline())
            assert lines[-1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        said = process.stderr.read()
    assert lines[0].startswith("US ")
    assert lines[-1].split()[1:5] == ["systems", "2,300", "unprotected", "590"]
    assert f"doorward survey --import inventory='{inventory}'" in said
    with inventory.open() as rows:
        assert len(list(csv.DictReader(rows))) == 2_300


def test_list_names_every_persona_with_its_sentence(capsys):
    assert run(["practice", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    described = {name: persona.description for name, persona in PERSONAS.items()} | DESCRIPTIONS
    assert [line.split()[0] for line in lines] == list(described)
    assert all(described[line.split()[0]] in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (["opne"], "Did you mean 'open'?"),
        (["open", "--patients", "99999"], "[patients]: must be 1 to 1234"),
        (["--config", "none.toml"], "none.toml: cannot be read"),
        (["open", "--config", "some.toml"], "--config says everything by itself"),
        (["--config", "some.toml", "--studies", "3"], "--config says everything by itself"),
        (["open", "--port-base", "70000"], "65535"),
        (["study-2019", "open"], "a study is a whole fleet"),
        (["study-2019", "--studies", "3"], "Start it alone; --scale makes it smaller."),
        (["study-2019", "--inventory", "/dev/null/x"], "/dev/null/x: cannot be written"),
        (["study-2019", "--config", "some.toml"], "--config says everything by itself"),
        (["open", "--scale", "10"], "--scale and --inventory belong to a study"),
        (["open", "--log", "/dev/null/x"], "/dev/null/x: cannot be written"),
    ),
)
def test_wrong_use_is_a_clear_line_and_exit_code_2(capsys, arguments, words):
    assert run(["practice", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_address_beyond_loopback_is_refused(tmp_path, capsys):
    file = tmp_path / "practice.toml"
    file.write_text('[[archive]]\npersona = "open"\naddress = "0.0.0.0"\n')
    assert run(["practice", "--config", str(file)]) == 2
    assert "0.0.0.0 is not loopback" in capsys.readouterr().err
