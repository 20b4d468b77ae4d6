"""The one writer of a journal: numbers, chains, writes, and answers when the record is on disk.

Theory of operation: ``submit`` gives a record its place at once, on the event loop, and returns a future. While one batch
of lines is being written and synced by the journal's own thread, further records gather; they are the next batch, so many
callers share one sync. A future is done when the sync that covers its record has returned: a success that waits for it
may leave the house (promise 7). A thread that may wait (``write_each_here``) writes itself: whoever comes first writes for all
that have come meanwhile, so that no other thread has to be woken for one record.

A query changes nothing, so its record need only outlive this process: ``hand_over`` writes the line in the order of the
chain and returns; it is synced within ``journal_query_lag_s``, with all that came meanwhile (docs/decisions/0009). A power
cut may take such records from the end of the chain, and no others.

Three locks, taken in this order: ``_disk`` for writing lines, ``_syncing`` for syncs, and ``_places`` for the places in the
chain, held for moments. Lines are written while others are synced.

A disk that is full: what was written of the batch is taken back, every record that is not yet written fails with
StorageFull, the chain stands where it stood, and the next record tries again. A sync that fails leaves nobody knowing what
is on disk: the journal then refuses everything until it is opened anew.

After a crash the end of the last segment may hold part of a batch that nobody was told about: it is cut off, kept beside,
and the first record says so. Where the end that is missing had been synced (the anchor knows), the journal does not open:
records are gone, and somebody must look.
"""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from doorward.access.journal.record import EMPTY, Entry, Event, Head, Outcome, Record, make_record
from doorward.access.journal.segments import (
    ANCHOR,
    Anchor,
    Tail,
    create_segment,
    cut_torn,
    damaged,
    read_anchor,
    read_tail,
    segment_paths,
    take_lock,
    write_all,
)
from doorward.errors import (
    DoorwardError,
    LimitExceeded,
    LocalProtocolError,
    StorageError,
    StorageFull,
)
from doorward.limits import DEFAULT_LIMITS, Limits


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Waiting:
    """A record that is not yet on disk, and who waits for it; nobody waits for a note of the journal's own."""

    record: Record
    line: bytes
    future: asyncio.Future[Record] | Future[Record] | None
    is_note: bool = False
    #: Who waits, waits for the sync; else only until the system has the line.
    waits_for_sync: bool = True


