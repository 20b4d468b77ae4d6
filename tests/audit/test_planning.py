"""Targets become systems of a ledger: each address once, within the scope, and planning twice changes nothing."""

import asyncio
from datetime import UTC, date, datetime
from ipaddress import ip_network

import pytest

from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanPlan
from doorward.audit.place import Place
from doorward.audit.planning import plan
from doorward.audit.scope import Scope
from doorward.audit.targets import Target
from doorward.errors import ScopeError
from loopback import in_loop

PLAN = ScanPlan(started_at=datetime(2026, 11, 22, tzinfo=UTC), clearance_level=2, ports=(104,))


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "a.ledger") as one:
        one.begin(PLAN)
        yield one


def at(host, *ports, **more):
    return Target(host=host, ports=ports or (104,), **more)


def planned(ledger):
    return [(one.address, one.target.ports, one.unknown) for one in ledger.waiting(1, 100)]


def scope(*networks, exclude=()):
    return Scope(
        organisation="a hospital",
        networks=tuple(map(ip_network, networks)),
        exclude=tuple(map(ip_network, exclude)),
        authorised_by="somebody",
        contact="somebody@hospital.example",
        valid_from=date(2026, 1, 1),
        valid_until=date(2027, 1, 1),
        clearance_level=2,
        today=date(2026, 11, 22),
    )


@in_loop
async def test_an_address_named_twice_is_one_system_with_all_its_ports(ledger):
    done = await plan(
        ledger,
        1,
        [at("127.1.0.1", 104), at("127.1.0.2"), at("127.1.0.1", 11112, 104)],
        Scope.loopback(),
    )
    assert planned(ledger) == [("127.1.0.1", (104, 11112), ""), ("127.1.0.2", (104,), "")]
    assert (done.named, done.systems, done.merged) == (3, 2, 1)
    assert ledger.row(1).targets == 3


@in_loop
async def test_each_target_that_may_be_asked_is_told(ledger):
    told = []
    targets = [at("192.0.2.1", 104, 4242), at("203.0.113.1", is_swept=True)]
    await plan(
        ledger,
        1,
        targets,
        scope("192.0.2.0/24"),
        on_system=lambda target, address: told.append((address, target.ports)),
    )
    assert told == [("192.0.2.1", (104, 4242))]


@in_loop
async def test_planning_again_after_a_kill_changes_nothing(ledger):
    targets = [at(f"127.1.0.{n}") for n in range(1, 20)]
    await plan(ledger, 1, targets[:7], Scope.loopback())
    again = await plan(ledger, 1, targets, Scope.loopback())
    assert (again.systems, again.merged) == (12, 7)
    assert len(planned(ledger)) == 19


@in_loop
async def test_a_name_becomes_its_addresses_and_an_unknown_name_stays_to_be_reported(ledger):
    done = await plan(ledger, 1, [at("localhost"), at("pacs.invalid")], Scope.loopback())
    found = {address: unknown for address, _, unknown in planned(ledger)}
    assert found.pop("pacs.invalid") == "the host name pacs.invalid is not known"
    assert "127.0.0.1" in found
    assert set(found.values()) == {""}
    assert done.unknown_names == 1


@in_loop
async def test_what_the_operator_named_outside_the_scope_stops_everything(ledger):
    with pytest.raises(ScopeError):
        await plan(ledger, 1, [at("10.1.2.3")], scope("192.0.2.0/24"))
    assert not ledger.planned(1)


@in_loop
async def test_what_another_tool_saw_outside_the_scope_is_left_out_and_counted(ledger):
    swept = [at(f"10.1.2.{n}", is_swept=True) for n in range(5)]
    done = await plan(ledger, 1, [*swept, at("192.0.2.7", is_swept=True)], scope("192.0.2.0/24"))
    assert [address for address, *_ in planned(ledger)] == ["192.0.2.7"]
    assert done.outside == 5
    assert len(done.examples) == 3


@in_loop
async def test_an_exclusion_always_wins_and_is_counted(ledger):
    rules = scope("192.0.2.0/24", exclude=("192.0.2.64/26",))
    done = await plan(ledger, 1, [at(f"192.0.2.{n}") for n in (1, 65, 127)], rules)
    assert [address for address, *_ in planned(ledger)] == ["192.0.2.1"]
    assert done.excluded == 2


@in_loop
async def test_the_inventory_knows_better_than_the_table_where_a_system_stands(ledger):
    inventory = Place(site="North", country="DE")
    table = Place(country="FR", network_operator="Example Net")
    targets = [at("127.1.0.1", place=inventory), at("127.1.0.2")]
    await plan(ledger, 1, targets, Scope.loopback(), locate=lambda _: table)
    places = [one.target.place for one in ledger.waiting(1, 10)]
    assert places == [
        Place(site="North", country="DE", network_operator="Example Net"),
        table,
    ]


@in_loop
async def test_planning_a_network_can_be_broken_off(ledger):
    """Addresses alone give nothing to wait for, and Ctrl-C comes through the loop."""
    took = []

    def targets():
        for number in range(100_000):
            took.append(number)
            yield at(f"127.1.{number >> 8 & 255}.{number & 255}")

    task = asyncio.create_task(plan(ledger, 1, targets(), Scope.loopback()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(took) < 10_000
    assert not ledger.planned(1)
