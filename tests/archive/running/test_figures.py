"""Figures of an archive at this moment; what cannot be found out is missing, and is no zero."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from archive_folders import NOW, ct1, made
from archives import instance
from doorward.archive.archive import Archive
from doorward.archive.running.figures import Observer, SpoolFigures
from doorward.archive.running.folder import SERVER
from doorward.errors import StorageError
from loopback import in_loop, limits
from upkept import store


class Doors:
    sessions = 4

    @property
    def connections(self):
        return {"dicom": 2, "https": 3}


class Collector:
    spool = SpoolFigures(
        size_bytes=1, most_bytes=2, oldest_s=3.0, delivered=4, refused=5, failures=6
    )

    def figures(self, now):
        assert now.tzinfo is not None
        if self.spool is None:
            raise StorageError("the spool", operation="read", path=None, kind="failed")
        return self.spool


@asynccontextmanager
async def observed(tmp_path, **bounds):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    archive = await Archive.open(
        folder.path,
        register=folder.register(),
        rules=folder.settings().rules,
        limits=limits(**bounds),
    )
    try:
        yield folder, archive, Observer(folder, archive)
    finally:
        await archive.close()


@in_loop
async def test_a_look_tells_what_the_archive_the_doors_and_the_disk_say(tmp_path):
    async with observed(tmp_path) as (_, archive, observer):
        observer.doors, observer.collector = Doors(), Collector()
        assert (await store(archive, instance("1.1"))).status == 0
        now = await observer.look()
        assert (now.totals.studies, now.totals.instances) == (1, 1)
        assert (now.connections, now.sessions) == ({"dicom": 2, "https": 3}, 4)
        assert (now.associations, now.workers, now.worker_failures) == (0, 0, 0)
        assert now.journal_records == archive.journal.head.sequence > 1
        assert not now.is_journal_broken
        assert 0 < now.disk_free_bytes < now.disk_bytes
        assert now.spool is Collector.spool
        assert set(now.certificate_ends) == {"server", "client", "authority"}
        assert now.certificate_ends["server"] > NOW.timestamp()


@in_loop
async def test_what_is_held_is_counted_now_and_then_only(tmp_path):
    async with observed(tmp_path, metrics_totals_s=1000.0) as (_, archive, observer):
        assert (await observer.look()).totals.instances == 0
        assert (await store(archive, instance("1.1"))).status == 0
        assert (await observer.look()).totals.instances == 0
        observer._count_again_at = 0.0
        assert (await observer.look()).totals.instances == 1


@in_loop
async def test_what_cannot_be_found_out_is_missing(tmp_path):
    async with observed(tmp_path) as (folder, archive, observer):
        observer.collector = Collector()
        observer.collector.spool = None
        folder.vault().write(SERVER, b"no certificate")
        await asyncio.to_thread(archive.index.close)
        now = await observer.look()
        assert now.totals is None
        assert now.spool is None
        assert set(now.certificate_ends) == {"client", "authority"}
        assert (now.connections, now.sessions) == ({}, 0)


@in_loop
async def test_devices_whose_certificate_ends_soon_are_counted(tmp_path):
    async with observed(tmp_path) as (folder, archive, observer):
        await asyncio.to_thread(ct1, folder)
        assert (await observer.look()).devices_ending == 0
        archive.now = lambda: NOW + timedelta(days=10_000)
        assert (await observer.look()).devices_ending == 1
