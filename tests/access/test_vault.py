"""Secrets that others could read are refused, and what is written is there whole or not at all."""

import os
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from doorward.access.vault import Vault
from doorward.errors import ConfigError, StorageError, StorageFull
from doorward.limits import DEFAULT_LIMITS


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "secrets")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_folder_and_files_are_for_their_owner_alone_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        vault = Vault.create(tmp_path / "secrets")
        vault.add("server-key.pem", b"key")
    finally:
        os.umask(before)
    assert mode(vault.folder) == 0o700
    assert mode(vault.folder / "server-key.pem") == 0o600
    assert vault.read("server-key.pem") == b"key"


def test_what_is_written_replaces_what_was_there(vault):
    vault.write("tokens.json", b"old" * 1_000)
    vault.write("tokens.json", b"new")
    assert vault.read("tokens.json") == b"new"
    assert vault.names() == ("tokens.json",)
    assert os.listdir(vault.folder) == ["tokens.json"]


def test_add_never_replaces(vault):
    vault.add("authority-key.pem", b"first")
    with pytest.raises(ConfigError, match="there already"):
        vault.add("authority-key.pem", b"second")
    assert vault.read("authority-key.pem") == b"first"


def test_create_never_takes_a_folder_that_is_there(vault):
    with pytest.raises(ConfigError, match="there already"):
        Vault.create(vault.folder)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_file_that_others_can_use_is_refused_with_the_command_that_helps(vault, bits):
    vault.add("server-key.pem", b"key")
    (vault.folder / "server-key.pem").chmod(bits)
    for refused in (
        lambda: vault.read("server-key.pem"),
        lambda: vault.path("server-key.pem"),
        lambda: vault.write("server-key.pem", b"other"),
        vault.check,
    ):
        with pytest.raises(ConfigError, match=f"mode {bits:04o}") as error:
            refused()
        assert "chmod 600" in (error.value.hint or "")


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o770, 0o1777])
def test_a_folder_that_others_can_use_is_refused(vault, bits):
    vault.add("server-key.pem", b"key")
    vault.folder.chmod(bits)
    with pytest.raises(ConfigError, match="by others") as error:
        Vault(vault.folder)
    assert "chmod 700" in (error.value.hint or "")
    with pytest.raises(ConfigError, match="by others"):
        vault.read("server-key.pem")  # also when it was opened before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(vault):
    vault.add("server-key.pem", b"key")
    os.chown(vault.folder / "server-key.pem", 65_534, -1)
    with pytest.raises(ConfigError, match="another user"):
        vault.read("server-key.pem")


def test_links_are_refused(vault, tmp_path):
    vault.add("server-key.pem", b"key")
    (vault.folder / "client-key.pem").symlink_to(vault.folder / "server-key.pem")
    with pytest.raises(ConfigError, match="symbolic link"):
        vault.read("client-key.pem")
    (tmp_path / "link").symlink_to(vault.folder)
    with pytest.raises(ConfigError, match="symbolic link"):
        Vault(tmp_path / "link")
    os.link(vault.folder / "server-key.pem", tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="second name"):
        vault.read("server-key.pem")


def test_a_pipe_a_socket_and_a_folder_are_refused_without_waiting(vault):
    os.mkfifo(vault.folder / "pipe", 0o600)
    (vault.folder / "folder").mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(vault.folder / "socket"))
        for name in ("pipe", "folder"):
            with pytest.raises(ConfigError, match="is no file"):
                vault.read(name)
        with pytest.raises((ConfigError, StorageError)):
            vault.read("socket")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "A", "a\0b", "x" * 129])
def test_a_name_cannot_lead_out_of_the_folder(vault, name):
    for use in (vault.read, vault.remove, lambda one: vault.write(one, b"")):
        with pytest.raises(ConfigError, match="no name"):
            use(name)


def test_a_missing_secret_or_folder_is_said(vault, tmp_path):
    for use in (vault.read, vault.remove):
        with pytest.raises(ConfigError, match="is missing"):
            use("server-key.pem")
    with pytest.raises(ConfigError, match="is missing"):
        Vault(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="is no folder"):
        Vault(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot write"):
        Vault.create(tmp_path / "nowhere" / "secrets")


def test_a_secret_is_bounded_both_ways(vault):
    small = Vault(vault.folder, limits=replace(DEFAULT_LIMITS, secret_bytes=4))
    with pytest.raises(ConfigError, match="longer than 4 bytes"):
        small.write("note", b"12345")
    vault.write("note", b"12345")
    with pytest.raises(ConfigError, match="longer than 4 bytes"):
        small.read("note")


def test_removed_is_gone(vault):
    vault.add("note", b"text")
    assert "note" in vault
    vault.remove("note")
    assert "note" not in vault


def test_what_a_change_raises_leaves_all_as_it_was(vault):
    vault.add("note", b"text")

    def fails(_: bytes | None) -> bytes:
        raise KeyError

    with pytest.raises(KeyError):
        vault.update("note", fails)
    assert vault.read("note") == b"text"
    vault.write("note", b"and it goes on")  # the lock was given back


def test_a_full_disk_leaves_the_old_content(vault, monkeypatch):
    vault.add("note", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("doorward.access.vault.os.fsync", full)
    with pytest.raises(StorageFull):
        vault.write("note", b"new")
    assert vault.read("note") == b"old"
    assert os.listdir(vault.folder) == ["note"]


def test_a_secret_that_is_replaced_while_it_is_read_is_read_whole(vault, monkeypatch):
    vault.add("note", b"old")
    look = os.fstat
    replaced = []

    def late(file: int) -> os.stat_result:
        if stat.S_ISREG(look(file).st_mode) and not replaced:
            replaced.append(file)
            vault.write("note", b"new")
        return look(file)

    monkeypatch.setattr("doorward.access.vault.os.fstat", late)
    assert vault.read("note") == b"old"
    assert replaced
    assert vault.read("note") == b"new"


COUNTER = """
import sys
from pathlib import Path
from doorward.access.vault import Vault
vault = Vault(Path(sys.argv[1]))
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    vault.update("count", lambda present: b"%d" % (int(present or b"0") + 1))
"""


def writers(vault: Vault, number: int, times: int) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", COUNTER, str(vault.folder), str(times)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(number)
    ]


def test_writers_of_several_processes_take_turns(vault):
    processes = writers(vault, 3, 40)
    for process in processes:
        process.communicate(timeout=15)
        assert process.returncode == 0
    assert vault.read("count") == b"120"


def test_a_killed_writer_leaves_a_whole_secret_and_holds_up_nobody(vault):
    (process,) = writers(vault, 1, 1_000_000)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    seen = 0
    while seen < 5:
        seen = int(vault.read("count")) if "count" in vault else 0
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    count = int(vault.read("count"))
    assert count >= seen
    vault.write("count", b"1")
    assert os.listdir(vault.folder) == ["count"]


def test_nothing_of_a_secret_is_in_repr_or_errors(vault):
    vault.write("note", b"KEEP-THIS-SECRET")
    (vault.folder / "note").chmod(0o644)
    with pytest.raises(ConfigError) as error:
        vault.read("note")
    assert "KEEP-THIS" not in f"{vault!r}{error.value}{error.value.hint}"
