"""The archive as one thing: a folder with blobs, index and journal, who is known, and the door to them.

    blobs/     what was received (``archive.blobs``)
    index      what is held, one SQLite file (``archive.index``)
    journal/   what happened (``access.journal``)
    commitments/  requests that wait for their reports (``archive.commitment``)

Opened in this order, closed in the other one: what is still going on may write to the journal to the very end.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from doorward.access.identity import Register
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry, Event, Record
from doorward.access.rules import Rules
from doorward.access.volume import Volume
from doorward.archive.arrivals import Arrivals
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.group import Group
from doorward.archive.blobs.store import BlobStore
from doorward.archive.callers import Callers
from doorward.archive.commitment.commitments import Commitments
from doorward.archive.commitment.transactions import Transactions
from doorward.archive.giving import Destination, Giving
from doorward.archive.in_force import InForce
from doorward.archive.index.index import Index
from doorward.archive.ingest import Ingest
from doorward.archive.pixels.rendering import Renderer
from doorward.archive.pixels.transcoding import Transcoder
from doorward.archive.pixels.workers import Workers
from doorward.archive.running.timings import Timings
from doorward.archive.services import DicomServices
from doorward.archive.viewing import Viewing
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits


def _now() -> datetime:
    """Return the time in the zone of this machine: the policy counts the ages of studies from its day."""
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How the journal keeps queries."""

    #: Their values too, which are patient data.
    keeps_values: bool = False
    #: On the disk before they are answered, not within ``journal_query_lag_s``.
    syncs_queries: bool = False


_KEEPING = Keeping()


class Archive:
    """One open archive. Open it by ``Archive.open``; ``services`` is what ``net.server`` serves."""

    def __init__(
        self,
        blobs: BlobStore,
        index: Index,
        journal: Journal,
        settings: InForce,
        limits: Limits,
        now: Callable[[], datetime],
        transactions: Transactions,
    ) -> None:
        self.blobs = blobs
        self.index = index
        self.journal = journal
        self.settings = settings
        self.limits = limits
        self.now = now
        self.volume = Volume(key=secrets.token_bytes(32), limits=limits)
        #: What both doors share: DIMSE (``services``) and DICOMweb (``archive.web``).
        self.timings = Timings()
        self.ingest = Ingest(
            blobs=blobs,
            index=index,
            journal=journal,
            limits=limits,
            group=Group(Arrivals(index, journal).keep),
            timings=self.timings,
        )
        #: Decoders, in processes of their own; started when the first image has to be decoded.
        self.workers = Workers(limits)
        self.renderer = Renderer(blobs, index, self.workers, limits)
        self.giving = Giving(
            index=index,
            blobs=blobs,
            journal=journal,
            volume=self.volume,
            limits=limits,
            rewriter=Transcoder(blobs, self.workers, limits),
        )
        self.viewing = Viewing(giving=self.giving, rules=lambda: self.settings.rules, now=now)
        callers = Callers(settings=lambda: self.settings, now=now, limits=limits)
        self.commitments = self._commitments(transactions, callers)
        self.services = DicomServices(
            ingest=self.ingest,
            giving=self.giving,
            journal=journal,
            settings=lambda: self.settings,
            now=now,
            callers=callers,
            commitments=self.commitments,
        )

    def _commitments(self, transactions: Transactions, callers: Callers) -> Commitments:
        return Commitments(
            transactions=transactions,
            callers=callers,
            index=self.index,
            blobs=self.blobs,
            journal=self.journal,
            settings=lambda: self.settings,
            now=self.now,
            limits=self.limits,
        )

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        register: Register,
        rules: Rules,
        ae_title: str = "DOORWARD",
        destinations: Iterable[Destination] = (),
        takes_user_identity: bool = False,
        written: Callable[[Record], None] | None = None,
        keeping: Keeping = _KEEPING,
        limits: Limits = DEFAULT_LIMITS,
        now: Callable[[], datetime] = _now,
    ) -> Self:
        """Open the archive in a folder, made where there is none. Its start is in the journal when this returns.

        ``written`` is called with each record of the journal that has reached the disk (see ``Journal``). An empty register
        or no rules serve nobody. Raises ConfigError where another process has it or something else lies
        there, or where a destination comes twice; StorageError.
        """
        known = _by_title(destinations)
        settings = InForce(
            ae_title=ae_title,
            register=register,
            rules=rules,
            destinations=known,
            takes_user_identity=takes_user_identity,
        )
        blobs, index, journal = await asyncio.to_thread(_open, folder, limits, written, keeping)
        transactions = Transactions(folder / "commitments", limits)
        archive = cls(blobs, index, journal, settings, limits, now, transactions)
        try:
            await asyncio.to_thread(transactions.open)
            await journal.write(Entry(event=Event.START, subject=ae_title))
        except BaseException:
            await archive.close()
            raise
        return archive

    def use(
        self,
        *,
        register: Register | None = None,
        rules: Rules | None = None,
        destinations: Iterable[Destination] | None = None,
    ) -> None:
        """Put another register, other rules or destinations in place: they hold from the next operation on."""
        self.settings = replace(
            self.settings,
            destinations=(
                self.settings.destinations if destinations is None else _by_title(destinations)
            ),
            register=self.settings.register if register is None else register,
            rules=self.settings.rules if rules is None else rules,
        )

    async def close(self) -> None:
        """Close all of it; serve nobody any more before. Raises StorageError."""
        try:
            await self.workers.close()
            await self.viewing.close()
            await self.journal.write(Entry(event=Event.STOP))
        finally:
            try:
                await asyncio.to_thread(self.index.close)
            finally:
                await asyncio.to_thread(self.blobs.close)
                await self.journal.close()


def _by_title(destinations: Iterable[Destination]) -> dict[str, Destination]:
    return {one.ae_title: one for one in destinations}


def _open(
    folder: Path,
    limits: Limits,
    written: Callable[[Record], None] | None,
    keeping: Keeping,
) -> tuple[BlobStore, Index, Journal]:
    disk = LocalDisk()
    disk.make_folder(str(folder))
    disk.make_folder(str(folder / "blobs"))
    blobs = BlobStore.open(folder / "blobs", limits=limits)
    try:
        has_blobs = any((folder / "blobs" / "blobs").glob("*/*"))
        if has_blobs and not (folder / "index").exists():
            hint = "Restore it from a backup, or make it anew: doorward archive reindex DIR"
            raise ConfigError("the index is missing beside its blobs", file=folder, hint=hint)
        index = Index.open(folder / "index", limits=limits)
        try:
            journal = Journal(
                folder / "journal",
                written=written,
                keeps_values=keeping.keeps_values,
                syncs_all=keeping.syncs_queries,
                limits=limits,
            )
        except BaseException:
            index.close()
            raise
    except BaseException:
        blobs.close()
        raise
    return blobs, index, journal
