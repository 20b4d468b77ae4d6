"""Child processes on loopback: contestants that report JSON, servers that say their port and end with their stdin.

A server child prints its port as its first line and lives until its standard input ends, so that it cannot outlive the
bench, however the bench ends. Only processes that were started here are ever ended.
"""

import json
import os
import resource
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = "127.0.0.1"
START_S = 30.0
#: Below 32768, where Linux starts to take ephemeral ports.
PORTS = range(15_000, 32_000, 7)


class Broken(Exception):
    """A measurement did not work: not a slow figure, but none."""


class TooSlow(Broken):
    """A contestant was not done in the time that it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A running server."""

    pid: int
    port: int

    def resident_kib(self) -> int:
        """Return the resident memory of the process in KiB (VmRSS of proc(5))."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise Broken(f"process {self.pid} has no resident memory")


def program(name: str) -> str | None:
    """Return the path of a peer's program, None where it is not installed."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which(name, path=folders)


def environment() -> dict[str, str]:
    """Return what children of ours see: the code of this tree, no debug mode."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("src", "tools"))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHONASYNCIO")}
    return inherited | {"PYTHONPATH": path}


def python(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module of this tree."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def timed(
    command: Sequence[str],
    *,
    most_s: float,
    codes: Sequence[int] = (0,),
    must_be_silent: bool = False,
) -> float:
    """Run a program to its end and return the seconds it took. Raises Broken when it fails or takes too long."""
    seconds, output, complaints = _run(command, most_s, codes)
    if must_be_silent and (output or complaints):
        raise Broken(f"{command[0]} complained: {(output + complaints)[:400]}")
    return seconds


def rate_without_start(seconds_for: Callable[[int], float], count: int) -> float:
    """Return how many of ``count`` a program does in a second, by the difference of two sizes: start-up cancels out.

    Where the smaller size took longer, other work on the machine was in the way, and both are measured again.
    """
    few = max(1, count // 10)
    for _ in range(6):
        seconds = seconds_for(count) - seconds_for(few)
        if seconds > 0:
            return (count - few) / seconds
    raise Broken(f"{count} are too few to tell the work from the start of the process")


def counted_lines(command: Sequence[str], word: str, *, most_s: float) -> tuple[float, int]:
    """Return the seconds of ``command 2>&1 | grep -c word``, and the count."""
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    ) as speaker:
        try:
            counted = subprocess.run(
                ["grep", "-c", word],
                stdin=speaker.stdout,
                capture_output=True,
                text=True,
                timeout=most_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            speaker.kill()
            raise TooSlow(f"{command[0]} took longer than {most_s:g} s") from None
    return time.perf_counter() - begun, int(counted.stdout)


def output_of(command: Sequence[str], *, most_s: float) -> tuple[float, str]:
    """Run a program to its end and return the seconds it took and what it said; raises Broken like ``timed``."""
    seconds, output, _ = _run(command, most_s, (0,))
    return seconds, output


def report(module: str, *arguments: object, most_s: float = 120.0) -> dict[str, Any]:
    """Run a contestant and return the JSON of its last line, with ``wall_s`` for the whole process."""
    seconds, output, _ = _run(python(module, *arguments), most_s, (0,))
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found | {"wall_s": seconds}


def _run(command: Sequence[str], most_s: float, codes: Sequence[int]) -> tuple[float, str, str]:
    begun = time.perf_counter()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=most_s, check=False, env=environment()
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"{command[0]} took longer than {most_s:g} s") from None
    seconds = time.perf_counter() - begun
    if done.returncode not in codes:
        raise Broken(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}")
    return seconds, done.stdout, done.stderr


@contextmanager
def serving(module: str, *arguments: object, start_s: float = START_S) -> Iterator[Child]:
    """Run a server of this package, which begins within ``start_s``; it ends with the context."""
    process = subprocess.Popen(
        python(module, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    try:
        yield Child(pid=process.pid, port=_first_line(process, module, start_s))
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        _end(process)
        process.stdout.close()


def _first_line(process: "subprocess.Popen[bytes]", name: str, start_s: float) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(start_s):
            raise Broken(f"{name} did not start within {start_s:g} s")
    line = process.stdout.readline()
    if not line.strip().isdigit():
        raise Broken(f"{name} did not start")
    return int(line)


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def listening(command: Sequence[str]) -> Iterator[Child]:
    """Run a foreign server (the port is added to its command) and wait until it accepts connections."""
    port = free_port()
    with listening_on(port, [*command, str(port)]) as child:
        yield child


@contextmanager
def listening_on(port: int, command: Sequence[str]) -> Iterator[Child]:
    """Run a foreign server that has been told its port, and wait until it accepts connections."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(process, port, command[0])
        yield Child(pid=process.pid, port=port)
    finally:
        process.terminate()
        _end(process)


def _await_port(process: "subprocess.Popen[bytes]", port: int, name: str) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)
    raise Broken(f"{name} does not listen")


def free_port() -> int:
    """Return a port on which nothing listens, outside the range of ephemeral ports."""
    for port in PORTS:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("", port))
            except OSError:
                continue
            return port
    raise Broken("no free port")


def until_stdin_ends(port: int) -> None:
    """Say the port and wait until the bench is done; for the main thread of a server child."""
    print(port, flush=True)
    sys.stdin.buffer.read()


def allow_many_files(wanted: int) -> None:
    """Raise the soft limit of open files as far as the hard one allows; raises Broken when that is too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        raise Broken(f"{wanted} open files are needed, {hard} allowed (ulimit -n)")


def peak_kib(pid: int | None = None) -> int:
    """Return the largest resident memory that a process (None: this one) ever had, in KiB: VmHWM of proc(5).

    Not ``ru_maxrss``: that of a child begins with what its parent had before the child's program was loaded.
    """
    status = Path(f"/proc/{'self' if pid is None else pid}/status").read_text()
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise Broken("a process that has ended has no resident memory")
