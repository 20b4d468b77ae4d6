"""Everything is read and hashed again; what has rotted is named and set aside."""

import asyncio
import dataclasses
import os

import pytest

from blob_stores import LIMITS, content, files_in, in_store, opened, put, spoil
from doorward.archive.blobs.verify import verify


@pytest.fixture
def filled(tmp_path):
    async def fill(store):
        return sorted([(await put(store, content(n))).digest for n in range(12)])

    return tmp_path, in_store(tmp_path, fill)


def path_in(folder, digest):
    return folder / "blobs" / digest[:2] / digest


def test_a_sound_store_is_read_whole(filled):
    folder, digests = filled
    seen = []
    found = in_store(folder, lambda store: verify(store, progress=seen.append))
    assert (found.blobs, found.bytes, found.damaged) == (12, 12 * 2_500, 0)
    assert [step.last for step in seen] == digests
    assert [step.blobs for step in seen] == list(range(1, 13))


@pytest.mark.parametrize("at", (0, 1_234, 2_499))
def test_one_flipped_bit_is_found_named_and_set_aside(filled, at):
    folder, digests = filled
    spoil(path_in(folder, digests[5]), at)
    found = in_store(folder, verify)
    assert (found.blobs, found.damaged, found.damaged_named) == (12, 1, (digests[5],))
    assert files_in(folder / ".")[-1] == folder / "quarantine" / f"{digests[5]}.1"
    assert in_store(folder, verify).blobs == 11


def test_a_blob_that_was_cut_or_emptied_is_damaged(filled):
    folder, digests = filled
    os.truncate(path_in(folder, digests[0]), 100)
    os.truncate(path_in(folder, digests[1]), 0)
    assert in_store(folder, verify).damaged_named == tuple(digests[:2])


def test_beside_a_writer_damage_is_named_and_left(filled):
    folder, digests = filled
    spoil(path_in(folder, digests[3]))
    for named in ({"may_write": False}, {}):
        with opened(folder, **named) as store:
            found = asyncio.run(verify(store, set_aside=bool(named)))
        assert found.damaged_named == (digests[3],)
        assert path_in(folder, digests[3]).exists()


def test_a_verification_goes_on_where_it_was(filled):
    folder, digests = filled
    spoil(path_in(folder, digests[2]))
    spoil(path_in(folder, digests[7]))
    found = in_store(folder, lambda store: verify(store, after=digests[4]))
    assert (found.blobs, found.damaged_named) == (7, (digests[7],))
    assert in_store(folder, lambda store: verify(store, after=digests[-1])).blobs == 0


def test_only_so_many_are_named_and_all_are_counted(filled):
    folder, digests = filled
    for digest in digests:
        spoil(path_in(folder, digest))
    limits = dataclasses.replace(LIMITS, blob_damaged_named=3)
    found = in_store(folder, verify, limits=limits)
    assert (found.damaged, found.damaged_named) == (12, tuple(digests[:3]))


def test_a_pace_is_kept(filled):
    folder, _ = filled

    async def timed(store):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await verify(store, rate_bytes_per_s=100_000)
        return loop.time() - begun

    assert in_store(folder, timed) >= 12 * 2_500 / 100_000 * 0.9


def test_a_blob_that_comes_again_meanwhile_is_not_set_aside(filled):
    """Found damaged, healed before it is looked at under the lock: the second look decides."""
    folder, digests = filled
    path = path_in(folder, digests[0])
    whole = path.read_bytes()
    spoil(path)
    with opened(folder) as store:
        quarantine = store.shelf.quarantine

        def healed_first(digest):
            path.write_bytes(whole)
            return quarantine(digest)

        store.shelf.quarantine = healed_first
        assert asyncio.run(verify(store)).damaged == 0
    assert path.exists()
