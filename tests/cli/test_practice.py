"""``doorward practice`` as a person and as a script use it: the real process."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from doorward.cli.main import run
from doorward.practice.personas import PERSONAS

SOURCE = Path(__file__).resolve().parents[2] / "src"


@contextmanager
def practice(*arguments: str, folder: Path):
    """The process, with a folder of its own for what it leaves behind."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(folder)}
    environment.pop("PYTHONASYNCIODEBUG", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "doorward", "practice", *arguments],
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


def test_list_names_every_persona_with_its_sentence(capsys):
    assert run(["practice", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PERSONAS)
    assert all(PERSONAS[line.split()[0]].description in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (["opne"], "Did you mean 'open'?"),
        (["open", "--patients", "99999"], "[patients]: must be 1 to 1234"),
        (["--config", "none.toml"], "none.toml: cannot be read"),
        (["open", "--config", "some.toml"], "--config says everything by itself"),
        (["--config", "some.toml", "--studies", "3"], "--config says everything by itself"),
        (["open", "--port-base", "70000"], "65535"),
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
