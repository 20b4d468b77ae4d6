"""An archive that runs: everything is looked at, opened, served, watched, and in the end closed in the opposite order.

Theory of operation: ``run`` returns when ``stop`` is set and everything has ended in order: listeners first, what still runs
gets a moment, then the archive, then what waits for the collector. What a person must know is logged, once and at the start;
nothing that a peer sent is in it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from doorward.access.journal.record import Entry, Record
from doorward.archive.archive import Archive, Keeping
from doorward.archive.running import changes
from doorward.archive.running.collector import Collector
from doorward.archive.running.doors import Doors
from doorward.archive.running.figures import Observer
from doorward.archive.running.folder import Folder
from doorward.archive.running.logs import RecordLog
from doorward.archive.running.metrics import Metrics
from doorward.archive.running.starting import Start, prepare
from doorward.archive.running.tidying import beginning, tidy_and_say
from doorward.archive.running.watching import Marks, Watch, marks
from doorward.errors import ConfigError, LimitExceeded, LocalProtocolError, StorageError
from doorward.limits import Limits
from doorward.net.notify import Notifier

_log = logging.getLogger("doorward.archive")


def now_here() -> datetime:
    """Return the time in the zone of this machine."""
    return datetime.now().astimezone()


async def run(
    folder: Folder,
    *,
    stop: asyncio.Event,
    notifier: Notifier,
    now: Callable[[], datetime] = now_here,
) -> None:
    """Run the archive of a folder until ``stop``. Raises ConfigError where it must not start, StorageError."""
    since = marks(folder)
    start = await asyncio.to_thread(prepare, folder, now=now())
    for remark in (*start.weaker, *start.remarks):
        _log.warning("%s", remark)
    limits = start.settings.limits(folder.limits)
    watched = Watched()
    async with (
        opened(folder, start, limits, now, watched) as archive,
        asyncio.TaskGroup() as tasks,
    ):
        alive = tasks.create_task(notifier.keep_alive())
        await _serve(folder, start, since, archive, limits, stop, notifier, watched)
        alive.cancel()
    _log.info("the archive is closed")


class Watched:
    """Who hears of each record that is on the disk: the collector, whoever counts, the log."""

    def __init__(self) -> None:
        self.collector: Collector | None = None
        self.metrics: Metrics | None = None
        self.hears: list[Callable[[Record], None]] = []

    def take(self, record: Record) -> None:
        """Tell all of them."""
        for hear in self.hears:
            hear(record)

    def begin(self, folder: Folder, archive: Archive, limits: Limits) -> None:
        """Count and say what happens from here on."""
        observer = Observer(folder, archive)
        observer.collector = self.collector
        self.metrics = Metrics(observer)
        self.metrics.time(archive.timings)
        self.hears += [self.metrics.take, RecordLog(clock=time.monotonic, limits=limits).take]


@asynccontextmanager
async def opened(
    folder: Folder,
    start: Start,
    limits: Limits,
    now: Callable[[], datetime] = now_here,
    watched: Watched | None = None,
) -> AsyncIterator[Archive]:
    """Open the archive of a folder, with its collector where there is one, and tell the journal what was changed meanwhile.

    Raises ConfigError, StorageError.
    """
    notes, watched = _Notes(), watched or Watched()
    async with AsyncExitStack() as stack:
        collector = None
        if start.settings.audit_messages.address:
            collector = Collector(folder, start.settings, notes.add, limits)
            stack.callback(collector.close)
            watched.collector = collector
            watched.hears.append(collector.take)
        archive = await _as_set(folder, start, watched.take, limits, now)
        notes.archive = archive
        watched.begin(folder, archive, limits)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        sending = None if collector is None else tasks.create_task(collector.run())
        try:
            await changes.note(folder, archive.journal)
            before = await asyncio.to_thread(beginning, archive)
            tidying = tasks.create_task(tidy_and_say(archive, folder.journal, before=before))
            try:
                yield archive
            finally:
                tidying.cancel()
                await asyncio.wait([tidying])
        finally:
            await archive.close()
            if sending is not None:
                sending.cancel()


async def _as_set(
    folder: Folder,
    start: Start,
    written: Callable[[Record], None],
    limits: Limits,
    now: Callable[[], datetime],
) -> Archive:
    """Open the archive as its settings say."""
    settings = start.settings
    return await Archive.open(
        folder.path,
        register=start.register,
        rules=settings.rules,
        ae_title=settings.dicom.ae_title,
        destinations=start.destinations,
        takes_user_identity=settings.dicom.user_identity,
        written=written,
        keeping=Keeping(
            keeps_values=settings.journal.keep_query_values,
            syncs_queries=settings.journal.sync_queries,
        ),
        limits=limits,
        now=now,
    )


async def journal_changes(folder: Folder) -> bool:
    """Write into the journal what a command has changed; False: an archive runs here, and does it by itself.

    Raises ConfigError, StorageError.
    """
    made: list[Collector] = []

    def take(record: Record) -> None:
        # Called once the journal is ours, and so the spool.
        if not made:
            made.append(Collector(folder, settings, lambda _: None, folder.limits))
        made[0].take(record)

    try:
        settings = folder.settings()
        has_collector = bool(settings.audit_messages.address)
    except ConfigError:
        has_collector = False  # whatever is wrong with them: the change is journalled
    try:
        return await changes.note_unless_running(folder, take if has_collector else None)
    finally:
        for one in made:
            one.close()


class _Notes:
    """What the collector has for the journal; nobody waits for it, and what comes too late is dropped."""

    def __init__(self) -> None:
        self.archive: Archive | None = None

    def add(self, entry: Entry) -> None:
        if self.archive is None:
            return
        try:
            self.archive.journal.submit(entry).add_done_callback(_look_at)
        except (LocalProtocolError, StorageError, LimitExceeded):
            return  # closed, or it fails for everybody and says so


def _look_at(written: "asyncio.Future[Record]") -> None:
    if not written.cancelled():
        written.exception()


async def _serve(
    folder: Folder,
    start: Start,
    since: Marks,
    archive: Archive,
    limits: Limits,
    stop: asyncio.Event,
    notifier: Notifier,
    watched: Watched,
) -> None:
    """Listen, watch and wait for the end."""
    metrics = watched.metrics
    async with Doors.opened(folder, start.settings, archive, limits, metrics) as doors:
        if metrics is not None:
            metrics.observer.doors = doors
        watch = Watch(
            folder,
            archive,
            start.settings,
            since=since,
            end_unknown=doors.end_unknown,
            renew=doors.renew,
        )
        for line in doors.lines:
            _log.info("%s", line)
        notifier.ready(f"{len(doors.lines)} listeners")
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch.run())
            await stop.wait()
            watching.cancel()
        notifier.stopping()
