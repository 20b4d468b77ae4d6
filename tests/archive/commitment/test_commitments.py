"""A device asks whether it may delete its images; it is told, here or there, today or after a restart, and nobody else is."""

import asyncio
import dataclasses
import os
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from archives import EVERYTHING, HOST, calling_as, instance, legacy, opened, records, served
from commitment_peers import COMMITMENT, ask, hear, information, references, reported
from doorward.access.identity import Operation, Register
from doorward.access.journal.record import Event, Outcome
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.giving import Destination
from doorward.errors import StorageFull
from doorward.net.transfer import store
from doorward.wire.uids import VERIFICATION
from index_entries import CT, MOMENT
from loopback import in_loop, limits, until

DEVICES = [legacy("ct1", "modality"), legacy("ws1", "workstation")]
FAST = limits(commitment_quiet_s=0.02, commitment_retry_s=0.05)
HELD = ("2.25.1", "2.25.2")
CONTEXTS = (COMMITMENT, (CT, COMMITMENT[1]), (VERIFICATION, COMMITMENT[1]))
ALL = information("1.2.3", references(*HELD))


@asynccontextmanager
async def serving(folder, devices=DEVICES, *, limits=FAST, **named):
    """An archive with two images of CT1's, and its port."""
    async with (
        opened(folder, devices, limits=limits, **named) as archive,
        served(archive, is_legacy=True) as port,
    ):
        async with calling_as("CT1", port) as modality:
            for uid in HELD:
                assert await store(modality, instance(uid)) == 0
        yield archive, port


def at(device):
    """Where CT1 is reported to."""
    return [Destination(ae_title="CT1", address=HOST, port=device.port)]


def entries(folder, *events):
    return [one.entry for one in records(folder) if one.entry.event in events]


def waiting(folder):
    return [name for name in os.listdir(folder / "commitments") if name.endswith(".json")]


async def next_of(device):
    return await asyncio.to_thread(device.next)


@in_loop
async def test_a_device_that_stays_is_told_on_its_own_association(tmp_path):
    async with serving(tmp_path) as (_, port), calling_as("CT1", port, *CONTEXTS) as modality:
        said = await ask(modality, ALL, waits=True)
        await until(lambda: not waiting(tmp_path))

    assert said.response.status == 0
    assert (said.response.action_type_id, said.response.affected_sop_class_uid) == (
        1,
        COMMITMENT[0],
    )
    assert said.told() == (1, "1.2.3", list(HELD), {})
    asked, committed = entries(tmp_path, Event.COMMIT)
    assert (asked.identity, asked.instances, asked.reason) == ("ct1", 2, "asked for")
    assert (committed.outcome, committed.instances) == (Outcome.SUCCESS, 2)
    assert committed.studies == ("2.25.1.1", "2.25.2.1")


@in_loop
async def test_what_fails_is_named_with_its_reason(tmp_path):
    asked = [*references("2.25.1", "2.25.9"), *references("2.25.2", sop_class_uid="1.2.3")]
    async with serving(tmp_path) as (_, port), calling_as("CT1", port, *CONTEXTS) as modality:
        said = await ask(modality, information("1.2.3", asked), waits=True)
        await until(lambda: not waiting(tmp_path))

    assert said.told() == (2, "1.2.3", ["2.25.1"], {"2.25.9": 0x0112, "2.25.2": 0x0119})
    last = entries(tmp_path, Event.COMMIT)[-1]
    assert (last.outcome, last.reason) == (Outcome.FAILED, "2 not committed")


@in_loop
async def test_a_device_that_has_gone_is_told_at_its_destination(tmp_path):
    with reported() as device:
        async with serving(tmp_path, destinations=at(device)) as (_, port):
            async with calling_as("CT1", port, *CONTEXTS) as modality:
                assert (await ask(modality, ALL)).response.status == 0
            event_type, data, caller = await next_of(device)
            await until(lambda: not waiting(tmp_path))

    assert (event_type, caller) == (1, "DOORWARD")
    assert [one.ReferencedSOPInstanceUID for one in data.ReferencedSOPSequence] == list(HELD)
    assert entries(tmp_path, Event.COMMIT)[-1].destination == "CT1"


