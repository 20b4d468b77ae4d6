"""From nothing to the first image with DCMTK, letter for letter as printed; then revoked, and refused within a second."""

import shlex
import shutil
import time

import pytest

from archive_commands import Terminal, archive_process, free_ports
from archive_folders import journalled
from dcmtk import run_tool
from doorward.access.journal.record import Event
from doorward.access.journal.verify import verify
from peers import free_port
from synthetic import make_studies

pytestmark = [pytest.mark.interop, pytest.mark.peer("dcmtk")]


def commands_of(said: str) -> dict[str, list[str]]:
    """The commands that were printed, by their tool."""
    found = (shlex.split(line) for line in said.splitlines() if "scu -v " in line)
    return {words[0]: words for words in found}


def test_from_nothing_to_the_first_image_and_out_again(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    terminal = Terminal(capsys, monkeypatch, tmp_path / "pacs")
    terminal.begin()
    free_ports(terminal.folder)
    text = terminal.folder.settings_file.read_text()
    terminal.folder.settings_file.write_text(text.replace("port = 0", f"port = {free_port()}", 1))
    with archive_process(terminal.place) as running:
        assert running.until("HTTPS on"), running.lines
        assert terminal("device", "add", "ct1", "--aet", "CT1", "--role", "modality") == 0
        commands = commands_of(terminal.out)
        assert running.until("device changed: ct1, device added", 1.0)
        shutil.copy(make_studies(tmp_path / "studies").files[0], tmp_path / "ct1-bundle/IMAGE.dcm")
        monkeypatch.chdir(tmp_path / "ct1-bundle")
        for tool in ("echoscu", "storescu"):
            done = run_tool(*commands[tool])
            assert done.is_success, done.output
            assert "(Success)" in done.output
        began = time.monotonic()
        assert terminal("device", "revoke", "ct1") == 0
        assert running.until("device changed: ct1, device removed", 2.0)
        assert time.monotonic() - began < 1.5  # the command itself takes some tenths of a second
        refused = run_tool(*commands["echoscu"])
        assert not refused.is_success
        assert running.stop() == 0
    said = [entry[0] for entry in journalled(terminal.folder)]
    assert said.count(Event.STORE) == 1
    assert said[-1] == Event.STOP
    assert verify(terminal.folder.journal).is_whole
