"""Everything is looked over, and every kind of damage is found and named."""

import asyncio
import hashlib
import os
import sqlite3
from contextlib import closing

import pytest

from archives import opened
from doorward.access.journal.verify import Break
from doorward.archive.blobs.verify import Verification
from doorward.archive.upkeep.verify import Bookmark, Reading, verify
from doorward.errors import ConfigError, StorageError
from loopback import in_loop, limits
from upkept import blobs, file_of, filled, flipped, some, store, take_in


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "archive", some(4))


def looked_over(folder, **named):
    return asyncio.run(verify(folder, **named))


def changed(folder, sql):
    with closing(sqlite3.connect(folder / "index")) as connection:
        connection.execute(sql)
        connection.commit()


def test_a_whole_archive_is_whole_in_every_part(folder):
    take_in(folder, file_of(some(1)[0], b"II*\0" + bytes(124)))

    found = looked_over(folder)

    assert found.is_whole
    assert (found.blobs.blobs, found.index.rows, found.index.orphans) == (5, 5, 0)
    assert found.journal.is_anchored


@in_loop
async def test_it_runs_beside_a_running_archive_and_changes_nothing(folder):
    async with opened(folder) as archive:
        await store(archive, some(5)[4])
        before = sorted(blobs(folder))
        found = await verify(folder)
        assert found.is_whole
        assert found.index.rows == 5
        assert sorted(blobs(folder)) == before


def test_a_flipped_bit_is_found_and_named_by_its_instance(folder):
    digest, path = next(iter(blobs(folder).items()))
    flipped(path)

    found = looked_over(folder)

    assert not found.is_whole
    assert found.blobs.damaged == 1
    [named] = found.damaged_named
    assert named.digest == digest
    assert named.sop_instance_uid.startswith("2.25.")
    assert path.exists()  # nothing is set aside beside a writer
    assert found.index.is_whole


def test_a_flipped_bit_is_found_by_its_digest_where_the_index_is_lost(folder):
    digest, path = next(iter(blobs(folder).items()))
    flipped(path)
    (folder / "index").unlink()

    found = looked_over(folder, index=False, journal=False)

    assert [one.digest for one in found.damaged_named] == [digest]


def test_a_lost_blob_and_one_of_another_size_are_found_by_the_index_without_reading_any(folder):
    (lost, lost_path), (longer, longer_path), *_ = blobs(folder).items()
    lost_path.unlink()
    longer_path.write_bytes(longer_path.read_bytes() + b"\0")

    found = looked_over(folder, blobs=False, journal=False)

    assert (found.index.missing, found.index.other_size) == (1, 1)
    assert {one.digest for one in found.index.wrong_named} == {lost, longer}
    assert found.blobs is None


def test_a_blob_without_a_row_is_an_orphan_once_it_is_old_and_no_damage(folder):
    content = b"nobody has asked for this"
    digest = hashlib.sha256(content).hexdigest()
    path = folder / "blobs" / "blobs" / digest[:2] / digest
    path.write_bytes(content)
    assert looked_over(folder).index.orphans == 0
    os.utime(path, (1, 1))

    found = looked_over(folder)

    assert found.index.orphans == 1
    assert found.is_whole


def test_a_changed_record_of_the_journal_is_found(folder):
    [segment] = (folder / "journal").glob("*.journal")
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b'"identity":"ct1"', b'"identity":"ct2"', 1))

    found = looked_over(folder, blobs=False, index=False)

    assert found.journal.broken.what is Break.CHANGED
    assert not found.is_whole


def test_a_wrong_count_in_the_index_is_said_in_words(folder):
    changed(folder, "UPDATE studies SET instances = 7 WHERE number = 1")

    found = looked_over(folder, blobs=False, journal=False)

    assert found.index.problems == ("1 studies count other instances than they have",)
    assert not found.is_whole


