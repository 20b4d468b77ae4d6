"""What one identity takes in an hour: counted exactly, forgotten in time, never kept in the clear."""

import gc
import tracemalloc
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.access.identity import Role
from doorward.access.volume import Allowance, Limit, Verdict, Volume, allowances
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

HOUR = 3_600.0
KEY = b"k" * 32
FEW = Allowance(studies=3, patients=2, size_bytes=1_000)


def volume(**bounds) -> Volume:
    return Volume(key=KEY, limits=replace(DEFAULT_LIMITS, **bounds))


def take(counted: Volume, now: float, *, who="ws1", allowance=FEW, studies=(), patients=(), size=0):
    return counted.take(
        who, allowance, study_uids=studies, patients=patients, size_bytes=size, now=now
    )


def refused(limit: Limit, free_at: float | None) -> Verdict:
    return Verdict(is_allowed=False, limit=limit, free_at=free_at)


OK = Verdict(is_allowed=True)


def test_one_study_too_many_waits_for_the_first_to_be_an_hour_old():
    v = volume()
    for number in range(3):
        assert take(v, 10.0 * number, studies=[f"1.{number}"]) == OK
    assert take(v, 30.0, studies=["1.9"]) == refused(Limit.STUDIES, HOUR)
    assert take(v, HOUR - 0.1, studies=["1.9"]) == refused(Limit.STUDIES, HOUR)
    assert take(v, HOUR, studies=["1.9"]) == OK


def test_what_was_taken_already_is_not_counted_twice_and_counts_on():
    v = volume()
    for study in ("1", "2", "3"):
        take(v, 0, studies=[study])
    assert take(v, 100, studies=["1"]) == OK
    assert take(v, 200, studies=["4"]) == refused(Limit.STUDIES, HOUR)
    # 2 and 3 leave at the hour; 1 was taken again and stays.
    assert take(v, HOUR, studies=["4", "5"]) == OK
    assert take(v, HOUR + 1, studies=["6"]) == refused(Limit.STUDIES, HOUR + 100)


def test_distinct_patients_are_counted_whatever_their_studies():
    v = volume()
    assert take(v, 0, studies=["1"], patients=["A"]) == OK
    assert take(v, 1, studies=["2"], patients=["A"]) == OK
    assert take(v, 2, studies=["3"], patients=["B"]) == OK
    assert take(v, 3, studies=["3"], patients=["C"]) == refused(Limit.PATIENTS, HOUR + 1)


def test_bytes_count_an_hour_at_least_and_a_slice_more_at_most():
    v = volume()
    assert take(v, 0, size=600) == OK
    assert take(v, 59, size=400) == OK
    assert take(v, 60, size=1) == refused(Limit.BYTES, HOUR + 60)
    assert take(v, HOUR + 59.9, size=1) == refused(Limit.BYTES, HOUR + 60)
    assert take(v, HOUR + 60, size=1_000) == OK


def test_more_than_the_whole_allowance_is_never_free():
    v = volume()
    assert take(v, 0, size=1_001) == refused(Limit.BYTES, None)
    assert take(v, 0, studies=list("1234")) == refused(Limit.STUDIES, None)
    assert len(v) == 0


def test_nothing_is_counted_of_what_is_refused():
    v = volume()
    assert take(v, 0, studies=["1"], patients=["A"], size=2_000).limit is Limit.BYTES
    assert take(v, 0, studies=["2", "3", "4"], patients=["B", "C"], size=1_000) == OK


def test_the_limit_that_frees_last_is_the_one_reported():
    v = volume()
    take(v, 0, studies=["1", "2", "3"])
    take(v, 500, size=1_000)
    assert take(v, 600, studies=["4"], size=1) == refused(Limit.BYTES, HOUR + 560)


def test_zero_is_none():
    v = volume()
    for wanted in ({"studies": ["1"]}, {"patients": ["A"]}, {"size": 1}):
        assert not take(v, 0, allowance=Allowance(), **wanted).is_allowed


def test_identities_do_not_share():
    v = volume()
    take(v, 0, studies=["1", "2", "3"])
    assert take(v, 0, who="ws2", studies=["4"]) == OK


def test_a_clock_that_runs_backwards_frees_nothing():
    v = volume()
    take(v, HOUR, studies=["1", "2", "3"])
    assert take(v, 0, studies=["4"]) == refused(Limit.STUDIES, 2 * HOUR)
    assert take(v, 1.5 * HOUR, studies=["4"]) == refused(Limit.STUDIES, 2 * HOUR)


