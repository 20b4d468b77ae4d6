"""Walks a whole journal and names the first record that is not what was written.

Theory of operation: each record holds the digest of the one before and is itself held by its own; so the first line that
does not fit tells what happened. Changed: line and digest disagree, or the digest was made anew and the next record does
not know it. Removed: a number is skipped. Reordered: it comes later in the same segment. Inserted: a number comes twice.
Truncated: the chain ends before an anchor. Whoever can write the folder could chain everything anew; then it no longer
agrees with an anchor kept elsewhere, or with the digests that an outside collector has.

One line is held at a time. A journal may be verified while it is written: the anchor is read first, and an unfinished line
after it is no fault.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from doorward.access.journal.record import EMPTY, Head, Place, read_place
from doorward.access.journal.segments import (
    ANCHOR,
    read_anchor,
    read_header,
    read_lines,
    segment_paths,
)
from doorward.limits import DEFAULT_LIMITS, Limits


class Break(StrEnum):
    """What was done to a journal."""

    CHANGED = "changed"
    REMOVED = "removed"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first record that is not what was written. ``offset`` is the byte of the segment where the chain breaks."""

    what: Break
    sequence: int
    segment: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How far the chain is whole, and the first break, if any."""

    head: Head
    segments: int
    broken: Broken | None
    #: Whether an anchor said how long the journal must be; without one, a missing end cannot be seen.
    is_anchored: bool
    #: Bytes of a last line without its end: one that is being written, or what a crash left.
    unfinished_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether every record is the one that was written."""
        return self.broken is None


def verify(
    folder: Path,
    *,
    anchor: Path | None = None,
    heads: Iterable[Head] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Verification:
    """Return whether the journal is what was written; ``heads`` were kept elsewhere. Raises OSError, as files do."""
    known = read_anchor(anchor or folder / ANCHOR)
    anchors = dict(heads)
    if known is not None:
        anchors.setdefault(known.sequence, known.digest)
    walk = _Walk(anchors, limits)
    paths = segment_paths(folder)
    for number, path in enumerate(paths, 1):
        broken = walk.segment(path, is_last=number == len(paths))
        if broken is not None:
            break
    else:
        broken = walk.end(paths[-1].name if paths else "")
    return Verification(
        head=walk.head,
        segments=len(paths),
        broken=broken,
        is_anchored=bool(anchors),
        unfinished_bytes=walk.unfinished_bytes,
    )


class _Walk:
    """Where a walk along the chain stands."""

    def __init__(self, anchors: dict[int, str], limits: Limits) -> None:
        self.head = EMPTY
        self.unfinished_bytes = 0
        self._anchors = anchors
        self._longest = max(anchors, default=0)
        self._limits = limits
        self._size = 0

    def segment(self, path: Path, *, is_last: bool) -> Broken | None:
        """Walk along one segment; return where it breaks."""
        lines = read_lines(path, self._limits)
        first = next(lines, None)
        begins = None if first is None else read_header(first.text)
        self._size = 0 if first is None else len(first.text)
        if begins is None or int(path.stem) != begins.sequence + 1:
            return self._broken(Break.CHANGED, path, 0)
        if begins != self.head:
            what = Break.CHANGED if begins.sequence == self.head.sequence else Break.REMOVED
            at = self.head.sequence if what is Break.CHANGED else None
            return self._broken(what, path, 0, at)
        for line in lines:
            self._size = line.offset + len(line.text)
            is_open = is_last and not line.text.endswith(b"\n")
            if is_open and len(line.text) < self._limits.journal_record_bytes:
                self.unfinished_bytes = len(line.text)
                continue
            try:
                place = read_place(line.text)
            except ValueError:
                return self._broken(Break.CHANGED, path, line.offset)
            broken = self._next(place, path, line.offset)
            if broken is not None:
                return broken
        return None

    def end(self, segment: str) -> Broken | None:
        """Return what is missing after the last record."""
        if self.head.sequence >= self._longest:
            return None
        return Broken(
            what=Break.TRUNCATED,
            sequence=self.head.sequence + 1,
            segment=segment,
            offset=self._size - self.unfinished_bytes,
        )

    def _next(self, place: Place, path: Path, offset: int) -> Broken | None:
        expected = self.head.sequence + 1
        if place.sequence > expected:
            later = _is_later(path, offset, expected, self._limits)
            return self._broken(Break.REORDERED if later else Break.REMOVED, path, offset)
        if place.sequence < expected:
            return self._broken(Break.INSERTED, path, offset, place.sequence)
        if place.previous != self.head.digest:  # the record before is not the one this one knew
            return self._broken(Break.CHANGED, path, offset, self.head.sequence or expected)
        anchored = self._anchors.get(place.sequence)
        if anchored is not None and anchored != place.digest:
            return self._broken(Break.CHANGED, path, offset)
        self.head = Head(place.sequence, place.digest)
        return None

    def _broken(self, what: Break, path: Path, offset: int, sequence: int | None = None) -> Broken:
        number = self.head.sequence + 1 if sequence is None else sequence
        return Broken(what=what, sequence=number, segment=path.name, offset=offset)


def _is_later(path: Path, offset: int, sequence: int, limits: Limits) -> bool:
    return any(one.sequence == sequence for one in _readable(path, offset, limits))


def _readable(path: Path, offset: int, limits: Limits) -> Iterator[Place]:
    for line in read_lines(path, limits, start=offset):
        try:
            yield read_place(line.text)
        except ValueError:
            continue
