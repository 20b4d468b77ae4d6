"""``doorward archive device``: the bundle is written, its secrets are shown once, and mistakes change nothing."""

import pytest

from archive_commands import Terminal
from archive_folders import journalled
from doorward.access.authority import KeyKind, hosts_of, key_kind_of
from doorward.access.journal.record import Event


@pytest.fixture
def terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    terminal = Terminal(capsys, monkeypatch, tmp_path / "pacs")
    terminal.begin()
    return terminal


def test_add_writes_a_bundle_and_prints_the_commands_and_the_passphrase(terminal, tmp_path):
    assert terminal("device", "add", "ct1", "--aet", "CT1", "--role", "modality") == 0
    bundle = tmp_path / "ct1-bundle"
    assert {path.name for path in bundle.iterdir()} >= {"ct1.p12", "ct1-key.pem", "settings.txt"}
    assert "echoscu -v -aet CT1 -aec DOORWARD +tls ct1-key.pem" in terminal.out
    passphrase = terminal.out.splitlines()[3].strip()
    assert passphrase.count("-") == 4
    assert not [one for one in bundle.iterdir() if passphrase.encode() in one.read_bytes()]
    assert "ct1 is let in" in terminal.err
    assert (Event.DEVICE_CHANGED, "ct1", "device added") in journalled(terminal.folder)


def test_list_shows_who_is_let_in_and_until_when(terminal):
    terminal("device", "add", "ct1", "--site", "north")
    terminal("device", "add", "mover", "--role", "migration", "--expires", "2030-01-31")
    assert terminal("device", "list") == 0
    first, second = terminal.out.splitlines()
    assert first.split()[:4] == ["ct1", "modality", "CT1", "north"]
    assert "certificate until 20" in first
    assert "expires 2030-01-31" in second


def test_renew_and_revoke(terminal, tmp_path):
    terminal("device", "add", "ct1")
    assert terminal("device", "renew", "ct1") == 2  # its bundle is still here
    assert terminal("device", "renew", "ct1", "--out", str(tmp_path / "new")) == 0
    assert (tmp_path / "new" / "ct1.p12").exists()
    assert len(terminal.folder.register().devices[0].fingerprints) == 2
    assert terminal("device", "revoke", "ct1") == 0
    assert terminal.folder.register().devices == ()
    assert terminal("device", "revoke", "ct1") == 2
    assert "no device" in terminal.err


def test_renew_takes_hosts_and_key_over_unless_told_otherwise(terminal, tmp_path):
    def made(out, *words):
        assert terminal("device", *words, "--out", str(tmp_path / out)) == 0
        pem = (tmp_path / out / "ws1-certificate.pem").read_bytes()
        return key_kind_of(pem), hosts_of(pem)

    begun = made("1", "add", "ws1", "--role", "workstation", "--rsa", "--host", "10.0.0.8")
    assert begun == (KeyKind.RSA, ("10.0.0.8",))
    assert made("2", "renew", "ws1") == begun
    assert made("3", "renew", "ws1", "--ec", "--host", "::1") == (KeyKind.EC, ("::1",))
    assert made("4", "renew", "ws1", "--no-host", "--rsa") == (KeyKind.RSA, ())
    assert terminal("device", "renew", "ws1", "--no-host", "--host", "::1") == 2
    assert "Say one of the two" in terminal.err


@pytest.mark.parametrize(
    ("words", "said"),
    (
        (["CT 1"], "no name"),
        (["ct1", "--role", "reader"], "no role"),
        (["ct1", "--role", "migration"], "expires_at"),
        (["ct1", "--expires", "soon"], "2026-12-31"),
        (["ct1", "--aet", "A" * 17], "AE title"),
        (["ct1", "--request", "none.csr"], "cannot be read"),
        (["ct1", "--out", "none/here"], "no parent"),
        (["ct1", "--address", "10.0.0.7"], "legacy_port"),
        (["ct1", "--address", "10.0.0.7", "--legacy-port", "old"], "names no port"),
    ),
)
def test_a_mistake_is_one_line_and_changes_nothing(terminal, tmp_path, words, said):
    assert terminal("device", "add", *words) == 2
    assert said in terminal.err
    assert terminal.folder.register().devices == ()
    assert [path.name for path in tmp_path.iterdir()] == ["pacs"]


def test_a_legacy_device_is_said_to_be_unencrypted(terminal):
    with terminal.folder.settings_file.open("a") as stream:
        stream.write('\n[[legacy_port]]\nname = "old"\nport = 11199\n')
    words = ("device", "add", "us1", "--aet", "US1", "--address", "10.0.0.7")
    assert terminal(*words, "--legacy-port", "old") == 0
    assert "unencrypted" in terminal.out
    assert "echoscu -v -aet US1 -aec DOORWARD 127.0.0.1 11199" in terminal.out
    assert terminal("device", "list") == 0
    assert "unencrypted from 10.0.0.7 on old" in terminal.out
