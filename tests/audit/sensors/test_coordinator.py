"""The coordinator on a real server: who is handed to whom, what a stop takes back, and that nothing is judged twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from doorward.audit.facts import Outcome, SystemFacts
from doorward.audit.roster import Visitee
from doorward.audit.sensors import link as links
from doorward.audit.sensors import subjects
from doorward.audit.sensors.config import load_coordinator_config, load_sensor_config
from doorward.audit.sensors.coordinator import coordinate, scan_name
from doorward.audit.sensors.link import linked
from doorward.audit.sensors.messages import Result, pack
from doorward.audit.sensors.subjects import FACTS, WORK
from doorward.audit.targets import Target
from doorward.audit.traffic import UNPACED, Budget, Traffic
from doorward.audit.windows import parse_window
from doorward.errors import ConfigError
from ledgers import attempt
from loopback import in_loop
from practising import Unheard, practising
from sensors import (
    QUICK,
    SETTINGS,
    MemoryRoster,
    coordinated,
    nats_server,
    roster_of,
    sensing,
)

pytestmark = pytest.mark.peer("nats-server")
SENSORS = {"north": ("127.0.0.0/8",), "south": ("192.0.2.0/24",)}


@pytest.fixture
def server(tmp_path):
    with nats_server(tmp_path, SENSORS) as running:
        yield running


def systems(*addresses: str) -> MemoryRoster:
    return MemoryRoster(
        [
            Visitee(number=number, target=Target(host=one, ports=(104,)), address=one)
            for number, one in enumerate(addresses, start=1)
        ]
    )


def link_to(server):
    config = load_coordinator_config(server.files.coordinator).nats
    return linked(config, is_patient=False, limits=QUICK)


async def until_handed_out(server, number: int, scan="scan-1") -> None:
    """Wait until so much work of the survey is on the server."""
    async with link_to(server) as link:
        while True:
            try:
                found = await link.subjects(WORK, f"doorward.work.*.{scan}.>")
            except links.Absent:
                found = set()
            if len(found) >= number:
                return


async def left_over(server) -> set[str]:
    async with link_to(server) as link:
        work = await link.subjects(WORK, "doorward.work.>")
        return work | await link.subjects(FACTS, "doorward.facts.>")


def test_no_two_surveys_have_the_same_name():
    noon = datetime(2026, 3, 14, 12, tzinfo=UTC)
    elsewhere = noon.astimezone(timezone(timedelta(hours=5)))
    assert scan_name(1, noon) == scan_name(1, elsewhere)
    assert len({scan_name(1, noon), scan_name(2, noon), scan_name(1, noon + timedelta(0, 1))}) == 3


@in_loop
async def test_a_name_that_is_no_word_of_a_subject_is_refused(server):
    with pytest.raises(ConfigError, match="letters, digits"):
        await coordinated(server, systems(), scan="a.>")


@in_loop
async def test_an_address_without_a_route_is_an_error_and_is_put_back(server):
    roster = systems("10.0.0.1")
    with pytest.raises(ConfigError, match="no sensor is responsible"):
        await coordinated(server, roster)
    assert roster.returned == [1]


@in_loop
async def test_each_system_goes_to_the_sensor_that_is_responsible(server):
    async with practising("open") as running:
        (one,) = running
        roster = systems(one.address, "192.0.2.1")
        roster.all[1] = replace(roster.all[1], target=Target(host=one.address, ports=(one.port,)))
        async with sensing(server, "north") as north, sensing(server, "south") as south:
            await coordinated(server, roster)
    assert (north.result().visited, north.result().refused) == (1, 0)
    assert (south.result().visited, south.result().refused) == (0, 1)
    assert roster.each_once()


@in_loop
async def test_a_name_that_nobody_knows_is_no_work_for_anybody(server):
    roster = MemoryRoster(
        [
            Visitee(
                number=1,
                target=Target(host="gone.invalid"),
                address="gone.invalid",
                unknown="the name gone.invalid is not known",
            )
        ]
    )
    await coordinated(server, roster)
    ((facts,),) = roster.judged.values()
    assert [(a.outcome, a.reason) for a in facts.attempts] == [
        (Outcome.INCONCLUSIVE, "the name gone.invalid is not known")
    ]


@in_loop
async def test_nothing_is_left_on_the_server_after_a_survey(server):
    async with practising("open", "open") as running, sensing(server):
        await coordinated(server, roster_of(running))
    assert await left_over(server) == set()


@in_loop
async def test_two_surveys_at_once_keep_their_results_apart(server):
    async with practising("open", "open") as running, sensing(server):
        first, second = roster_of(running), roster_of(running[:1])
        await asyncio.gather(
            coordinated(server, first, scan="first"), coordinated(server, second, scan="second")
        )
    assert first.each_once()
    assert second.each_once()


@in_loop
async def test_two_results_for_one_system_are_judged_once(server):
    """As when a sensor was cut off, its lease ended, and both have answered."""
    async with practising("open", "open") as running:
        roster = roster_of(running)
        (one, _) = running
        survey = asyncio.ensure_future(coordinated(server, roster))
        await until_handed_out(server, 2)
        facts = SystemFacts(
            address=one.address, name="", clearance_level=2, attempts=(attempt(one.address),)
        )
        forged = Result(scan="scan-1", number=1, address=one.address, visit="v1", facts=facts)
        config = load_sensor_config(server.files.sensors["north"])
        async with linked(config, is_patient=False, limits=QUICK) as link:
            await link.publish(subjects.facts_subject("north", "scan-1", 1), pack(forged))
            await roster.until_done(1)
        async with sensing(server) as north:  # takes the work of both all the same
            done = await survey
    assert north.result().visited == 2
    assert (done.finished, done.repeated) == (2, 1)
    assert roster.each_once()


@in_loop
async def test_a_stop_takes_back_what_nobody_has_begun_and_it_goes_on_later(server):
    async with practising(*["open"] * 4) as running:
        roster = roster_of(running)
        traffic = Traffic(replace(UNPACED, systems_at_a_time=4))
        survey = asyncio.ensure_future(coordinated(server, roster, traffic=traffic))
        await until_handed_out(server, 4)
        traffic.stop("enough")
        done = await survey
        assert done.finished == 0
        assert sorted(roster.returned) == [1, 2, 3, 4]
        assert await left_over(server) == set()
        roster.again()
        async with sensing(server) as north:
            await coordinated(server, roster)
    assert north.result().visited == 4
    assert roster.each_once()


@in_loop
async def test_a_stop_waits_for_what_sensors_are_asking(server):
    async with practising(*["open"] * 4) as running:
        roster = roster_of(running)
        traffic = Traffic(replace(UNPACED, systems_at_a_time=1))
        async with sensing(server, traffic=Traffic(replace(UNPACED, systems_at_a_time=1))) as north:
            survey = asyncio.ensure_future(coordinated(server, roster, traffic=traffic))
            await roster.until_done(1)
            traffic.stop("enough")
            await survey
        assert roster.done == north.result().visited < 4
        roster.again()
        async with sensing(server) as other:
            await coordinated(server, roster)
    assert north.result().visited + other.result().visited == 4
    assert roster.each_once()


@in_loop
async def test_a_stop_leaves_a_sensor_that_is_gone_to_the_next_life(server):
    said: list[str] = []
    async with practising("open") as running:
        roster = roster_of(running)
        traffic = Traffic(UNPACED)
        survey = asyncio.ensure_future(coordinated(server, roster, traffic=traffic, said=said))
        await until_handed_out(server, 1)
        async with link_to(server) as link:  # takes the work, and is never heard of again
            while await link.pull(WORK, "north") is None:
                pass
        traffic.stop("enough")
        await survey
    assert any("left to their sensors" in line for line in said)
    assert roster.returned == [1]


@in_loop
async def test_a_budget_ends_a_survey(server):
    async with practising(*["open"] * 3) as running:
        roster = roster_of(running)
        rules = replace(UNPACED, systems_at_a_time=1, budget=Budget(connections=1))
        traffic = Traffic(rules)
        async with sensing(server, traffic=Traffic(replace(UNPACED, systems_at_a_time=1))):
            await coordinated(server, roster, traffic=traffic)
    assert 1 <= roster.done < 3
    assert "connections is spent" in traffic.stopped_because


@in_loop
async def test_a_time_that_is_used_up_ends_a_survey_that_nobody_serves(server):
    rules = replace(UNPACED, budget=Budget(seconds=0.2))
    traffic = Traffic(rules)
    roster = systems("127.0.0.1")
    await coordinated(server, roster, traffic=traffic)
    assert "is used up" in traffic.stopped_because
    assert roster.returned == [1]


@in_loop
async def test_outside_its_hours_nothing_is_handed_out(server):
    clock = [datetime(2026, 11, 4, 12, tzinfo=UTC)]  # a Wednesday
    rules = replace(UNPACED, windows=(parse_window("mon 00:00-24:00"),))
    limits = replace(QUICK, window_sleep_s=0.05)
    traffic = Traffic(rules, clock=lambda: clock[0], limits=limits)
    async with practising("open") as running:
        roster = roster_of(running)
        async with sensing(server):
            survey = asyncio.ensure_future(coordinated(server, roster, traffic=traffic))
            await asyncio.sleep(0.5)
            assert not roster.done
            assert not await left_over(server)
            clock[0] = datetime(2026, 11, 9, 12, tzinfo=UTC)
            await survey
    assert roster.each_once()


@in_loop
async def test_a_cancelled_coordinator_puts_back_what_is_open(server):
    roster = systems("127.0.0.1", "127.0.0.2")
    survey = asyncio.ensure_future(coordinated(server, roster))
    await until_handed_out(server, 2)
    survey.cancel()
    await asyncio.wait([survey])
    assert survey.cancelled()
    assert sorted(roster.returned) == [1, 2]


@in_loop
async def test_sensors_that_are_missing_are_named(server):
    said: list[str] = []
    survey = asyncio.ensure_future(coordinated(server, systems("127.0.0.1"), said=said))
    while not said:  # noqa: ASYNC110 - it says so at its second look
        await asyncio.sleep(0.05)
    survey.cancel()
    await asyncio.wait([survey])
    assert "no sensor north takes work; 1 systems wait for it" in said


@in_loop
async def test_a_server_without_jetstream_is_a_clear_error(tmp_path):
    with nats_server(tmp_path) as bare:
        conf = bare.files.server.read_text()
        bare.kill()
        head, _, tail = conf.partition("jetstream {")
        bare.files.server.write_text(head + tail.partition("}")[2])
        bare.start()
        with pytest.raises(ConfigError, match="without JetStream"):
            await coordinate(
                systems(),
                load_coordinator_config(bare.files.coordinator),
                scan="scan-1",
                settings=SETTINGS,
                traffic=Traffic(),
                observer=Unheard(),
            )