@in_loop
async def test_a_device_that_stays_busy_is_told_at_its_destination(tmp_path):
    bounds = dataclasses.replace(FAST, commitment_quiet_s=0.3)
    with reported() as device:
        async with (
            serving(tmp_path, destinations=at(device), limits=bounds) as (_, port),
            calling_as("CT1", port, *CONTEXTS) as modality,
        ):
            await ask(modality, ALL)
            telling = asyncio.ensure_future(next_of(device))
            while not telling.done():
                assert await modality.echo() == 0
            assert (await telling)[0] == 1


@in_loop
async def test_without_a_destination_it_waits_until_the_device_calls_again(tmp_path):
    async with serving(tmp_path) as (archive, port):
        async with calling_as("CT1", port, *CONTEXTS) as modality:
            await ask(modality, ALL)
        await until(lambda: any(plan.tries for plan in archive.commitments._plans.values()))
        async with calling_as("CT1", port, *CONTEXTS) as modality:
            heard = await hear(modality)
            await until(lambda: not waiting(tmp_path))
    assert heard.told() == (1, "1.2.3", list(HELD), {})


@in_loop
async def test_a_restart_forgets_no_request(tmp_path):
    async with serving(tmp_path) as (_, port), calling_as("CT1", port, *CONTEXTS) as modality:
        await ask(modality, information("1.2.3", references(HELD[0])))
    assert len(waiting(tmp_path)) == 1

    with reported() as device:
        async with (
            opened(tmp_path, DEVICES, limits=FAST, destinations=at(device)) as archive,
            served(archive, is_legacy=True),
        ):
            event_type, data, _ = await next_of(device)
            await until(lambda: not waiting(tmp_path))
    assert (event_type, data.TransactionUID) == (1, "1.2.3")


@in_loop
async def test_a_device_that_is_off_is_tried_again(tmp_path):
    with reported() as device:
        off = at(device)  # nobody listens there any more when it is dialled
    async with serving(tmp_path, destinations=off) as (archive, port):
        async with calling_as("CT1", port, *CONTEXTS) as modality:
            await ask(modality, ALL)
        await until(lambda: any(plan.tries for plan in archive.commitments._plans.values()))
        assert len(waiting(tmp_path)) == 1
        with reported() as device:
            on = {"CT1": at(device)[0]}
            archive.settings = dataclasses.replace(archive.settings, destinations=on)
            assert (await next_of(device))[0] == 1
            await until(lambda: not waiting(tmp_path))


@in_loop
async def test_a_device_that_does_not_take_its_report_is_told_again(tmp_path):
    async with serving(tmp_path) as (_, port), calling_as("CT1", port, *CONTEXTS) as modality:
        refused = await ask(modality, ALL, waits=True, answer=0x0110)
        assert refused.told()[0] == 1
        assert len(waiting(tmp_path)) == 1
        taken = await ask(modality, information("1.2.4", references("2.25.1")), waits=True)
        assert taken.event_type == 1


@in_loop
async def test_a_report_never_goes_to_somebody_elses_destination(tmp_path):
    devices = [legacy("ct1", "modality", "CT1", "CT1B"), legacy("ws1", "workstation")]
    with reported("WS1") as other, reported("CT1B") as own:
        known = [
            Destination(ae_title="WS1", address=HOST, port=other.port),
            Destination(ae_title="CT1B", address=HOST, port=own.port),
        ]
        async with serving(tmp_path, devices, destinations=known) as (_, port):
            async with calling_as("CT1", port, *CONTEXTS) as modality:
                await ask(modality, ALL)
            assert (await next_of(own))[0] == 1
        assert other.reports.empty()


