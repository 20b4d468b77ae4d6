"""Tokens are good for what they were issued for, until they end or are revoked, and cannot be read from what is kept."""

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doorward.access.identity import (
    Device,
    Identity,
    Operation,
    Person,
    Register,
    Role,
    Service,
    Subject,
)
from doorward.access.policy import decide
from doorward.access.rules import Rules
from doorward.access.tokens import FORMAT, Issued, Token, TokenBook
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
#: Characters a token is made of, and some that it is not.
SIGNS = st.text(st.sampled_from("doorwardABCxyz019_-=+/ .\n\u00e9\0"), max_size=80)
REGISTER = Register(
    services=(Service(name="backup", role=Role.WORKSTATION),),
    persons=(Person(name="ada", role=Role.READER),),
    devices=(Device(name="ct1", role=Role.MODALITY),),
)


def issued(book: TokenBook | None = None, **changes: object) -> Issued:
    wanted = {
        "owner": "backup",
        "scope": {Operation.QUERY, Operation.RETRIEVE},
        "now": NOW,
        "lifetime": HOUR,
    }
    return (book or TokenBook()).issue(**(wanted | changes))  # type: ignore[arg-type]


def test_a_token_is_good_until_it_ends_and_not_before_it_was_issued():
    new = issued()
    token = new.book.verify(new.text, now=NOW)
    assert token is not None
    assert (token.id, token.owner) == (new.id, "backup")
    assert new.book.verify(new.text, now=NOW + HOUR - timedelta(microseconds=1)) is not None
    assert new.book.verify(new.text, now=NOW + HOUR) is None
    assert new.book.verify(new.text, now=NOW - timedelta(seconds=1)) is None


def test_an_empty_book_knows_no_token():
    assert TokenBook().verify(issued().text, now=NOW) is None


def test_a_revoked_token_is_refused_at_once_and_the_others_stay():
    first = issued()
    second = issued(first.book)
    book = second.book.revoke(first.id)
    assert book.verify(first.text, now=NOW) is None
    assert book.verify(second.text, now=NOW) is not None
    with pytest.raises(ConfigError, match="no token"):
        book.revoke(first.id)


def test_whoever_is_revoked_loses_all_tokens():
    first = issued()
    second = issued(first.book, owner="other")
    book = second.book.without_owner("backup")
    assert book.verify(first.text, now=NOW) is None
    assert book.verify(second.text, now=NOW) is not None
    assert [token.id for token in book.of_owner("other")] == [second.id]


def test_the_token_itself_is_kept_nowhere():
    new = issued()
    secret = new.text.removeprefix("doorward_")
    kept = new.book.to_bytes().decode()
    for shown in (kept, repr(new), repr(new.book), repr(new.book.verify(new.text, now=NOW))):
        assert secret not in shown
    assert hashlib.sha256(new.text.encode()).hexdigest() in kept


def test_what_is_kept_cannot_be_shown_in_place_of_the_token():
    new = issued()
    (token,) = new.book.tokens
    for stolen in (
        token.digest,
        f"doorward_{token.digest}",
        token.id,
        f"doorward_{token.digest[:43]}",
    ):
        assert new.book.verify(stolen, now=NOW) is None


def test_tokens_have_256_bits_and_none_comes_twice():
    texts = {issued().text for _ in range(200)}
    assert len(texts) == 200
    assert {len(text) for text in texts} == {len("doorward_") + 43}


#: One for all examples: what Hypothesis draws must not depend on chance.
NEW = issued()


@given(st.integers(0, len(NEW.text) - 1), st.characters(), SIGNS)
def test_no_other_text_is_taken_for_a_token(at, other, text):
    assume(NEW.text[at] != other)
    assert NEW.book.verify(NEW.text[:at] + other + NEW.text[at + 1 :], now=NOW) is None
    assert NEW.book.verify(NEW.text[:at], now=NOW) is None
    assert NEW.book.verify(NEW.text + other, now=NOW) is None
    assert NEW.book.verify(text, now=NOW) is None


