"""A copy of all blobs while the archive runs: hard links on the same file system, copies elsewhere.

A blob is never changed in place, so a link stays what it was. A link is no second copy: what the device loses, both have
lost; it is for the moment until another program has carried it away. What is copied is hashed on the way.
Take the index first and the blobs then, and hold ``store.upkeep`` around both: every blob that the index names is there.
"""

import errno
from dataclasses import dataclass, replace
from pathlib import Path

from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.faults import storage_error
from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.part import Part
from doorward.archive.blobs.shelf import Shelf, open_shelf
from doorward.archive.blobs.store import BlobStore
from doorward.errors import UsageError

#: Another file system; too many links; a file system without links; links forbidden (link(2)); gone since it was listed.
_COPY_INSTEAD = frozenset(
    {errno.ENOENT, errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a snapshot holds: blobs linked and copied now, those of an earlier one, and those that were damaged."""

    linked: int = 0
    copied: int = 0
    already: int = 0
    damaged: int = 0
    damaged_named: tuple[str, ...] = ()


async def snapshot(store: BlobStore, to: Path) -> Snapshot:
    """Let ``to`` be a store with every blob of this one, durable; one that was begun or made before is gone on with.

    Raises UsageError unless ``store.upkeep`` is held, ConfigError where ``to`` is something else, StorageError.
    """
    if not store.upkeep.locked():
        raise UsageError("hold upkeep around the copy of the index and the snapshot")
    target = await store.in_thread(open_shelf, to, LocalDisk(), store.shelf.limits, may_write=True)
    try:
        found = Snapshot()
        for folder in FOLDERS:
            found = await store.in_thread(_folder, store.shelf, target, folder, found)
        return found
    finally:
        target.give_back()


def _folder(source: Shelf, target: Shelf, folder: str, found: Snapshot) -> Snapshot:
    there = set(target.digests(folder))
    digests = source.digests(folder)
    for digest in digests:
        if digest in there:
            found = replace(found, already=found.already + 1)
        elif _link(source, target, digest):
            found = replace(found, linked=found.linked + 1)
        elif copy_blob(source, target, digest):
            found = replace(found, copied=found.copied + 1)
        else:
            found = _with_damaged(found, digest, source.limits.blob_damaged_named)
    if digests:
        target.sync_folder_of(folder)
    return found


def _link(source: Shelf, target: Shelf, digest: str) -> bool:
    path = target.path_of(digest)
    try:
        target.disk.link(source.path_of(digest), path)
    except OSError as fault:
        if fault.errno in _COPY_INSTEAD:
            return False
        raise storage_error("link", path, fault) from fault
    return True


def copy_blob(source: Shelf, target: Shelf, digest: str) -> bool:
    """Copy one blob, hashed on the way; False, and nothing left behind, where its content is not what its name says.

    Raises StorageError for what the target refuses.
    """
    part = Part(target)
    try:
        offset = 0
        handle = source.disk.open(source.path_of(digest))
        try:
            while block := source.disk.read(handle, source.limits.blob_block_bytes, offset):
                part.append(block)
                offset += len(block)
        finally:
            source.disk.close(handle)
        return part.finish_as(digest)
    except OSError:
        return False  # it cannot be read; what the target refuses is a StorageError
    finally:
        part.abandon()


def _with_damaged(found: Snapshot, digest: str, most: int) -> Snapshot:
    named = found.damaged_named + ((digest,) if len(found.damaged_named) < most else ())
    return replace(found, damaged=found.damaged + 1, damaged_named=named)
