"""An index that is made anew answers as the one did that was lost."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archives
from doorward.access.identity import Device
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.archive.originals import heads_of
from doorward.archive.upkeep import beside
from doorward.archive.upkeep.reindex import reindex
from doorward.errors import ConfigError
from loopback import limits
from upkept import MODALITY, answered, blobs, file_of, filled, flipped, some, store, take_in

SITES = {"ct1": "north", "ct2": "south"}
OTHER = Device(name="ct2", role="modality", ae_titles=("CT2",), site="south")

INSTANCES = st.lists(
    st.builds(
        lambda number, content, **changes: archives.instance(
            f"2.25.{number}", bytes([content]), **changes
        ),
        st.integers(1, 6),
        st.integers(0, 1),
        StudyInstanceUID=st.sampled_from(["1.2.1", "1.2.2"]),
        SeriesInstanceUID=st.sampled_from(["1.3.1", "1.3.2"]),
        PatientID=st.sampled_from(["P1", "P2", ""]),
        PatientName=st.sampled_from(["Nobody^Known", "Somebody^Else"]),
        StudyDate=st.sampled_from(["20260102", "", "20251231"]),
        Modality=st.sampled_from(["CT", "MR"]),
    ),
    min_size=1,
    max_size=12,
)


def made_anew(folder, **named):
    return asyncio.run(reindex(folder, sites=SITES, **named))


def lose(folder):
    for name in ("index", "index-wal", "index-shm"):
        (folder / name).unlink(missing_ok=True)


def rows(folder):
    """Every row of an index that says something, without the time, which the journal knows to some milliseconds."""
    with beside.opened(folder / "index", limits()) as index:
        return [
            sorted(index.execute(f"SELECT {columns} FROM {table}").fetchall())
            for table, columns in (
                ("patients", "patient_id, issuer, study_uid"),
                (
                    "studies",
                    "uid, series, instances, study_day, site, department, modalities, sop_classes, view",
                ),
                ("study_texts", "tag, text"),
                ("series", "uid, instances, modality, view"),
                (
                    "instances",
                    "uid, sop_class, transfer_syntax, digest, size_bytes, source, view, frames",
                ),
                (
                    "conflicts",
                    "uid, digest, patient_id, issuer, study_uid, series_uid, size_bytes, source",
                ),
                ("heads", "digest, head"),
            )
        ]


@given(INSTANCES, st.lists(st.booleans(), min_size=12, max_size=12))
@settings(max_examples=10, deadline=None)
def test_answers_and_rows_are_those_of_the_index_that_was_lost(instances, senders):
    async def fill(folder):
        async with archives.opened(folder) as archive:
            for one, is_other in zip(instances, senders, strict=False):
                await store(archive, one, OTHER if is_other else MODALITY)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "archive"
        asyncio.run(fill(folder))
        said, before = answered(folder), rows(folder)
        lose(folder)

        made = made_anew(folder)

        assert answered(folder) == said
        assert rows(folder) == before
        assert (made.unreadable, made.without_record, made.deleted) == (0, 0, 0)
        assert not (folder / "index.scratch").exists()


def test_times_and_senders_come_from_the_journal(tmp_path):
    filled(tmp_path, some(2))
    lose(tmp_path)
    made_anew(tmp_path)

    stored = [one for one in archives.records(tmp_path) if one.entry.event is Event.STORE]
    with beside.opened(tmp_path / "index", limits()) as index:
        found = index.execute(
            "SELECT received_at, source FROM instances ORDER BY number"
        ).fetchall()
    assert found == [(int(one.time.timestamp() * 1000), "ct1") for one in stored]
    [note] = [one.entry for one in archives.records(tmp_path) if one.entry.event is Event.UPKEEP]
    assert note.subject == "reindex"


def test_beginnings_of_files_are_found_again(tmp_path):
    [one] = some(1)
    strange = file_of(one, b"MZ" + bytes(126))
    take_in(tmp_path, strange)
    lose(tmp_path)

    made = made_anew(tmp_path)

    async def kept():
        async with archives.opened(tmp_path) as archive:
            [held] = await archive.index.instances_with([one.sop_instance_uid])
            return await heads_of(archive.index, archive.blobs, held.digest)

    [head] = asyncio.run(kept())
    assert head.head == strange[: -len(one.data_set)]
    assert (made.heads, made.instances, made.unreadable) == (1, 1, 0)


def labelled(folder, label):
    async def work():
        async with archives.opened(folder) as archive:
            [study] = await archive.index.studies_with("2.25.1.1")
            if label:
                await archive.index.label(study.number, {label})
            return study.subject

    return asyncio.run(work())


def test_labels_stay_while_the_index_before_can_be_read(tmp_path):
    filled(tmp_path, some(2))
    labelled(tmp_path, "vip")

    made = made_anew(tmp_path)

    assert made.kept_labels
    assert labelled(tmp_path, "").labels == {"vip"}
    assert (tmp_path / "index.before").exists()


def test_without_an_index_the_site_is_that_of_the_sender_today(tmp_path):
    filled(tmp_path, some(1))
    assert labelled(tmp_path, "vip").site == "north"
    lose(tmp_path)

    made = made_anew(tmp_path)

    assert not made.kept_labels
    assert labelled(tmp_path, "").site == "north"
    assert labelled(tmp_path, "").labels == frozenset()


def test_an_index_of_noise_is_replaced(tmp_path):
    filled(tmp_path, some(2))
    said = answered(tmp_path)
    content = bytearray((tmp_path / "index").read_bytes())
    content[100:20_000] = bytes(len(content[100:20_000]))
    (tmp_path / "index").write_bytes(content)

    made_anew(tmp_path)

    assert answered(tmp_path) == said


def test_a_blob_that_holds_no_instance_is_counted_and_stays(tmp_path):
    filled(tmp_path, some(3))
    name, path = next(iter(blobs(tmp_path).items()))
    flipped(path, 300)
    path.write_bytes(path.read_bytes()[:320])
    lose(tmp_path)

    made = made_anew(tmp_path)

    assert (made.instances, made.unreadable, made.unreadable_named) == (2, 1, (name,))
    assert path.exists()


def deleted(folder, study_uid):
    """Delete the first study of a UID as an archive does: the index, then the journal; no sweep has come yet."""

    async def work():
        async with archives.opened(folder) as archive:
            study, *_ = await archive.index.studies_with(study_uid)
            await archive.index.delete_study(study.number)
            await archive.journal.write(Record(event=Event.DELETE, studies=(study_uid,)))

    asyncio.run(work())


def test_what_was_deleted_stays_deleted(tmp_path):
    filled(tmp_path, some(3))
    deleted(tmp_path, "2.25.2.1")
    said = answered(tmp_path)
    lose(tmp_path)

    made = made_anew(tmp_path)

    assert (made.instances, made.deleted) == (2, 1)
    assert answered(tmp_path) == said


def test_what_came_anew_after_it_was_deleted_is_held(tmp_path):
    filled(tmp_path, some(1))
    deleted(tmp_path, "2.25.1.1")
    filled(tmp_path, some(1))
    lose(tmp_path)

    assert made_anew(tmp_path).instances == 1


def test_where_two_patients_have_one_study_uid_a_deletion_loses_nobody(tmp_path):
    mine = archives.instance("2.25.1", StudyInstanceUID="1.2", PatientID="P1")
    yours = archives.instance("2.25.2", StudyInstanceUID="1.2", PatientID="P2")
    filled(tmp_path, [mine, yours])
    deleted(tmp_path, "1.2")
    lose(tmp_path)

    made = made_anew(tmp_path)

    assert (made.instances, made.deleted) == (2, 0)


def test_a_running_archive_is_left_alone(tmp_path):
    async def work():
        async with archives.opened(tmp_path):
            with pytest.raises(ConfigError) as caught:
                await reindex(tmp_path)
            assert "Stop it first" in caught.value.hint

    asyncio.run(work())


def test_a_crash_in_between_changes_nothing(tmp_path):
    filled(tmp_path, some(3))
    said = answered(tmp_path)

    def broken_off(count):
        if count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_anew(tmp_path, progress=broken_off)

    assert answered(tmp_path) == said
    assert made_anew(tmp_path).instances == 3
