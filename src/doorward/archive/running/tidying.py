"""What a crash left in the blobs is taken away at the next start: content that nobody was told is held.

Theory of operation. At a start nobody else writes, and nothing was received yet. A blob that is older and that no row names was
left by a process that died between the two; its sender was told nothing and sends it again. But a row may be missing for
another reason: somebody has put an older index in place. The journal tells the two apart, because a success leaves only
after the record that names the blob. Where it names one of them, and no record of a deletion explains it, nothing is taken
away: that index lacks what was acknowledged, and must be made anew.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from doorward.access.journal.reading import show
from doorward.access.journal.record import Entry, Event, Outcome
from doorward.archive.archive import Archive
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.sweep import sweep
from doorward.errors import DoorwardError
from doorward.limits import Limits

_log = logging.getLogger("doorward.archive")
#: Times of files are kept more coarsely than they are compared.
_COARSE_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """What was done: blobs that were taken away, or contents that the journal names and the index lacks."""

    removed: int = 0
    lacking: int = 0


def beginning(archive: Archive) -> float:
    """Return the present time of the archive's own disk, before anything is received (seconds since 1970). Blocks.

    Raises StorageError.
    """
    shelf = archive.blobs.shelf
    path = shelf.path("lock")
    with mapped("look at", path):
        shelf.disk.touch(path)
        entry = shelf.disk.entry(path)
    return 0.0 if entry is None else entry.modified_at - _COARSE_S


async def tidy(archive: Archive, journal: Path, *, before: float) -> Tidied:
    """Take away what was left before ``before`` (see ``beginning``), unless the index is what lacks something.

    Raises StorageError.
    """
    orphans = await _orphans(archive, before)
    if not orphans:
        return Tidied()
    lacking = await asyncio.to_thread(_acknowledged, journal, orphans, archive.limits)
    if lacking:
        return Tidied(lacking=len(lacking))
    age_s = archive.limits.blob_orphan_age_s
    done = await sweep(
        archive.blobs, referenced=archive.index.referenced, now=before + age_s, may_be_empty=True
    )
    reason = f"{done.blobs} blobs, {done.bytes} bytes, of which nobody was told"
    await archive.journal.write(Entry(event=Event.UPKEEP, subject="sweep", reason=reason))
    return Tidied(removed=done.blobs)


async def tidy_and_say(archive: Archive, journal: Path, *, before: float) -> None:
    """Like ``tidy``, beside everything else: what a person must know is logged, and nothing is raised."""
    try:
        done = await tidy(archive, journal, before=before)
    except DoorwardError as error:
        _log.warning("what a crash left could not be looked for: %s", error)
        return
    if done.lacking:
        _log.warning(
            "the index lacks %d contents that the journal names: stop the archive, then 'reindex'",
            done.lacking,
        )


async def _orphans(archive: Archive, before: float) -> set[str]:
    """Return the blobs that were there and that no row names, as many as one sweep takes away."""
    found: set[str] = set()
    limits, blobs = archive.limits, archive.blobs
    for folder in FOLDERS:
        digests = await blobs.in_thread(blobs.shelf.digests, folder)
        for at in range(0, len(digests), limits.blob_names_at_a_time):
            batch = digests[at : at + limits.blob_names_at_a_time]
            known = await archive.index.referenced(batch)
            without = [one for one in batch if one not in known]
            found |= await blobs.in_thread(_older, archive, without, before)
            if len(found) >= limits.blob_orphans:
                return found
    return found


def _older(archive: Archive, digests: Sequence[str], before: float) -> set[str]:
    entries = {digest: archive.blobs.shelf.entry(digest) for digest in digests}
    return {digest for digest, one in entries.items() if one and one.modified_at < before}


def _acknowledged(journal: Path, digests: Collection[str], limits: Limits) -> set[str]:
    """Return those of the blobs that somebody was told are held, and whose study was not deleted since."""
    studies: dict[str, tuple[str, ...]] = {}
    with mapped("read", str(journal)):
        for record in show(journal, limits=limits):
            entry = record.entry
            if entry.outcome is not Outcome.SUCCESS:
                continue
            if entry.event is Event.STORE and entry.blob in digests:
                studies[entry.blob] = entry.studies
            elif entry.event is Event.DELETE and studies:
                gone = set(entry.studies)
                studies = {blob: of for blob, of in studies.items() if gone.isdisjoint(of)}
    return set(studies)
