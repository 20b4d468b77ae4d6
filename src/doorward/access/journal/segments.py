"""The files of a journal: segments of bounded size, the anchor, and what a crash may leave at the end.

    000000000001.journal    the first line says which record comes first and what digest is before it; then records
    000000020481.journal    begins with the last digest of the segment before
    anchor                  the head of the chain, written over in place after each sync; better on another disk
    lock                    held by the one writer
    torn-000000020511-1     what a crash left after the last whole record, cut off and kept

The anchor is what tells a journal that was shortened from one that ends there: whoever cuts the end off must change the
anchor too. It is never ahead of what was synced, so a journal that ends before it has lost records.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from doorward.access.journal.record import EMPTY, Head, Record, read_place, read_record
from doorward.errors import ConfigError, StorageError
from doorward.limits import DEFAULT_LIMITS, Limits

FORMAT = "doorward.journal/1"
ENDING = ".journal"
ANCHOR = "anchor"
MODE = 0o600
_DIGITS = 12
#: Number, space, digest, newline: always equally long, so that it is written over in one piece.
_ANCHOR_LINE = "{:020d} {}\n"
_ANCHOR_BYTES = 20 + 1 + 64 + 1
_KEEP = (
    "Keep the folder as it is, copy it, and ask 'doorward archive journal verify' what is broken."
)


class Line(NamedTuple):
    """One line of a segment with its newline, and where in the file it begins."""

    offset: int
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of the last segment: the chain up to its last whole record, and where the file is whole up to."""

    path: Path
    head: Head
    last: Record | None
    size_bytes: int
    #: Bytes after that: a torn line, or more.
    torn_bytes: int


def segment_path(folder: Path, first: int) -> Path:
    """Return the path of the segment that begins with that record."""
    return folder / f"{first:0{_DIGITS}d}{ENDING}"


def segment_paths(folder: Path) -> list[Path]:
    """Return the segments in the order of the chain."""
    return sorted(path for path in folder.glob(f"*{ENDING}") if path.stem.isdigit())


def header(after: Head) -> bytes:
    """Return the first line of a segment whose records follow on ``after``."""
    stated = {"format": FORMAT, "first": after.sequence + 1, "previous": after.digest}
    return json.dumps(stated, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def read_header(line: bytes) -> Head | None:
    """Return after what record a segment begins, None where the line does not say."""
    try:
        stated = json.loads(line)
        if stated["format"] != FORMAT:
            return None
        return Head(int(stated["first"]) - 1, str(stated["previous"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def read_lines(path: Path, limits: Limits = DEFAULT_LIMITS, *, start: int = 0) -> Iterator[Line]:
    """Yield the lines of a segment from a byte on; one longer than a record may be comes without its newline."""
    with path.open("rb") as file:
        file.seek(start)
        offset = start
        while text := file.readline(limits.journal_record_bytes):
            yield Line(offset, text)
            offset += len(text)


def create_segment(folder: Path, after: Head) -> Path:
    """Make the segment that follows on ``after``: whole and on disk, or not there at all. Raises OSError."""
    path = segment_path(folder, after.sequence + 1)
    made = path.with_suffix(".new")
    descriptor = os.open(
        made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, MODE
    )
    try:
        line = header(after)
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, "the first line of a segment did not fit")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    made.rename(path)
    sync_folder(folder)
    return path


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_tail(path: Path, limits: Limits = DEFAULT_LIMITS) -> Tail:
    """Return how the last segment ends. Raises StorageError where not even its first line can be read."""
    lines = read_lines(path, limits)
    first = next(lines, None)
    head = None if first is None else read_header(first.text)
    if first is None or head is None:
        raise damaged(path, "has no first line that says where it belongs")
    last_line, size_bytes = b"", len(first.text)
    for line in lines:
        try:
            place = read_place(line.text)
        except ValueError:
            break
        if (place.sequence, place.previous) != (head.sequence + 1, head.digest):
            break
        head, last_line = Head(place.sequence, place.digest), line.text
        size_bytes = line.offset + len(line.text)
    last = read_record(last_line) if last_line else None
    torn_bytes = path.stat().st_size - size_bytes
    return Tail(path=path, head=head, last=last, size_bytes=size_bytes, torn_bytes=torn_bytes)


def cut_torn(tail: Tail) -> Path:
    """Move what stands after the last whole record to a file of its own, and return that. Raises OSError."""
    number = 1
    while (aside := tail.path.with_name(f"torn-{tail.head.sequence + 1:012d}-{number}")).exists():
        number += 1
    with tail.path.open("r+b") as file, aside.open("xb") as kept:
        os.fchmod(kept.fileno(), MODE)
        file.seek(tail.size_bytes)
        while piece := file.read(1 << 20):
            kept.write(piece)
        kept.flush()
        os.fsync(kept.fileno())
        file.truncate(tail.size_bytes)
        os.fsync(file.fileno())
    sync_folder(tail.path.parent)
    return aside


def write_all(descriptor: int, lines: bytes) -> None:
    """Hand lines to the system, all of them. Raises OSError."""
    view = memoryview(lines)
    while view:
        view = view[os.write(descriptor, view) :]


def take_lock(folder: Path) -> int:
    """Return the handle that holds the right to write. Raises ConfigError where another process has it, OSError."""
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(
            "is being written by another Doorward",
            file=folder,
            hint="One process writes a journal; reading it is possible at any time.",
        ) from None
    return descriptor


# --- the anchor -------------------------------------------------------------------------------------------------------


def read_anchor(path: Path) -> Head | None:
    """Return the head that an anchor names; None where there is none, or none that can be read."""
    try:
        text = path.read_bytes()[: _ANCHOR_BYTES + 1].decode("ascii")
        number, _, digest = text.removesuffix("\n").partition(" ")
        head = Head(int(number), digest)
    except (OSError, ValueError):
        return None
    return head if _ANCHOR_LINE.format(*head) == text and len(digest) == len(EMPTY.digest) else None


class Anchor:
    """The file that names the head, open for writing. Raises OSError."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, MODE)

    def move(self, head: Head) -> None:
        """Write the head over the one before, which the system keeps even if this process is killed."""
        os.pwrite(self._descriptor, _ANCHOR_LINE.format(*head).encode("ascii"), 0)

    def close(self) -> None:
        """Make it durable and close it."""
        try:
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)


def damaged(path: Path, what: str) -> StorageError:
    """Return the error for a journal that cannot be gone on with."""
    return StorageError(
        f"the journal {path} {what}", operation="read", path=path, kind="damaged", hint=_KEEP
    )
