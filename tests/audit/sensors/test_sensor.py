"""A sensor on a real server: what it does with work, and what it refuses to do."""

import asyncio
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from doorward.audit.facts import SystemFacts
from doorward.audit.roster import Visitee
from doorward.audit.scope import Scope
from doorward.audit.sensors import subjects
from doorward.audit.sensors.config import load_coordinator_config, load_sensor_config
from doorward.audit.sensors.link import linked
from doorward.audit.sensors.messages import Result, Work, pack, unpack
from doorward.audit.sensors.sensor import run_sensor
from doorward.audit.sensors.subjects import FACTS, WORK
from doorward.audit.system import SurveySettings
from doorward.audit.targets import Target
from doorward.audit.traffic import Traffic
from doorward.audit.windows import parse_window
from doorward.errors import ConfigError
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
TODAY = datetime.now(UTC).date()
LATER = TODAY + timedelta(days=3)
NOON_OF_A_WEDNESDAY = datetime(2026, 11, 4, 12, tzinfo=UTC)
DOCUMENTATION = "192.0.2.7"


@pytest.fixture
def server(tmp_path):
    with nats_server(tmp_path) as running:
        yield running


def nobody(address=DOCUMENTATION) -> MemoryRoster:
    target = Target(host=address, ports=(104,))
    return MemoryRoster([Visitee(number=1, target=target, address=address)])


def only(roster) -> SystemFacts:
    ((facts,),) = roster.judged.values()
    return facts


def permission(**changes) -> Scope:
    scope = Scope(
        organisation="A site",
        networks=(ip_network("192.0.2.0/24"),),
        valid_from=TODAY - timedelta(days=1),
        valid_until=TODAY + timedelta(days=2),
        today=TODAY,
        clearance_level=2,
    )
    return replace(scope, **changes)


# --- its own scope ----------------------------------------------------------------------------------------------------


@in_loop
async def test_work_outside_its_scope_is_refused_said_and_never_a_pass(server):
    said: list[str] = []
    roster = nobody()
    async with sensing(server, said=said):
        done = await coordinated(server, roster)
    assert done.refused == 1
    assert [made.reason for made in only(roster).attempts] == ["refused by the sensor's scope"]
    assert any(DOCUMENTATION in line and "not covered" in line for line in said)


@in_loop
async def test_an_exclusion_wins_over_a_coordinator(server):
    async with practising("open") as running:
        roster = roster_of(running)
        scope = Scope(organisation="x", networks=(), exclude=(ip_network("127.0.0.0/8"),))
        async with sensing(server, scope=scope):
            done = await coordinated(server, roster)
    assert done.refused == 1
    assert only(roster).attempts[0].facts is None


@in_loop
async def test_a_permission_that_has_ended_meanwhile_ends(server):
    roster = nobody()
    stop = asyncio.Event()
    serving = asyncio.ensure_future(
        run_sensor(
            load_sensor_config(server.files.sensors["north"]),
            scope=permission(),
            settings=SETTINGS,
            traffic=Traffic(),
            observer=Unheard(),
            stop=stop,
            today=lambda: LATER,
        )
    )
    done = await coordinated(server, roster)
    stop.set()
    served = await serving
    assert (done.refused, served.refused, served.visited) == (1, 1, 0)


@in_loop
async def test_a_sensor_ends_with_its_permission(server):
    said: list[str] = []
    ended = permission(valid_until=TODAY - timedelta(days=1))
    async with sensing(server, scope=ended, said=said) as serving:
        await serving
    assert any("authorisation of the scope has ended" in line for line in said)


# --- its own level ----------------------------------------------------------------------------------------------------


@in_loop
async def test_a_sensor_asks_no_further_than_its_own_level(server):
    async with practising("open") as running:
        roster = roster_of(running)
        async with sensing(server, settings=replace(SETTINGS, clearance_level=1)):
            await coordinated(server, roster, settings=replace(SETTINGS, clearance_level=3))
    facts = only(roster)
    assert facts.clearance_level == 1
    (exposure,) = facts.of("exposure")
    assert exposure.reason == "needs clearance level 2, allowed is 1"


@in_loop
async def test_a_sensor_asks_no_further_than_the_survey_wants(server):
    async with practising("open") as running:
        roster = roster_of(running)
        async with sensing(server, settings=replace(SETTINGS, clearance_level=3)):
            await coordinated(server, roster, settings=replace(SETTINGS, clearance_level=1))
    assert only(roster).clearance_level == 1


