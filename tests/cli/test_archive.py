"""``doorward archive init|run|renew|unit``: what a person sees, and every mistake in one line."""

import re
import socket
import sys
import tomllib
from pathlib import Path

import pytest

from archive_commands import Terminal, archive_process, free_ports
from archive_folders import appended
from doorward.archive.running.folder import OPENID_SECRET, SERVER
from doorward.cli import archive


@pytest.fixture
def terminal(tmp_path, capsys, monkeypatch):
    return Terminal(capsys, monkeypatch, tmp_path / "pacs")


def test_init_says_the_code_and_what_comes_next(terminal):
    code = terminal.begin()
    assert terminal.folder.people().first is not None
    assert len(code) > 15
    place = terminal.place
    for line in (f"person first {place} NAME", f"archive run {place}", f"{place}/doorward.toml"):
        assert line in terminal.out
    assert f"device add {place} ct1 --aet CT1 --role modality" in terminal.out
    assert terminal.err == ""


def test_init_takes_name_hosts_and_title(terminal):
    words = ("--name", "Clinic", "--host", "pacs.example", "--ae-title", "CLINIC")
    assert terminal("init", *words) == 0
    settings = terminal.folder.settings()
    assert (settings.site.name, settings.dicom.ae_title) == ("Clinic", "CLINIC")
    assert settings.site.hosts == ("pacs.example", "127.0.0.1", "localhost")


def test_init_leaves_alone_what_is_there(terminal):
    terminal.begin()
    assert terminal("init") == 2
    assert "not empty" in terminal.err
    assert len(terminal.err.splitlines()) == 2


@pytest.mark.parametrize("verb", ["run", "renew", "unit"])
def test_a_folder_that_is_no_archive_is_refused_with_what_to_do(terminal, verb):
    terminal.place.mkdir()
    assert terminal(verb) == 2
    assert "archive init" in terminal.err


def test_run_refuses_unknown_settings_with_their_line(terminal):
    terminal.begin()
    appended(terminal.folder, "\n[dicon]\n")
    line = len(terminal.folder.settings_file.read_text().splitlines())
    assert terminal("run") == 2
    assert f"doorward.toml:{line} [dicon]: is no setting" in terminal.err
    assert "'dicom'" in terminal.err


def test_run_refuses_readable_secrets(terminal):
    terminal.begin()
    (terminal.folder.secrets / "server-key.pem").chmod(0o644)
    assert terminal("run") == 2
    assert "chmod 600" in terminal.err


def test_renew_makes_a_certificate_for_the_hosts(terminal):
    terminal.begin()
    before = terminal.folder.vault().read(SERVER)
    assert terminal("renew") == 0
    assert terminal.folder.vault().read(SERVER) != before
    assert "good until" in terminal.out


def test_the_secret_of_the_provider_is_kept_and_not_shown(terminal):
    terminal.begin()
    assert terminal("openid-secret", typed="q8Zt0nW3ybF5\n") == 0
    assert terminal.folder.vault().read(OPENID_SECRET) == b"q8Zt0nW3ybF5\n"
    assert "q8Z" not in terminal.out + terminal.err


def test_a_port_that_is_taken_is_one_line(terminal):
    terminal.begin()
    with socket.create_server(("127.0.0.1", 0)) as other:
        text = terminal.folder.settings_file.read_text()
        port = other.getsockname()[1]
        terminal.folder.settings_file.write_text(text.replace("port = 0", f"port = {port}"))
        with archive_process(terminal.place) as running:
            assert running.process.wait(15) == 2
    said = [line for line in running.lines if "cannot listen" in line]
    assert len(said) == 1
    assert "[dicom.port]" in said[0]
    assert "Traceback" not in "".join(running.lines)


def test_unit_prints_a_unit_for_the_owner_of_the_folder(terminal):
    terminal.begin()
    assert terminal("unit") == 0
    assert f"User={terminal.place.owner()}\n" in terminal.out
    assert f'archive run "{terminal.place}"' in terminal.out
    assert terminal("unit", "--user", "pacs") == 0
    assert "User=pacs\n" in terminal.out


def test_run_says_where_it_listens_and_ends_when_it_is_asked_to(terminal):
    terminal.begin()
    with archive_process(terminal.place) as running:
        assert running.until("HTTPS on"), running.lines
        assert set(running.ports) == {"dicom", "https"}
        assert running.stop() == 0
    assert running.lines[-1] == "doorward: the archive is closed"


def test_run_speaks_json_where_the_settings_say_so(terminal):
    terminal.begin()
    text = terminal.folder.settings_file.read_text()
    terminal.folder.settings_file.write_text(text.replace('format = "text"', 'format = "json"'))
    free_ports(terminal.folder)
    with archive_process(terminal.place) as running:
        assert running.until("HTTPS on"), running.lines
        running.stop()
    assert all(line.startswith('{"time": "') for line in running.lines)


def test_a_missing_extra_is_one_sentence_that_says_what_to_install(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)  # what an import meets that finds nothing
    assert terminal("init") == 2
    assert "starlette" in terminal.err
    assert "uvicorn" not in terminal.err
    assert "pip install '.[archive,images]'" in terminal.err
    assert len(terminal.err.splitlines()) == 2
    assert not terminal.place.exists()


def test_everything_that_the_extra_installs_is_looked_for():
    project = Path(__file__).parents[2] / "pyproject.toml"
    extra = tomllib.loads(project.read_text())["project"]["optional-dependencies"]["archive"]
    names = {re.match(r"[a-z0-9-]+", one)[0].replace("-", "_") for one in extra}
    assert {name.removesuffix("_cffi") for name in names} == set(archive._NEEDED)
