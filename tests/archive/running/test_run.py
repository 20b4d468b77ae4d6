"""An archive that runs says where it listens, tells its service manager, and ends in order with everything in its journal."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from archive_folders import ct1, ephemeral, journalled, made
from blob_stores import put
from doorward.access.journal.record import Event
from doorward.archive.blobs.store import BlobStore
from doorward.archive.running.folder import Folder
from doorward.archive.running.run import journal_changes, run
from doorward.archive.running.settings import LegacyPort
from doorward.errors import ConfigError
from doorward.net.notify import Notifier
from loopback import HOST, in_loop, until


@pytest.fixture(autouse=True)
def _every_message(caplog):
    caplog.set_level("INFO", logger="doorward.archive")


def said(caplog, level=""):
    """What the archive has said; a slow machine has asyncio say something too."""
    records = [one for one in caplog.records if one.name == "doorward.archive"]
    return [one.getMessage() for one in records if not level or one.levelname == level]


@asynccontextmanager
async def running(folder, caplog, notifier=None):
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run(folder, stop=stop, notifier=notifier or Notifier()))
        await until(lambda: task.done() or "HTTPS on" in caplog.text)
        try:
            yield
        finally:
            stop.set()


@in_loop
async def test_it_listens_says_so_and_ends_in_order(tmp_path, caplog):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        async with running(folder, caplog, Notifier(place)):
            assert "DICOM over TLS on 127.0.0.1 port" in caplog.text
            assert "nobody is served" in caplog.text
        told = [manager.recv(100) for _ in range(2)]
    assert told == [b"READY=1\nSTATUS=2 listeners", b"STOPPING=1"]
    assert said(caplog)[-1] == "the archive is closed"
    assert [entry[0] for entry in journalled(folder)][-2:] == [Event.START, Event.STOP]


@in_loop
async def test_what_is_weaker_is_a_warning_before_anybody_is_served(tmp_path, caplog):
    settings = ephemeral(legacy_port=(LegacyPort(name="old", port=0),))
    settings = replace(settings, journal=replace(settings.journal, keep_query_values=True))
    folder = await asyncio.to_thread(made, tmp_path / "pacs", settings)
    async with running(folder, caplog):
        warned = said(caplog, "WARNING")
    assert "legacy_port old" in warned[0]
    assert "keep_query_values" in warned[1]
    assert said(caplog).index(warned[1]) < said(caplog).index(
        next(one for one in said(caplog) if "DICOM over TLS" in one)
    )


@in_loop
async def test_what_was_changed_while_nothing_ran_is_in_the_journal(tmp_path, caplog):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    ct1(folder)
    async with running(folder, caplog):
        pass
    assert (Event.DEVICE_CHANGED, "ct1", "device added") in journalled(folder)


@in_loop
async def test_a_command_leaves_the_journal_to_the_archive_that_runs(tmp_path, caplog):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    assert await journal_changes(folder)
    async with running(folder, caplog):
        ct1(folder)
        assert not await journal_changes(folder)
        await until(lambda: "device changed: ct1" in caplog.text)
    assert (Event.DEVICE_CHANGED, "ct1", "device added") in journalled(folder)


@in_loop
async def test_a_command_keeps_what_the_collector_is_to_be_sent(tmp_path):
    settings = ephemeral()
    collected = replace(settings.audit_messages, address=HOST, port=9)
    folder = await asyncio.to_thread(
        made, tmp_path / "pacs", replace(settings, audit_messages=collected)
    )
    ct1(folder)
    assert await journal_changes(folder)
    spooled = b"".join(path.read_bytes() for path in folder.spool.glob("*.spool"))
    assert b"ct1" in spooled


@in_loop
async def test_two_do_not_run_in_one_folder(tmp_path, caplog):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    async with running(folder, caplog):
        with pytest.raises(ConfigError) as caught:
            await run(Folder(folder.path), stop=asyncio.Event(), notifier=Notifier())
        assert caught.value.hint


@in_loop
async def test_an_index_that_is_missing_or_newer_is_refused(tmp_path, caplog):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    blob = folder.blobs / "blobs" / "00" / ("0" * 64)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(b"")
    folder.index.unlink()
    with pytest.raises(ConfigError, match="index is missing") as caught:
        await run(folder, stop=asyncio.Event(), notifier=Notifier())
    assert "reindex" in caught.value.hint


async def left_behind(folder):
    """Store a blob that no row names, as a crash leaves it."""
    store = BlobStore.open(folder.blobs)
    await put(store, b"of which nobody was told")
    await asyncio.to_thread(store.close)


@in_loop
async def test_what_a_crash_left_in_the_blobs_goes_when_it_starts(tmp_path, caplog):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    await left_behind(folder)
    swept = (Event.UPKEEP, "sweep", "1 blobs, 24 bytes, of which nobody was told")
    async with running(folder, caplog):
        await until(lambda: swept in journalled(folder))
    assert not list(folder.blobs.glob("blobs/*/*"))
