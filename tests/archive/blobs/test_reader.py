"""Ranges of a blob, and all of it in chunks."""

import asyncio
import dataclasses
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blob_stores import LIMITS, content, digest_of, opened, put, spoil
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.reader import Glance, Rooms
from doorward.errors import LimitExceeded, StorageError, UsageError

WHOLE = content(1, 2_500)
NAME = digest_of(WHOLE)


class Cold(LocalDisk):
    """Nothing of it is ever in memory, or only the first half of what is asked."""

    def __init__(self, *, is_half=False):
        self.is_half = is_half

    def read_ready(self, handle, length, offset):
        return os.pread(handle, length // 2, offset) if self.is_half else None


DISKS = {"warm": LocalDisk(), "cold": Cold(), "half": Cold(is_half=True)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with opened(folder) as store:
        asyncio.run(put(store, WHOLE))
    return folder


@pytest.mark.parametrize("disk", DISKS)
@given(offset=st.integers(0, 2_500), length=st.integers(0, 2_500))
def test_a_range_is_what_was_written_there(folder, disk, offset, length):
    length = min(length, 2_500 - offset)

    async def both(store):
        async with store.open_blob(NAME) as blob:
            chunks = [chunk async for chunk in blob.chunks(offset, length)]
            return await blob.read(offset, length), chunks

    with opened(folder, disk=DISKS[disk], may_write=False) as store:
        found, chunks = asyncio.run(both(store))
    assert found == b"".join(chunks) == WHOLE[offset : offset + length]
    assert all(0 < len(chunk) <= LIMITS.blob_chunk_bytes for chunk in chunks)


@pytest.mark.parametrize(("disk", "found"), [("warm", WHOLE[7:99]), ("cold", None), ("half", None)])
def test_a_glance_shows_what_is_in_memory_and_waits_for_nothing_else(folder, disk, found):
    with opened(folder, disk=DISKS[disk], may_write=False) as store:
        before = len(os.listdir("/proc/self/fd"))
        with Glance(store.shelf, NAME) as blob:
            assert blob.size_bytes == 2_500
            assert blob.read(7, 92) == found
            assert blob.read(2_400, 200) is None
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_glance_at_what_is_not_there_says_so(folder):
    with opened(folder, may_write=False) as store, pytest.raises(StorageError) as refused:
        Glance(store.shelf, "0" * 64)
    assert refused.value.kind == "missing"


@pytest.mark.parametrize(("offset", "length"), ((-1, 1), (0, -1), (2_500, 1), (1, 2_500)))
def test_a_range_outside_is_refused(folder, offset, length):
    async def read(store):
        async with store.open_blob(NAME) as blob:
            with pytest.raises(UsageError):
                await blob.read(offset, length)
            with pytest.raises(UsageError):
                await anext(blob.chunks(offset, length))

    with opened(folder, may_write=False) as store:
        asyncio.run(read(store))


def test_more_than_is_read_at_once_has_to_be_taken_in_chunks(folder):
    async def read(store):
        async with store.open_blob(NAME) as blob:
            await blob.read(0, 1_001)

    limits = dataclasses.replace(LIMITS, blob_read_bytes=1_000)
    with (
        opened(folder, may_write=False, limits=limits) as store,
        pytest.raises(LimitExceeded, match="blob_read_bytes"),
    ):
        asyncio.run(read(store))


def test_an_open_blob_stays_what_it_was_when_its_name_goes(tmp_path):
    async def read(store, digest):
        async with store.open_blob(digest) as blob:
            assert store.shelf.remove_orphan(digest, before=1e12)
            return await blob.read(0, blob.size_bytes)

    with opened(tmp_path) as store:
        digest = asyncio.run(put(store, WHOLE)).digest
        assert asyncio.run(read(store, digest)) == WHOLE


def test_a_blob_that_is_not_there_or_cut_under_a_reader_is_said_so(tmp_path):
    async def read(store, digest, *, cut=False):
        async with store.open_blob(digest) as blob:
            if cut:
                os.truncate(store.shelf.path_of(digest), 10)
            return await blob.read(0, 20)

    with opened(tmp_path) as store:
        digest = asyncio.run(put(store, WHOLE)).digest
        with pytest.raises(StorageError) as missing:
            asyncio.run(read(store, digest_of(b"never seen")))
        with pytest.raises(StorageError) as damaged:
            asyncio.run(read(store, digest, cut=True))
    assert (missing.value.kind, damaged.value.kind) == ("missing", "damaged")


def test_a_cancelled_reader_does_not_close_the_file_under_its_thread(tmp_path):
    class Slow(Cold):
        def __init__(self):
            super().__init__()
            self.has_begun, self.may_go_on = threading.Event(), threading.Event()
            self.order: list[str] = []

        def read(self, handle, length, offset):
            if not self.order:
                self.order.append("begun")
                self.has_begun.set()
                assert self.may_go_on.wait(10)
                self.order.append("read")
            return super().read(handle, length, offset)

        def close(self, handle):
            self.order.append("closed")
            super().close(handle)

    async def cancelled(store, disk):
        async def read():
            async with store.open_blob(NAME) as blob:
                await blob.read(0, 10)

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            await asyncio.to_thread(disk.has_begun.wait, 10)
            reading.cancel()
        assert disk.order == ["begun"]
        disk.may_go_on.set()

    with opened(tmp_path) as store:
        asyncio.run(put(store, WHOLE))
    with opened(tmp_path, may_write=False) as store:
        store.shelf.disk = disk = Slow()
        asyncio.run(cancelled(store, disk))
    assert disk.order == ["begun", "read", "closed"]


def test_flipped_bits_are_not_found_by_reading_but_by_verifying(tmp_path):
    async def read(store):
        async with store.open_blob(NAME) as blob:
            return await blob.read(0, 10)

    with opened(tmp_path) as store:
        asyncio.run(put(store, WHOLE))
        spoil(tmp_path / "blobs" / NAME[:2] / NAME)
        assert asyncio.run(read(store)) != WHOLE[:10]


def test_a_room_is_used_again_only_when_nobody_has_a_view_of_it():
    rooms = Rooms(100)
    first = rooms.free()
    assert rooms.free() is first
    view = memoryview(first)[10:20]
    part = view[2:4]
    second = rooms.free()
    assert second is not first
    view.release()
    assert rooms.free() is second
    part.release()
    assert rooms.free() is first
    assert len(first) == 100


def test_no_more_rooms_are_kept_than_are_of_use():
    rooms = Rooms(100)
    views = [memoryview(rooms.free()) for _ in range(9)]
    kept = {id(view.obj) for view in views[:3]}
    views.clear()
    assert id(rooms.free()) in kept


@pytest.mark.parametrize("is_warm", [True, False])
def test_what_is_in_memory_is_read_into_a_room(folder, is_warm):
    class Cold(LocalDisk):
        def read_ready_into(self, handle, room, offset):
            return super().read_ready_into(handle, room[: len(room) // 2], offset)

    disk = LocalDisk() if is_warm else Cold()
    room = bytearray(2_000)
    with opened(folder, disk=disk, may_write=False) as store, Glance(store.shelf, NAME) as blob:
        found = blob.read_into(room, 7, 92)
        assert found == (WHOLE[7:99] if is_warm else None)
        assert found is None or found.readonly
        assert blob.read_into(room, 0, 2_500) is None  # longer than the room
