"""Every way to fail is one line on standard error and a documented exit code."""

import fcntl
import os
import subprocess
import sys
import time

import pytest

import doorward
from doorward.audit.exit_code import ExitCode
from doorward.cli import main
from doorward.errors import (
    ConfigError,
    ConnectFailed,
    LimitExceeded,
    LocalProtocolError,
    ScopeError,
)

CANARY = "CANARY^PATIENT"


def _failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def dispatch(arguments: object) -> int:
        raise error

    monkeypatch.setattr(main, "_dispatch", dispatch)
    return main.run(["audit"])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("is wrong"), ExitCode.USAGE, "doorward: is wrong\n"),
        (ScopeError("not covered", target="x"), ExitCode.OUT_OF_SCOPE, "doorward: not covered\n"),
        (
            ConnectFailed("name x is unknown", kind="name"),
            ExitCode.NOT_TESTED,
            "doorward: name x is unknown\n",
        ),
        (LimitExceeded(limit="a", value=1, seen=2), ExitCode.NOT_TESTED, None),
        (LocalProtocolError("bug"), ExitCode.NOT_TESTED, "doorward: bug\n"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "doorward: interrupted\n"),
        (
            ExceptionGroup("tasks", [ExceptionGroup("inner", [ScopeError("no", target="x")])]),
            ExitCode.OUT_OF_SCOPE,
            "doorward: no\n",
        ),
        (
            BaseExceptionGroup("tasks", [KeyboardInterrupt(), ValueError(CANARY)]),
            ExitCode.INTERRUPTED,
            "doorward: interrupted\n",
        ),
    ],
)
def test_an_error_is_a_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: ExitCode,
    line: str | None,
) -> None:
    assert _failing(monkeypatch, error) == code
    said = capsys.readouterr()
    assert said.out == ""
    if line is not None:
        assert said.err == line


def test_a_hint_follows_on_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(monkeypatch, ConfigError("is wrong", hint="Do this."))
    assert capsys.readouterr().err == "doorward: is wrong\n  Do this.\n"


@pytest.mark.parametrize(
    "error",
    [ValueError(CANARY), RecursionError(CANARY), ExceptionGroup("x", [KeyError(CANARY)])],
)
def test_a_bug_is_named_by_type_and_place_never_by_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert _failing(monkeypatch, error) == ExitCode.NOT_TESTED
    said = capsys.readouterr().err
    assert said.startswith("doorward: internal error (this is a bug, please report it): ")
    assert said.count("\n") == 1
    assert CANARY not in said
    assert "Traceback" not in said


def test_a_bug_is_named_with_file_and_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(monkeypatch, ValueError())
    assert " ValueError at cli/main.py:" in capsys.readouterr().err


def test_a_message_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(monkeypatch, ConfigError("a\x1b[2J\nb"))
    assert capsys.readouterr().err == "doorward: a?[2J?b\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit"],
        ["audit", "--no-such-option"],
        ["no-such-command"],
        ["audit", "127.0.0.1", "--level", "4"],
    ],
)
def test_wrong_usage_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main.run(arguments) == ExitCode.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err


def test_the_version_is_told_fast_and_on_standard_output() -> None:
    command = [sys.executable, "-m", "doorward", "--version"]
    # The best of three: the machine may be busy, the command is not.
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        durations.append(time.perf_counter() - start)
        assert done.stdout == f"doorward {doorward.__version__}\n"
        if durations[-1] < 0.3:
            break
    assert min(durations) < 0.3


def test_the_version_is_told_without_loading_the_program() -> None:
    code = (
        "import sys; from doorward.cli.main import run; run(['--version']); "
        "print(sorted({'typer', 'rich', 'pydantic', 'jinja2', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=10
    )
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_takes_little_at_a_time_gets_the_whole_document(unbuffered: str) -> None:
    command = [sys.executable, "-m", "doorward", "checks", "--json"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    whole = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    process = subprocess.Popen(command, env=environment, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    with open(reading, "rb") as pipe:
        read = pipe.read()
    _, said = process.communicate(timeout=15)
    assert (process.returncode, said) == (0, b"")
    assert len(whole) > 2 * 4096
    assert read == whole


def test_an_interrupt_inside_a_command_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer turns it into an exit of its own, without a word."""
    from doorward.audit.ledger.ledger import Ledger

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "read", interrupted)
    assert main.run(["ledger", "list", "any.ledger"]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err.endswith("doorward: interrupted\n")
