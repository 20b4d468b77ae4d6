"""One writes at a time. Callers hand in work; work that waits together is committed together.

An event loop hands in (``submit``), and a thread of ours does it. A thread that may wait does it itself (``do_each``): whoever
comes first commits for all that have come meanwhile, so that no other thread has to be woken for one instance.

Theory of operation: a piece of work is a function of ``Filing``: what it raises is its own, and takes back nothing else.
Nearly all work succeeds, and each statement costs two changes of the interpreter's lock, so a batch is first tried as a
whole; only where some of it raises, all of it is taken back and done again, each piece inside a savepoint. So work must be
able to be done twice. When the queue is empty, or ``index_batch`` entries are together, the transaction is committed, and only
then is anybody told. So one caller waits for one sync, and a hundred callers wait for one sync too. Nobody has more than one
piece of work here at a time, so the queue is no longer than there are callers.

After an error of the disk nothing is taken in any more: what a failed sync has left of the file is not known (SQLite's
WAL is read again when it is opened).
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from doorward.archive.index.filing import Filing
from doorward.archive.index.store import BREAKING, in_words
from doorward.errors import DoorwardError, LocalProtocolError, StorageError, UsageError
from doorward.limits import Limits

_T = TypeVar("_T")


class _Work(NamedTuple):
    """What is to be done, how many entries it counts for, and who waits for it."""

    do: Callable[[Filing], Any]
    size: int
    told: "Future[Any]"


class Writer:
    """Owns the connection that writes, from its making to ``close``."""

    def __init__(self, connection: sqlite3.Connection, file: Path, limits: Limits) -> None:
        self._connection = connection
        self._file = file
        self._limits = limits
        self._filing = Filing(connection, limits)
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        #: Work of threads that wait, for whoever writes next.
        self._brought: SimpleQueue[_Work] = SimpleQueue()
        self._handing_in = threading.Lock()
        self._writing = threading.Lock()
        self._is_closed = False
        self._broken: StorageError | None = None
        self._thread = threading.Thread(target=self._run, name="index-write", daemon=True)
        self._thread.start()

    def submit(self, do: Callable[[Filing], _T], size: int = 1) -> "Future[_T]":
        """Hand work in; its future is told after the commit.

        The future raises StorageError, StorageFull, and what the work itself raises. Work that is cancelled before its turn is
        left out; later it is done. Raises LocalProtocolError after ``close``.
        """
        told: Future[_T] = Future()
        with self._handing_in:
            if self._is_closed or not self._thread.is_alive():
                raise LocalProtocolError("the index is closed")
            self._queue.put(_Work(do, size, told))
        return told

    def do_each(self, works: Sequence[Callable[[Filing], _T]]) -> "list[Future[_T]]":
        """Do several pieces of work, with one commit where it can be. Blocks; all futures are done then."""
        told: list[Future[_T]] = [Future() for _ in works]
        with self._handing_in:
            if self._is_closed:
                raise LocalProtocolError("the index is closed")
            for do, future in zip(works, told, strict=True):
                self._brought.put(_Work(do, 1, future))
        with self._writing:
            while not all(future.done() for future in told):
                self._carry_out(self._brought_by_others([]))
        return told

    def close(self) -> None:
        """Finish what was handed in, then close the file. Blocks; may be called twice."""
        with self._handing_in:
            was_closed, self._is_closed = self._is_closed, True
            if not was_closed:
                self._queue.put(None)
        self._thread.join()
        if not was_closed:
            with self._writing, in_words("close", self._file):
                while batch := self._brought_by_others([]):
                    self._carry_out(batch)
                self._connection.close()

    # --- in the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._gathered()
            if batch:
                with self._writing:
                    self._carry_out(self._brought_by_others(batch))

    def _gathered(self) -> tuple[list[_Work], bool]:
        """Wait for work; return all that is there, up to a batch, and whether it is the last."""
        batch: list[_Work] = []
        size = 0
        work = self._queue.get()
        while work is not None:
            if work.told.set_running_or_notify_cancel():
                batch.append(work)
                size += work.size
            if size >= self._limits.index_batch:
                return batch, False
            try:
                work = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _brought_by_others(self, batch: list[_Work]) -> list[_Work]:
        """Add what waiting threads have brought, up to a batch."""
        size = sum(work.size for work in batch)
        while size < self._limits.index_batch:
            try:
                work = self._brought.get_nowait()
            except Empty:
                break
            batch.append(work)
            size += work.size
        return batch

    def _carry_out(self, batch: list[_Work]) -> None:
        # What is told where something unheard of ends this thread.
        ends: list[Any] = [LocalProtocolError("the writer of the index has ended")] * len(batch)
        try:
            ends = self._committed(batch)
        except DoorwardError as error:
            self._roll_back()
            if isinstance(error, StorageError) and error.kind in BREAKING:
                self._broken = error
            ends = [error] * len(batch)
        finally:
            for work, end in zip(batch, ends, strict=True):
                if isinstance(end, DoorwardError):
                    work.told.set_exception(end)
                else:
                    work.told.set_result(end)

    def _committed(self, batch: list[_Work]) -> list[Any]:
        if self._broken is not None:
            raise self._broken
        with in_words("write", self._file):
            self._connection.execute("BEGIN IMMEDIATE")
            ends = self._all(batch)
            if ends is None:
                self._connection.execute("ROLLBACK")
                self._filing.forget()
                self._connection.execute("BEGIN IMMEDIATE")
                ends = [self._one(work) for work in batch]
            self._connection.execute("COMMIT")
        return ends

    def _all(self, batch: list[_Work]) -> list[Any] | None:
        """Do all of it and return what came of each; None where some of it raised."""
        try:
            ends = [work.do(self._filing) for work in batch]
            self._filing.settle()
        except (StorageError, sqlite3.Error):
            raise
        except (DoorwardError, ValueError, OverflowError):
            return None
        return ends

    def _one(self, work: _Work) -> Any:
        self._connection.execute("SAVEPOINT work")
        end: Any
        try:
            end = work.do(self._filing)
            self._filing.settle()
        except DoorwardError as error:
            end = error
        except (ValueError, OverflowError):
            # A number beyond 64 bits, half a surrogate pair; their own words would quote it.
            end = UsageError("an entry holds what cannot be kept in an index")
        if isinstance(end, DoorwardError):
            self._connection.execute("ROLLBACK TO work")
            self._filing.forget()
        self._connection.execute("RELEASE work")
        return end

    def _roll_back(self) -> None:
        self._filing.forget()
        # After some errors SQLite has done so by itself; after others it can no more.
        if self._connection.in_transaction:
            try:
                with in_words("write", self._file):
                    self._connection.execute("ROLLBACK")
            except StorageError as error:
                self._broken = error
