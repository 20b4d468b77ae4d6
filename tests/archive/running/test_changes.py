"""Every change from outside is in the journal once: told by a command, or by the archive that runs."""

import asyncio

import pytest

from archive_folders import NOW, appended, ct1, journalled, made
from doorward.access.identity import Operation, Person, Role, Service
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Event
from doorward.archive.running.changes import (
    JOURNALLED,
    entries_between,
    note,
    note_unless_running,
    standing,
)
from doorward.archive.running.devices import revoke_device
from doorward.archive.running.persons import add_person, issue_token, set_password
from doorward.errors import ConfigError
from loopback import in_loop

PASSWORD = "orange ladder quiet moon"


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "pacs")


def told(folder):
    """Have the journal told, and return what it then says that it did not say before."""
    before = len(journalled(folder))
    assert asyncio.run(note_unless_running(folder))
    return journalled(folder)[before:]


def test_a_new_archive_has_journalled_its_certificates_and_settings(folder):
    said = journalled(folder)
    assert (Event.SETTINGS_CHANGED, "authority", "certificate added") in said
    assert (Event.SETTINGS_CHANGED, "server", "certificate added") in said
    assert told(folder) == []


def test_each_change_is_told_once_by_name(folder):
    ct1(folder)
    assert told(folder) == [(Event.DEVICE_CHANGED, "ct1", "device added")]
    revoke_device(folder, "ct1", now=NOW)
    assert told(folder) == [(Event.DEVICE_CHANGED, "ct1", "device removed")]
    appended(folder, "# seen\n")
    assert told(folder) == [(Event.SETTINGS_CHANGED, "doorward.toml", "settings changed")]
    folder.make_certificates(["localhost"], now=NOW)
    assert told(folder) == [(Event.SETTINGS_CHANGED, "server", "certificate changed")]


def test_people_and_tokens_are_told_and_no_secret_of_theirs(folder):
    ada = Person(name="ada", role=Role.READER)
    add_person(folder, ada, PASSWORD)
    assert told(folder) == [
        (Event.PERSON_CHANGED, "ada", "credentials added"),
        (Event.PERSON_CHANGED, "ada", "person added"),
    ]
    set_password(folder, "ada", PASSWORD)
    assert told(folder) == [(Event.PERSON_CHANGED, "ada", "credentials changed")]
    service = Service(name="viewer", role=Role.WORKSTATION)
    folder.change_register(lambda register: register.with_entry(service))
    life = NOW - NOW.replace(year=NOW.year - 1)
    token = issue_token(folder, "viewer", scope={Operation.QUERY}, lifetime=life, now=NOW)
    assert (Event.PERSON_CHANGED, "viewer", f"token {token.id} added") in told(folder)
    kept = folder.vault().read(JOURNALLED).decode()
    assert token.text not in kept
    assert PASSWORD not in kept


def test_a_code_that_is_used_up_is_no_change_of_credentials(folder):
    made_up = add_person(folder, Person(name="ada", role=Role.READER), PASSWORD)
    told(folder)
    (recovery, *_) = made_up.recovery_codes

    def used(book):
        return book.with_credentials(book.of("ada").used(recovery, now=NOW.timestamp()))

    before = folder.people()
    assert folder.change_people(used) != before
    assert told(folder) == []


@in_loop
async def test_while_somebody_else_has_the_journal_a_command_leaves_it_to_them(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    ct1(folder)
    journal = Journal(folder.journal)
    try:
        assert not await note_unless_running(folder)
        assert [one.subject for one in await note(folder, journal)] == ["ct1"]
        assert await note(folder, journal) == []
    finally:
        await journal.close()


def test_differences_are_named_in_order():
    entries = entries_between(
        {"device a": "1", "device b": "1"}, {"device b": "2", "device c": "1"}
    )
    said = [(one.subject, one.reason) for one in entries]
    assert said == [("a", "device removed"), ("b", "device changed"), ("c", "device added")]


def test_a_damaged_memory_is_refused_with_what_to_do(folder):
    folder.vault().write(JOURNALLED, b'{"format": "else/1"}')
    with pytest.raises(ConfigError, match="damaged") as caught:
        asyncio.run(note_unless_running(folder))
    assert "Remove it" in caught.value.hint
    folder.vault().remove(JOURNALLED)
    assert len(told(folder)) == len(standing(folder))
