"""Passcodes, tokens and JSON Web Tokens of a DICOM association: who that is, and until when."""

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from doorward.access import totp
from doorward.access.identity import How, Operation, Person, Register, Service
from doorward.access.login import Login
from doorward.access.people import PEOPLE, PeopleBook, set_up
from doorward.access.tokens import TokenBook
from doorward.access.vault import Vault
from doorward.archive.user_identities import UserIdentities
from doorward.errors import PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.pdu import IdentityType, UserIdentity
from web_archives import passwords

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PASSWORD = "four kettles walk to nowhere"
ADDRESS = "127.0.0.1"
LIMITS = replace(DEFAULT_LIMITS, login_free_failures=2, login_delay_s=60.0)


def shown(primary, secondary="", kind=IdentityType.USERNAME_AND_PASSCODE):
    texts = [one if isinstance(one, bytes) else one.encode() for one in (primary, secondary)]
    return UserIdentity(type=kind, response_requested=False, primary=texts[0], secondary=texts[1])


@cache
def credentials(password=PASSWORD):
    return set_up("ada", password, passwords())


class Desk:
    """A register, a book of tokens, a vault with one person's password."""

    def __init__(self, folder):
        self.now = NOW
        self.register = Register(
            persons=(Person(name="ada", role="reader"),),
            services=(Service(name="robot", role="workstation"),),
        )
        issued = TokenBook().issue(
            owner="robot", scope={Operation.QUERY}, now=NOW, lifetime=timedelta(hours=1)
        )
        self.token, self.tokens = issued.text, issued.book
        made = credentials()
        self.code = totp.code_at(made.secret, int(NOW.timestamp() // totp.STEP_S))
        self.vault = Vault.create(folder / "secrets")
        self.vault.write(PEOPLE, PeopleBook().with_credentials(made.credentials).to_bytes())
        self.login = Login(self.vault, passwords=passwords(), limits=LIMITS)

    def ask(self, identity, *, provider=None, login=True):
        desk = UserIdentities(
            register=lambda: self.register,
            now=lambda: self.now,
            login=self.login if login else None,
            tokens=lambda: self.tokens,
            provider=provider,
        )
        return asyncio.run(desk.identify(identity, ADDRESS))


@contextmanager
def opened(folder):
    desk = Desk(folder)
    try:
        yield desk
    finally:
        desk.login.close()


@pytest.fixture
def desk(tmp_path):
    with opened(tmp_path) as one:
        yield one


def test_a_person_shows_password_and_code_in_one_field(desk):
    who = desk.ask(shown("ada", f"{PASSWORD} {desk.code}"))

    assert (who().name, who().how) == ("ada", How.PASSWORD_AND_CODE)
    again = desk.ask(shown("ada", f"{PASSWORD} {desk.code}"))
    assert again is None, "a code is good once"


@pytest.mark.parametrize("passcode", [PASSWORD, f"{PASSWORD} 000000", "", " ", b"\xff\xfe"])
def test_half_of_it_is_nobody(desk, passcode):
    assert desk.ask(shown("ada", passcode)) is None


def test_a_new_password_ends_what_was_begun_with_the_old_one(desk):
    who = desk.ask(shown("ada", f"{PASSWORD} {desk.code}"))
    made = credentials(PASSWORD + "!")
    desk.vault.write(PEOPLE, PeopleBook().with_credentials(made.credentials).to_bytes())

    assert who() is None


def test_whoever_guesses_waits_and_the_right_passcode_with_them(desk):
    for _ in range(2):
        assert desk.ask(shown("ada", "wrong 000000")) is None

    assert desk.ask(shown("ada", f"{PASSWORD} {desk.code}")) is None


def test_a_service_shows_one_of_its_own_tokens(desk):
    who = desk.ask(shown("robot", desk.token))

    assert (who().name, who().scope) == ("robot", {Operation.QUERY})
    assert desk.ask(shown("ada", desk.token)) is None, "a token of somebody else"
    desk.now += timedelta(hours=2)
    assert who() is None


def test_a_token_that_is_revoked_is_nobody_at_once(desk):
    who = desk.ask(shown("robot", desk.token))
    assert who() is not None
    desk.tokens = TokenBook()
    assert who() is None


def test_a_token_does_not_count_as_a_guess(desk):
    for _ in range(5):
        assert desk.ask(shown("robot", desk.token)) is not None


@pytest.mark.parametrize("kind", [1, 3, 4, 9])
def test_other_kinds_prove_nothing(desk, kind):
    assert desk.ask(shown("ada", f"{PASSWORD} {desk.code}", kind)) is None


def test_without_a_book_of_people_no_password_is_right(desk):
    assert desk.ask(shown("ada", f"{PASSWORD} {desk.code}"), login=False) is None


# --- JSON Web Tokens --------------------------------------------------------------------------------------------------


@dataclass
class Known:
    """Whom the provider vouches for."""

    person: str
    expires_at: datetime


class Provider:
    """Vouches for one token."""

    async def bearer(self, token, *, now):
        if token == "broken":
            raise PeerProtocolError("no JSON", field="keys", source="RFC 7517")
        return Known("ada", now + timedelta(hours=1)) if token == "a.b.c" else "signature wrong"


def test_a_json_web_token_is_whom_the_provider_vouches_for_until_its_end(desk):
    who = desk.ask(shown("a.b.c", kind=IdentityType.JWT), provider=Provider())

    assert (who().name, who().how) == ("ada", How.OPENID)
    assert who().expires_at == NOW + timedelta(hours=1)
    desk.register = Register()
    assert who() is None


@pytest.mark.parametrize("token", ["x.y.z", "broken", b"\xff"])
def test_a_json_web_token_that_is_none_is_nobody(desk, token):
    assert desk.ask(shown(token, kind=IdentityType.JWT), provider=Provider()) is None


def test_without_a_provider_no_json_web_token_is_taken(desk):
    assert desk.ask(shown("a.b.c", kind=IdentityType.JWT)) is None
