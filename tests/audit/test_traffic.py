"""What all visits together may do: turns a gap apart, places side by side, a budget that ends."""

import asyncio
import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from doorward.audit import traffic as module
from doorward.audit.traffic import Budget, Traffic, TrafficRules, VisitStopped, network_of
from doorward.audit.windows import parse_window
from loopback import in_loop, limits

FREE = {"per_second": 0, "network_per_second": 0, "network_at_a_time": 1_000}


def traffic(chance=0.0, clock=None, on_wait=lambda _: None, bounds=None, **rules):
    more = {} if clock is None else {"clock": clock}
    return Traffic(
        TrafficRules(**(FREE | rules)),
        chance=lambda: chance,
        on_wait=on_wait,
        limits=limits(**(bounds or {})),
        **more,
    )


async def admissions(one, *addresses):
    """Admit all at once; return when each was let through, sorted."""
    now = asyncio.get_running_loop().time
    begun = now()
    times = []

    async def come(address):
        await one.admit(address)
        times.append(now() - begun)

    await asyncio.gather(*(come(address) for address in addresses))
    return sorted(times)


def gaps(times):
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@in_loop
async def test_all_connections_together_keep_a_gap():
    times = await admissions(traffic(per_second=50), *(f"127.1.{n}.1" for n in range(6)))
    assert all(gap >= 0.0199 for gap in gaps(times))


@in_loop
async def test_chance_makes_a_gap_longer_and_never_shorter():
    one = traffic(chance=1.0, per_second=100, bounds={"pace_jitter_percent": 50})
    times = await admissions(one, *["127.1.1.1"] * 4)
    assert all(gap >= 0.0149 for gap in gaps(times))


@in_loop
async def test_a_network_has_a_pace_of_its_own_and_others_do_not_wait_for_it():
    one = traffic(network_per_second=20)
    slow = asyncio.ensure_future(admissions(one, *(f"127.1.1.{n}" for n in range(1, 5))))
    fast = await admissions(one, *(f"127.1.{n}.1" for n in range(2, 30)))
    assert fast[-1] < 0.1
    assert all(gap >= 0.0499 for gap in gaps(await slow))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.1.2.3", "10.1.2.250", True),
        ("10.1.2.3", "10.1.3.3", False),
        ("2001:db8:1:2::7", "2001:db8:1:ffff::8", True),
        ("2001:db8:1::7", "2001:db8:2::7", False),
        ("0.0.1.2", "::1", False),
        ("a.example", "b.example", False),
    ],
)
def test_a_network_is_a_24_or_a_48(one, other, same):
    assert (network_of(one) == network_of(other)) is same


@in_loop
async def test_only_so_many_systems_of_a_network_are_visited_side_by_side():
    one, inside, most = traffic(network_at_a_time=2), 0, 0

    async def visit(address):
        nonlocal inside, most
        async with one.visiting(address):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(visit(f"127.1.1.{n}") for n in range(1, 7)))
    assert most == 2


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(connections=3), "3 connections"),
        (Budget(received_bytes=3_000), "3,000 bytes"),
        (Budget(seconds=0.02), "0.02 seconds"),
    ],
)
@in_loop
async def test_a_spent_budget_ends_the_survey_and_says_which(budget, words):
    one = traffic(budget=budget)

    async def ask():
        for _ in range(100):
            await one.admit("127.1.1.1")
            one.received(1_000)
            if budget.seconds:
                await asyncio.sleep(0.005)

    with pytest.raises(VisitStopped):
        await ask()
    assert 0 < one.connections <= (3 if not budget.seconds else 5)
    assert one.is_stopped
    assert words in one.stopped_because


@in_loop
async def test_the_stop_button_lets_nothing_new_begin_and_the_first_reason_stands():
    one = traffic()
    await one.admit("127.1.1.1")
    one.stop("the operator said so")
    one.stop("something else")
    with pytest.raises(VisitStopped):
        await one.admit("127.1.1.1")
    assert one.stopped_because == "the operator said so"
    assert one.connections == 1