@in_loop
async def test_what_the_survey_wants_to_know_travels_with_the_work(server):
    async with practising("open") as running:
        (one,) = running
        target = Target(host=one.address)
        roster = MemoryRoster([Visitee(number=1, target=target, address=one.address)])
        wanted = SurveySettings(
            limits=QUICK, ports=(one.port, 1), discovers=True, called_ae_titles=("MAINPACS",)
        )
        async with sensing(server):
            await coordinated(server, roster, settings=wanted)
    facts = only(roster)
    assert set(facts.ports) == {one.port, 1}
    assert [made.probe for made in facts.attempts[:2]] == ["reach", "reach"]
    titles = {reply.called_ae_title for reply in facts.of("association")[0].facts.replies}
    assert "MAINPACS" in titles


# --- its work ---------------------------------------------------------------------------------------------------------


async def handed(server, *contents: tuple[int, bytes]):
    """Put bytes where work is, and return what comes back, by number."""
    config = load_coordinator_config(server.files.coordinator).nats
    async with linked(config, is_patient=False, limits=QUICK) as link:
        for stream in (WORK, FACTS):
            await link.make_stream(stream)
        subject = subjects.work_subject("north", "*", ">")
        await link.make_consumer(WORK, "north", subject, lease_s=3600, at_a_time=4)
        subject = subjects.facts_subject("*", "scan", ">")
        await link.make_consumer(FACTS, "scan", subject, lease_s=3600, at_a_time=4)
        found = {}
        for number, content in contents:
            await link.publish(subjects.work_subject("north", "scan", number), content)
            delivery = None
            while delivery is None:
                delivery = await link.pull(FACTS, "scan")
            await link.acknowledge(delivery)
            result = unpack(Result, delivery.content)
            found[result.number] = result
        return found


def work(address, port, **changes) -> Work:
    made = Work(
        scan="scan",
        number=1,
        issue="one",
        target=Target(host=address, ports=(port,)),
        address=address,
        clearance_level=1,
        ports=(port,),
    )
    return replace(made, **changes)


@in_loop
async def test_work_that_cannot_be_read_is_answered_and_does_no_harm(server):
    said: list[str] = []
    other = work("127.0.0.1", 104, number=9)  # under the subject of number 3
    async with sensing(server, said=said) as serving:
        found = await handed(
            server, (1, b"nonsense"), (2, zlib.compress(b'{"scan":1}')), (3, pack(other))
        )
        assert not serving.done()
    assert set(found) == {1, 2, 3}
    assert all("cannot read this work" in result.refusal for result in found.values())
    assert sum("work that cannot be used" in line for line in said) == 3


@in_loop
async def test_the_same_issue_of_work_is_never_visited_twice_and_a_new_one_is(server):
    async with practising("open") as running, sensing(server) as serving:
        (one,) = running
        again = work(one.address, one.port, number=2, issue="two")
        await handed(server, (1, pack(work(one.address, one.port))), (2, pack(again)))
        same = replace(again, number=3, issue="one")
        marker = replace(again, number=4, issue="four")
        config = load_coordinator_config(server.files.coordinator).nats
        async with linked(config, is_patient=False, limits=QUICK) as link:
            await link.publish(subjects.work_subject("north", "scan", 3), pack(same))
        await handed(server, (4, pack(marker)))
    assert serving.result().visited == 3


@in_loop
async def test_outside_its_own_hours_a_sensor_takes_nothing(server):
    closed = replace(Traffic().rules, windows=(parse_window("mon 00:00-00:01"),))
    late = Traffic(closed, clock=lambda: NOON_OF_A_WEDNESDAY)
    async with practising("open") as running:
        roster = roster_of(running)
        async with sensing(server, traffic=late) as serving:
            survey = asyncio.ensure_future(coordinated(server, roster))
            async with sensing(server) as other:
                await survey
    assert (serving.result().visited, other.result().visited) == (0, 1)


@in_loop
async def test_a_sensor_that_the_server_refuses_ends_with_the_reason(server, tmp_path):
    with nats_server(tmp_path / "other") as other:
        config = load_sensor_config(server.files.sensors["north"])
        wrong = replace(config, servers=(f"tls://127.0.0.1:{other.port}",))
        with pytest.raises(ConfigError) as error:
            await run_sensor(
                wrong,
                scope=Scope.loopback(),
                settings=SETTINGS,
                traffic=Traffic(),
                observer=Unheard(),
                stop=asyncio.Event(),
            )
    assert error.value.field == "nats.ca"
