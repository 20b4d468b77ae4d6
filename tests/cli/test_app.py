"""The tree of commands: complete, and light to import."""

import subprocess
import sys

import pytest

import doorward
from doorward.cli.main import run


@pytest.mark.parametrize(
    "command", ["audit", "checks", "explain", "knowledge", "practice", "scope"]
)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "--help"]) == 0
    assert f"Usage: doorward {command}" in capsys.readouterr().out


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "0 all passed; 1 something failed; 2 wrong usage" in words


def test_the_version_is_told_beside_other_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version", "audit"]) == 0
    assert capsys.readouterr().out == f"doorward {doorward.__version__}\n"


def test_help_loads_no_work() -> None:
    code = (
        "import sys; import doorward.cli.app; "
        "print(sorted({'pydantic', 'jinja2', 'asyncio', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=10
    )
    assert done.stdout == "[]\n"
