"""What was acknowledged before a backup began is in it, whatever goes on meanwhile."""

import asyncio
import contextlib
import errno
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

import archives
from doorward.access.journal.reading import show
from doorward.access.journal.record import Event
from doorward.access.vault import Vault
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.sweep import sweep
from doorward.archive.upkeep import backup as module
from doorward.archive.upkeep.backup import MARK, backup, read_mark
from doorward.archive.upkeep.verify import verify
from doorward.errors import ConfigError, StorageFull
from loopback import in_loop, limits
from upkept import answered, blobs, file_of, filled, flipped, some, store, take_in

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def saved(folder, to, **named):
    return asyncio.run(backup(folder, to, now=NOW, **named))


def looked_over(folder):
    return asyncio.run(verify(folder))


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "archive", some(4))


def test_a_backup_has_the_form_of_an_archive_and_is_whole(folder, tmp_path):
    take_in(folder, file_of(some(1)[0], b"MZ" + bytes(126)))
    said = answered(folder)

    made = saved(folder, tmp_path / "to")

    assert (made.instances, made.linked, made.copied, made.missing) == (4, 5, 0, 0)
    assert looked_over(tmp_path / "to").is_whole
    assert sorted(blobs(tmp_path / "to")) == sorted(blobs(folder))
    mark = read_mark(tmp_path / "to", limits())
    assert (mark.made_at, mark.instances, mark.is_complete) == (NOW.isoformat(), 4, True)
    shutil.copytree(tmp_path / "to", tmp_path / "opened")
    assert answered(tmp_path / "opened") == said


def test_the_next_one_copies_only_what_is_new(folder, tmp_path):
    saved(folder, tmp_path / "to")
    filled(folder, some(6))

    made = saved(folder, tmp_path / "to")

    assert (made.already, made.linked, made.instances) == (4, 2, 6)
    assert looked_over(tmp_path / "to").is_whole


def test_what_was_deleted_does_not_live_on(folder, tmp_path):
    saved(folder, tmp_path / "to")

    async def delete():
        async with archives.opened(folder, limits=limits(blob_orphan_age_s=0.001)) as archive:
            [study] = await archive.index.studies_with("2.25.2.1")
            gone = await archive.index.delete_study(study.number)
            await sweep(archive.blobs, referenced=archive.index.referenced, now=9e9)
            return gone.digests

    [digest] = asyncio.run(delete())
    made = saved(folder, tmp_path / "to")

    assert (made.removed, made.instances) == (1, 3)
    assert digest not in blobs(tmp_path / "to")


def test_on_another_file_system_blobs_are_copied_and_hashed(folder, tmp_path, monkeypatch):
    name, path = next(iter(blobs(folder).items()))
    flipped(path)

    def elsewhere(*_):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(LocalDisk, "link", elsewhere)
    made = saved(folder, tmp_path / "to")

    assert (made.copied, made.linked, made.missing) == (3, 0, 1)
    assert [one.digest for one in made.missing_named] == [name]
    assert name not in blobs(tmp_path / "to")


@in_loop
async def test_under_load_everything_that_was_acknowledged_before_is_in_it(tmp_path):
    folder, to = tmp_path / "archive", tmp_path / "to"
    acknowledged: asyncio.Queue[str] = asyncio.Queue()
    may_send, is_over, promised = asyncio.Event(), asyncio.Event(), set()

    async def send(archive, sender):
        number = 0
        while not is_over.is_set():
            await may_send.wait()
            number += 1
            one = archives.instance(f"2.25.{sender}.{number}", bytes([sender]) * 9_000)
            assert (await store(archive, one)).status == 0
            acknowledged.put_nowait(one.sop_instance_uid)

    async with archives.opened(folder) as archive, asyncio.TaskGroup() as senders:
        for sender in range(1, 5):
            senders.create_task(send(archive, sender))
        for _ in range(2):
            may_send.set()
            promised |= {await acknowledged.get() for _ in range(8)}
            made = await backup(folder, to, now=NOW)
            may_send.clear()
            assert made.instances >= len(promised)
            assert (await verify(to)).is_whole
            await _holds(to, promised, tmp_path / "opened")
        is_over.set()
        may_send.set()


async def _holds(saved, promised, opened):
    """A backup holds the instances that were promised, and its journal tells of each."""
    told = {study for record in show(saved / "journal") for study in record.entry.studies}
    assert {f"{uid}.1" for uid in promised} <= told
    shutil.copytree(saved, opened)
    async with archives.opened(opened) as copy:
        held = await copy.index.instances_with(sorted(promised))
    assert len(held) == len(promised)
    shutil.rmtree(opened)


