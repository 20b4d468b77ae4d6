"""``doorward archive`` as somebody at a terminal uses it: commands in this process, and an archive in one of its own."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from archive_folders import ports_of
from doorward.archive.running.folder import Folder
from doorward.cli.main import run

SOURCE = Path(__file__).resolve().parent.parent / "src"
PASSWORD = "orange ladder quiet moon"
START_S = 15.0


@dataclass
class Terminal:
    """Runs commands of one archive and remembers what the last one said."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    place: Path
    out: str = ""
    err: str = ""

    @property
    def folder(self) -> Folder:
        """The archive's folder."""
        return Folder(self.place)

    def __call__(self, *words: str, typed: str = "") -> int:
        """Run ``doorward archive`` with these words, the folder after the verbs; return the exit code."""
        verbs = 2 if words[0] in ("device", "person", "service", "token") else 1
        arguments = ["archive", *words[:verbs], str(self.place), *words[verbs:]]
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        self.capsys.readouterr()
        code = run(arguments)
        self.out, self.err = self.capsys.readouterr()
        return code

    def begin(self) -> str:
        """Make the archive on free ports, and return the one-time code."""
        assert self("init") == 0, self.err
        free_ports(self.folder)
        found = re.search(r"One-time code.*: (\S+)$", self.out, re.MULTILINE)
        assert found
        return found[1]


def free_ports(folder: Folder, dicom: int = 0) -> None:
    """Have the archive listen on free ports, DICOM perhaps on a known one."""
    text = folder.settings_file.read_text()
    text = text.replace("port = 2762", f"port = {dicom}", 1).replace("port = 8443", "port = 0", 1)
    folder.settings_file.write_text(text)


@dataclass
class Process:
    """An archive in a process of its own."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    _said: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        """Take what it says, line by line, until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self.ports = ports_of(self.lines)
                self._said.notify_all()

    def until(self, words: str, seconds: float = START_S) -> bool:
        """Wait until it has said something; False: it has not."""
        with self._said:
            return self._said.wait_for(lambda: any(words in one for one in self.lines), seconds)

    def stop(self) -> int:
        """Ask it to stop, as a service manager does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_S)


@contextmanager
def archive_process(place: Path, **environment: str) -> Iterator[Process]:
    """Run an archive until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "doorward", "archive", "run", str(place)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(SOURCE)} | environment,
    )
    running = Process(process)
    listener = threading.Thread(target=running.listen)
    listener.start()
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        listener.join()
        assert process.stderr is not None
        process.stderr.close()
