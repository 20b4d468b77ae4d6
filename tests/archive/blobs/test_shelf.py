"""Folders, names, and who may take them away."""

import asyncio
import errno
import os
import time

import pytest

from blob_stores import LIMITS, FailingDisk, content, digest_of, in_store, opened, put, spoil
from doorward.archive.blobs.names import FOLDERS
from doorward.errors import ConfigError, StorageError, UsageError

FAR = time.time() + 1_000_000


def test_an_empty_folder_becomes_a_store_and_opens_again(tmp_path):
    for _ in range(2):
        with opened(tmp_path / "store") as store:
            assert store.shelf.digests("00") == []
    folder = tmp_path / "store"
    assert (folder / "VERSION").read_bytes() == b"doorward.blobs/1\n"
    assert {path.name for path in (folder / "blobs").iterdir()} == set(FOLDERS)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_something_else_is_left_alone(tmp_path):
    (tmp_path / "letters").mkdir()
    with pytest.raises(ConfigError, match="not empty and no store"), opened(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} <= {"letters", "lock"}


def test_a_store_of_another_version_is_not_touched(tmp_path):
    (tmp_path / "VERSION").write_text("doorward.blobs/2\n")
    for may_write in (True, False):
        opening = opened(tmp_path, may_write=may_write)
        with pytest.raises(ConfigError, match="form") as caught, opening:
            pass
        assert "another version" in (caught.value.hint or "")


def test_a_first_start_that_was_killed_half_way_is_gone_on_with(tmp_path):
    (tmp_path / "lock").touch()
    (tmp_path / "VERSION.new").write_text("doorw")
    with opened(tmp_path) as store:
        assert asyncio.run(put(store, b"x")).is_new


def test_one_process_writes_and_others_may_read(tmp_path):
    with opened(tmp_path) as store:
        blob = asyncio.run(put(store, content(1)))
        with pytest.raises(ConfigError, match="another Doorward"), opened(tmp_path):
            pass
        with opened(tmp_path, may_write=False) as reader:
            assert reader.has(blob.digest)
            with pytest.raises(UsageError):
                reader.writer()
            with pytest.raises(UsageError):
                reader.shelf.quarantine(blob.digest)
        assert asyncio.run(put(store, content(2))).is_new, "a reader took the right to write"


def test_reading_makes_no_store(tmp_path):
    with pytest.raises(ConfigError, match="no store"), opened(tmp_path, may_write=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_gone_at_the_next_start(tmp_path):
    with opened(tmp_path):
        pass
    (tmp_path / "incoming" / "7.part").write_bytes(b"half of")
    with opened(tmp_path):
        assert list((tmp_path / "incoming").iterdir()) == []


def test_strange_files_among_the_blobs_are_not_taken_for_blobs(tmp_path):
    with opened(tmp_path) as store:
        digest = digest_of(b"x")
        (tmp_path / "blobs" / "00" / "README").touch()
        wrong = next(name for name in FOLDERS if name != digest[:2])
        (tmp_path / "blobs" / wrong / digest).touch()
        assert all(store.shelf.digests(name) == [] for name in FOLDERS)


def test_a_pinned_blob_and_a_young_one_are_no_orphans(tmp_path):
    with opened(tmp_path) as store:

        async def pinned():
            async with store.writer() as writer:
                await writer.write(b"x")
                digest = (await writer.commit()).digest
                assert store.shelf.remove_orphan(digest, before=FAR) is None
            return digest

        digest = asyncio.run(pinned())
        assert store.shelf.remove_orphan(digest, before=0) is None
        assert store.shelf.remove_orphan(digest, before=FAR) == 1
        assert store.shelf.remove_orphan(digest, before=FAR) is None


def test_a_blob_that_comes_again_is_young_again(tmp_path):
    with opened(tmp_path) as store:
        blob = asyncio.run(put(store, b"x"))
        os.utime(store.shelf.path_of(blob.digest), (1, 1))
        asyncio.run(put(store, b"x"))
        assert store.shelf.remove_orphan(blob.digest, before=1_000) is None


def test_parts_that_are_being_written_stay(tmp_path):
    with opened(tmp_path) as store:
        (tmp_path / "incoming" / "left.part").touch()

        async def writing():
            async with store.writer() as writer:
                for _ in range(3):  # the second waits for the first to be on the disk
                    await writer.write(bytes(LIMITS.blob_block_bytes))
                return store.shelf.remove_parts(before=FAR), (await writer.commit()).size_bytes

        assert asyncio.run(writing()) == (1, 3 * LIMITS.blob_block_bytes)
        assert store.shelf.remove_parts(before=FAR) == 0


def test_only_what_is_damaged_is_set_aside_and_its_name_is_free(tmp_path):
    with opened(tmp_path) as store:
        digest = asyncio.run(put(store, content(1))).digest
        assert not store.shelf.quarantine(digest)
        for number in (1, 2):
            spoil(tmp_path / "blobs" / digest[:2] / digest)
            assert store.shelf.quarantine(digest)
            assert not store.has(digest)
            assert (tmp_path / "quarantine" / f"{digest}.{number}").exists()
            assert asyncio.run(put(store, content(1))).is_new
        assert not store.shelf.quarantine(digest_of(b"never seen"))


@pytest.mark.parametrize("operation", ("sync", "sync_folder"))
def test_after_a_sync_that_failed_nothing_more_is_accepted(tmp_path, operation):
    disk = FailingDisk(operation, errno.EIO)
    with opened(tmp_path, disk=disk) as store:
        asyncio.run(put(store, content(1)))
        disk.is_on = True
        with pytest.raises(StorageError, match="cannot sync"):
            asyncio.run(put(store, content(2)))
        disk.is_on = False
        for number in (1, 3):
            with pytest.raises(StorageError, match="nothing more is accepted") as caught:
                asyncio.run(put(store, content(number)))
            assert caught.value.kind == "failed"
            assert "kernel" in (caught.value.hint or "")
    assert in_store(tmp_path, lambda store: put(store, content(2))).size_bytes == 2_500


def test_a_disk_that_was_full_accepts_again_when_there_is_room(tmp_path):
    disk = FailingDisk("sync_folder", errno.ENOSPC)
    with opened(tmp_path, disk=disk) as store:
        disk.is_on = True
        with pytest.raises(StorageError):
            asyncio.run(put(store, content(1)))
        disk.is_on = False
        assert asyncio.run(put(store, content(1))).size_bytes == 2_500
