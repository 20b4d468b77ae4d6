"""What an identifier chooses, and what is read of it."""

import pytest

from archives import calling_as, instance, legacy, opened, served
from doorward.archive.index.levels import Level
from doorward.archive.retrieval import (
    StoredInstance,
    Wanted,
    instances_for,
    studies_for,
    wanted_of,
)
from doorward.errors import LimitExceeded, PeerProtocolError, StorageError
from doorward.limits import DEFAULT_LIMITS
from doorward.net.transfer import store
from index_entries import view
from loopback import in_loop, limits

STUDY, SERIES, IMAGE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        (Level.PATIENT, {"PatientID": "P1"}, Wanted(patient_id="P1")),
        (Level.STUDY, {STUDY: "1.2\\1.3"}, Wanted(study_uids=("1.2", "1.3"))),
        (
            Level.STUDY,
            {"PatientID": "P1", STUDY: "1.2"},
            Wanted(patient_id="P1", study_uids=("1.2",)),
        ),
        (
            Level.SERIES,
            {STUDY: "1.2", SERIES: "1.4\\1.5"},
            Wanted(study_uids=("1.2",), series_uids=("1.4", "1.5")),
        ),
        (
            Level.IMAGE,
            {STUDY: "1", SERIES: "2", IMAGE: "3\\4"},
            Wanted(study_uids=("1",), series_uids=("2",), instance_uids=("3", "4")),
        ),
    ],
)
def test_unique_keys_choose(level, keys, expected):
    assert wanted_of(view(keys), level) == expected


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        (Level.PATIENT, {"PatientID": ""}),
        (Level.PATIENT, {"PatientID": "P1\\P2"}),
        (Level.STUDY, {"PatientID": "P1"}),
        (Level.SERIES, {SERIES: "1.4"}),
        (Level.SERIES, {STUDY: "1\\2", SERIES: "1.4"}),
        (Level.IMAGE, {STUDY: "1", IMAGE: "3"}),
    ],
)
def test_an_identifier_that_leaves_it_open_is_refused(level, keys):
    with pytest.raises(PeerProtocolError):
        wanted_of(view(keys), level)


@in_loop
async def test_only_what_is_wanted_is_found_and_read_as_it_came(tmp_path):
    sent = [instance(f"2.25.{n}", bytes([n]) * 2_000, StudyInstanceUID="2.25.9") for n in (1, 2, 3)]
    async with (
        opened(
            tmp_path, [legacy("ct1", "modality")], limits=limits(blob_chunk_bytes=1_024)
        ) as archive,
        served(archive, is_legacy=True) as port,
    ):
        async with calling_as("CT1", port) as modality:
            for one in sent:
                assert await store(modality, one) == 0
        index = archive.index
        studies = await studies_for(index, Wanted(study_uids=("2.25.9",)))
        of_study = await instances_for(index, Wanted(), studies, DEFAULT_LIMITS)
        of_series = await instances_for(
            index, Wanted(series_uids=("2.25.2.2",)), studies, DEFAULT_LIMITS
        )
        elsewhere = Wanted(series_uids=("2.25.1.2",), instance_uids=("2.25.2",))
        assert await studies_for(index, Wanted(patient_id="P2", study_uids=("2.25.9",))) == []
        assert len(await studies_for(index, Wanted(patient_id="P1"))) == 1
        assert len(of_study) == 3
        assert [one.sop_instance_uid for one in of_series] == ["2.25.2"]
        assert await instances_for(index, elsewhere, studies, DEFAULT_LIMITS) == []
        pieces = [p async for p in StoredInstance(of_series[0], archive.blobs).pieces()]
        assert b"".join(pieces) == sent[1].data_set
        assert len(pieces) > 1
        assert StoredInstance(of_series[0], archive.blobs).at_once() is None  # longer than a chunk
        with pytest.raises(LimitExceeded):
            await instances_for(index, Wanted(), studies, limits(retrieve_instances=2))
        for blob in (tmp_path / "blobs" / "blobs").glob("*/*"):
            blob.unlink()
        with pytest.raises(StorageError):
            await anext(StoredInstance(of_series[0], archive.blobs).pieces())
        with pytest.raises(StorageError):
            StoredInstance(of_series[0], archive.blobs).at_once()


def test_an_instance_is_written_anew_by_whoever_can_and_else_not_at_all():
    class Rewriter:
        def others(self, held):
            return (held, "1.2.3")

        def written_in(self, held, accepted):
            return (held, accepted)

    assert StoredInstance("held", None).other_syntaxes == ()
    assert StoredInstance("held", None).written_in({"1.2.3"}) is None
    one = StoredInstance("held", None, Rewriter())
    assert one.other_syntaxes == ("held", "1.2.3")
    assert one.written_in({"1.2.3"}) == ("held", {"1.2.3"})


@in_loop
async def test_what_follows_is_read_ahead_and_what_is_gone_hinders_nobody(tmp_path):
    sent = instance("2.25.1", StudyInstanceUID="2.25.9")
    async with (
        opened(tmp_path, [legacy("ct1", "modality")]) as archive,
        served(archive, is_legacy=True) as port,
    ):
        async with calling_as("CT1", port) as modality:
            assert await store(modality, sent) == 0
        [held] = await archive.index.instances_with(["2.25.1"])
        for following in ("", held.digest, "0" * 64):
            one = StoredInstance(held, archive.blobs, None, following)
            assert b"".join([p async for p in one.pieces()]) == sent.data_set
            assert one.at_once() == sent.data_set


@in_loop
@pytest.mark.parametrize(
    "change",
    [
        lambda file: file[:132] + file[144:],  # no group length: it is not of this version
        lambda file: file[:100],
        lambda file: file[:140] + b"\xff\xff\xff\xff" + file[144:],
        lambda _: b"",
    ],
)
async def test_a_file_that_does_not_begin_as_ours_do_is_not_at_hand_but_looked_at(tmp_path, change):
    sent = instance("2.25.1", StudyInstanceUID="2.25.9")
    async with (
        opened(tmp_path, [legacy("ct1", "modality")]) as archive,
        served(archive, is_legacy=True) as port,
    ):
        async with calling_as("CT1", port) as modality:
            assert await store(modality, sent) == 0
        [held] = await archive.index.instances_with(["2.25.1"])
        blob = tmp_path / "blobs" / "blobs" / held.digest[:2] / held.digest
        blob.write_bytes(change(blob.read_bytes()))
        assert StoredInstance(held, archive.blobs).at_once() is None
