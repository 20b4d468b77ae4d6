"""Opened, closed, opened again; one process at a time; nobody known at first."""

import pytest

from archives import calling_as, device, instance, legacy, opened, records, served
from doorward.access.identity import Register
from doorward.access.journal.record import Event
from doorward.access.rules import Rules
from doorward.archive.archive import Archive
from doorward.errors import AssociationRejected, ConfigError
from doorward.net.transfer import store
from loopback import in_loop

CT1 = legacy("ct1", "modality")


@in_loop
async def test_what_was_stored_is_there_after_a_restart(tmp_path):
    async with (
        opened(tmp_path, [CT1]) as archive,
        served(archive, is_legacy=True) as port,
        calling_as("CT1", port) as modality,
    ):
        assert await store(modality, instance("2.25.1")) == 0
    async with opened(tmp_path) as archive:
        assert (await archive.index.totals()).instances == 1
    events = [one.entry.event for one in records(tmp_path)]
    assert events.count(Event.START) == events.count(Event.STOP) == 2
    assert events.count(Event.STORE) == 1


@in_loop
async def test_a_new_archive_knows_nobody(tmp_path):
    async with opened(tmp_path) as archive, served(archive, is_legacy=True) as port:
        with pytest.raises(AssociationRejected):
            async with calling_as("CT1", port):
                pass
    refused = [
        one.entry for one in records(tmp_path) if one.entry.event is Event.ASSOCIATION_REFUSED
    ]
    assert [one.reason for one in refused] == ["no identity was shown"]


@in_loop
async def test_a_second_one_in_the_same_folder_is_refused(tmp_path):
    async with opened(tmp_path):
        with pytest.raises(ConfigError, match="another"):
            await Archive.open(tmp_path, register=Register(), rules=Rules())


@in_loop
async def test_a_lost_index_beside_blobs_is_said_and_not_made_empty(tmp_path):
    async with (
        opened(tmp_path, [CT1]) as archive,
        served(archive, is_legacy=True) as port,
        calling_as("CT1", port) as modality,
    ):
        await store(modality, instance("2.25.1"))
    for part in tmp_path.glob("index*"):
        part.unlink()

    with pytest.raises(ConfigError, match="index is missing"):
        await Archive.open(tmp_path, register=Register(), rules=Rules())


@in_loop
async def test_another_register_holds_at_once(tmp_path):
    async with opened(tmp_path, [CT1]) as archive:
        archive.use(register=Register(devices=(device("ws1", "workstation"),)))

        assert not archive.settings.register.has("ct1")
        assert archive.settings.rules.rules