@in_loop
async def test_whoever_was_revoked_meanwhile_is_told_nothing(tmp_path):
    with reported() as device:
        async with serving(tmp_path) as (archive, port):
            async with calling_as("CT1", port, *CONTEXTS) as modality:
                await ask(modality, ALL)
            archive.settings = dataclasses.replace(
                archive.settings, register=Register(), destinations={"CT1": at(device)[0]}
            )
            await until(lambda: not waiting(tmp_path))
        assert device.reports.empty()
    last = entries(tmp_path, Event.COMMIT)[-1]
    assert (last.subject, last.reason) == ("ct1", "nobody is left to report to")


@in_loop
async def test_a_report_that_nobody_took_for_a_week_is_given_up(tmp_path):
    late = timedelta()

    def clock():
        return MOMENT + late

    async with serving(tmp_path, now=clock) as (_, port):
        async with calling_as("CT1", port, *CONTEXTS) as modality:
            await ask(modality, ALL)
        late = timedelta(days=8)
        await until(lambda: not waiting(tmp_path))
    assert entries(tmp_path, Event.COMMIT)[-1].reason == "could not be reported"


# --- who may ask, and what ----------------------------------------------------------------------------------------


@in_loop
async def test_a_workstation_may_not_ask_and_the_journal_says_so(tmp_path):
    async with serving(tmp_path) as (_, port), calling_as("WS1", port, COMMITMENT) as other:
        said = await ask(other, ALL)
    assert said.response.status == 0x0124
    assert said.response.error_comment == "Role workstation may not commit"
    [refusal] = entries(tmp_path, Event.REFUSAL)
    assert (refusal.identity, refusal.operation) == ("ws1", "commit")
    assert waiting(tmp_path) == []


@in_loop
async def test_a_rule_about_some_studies_refuses_those_and_not_the_request(tmp_path):
    hidden = Rule(
        name="old",
        effect=Effect.DENY,
        operations=frozenset({Operation.COMMIT}),
        older_than_days=365,
    )
    rules = Rules(rules=(*EVERYTHING.rules, hidden))
    async with serving(tmp_path) as (archive, port):
        async with calling_as("CT1", port) as modality:
            assert await store(modality, instance("2.25.3", StudyDate="20100101")) == 0
        archive.use(rules=rules)
        async with calling_as("CT1", port, *CONTEXTS) as modality:
            data = information("1.2.3", references("2.25.1", "2.25.3"))
            said = await ask(modality, data, waits=True)
    assert said.told() == (2, "1.2.3", ["2.25.1"], {"2.25.3": 0x0112})


@in_loop
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"requested_sop_class_uid": VERIFICATION}, 0x0118),
        ({"requested_sop_instance_uid": "1.2.3"}, 0x0112),
        ({"action_type_id": 2}, 0x0123),
        ({"has_data_set": False}, 0x0115),
    ],
)
async def test_what_is_no_request_is_refused_and_the_association_goes_on(tmp_path, changes, status):
    async with serving(tmp_path) as (_, port), calling_as("CT1", port, *CONTEXTS) as modality:
        assert (await ask(modality, ALL, **changes)).response.status == status
        assert await modality.echo() == 0
    assert waiting(tmp_path) == []


@in_loop
@pytest.mark.parametrize("bound", ["commitment_waiting_each", "commitment_instances"])
async def test_what_is_too_much_is_refused_as_such(tmp_path, bound):
    bounds = dataclasses.replace(FAST, **{bound: 1})
    async with (
        serving(tmp_path, limits=bounds) as (_, port),
        calling_as("CT1", port, *CONTEXTS) as modality,
    ):
        one = information("1.2.3", references("2.25.1"))
        assert (await ask(modality, one)).response.status == 0
        two = information("1.2.4", references("2.25.1", "2.25.2"))
        assert (await ask(modality, two)).response.status == 0x0213


@in_loop
async def test_a_full_disk_takes_no_request(tmp_path, monkeypatch):
    async with serving(tmp_path) as (archive, port):

        def full(*_):
            raise StorageFull("full", operation="write", path=tmp_path, kind="full")

        monkeypatch.setattr(type(archive.commitments._transactions), "add", full)
        async with calling_as("CT1", port, *CONTEXTS) as modality:
            assert (await ask(modality, ALL)).response.status == 0x0110
