"""A look begins in the journal before anything leaves, is asked for each time, and ends by itself with its counts."""

import asyncio
import dataclasses

import pytest

from archives import instance, opened, records
from dicomweb_calls import Web, who
from doorward.access.identity import Role
from doorward.access.journal.record import Entry, Event
from doorward.access.rules import Rules
from doorward.archive.giving import Refusal, Why
from doorward.archive.retrieval import Wanted
from doorward.archive.viewing import Kind, Look
from doorward.errors import LocalProtocolError, StorageError
from loopback import in_loop, limits

RECORD = Entry(event=Event.LOGIN, peer="127.0.0.1")
STUDY = Wanted(study_uids=("1.2.3.1",))


def looks(folder):
    return [one.entry for one in records(folder) if one.entry.identity == "ws1"]


async def filled(archive, *uids):
    await Web(archive).store(*(instance(uid) for uid in uids or ("1.2.3",)))
    return archive.viewing


@in_loop
async def test_a_look_is_in_the_journal_before_it_gives_anything(tmp_path):
    async with opened(tmp_path) as archive:
        viewing = await filled(archive)
        look = await viewing.look(Kind.FRAMES, STUDY, who(), RECORD)
        [begun] = looks(tmp_path)
        assert [one.sop_instance_uid for one in look.instances] == ["1.2.3"]
        assert (begun.event, begun.reason, begun.studies) == (
            *(Event.TRANSFER_BEGUN, "frames", ("1.2.3.1",)),
        )


@in_loop
async def test_hundreds_of_requests_are_two_records(tmp_path):
    async with opened(tmp_path) as archive:
        viewing = await filled(archive)
        for _ in range(100):
            look = await viewing.look(Kind.FRAMES, STUDY, who(), RECORD)
            assert await look.take(10, "1.2.3", frames=2) is None
    begun, done = looks(tmp_path)
    assert (begun.event, done.event) == (Event.TRANSFER_BEGUN, Event.RETRIEVE)
    assert (done.instances, done.size_bytes, done.reason) == (1, 1_000, "frames, 200 frames")


@in_loop
async def test_a_look_ends_when_nothing_more_is_asked_for(tmp_path):
    ended = asyncio.Event()

    def note(record):
        if record.entry.event is Event.RETRIEVE:
            ended.set()

    async with opened(tmp_path, limits=limits(viewing_gap_s=0.05), written=note) as archive:
        viewing = await filled(archive)
        await viewing.look(Kind.METADATA, STUDY, who(), RECORD)
        await ended.wait()
        await viewing.look(Kind.METADATA, STUDY, who(), RECORD)
        ended.clear()
        await ended.wait()
    assert [one.event for one in looks(tmp_path)] == [Event.TRANSFER_BEGUN, Event.RETRIEVE] * 2


@in_loop
async def test_kinds_studies_and_identities_are_looks_of_their_own(tmp_path):
    async with opened(tmp_path) as archive:
        viewing = await filled(archive, "1.2.3", "1.2.4")
        for kind in (Kind.FRAMES, Kind.METADATA):
            await viewing.look(kind, STUDY, who(), RECORD)
        await viewing.look(Kind.FRAMES, Wanted(study_uids=("1.2.4.1",)), who(), RECORD)
        await viewing.look(Kind.FRAMES, STUDY, who("ws2"), RECORD)
    begun = [one.entry for one in records(tmp_path) if one.entry.event is Event.TRANSFER_BEGUN]
    assert len(begun) == 4


@in_loop
async def test_requests_at_once_share_one_beginning(tmp_path):
    async with opened(tmp_path) as archive:
        viewing = await filled(archive)
        found = await asyncio.gather(
            *(viewing.look(Kind.FRAMES, STUDY, who(), RECORD) for _ in range(20))
        )
        assert all(isinstance(one, Look) and one.instances for one in found)
    assert len(looks(tmp_path)) == 2


