"""Fragments in, a durable blob out; or nothing at all."""

import asyncio
import dataclasses
import errno
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blob_process import environment
from blob_stores import LIMITS, FailingDisk, content, digest_of, files_in, get, opened, put, spoil
from doorward.archive.blobs.disk import LocalDisk
from doorward.errors import LimitExceeded, LocalProtocolError, StorageError, StorageFull


@settings(max_examples=50)
@given(
    size=st.integers(0, 6_000),
    fragment=st.integers(1, 3_000),
    expected=st.none() | st.integers(1, 9_000),
)
def test_any_fragments_give_the_same_blob(tmp_path_factory, size, fragment, expected):
    whole = content(size, size)
    folder = tmp_path_factory.getbasetemp() / "fragments"
    with opened(folder) as store:
        blob = asyncio.run(put(store, whole, fragment=fragment, expected_bytes=expected))
        assert (blob.digest, blob.size_bytes) == (digest_of(whole), size)
        assert asyncio.run(get(store, blob.digest)) == whole
    assert not list((folder / "incoming").iterdir())


@pytest.mark.parametrize("size", (10, 2_500))
def test_the_same_content_is_stored_once(tmp_path, size):
    with opened(tmp_path) as store:
        first = asyncio.run(put(store, content(1, size)))
        second = asyncio.run(put(store, content(1, size)))
    assert (first.is_new, second.is_new) == (True, False)
    assert first.digest == second.digest
    assert len(files_in(tmp_path)) == 1


@pytest.mark.parametrize("size", (10, 2_500))
def test_content_that_comes_again_heals_what_has_rotted(tmp_path, size):
    with opened(tmp_path) as store:
        digest = asyncio.run(put(store, content(1, size))).digest
        spoil(tmp_path / "blobs" / digest[:2] / digest, at=size - 1)
        assert asyncio.run(put(store, content(1, size))).is_new
        assert asyncio.run(get(store, digest)) == content(1, size)
    assert [path.name for path in (tmp_path / "quarantine").iterdir()] == [f"{digest}.1"]


def test_many_writers_of_the_same_and_of_other_content(tmp_path):
    async def all_of_them(store):
        return await asyncio.gather(*(put(store, content(number % 20)) for number in range(60)))

    with opened(tmp_path) as store:
        blobs = asyncio.run(all_of_them(store))
    assert len(files_in(tmp_path)) == len({blob.digest for blob in blobs}) == 20
    assert sum(blob.is_new for blob in blobs) >= 20  # at the same moment, both may be


@pytest.mark.parametrize("size", (10, 3_000))
def test_without_a_commit_nothing_remains(tmp_path, size):
    async def leave(store):
        async with store.writer() as writer:
            await writer.write(content(1, size))

    with opened(tmp_path) as store:
        asyncio.run(leave(store))
        assert files_in(tmp_path) == []


def test_a_sender_that_is_cancelled_leaves_nothing(tmp_path):
    class Slow(LocalDisk):
        def __init__(self):
            self.has_begun, self.may_go_on = threading.Event(), threading.Event()

        def sync(self, handle):
            self.has_begun.set()
            assert self.may_go_on.wait(10)
            super().sync(handle)

    async def cancelled(store, disk):
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(put(store, content(1)))
            await asyncio.to_thread(disk.has_begun.wait, 10)
            sending.cancel()
            disk.may_go_on.set()
        # The thread went on to the end: nobody was told, so the blob is an orphan, and no pin keeps it.
        return store.shelf.remove_orphan(digest_of(content(1)), before=1e12)

    with opened(tmp_path):
        pass
    disk = Slow()
    with opened(tmp_path, disk=disk) as store:
        assert asyncio.run(cancelled(store, disk)) == 2_500
    assert files_in(tmp_path) == []


def test_an_instance_beyond_the_bound_is_refused(tmp_path):
    with opened(tmp_path) as store, pytest.raises(LimitExceeded, match="blob_bytes"):
        asyncio.run(put(store, bytes(LIMITS.blob_bytes + 1)))
    assert files_in(tmp_path) == []


def test_after_its_commit_a_writer_takes_nothing(tmp_path):
    async def more(store):
        async with store.writer() as writer:
            await writer.commit()
            with pytest.raises(LocalProtocolError):
                await writer.write(b"x")
            with pytest.raises(LocalProtocolError):
                await writer.commit()

    with opened(tmp_path) as store:
        asyncio.run(more(store))


def test_when_too_much_is_held_fragments_go_to_the_disk_as_they_come(tmp_path):
    async def crowd(store):
        async with store.writer() as first, store.writer() as second:
            await first.write(bytes(400))
            await second.write(b"y" * 200)  # 600 together
            await second.write(b"z")  # waits until the 200 are written
            held = [path.stat().st_size for path in files_in(tmp_path)]
            await first.commit()
            await second.commit()
        return held

    limits = dataclasses.replace(LIMITS, blob_held_bytes=500)
    with opened(tmp_path, limits=limits) as store:
        assert asyncio.run(crowd(store)) in ([200], [201])  # z may have come there since
        assert store.held_bytes == 0


def test_nothing_is_held_once_all_writers_are_gone(tmp_path):
    async def mixed(store):
        async with store.writer() as writer:
            await writer.write(bytes(3_500))
            await writer.write(bytes(100))
        await put(store, content(1))

    with opened(tmp_path) as store:
        asyncio.run(mixed(store))
        assert store.held_bytes == 0


OPERATIONS = ("create", "allocate", "write", "truncate", "sync", "rename", "sync_folder", "close")


