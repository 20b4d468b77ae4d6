"""The index, read beside its writer."""

import sqlite3
from contextlib import closing

import pytest

from archives import opened as archive_opened
from doorward.archive.upkeep.beside import Named, lacking, named, opened, rows
from doorward.errors import ConfigError, StorageError
from loopback import in_loop, limits
from upkept import blobs, file_of, filled, some, store, take_in


def all_rows(folder, **bounds):
    with opened(folder / "index", limits(**bounds)) as connection:
        return [row for page in rows(connection, limits(**bounds)) for row in page]


def test_every_blob_that_is_needed_is_a_row_whatever_the_size_of_a_page(tmp_path):
    first, *others = some(5)
    other_content = some(1, PatientName="Somebody^Else")
    filled(tmp_path, [first, *others, *other_content])
    take_in(tmp_path, file_of(first, b"MZ" + bytes(126)))

    for page in (1, 2, 100):
        found = all_rows(tmp_path, blob_names_at_a_time=page)
        assert {row.digest for row in found} == set(blobs(tmp_path))
        assert len(found) == 7
        sized = [row for row in found if row.size_bytes is not None]
        assert all(blobs(tmp_path)[r.digest].stat().st_size == r.size_bytes for r in sized)
        assert len(sized) == 6


@in_loop
async def test_an_index_is_read_while_it_is_written(tmp_path):
    async with archive_opened(tmp_path) as archive:
        for one in some(2):
            await store(archive, one)
        assert len(all_rows(tmp_path)) == 2


def test_a_blob_is_named_by_its_instance_and_a_stranger_by_its_digest_alone(tmp_path):
    [one] = some(1)
    [digest] = blobs(filled(tmp_path, [one]))
    stranger = "ab" * 32

    with opened(tmp_path / "index", limits()) as connection:
        found = named(connection, [digest, stranger])

    uid = one.sop_instance_uid
    assert found == [
        Named(digest=digest, study_uid=f"{uid}.1", series_uid=f"{uid}.2", sop_instance_uid=uid),
        Named(digest=stranger),
    ]
    assert uid not in repr(found)


@in_loop
async def test_what_lacks_is_counted_and_named_up_to_a_bound(tmp_path):
    async with archive_opened(tmp_path) as archive:
        for one in some(3):
            await store(archive, one)
        for path in blobs(tmp_path).values():
            path.unlink()
        with opened(tmp_path / "index", limits()) as connection:
            count, found = lacking(connection, archive.blobs.shelf, limits(blob_damaged_named=2))
    assert (count, len(found)) == (3, 2)


def test_an_index_that_is_not_there_newer_or_something_else_is_refused(tmp_path):
    file = tmp_path / "index"
    with pytest.raises(ConfigError, match="no index"), opened(file, limits()):
        pass
    file.write_bytes(b"something else")
    with pytest.raises(ConfigError, match="no index of Doorward"), opened(file, limits()):
        pass
    filled(tmp_path / "a", some(1))
    file = tmp_path / "a" / "index"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="version 99"), opened(file, limits()):
        pass
    file.write_bytes(file.read_bytes()[:16] + bytes(4080))
    with pytest.raises(StorageError), opened(file, limits()):
        pass