def test_a_token_makes_its_owner_and_narrows_what_the_role_allows():
    new = issued(scope={Operation.QUERY, Operation.DELETE})
    identity = new.book.identify(new.text, REGISTER, now=NOW)
    assert isinstance(identity, Identity)
    assert (identity.name, identity.how, identity.expires_at) == ("backup", "token", NOW + HOUR)
    assert identity.scope == {Operation.QUERY, Operation.DELETE}


@pytest.mark.parametrize("owner", ["nobody", "ct1"])
def test_a_token_of_somebody_unknown_or_of_a_device_is_nobodys(owner):
    new = issued(owner=owner)
    assert new.book.identify(new.text, REGISTER, now=NOW) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scope": ()}, "scope"),
        ({"lifetime": timedelta()}, "lifetime"),
        ({"lifetime": -HOUR}, "lifetime"),
        ({"lifetime": timedelta(days=DEFAULT_LIMITS.token_days, seconds=1)}, "lifetime"),
    ],
)
def test_a_token_for_nothing_or_for_ever_is_not_issued(changes, field):
    with pytest.raises(ConfigError) as error:
        issued(**changes)
    assert error.value.field == field


def test_a_full_book_makes_room_by_what_has_ended_and_by_nothing_else():
    small = replace(DEFAULT_LIMITS, token_entries=2)
    book = issued(issued().book).book
    with pytest.raises(ConfigError, match="2 tokens"):
        issued(book, limits=small)
    assert len(issued(book, limits=small, now=NOW + HOUR).book.tokens) == 1


TIMES = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
TOKENS = st.builds(
    Token,
    id=st.text("0123456789abcdef", min_size=12, max_size=12),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    owner=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    scope=st.frozensets(st.sampled_from(Operation), min_size=1),
    issued_at=TIMES,
    expires_at=TIMES,
)


@given(st.lists(TOKENS, max_size=5, unique_by=(lambda t: t.id, lambda t: t.digest)))
def test_a_book_is_read_as_it_was_written(tokens):
    book = TokenBook(tokens=tuple(tokens))
    assert TokenBook.from_bytes(book.to_bytes()) == book


@given(st.binary(max_size=200))
def test_other_bytes_are_a_configuration_error(content):
    with suppress(ConfigError):
        TokenBook.from_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        {"scope": []},
        {"scope": ["everything"]},
        {"scope": "query"},
        {"owner": "../x"},
        {"owner": None},
        {"digest": "00"},
        {"id": ""},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": None},
        {"expires_at": "never"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_strange_token_refuses_the_whole_book(change):
    document = json.loads(issued().book.to_bytes())
    document["tokens"][0] |= change
    with pytest.raises(ConfigError):
        TokenBook.from_bytes(json.dumps(document).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"format": "doorward.tokens/2", "tokens": []}',
        json.dumps({"format": FORMAT, "tokens": 1}).encode(),
    ],
    ids=range(6),
)
def test_a_damaged_book_or_a_newer_one_is_refused(content):
    with pytest.raises(ConfigError):
        TokenBook.from_bytes(content)


def test_a_token_that_is_there_twice_refuses_the_book():
    (token,) = issued().book.tokens
    for other in (replace(token, id="0" * 12), replace(token, digest="0" * 64)):
        with pytest.raises(ConfigError, match="twice"):
            TokenBook(tokens=(token, other))


def test_a_full_book_fits_into_one_secret():
    (token,) = issued(owner="x" * 64, scope=set(Operation)).book.tokens
    entries = DEFAULT_LIMITS.token_entries
    tokens = tuple(replace(token, id=f"{n:012x}", digest=f"{n:064x}") for n in range(entries))
    assert len(TokenBook(tokens=tokens).to_bytes()) <= DEFAULT_LIMITS.secret_bytes


def test_policy_refuses_what_the_token_is_not_for():
    new = issued(scope={Operation.QUERY})
    identity = new.book.identify(new.text, REGISTER, now=NOW)
    decision = decide(identity, Operation.RETRIEVE, Subject(), Rules(), NOW)
    assert (decision.is_allowed, decision.rule) == (False, "(scope)")
