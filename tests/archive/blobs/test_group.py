"""What comes at the same time becomes durable together, each with an end of its own."""

import asyncio
import errno
import threading
from collections import Counter

import pytest

from blob_stores import FailingDisk, content, digest_of, files_in, opened
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.group import Group
from doorward.errors import StorageError, UsageError


async def brought(store, group, whole, about=lambda blob: blob):
    async with store.writer() as writer:
        await writer.write(whole)
        return await writer.commit_in(group, about)


def ends(store, group, wholes):
    """Return what became of each of them, all at the same time."""

    async def run():
        them = (brought(store, group, whole) for whole in wholes)
        return await asyncio.gather(*them, return_exceptions=True)

    return asyncio.run(run())


class Gate(LocalDisk):
    """Counts syncs, and holds the first one until so many parts have come."""

    def __init__(self, awaited: int) -> None:
        self.synced: Counter[str] = Counter()
        self._lacking = threading.Semaphore(0)
        self._awaited = awaited
        self._is_first = True

    def write(self, handle, content):
        super().write(handle, content)
        self._lacking.release()

    def sync(self, handle):
        if self._is_first:
            self._is_first = False
            for _ in range(self._awaited):
                assert self._lacking.acquire(timeout=10)
        self.synced["file"] += 1
        super().sync(handle)

    def sync_folder(self, path):
        self.synced["folder"] += 1
        super().sync_folder(path)


def test_what_follows_is_done_in_a_thread_while_the_blob_is_kept(tmp_path):
    def keep(blobs):
        return [(blob, store.has(blob.digest), threading.current_thread().name) for blob in blobs]

    with opened(tmp_path) as store:
        [(blob, is_there, thread)] = ends(store, Group(keep), [b"content"])
    assert blob.digest == digest_of(b"content")
    assert is_there
    assert thread.startswith("blob-write")


def test_what_came_meanwhile_is_kept_together(tmp_path):
    with opened(tmp_path):
        pass
    kept: list[int] = []

    def keep(blobs):
        kept.append(len(blobs))
        return blobs

    wholes = [content(number, 100) for number in range(6)]
    disk = Gate(awaited=6)
    with opened(tmp_path, disk=disk) as store:
        disk.synced.clear()
        blobs = ends(store, Group(keep), wholes)
    assert [blob.digest for blob in blobs] == list(map(digest_of, wholes))
    assert sum(kept) == 6
    assert len(kept) <= 2, "the first, and all that came while it was synced"
    assert disk.synced["file"] == 6
    assert disk.synced["folder"] <= 6


def test_a_folder_is_synced_once_for_all_of_its_names(tmp_path):
    by_folder: dict[str, list[bytes]] = {}
    for number in range(600):
        whole = content(number, 100)
        by_folder.setdefault(digest_of(whole)[:2], []).append(whole)
    wholes = max(by_folder.values(), key=len)[:3]
    assert len(wholes) == 3
    with opened(tmp_path):
        pass
    disk = Gate(awaited=3)
    with opened(tmp_path, disk=disk) as store:
        disk.synced.clear()
        ends(store, Group(lambda blobs: blobs), wholes)
    assert disk.synced["folder"] <= 2


def test_one_that_is_not_kept_takes_nothing_from_the_others(tmp_path):
    def keep(blobs):
        return [
            UsageError("not this one") if blob.size_bytes == 3 else blob.size_bytes
            for blob in blobs
        ]

    with opened(tmp_path) as store:
        first, second, third = ends(store, Group(keep), [b"1", b"333", b"55555"])
        assert (first, third) == (1, 5)
        assert isinstance(second, UsageError)
        assert not store.shelf._pins
        assert store.held_bytes == 0


def test_where_what_follows_is_a_bug_everybody_is_told_and_the_next_is_served(tmp_path):
    faults = [ZeroDivisionError()]

    def keep(blobs):
        if faults:
            raise faults.pop()
        return blobs

    with opened(tmp_path) as store:
        group = Group(keep)
        [told] = ends(store, group, [b"1"])
        assert isinstance(told, ZeroDivisionError)
        [blob] = ends(store, group, [b"2"])
        assert blob.digest == digest_of(b"2")
        assert not store.shelf._pins


def test_what_cannot_be_said_about_a_blob_is_told_to_its_own_caller(tmp_path):
    def about(blob):
        raise UsageError("no entry")

    async def run(store, group):
        with pytest.raises(UsageError, match="no entry"):
            await brought(store, group, b"1", about)
        return await brought(store, group, b"2")

    with opened(tmp_path) as store:
        blob = asyncio.run(run(store, Group(lambda blobs: blobs)))
        assert blob.digest == digest_of(b"2")
        assert not store.shelf._pins


def test_a_disk_that_fails_is_told_to_each_and_leaves_nothing(tmp_path):
    with opened(tmp_path):
        pass
    disk = FailingDisk("sync", errno.EIO)
    disk.is_on = True
    kept: list[object] = []
    with opened(tmp_path, disk=disk) as store:
        told = ends(store, Group(lambda blobs: kept.extend(blobs) or blobs), [b"1", b"2", b"3"])
        assert all(isinstance(one, StorageError) for one in told)
        assert not store.shelf._pins
    assert kept == []
    assert files_in(tmp_path) == []


def test_who_was_cancelled_is_passed_over(tmp_path):
    has_begun, may_go_on = threading.Event(), threading.Event()

    def keep(blobs):
        has_begun.set()
        assert may_go_on.wait(10)
        return blobs

    async def run(store):
        group = Group(keep)
        task = asyncio.create_task(brought(store, group, b"1"))
        assert await asyncio.to_thread(has_begun.wait, 10)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, may_go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        return await brought(store, group, b"2")

    with opened(tmp_path) as store:
        assert asyncio.run(run(store)).digest == digest_of(b"2")
        assert not store.shelf._pins
