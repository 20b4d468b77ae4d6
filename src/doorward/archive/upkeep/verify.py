"""Everything looked over: each blob hashed again, each row of the index held against its blob, the chain of the journal.

Whether a blob is there and how long it is shows without reading it. What its rows say is compared (``row_check``) where the
blobs are read anyway.

Theory of operation: nothing is changed, nothing is locked; it may run beside a running archive, and over a backup, which has
the same form. What changes meanwhile is no fault: a row whose blob is gone is asked for again, and a blob without a row is
young. Hashing reads everything, so it can be paced, and gone on with: a bookmark keeps how far it has come.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from doorward.access.journal.verify import Verification as JournalVerification
from doorward.access.journal.verify import verify as verify_journal
from doorward.archive.blobs.disk import Entry
from doorward.archive.blobs.faults import mapped
from doorward.archive.blobs.names import FOLDERS
from doorward.archive.blobs.store import BlobStore
from doorward.archive.blobs.verify import Verification as BlobVerification
from doorward.archive.blobs.verify import verify as verify_blobs
from doorward.archive.index.holdings import referenced
from doorward.archive.index.store import in_words
from doorward.archive.index.upkeep import problems
from doorward.archive.upkeep import beside
from doorward.archive.upkeep.beside import Named
from doorward.archive.upkeep.row_check import RowCheck
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexVerification:
    """The index, held against the blobs. The names of what is wrong are bounded, the counts are not."""

    #: What the file itself has wrong, in words.
    problems: tuple[str, ...] = ()
    rows: int = 0
    #: Rows whose blob is not there, or has another size.
    missing: int = 0
    other_size: int = 0
    #: Blobs whose rows say something else than they; 0 where no blob was read.
    differing: int = 0
    #: Rows that name another sender than the journal; 0 where that is not whole, or was not looked at.
    other_sender: int = 0
    wrong_named: tuple[Named, ...] = ()
    #: Blobs that no row names: what a crash left, and what belongs to deleted studies until it is swept.
    orphans: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every row has its blob, and says what it says. An orphan is no fault: nobody was told that it is held."""
        wrong = self.missing + self.other_size + self.differing + self.other_sender
        return not (self.problems or wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at; None was not asked for. ``damaged_named``: the damaged blobs as instances."""

    blobs: BlobVerification | None = None
    damaged_named: tuple[Named, ...] = ()
    index: IndexVerification | None = None
    journal: JournalVerification | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing of what was looked at is damaged or missing."""
        return (
            (self.blobs is None or not self.blobs.damaged)
            and (self.index is None or self.index.is_whole)
            and (self.journal is None or self.journal.is_whole)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far the reading of blobs has come, and what was found: the damaged, and those whose rows say something else."""

    blobs: BlobVerification = field(default_factory=BlobVerification)
    differing: int = 0
    differing_named: tuple[str, ...] = ()


class Bookmark:
    """How far the reading of blobs has come, in a small file; taken away when it has come to the end."""

    def __init__(self, file: Path, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._file = file
        self._limits = limits
        self._next_s = 0.0

    def read(self) -> Reading:
        """Return where to go on; the beginning where there is no file. Raises ConfigError for a file of something else."""
        if not self._file.exists():
            return Reading()
        try:
            stated = json.loads(self._file.read_bytes())
            names = [
                tuple(map(str, stated.pop(one))) for one in ("damaged_named", "differing_named")
            ]
            differing = int(stated.pop("differing"))
            known = {one.name for one in fields(BlobVerification)} - {"damaged_named"}
            if set(stated) != known:
                raise ValueError
            blobs = BlobVerification(**stated, damaged_named=names[0])
            return Reading(blobs=blobs, differing=differing, differing_named=names[1])
        except (ValueError, TypeError, KeyError, AttributeError):
            hint = "Name another file, or remove this one: the verification then begins anew."
            raise ConfigError("is no bookmark of 'verify'", file=self._file, hint=hint) from None

    def note(self, so_far: Reading) -> None:
        """Keep how far it has come, now and then. Raises StorageError."""
        now = time.monotonic()
        if now >= self._next_s:
            self._next_s = now + self._limits.upkeep_note_s
            self.write(so_far)

    def write(self, so_far: Reading) -> None:
        """Keep it now. Raises StorageError."""
        stated = asdict(so_far.blobs) | {
            "differing": so_far.differing,
            "differing_named": so_far.differing_named,
        }
        unfinished = self._file.with_name(f"{self._file.name}.new")
        with mapped("write", str(self._file)):
            unfinished.write_text(json.dumps(stated), encoding="ascii")
            os.replace(unfinished, self._file)

    def remove(self) -> None:
        """Say that it is over."""
        with mapped("remove", str(self._file)):
            self._file.unlink(missing_ok=True)


async def verify(
    folder: Path,
    *,
    blobs: bool = True,
    index: bool = True,
    journal: bool = True,
    rate_bytes_per_s: int | None = None,
    bookmark: Bookmark | None = None,
    progress: Callable[[BlobVerification], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Verified:
    """Look an archive over, or a backup of one; ``rate_bytes_per_s`` paces the reading of blobs.

    Raises ConfigError where the folder is none or of a newer version, StorageError where something cannot be read at all.
    """
    found = Verified()
    if journal:
        with mapped("read", str(folder / "journal")):
            if not (folder / "journal").is_dir():
                raise ConfigError("there is no journal", file=folder / "journal")
            whole = await asyncio.to_thread(verify_journal, folder / "journal", limits=limits)
        found = replace(found, journal=whole)
    if not (blobs or index):
        return found
    store = BlobStore.open(folder / "blobs", limits=limits, may_write=False)
    try:
        if index:
            checked = await asyncio.to_thread(_index, folder / "index", store, limits)
            if found.journal is not None and found.journal.is_whole:
                checked = await asyncio.to_thread(_with_senders, checked, folder, store)
            found = replace(found, index=checked)
        if blobs:
            reader = _Reader(store, bookmark, progress)
            with reader.beside(folder / "index" if index else None):
                read = await reader.all(rate_bytes_per_s)
            found = await asyncio.to_thread(_with_read, found, read, folder / "index", limits)
    finally:
        await asyncio.to_thread(store.close)
    return found


# --- blobs ------------------------------------------------------------------------------------------------------------


class _Reader:
    """Every blob read once: hashed, and its rows held against it."""

    def __init__(
        self,
        store: BlobStore,
        bookmark: Bookmark | None,
        progress: Callable[[BlobVerification], None] | None,
    ) -> None:
        self._store = store
        self._bookmark = bookmark
        self._progress = progress
        self._rows: RowCheck | None = None
        self._begun = self._now = bookmark.read() if bookmark else Reading()

    @contextmanager
    def beside(self, index: Path | None) -> Iterator[None]:
        """Hold rows of this index against the blobs; None: of none."""
        if index is None:
            yield
            return
        with RowCheck.opened(index, self._store.shelf) as self._rows:
            yield

    async def all(self, rate_bytes_per_s: int | None) -> Reading:
        """Read what comes after the bookmark."""
        try:
            await verify_blobs(
                self._store,
                set_aside=False,
                rate_bytes_per_s=rate_bytes_per_s,
                after=self._begun.blobs.last,
                progress=self._note,
            )
        except BaseException:  # Ctrl-C too
            if self._bookmark:
                self._bookmark.write(self._now)
            raise
        if self._bookmark:
            self._bookmark.remove()
        return self._now

    def _note(self, since: BlobVerification) -> None:
        limits = self._store.shelf.limits
        before = self._now
        self._now = replace(before, blobs=_together(self._begun.blobs, since, limits))
        is_sound = self._now.blobs.damaged == before.blobs.damaged
        if is_sound and self._rows is not None and not self._rows.agrees(since.last):
            named = (*self._now.differing_named, since.last)[: limits.blob_damaged_named]
            more = self._now.differing + 1
            self._now = replace(self._now, differing=more, differing_named=named)
        if self._bookmark:
            self._bookmark.note(self._now)
        if self._progress:
            self._progress(self._now.blobs)


def _with_read(found: Verified, read: Reading, index: Path, limits: Limits) -> Verified:
    """Return what was found with what the reading of blobs has found."""
    damaged = _named(index, read.blobs.damaged_named, limits)
    found = replace(found, blobs=read.blobs, damaged_named=damaged)
    if found.index is None:
        return found
    rows = _with_named(found.index, index, read.differing_named, limits)
    return replace(found, index=replace(rows, differing=read.differing))


def _together(
    before: BlobVerification, since: BlobVerification, limits: Limits
) -> BlobVerification:
    named = (*before.damaged_named, *since.damaged_named)[: limits.blob_damaged_named]
    return BlobVerification(
        blobs=before.blobs + since.blobs,
        bytes=before.bytes + since.bytes,
        damaged=before.damaged + since.damaged,
        damaged_named=named,
        last=since.last,
    )


def _named(file: Path, digests: Sequence[str], limits: Limits) -> tuple[Named, ...]:
    """Return which instances these are, as far as the index can say."""
    if not digests:
        return ()
    if not file.exists():
        return tuple(Named(digest=one) for one in digests)
    with beside.opened(file, limits) as connection:
        # A flipped bit may leave what is no text any more.
        connection.text_factory = lambda text: text.decode(errors="replace")
        return tuple(beside.named(connection, digests))


# --- the index --------------------------------------------------------------------------------------------------------


def _index(file: Path, store: BlobStore, limits: Limits) -> IndexVerification:
    with beside.opened(file, limits) as connection:
        found = IndexVerification(problems=tuple(problems(connection)))
        for page in beside.rows(connection, limits):
            found = replace(found, rows=found.rows + len(page))
            for row in page:
                entry = store.shelf.entry(row.digest)
                if entry is not None and row.size_bytes in (None, entry.size_bytes):
                    continue
                # Deleted and swept between the two looks.
                if entry is None and not referenced(connection, [row.digest]):
                    continue
                named = beside.named(connection, [row.digest])
                found = _with_wrong(found, entry, named, limits)
        with in_words("read", file):
            return replace(found, orphans=_orphans(connection, store, limits))


def _with_senders(found: IndexVerification, folder: Path, store: BlobStore) -> IndexVerification:
    file = folder / "index"
    with RowCheck.opened(file, store.shelf) as rows:
        wrong = rows.of_other_senders(folder / "journal")
    found = _with_named(found, file, wrong, store.shelf.limits)
    return replace(found, other_sender=len(wrong))


def _with_named(
    found: IndexVerification, file: Path, digests: Sequence[str], limits: Limits
) -> IndexVerification:
    most = limits.blob_damaged_named
    named = (*found.wrong_named, *_named(file, digests[:most], limits))[:most]
    return replace(found, wrong_named=named)


def _with_wrong(
    found: IndexVerification, entry: Entry | None, named: list[Named], limits: Limits
) -> IndexVerification:
    most = limits.blob_damaged_named
    return replace(
        found,
        missing=found.missing + (entry is None),
        other_size=found.other_size + (entry is not None),
        wrong_named=(*found.wrong_named, *named)[:most],
    )


def _orphans(connection: beside.Connection, store: BlobStore, limits: Limits) -> int:
    """Count the blobs that the index does not name and that are too old to be on their way into it."""
    count, step = 0, limits.blob_names_at_a_time
    for folder in FOLDERS:
        digests = store.shelf.digests(folder)
        for at in range(0, len(digests), step):
            batch = digests[at : at + step]
            known = referenced(connection, batch)
            young = time.time() - limits.blob_orphan_age_s
            for digest in batch:
                entry = None if digest in known else store.shelf.entry(digest)
                count += entry is not None and entry.modified_at < young
    return count
