"""What nobody needs goes; what anybody needs stays, also in unlucky moments."""

import asyncio
import dataclasses
import time

import pytest

from blob_stores import LIMITS, content, files_in, in_store, opened, put
from doorward.archive.blobs.sweep import sweep
from doorward.errors import UsageError

LATER = time.time() + 10_000


def index(*digests):
    """An index that names these."""

    async def referenced(asked):
        assert len(asked) <= LIMITS.blob_names_at_a_time
        return {digest for digest in asked if digest in digests}

    return referenced


async def filled(store, count=6):
    return [(await put(store, content(number))).digest for number in range(count)]


def test_blobs_that_the_index_does_not_name_go_and_the_others_stay(tmp_path):
    async def run(store):
        kept = (await filled(store))[:4]
        (tmp_path / "incoming" / "left.part").touch()
        return kept, await sweep(store, referenced=index(*kept), now=LATER)

    kept, found = in_store(tmp_path, run)
    assert (found.parts, found.blobs, found.bytes, found.is_complete) == (1, 2, 5_000, True)
    assert {path.name for path in files_in(tmp_path)} == set(kept)


def test_young_orphans_stay(tmp_path):
    async def run(store):
        kept = (await filled(store))[:1]
        return await sweep(store, referenced=index(*kept), now=time.time())

    assert in_store(tmp_path, run).blobs == 0
    assert len(files_in(tmp_path)) == 6


def test_a_lost_index_takes_no_blob_with_it(tmp_path):
    async def run(store):
        await filled(store)
        with pytest.raises(UsageError, match="none of the blobs") as caught:
            await sweep(store, referenced=index(), now=LATER)
        assert "anew" in (caught.value.hint or "")

    in_store(tmp_path, run)
    assert len(files_in(tmp_path)) == 6


def test_an_archive_that_is_meant_to_be_empty_is_emptied(tmp_path):
    async def run(store):
        await filled(store)
        return await sweep(store, referenced=index(), now=LATER, may_be_empty=True)

    assert in_store(tmp_path, run).blobs == 6
    assert files_in(tmp_path) == []


def test_an_empty_store_needs_no_index(tmp_path):
    async def run(store):
        return await sweep(store, referenced=index(), now=LATER)

    assert in_store(tmp_path, run).blobs == 0


def test_what_is_written_into_the_index_meanwhile_stays(tmp_path):
    """The index is asked again just before: an old orphan that came again has its row by then."""

    async def run(store):
        digests = await filled(store)
        known = {digests[0]}

        async def referenced(asked):
            found = known & set(asked)
            if len(asked_before) == 6:
                found = set(asked)
            asked_before.extend(asked)
            return found

        asked_before: list[str] = []
        return await sweep(store, referenced=referenced, now=LATER)

    assert in_store(tmp_path, run).blobs <= 3
    assert len(files_in(tmp_path)) >= 3


def test_a_blob_on_its_way_into_the_index_stays(tmp_path):
    async def run(store):
        kept = await filled(store, 1)
        async with store.writer() as writer:
            await writer.write(b"x")
            blob = await writer.commit()
            found = await sweep(store, referenced=index(*kept), now=LATER)
            assert store.has(blob.digest)
        return found

    assert in_store(tmp_path, run).blobs == 0


def test_one_sweep_takes_no_more_than_its_bound(tmp_path):
    async def run(store):
        kept = (await filled(store))[:1]
        return [await sweep(store, referenced=index(*kept), now=LATER) for _ in range(3)]

    limits = dataclasses.replace(LIMITS, blob_orphans=3)
    found = in_store(tmp_path, run, limits=limits)
    assert [(one.blobs, one.is_complete) for one in found] == [(3, False), (2, True), (0, True)]


def test_a_reader_sweeps_nothing(tmp_path):
    with opened(tmp_path):
        pass
    with opened(tmp_path, may_write=False) as store, pytest.raises(UsageError):
        asyncio.run(sweep(store, referenced=index(), now=LATER))
