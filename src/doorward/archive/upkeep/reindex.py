"""The index made anew: from the blobs what instances say, from the journal when they came and from whom.

Theory of operation. Each blob is an instance with all that a query may ask. When it came and who sent it stands in the
journal, whose STORE records name the blob. What the archive itself had said of a study (labels, department) stands nowhere
else, so it is taken from the index that is there as long as that can be read; the site of a study too, or else it is that
of its sender today.

The order is that in which instances came, as the journal numbers them, because the first one of a study says its attributes.
Sorting and remembering happen in a file beside the index (``Scratch``), so memory does not grow with the archive. The old
index stays until the new one is whole and checked (``index.upkeep.rebuild``); a crash changes nothing.

Deleted stays deleted: a blob whose study was deleted after it had come is left out. But where such a Study Instance UID is
held for two patients, the journal cannot say whose was deleted, and all of it is taken in.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.shelf import Shelf, open_shelf
from doorward.archive.index.entry import Entry
from doorward.archive.index.entry import Outcome as Filed
from doorward.archive.index.upkeep import rebuild
from doorward.archive.originals import MAGIC, read_head
from doorward.archive.upkeep import hands
from doorward.archive.upkeep.blob_entry import Origin, read_beginning, scan
from doorward.archive.upkeep.scratch import Came, Scratch
from doorward.errors import LimitExceeded, PeerProtocolError, StorageError, UsageError
from doorward.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Reindexed:
    """What was made: instances that are held, contents kept aside, and what was left out and why."""

    instances: int
    conflicts: int
    #: Beginnings of files (``archive.originals``).
    heads: int
    #: Blobs that hold no instance that can be read, and the names of the first ones.
    unreadable: int
    unreadable_named: tuple[str, ...]
    #: Blobs of deleted studies.
    deleted: int
    #: Instances of which no journal says when they came and from whom; they have the time of their file.
    without_record: int
    #: Whether labels and departments could be taken from the index that was there.
    kept_labels: bool


async def reindex(
    folder: Path,
    *,
    sites: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Reindexed:
    """Make the index of a stopped archive anew; the one before stays beside it as ``index.before``.

    ``sites``: the site of each identity by its name. ``progress`` is called with the number of blobs that were read, in a
    thread. Raises ConfigError where the archive runs or is none, StorageError.
    """
    hands.require_ours(folder)
    shelf = await asyncio.to_thread(
        open_shelf, folder / "blobs", LocalDisk(), limits, may_write=True
    )
    try:
        journal = Journal(folder / "journal", limits=limits)
        try:
            made = await asyncio.to_thread(_reindex, folder, shelf, sites or {}, progress)
            reason = f"{made.instances} instances, {made.unreadable} unreadable"
            note = Record(event=Event.UPKEEP, subject="reindex", reason=reason)
            await journal.write(note.by(hands.operator()))
        finally:
            await journal.close()
    finally:
        shelf.give_back()
    return made


def _reindex(
    folder: Path,
    shelf: Shelf,
    sites: Mapping[str, str],
    progress: Callable[[int], None] | None,
) -> Reindexed:
    with closing(Scratch(folder / "index.scratch", shelf.limits)) as scratch:
        kept_labels = scratch.take_studies(folder / "index")
        scratch.take_journal(folder / "journal")
        scratch.take_blobs(shelf)
        work = _Reindex(shelf, scratch, sites, progress)
        heads = scratch.heads()
        counts = rebuild(folder / "index", work.entries(), heads=heads, limits=shelf.limits)
    return Reindexed(
        instances=counts[Filed.NEW],
        conflicts=counts[Filed.CONFLICT_KEPT],
        heads=work.heads,
        unreadable=work.unreadable,
        unreadable_named=tuple(work.unreadable_named),
        deleted=work.deleted,
        without_record=work.without_record,
        kept_labels=kept_labels,
    )


class _Reindex:
    """Gives the entries, and counts on the way."""

    def __init__(
        self,
        shelf: Shelf,
        scratch: Scratch,
        sites: Mapping[str, str],
        progress: Callable[[int], None] | None,
    ) -> None:
        self._shelf = shelf
        self._scratch = scratch
        self._sites = sites
        self._progress = progress
        self.heads = self.unreadable = self.deleted = self.without_record = 0
        self.unreadable_named: list[str] = []

    def entries(self) -> Iterator[Entry]:
        """Yield what is held, in the order in which it came."""
        for number, came in enumerate(self._scratch.blobs(), 1):
            entry = self._entry(came)
            if self._progress is not None:
                self._progress(number)
            if entry is None:
                continue
            if came.is_deleted:
                self._scratch.leave_out(came, entry.patient_key)
                self.deleted += 1
                continue
            self.without_record += not came.has_record
            yield entry
        for came in self._scratch.not_surely_deleted():
            entry = self._entry(came)
            if entry is not None:
                self.deleted -= 1
                yield entry

    def _entry(self, came: Came) -> Entry | None:
        """Return the entry of a blob; None for the beginning of a file, and for what cannot be read."""
        disk, path, limits = self._shelf.disk, self._shelf.path_of(came.digest), self._shelf.limits
        try:
            beginning = read_beginning(disk, path, len(MAGIC) + 32)
            if (kept := read_head(beginning)) is not None:
                self._scratch.take_head(kept.instance_digest, came.digest)
                self.heads += 1
                return None
            scanned = scan(disk, path, came.digest, limits)
            known = self._scratch.study(scanned.study_uid, scanned.patient)
            site = known.site if known else self._sites.get(came.source, "")
            return scanned.entry(
                Origin(
                    received_at=came.received_at,
                    source=came.source,
                    site=site,
                    department=known.department if known else "",
                    labels=known.labels if known else frozenset(),
                )
            )
        except (PeerProtocolError, LimitExceeded, UsageError, StorageError) as error:
            if isinstance(error, StorageError) and error.kind not in ("damaged", "failed"):
                raise
            self.unreadable += 1
            if len(self.unreadable_named) < limits.blob_damaged_named:
                self.unreadable_named.append(came.digest)
            return None