@in_loop
async def test_what_is_deleted_and_swept_meanwhile_leaves_no_row_without_its_blob(
    tmp_path, monkeypatch
):

    folder, to = tmp_path / "archive", tmp_path / "to"
    async with archives.opened(folder, limits=limits(blob_orphan_age_s=0.001)) as archive:
        for one in some(3):
            await store(archive, one)
        loop = asyncio.get_running_loop()
        copy_index, times = module._copy_index, []

        async def change():
            late = archives.instance("2.25.99")
            await store(archive, late)
            return late

        async def delete():
            [study] = await archive.index.studies_with("2.25.99.1")
            await archive.index.delete_study(study.number)
            await sweep(archive.blobs, referenced=archive.index.referenced, now=9e9)

        def slow(*arguments):
            """The first copy of the index knows an instance whose blob is gone before the blobs are looked at again."""
            times.append(1)
            if len(times) == 1:
                asyncio.run_coroutine_threadsafe(change(), loop).result(5)
            copy_index(*arguments)
            if len(times) == 1:
                asyncio.run_coroutine_threadsafe(delete(), loop).result(5)

        monkeypatch.setattr(module, "_copy_index", slow)
        made = await backup(folder, to, now=NOW)

    assert (made.instances, made.missing) == (3, 0)
    assert len(times) == 2
    assert (await verify(to)).is_whole


def test_secrets_come_only_where_they_are_asked_for(folder, tmp_path):
    Vault.create(folder / "secrets").add("authority-key.pem", b"secret")
    (folder / "doorward.toml").write_text("# settings\n")

    assert saved(folder, tmp_path / "to").secrets is None
    assert not (tmp_path / "to" / "secrets").exists()
    assert (tmp_path / "to" / "doorward.toml").read_text() == "# settings\n"
    assert saved(folder, tmp_path / "to", with_secrets=True).secrets == 1
    assert Vault(tmp_path / "to" / "secrets").read("authority-key.pem") == b"secret"


def test_a_folder_of_something_else_is_left_alone(folder, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="no backup"):
        saved(folder, tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["thesis.tex"]
    for inside in (folder, folder / "to", tmp_path):
        with pytest.raises(ConfigError, match="inside the other"):
            saved(folder, inside)
    with pytest.raises(ConfigError, match="no archive"):
        saved(tmp_path / "to", tmp_path / "other")


def test_a_mark_of_a_newer_version_is_refused(folder, tmp_path):
    saved(folder, tmp_path / "to")
    file = tmp_path / "to" / MARK
    for changed in ({"format": "doorward.backup/2"}, {"more": 1}):
        file.write_text(json.dumps(json.loads(file.read_text()) | changed))
        with pytest.raises(ConfigError, match="no mark") as caught:
            read_mark(tmp_path / "to", limits())
        assert "newer" in caught.value.hint


def test_two_backups_into_one_folder_do_not_meet(folder, tmp_path):
    saved(folder, tmp_path / "to")
    handle = LocalDisk().lock(str(tmp_path / "to" / "lock"))
    try:
        with pytest.raises(ConfigError, match="another backup"):
            saved(folder, tmp_path / "to")
    finally:
        LocalDisk().close(handle)


@pytest.mark.parametrize("number", [1, 3, 4, 6])
def test_a_disk_that_is_full_is_said_and_the_backup_before_stays_whole(
    folder, tmp_path, monkeypatch, number
):
    to = tmp_path / "to"
    saved(folder, to)
    filled(folder, some(6))
    count = 0

    def full(operation):
        def fail(*arguments):
            nonlocal count
            count += 1
            if count >= number:
                raise OSError(errno.ENOSPC, "full")
            return operation(*arguments)

        return fail

    with monkeypatch.context() as patched:
        for name in ("write", "create", "link", "sync"):
            patched.setattr(LocalDisk, name, full(getattr(LocalDisk, name)))
        with contextlib.suppress(StorageFull):
            saved(folder, to)
    assert count >= number
    assert looked_over(to).is_whole
    made = saved(folder, to)
    assert (made.instances, made.missing) == (6, 0)
    assert looked_over(to).is_whole


def test_a_backup_of_a_journal_that_was_changed_is_refused(folder, tmp_path):
    saved(folder, tmp_path / "to")
    before = archives.records(tmp_path / "to")
    [segment] = (folder / "journal").glob("*.journal")
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b'"identity":"ct1"', b'"identity":"ct2"', 1))

    with pytest.raises(ConfigError, match="not the journal that was saved"):
        saved(folder, tmp_path / "to")

    assert archives.records(tmp_path / "to") == before
    assert Path(tmp_path / "to" / "index").exists()
    assert before[0].entry.event is Event.START