def test_rows_that_say_something_else_than_their_blob_are_found_and_named(folder):
    changed(folder, "UPDATE instances SET view = replace(view, 'UI', 'UH') WHERE number = 1")
    changed(folder, "UPDATE instances SET source = 'ct2' WHERE number = 2")

    found = looked_over(folder)

    assert not found.is_whole
    assert (found.index.differing, found.index.other_sender) == (1, 1)
    assert [one.sop_instance_uid for one in found.index.wrong_named] == ["2.25.2", "2.25.1"]
    alone = looked_over(folder, blobs=False, journal=False)
    assert alone.is_whole  # no blob and no record was read


def test_rows_are_not_held_against_a_blob_that_is_damaged_itself(folder):
    digest, path = next(iter(blobs(folder).items()))
    flipped(path, 140)
    found = looked_over(folder)
    assert [one.digest for one in found.damaged_named] == [digest]
    assert found.index.differing == 0


def test_rows_that_differ_are_remembered_by_the_bookmark(folder, tmp_path):
    changed(folder, "UPDATE instances SET view = '[]'")
    file, seen = tmp_path / "bookmark", []

    def broken_off(so_far):
        seen.append(so_far.last)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        looked_over(folder, bookmark=Bookmark(file), progress=broken_off)
    found = looked_over(folder, bookmark=Bookmark(file))
    assert found.index.differing == 4
    assert sorted(one.digest for one in found.index.wrong_named) == sorted(blobs(folder))


def test_a_uid_that_is_no_text_any_more_is_named_all_the_same(folder):
    changed(folder, "UPDATE series SET uid = CAST(x'ff' AS TEXT) WHERE number = 1")
    found = looked_over(folder)
    assert found.index.differing == 1
    assert found.index.wrong_named[0].series_uid == "\ufffd"


def test_an_index_of_noise_cannot_be_read_and_says_what_to_do(folder):
    content = bytearray((folder / "index").read_bytes())
    content[4096:] = b"\xff" * len(content[4096:])
    (folder / "index").write_bytes(content)

    with pytest.raises(StorageError) as caught:
        looked_over(folder, blobs=False, journal=False)

    assert caught.value.kind == "damaged"
    assert "reindex" in caught.value.hint


def test_a_verification_that_was_broken_off_goes_on_where_it_was(folder, tmp_path):
    names = sorted(blobs(folder))
    flipped(blobs(folder)[names[0]])
    file = tmp_path / "bookmark"
    seen = []

    def broken_off(so_far):
        seen.append(so_far.last)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        looked_over(folder, bookmark=Bookmark(file), progress=broken_off)
    assert Bookmark(file).read().blobs.last == names[1]
    again = []
    found = looked_over(folder, bookmark=Bookmark(file), progress=lambda v: again.append(v.last))

    assert again == names[2:]
    assert (found.blobs.blobs, found.blobs.damaged) == (4, 1)
    assert [one.digest for one in found.damaged_named] == names[:1]
    assert not file.exists()


def test_a_bookmark_of_something_else_is_refused_and_left(tmp_path):
    file = tmp_path / "bookmark"
    for content in (b"{}", b"[1]", b"\0\0", b'{"last": 1, "damaged_named": []}'):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="no bookmark"):
            Bookmark(file).read()
        assert file.read_bytes() == content


def test_a_bookmark_is_written_now_and_then(tmp_path):
    bookmark = Bookmark(tmp_path / "bookmark", limits=limits(upkeep_note_s=100.0))
    first = Reading(blobs=Verification(blobs=1, last="aa"), differing=1, differing_named=("aa",))
    bookmark.note(first)
    bookmark.note(Reading(blobs=Verification(blobs=2, last="bb")))
    assert bookmark.read() == first


def test_reading_keeps_to_its_rate(folder):
    async def timed():
        clock = asyncio.get_running_loop().time
        begun = clock()
        found = await verify(folder, index=False, journal=False, rate_bytes_per_s=20_000)
        return found.blobs.bytes, clock() - begun

    size_bytes, spent_s = asyncio.run(timed())
    assert spent_s >= size_bytes / 20_000 * 0.9


def test_what_is_no_archive_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no journal"):
        looked_over(tmp_path)
    with pytest.raises(ConfigError, match="no store of blobs"):
        looked_over(tmp_path, journal=False)
