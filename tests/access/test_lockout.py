"""Who cannot log in waits, longer each time; who can does not pay for it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.access.lockout import Lockout, Wait, Whose
from doorward.limits import DEFAULT_LIMITS

HOUR = 3_600.0
GO_ON = Wait(may_try=True)
HERE, THERE = "192.0.2.1", "192.0.2.2"


def lockout(**bounds) -> Lockout:
    return Lockout(key=b"k" * 32, limits=replace(DEFAULT_LIMITS, **bounds))


def fail_until_it_waits(lock: Lockout, name: str, address: str, now: float) -> list[float]:
    """Fail as soon as it may be tried, ten times over; return the waits between."""
    waits = []
    for _ in range(16):
        wait = lock.begin(name, address, now=now)
        if not wait.may_try:
            assert wait.until is not None
            waits.append(wait.until - now)
            now = wait.until
            assert lock.begin(name, address, now=now) == GO_ON
    return waits


def test_the_first_failures_are_free_then_each_doubles_the_wait():
    waits = fail_until_it_waits(lockout(), "anna", HERE, 0.0)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_the_fifth_failure_waits():
    lock = lockout()
    assert [lock.begin("anna", HERE, now=0).may_try for _ in range(5)] == [True] * 5
    assert lock.begin("anna", HERE, now=1) == Wait(may_try=False, whose=Whose.NAME, until=2)


def test_a_name_waits_from_whatever_address():
    lock = lockout()
    for number in range(5):
        lock.begin("anna", f"192.0.2.{number}", now=0)
    assert lock.begin("anna", "198.51.100.1", now=0).whose is Whose.NAME
    assert lock.begin("otto", "198.51.100.1", now=0) == GO_ON


def test_an_address_waits_whatever_name_it_tries():
    lock = lockout()
    tried = sum(lock.begin(f"name{n}", HERE, now=0).may_try for n in range(200))
    assert tried == DEFAULT_LIMITS.login_address_failures
    assert lock.begin("anna", HERE, now=0).whose is Whose.ADDRESS
    assert lock.begin("anna", THERE, now=0) == GO_ON


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("no address", "no address", True),
    ],
)
def test_one_caller_with_many_addresses_is_one(one, other, is_same):
    lock = lockout(login_address_failures=1)
    assert lock.begin("a", one, now=0) == GO_ON
    assert lock.begin("b", other, now=0).may_try != is_same


def test_a_thousand_guesses_at_once_are_not_all_let_through():
    lock = lockout()
    assert (
        sum(lock.begin("anna", f"10.0.{n >> 8}.{n & 255}", now=0).may_try for n in range(1_000))
        == 5
    )


def test_knocking_during_the_wait_makes_it_no_longer():
    lock = lockout()
    for _ in range(5):
        lock.begin("anna", HERE, now=0)
    for _ in range(1_000):
        assert lock.begin("anna", HERE, now=1).until == 2
    assert lock.begin("anna", HERE, now=2) == GO_ON


def test_a_success_clears_the_name():
    lock = lockout()
    for _ in range(4):
        lock.begin("anna", HERE, now=0)
    assert lock.begin("anna", HERE, now=0) == GO_ON
    lock.succeeded("anna", HERE, now=0)
    assert [lock.begin("anna", HERE, now=0).may_try for _ in range(6)] == [True] * 5 + [False]


def test_success_with_one_account_does_not_clear_the_address():
    lock = lockout()
    tried = 0
    for number in range(500):
        tried += lock.begin(f"victim{number}", HERE, now=0).may_try
        if lock.begin("mallory", HERE, now=0).may_try:
            lock.succeeded("mallory", HERE, now=0)
    assert tried <= DEFAULT_LIMITS.login_address_failures


def test_a_clinic_behind_one_address_logs_in_all_day():
    """Five hundred people, one in ten of whom mistypes: nobody ever waits."""
    lock = lockout()
    for number in range(500):
        now = 60.0 * number
        if number % 10 == 0:
            assert lock.begin(f"p{number}", HERE, now=now) == GO_ON
        assert lock.begin(f"p{number}", HERE, now=now) == GO_ON
        lock.succeeded(f"p{number}", HERE, now=now)


def test_only_successes_are_remembered_nowhere():
    lock = lockout()
    for number in range(100):
        lock.begin(f"p{number}", HERE, now=0)
        lock.succeeded(f"p{number}", HERE, now=0)
    assert len(lock) == 0


def test_a_success_of_whom_it_has_forgotten_changes_nothing():
    lock = lockout()
    lock.succeeded("anna", HERE, now=0)
    assert len(lock) == 0


def test_time_forgives_one_failure_after_the_other():
    lock = lockout()
    for _ in range(4):
        lock.begin("anna", HERE, now=0)
    assert [lock.begin("anna", HERE, now=2 * HOUR).may_try for _ in range(4)] == [True] * 3 + [
        False
    ]


def test_after_the_longest_siege_a_day_forgives_everything():
    lock = lockout()
    now = 0.0
    for _ in range(500):
        now = lock.begin("anna", HERE, now=now).until or now
    now += 24 * HOUR
    assert [lock.begin("anna", HERE, now=now).may_try for _ in range(5)] == [True] * 5


def test_a_siege_of_a_day_is_some_hundred_guesses():
    lock = lockout()
    now, guesses = 0.0, 0
    while now < 24 * HOUR:
        wait = lock.begin("anna", f"10.1.{guesses >> 8}.{guesses & 255}", now=now)
        guesses += wait.may_try
        now = wait.until or now
    assert 90 < guesses < 130


def test_a_clock_that_runs_backwards_ends_no_wait():
    lock = lockout()
    for _ in range(5):
        lock.begin("anna", HERE, now=1_000)
    assert lock.begin("anna", HERE, now=0).until == 1_002
    assert lock.begin("anna", HERE, now=1_002) == GO_ON


def test_spraying_new_names_does_not_make_it_forget_the_one_that_is_guessed_at():
    lock = lockout(login_names=100)
    for _ in range(4):
        lock.begin("anna", HERE, now=0)
    for number in range(1_000):
        lock.begin(f"spray{number}", f"10.0.{number >> 8}.{number & 255}", now=1)
    assert len(lock) <= 200
    assert [lock.begin("anna", THERE, now=1).may_try for _ in range(2)] == [True, False]


def test_what_time_has_forgiven_makes_room_first():
    lock = lockout(login_names=10)
    for number in range(10):
        lock.begin(f"old{number}", f"10.0.0.{number}", now=0)
    lock.begin("new", HERE, now=25 * HOUR)
    assert len(lock) == 2


def test_a_password_typed_as_a_name_is_not_kept():
    lock = lockout()
    lock.begin("CANARY-hunter2", HERE, now=0)
    kept = repr(lock._names.rows) + repr(lock._addresses.rows)
    assert "CANARY" not in kept
    assert HERE not in kept


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from((HERE, THERE)),
            st.integers(0, 400),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_a_wait_ends_when_it_says_and_never_lasts_longer_than_the_longest(steps):
    lock = lockout(login_address_failures=8)
    now = 0.0
    for name, address, pause, is_right in steps:
        now += pause
        wait = lock.begin(name, address, now=now)
        if wait.until is not None:
            assert now < wait.until <= now + DEFAULT_LIMITS.login_longest_delay_s
            now = wait.until
            assert lock.begin(name, address, now=now) == GO_ON
        if is_right:
            lock.succeeded(name, address, now=now)
            # Whoever just came in is known by name: only the address can make them wait.
            assert lock.begin(name, address, now=now).whose is not Whose.NAME
            lock.succeeded(name, address, now=now)
