"""Small files, secrets, requests for storage commitment and journals, copied so that they are durable. All of it blocks.

A journal only grows, and its segments are closed for ever when the next one begins; so a copy that was made before is the
beginning of what is there now. Where it is not, records were changed or cut off since, and the copy is worth more than what
would replace it: it is left alone.
"""

import os
from pathlib import Path

from doorward.access.journal.record import EMPTY, Head, read_place
from doorward.access.journal.segments import (
    ANCHOR,
    Anchor,
    read_anchor,
    read_lines,
    read_tail,
    segment_paths,
)
from doorward.access.journal.verify import verify
from doorward.access.vault import Vault
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.faults import mapped
from doorward.errors import ConfigError, LimitExceeded, StorageError
from doorward.limits import Limits

_BLOCK_BYTES = 1 << 20
_CUT_OFF = "torn-*"
_REQUESTS = "*.json"


def make_folder(folder: Path) -> None:
    """Make a folder for us alone, with its name durable; one that is there is left as it is. Raises StorageError."""
    with mapped("write", str(folder)):
        LocalDisk().make_folder(str(folder))
        LocalDisk().sync_folder(str(folder.absolute().parent))


def read_small(file: Path, limits: Limits) -> bytes:
    """Return a small file. Raises StorageError, LimitExceeded (``upkeep_file_bytes``)."""
    with mapped("read", str(file)), file.open("rb") as stream:
        content = stream.read(limits.upkeep_file_bytes + 1)
    if len(content) > limits.upkeep_file_bytes:
        bound = limits.upkeep_file_bytes
        raise LimitExceeded(limit="upkeep_file_bytes", value=bound, seen=len(content))
    return content


def write_small(file: Path, content: bytes) -> None:
    """Write a small file whole or not at all, for us alone to read, and make it durable. Raises StorageError."""
    unfinished = file.with_name(f"{file.name}.new")
    disk = LocalDisk()
    with mapped("write", str(file)):
        unfinished.unlink(missing_ok=True)
        handle = disk.create(str(unfinished))
        try:
            disk.write(handle, content)
            disk.sync(handle)
        finally:
            disk.close(handle)
        unfinished.replace(file)
        disk.sync_folder(str(file.absolute().parent))


def copy_secrets(source: Path, to: Path) -> int:
    """Copy a vault with all that is in it, and return how many secrets that are. Raises ConfigError, StorageError."""
    vault = Vault(source)
    copy = Vault(to) if to.exists() else Vault.create(to)
    names = vault.names()
    for name in names:
        copy.write(name, vault.read(name))
    for name in set(copy.names()) - set(names):
        copy.remove(name)  # revoked since
    return len(names)


def copy_commitments(source: Path, to: Path, limits: Limits) -> int:
    """Copy the requests for storage commitment that wait for their report, and return how many; no others stay there.

    A request that was reported meanwhile is gone. Raises StorageError, LimitExceeded (``upkeep_file_bytes``).
    """
    make_folder(to)
    with mapped("read", str(source)):
        names = {one.name for one in source.glob(_REQUESTS)} if source.is_dir() else set()
    copied = set()
    for name in sorted(names):
        content = _read_or_none(source / name, limits)
        if content is not None:
            write_small(to / name, content)
            copied.add(name)
    with mapped("remove", str(to)):
        for left in to.glob(_REQUESTS):
            if left.name not in copied:
                left.unlink()
    return len(copied)


def _read_or_none(file: Path, limits: Limits) -> bytes | None:
    try:
        return read_small(file, limits)
    except StorageError as error:
        if error.kind == "missing":
            return None
        raise


# --- journals ---------------------------------------------------------------------------------------------------------


def copy_journal(source: Path, to: Path, limits: Limits) -> Head:
    """Let a copy of a journal be as long as what of it is on disk now, and return its head. It may be written meanwhile.

    Raises ConfigError where an earlier copy is no beginning of the journal: then nothing is changed. StorageError.
    """
    make_folder(to)
    with mapped("copy", str(source)):
        # What its writer has not synced yet is left: after a power cut other records would stand there.
        synced = read_anchor(source / ANCHOR)
        _require_same(source, to, limits)
        paths = segment_paths(source)
        if synced is not None:
            paths = [path for path in paths if int(path.stem) <= max(1, synced.sequence)]
        for segment in paths:
            end = _end_of(segment, synced, limits) if segment == paths[-1] else None
            _copy_more(segment, to / segment.name, end)
        for torn in source.glob(_CUT_OFF):
            _copy_more(torn, to / torn.name, None)
        copied = segment_paths(to)
        head = read_tail(copied[-1], limits).head if copied else EMPTY
        anchor = Anchor(to / ANCHOR)
        anchor.move(head)
        anchor.close()
        LocalDisk().sync_folder(str(to))
    return head


def _end_of(segment: Path, synced: Head | None, limits: Limits) -> int:
    """Return how much of the last segment stays as it is: up to the record that the anchor names, or the last whole one."""
    end = 0
    for line in read_lines(segment, limits):
        if line.offset:
            try:
                place = read_place(line.text)
            except ValueError:
                break
            if synced is not None and place.sequence > synced.sequence:
                break
        end = line.offset + len(line.text)
    return end


def _require_same(source: Path, to: Path, limits: Limits) -> None:
    copied = segment_paths(to)
    if not copied:
        return
    before = read_tail(copied[-1], limits).head
    found = verify(source, heads=[before], limits=limits)
    if found.broken is not None:
        message = (
            f"is not the journal that was saved before: record {found.broken.sequence} was"
            f" {found.broken.what.value}"
        )
        hint = (
            f"Somebody must look. The copy in {to} is as it was; save to another folder meanwhile."
        )
        raise ConfigError(message, file=source, hint=hint)


def _copy_more(file: Path, to: Path, end: int | None) -> None:
    """Copy what a file has more than its copy, up to a byte of it, and make that durable."""
    handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        done = os.fstat(handle).st_size
        left = (file.stat().st_size if end is None else end) - done
        if left <= 0:
            return
        with file.open("rb") as stream:
            stream.seek(done)
            os.lseek(handle, done, os.SEEK_SET)
            while left and (block := stream.read(min(left, _BLOCK_BYTES))):
                LocalDisk().write(handle, block)
                left -= len(block)
        os.fsync(handle)
    finally:
        os.close(handle)
