"""``doorward archive service`` and ``token``: a token is shown once, listed by its id, and ends when it is revoked."""

import pytest

from archive_commands import Terminal
from archive_folders import NOW, journalled
from doorward.access.journal.record import Event


@pytest.fixture
def terminal(tmp_path, capsys, monkeypatch):
    terminal = Terminal(capsys, monkeypatch, tmp_path / "pacs")
    terminal.begin()
    assert terminal("service", "add", "viewer", "--scope", "query,retrieve") == 0
    return terminal


def test_a_token_is_printed_once_and_lets_its_service_in(terminal):
    assert terminal("token", "issue", "viewer", "--scope", "query", "--days", "7") == 0
    text = terminal.out.strip()
    folder = terminal.folder
    who = folder.tokens().identify(text, folder.register(), now=folder.tokens().tokens[0].issued_at)
    assert (who.name, sorted(who.scope)) == ("viewer", ["query"])
    assert text not in terminal.err
    assert terminal("token", "list") == 0
    assert text not in terminal.out
    identifier = terminal.out.split()[0]
    assert terminal("token", "revoke", identifier) == 0
    assert folder.tokens().tokens == ()
    reasons = [entry[2] for entry in journalled(folder) if entry[0] == Event.PERSON_CHANGED]
    assert reasons[-2:] == [f"token {identifier} added", f"token {identifier} removed"]


def test_services_are_listed_and_leave_with_their_tokens(terminal):
    terminal("token", "issue", "viewer", "--scope", "query")
    assert terminal("service", "list") == 0
    assert terminal.out.split() == ["viewer", "workstation", "query,", "retrieve", "tokens:", "1"]
    assert terminal("service", "remove", "viewer") == 0
    assert terminal.folder.register().services == terminal.folder.tokens().tokens == ()
    assert terminal("service", "list") == 0
    assert terminal.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    (
        (["service", "add", "x", "--scope", "everything"], "--scope"),
        (["service", "add", "viewer"], "already taken"),
        (["service", "remove", "ghost"], "no service"),
        (["token", "issue", "ghost", "--scope", "query"], "no service"),
        (["token", "issue", "viewer", "--scope", ","], "--scope"),
        (["token", "issue", "viewer", "--scope", "query", "--days", "9999"], "lifetime"),
        (["token", "revoke", "0" * 12], "no token"),
    ),
)
def test_a_mistake_is_one_line(terminal, words, said):
    assert terminal(*words) == 2
    assert said in terminal.err
    assert terminal.folder.tokens().tokens == ()
    assert NOW
