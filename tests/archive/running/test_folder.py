"""What lies in an archive's folder is read anew each time, and changed as a whole or not at all."""

import pytest

from archive_folders import NOW, made
from doorward.access.authority import certificate_from, fingerprint_of, hosts_of
from doorward.access.identity import Operation, Person, Register, Role, Service
from doorward.access.tokens import TokenBook
from doorward.archive.running.folder import (
    CLIENT,
    REGISTER,
    SERVER,
    SERVER_KEY,
    TOKENS,
    Folder,
    named,
)
from doorward.errors import ConfigError
from doorward.net.tls import server_context

ADA = Person(name="ada", role=Role.READER)


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "pacs")


def test_a_folder_that_is_no_archive_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError) as caught:
        Folder(tmp_path).require_private()
    assert "archive init" in caught.value.hint


def test_a_folder_that_others_can_read_is_refused(folder):
    folder.require_private()
    folder.path.chmod(0o750)
    with pytest.raises(ConfigError, match="others") as caught:
        folder.require_private()
    assert caught.value.hint.startswith("chmod 700")


def test_the_register_is_changed_as_a_whole(folder):
    assert folder.register() == Register()
    changed = folder.change_register(lambda register: register.with_entry(ADA))
    assert changed == folder.register() == Register(persons=(ADA,))
    with pytest.raises(ConfigError):
        folder.change_register(lambda register: register.with_entry(ADA))
    assert folder.register() == changed


def test_a_damaged_register_names_its_file(folder):
    folder.vault().write(REGISTER, b"{}")
    with pytest.raises(ConfigError) as caught:
        folder.register()
    assert caught.value.file == folder.secrets / REGISTER
    folder.vault().remove(REGISTER)
    with pytest.raises(ConfigError, match="missing"):
        folder.change_register(lambda register: register)
    assert REGISTER not in folder.vault()


def test_tokens_and_people_begin_with_none(folder):
    assert folder.tokens() == TokenBook()
    assert TOKENS not in folder.vault()
    assert folder.people().people == ()

    def issue(book):
        return book.issue(
            owner="viewer",
            scope={Operation.QUERY},
            now=NOW,
            lifetime=NOW - NOW.replace(year=NOW.year - 1),
        ).book

    changed = folder.change_tokens(issue)
    assert folder.tokens() == changed != TokenBook()


def test_new_certificates_are_for_the_hosts_and_fit_their_keys(folder):
    before = folder.vault().read(SERVER)
    server = folder.make_certificates(["pacs.example", "10.0.0.7"], now=NOW)
    vault = folder.vault()
    assert hosts_of(vault.read(SERVER)) == ("pacs.example", "10.0.0.7")
    assert vault.read(SERVER) != before
    assert server.fingerprint == fingerprint_of(certificate_from(vault.read(SERVER)))
    server_context(vault.path(SERVER), vault.path(SERVER_KEY))
    assert hosts_of(vault.read(CLIENT)) == ()


def test_the_archives_own_certificate_is_nobody_here(folder):
    print_ = fingerprint_of(certificate_from(folder.vault().read(CLIENT)))
    assert folder.register().by_certificate(print_) is None


def test_an_entry_is_found_by_its_name_alone_and_a_missing_one_says_where_all_are_named():
    first, second = Service(name="a", role="modality"), Service(name="ab", role="modality")
    assert named((first, second), "ab", "service", "is no service here") is second
    with pytest.raises(ConfigError, match="is no service here") as refused:
        named((first, second), "A" * 100, "service", "is no service here")
    assert refused.value.field == "service " + "A" * 64
    assert "archive service list" in (refused.value.hint or "")
