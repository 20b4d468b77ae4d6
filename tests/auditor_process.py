"""``doorward`` in a process of its own, kept alive at the end so that its memory can be read.

Run as a program it carries out one command line, says ``exit code N`` on standard output, and waits until standard input
ends. ``DOORWARD_TEST_BUG`` plants a bug in the counting path that raises with the bytes of a match in its text: what a
careless change could do one day.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
_DONE = re.compile(rb"^exit code (\d+)\n", re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class Finished:
    """A command that is over; its process still lives until the context is left."""

    pid: int
    exit_code: int
    stdout: bytes
    stderr: bytes = b""
    folder: Path

    def written(self) -> dict[str, bytes]:
        """Everything that it left in its folder, which is its home and its place for temporary files too."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def said(self) -> bytes:
        """All output of any kind, one after the other."""
        return b"\n".join((self.stdout, self.stderr, *self.written().values()))


def environment(folder: Path, *, bug: bool = False) -> dict[str, str]:
    """A small environment: nothing of the test's own is inherited but the path to programs."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "DOORWARD_TEST_BUG": "1" if bug else "",
    }


@asynccontextmanager
async def doorward(
    arguments: Sequence[str],
    folder: Path,
    *,
    bug: bool = False,
    wrapper: Sequence[str] = (),
    meanwhile: Callable[[asyncio.subprocess.Process], Awaitable[None]] | None = None,
) -> AsyncIterator[Finished]:
    """Run one command line to its end; the process waits, alive, while the context is open.

    ``wrapper`` is a program to run it under (strace); ``meanwhile`` may send signals.
    """
    errors = folder.parent / f"{folder.name}.stderr"
    os.makedirs(folder, exist_ok=True)
    with open(errors, "wb") as stderr:  # noqa: ASYNC230 - a file of the test's own, opened once
        process = await asyncio.create_subprocess_exec(
            *wrapper,
            sys.executable,
            __file__,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=folder,
            env=environment(folder, bug=bug),
        )
    try:
        helper = None if meanwhile is None else asyncio.ensure_future(meanwhile(process))
        stdout, exit_code = await _until_done(process)
        if helper is not None:
            await helper
        yield Finished(
            pid=process.pid,
            exit_code=exit_code,
            stdout=stdout,
            stderr=errors.read_bytes(),
            folder=folder,
        )
    finally:
        if process.returncode is None:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.send_signal(signal.SIGKILL)
                await process.wait()


async def _until_done(process: asyncio.subprocess.Process) -> tuple[bytes, int]:
    """Return what was printed before ``exit code N``, and N."""
    printed = b""
    while chunk := await process.stdout.read(65_536):
        printed += chunk
        done = _DONE.search(printed)
        if done is not None:
            return printed[: done.start()], int(done[1])
    raise AssertionError("the process ended before it said its exit code")


def plant_bug() -> None:
    """Let the counter raise with all bytes of a match in the text, as an exception of somebody careless would."""
    from doorward.audit import count

    def find_element(identifier: bytes | memoryview, *_: object) -> tuple[int, int, int]:
        raise ValueError(f"cannot make sense of {bytes(identifier)!r}")

    count.find_element = find_element  # type: ignore[assignment]


def main() -> None:
    """Carry out the command line, say the exit code, wait."""
    from doorward.cli.main import run

    if os.environ.get("DOORWARD_TEST_BUG"):
        plant_bug()
    code = run(sys.argv[1:])
    sys.stderr.flush()
    sys.stdout.write(f"exit code {code}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
