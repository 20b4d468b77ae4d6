"""The unit is one that systemd takes, and gives the archive few rights."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from doorward.archive.running.unit import unit_file
from doorward.errors import ConfigError

PLACE = Path("/srv/pacs one")
PROGRAM = Path("/usr/bin/python3")


def test_the_unit_runs_the_archive_of_the_folder_and_lets_it_write_nothing_else():
    text = unit_file(PLACE, user="doorward", program=PROGRAM)
    assert 'ExecStart="/usr/bin/python3" -m doorward archive run "/srv/pacs one"' in text
    assert re.findall(r"^ReadWritePaths=(.*)$", text, re.MULTILINE) == ['"/srv/pacs one"']
    for line in ("Type=notify", "User=doorward", "ProtectSystem=strict", "NoNewPrivileges=yes"):
        assert f"\n{line}\n" in text
    assert "RestartPreventExitStatus=2" in text


def test_homes_are_hidden_unless_the_archive_lies_in_one():
    assert "\nProtectHome=yes\n" in unit_file(PLACE, user="pacs", program=PROGRAM)
    assert "\nProtectHome=yes\n" not in unit_file(Path("/home/x"), user="x", program=PROGRAM)


@pytest.mark.parametrize(
    ("folder", "user"),
    (('/srv/a"b', "x"), ("/srv/a\nb", "x"), ("/srv/a%b", "x"), ("/srv/a$b", "x"), ("/a", "x\ny")),
)
def test_what_would_change_the_unit_is_refused(folder, user):
    with pytest.raises(ConfigError, match="unit"):
        unit_file(Path(folder), user=user, program=PROGRAM)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_the_unit(tmp_path):
    file = tmp_path / "doorward-archive.service"
    file.write_text(unit_file(tmp_path, user="root", program=PROGRAM))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert "doorward-archive.service" not in done.stderr, done.stderr