def test_what_is_taken_while_the_clock_is_behind_counts_from_the_latest_time_seen():
    v = volume()
    take(v, 2 * HOUR, studies=["1"])
    take(v, 0, studies=["2", "3"])
    assert take(v, 2 * HOUR + 1, studies=["4"]) == refused(Limit.STUDIES, 3 * HOUR)


def test_idle_identities_are_forgotten_and_busy_ones_are_not():
    v = volume(register_entries=2)
    take(v, 0, who="a", size=1)
    take(v, 100, who="b", size=1)
    late = take(v, 200, who="c", size=1)
    assert late == refused(Limit.IDENTITIES, HOUR + 60)
    assert take(v, HOUR + 60, who="c", size=1) == OK
    assert len(v) == 2


def everything_in(thing: object) -> list[object]:
    """Every value that can be reached from this one through objects of ours and containers."""
    containers = (dict, list, tuple, set, deque)
    pending, found, seen = [thing], [], set()
    while pending:
        each = pending.pop()
        found.append(each)
        is_ours = type(each).__module__.startswith("doorward")
        if id(each) not in seen and (is_ours or isinstance(each, containers)):
            seen.add(id(each))
            pending += gc.get_referents(each)
    return found


def test_no_patient_lies_in_memory():
    v = volume()
    take(v, 77.0, who="ws1", patients=["CANARY^PATIENT"], studies=["2.25.12345678901"])
    found = everything_in(v)
    assert {"ws1", 77.0, KEY} <= {x for x in found if isinstance(x, str | float | bytes)}
    assert not [x for x in found if x in ("CANARY^PATIENT", "2.25.12345678901")]


def test_another_key_makes_other_hashes():
    one, two = Volume(key=b"1" * 32), Volume(key=b"2" * 32)
    hashes = []
    for v in (one, two):
        take(v, 0, patients=["A"])
        (taking,) = v._takings.values()
        hashes += list(taking.patients.seen)
    assert hashes[0] != hashes[1]


def test_memory_is_bounded_by_what_is_allowed():
    v = volume()
    allowance = Allowance(studies=1_000, patients=1_000, size_bytes=10**9)
    tracemalloc.start()
    try:
        for number in range(20_000):
            now = number * 0.01
            take(v, now, allowance=allowance, studies=[f"1.{number}"], patients=[f"P{number}"])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000


def test_what_cannot_be_counted_is_no_allowance():
    for wrong in ({"studies": 100_001}, {"patients": -1}, {"size_bytes": -1}):
        with pytest.raises(ConfigError) as caught:
            Allowance(**wrong)
        assert caught.value.field in wrong


def test_each_role_has_an_allowance_and_only_readers_take():
    table = allowances()
    assert set(table) == set(Role)
    taking = {role for role, each in table.items() if each != Allowance()}
    assert taking == {Role.WORKSTATION, Role.MIGRATION, Role.READER}
    assert table[Role.READER].patients == DEFAULT_LIMITS.volume_patients


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1_500),  # seconds since the step before
        st.sets(st.sampled_from("123456"), max_size=3),
        st.sets(st.sampled_from("ABCD"), max_size=2),
        st.integers(0, 600),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_no_hour_ever_holds_more_than_is_allowed_and_free_is_when_it_says(steps):
    v = volume()
    taken: list[tuple[float, set[str], set[str], int]] = []
    now = 0.0
    for pause, studies, patients, size in steps:
        now += pause
        verdict = take(v, now, studies=studies, patients=patients, size=size)
        last_hour = [step for step in taken if step[0] + HOUR > now]
        all_studies = set().union(studies, *(step[1] for step in last_hour))
        all_patients = set().union(patients, *(step[2] for step in last_hour))
        total = size + sum(step[3] for step in last_hour)
        fits = len(all_studies) <= 3 and len(all_patients) <= 2 and total <= 1_000
        if verdict.is_allowed:
            assert fits
            taken.append((now, studies, patients, size))
        elif verdict.limit is not Limit.BYTES:
            assert not fits
        if verdict.free_at is not None:
            assert now < verdict.free_at <= now + HOUR + 60
            again = take(v, verdict.free_at, studies=studies, patients=patients, size=size)
            assert again == OK
            now = verdict.free_at
            taken.append((now, studies, patients, size))
        elif not verdict.is_allowed:
            assert len(studies) > 3 or len(patients) > 2 or size > 1_000
