"""The index for an event loop: one thread writes, a few read, and the loop waits for neither.

index = Index.open(folder / "index")
[written] = await index.write([entry])                 # durable now
async for view in index.find(query, Level.STUDY):      # a page at a time
    ...
index.close()
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, Self, TypeVar

from doorward.access.policy import Restriction
from doorward.archive.index import holdings
from doorward.archive.index.at_once import AtOnce
from doorward.archive.index.entry import (
    Conflict,
    Entry,
    Frame,
    HeldInstance,
    HeldSeries,
    HeldStudy,
    Totals,
    Written,
)
from doorward.archive.index.filing import Deleted, Filing
from doorward.archive.index.levels import Level
from doorward.archive.index.plan import Order
from doorward.archive.index.search import Search
from doorward.archive.index.store import in_words, open_reader, open_writer, take_the_right
from doorward.archive.index.upkeep import copy_to, problems
from doorward.archive.index.writer import Writer
from doorward.dicom.attributes import DataSetView
from doorward.dicom.query import Query
from doorward.errors import ConfigError, LocalProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

_T = TypeVar("_T")


class Index:
    """One open index. Every method raises StorageError for what the file or the disk does, StorageFull for no room."""

    def __init__(self, file: Path, limits: Limits, right: int, writer: Writer) -> None:
        self.file = file
        self.limits = limits
        self._right = right
        self._writer = writer
        self._is_closed = False
        self._reading = ThreadPoolExecutor(limits.index_read_threads, "index-read")
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._at_once = AtOnce(file, limits)

    @classmethod
    def open(cls, file: Path, *, limits: Limits = DEFAULT_LIMITS, may_create: bool = True) -> Self:
        """Open an index, brought to the newest version where necessary. Blocks.

        Raises ConfigError where the file is something else, of a newer version, written by another process, or not there
        and not to be made; StorageError.
        """
        if not may_create and not file.exists():
            hint = "Restore it from a backup, or make it anew: doorward archive reindex DIR"
            raise ConfigError("there is no index", file=file, hint=hint)
        with in_words("open", file):
            right = take_the_right(file)
        try:
            writer = Writer(open_writer(file, limits), file, limits)
        except BaseException:
            os.close(right)
            raise
        return cls(file, limits, right, writer)

    def close(self) -> None:
        """Finish what was handed in, then give the file back. Blocks; may be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._at_once.close()
            self._reading.shutdown()
            while True:
                try:
                    self._idle.get_nowait().close()
                except Empty:
                    break
            self._writer.close()
        finally:
            os.close(self._right)

    # --- writing --------------------------------------------------------------------------------------------

    async def write(self, entries: Sequence[Entry]) -> list[Written]:
        """Take entries in, all or none, and return what became of each when that is durable.

        Where the caller is cancelled they may be in, or not. Raises LimitExceeded (``index_view_bytes``,
        ``index_frames``), UsageError for values that cannot be kept.
        """
        return await self._write(partial(Filing.add, entries=tuple(entries)), len(entries))

    async def keep_head(self, digest: str, head: str) -> bool:
        """Note the blob with the beginning of the file of an instance; False where no such instance is held."""
        return await self._write(partial(Filing.keep_head, digest=digest, head=head))

    def write_each_here(self, entries: Sequence[Entry]) -> list[Future[list[Written]]]:
        """Take entries in, each for itself, with one commit, for a thread that may wait. Blocks.

        All futures are done then, with one ``Written`` each.
        """
        return self._writer.do_each([partial(Filing.add, entries=(one,)) for one in entries])

    async def delete_study(self, number: int) -> Deleted | None:
        """Delete a study and all that belongs to it; None where there is none."""
        return await self._write(partial(Filing.delete_study, study=number))

    async def label(self, number: int, labels: Collection[str]) -> None:
        """Give a study labels beside those that it has. They are kept here only: not even ``reindex`` knows them."""
        await self._write(partial(Filing.label, study=number, labels=tuple(labels)))

    async def unlabel(self, number: int, labels: Collection[str]) -> None:
        """Take labels from a study."""
        await self._write(partial(Filing.unlabel, study=number, labels=tuple(labels)))

    async def _write(self, do: Callable[[Filing], _T], size: int = 1) -> _T:
        return await asyncio.wrap_future(self._writer.submit(do, size))

    # --- searching ------------------------------------------------------------------------------------------

    async def find(
        self,
        query: Query,
        level: Level,
        *,
        restriction: Restriction | None = None,
        order: Order = Order.RECEIVED,
        limit: int | None = None,
        offset: int = 0,
    ) -> AsyncIterator[DataSetView]:
        """Yield what matches: at each level its attributes and those of the levels above it.

        Keys of upper levels are matched too, so this is relational; see ``levels.level_of`` for who has to refuse them. What
        the query asks for decides whether the counts of a patient are among them; they count what the asker may see.
        ``restriction`` None shows everything.
        """
        search = Search(
            query,
            level,
            self.limits,
            restriction=restriction,
            order=order,
            limit=limit,
            offset=offset,
        )
        async for page in self.pages(search):
            for view in page:
                yield view

    async def pages(self, search: Search) -> AsyncIterator[list[DataSetView]]:
        """Yield the answers of a search as they are read, some hundred at a time."""
        while not search.is_over:
            if page := await self._read(search.next_page):
                yield page

    def find_now(self, search: Search) -> list[DataSetView] | None:
        """Return all answers of a search that is narrow, for the event loop; None where that would take longer.

        The search has then been begun: take a new one.
        """
        if self._is_closed or not search.is_narrow:
            return None
        return self._at_once.read(partial(search.all_of, most=self.limits.index_now_answers))

    # --- what is held ---------------------------------------------------------------------------------------

    async def studies_with(self, study_uid: str) -> list[HeldStudy]:
        """Return the studies of this UID: one, or one for each patient that it came with."""
        return await self._read(holdings.studies_with, study_uid)

    async def studies_of(self, patient_id: str, issuer: str | None = None) -> list[HeldStudy]:
        """Return the studies of a Patient ID, of all issuers where none is given."""
        return await self._read(holdings.studies_of, patient_id, issuer)

    async def series_of(self, study: int) -> list[HeldSeries]:
        """Return the series of a study."""
        return await self._read(holdings.series_of, study)

    async def instances_of(self, study: int, series_uid: str = "") -> AsyncIterator[HeldInstance]:
        """Yield the instances of a study, or of one of its series, as they came in."""
        after = 0
        while True:
            page, after = await self._read(
                partial(
                    holdings.instances_of,
                    study=study,
                    series_uid=series_uid,
                    after=after,
                    most=self.limits.index_page,
                )
            )
            for held in page:
                yield held
            if not after:
                return

    async def instances_with(self, sop_instance_uids: Sequence[str]) -> list[HeldInstance]:
        """Return the instances of these UIDs that are held, in the order of the UIDs."""
        return await self._read(holdings.instances_with, sop_instance_uids)

    async def frames_of(self, sop_instance_uid: str) -> tuple[Frame, ...]:
        """Return where the frames of an instance lie; () where it has none or is not held."""
        return await self._read(holdings.frames_of, sop_instance_uid)

    async def heads_of(self, digest: str) -> list[str]:
        """Return the blobs with the beginnings of the files in which a content came (``archive.originals``)."""
        return await self._read(holdings.heads_of, digest)

    async def referenced(self, digests: Sequence[str]) -> Collection[str]:
        """Return those blobs that the index names; see ``blobs.sweep``."""
        return await self._read(holdings.referenced, digests)

    async def conflicts(self, most: int) -> list[Conflict]:
        """Return contents that were set aside, the latest first."""
        return await self._read(partial(holdings.conflicts, most=most))

    async def inconsistencies(self, most: int) -> list[HeldStudy]:
        """Return studies whose UID, or that of a series in them, is also held elsewhere."""
        return await self._read(partial(holdings.inconsistencies, most=most))

    async def totals(self) -> Totals:
        """Return how much is held."""
        return await self._read(holdings.totals)

    # --- upkeep ---------------------------------------------------------------------------------------------

    async def problems(self) -> list[str]:
        """Return what is wrong with the file, in words; reads all of it. [] is good."""
        return await self._read(problems)

    async def copy_to(self, file: Path) -> None:
        """Write a whole copy of this moment to a new file, durable; writing goes on meanwhile."""
        await self._read(partial(copy_to, file=file))

    # --- threads --------------------------------------------------------------------------------------------

    async def _read(self, work: Callable[..., _T], *arguments: Any) -> _T:
        if self._is_closed:
            raise LocalProtocolError("the index is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, self._with_reader, work, arguments)

    def _with_reader(self, work: Callable[..., _T], arguments: tuple[Any, ...]) -> _T:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = open_reader(self.file, self.limits)
        try:
            with in_words("read", self.file):
                return work(connection, *arguments)
        finally:
            self._idle.put(connection)
