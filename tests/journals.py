"""Journals for the tests: written in one go, with a clock that the test moves."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry, Event, Record

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STUDY = "1.2.826.0.1.3680043.2"


class Clock:
    """Stands still unless it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Say what time it is."""
        return self.now

    def move(self, seconds: float) -> None:
        """Forwards or back."""
        self.now += timedelta(seconds=seconds)


def stored(number: int, **more: Any) -> Entry:
    """An entry that can be told from the others."""
    what = {"event": Event.STORE, "identity": "ct1", "studies": (f"{STUDY}.{number}",)} | more
    return Entry(**what)


def written(folder: Path, entries: Iterable[Entry], **how: Any) -> list[Record]:
    """Open the journal, write one entry after the other, close it, and return the records."""

    async def write() -> list[Record]:
        journal = Journal(folder, clock=how.pop("clock", Clock()), **how)
        try:
            return [await journal.write(entry) for entry in entries]
        finally:
            await journal.close()

    return asyncio.run(write())
