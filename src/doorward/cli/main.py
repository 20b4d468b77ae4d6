"""Assembly of the command line, and the one place where an error becomes a line and an exit code.

A command raises; ``run`` prints "doorward: <what is wrong>" and the hint on standard error. There is never a traceback:
its last line would print an exception's text, and that of a bug could hold anything.
"""

import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import doorward
from doorward.audit.exit_code import ExitCode
from doorward.errors import DoorwardError, LocalProtocolError, ScopeError, UsageError


def main() -> None:
    """Run the command line of this process and exit."""
    sys.stdout = _whole(sys.stdout)
    # A terminal in an old character set must not end a report: what it lacks is shown as "?".
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def _whole(stream: TextIO) -> TextIO:
    """Return standard output as a stream that loses nothing when a pipe takes only a part of a report.

    With PYTHONUNBUFFERED the text goes to the bare file, and what a short write leaves over (after a signal, or in a
    pipe that does not block) is dropped in silence: half a JSON document with exit code 0.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    os.set_blocking(stream.fileno(), True)
    if not isinstance(stream.buffer, io.FileIO):
        return stream
    encoding = stream.encoding
    return io.TextIOWrapper(
        io.BufferedWriter(stream.detach()), encoding=encoding, line_buffering=True
    )


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code (``ExitCode``; docs/cli.md)."""
    if list(arguments) == ["--version"]:
        # Before typer is imported: this must answer at once.
        sys.stdout.write(f"doorward {doorward.__version__}\n")
        return ExitCode.PASSED
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except DoorwardError as error:
        return _refused(error)
    except BaseExceptionGroup as group:
        return _group(group)
    except Exception as error:  # noqa: BLE001 - the last stop: no traceback may reach a person
        return _bug(error)


def _dispatch(arguments: Sequence[str]) -> int:
    from doorward.cli.app import app

    try:
        app(args=list(arguments), prog_name="doorward")
    except SystemExit as end:
        cause = None if end.__context__ is None else end.__context__.__cause__
        if isinstance(cause, KeyboardInterrupt):  # which typer turns into an exit without a word
            raise KeyboardInterrupt from None
        return end.code if isinstance(end.code, int) else ExitCode.PASSED
    return ExitCode.PASSED


def _refused(error: DoorwardError) -> int:
    _say(str(error))
    if error.hint:
        _write(f"  {error.hint}")
    if isinstance(error, ScopeError):
        return ExitCode.OUT_OF_SCOPE
    if isinstance(error, UsageError) and not isinstance(error, LocalProtocolError):
        return ExitCode.USAGE
    return ExitCode.NOT_TESTED


def _group(group: BaseExceptionGroup[BaseException]) -> int:
    """What several tasks raised at once: the operator's interrupt first, then a bug, then what is expected."""
    errors = tuple(_leaves(group))
    if any(isinstance(error, KeyboardInterrupt) for error in errors):
        _say("interrupted")
        return ExitCode.INTERRUPTED
    unexpected = [error for error in errors if not isinstance(error, DoorwardError)]
    if unexpected:
        return _bug(unexpected[0])
    return max(_refused(error) for error in errors if isinstance(error, DoorwardError))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _bug(error: BaseException) -> int:
    """Name the type and the place of an unexpected exception, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    house = str(Path(doorward.__file__).parent)
    ours = [frame for frame in frames if frame.filename.startswith(house)]
    place = "unknown place"
    if ours:
        file = Path(ours[-1].filename).relative_to(house)
        place = f"{file}:{ours[-1].lineno}"
    kind = type(error).__name__
    _say(f"internal error (this is a bug, please report it): {kind} at {place}")
    return ExitCode.NOT_TESTED


def _say(message: str) -> None:
    _write(f"doorward: {message}")


def _write(line: str) -> None:
    # A message may quote what a peer or a file said; one line, nothing that steers a terminal.
    harmless = "".join(c if c.isprintable() else "?" for c in line)
    sys.stderr.write(f"{harmless}\n")