@in_loop
async def test_idle_networks_are_forgotten_and_busy_ones_are_not():
    one = traffic(network_per_second=2, bounds={"networks_remembered": 8})
    await one.admit("127.1.0.1")
    async with one.visiting("127.1.0.1"):
        for number in range(1, 50):
            async with one.visiting(f"127.2.{number}.1"):
                pass
        assert len(one._networks) <= 9
        assert module.network_of("127.1.0.1") in one._networks


@in_loop
async def test_outside_the_window_is_waited_and_said():
    now, waits = datetime(2026, 11, 23, 17, 59, 59, 950_000, tzinfo=UTC), []
    begun = asyncio.get_running_loop().time()

    def clock():
        return now + timedelta(seconds=asyncio.get_running_loop().time() - begun)

    one = traffic(clock=clock, on_wait=waits.append, windows=(parse_window("18:00-19:00"),))
    assert one.left_s() == 0
    await one.wait_until_open()
    assert asyncio.get_running_loop().time() - begun >= 0.049
    assert waits
    assert waits[0] == pytest.approx(0.05, abs=0.01)
    assert 3_500 < one.left_s() <= 3_600


@in_loop
async def test_the_stop_button_ends_the_wait_for_a_window():
    clock = datetime(2026, 11, 23, 12, tzinfo=UTC)
    one = traffic(clock=lambda: clock, windows=(parse_window("18:00-19:00"),))
    asyncio.get_running_loop().call_later(0.01, one.stop, "enough")
    async with asyncio.timeout(2):
        await one.wait_until_open()


@in_loop
async def test_a_networks_gap_is_kept_where_the_turn_of_all_is_what_holds_it_up():
    """Its turns were far enough apart; behind a crowd of others they must not leave together."""
    one = traffic(per_second=100, network_per_second=25)
    crowd = asyncio.ensure_future(admissions(one, *(f"127.2.{n}.1" for n in range(30))))
    times = await admissions(one, *["127.1.1.1"] * 4)
    assert all(gap >= 0.0399 for gap in gaps(times))
    await crowd


@in_loop
async def test_after_a_stop_nobody_waits_for_a_turn():
    one = traffic(per_second=0.01, network_per_second=0.01)
    await one.admit("127.1.1.1")
    waiting = [asyncio.ensure_future(one.admit(f"127.1.{n % 2}.1")) for n in range(10)]
    await asyncio.sleep(0)
    one.stop("enough")
    async with asyncio.timeout(1):
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(end, VisitStopped) for end in ends)
    assert one.connections == 1


@in_loop
async def test_a_budget_of_time_ends_the_wait_for_a_window_too():
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    one = traffic(
        clock=lambda: now,
        windows=(parse_window("22:00-06:00"),),
        budget=Budget(seconds=0.02),
        bounds={"window_sleep_s": 0.005},
    )
    await one.admit("127.1.1.1")
    async with asyncio.timeout(1):
        await one.wait_until_open()
    assert "0.02 seconds" in one.stopped_because


FILES = """
import resource, sys
from dataclasses import replace
from doorward.audit.traffic import UNPACED, Traffic
from doorward.errors import ConfigError
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
traffic = Traffic(replace(UNPACED, systems_at_a_time=int(sys.argv[1])))
try:
    traffic.require_files()
except ConfigError as error:
    print(error, error.hint)
print(traffic.glances_at_a_time)
"""


@pytest.mark.parametrize(
    ("systems", "said"),
    [
        (4, "8\n"),
        (64, "3\n"),
        (
            4_096,
            "4,096 systems side by side need 4,160 open files Ask 192 at a time (--systems), "
            "or raise the limit: ulimit -n.\n8\n",
        ),
    ],
)
def test_too_few_open_files_are_said_before_anything_is_asked(systems, said):
    command = [sys.executable, "-c", FILES, str(systems)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == said
