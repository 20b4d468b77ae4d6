"""The one writer of a journal: numbers, chains, writes, and answers when the record is on disk.

Theory of operation: ``submit`` gives a record its place at once, on the event loop, and returns a future. While one batch
of lines is being written and synced by the journal's own thread, further records gather; they are the next batch, so many
callers share one sync. A future is done when the sync that covers its record has returned: a success that waits for it
may leave the house (promise 7). A thread that may wait (``write_here``) writes itself: whoever comes first writes for all
that have come meanwhile, so that no other thread has to be woken for one record. Two locks: one for the places in the
chain, held for moments, and one for the disk.

A disk that is full: what was written of the batch is taken back, every record since the last sync fails with StorageFull,
the chain stands where it stood, and the next record tries again. A sync that fails leaves nobody knowing what is on disk:
the journal then refuses everything until it is opened anew.

After a crash the end of the last segment may hold part of a batch that nobody was told about: it is cut off, kept beside,
and the first record says so. Where the end that is missing had been synced (the anchor knows), the journal does not open:
records are gone, and somebody must look.
"""

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from doorward.access.journal.record import EMPTY, Entry, Event, Head, Outcome, Record, make_record
from doorward.access.journal.segments import (
    ANCHOR,
    MODE,
    Anchor,
    Tail,
    create_segment,
    cut_torn,
    damaged,
    read_anchor,
    read_tail,
    segment_paths,
)
from doorward.errors import (
    ConfigError,
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


class Journal:
    """A journal that is open for writing, by this process alone.

    ``anchor``: where the head is kept, by default in the folder itself; on another disk it also shows a folder that was
    replaced as a whole. ``keeps_values``: record the values of queries, which are patient data. ``written`` is called in the
    event loop with every record that has reached the disk, in order; it must not raise.
    ``despite_damage``: go on after the last whole record although synced ones are missing; the first record then says so.
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
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._folder = folder
        self._keeps_values = keeps_values
        self._written = written
        self._clock = clock
        self._limits = limits
        self._notes: list[Entry] = []
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Future[None] | None = None
        self._is_broken = self._is_closed = False
        self._places = threading.Lock()
        self._disk = threading.Lock()
        #: Where futures are told; known from the first ``submit`` on.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptor = -1
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _take_lock(folder)
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

    async def write(self, entry: Entry) -> Record:
        """Record it, and return when the record is on disk. Raises what ``submit`` does."""
        return await self.submit(entry)

    def submit(self, entry: Entry) -> asyncio.Future[Record]:
        """Give an entry its place in the chain; the future is done when it is on disk, or fails with StorageError.

        An entry with more studies than a record may name becomes several; the future gives the last of them.
        Raises LocalProtocolError on a closed journal, StorageError on a broken one, LimitExceeded when the disk is too
        slow for what comes.
        """
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Record] = self._loop.create_future()
        with self._places:
            self._place(entry, future)
        self._flush()
        return future

    def write_here(self, entry: Entry) -> Record:
        """Like ``write``, for a thread that may wait. Blocks."""
        future: Future[Record] = Future()
        with self._places:
            self._place(entry, future)
        with self._disk:
            if not future.done():
                self._write_waiting()
        return future.result()

    def _place(self, entry: Entry, future: asyncio.Future[Record] | Future[Record]) -> None:
        """Give an entry its place in the chain. Raises as ``submit``."""
        if self._is_closed:
            raise LocalProtocolError("the journal is closed")
        if self._is_broken:
            raise _broken(self._folder)
        if len(self._waiting) >= self._limits.journal_waiting:
            bound = self._limits.journal_waiting
            raise LimitExceeded(limit="journal_waiting", value=bound, seen=len(self._waiting) + 1)
        if entry.values and not self._keeps_values:
            entry = replace(entry, values=())
        now = self._clock()
        for note in self._due_notes(now):
            self._append(note, now, None, is_note=True)
        *before, last = entry.parts(self._limits)
        for part in before:
            self._append(part, now, None)
        self._append(last, now, future)

    async def close(self) -> None:
        """Write what waits, make the anchor durable, and give the lock back. Raises StorageError."""
        with self._places:
            self._is_closed = True
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
        self._head = self._durable
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
        if self._writing is not None or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(self._thread, self._write_all)
        self._writing.add_done_callback(self._written_all)

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
        if self._written is not None and error is None:
            for one in batch:
                self._written(one.record)

    # --- on whatever thread writes, which holds the lock of the disk -------------------------------------------------

    def _write_all(self) -> None:
        with self._disk:
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Write what waits, and tell everybody."""
        with self._places:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            self._commit(b"".join([one.line for one in batch]))
        except OSError as error:
            self._fail(batch, error)
        except BaseException:
            self._is_broken = True
            self._fail(batch, OSError(errno.EIO, ""))
            raise
        else:
            last = batch[-1].record
            with self._places:
                self._durable = Head(last.sequence, last.digest)
            self._told(batch, None)

    def _told(self, batch: list[_Waiting], error: OSError | None) -> None:
        is_for_loop = self._written is not None and error is None
        for one in batch:
            if isinstance(one.future, Future):
                self._tell_one(one.future, one.record, error)
            elif one.future is not None:
                is_for_loop = True
        if is_for_loop and self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, batch, error)

    def _fail(self, batch: list[_Waiting], error: OSError) -> None:
        """Give back every place in the chain that the disk has not: what follows on a lost record is lost with it."""
        with self._places:
            lost, self._waiting = [*batch, *self._waiting], []
            self._head = self._durable
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

    def _commit(self, lines: bytes) -> None:
        if (
            self._size + len(lines) > self._limits.journal_segment_bytes
            and self._durable.sequence >= self._first
        ):
            self._use(create_segment(self._folder, self._durable))
        try:
            _write_all(self._descriptor, lines)
        except OSError:
            self._take_back()
            raise
        last = lines[lines.rfind(b"\n", 0, -1) + 1 :][: len(EMPTY.digest)].decode("ascii")
        try:
            os.fdatasync(self._descriptor)
            self._anchor.move(Head(self._durable.sequence + lines.count(b"\n"), last))
        except OSError:
            self._is_broken = (
                True  # what the system could not write it may have forgotten: nothing is known
            )
            raise
        self._size += len(lines)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._is_broken = True


def _write_all(descriptor: int, lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        view = view[os.write(descriptor, view) :]


def _take_lock(folder: Path) -> int:
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(
            "is being written by another Doorward",
            file=folder,
            hint="One process writes a journal; reading it is possible at any time.",
        ) from None
    return descriptor


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
