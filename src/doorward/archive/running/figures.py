"""What an archive is like at this moment, in figures: looked up when somebody asks, never while it works.

Counting what is held reads the index from end to end, so it is done now and then: not before ``metrics_totals_s``, and never
more than a hundredth of the time. Nothing in a figure comes from a peer.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from doorward.access.authority import certificate_from
from doorward.archive.archive import Archive
from doorward.archive.index.entry import Totals
from doorward.archive.running.devices import standings
from doorward.archive.running.folder import AUTHORITY, CLIENT, SERVER, Folder
from doorward.errors import DoorwardError

_MOST_OF_THE_TIME = 0.01
_CERTIFICATES = {"server": SERVER, "client": CLIENT, "authority": AUTHORITY}


class Listening(Protocol):
    """What the doors know (``archive.doors.Doors``)."""

    @property
    def connections(self) -> Mapping[str, int]:
        """Connections that are open, by door."""

    @property
    def sessions(self) -> int:
        """Sessions of people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolFigures:
    """Audit messages on their way; ``oldest_s``: for how long the oldest has waited, 0 where none waits."""

    size_bytes: int
    most_bytes: int
    oldest_s: float
    delivered: int
    refused: int
    failures: int


class Sending(Protocol):
    """What knows the spool (``archive.collector.Collector``)."""

    def figures(self, now: datetime) -> SpoolFigures:
        """Return how the sending stands. Blocks. Raises StorageError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One look; what could not be found out is missing in it."""

    associations: int
    connections: Mapping[str, int]
    sessions: int
    workers: int
    worker_starts: int
    worker_failures: int
    journal_records: int
    is_journal_broken: bool
    totals: Totals | None = None
    disk_bytes: int | None = None
    disk_free_bytes: int | None = None
    #: Which certificate -> when it ends, in seconds since 1970.
    certificate_ends: Mapping[str, float] = field(default_factory=dict)
    #: Devices none of whose certificates is good for ``renewal_days`` any more.
    devices_ending: int | None = None
    spool: SpoolFigures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What lies on the disk."""

    disk_bytes: int | None = None
    disk_free_bytes: int | None = None
    certificate_ends: Mapping[str, float] = field(default_factory=dict)
    devices_ending: int | None = None
    spool: SpoolFigures | None = None


class Observer:
    """Looks at one archive. ``doors`` and ``collector`` are put there once they are open."""

    def __init__(self, folder: Folder, archive: Archive) -> None:
        self.doors: Listening | None = None
        self.collector: Sending | None = None
        self._folder = folder
        self._archive = archive
        self._totals: Totals | None = None
        self._count_again_at = float("-inf")
        self._turn = asyncio.Lock()

    async def look(self) -> Figures:
        """Return the figures of now; the totals may be some minutes old."""
        archive, doors = self._archive, self.doors
        async with self._turn:
            await self._count()
            kept = await asyncio.to_thread(self._kept)
        return Figures(
            associations=archive.services.callers.standing,
            connections={} if doors is None else doors.connections,
            sessions=0 if doors is None else doors.sessions,
            workers=len(archive.workers.processes),
            worker_starts=archive.workers.starts,
            worker_failures=archive.workers.failures,
            journal_records=archive.journal.head.sequence,
            is_journal_broken=archive.journal.is_broken,
            totals=self._totals,
            disk_bytes=kept.disk_bytes,
            disk_free_bytes=kept.disk_free_bytes,
            certificate_ends=kept.certificate_ends,
            devices_ending=kept.devices_ending,
            spool=kept.spool,
        )

    async def _count(self) -> None:
        begun = time.monotonic()
        if begun < self._count_again_at:
            return
        try:
            self._totals = await self._archive.index.totals()
        except DoorwardError:
            self._totals = None
        ended = time.monotonic()
        pause_s = max(self._archive.limits.metrics_totals_s, (ended - begun) / _MOST_OF_THE_TIME)
        self._count_again_at = ended + pause_s

    def _kept(self) -> _Kept:
        """Look at the disk. Blocks."""
        size: int | None = None
        free: int | None = None
        try:
            room = os.statvfs(self._folder.path)
            size, free = room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize
        except OSError:
            pass  # not known is what the figures say
        return _Kept(
            disk_bytes=size,
            disk_free_bytes=free,
            certificate_ends=self._certificate_ends(),
            devices_ending=self._devices_ending(),
            spool=self._spool(),
        )

    def _certificate_ends(self) -> dict[str, float]:
        found = {}
        for name, file in _CERTIFICATES.items():
            try:
                certificate = certificate_from(self._folder.vault().read(file))
            except DoorwardError:
                continue
            found[name] = certificate.not_valid_after_utc.timestamp()
        return found

    def _devices_ending(self) -> int | None:
        now, days = self._archive.now(), self._folder.limits.renewal_days
        try:
            known = [max(one.not_after) for one in standings(self._folder) if one.not_after]
        except DoorwardError:
            return None
        return sum((end - now).days <= days for end in known)

    def _spool(self) -> SpoolFigures | None:
        if self.collector is None:
            return None
        try:
            return self.collector.figures(self._archive.now())
        except DoorwardError:
            return None
