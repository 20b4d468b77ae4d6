"""Credentials of people as values, and as a file that is refused where it is strange."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from doorward.access import totp
from doorward.access.passwords import Passwords
from doorward.access.people import PeopleBook, SetUp, set_up
from doorward.errors import ConfigError
from web_archives import passwords

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PASSWORD = "four kettles walk to nowhere"


@cache
def ada() -> SetUp:
    return set_up("ada", PASSWORD, passwords())


def book() -> PeopleBook:
    return PeopleBook().with_credentials(ada().credentials)


def code(seconds: float = 0.0) -> str:
    step = int((NOW.timestamp() + seconds) // totp.STEP_S)
    return totp.code_at(ada().secret, step)


def test_what_is_kept_holds_no_password_and_no_recovery_code() -> None:
    content = book().to_bytes()
    assert PASSWORD.encode() not in content
    assert not [one for one in ada().recovery_codes if one.encode() in content]
    assert not [one for one in ada().recovery_codes if one.replace("-", "").encode() in content]
    assert PASSWORD not in repr(ada())
    assert ada().secret not in repr(ada())


def test_password_is_verified_against_what_is_kept() -> None:
    kept = ada().credentials.password
    assert passwords().verify(PASSWORD, kept)
    assert not passwords().verify(PASSWORD + "x", kept)


@pytest.mark.parametrize("name", ["", "Ada", "../ada", "a" * 65])
def test_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        set_up(name, PASSWORD, passwords())


def test_weak_password_is_refused() -> None:
    with pytest.raises(ConfigError, match="password"):
        set_up("ada", "orthanc", Passwords())


def test_code_works_once() -> None:
    kept = ada().credentials
    used = kept.used(code(), now=NOW.timestamp())
    assert used is not None
    assert used.used(code(), now=NOW.timestamp()) is None
    later = NOW.timestamp() + totp.STEP_S
    assert used.used(code(totp.STEP_S), now=later) is not None


def test_recovery_code_works_once_however_it_is_typed() -> None:
    typed = ada().recovery_codes[3].replace("-", " ").upper()
    used = ada().credentials.used(typed, now=0.0)
    assert used is not None
    assert len(used.recovery) == len(ada().recovery_codes) - 1
    assert used.used(typed, now=0.0) is None


def test_new_password_gives_another_mark_secret_and_codes() -> None:
    again = set_up("ada", PASSWORD, passwords())
    assert again.credentials.mark != ada().credentials.mark
    assert again.secret != ada().secret
    changed = book().with_credentials(again.credentials)
    assert changed.people == (again.credentials,)


def test_book_survives_its_file() -> None:
    _, with_code = book().with_first_code(now=NOW, lifetime=timedelta(days=1))
    assert PeopleBook.from_bytes(with_code.to_bytes()) == with_code
    assert PeopleBook.from_bytes(PeopleBook().to_bytes()) == PeopleBook()


def test_removed_name_has_no_credentials() -> None:
    assert book().without("ada").of("ada") is None
    assert book().without("eve") == book()


def test_first_code_is_good_once_and_until_its_end() -> None:
    text, begun = PeopleBook().with_first_code(now=NOW, lifetime=timedelta(hours=1))
    credentials = ada().credentials
    assert begun.begun("7k2mq-9xwtd", credentials, now=NOW) is None
    assert begun.begun(text, credentials, now=NOW + timedelta(hours=1)) is None
    done = begun.begun(text.upper().replace("-", ""), credentials, now=NOW)
    assert done is not None
    assert done.of("ada") == credentials
    assert done.begun(text, credentials, now=NOW) is None


def test_first_code_is_kept_as_a_digest() -> None:
    text, begun = PeopleBook().with_first_code(now=NOW, lifetime=timedelta(hours=1))
    assert text.replace("-", "") not in begun.to_bytes().decode().replace("-", "")
    assert len(text) == 23


def test_new_first_code_takes_the_place_of_the_old_one() -> None:
    old, begun = PeopleBook().with_first_code(now=NOW, lifetime=timedelta(hours=1))
    new, again = begun.with_first_code(now=NOW, lifetime=timedelta(hours=1))
    assert not again.is_first_code(old, now=NOW)
    assert again.is_first_code(new, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d | {"format": "doorward.people/2"},
        lambda d: d | {"more": 1},
        lambda d: d | {"people": {}},
        lambda d: d | {"people": d["people"] * 2},
        lambda d: d | {"people": [d["people"][0] | {"more": 1}]},
        lambda d: d | {"people": [d["people"][0] | {"name": "../ada"}]},
        lambda d: d | {"people": [d["people"][0] | {"password": ""}]},
        lambda d: d | {"people": [d["people"][0] | {"password": "plain text"}]},
        lambda d: d | {"people": [d["people"][0] | {"secret": "x"}]},
        lambda d: d | {"people": [d["people"][0] | {"mark": ""}]},
        lambda d: d | {"people": [d["people"][0] | {"last_step": "1"}]},
        lambda d: d | {"people": [d["people"][0] | {"recovery": ["x"]}]},
        lambda d: d | {"people": [d["people"][0] | {"recovery": ["0" * 64] * 11}]},
        lambda d: d | {"people": [None]},
        lambda d: d | {"first": None},
        lambda d: d | {"first": {"digest": "0" * 64, "expires_at": "2026-11-22T12:00:00"}},
        lambda d: d | {"first": {"digest": "0" * 64, "expires_at": "never"}},
        lambda d: d | {"first": {"digest": "x", "expires_at": "2026-11-22T12:00:00+00:00"}},
        lambda d: [d],
    ],
)
def test_file_that_is_not_ours_lets_nobody_in(change: object) -> None:
    assert callable(change)
    document = change(json.loads(book().to_bytes()))
    with pytest.raises(ConfigError):
        PeopleBook.from_bytes(json.dumps(document).encode())


def test_file_that_is_no_json_lets_nobody_in() -> None:
    with pytest.raises(ConfigError):
        PeopleBook.from_bytes(b"[" * 100_000)


def test_name_can_be_there_once_only() -> None:
    one = ada().credentials
    with pytest.raises(ConfigError, match="twice"):
        PeopleBook(people=(one, replace(one, mark="0" * 18)))
