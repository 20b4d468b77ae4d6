"""Logins against a vault: one answer for all that is wrong, codes that work once, and waits."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from argon2 import PasswordHasher

from doorward.access import totp
from doorward.access.identity import How, Person, Register, Role, Service
from doorward.access.login import WRONG, LoggedIn, Login, NotLoggedIn
from doorward.access.people import PEOPLE, PeopleBook, SetUp, set_up
from doorward.access.vault import Vault
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS
from web_archives import passwords

_T = TypeVar("_T")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PASSWORD = "four kettles walk to nowhere"
LIMITS = replace(DEFAULT_LIMITS, login_free_failures=3, login_delay_s=60.0)
REGISTER = Register(
    persons=(
        Person(name="ada", role=Role.READER),
        Person(name="old", role=Role.READER, expires_at=NOW - timedelta(days=1)),
    ),
    services=(Service(name="viewer", role=Role.WORKSTATION),),
)


@cache
def credentials(name: str) -> SetUp:
    return set_up(name, PASSWORD, passwords())


def code_of(made: SetUp, now: datetime = NOW) -> str:
    return totp.code_at(made.secret, int(now.timestamp() // totp.STEP_S))


@contextmanager
def login(folder: Path, *names: str) -> Iterator[Login]:
    """A login whose vault knows these names."""
    vault = Vault.create(folder / "secrets")
    book = PeopleBook()
    for name in names:
        book = book.with_credentials(credentials(name).credentials)
    vault.write(PEOPLE, book.to_bytes())
    made = Login(vault, passwords=passwords(), limits=LIMITS)
    try:
        yield made
    finally:
        made.close()


def run(work: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(work)


async def attempt(
    login: Login, name: str = "ada", password: str = PASSWORD, code: str | None = None, **named: Any
) -> LoggedIn | NotLoggedIn:
    """Try to log in; by the right code where none is given."""
    typed = code_of(credentials("ada")) if code is None else code
    with_defaults: dict[str, Any] = {
        "address": "192.0.2.1",
        "register": REGISTER,
        "now": NOW,
    } | named
    return await login.attempt(name, password, typed, **with_defaults)


def test_right_name_password_and_code_log_in(tmp_path: Path) -> None:
    with login(tmp_path, "ada") as door:
        found = run(attempt(door))
        assert isinstance(found, LoggedIn)
        assert (found.identity.name, found.identity.how) == ("ada", How.PASSWORD_AND_CODE)
        assert door.is_current("ada", found.mark)


def test_everything_that_is_wrong_is_answered_alike(tmp_path: Path) -> None:
    async def all_of(door: Login) -> list[LoggedIn | NotLoggedIn]:
        return [
            await attempt(door, "eve", address="192.0.2.1"),
            await attempt(door, "ada", "wrong", address="192.0.2.2"),
            await attempt(door, "ada", code="000000", address="192.0.2.3"),
            await attempt(door, "viewer", address="192.0.2.4"),
            await attempt(door, "old", code=code_of(credentials("old"))),
        ]

    with login(tmp_path, "ada", "old") as door:
        found = run(all_of(door))
    assert {getattr(one, "said", None) for one in found} == {WRONG}
    reasons = [one.reason for one in found if isinstance(one, NotLoggedIn)]
    assert reasons == [
        "nobody has this name",
        "the password is wrong",
        "the code is wrong or was used",
        "nobody has this name",
        "identity has expired",
    ]


def test_code_works_once_also_for_two_at_the_same_moment(tmp_path: Path) -> None:
    async def both(door: Login) -> list[LoggedIn | NotLoggedIn]:
        return list(await asyncio.gather(attempt(door), attempt(door)))

    with login(tmp_path, "ada") as door:
        found = run(both(door))
    assert sorted(type(one).__name__ for one in found) == ["LoggedIn", "NotLoggedIn"]


def test_used_code_is_used_for_another_process_too(tmp_path: Path) -> None:
    with login(tmp_path, "ada") as door:
        assert isinstance(run(attempt(door)), LoggedIn)
        other = Login(door.book.vault, passwords=passwords(), limits=LIMITS)
        try:
            assert isinstance(run(attempt(other)), NotLoggedIn)
        finally:
            other.close()


def test_recovery_code_stands_for_a_code_once(tmp_path: Path) -> None:
    typed = credentials("ada").recovery_codes[0]

    async def twice(door: Login) -> list[LoggedIn | NotLoggedIn]:
        return [await attempt(door, code=typed), await attempt(door, code=typed)]

    with login(tmp_path, "ada") as door:
        found = run(twice(door))
    assert [type(one).__name__ for one in found] == ["LoggedIn", "NotLoggedIn"]


def test_wrong_code_uses_nothing_up(tmp_path: Path) -> None:
    with login(tmp_path, "ada") as door:
        before = door.book.vault.read(PEOPLE)
        assert isinstance(run(attempt(door, code="000000")), NotLoggedIn)
        assert isinstance(run(attempt(door, password="wrong")), NotLoggedIn)
        assert door.book.vault.read(PEOPLE) == before


def test_name_is_locked_after_some_failures_whatever_is_typed_then(tmp_path: Path) -> None:
    async def tries(door: Login) -> list[LoggedIn | NotLoggedIn]:
        wrong = [await attempt(door, password="wrong", address=f"192.0.2.{n}") for n in range(3)]
        return [*wrong, await attempt(door, address="192.0.2.9")]

    with login(tmp_path, "ada") as door:
        found = run(tries(door))
    locked = found[-1]
    assert isinstance(locked, NotLoggedIn)
    assert locked.is_locked
    assert locked.retry_after_s in range(58, 62)
    assert not any(one.is_locked for one in found[:3] if isinstance(one, NotLoggedIn))


def test_flood_of_logins_is_sent_away_and_not_kept_waiting(tmp_path: Path) -> None:
    async def flood(door: Login) -> list[LoggedIn | NotLoggedIn]:
        tries = [attempt(door, f"name{n}", address=f"192.0.2.{n}") for n in range(6)]
        return list(await asyncio.gather(*tries))

    with login(tmp_path, "ada") as door:
        door._limits = replace(LIMITS, logins_waiting=2)
        found = run(flood(door))
    assert [getattr(one, "is_locked", None) for one in found] == [False] * 2 + [True] * 4


def test_other_password_ends_what_was_begun_under_the_old_one(tmp_path: Path) -> None:
    with login(tmp_path, "ada") as door:
        found = run(attempt(door))
        assert isinstance(found, LoggedIn)
        fresh = set_up("ada", PASSWORD, passwords()).credentials
        door.book.update(lambda book: (b := book.with_credentials(fresh), b.to_bytes()))
        assert not door.is_current("ada", found.mark)
        assert not door.is_current("eve", found.mark)


def test_hash_of_yesterday_is_made_anew_at_the_next_login(tmp_path: Path) -> None:
    with login(tmp_path, "ada") as door:
        light = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
        old = replace(credentials("ada").credentials, password=light)
        door.book.update(lambda book: (b := book.with_credentials(old), b.to_bytes()))
        found = run(attempt(door))
        assert isinstance(found, LoggedIn)
        assert door.is_current("ada", found.mark)
        kept = door.book.value().of("ada")
        assert kept is not None
        assert not passwords().needs_rehash(kept.password)
        assert passwords().verify(PASSWORD, kept.password)


def test_damaged_book_lets_nobody_in(tmp_path: Path) -> None:
    with login(tmp_path, "ada") as door:
        door.book.vault.write(PEOPLE, b"{}")
        assert isinstance(run(attempt(door)), NotLoggedIn)


# --- the first administrator ------------------------------------------------------------------------------------------


def first_code(door: Login) -> str:
    """Put a code of the first start into the vault."""
    text, book = door.book.value().with_first_code(now=NOW, lifetime=timedelta(days=1))
    door.book.vault.write(PEOPLE, book.to_bytes())
    return text


async def begin(door: Login, code: str, password: str = PASSWORD, **named: Any) -> Any:
    admitted: list[str] = named.pop("admitted", [])
    return await door.begin_archive(
        code, "ada", password, "192.0.2.1", named.get("now", NOW), admit=admitted.append
    )


def test_first_code_sets_a_password_once(tmp_path: Path) -> None:
    with login(tmp_path) as door:
        text, admitted = first_code(door), []
        made = run(begin(door, text, admitted=admitted))
        assert isinstance(made, SetUp)
        assert admitted == ["ada"]
        found = run(attempt(door, code=code_of(made)))
        assert isinstance(found, LoggedIn)
        assert isinstance(run(begin(door, text)), NotLoggedIn)


def test_wrong_or_old_first_code_admits_nobody(tmp_path: Path) -> None:
    with login(tmp_path) as door:
        text, admitted = first_code(door), []
        late = NOW + timedelta(days=1)
        for typed, now in (("7k2mq-9xwtd", NOW), ("", NOW), (text, late)):
            found = run(begin(door, typed, admitted=admitted, now=now))
            assert isinstance(found, NotLoggedIn)
        assert admitted == []
        assert door.book.value().of("ada") is None


def test_weak_first_password_leaves_the_code_good(tmp_path: Path) -> None:
    with login(tmp_path) as door:
        text = first_code(door)
        with pytest.raises(ConfigError, match="password"):
            run(begin(door, text, "orthanc"))
        assert isinstance(run(begin(door, text)), SetUp)


def test_guesses_at_the_first_code_are_slowed_down(tmp_path: Path) -> None:
    async def guess(door: Login) -> list[Any]:
        return [await begin(door, f"guess{n}") for n in range(5)]

    with login(tmp_path) as door:
        first_code(door)
        found = run(guess(door))
    assert [one.is_locked for one in found] == [False] * 3 + [True] * 2
