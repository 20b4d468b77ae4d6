"""Who gets in, what each may ask, and what the journal keeps of it."""

import dataclasses
from datetime import UTC, datetime

import pytest

from archives import calling_as, found, instance, legacy, opened, records, served
from doorward.access.identity import Operation
from doorward.access.journal.record import Event
from doorward.access.rules import Effect, Rule, Rules
from doorward.errors import AssociationRejected
from doorward.net.transfer import store
from index_entries import TAG_OF
from loopback import in_loop, limits

DEVICES = [legacy("ct1", "modality"), legacy("ws1", "workstation")]
STUDY_UID = TAG_OF["StudyInstanceUID"]


async def filled(port, count):
    async with calling_as("CT1", port) as modality:
        for n in range(1, count + 1):
            one = instance(f"2.25.{n}", PatientID=f"P{n % 2}", StudyDate=f"202{n % 5}0101")
            assert await store(modality, one) == 0


def entries(folder, *events):
    return [one.entry for one in records(folder) if one.entry.event in events]


@in_loop
@pytest.mark.parametrize("title", ["NOBODY", "ct1", "DOORWARD"])
async def test_a_title_that_nobody_has_gets_no_association(tmp_path, title):
    async with opened(tmp_path, DEVICES) as archive, served(archive, is_legacy=True) as port:
        with pytest.raises(AssociationRejected):
            async with calling_as(title, port):
                pass


@in_loop
async def test_address_and_title_are_nobody_on_a_port_that_is_not_for_them(tmp_path):
    async with opened(tmp_path, DEVICES) as archive, served(archive) as port:
        with pytest.raises(AssociationRejected):
            async with calling_as("CT1", port):
                pass


@in_loop
async def test_an_expired_device_gets_no_association(tmp_path):
    ended = dataclasses.replace(DEVICES[0], expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    clock = {"now": lambda: datetime(2026, 1, 2, tzinfo=UTC)}
    async with (
        opened(tmp_path, [ended], **clock) as archive,
        served(archive, is_legacy=True) as port,
    ):
        with pytest.raises(AssociationRejected):
            async with calling_as("CT1", port):
                pass
    [refused] = entries(tmp_path, Event.ASSOCIATION_REFUSED)
    assert (refused.identity, refused.reason) == ("ct1", "identity has expired")


@in_loop
async def test_echo_follows_the_policy_too(tmp_path):
    async with (
        opened(tmp_path, DEVICES) as archive,
        served(archive, is_legacy=True) as port,
        calling_as("CT1", port) as modality,
    ):
        assert await modality.echo() == 0
        archive.use(rules=Rules())
        assert await modality.echo() == 0x0124
    assert entries(tmp_path, Event.REFUSAL)[0].reason == "No rule lets you echo"


@in_loop
async def test_a_long_list_is_complete_and_counted_in_the_journal(tmp_path):
    async with (
        opened(tmp_path, DEVICES, limits=limits(index_page=4)) as archive,
        served(archive, is_legacy=True) as port,
    ):
        await filled(port, 10)
        async with calling_as("WS1", port) as workstation:
            status, all_of_them = await found(workstation, "STUDY", StudyInstanceUID="")
            _, few = await found(workstation, "STUDY", StudyInstanceUID="", PatientID="P9")

    assert status == 0
    uids = {view[STUDY_UID].values[0] for view in all_of_them}
    assert uids == {f"2.25.{n}.1" for n in range(1, 11)}
    assert few == []
    first, second = entries(tmp_path, Event.QUERY)
    assert (first.matches, first.reason) == (4, "more may follow")
    assert (second.matches, second.keys) == (0, ("00100020", "0020000D"))
    assert second.values == ()


@in_loop
async def test_a_query_shows_only_what_the_policy_lets_be_seen(tmp_path):
    hidden = Rule(
        name="old",
        effect=Effect.DENY,
        operations=frozenset({Operation.QUERY}),
        older_than_days=365 * 5,
    )
    clock = {"now": lambda: datetime(2026, 6, 1, tzinfo=UTC)}
    async with opened(tmp_path, DEVICES, **clock) as archive:
        archive.use(rules=Rules(rules=(*archive.settings.rules.rules, hidden)))
        async with served(archive, is_legacy=True) as port:
            await filled(port, 5)
            async with calling_as("WS1", port) as workstation:
                _, seen = await found(workstation, "STUDY", StudyInstanceUID="", StudyDate="")

    days = {view[TAG_OF["StudyDate"]].values[0][:4] for view in seen}
    assert days == {"2022", "2023", "2024"}


@in_loop
@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("PATIENT", {"PatientID": ""}),
        ("STUDIES", {"StudyInstanceUID": ""}),
        ("SERIES", {"SeriesInstanceUID": ""}),
        ("IMAGE", {"StudyInstanceUID": "1.2", "SOPInstanceUID": ""}),
    ],
)
async def test_a_level_that_does_not_fit_is_refused(tmp_path, level, keys):
    async with (
        opened(tmp_path, DEVICES) as archive,
        served(archive, is_legacy=True) as port,
        calling_as("WS1", port) as workstation,
    ):
        assert await found(workstation, level, **keys) == (0xA900, [])


@in_loop
async def test_each_association_is_recorded_from_its_beginning_to_its_end(tmp_path):
    async with (
        opened(tmp_path, DEVICES) as archive,
        served(archive, is_legacy=True) as port,
        calling_as("WS1", port),
    ):
        pass
    told = entries(tmp_path, Event.ASSOCIATION_OPENED, Event.ASSOCIATION_CLOSED)
    assert [(one.event, one.identity, one.how) for one in told] == [
        (Event.ASSOCIATION_OPENED, "ws1", "address and title"),
        (Event.ASSOCIATION_CLOSED, "ws1", "address and title"),
    ]
