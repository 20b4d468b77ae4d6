"""People, services and tokens: who is in the register has credentials, and who has left has none."""

from datetime import timedelta

import pytest

from archive_folders import NOW, made
from doorward.access.identity import Operation, Person, Role, Service
from doorward.access.passwords import Passwords
from doorward.archive.running.persons import (
    add_person,
    add_service,
    admit_first,
    issue_token,
    new_first_code,
    person_named,
    remove_person,
    remove_service,
    service_named,
    set_password,
)
from doorward.errors import ConfigError

PASSWORD = "orange ladder quiet moon"
ADA = Person(name="ada", role=Role.READER)
VIEWER = Service(name="viewer", role=Role.WORKSTATION)
MONTH = timedelta(days=30)


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "pacs")


def test_a_person_is_let_in_with_a_password_that_is_kept_as_a_hash(folder):
    shown = add_person(folder, ADA, PASSWORD)
    kept = folder.people().of("ada")
    assert person_named(folder.register(), "ada") == ADA
    assert Passwords().verify(PASSWORD, kept.password)
    assert shown.secret == kept.secret
    assert len(shown.recovery_codes) == len(kept.recovery)


def test_without_a_password_they_log_in_elsewhere(folder):
    assert add_person(folder, ADA, None) is None
    assert folder.people().of("ada") is None


@pytest.mark.parametrize("password", ["", "short", "orthancorthanc2024", "adaadaadaadaada"])
def test_a_bad_password_lets_nobody_in(folder, password):
    with pytest.raises(ConfigError):
        add_person(folder, ADA, password)
    assert folder.register().persons == ()
    assert folder.people().people == ()


def test_a_new_password_takes_the_place_of_the_old_one(folder):
    add_person(folder, ADA, PASSWORD)
    before = folder.people().of("ada")
    set_password(folder, "ada", "green kettle under snow")
    after = folder.people().of("ada")
    assert before.mark != after.mark
    assert not Passwords().verify(PASSWORD, after.password)
    with pytest.raises(ConfigError, match="nobody"):
        set_password(folder, "bob", PASSWORD)


def test_who_is_removed_has_neither_entry_nor_credentials(folder):
    add_person(folder, ADA, PASSWORD)
    remove_person(folder, "ada")
    assert (folder.register().persons, folder.people().people) == ((), ())
    with pytest.raises(ConfigError):
        remove_person(folder, "ada")


def test_the_first_administrator_is_admitted_once_or_twice_and_nobody_is_raised_to_it(folder):
    admit_first(folder, "root1")
    admit_first(folder, "root1")
    assert folder.register().persons == (Person(name="root1", role=Role.ADMINISTRATOR),)
    add_person(folder, ADA, None)
    with pytest.raises(ConfigError):
        admit_first(folder, "ada")
    assert person_named(folder.register(), "ada").role == Role.READER


def test_a_new_first_code_ends_the_former_one(folder):
    first, _ = new_first_code(folder, now=NOW)
    second, ends_at = new_first_code(folder, now=NOW)
    book = folder.people()
    assert not book.is_first_code(first, now=NOW)
    assert book.is_first_code(second, now=NOW)
    assert not book.is_first_code(second, now=ends_at)


def test_a_token_is_issued_to_a_service_that_is_known(folder):
    folder.change_register(lambda register: register.with_entry(VIEWER))
    made_token = issue_token(folder, "viewer", scope={Operation.QUERY}, lifetime=MONTH, now=NOW)
    who = folder.tokens().identify(made_token.text, folder.register(), now=NOW)
    assert (who.name, who.scope) == ("viewer", frozenset({Operation.QUERY}))
    assert made_token.expires_at == NOW + MONTH
    for nobody in ("ghost", "ada"):
        with pytest.raises(ConfigError, match="no service"):
            issue_token(folder, nobody, scope={Operation.QUERY}, lifetime=MONTH, now=NOW)


def test_nobody_inherits_what_a_removal_that_broke_off_has_left_behind(folder):
    add_person(folder, ADA, PASSWORD)
    add_service(folder, VIEWER)
    old = issue_token(folder, "viewer", scope={Operation.QUERY}, lifetime=MONTH, now=NOW)
    for name in ("ada", "viewer"):
        folder.change_register(lambda register, name=name: register.without(name))
    add_person(folder, ADA, None)
    add_service(folder, VIEWER)
    assert folder.people().of("ada") is None
    assert folder.tokens().verify(old.text, now=NOW) is None


def test_a_removed_service_takes_its_tokens_along(folder):
    for name in ("viewer", "backup"):
        one = Service(name=name, role=Role.WORKSTATION)
        folder.change_register(lambda register, one=one: register.with_entry(one))
        issue_token(folder, name, scope={Operation.QUERY}, lifetime=MONTH, now=NOW)
    remove_service(folder, "viewer")
    assert [token.owner for token in folder.tokens().tokens] == ["backup"]
    assert service_named(folder.register(), "backup")
    with pytest.raises(ConfigError):
        service_named(folder.register(), "viewer")
