"""Passwords are kept as argon2id, known ones are refused, and whether a name exists is not told by the time."""

import threading
import unicodedata
from contextlib import suppress
from dataclasses import replace

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.passwords import (
    Passwords,
    bare_readable,
    is_known_bad,
    is_same_readable,
    readable_secret,
    require_good,
)
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

GOOD = "kettle walks under green moss"
#: What other archives and their samples ship, as it stands there.
SHIPPED = [
    "orthanc",
    "dicoogle",
    "admin",
    "change-me-I-am-a-secret-key",
    "change-me",
    "secret",
    "pacs",
    "root",
    "postgres",
    "secret-key",
    "router",
    "ChangePasswordHere",
    "karnak",
    "CHANGE-ME",
    "dontcare",
    "L0ca1P@ssw0rd",
]


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture(scope="module")
def kept(passwords: Passwords) -> str:
    return passwords.hash(GOOD, name="ada")


def test_the_right_password_verifies_and_no_other(passwords, kept):
    assert passwords.verify(GOOD, kept)
    assert not passwords.verify(GOOD + " ", kept)
    assert not passwords.verify("", kept)


def test_what_is_kept_is_argon2id_with_the_parameters_of_the_rfc(kept):
    # RFC 9106 section 4, second recommended option.
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert GOOD not in kept


def test_the_same_password_is_kept_differently_each_time(passwords, kept):
    assert passwords.hash(GOOD, name="ada") != kept


def test_nobody_is_never_right_and_is_computed_all_the_same(passwords, monkeypatch):
    tried = []
    monkeypatch.setattr(passwords, "_matches", lambda *what: tried.append(what) or True)
    assert not passwords.verify(GOOD, None)
    assert tried == [(GOOD.encode(), passwords._nobody)]


def test_an_overlong_password_is_wrong_and_is_computed_all_the_same(passwords, kept):
    assert not passwords.verify(GOOD + "x" * 2_000, kept)
    with pytest.raises(ConfigError, match="longer than"):
        require_good(GOOD + "x" * 2_000, name="ada")


def test_an_overlong_password_does_not_verify_by_its_beginning(passwords):
    start = "p&7fz~QmLw3kRtY"
    assert len(start) == DEFAULT_LIMITS.password_characters
    assert not passwords.verify(start + "x" * 2_000, passwords.hash(start, name="ada"))


def test_a_weaker_hash_verifies_and_is_to_be_replaced(passwords, kept):
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(GOOD)
    assert passwords.verify(GOOD, weak)
    assert passwords.needs_rehash(weak)
    assert not passwords.needs_rehash(kept)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "orthanc",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2id$v=19$m=65536,t=3,p=4$",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$!!",
        # 4 GiB: what would fell us.
        "$argon2id$v=19$m=4194304,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$"
        "iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
        "$argon2id$v=19$m=65536,t=9999,p=4$c29tZXNhbHRzb21lc2FsdA$"
        "iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
        argon2.PasswordHasher(time_cost=1, memory_cost=64, type=argon2.Type.I).hash(
            GOOD, salt=b"the same each time"
        ),
    ],
)
def test_what_is_no_hash_of_ours_is_an_error_and_not_a_wrong_password(passwords, foreign):
    for use in (lambda: passwords.verify(GOOD, foreign), lambda: passwords.needs_rehash(foreign)):
        with pytest.raises(ConfigError, match="no argon2id"):
            use()


@pytest.mark.parametrize("shipped", SHIPPED)
def test_what_others_ship_is_refused_whatever_is_put_around_it(shipped):
    for variant in (
        shipped,
        shipped * 3,
        f"{shipped.upper()}!!!{shipped}-2024-2025",
        f"12345678-{shipped}-87654321",
    ):
        assert is_known_bad(variant), variant
        with pytest.raises(ConfigError, match=r"shorter|known|words|repeats"):
            require_good(variant, name="ada")


@pytest.mark.parametrize(
    "password",
    ["ada.lovelace-ada.lovelace", "Lovelace-2024-2025!", "LovelacePassword123", "adaadaadaADA1234"],
)
def test_the_owners_name_is_no_password(password):
    with pytest.raises(ConfigError, match=r"words|repeats"):
        require_good(password, name="ada.lovelace")


@pytest.mark.parametrize(
    "password",
    ["123456789012345678", "!!!!!!!!!!!!!!!!!!!!", "abababababababababab", "short one", "\n" * 20],
)
def test_numbers_repetitions_and_short_ones_are_refused(password):
    with pytest.raises(ConfigError):
        require_good(password, name="ada")


@pytest.mark.parametrize(
    "password", [GOOD, "orthanc walks the green kettle", "пароль не для всех", "x!Gm2#vQp9$Lw&4z"]
)
def test_a_long_unknown_password_is_taken(password):
    require_good(password, name="ada")


def test_the_error_does_not_repeat_the_password():
    with pytest.raises(ConfigError) as error:
        require_good("Dicoogle-2024-dicoogle", name="ada")
    assert "icoogle" not in f"{error.value} {error.value.hint}"


def test_a_password_typed_on_another_system_is_the_same(passwords):
    text = "Käse übt Höflichkeit täglich"
    stored = passwords.hash(unicodedata.normalize("NFC", text), name="ada")
    assert passwords.verify(unicodedata.normalize("NFD", text), stored)
    assert passwords.verify(text.replace(" ", "\u00a0"), stored)


def test_so_many_hashes_are_computed_at_once_and_no_more(monkeypatch):
    passwords = Passwords(limits=replace(DEFAULT_LIMITS, password_hashes=2))
    both, go = threading.Barrier(3), threading.Event()
    inside = []

    def slow(tried: bytes, kept: str) -> bool:
        inside.append(tried)
        if len(inside) <= 2:
            both.wait(10)
        go.wait(10)
        return False

    monkeypatch.setattr(passwords, "_matches", slow)
    threads = [threading.Thread(target=passwords.verify, args=(GOOD, None)) for _ in range(5)]
    for thread in threads:
        thread.start()
    both.wait(10)
    assert len(inside) == 2
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(inside) == 5


@given(st.text(max_size=300))
def test_any_text_is_judged_without_a_fault(text):
    with suppress(ConfigError):
        require_good(text, name="ada")


def test_a_readable_secret_has_the_bits_it_claims_and_survives_its_typist():
    secret = readable_secret(4)
    assert len(secret) == 4 * 5 + 3
    assert len({readable_secret(4) for _ in range(100)}) == 100
    assert is_same_readable(secret.upper().replace("-", " "), secret)
    assert is_same_readable(secret.replace("0", "O").replace("1", "l").replace("v", "u"), secret)
    assert not is_same_readable(secret[:-1], secret)
    assert bare_readable("O1l-Iu \n") == "0111v"
