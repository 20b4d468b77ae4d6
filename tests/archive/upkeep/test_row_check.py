"""A row that says something else than its blob, or names another sender than the journal, is found; nothing else is."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

import archives
from archives import instance
from doorward.access.identity import Device
from doorward.archive.blobs.store import BlobStore
from doorward.archive.upkeep.row_check import RowCheck
from doorward.errors import StorageError
from upkept import blobs, file_of, filled, some, store, take_in

NAMED = {"PatientName": "Doe^Jane", "StudyDescription": "Chest"}


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "archive", some(3, **NAMED))


def changed(folder, sql, *values):
    with closing(sqlite3.connect(folder / "index")) as connection:
        connection.execute(sql, values)
        connection.commit()


def differing(folder):
    kept = BlobStore.open(folder / "blobs", may_write=False)
    try:
        with RowCheck.opened(folder / "index", kept.shelf) as rows:
            return [digest for digest in blobs(folder) if not rows.agrees(digest)]
    finally:
        kept.close()


def of_others(folder):
    kept = BlobStore.open(folder / "blobs", may_write=False)
    try:
        with RowCheck.opened(folder / "index", kept.shelf) as rows:
            return rows.of_other_senders(folder / "journal")
    finally:
        kept.close()


def digest_of(folder, number):
    with closing(sqlite3.connect(folder / "index")) as connection:
        sql = "SELECT digest FROM instances WHERE number = ?"
        return connection.execute(sql, (number,)).fetchone()[0].hex()


def test_rows_as_ingest_wrote_them_agree(folder):
    take_in(folder, file_of(some(1, **NAMED)[0], b"II*\0" + bytes(124)))
    assert differing(folder) == []
    assert of_others(folder) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE instances SET uid = uid || '1' WHERE number = 2",
        "UPDATE instances SET sop_class = '1.2' WHERE number = 2",
        "UPDATE instances SET transfer_syntax = '1.2' WHERE number = 2",
        "UPDATE instances SET size_bytes = 7 WHERE number = 2",
        "UPDATE instances SET view = replace(view, 'UI', 'UH') WHERE number = 2",
        "UPDATE instances SET view = CAST(x'ff' AS TEXT) WHERE number = 2",
        "UPDATE instances SET frames = x'00' WHERE number = 2",
        "UPDATE series SET uid = uid || '1' WHERE number = 2",
        "UPDATE series SET modality = 'XX' WHERE number = 2",
        "UPDATE series SET view = '[]' WHERE number = 2",
        "UPDATE studies SET uid = uid || '1' WHERE number = 2",
        "UPDATE studies SET study_day = '19000101' WHERE number = 2",
        "UPDATE studies SET referring_physician = 'X' WHERE number = 2",
        "UPDATE studies SET view = replace(view, 'Jane', 'Jand') WHERE number = 2",
    ],
)
def test_a_cell_that_differs_is_found(folder, sql):
    wanted = digest_of(folder, 2)
    changed(folder, sql)
    assert differing(folder) == [wanted]


def test_a_patient_who_differs_is_found_in_every_instance(folder):
    changed(folder, "UPDATE patients SET patient_id = 'another'")
    assert differing(folder) == sorted(blobs(folder))


def test_only_the_first_instance_says_what_its_study_is(tmp_path):
    series = {"StudyInstanceUID": "2.25.1.1", "SeriesInstanceUID": "2.25.1.2"}
    first = instance("2.25.1", PatientName="Doe^Jane", **series)
    second = instance("2.25.2", PatientName="Doe^John", **series)
    folder = filled(tmp_path / "archive", [first, second])
    assert differing(folder) == []
    changed(folder, "UPDATE studies SET view = '[]'")
    assert differing(folder) == [digest_of(folder, 1)]


def test_a_content_that_was_kept_aside_is_held_against_its_row_too(tmp_path):
    first, other = some(1)[0], some(1, PatientName="Doe^John")[0]
    folder = filled(tmp_path / "archive", [first, other])
    assert differing(folder) == []
    assert of_others(folder) == []
    changed(folder, "UPDATE conflicts SET series_uid = '1.2'")
    assert len(differing(folder)) == 1


def test_a_blob_that_holds_no_instance_differs_and_one_that_is_gone_does_not(folder):
    (broken, path), (gone, other), _ = blobs(folder).items()
    path.write_bytes(b"no instance")
    assert differing(folder) == [broken]
    kept = BlobStore.open(folder / "blobs", may_write=False)
    with RowCheck.opened(folder / "index", kept.shelf) as rows:
        other.unlink()
        assert rows.agrees(gone)
    kept.close()


def test_another_sender_than_the_journal_names_is_found(folder):
    wanted = digest_of(folder, 2)
    changed(folder, "UPDATE instances SET source = 'ct2' WHERE number = 2")
    assert of_others(folder) == [wanted]
    assert differing(folder) == []


def test_the_same_instance_again_from_another_changes_no_sender(tmp_path):
    folder = filled(tmp_path / "archive", some(1))
    other = Device(name="ct2", role="modality", ae_titles=("CT2",))

    async def again():
        async with archives.opened(folder) as archive:
            assert (await store(archive, some(1)[0], other)).status == 0

    asyncio.run(again())
    assert of_others(folder) == []


def test_an_index_that_cannot_be_read_says_so(folder):
    kept = BlobStore.open(folder / "blobs", may_write=False)
    with RowCheck.opened(folder / "index", kept.shelf) as rows:
        digest = next(iter(blobs(folder)))
        rows._connection.close()
        with pytest.raises(StorageError):
            rows.agrees(digest)
    kept.close()