@pytest.mark.parametrize("skip", range(2))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_disk_that_is_full_at_any_operation_keeps_nothing_half(tmp_path, operation, skip):
    disk = FailingDisk(operation, errno.ENOSPC, skip=skip)
    with opened(tmp_path, disk=disk) as store:
        before = asyncio.run(put(store, content(1)))
        disk.is_on = True
        try:
            asyncio.run(put(store, content(2), expected_bytes=9_000))
        except StorageFull:
            pass
        else:
            assert disk.left >= 0, "it failed, and a success was given"
        disk.is_on = False
        assert asyncio.run(get(store, before.digest)) == content(1)
    for path in files_in(tmp_path):
        assert path.parent.parent.name == "blobs"
        assert digest_of(path.read_bytes()) == path.name


@pytest.mark.parametrize(
    ("number", "kind"), ((errno.EROFS, "read_only"), (errno.EACCES, "permission"))
)
def test_a_file_system_that_refuses_is_named(tmp_path, number, kind):
    disk = FailingDisk("create", number)
    with opened(tmp_path, disk=disk) as store:
        disk.is_on = True
        with pytest.raises(StorageError) as caught:
            asyncio.run(put(store, content(1)))
    assert caught.value.kind == kind


def test_the_reserve_is_left_for_index_and_journal(tmp_path):
    limits = dataclasses.replace(LIMITS, blob_reserve_bytes=1 << 60)
    with opened(tmp_path, limits=limits) as store, pytest.raises(StorageFull):
        asyncio.run(put(store, b"x"))
    assert files_in(tmp_path) == []


def test_an_instance_of_unknown_length_does_not_eat_the_reserve(tmp_path):
    class Shrinking(LocalDisk):
        left = 6_000

        def free_bytes(self, path):
            self.left -= 1_000
            return self.left

    limits = dataclasses.replace(LIMITS, blob_reserve_bytes=1_500)
    with opened(tmp_path, limits=limits, disk=Shrinking()) as store:
        assert asyncio.run(put(store, content(1))).size_bytes == 2_500
        with pytest.raises(StorageFull):
            asyncio.run(put(store, content(2, 9_000)))
    assert len(files_in(tmp_path)) == 1


#: Runs in a mount namespace of its own, on a file system of 3 MB that only it sees.
SMALL_DISK = """
    import asyncio, dataclasses, os, subprocess, sys
    from pathlib import Path
    from blob_stores import LIMITS, content, digest_of, files_in, get, opened, put
    from doorward.errors import StorageError, StorageFull

    folder = Path(sys.argv[1])
    with opened(folder / "store") as store:
        async def fill(first, named):
            whole = []
            for number in range(first, 10_000):
                try:
                    whole.append(await put(store, content(number, 90_000), **named))
                except StorageFull as fault:
                    return whole
        for first, named in ((0, {}), (1_000, {"expected_bytes": 90_000})):
            kept = asyncio.run(fill(first, named))
            free = store.shelf.disk.free_bytes(str(folder))
            assert len(kept) > 20 and free < 100_000, (len(kept), free)
            files = files_in(folder / "store")
            assert all(digest_of(path.read_bytes()) == path.name for path in files)
            assert {blob.digest for blob in kept} == {path.name for path in files}
            for path in files:
                os.unlink(path)
        asyncio.run(put(store, content(2_000, 50_000)))
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        opened(folder / "store").__enter__()
    except StorageError as fault:
        print(fault.kind)
    with opened(folder / "store", may_write=False) as store:
        assert len(asyncio.run(get(store, digest_of(content(2_000, 50_000))))) == 50_000
"""


def test_a_real_file_system_that_is_full_and_then_read_only(tmp_path):
    """Needs root and a container that may mount; the drawn failures above hold everywhere."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SMALL_DISK))
    folder = tmp_path / "small"
    folder.mkdir()
    mount = 'mount -t tmpfs -o size=3m none "$0" || exit 42; exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, str(folder), sys.executable, str(script)]
    done = subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, env=environment(), check=False
    )
    if os.geteuid() != 0 or done.returncode == 42:
        pytest.skip("peer missing: a mount namespace")
    assert (done.returncode, done.stdout) == (0, "read_only\n"), done.stderr


def test_a_fragment_is_taken_at_once_where_nothing_has_to_wait(tmp_path):
    async def run(store):
        async with store.writer() as writer:
            assert not writer.take(b"first")  # there is no block yet
            await writer.write(b"first")
            assert writer.take(b"second")
            assert store.held_bytes == 11
            assert not writer.take(bytes(LIMITS.blob_block_bytes - 11))  # this would fill it
            await writer.write(bytes(LIMITS.blob_block_bytes - 11))
            return await writer.commit()

    with opened(tmp_path) as store:
        blob = asyncio.run(run(store))
        whole = b"firstsecond" + bytes(LIMITS.blob_block_bytes - 11)
        assert blob.digest == digest_of(whole)
        assert store.held_bytes == 0


@pytest.mark.parametrize("bound", ("blob_bytes", "blob_held_bytes"))
def test_what_is_taken_at_once_stays_within_the_bounds(tmp_path, bound):
    async def run(store):
        async with store.writer() as writer:
            await writer.write(b"1")
            return writer.take(b"2345"), writer.take(b"2")

    limits = dataclasses.replace(LIMITS, **{bound: 4})
    with opened(tmp_path, limits=limits) as store:
        assert asyncio.run(run(store)) == (False, True)