class Journal:
    """A journal that is open for writing, by this process alone.

    ``anchor``: where the head is kept, by default in the folder itself; on another disk it also shows a folder that was
    replaced as a whole. ``keeps_values``: record the values of queries, which are patient data. ``written`` is called in the
    event loop with every record that has reached the disk, in order; it must not raise.
    ``despite_damage``: go on after the last whole record although synced ones are missing; the first record then says so.
    ``syncs_all``: nothing is handed over, queries wait for their sync as everything else does.
    Raises ConfigError where another process writes, StorageError where the folder cannot be used or the end is damaged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        anchor: Path | None = None,
        keeps_values: bool = False,
        written: Callable[[Record], None] | None = None,
        clock: Callable[[], datetime] = _now,
        despite_damage: bool = False,
        syncs_all: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._folder = folder
        self._syncs_all = syncs_all
        self._keeps_values = keeps_values
        self._written = written
        self._clock = clock
        self._limits = limits
        self._notes: list[Entry] = []
        #: Without a line in the file yet; then with one that is not synced.
        self._waiting: list[_Waiting] = []
        self._unsynced: list[_Waiting] = []
        self._writing: asyncio.Future[None] | None = None
        #: Runs while something that was handed over waits for its sync.
        self._lag: asyncio.TimerHandle | None = None
        self._is_due = False
        self._is_broken = self._is_closed = False
        self._disk = threading.Lock()
        self._syncing = threading.Lock()
        self._places = threading.Lock()
        #: Where futures are told; known from the first ``submit`` on.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptor = -1
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = take_lock(folder)
            try:
                self._open(anchor or folder / ANCHOR, despite_damage=despite_damage)
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise _storage_error(error, "open", folder) from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    @property
    def head(self) -> Head:
        """The last record that is on disk; kept by others, it shows later that nothing before it was changed."""
        return self._durable

    @property
    def is_broken(self) -> bool:
        """Whether it refuses everything until it is opened anew."""
        return self._is_broken

    async def write(self, entry: Entry) -> Record:
        """Record it, and return when the record is on disk. Raises what ``submit`` does."""
        return await self.submit(entry)

    def submit(self, entry: Entry, *, is_synced: bool = True) -> asyncio.Future[Record]:
        """Give an entry its place in the chain; the future is done when it is on disk, or fails with StorageError.

        Not ``is_synced``: it is done when the system has the line, as after ``hand_over``. An entry with more studies than
        a record may name becomes several; the future gives the last of them.
        Raises LocalProtocolError on a closed journal, StorageError on a broken one, LimitExceeded when the disk is too
        slow for what comes.
        """
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Record] = self._loop.create_future()
        with self._places:
            self._place(entry, future, waits_for_sync=is_synced or self._syncs_all)
        self._flush()
        return future

    def hand_over(self, entry: Entry) -> bool:
        """Record it in a line that the system has when this returns: it outlives a killed process, not a power cut.

        False: nothing was done, because it would have had to wait here; ``submit`` it. For the event loop. Raises as
        ``submit``, and StorageError where the line could not be written.
        """
        if self._syncs_all or not self._disk.acquire(blocking=False):
            return False
        try:
            if not self._has_room():
                return False
            self._loop = asyncio.get_running_loop()
            with self._places:
                self._place(entry, None, waits_for_sync=False)
            fault = self._put_waiting()
        finally:
            self._disk.release()
        if fault is not None:
            raise _storage_error(fault, "write", self._folder)
        self._sync_later()
        return True

    def write_each_here(self, entries: Sequence[Entry]) -> list[Future[Record]]:
        """Record several with one sync, for a thread that may wait. Blocks; all futures are done then, as by ``submit``."""
        futures: list[Future[Record]] = [Future() for _ in entries]
        with self._places:
            for entry, future in zip(entries, futures, strict=True):
                try:
                    self._place(entry, future)
                except DoorwardError as error:
                    future.set_exception(error)
        with self._disk:
            if not all(future.done() for future in futures):
                self._put_waiting()
        with self._syncing:
            if not all(future.done() for future in futures):
                self._sync()
        return futures

    def _place(
        self,
        entry: Entry,
        future: asyncio.Future[Record] | Future[Record] | None,
        *,
        waits_for_sync: bool = True,
    ) -> None:
        """Give an entry its place in the chain. Raises as ``submit``."""
        if self._is_closed:
            raise LocalProtocolError("the journal is closed")
        if self._is_broken:
            raise _broken(self._folder)
        waiting = max(len(self._waiting), len(self._unsynced))
        if waiting >= self._limits.journal_waiting:
            bound = self._limits.journal_waiting
            raise LimitExceeded(limit="journal_waiting", value=bound, seen=waiting + 1)
        if entry.values and not self._keeps_values:
            entry = replace(entry, values=())
        now = self._clock()
        for note in self._due_notes(now):
            self._append(note, now, None, is_note=True)
        *before, last = entry.parts(self._limits)
        for part in before:
            self._append(part, now, None)
        self._append(last, now, future)
        self._waiting[-1].waits_for_sync = waits_for_sync

    async def close(self) -> None:
        """Write what waits, make the anchor durable, and give the lock back. Raises StorageError."""
        with self._places:
            self._is_closed = True
        if self._lag is not None:
            self._lag.cancel()
        while self._writing is not None:
            await asyncio.wait([self._writing])
        # What threads have brought meanwhile; what they are told through the loop comes before this returns.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write_all)
        self._thread.shutdown()
        try:
            self._anchor.close()
        except OSError as error:
            raise _storage_error(error, "sync", self._folder) from error
        finally:
            os.close(self._descriptor)
            os.close(self._lock)

    # --- opening ------------------------------------------------------------------------------------------------------

    def _open(self, anchor: Path, *, despite_damage: bool) -> None:
        known = read_anchor(anchor)
        paths = segment_paths(self._folder)
        for unfinished in self._folder.glob("*.new"):
            unfinished.unlink()
        if paths:
            tail = read_tail(paths[-1], self._limits)
            self._recover(tail, known or EMPTY, despite_damage=despite_damage)
            path, self._durable = tail.path, tail.head
            self._latest = None if tail.last is None else tail.last.time
        else:
            if known is not None and known.sequence and not despite_damage:
                raise damaged(self._folder, "is empty, and its anchor names records")
            path, self._durable, self._latest = create_segment(self._folder, EMPTY), EMPTY, None
        if paths and known is None:
            self._note("the anchor was missing")
        self._head = self._in_file = self._durable
        self._use(path)
        self._anchor = Anchor(anchor)
        self._anchor.move(self._durable)

    def _recover(self, tail: Tail, known: Head, *, despite_damage: bool) -> None:
        missing = known.sequence - tail.head.sequence
        if missing > 0:
            if not despite_damage:
                what = f"lacks {missing} records from number {tail.head.sequence + 1} on"
                raise damaged(tail.path, what)
            self._note(f"{missing} records are missing here", Outcome.FAILED)
        if known.sequence == tail.head.sequence and known.digest != tail.head.digest:
            if not despite_damage:
                raise damaged(tail.path, "does not end with the record that its anchor names")
            self._note("the anchor named another record", Outcome.FAILED)
        if tail.torn_bytes:
            aside = cut_torn(tail)
            self._note(f"{tail.torn_bytes} bytes cut off, kept in {aside.name}")

    def _note(self, reason: str, outcome: Outcome = Outcome.SUCCESS) -> None:
        note = Entry(event=Event.JOURNAL_RECOVERED, outcome=outcome, reason=reason)
        self._notes.append(note)

    def _use(self, path: Path) -> None:
        """Go on in this segment."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._first = descriptor, int(path.stem)
        self._size = os.fstat(descriptor).st_size

    # --- on the event loop --------------------------------------------------------------------------------------------

    def _due_notes(self, now: datetime) -> list[Entry]:
        notes, self._notes = self._notes, []
        back_s = 0.0 if self._latest is None else (self._latest - now).total_seconds()
        if back_s > self._limits.journal_clock_s:
            reason = f"the clock went back by {back_s:.0f} s"
            notes.append(Entry(event=Event.CLOCK_JUMP, reason=reason))
        return notes

    def _append(
        self,
        entry: Entry,
        now: datetime,
        future: asyncio.Future[Record] | Future[Record] | None,
        *,
        is_note: bool = False,
    ) -> None:
        record, line = make_record(entry, self._head, now)
        self._head, self._latest = Head(record.sequence, record.digest), now
        self._waiting.append(_Waiting(record, line, future, is_note))

    def _flush(self) -> None:
        if self._writing is not None or not (self._waiting or self._is_due):
            return
        self._is_due = False
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(self._thread, self._write_all)
        self._writing.add_done_callback(self._written_all)

    def _sync_later(self) -> None:
        if self._lag is None and self._loop is not None:
            self._lag = self._loop.call_later(self._limits.journal_query_lag_s, self._sync_now)

    def _sync_now(self) -> None:
        self._lag, self._is_due = None, True
        self._flush()

    def _written_all(self, done: asyncio.Future[None]) -> None:
        self._writing = None
        error = done.exception()
        if error is not None:
            raise error  # a bug, for the loop's handler; nobody waits for ever
        self._flush()  # the disk is busy again before the callers go on

    def _tell(self, batch: list[_Waiting], error: OSError | None) -> None:
        """Tell those who wait on the event loop; in the order of the chain."""
        for one in batch:
            if isinstance(one.future, asyncio.Future) and not one.future.done():
                self._tell_one(one.future, one.record, error)

    def _tell_written(self, batch: list[_Waiting]) -> None:
        if self._written is not None:
            for one in batch:
                self._written(one.record)

    # --- on whatever thread writes or syncs -----------------------------------------------------------------------

    def _write_all(self) -> None:
        with self._disk:
            self._put_waiting()
        with self._syncing:
            self._sync()

    def _has_room(self) -> bool:
        """Whether the segment takes what waits and one more; a new one would be synced first."""
        with self._places:
            waiting = sum([len(one.line) for one in self._waiting])
        most = self._size + waiting + self._limits.journal_record_bytes
        return most <= self._limits.journal_segment_bytes

    def _put_waiting(self) -> OSError | None:
        """Write the lines of what waits, and tell who need not wait for the sync; return the fault. ``_disk`` is held."""
        with self._places:
            batch, self._waiting = self._waiting, []
        if not batch:
            return None
        try:
            self._put(b"".join([one.line for one in batch]))
        except OSError as error:
            self._fail(batch, error)
            return error
        except BaseException:
            self._is_broken = True
            self._fail(batch, OSError(errno.EIO, ""))
            raise
        else:
            last = batch[-1].record
            with self._places:
                self._in_file = Head(last.sequence, last.digest)
                self._unsynced += batch
            self._told([one for one in batch if not one.waits_for_sync], None)
            return None

    def _put(self, lines: bytes) -> None:
        if (
            self._size + len(lines) > self._limits.journal_segment_bytes
            and self._in_file.sequence >= self._first
        ):
            with self._syncing:
                self._sync()
                if self._is_broken:
                    raise OSError(errno.EIO, "")
                self._use(create_segment(self._folder, self._in_file))
        try:
            write_all(self._descriptor, lines)
        except OSError:
            self._take_back()
            raise
        self._size += len(lines)

    def _sync(self) -> None:
        """Sync what is in the file, and tell everybody. ``_syncing`` is held."""
        with self._places:
            batch, self._unsynced = self._unsynced, []
        if not batch:
            return
        last = batch[-1].record
        head = Head(last.sequence, last.digest)
        try:
            os.fdatasync(self._descriptor)
            self._anchor.move(head)
        except OSError as error:
            # What the system could not write it may have forgotten: nothing is known.
            self._is_broken = True
            self._fail(batch, error)
        except BaseException:
            self._is_broken = True
            self._fail(batch, OSError(errno.EIO, ""))
            raise
        else:
            with self._places:
                self._durable = head
            # First, so that no answer leaves before its audit message is in the spool.
            if self._loop is not None and self._written is not None:
                self._loop.call_soon_threadsafe(self._tell_written, batch)
            self._told(batch, None)

    def _told(self, batch: list[_Waiting], error: OSError | None) -> None:
        """Tell the threads that wait, and those who wait on the event loop."""
        for one in batch:
            if isinstance(one.future, Future) and not one.future.done():
                self._tell_one(one.future, one.record, error)
        if self._loop is not None and any(isinstance(w.future, asyncio.Future) for w in batch):
            self._loop.call_soon_threadsafe(self._tell, batch, error)

    def _fail(self, batch: list[_Waiting], error: OSError) -> None:
        """Give back every place in the chain that the disk has not: what follows on a lost record is lost with it."""
        with self._places:
            lost, self._waiting = [*batch, *self._waiting], []
            if self._is_broken:
                lost, self._unsynced = [*lost, *self._unsynced], []
            self._head = self._in_file
            self._notes = [one.record.entry for one in lost if one.is_note] + self._notes
        self._told(lost, error)

    def _tell_one(
        self,
        future: asyncio.Future[Record] | Future[Record],
        record: Record,
        error: OSError | None,
    ) -> None:
        if error is None:
            future.set_result(record)
        else:
            future.set_exception(_storage_error(error, "write", self._folder))

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._is_broken = True


def _storage_error(error: OSError, operation: str, folder: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull(
            f"the journal {folder} could not be written: no room is left",
            operation=operation,
            path=folder,
            kind="full",
            hint="Make room on its disk; nothing is served without a trace until then.",
        )
    kinds = {errno.EROFS: "read_only", errno.EACCES: "permission", errno.ENOENT: "missing"}
    return StorageError(
        f"the journal {folder} could not be used ({errno.errorcode.get(error.errno or 0, '?')})",
        operation=operation,
        path=folder,
        kind=kinds.get(error.errno or 0, "failed"),
        hint="Look at the disk and at who may write there, then start again.",
    )


def _broken(folder: Path) -> StorageError:
    return StorageError(
        f"the journal {folder} is closed since its disk failed",
        operation="write",
        path=folder,
        kind="failed",
        hint="Look at the disk, then start again: the end of the journal is checked then.",
    )
