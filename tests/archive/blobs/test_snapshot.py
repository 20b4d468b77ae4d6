"""A copy while the archive runs: linked or copied, whole, and a store of its own."""

import asyncio
import errno
import os

import pytest

from blob_stores import content, files_in, get, in_store, opened, put, spoil
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.snapshot import snapshot
from doorward.archive.blobs.verify import verify
from doorward.errors import ConfigError, StorageError, UsageError


async def taken(store, to):
    async with store.upkeep:
        return await snapshot(store, to)


async def filled(store, count=5):
    return [(await put(store, content(number))).digest for number in range(count)]


@pytest.fixture
def without_links(monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", fail)


def test_on_one_file_system_blobs_are_linked(tmp_path):
    async def run(store):
        await filled(store)
        return await taken(store, tmp_path / "copy")

    found = in_store(tmp_path / "store", run)
    assert (found.linked, found.copied, found.already, found.damaged) == (5, 0, 0, 0)
    assert all(path.stat().st_nlink == 2 for path in files_in(tmp_path / "copy"))
    assert in_store(tmp_path / "copy", verify).blobs == 5


def test_on_another_file_system_they_are_copied(tmp_path, without_links):
    async def run(store):
        await filled(store)
        return await taken(store, tmp_path / "copy")

    found = in_store(tmp_path / "store", run)
    assert (found.linked, found.copied) == (0, 5)
    assert all(path.stat().st_nlink == 1 for path in files_in(tmp_path / "copy"))
    assert in_store(tmp_path / "copy", verify).damaged == 0


def test_damage_is_not_copied(tmp_path, without_links):
    async def run(store):
        digests = await filled(store)
        spoil(tmp_path / "store" / "blobs" / digests[2][:2] / digests[2])
        return digests[2], await taken(store, tmp_path / "copy")

    digest, found = in_store(tmp_path / "store", run)
    assert (found.copied, found.damaged, found.damaged_named) == (4, 1, (digest,))
    assert len(files_in(tmp_path / "copy")) == 4


def test_a_second_snapshot_takes_only_what_is_new(tmp_path):
    async def run(store):
        await filled(store, 3)
        await taken(store, tmp_path / "copy")
        await filled(store, 5)
        return await taken(store, tmp_path / "copy")

    found = in_store(tmp_path / "store", run)
    assert (found.linked, found.already) == (2, 3)


def test_a_snapshot_stays_what_it_was(tmp_path):
    async def run(store):
        digests = await filled(store)
        await taken(store, tmp_path / "copy")
        assert store.shelf.remove_orphan(digests[0], before=1e12)
        return digests[0]

    digest = in_store(tmp_path / "store", run)
    assert in_store(tmp_path / "copy", lambda copy: get(copy, digest)) == content(0)


def test_writers_go_on_meanwhile(tmp_path):
    async def run(store):
        await filled(store)
        found, *_ = await asyncio.gather(
            taken(store, tmp_path / "copy"), *(put(store, content(n)) for n in range(10, 40))
        )
        return found

    found = in_store(tmp_path / "store", run)
    assert 5 <= found.linked <= 35
    assert in_store(tmp_path / "copy", verify).damaged == 0
    assert len(files_in(tmp_path / "store")) == 35


def test_without_upkeep_held_or_into_something_else_nothing_is_taken(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one").touch()
    with opened(tmp_path / "store") as store:
        with pytest.raises(UsageError, match="upkeep"):
            asyncio.run(snapshot(store, tmp_path / "copy"))
        with pytest.raises(ConfigError):
            asyncio.run(taken(store, tmp_path / "letters"))
    assert not (tmp_path / "copy").exists()


def test_a_target_that_refuses_is_named(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "full")

    async def run(store):
        await filled(store)
        monkeypatch.setattr(LocalDisk, "link", fail)
        with pytest.raises(StorageError, match="no room"):
            await taken(store, tmp_path / "copy")

    in_store(tmp_path / "store", run)
