"""What a crash left goes at the next start; what somebody was told is held never does."""

import asyncio
import logging

import pytest

import upkept
from archives import opened, records
from blob_stores import put
from doorward.access.journal.record import Entry, Event
from doorward.archive.running.tidying import Tidied, beginning, tidy, tidy_and_say
from doorward.errors import StorageError
from loopback import in_loop
from upkept import some

LEFT = b"left by a process that was killed"


async def left_behind(archive, content=LEFT):
    """Store a blob that no row names."""
    return (await put(archive.blobs, content)).digest


async def tidied(archive, folder):
    before = await asyncio.to_thread(beginning, archive)
    return await tidy(archive, folder / "journal", before=before)


@pytest.fixture
def folder(tmp_path):
    return upkept.filled(tmp_path / "pacs", some(2))


@in_loop
async def test_a_blob_of_which_nobody_was_told_goes_and_the_journal_says_so(folder):
    async with opened(folder) as archive:
        digest = await left_behind(archive)
    async with opened(folder) as archive:
        assert await tidied(archive, folder) == Tidied(removed=1)
        assert not archive.blobs.has(digest)
        assert (await archive.index.totals()).instances == 2
        assert await tidied(archive, folder) == Tidied()
    [note] = [one.entry for one in records(folder) if one.entry.event is Event.UPKEEP]
    assert note.subject == "sweep"
    assert note.reason == f"1 blobs, {len(LEFT)} bytes, of which nobody was told"
    assert len(upkept.blobs(folder)) == 2


@in_loop
async def test_what_comes_after_the_beginning_stays(folder):
    async with opened(folder) as archive:
        before = await asyncio.to_thread(beginning, archive)
        digest = await left_behind(archive)
        assert await tidy(archive, folder / "journal", before=before) == Tidied()
        assert archive.blobs.has(digest)


@in_loop
async def test_of_an_index_that_lacks_what_was_acknowledged_nothing_goes(folder, caplog):
    caplog.set_level(logging.WARNING, logger="doorward.archive")
    for path in folder.glob("index*"):
        path.rename(folder.parent / path.name)
    (folder / "index").touch()  # an older one, from before all of it
    async with opened(folder) as archive:
        await left_behind(archive)
    async with opened(folder) as archive:
        assert await tidied(archive, folder) == Tidied(lacking=2)
        before = await asyncio.to_thread(beginning, archive)
        await tidy_and_say(archive, folder / "journal", before=before)
    assert len(upkept.blobs(folder)) == 3
    assert "lacks 2 contents" in caplog.text
    assert "reindex" in caplog.text


@in_loop
async def test_what_belongs_to_a_deleted_study_goes(folder):
    async with opened(folder) as archive:
        [study] = await archive.index.studies_with("2.25.1.1")
        await archive.index.delete_study(study.number)
        await archive.journal.write(Entry(event=Event.DELETE, studies=("2.25.1.1",)))
        assert await tidied(archive, folder) == Tidied(removed=1)
        assert (await archive.index.totals()).instances == 1


@in_loop
async def test_a_journal_that_cannot_be_read_is_said_and_nothing_goes(folder, caplog):
    caplog.set_level(logging.WARNING, logger="doorward.archive")
    async with opened(folder) as archive:
        digest = await left_behind(archive)
        before = await asyncio.to_thread(beginning, archive) + 10
        (segment,) = (folder / "journal").glob("*.journal")
        segment.rename(folder / "elsewhere")
        segment.mkdir()
        with pytest.raises(StorageError):
            await tidy(archive, folder / "journal", before=before)
        await tidy_and_say(archive, folder / "journal", before=before)
        assert archive.blobs.has(digest)
        segment.rmdir()
        (folder / "elsewhere").rename(segment)
    assert "could not be looked for" in caplog.text