@in_loop
async def test_whoever_is_revoked_is_refused_at_the_next_request(tmp_path):
    async with opened(tmp_path) as archive:
        viewing = await filled(archive)
        assert isinstance(await viewing.look(Kind.FRAMES, STUDY, who(), RECORD), Look)
        refused = await viewing.look(Kind.FRAMES, STUDY, None, RECORD)
        modality = await viewing.look(Kind.FRAMES, STUDY, who("ct1", Role.MODALITY), RECORD)
        archive.use(rules=Rules())
        no_rule = await viewing.look(Kind.FRAMES, STUDY, who(), RECORD)
    for one in (refused, modality, no_rule):
        assert isinstance(one, Refusal)
        assert one.why is Why.NOT_AUTHORISED


@in_loop
async def test_what_is_not_held_is_nothing_and_nothing_can_be_taken_of_it(tmp_path):
    async with opened(tmp_path) as archive:
        viewing = await filled(archive)
        none = await viewing.look(Kind.FRAMES, Wanted(study_uids=("9.9",)), who(), RECORD)
        other = dataclasses.replace(STUDY, series_uids=("9.9",))
        assert (await viewing.look(Kind.FRAMES, other, who(), RECORD)).instances == ()
        with pytest.raises(LocalProtocolError):
            await none.take(1, "9.9")


@in_loop
async def test_the_hour_has_an_end_for_looks_too(tmp_path):
    async with opened(
        tmp_path, limits=limits(volume_retrieved_bytes=15, volume_studies=1)
    ) as archive:
        viewing = await filled(archive, "1.2.3", "1.2.4")
        look = await viewing.look(Kind.FRAMES, STUDY, who(), RECORD)
        assert await look.take(10, "1.2.3") is None
        bytes_up = await look.take(10, "1.2.3")
        other = Wanted(study_uids=("1.2.4.1",))
        studies_up = await viewing.look(Kind.FRAMES, other, who(), RECORD)
        assert bytes_up.why is studies_up.why is Why.VOLUME
        assert bytes_up.retry_after_s > 0
    refusals = [one.entry for one in records(tmp_path) if one.entry.event is Event.REFUSAL]
    assert [one.rule for one in refusals] == ["(volume)", "(volume)"]
    [done] = [one for one in looks(tmp_path) if one.event is Event.RETRIEVE]
    assert done.size_bytes == 10


@in_loop
async def test_the_longest_idle_look_makes_room(tmp_path):
    async with opened(tmp_path, limits=limits(viewing_open=1)) as archive:
        viewing = await filled(archive)
        await viewing.look(Kind.FRAMES, STUDY, who(), RECORD)
        await viewing.look(Kind.METADATA, STUDY, who(), RECORD)
    assert [(one.event, one.reason) for one in looks(tmp_path)] == [
        *((Event.TRANSFER_BEGUN, "frames"), (Event.RETRIEVE, "frames")),
        *((Event.TRANSFER_BEGUN, "metadata"), (Event.RETRIEVE, "metadata")),
    ]


@in_loop
async def test_without_a_journal_nothing_is_looked_at(tmp_path):
    async with opened(tmp_path) as archive:
        viewing = await filled(archive)

        def full(_):
            raise StorageError("full", operation="write", path=tmp_path, kind="full")

        archive.journal.submit, kept = full, archive.journal.submit
        refused = await viewing.look(Kind.FRAMES, STUDY, who(), RECORD)
        archive.journal.submit = kept
    assert refused.why is Why.STORAGE


@in_loop
async def test_more_than_is_given_at_once_is_refused(tmp_path):
    async with opened(tmp_path, limits=limits(retrieve_instances=1)) as archive:
        same = {"StudyInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.2"}
        await Web(archive).store(instance("1.2.3", **same), instance("1.2.4", **same))
        refused = await archive.viewing.look(Kind.METADATA, STUDY, who(), RECORD)
    assert refused.why is Why.TOO_MANY
