"""``doorward archive person``: what is typed lets somebody in, what is shown is shown once."""

import pytest

from archive_commands import PASSWORD, Terminal
from archive_folders import journalled
from doorward.access.identity import Role
from doorward.access.journal.record import Event


@pytest.fixture
def terminal(tmp_path, capsys, monkeypatch):
    return Terminal(capsys, monkeypatch, tmp_path / "pacs")


def test_the_first_administrator_comes_in_by_the_code_and_it_is_used_up(terminal):
    code = terminal.begin()
    assert terminal("person", "first", "ada", typed=f"{code}\n{PASSWORD}\n") == 0, terminal.err
    assert "otpauth://totp/Doorward%20archive%3Aada?secret=" in terminal.out
    assert terminal.folder.register().persons[0].role == Role.ADMINISTRATOR
    assert PASSWORD not in terminal.out + terminal.err
    said = journalled(terminal.folder)
    assert (Event.PERSON_CHANGED, "ada", "person added") in said
    assert terminal("person", "first", "eve", typed=f"{code}\n{PASSWORD}\n") == 2
    assert "person code" in terminal.err
    assert [one.name for one in terminal.folder.register().persons] == ["ada"]


def test_a_wrong_code_lets_nobody_in_and_a_new_one_can_be_had(terminal):
    terminal.begin()
    assert terminal("person", "first", "ada", typed=f"wrong\n{PASSWORD}\n") == 2
    assert terminal.folder.register().persons == ()
    assert terminal("person", "code") == 0
    code = terminal.out.split()[-1]
    assert terminal("person", "first", "ada", typed=f"{code}\n{PASSWORD}\n") == 0


def test_people_are_added_listed_given_passwords_and_removed(terminal):
    terminal.begin()
    assert terminal("person", "add", "bob", "--also", "auditor", typed=f"{PASSWORD}\n") == 0
    assert terminal.out.count("\n") == 14
    assert terminal("person", "add", "eve", "--no-password", "--expires", "2031-05-06") == 0
    assert terminal("person", "list") == 0
    first, second = terminal.out.splitlines()
    assert first.split()[:3] == ["bob", "reader,", "auditor"]
    assert "10 recovery codes left" in first
    assert "no password here; expires 2031-05-06" in second
    mark = terminal.folder.people().of("bob").mark
    assert terminal("person", "passwd", "bob", typed="green kettle under snow\n") == 0
    assert terminal.folder.people().of("bob").mark != mark
    assert terminal("person", "remove", "bob") == 0
    assert [one.name for one in terminal.folder.register().persons] == ["eve"]


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    (
        (["add", "bob"], "", "New password"),
        (["add", "bob"], "short\n", "shorter than"),
        (["add", "bob"], "orthanc-orthanc-2024!\n", "archives ship"),
        (["add", "bob", "--role", "modality"], f"{PASSWORD}\n", "no role"),
        (["passwd", "bob"], f"{PASSWORD}\n", "nobody"),
        (["remove", "bob"], "", "nobody"),
        (["first", "ada"], "", "One-time code"),
    ),
)
def test_a_mistake_is_one_line_and_lets_nobody_in(terminal, words, typed, said):
    terminal.begin()
    assert terminal("person", *words, typed=typed) == 2
    assert said in terminal.err
    assert terminal.folder.register().persons == ()
