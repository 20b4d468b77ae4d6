"""Takes away what nobody needs: parts that were left, and blobs that the index does not name.

A blob is an orphan when a crash came between its commit and its row in the index (its sender was told nothing), or when its
row was deleted. Four things keep what is needed: the index is asked twice, the second time just before; a blob that somebody
is about to write into the index is pinned; a young one is left alone; and when the index names nothing at all, nothing is
taken: an index that was lost is made anew from the blobs.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.store import BlobStore
from doorward.errors import UsageError

#: Asked with names, answers with those that the index knows.
Referenced = Callable[[Sequence[str]], Awaitable[Collection[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeping:
    """What a sweep took away. ``is_complete``: no more than ``blob_orphans`` had been found."""

    parts: int
    blobs: int
    bytes: int
    is_complete: bool


async def sweep(
    store: BlobStore, *, referenced: Referenced, now: float, may_be_empty: bool = False
) -> Sweeping:
    """Remove orphans that are older than ``blob_orphan_age_s`` at ``now`` (seconds since 1970).

    Raises UsageError where the index names none of the blobs, unless ``may_be_empty``, and in a store that was opened for
    reading; StorageError.
    """
    if not store.shelf.may_write:
        raise UsageError("a store that was opened for reading is not swept")
    before = now - store.shelf.limits.blob_orphan_age_s
    async with store.upkeep:
        orphans, is_complete = await _orphans(store, referenced, may_be_empty)
        blobs = count_bytes = 0
        for batch in _batches(orphans, store.shelf.limits.blob_names_at_a_time):
            needed = await referenced(batch)
            for digest in batch:
                if digest in needed:
                    continue
                size = await store.in_thread(store.shelf.remove_orphan, digest, before=before)
                if size is not None:
                    blobs += 1
                    count_bytes += size
        parts = await store.in_thread(store.shelf.remove_parts, before=before)
    return Sweeping(parts=parts, blobs=blobs, bytes=count_bytes, is_complete=is_complete)


async def _orphans(
    store: BlobStore, referenced: Referenced, may_be_empty: bool
) -> tuple[list[str], bool]:
    """Return blobs that the index does not name, and whether these are all."""
    limits = store.shelf.limits
    found: list[str] = []
    is_complete = True
    has_known = may_be_empty
    for folder in FOLDERS:
        digests = await store.in_thread(store.shelf.digests, folder)
        for batch in _batches(digests, limits.blob_names_at_a_time):
            known = await referenced(batch)
            has_known = has_known or bool(known)
            orphans = [digest for digest in batch if digest not in known]
            room = limits.blob_orphans - len(found)
            is_complete = is_complete and len(orphans) <= room
            found += orphans[:room]
    if found and not has_known:
        hint = "Make the index anew from the blobs first, or say that it is meant to be empty."
        raise UsageError("the index names none of the blobs; nothing was removed", hint=hint)
    return found, is_complete


def _batches(digests: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(digests), size):
        yield digests[at : at + size]
