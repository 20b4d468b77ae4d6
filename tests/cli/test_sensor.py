"""``doorward sensor``: set up in one command, run in another, and every mistake in one line."""

import json
from pathlib import Path

import pytest

from doorward.cli.main import run

INIT = ["--sensor", "north=10.1.0.0/16, 10.2.0.0/16", "--sensor", "south", "--host", "127.0.0.1"]


def test_init_writes_a_folder_and_says_what_goes_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "nats"
    assert run(["sensor", "init", str(folder), *INIT, "--port", "4333"]) == 0
    shown = capsys.readouterr().out
    assert f"nats-server -c {folder / 'nats-server.conf'}" in shown
    assert "doorward sensor run --config sensor-north.toml --scope scope.toml" in shown
    assert f"doorward survey --sensors {folder / 'coordinator.toml'}" in shown
    routes = (folder / "coordinator.toml").read_text()
    assert '"10.2.0.0/16" = "north"' in routes
    assert 'default = "south"' in routes


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (["--sensor", "a", "--sensor", "a", "--host", "h"], "named twice"),
        (["--sensor", "a=10.0.0.1/8", "--host", "h"], "no network"),
        (["--sensor", "a b", "--host", "h"], "no name for a sensor"),
    ),
)
def test_init_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["sensor", "init", str(tmp_path / "nats"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "nats").exists()


def test_run_names_the_file_and_the_field_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "nats"
    assert run(["sensor", "init", str(folder), *INIT]) == 0
    (folder / "sensor-north-key.pem").chmod(0o644)
    config = str(folder / "sensor-north.toml")
    assert run(["sensor", "run", "--config", config]) == 2
    said = capsys.readouterr().err
    assert f"{config} [nats.key]: " in said
    assert "chmod 600" in said


def test_documented_logins_need_the_highest_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "nats"
    assert run(["sensor", "init", str(folder), *INIT]) == 0
    config = str(folder / "sensor-north.toml")
    assert run(["sensor", "run", "--config", config, "--try-default-credentials"]) == 2
    assert "--level 3" in capsys.readouterr().err


def test_without_its_package_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    assert run(["sensor", "init", str(tmp_path / "nats"), *INIT]) == 2
    assert "pip install 'doorward[sensors]'" in capsys.readouterr().err


def test_the_package_is_loaded_by_no_other_command() -> None:
    import subprocess
    import sys

    code = "import json,sys,doorward.cli.app; print(json.dumps([m for m in sys.modules if m == 'nats']))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert json.loads(shown) == []
