"""Made anew, checked, copied. All of it blocks."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.index.entry import Entry, Outcome
from doorward.archive.index.filing import Filing
from doorward.archive.index.levels import MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY
from doorward.archive.index.store import in_words, open_writer, take_the_right
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

_MOST_PROBLEMS = 100
#: The texts of one tag by which a study is found, as a study lists them.
_LISTED = """(SELECT coalesce(group_concat(text, '\\'), '') FROM
        (SELECT text FROM study_texts WHERE study = s.number AND tag = {} ORDER BY text))"""
#: What is wrong -> how many rows are so.
_CHECKS = {
    "studies count other series than they have": """
        SELECT count(*) FROM studies s
        WHERE s.series <> (SELECT count(*) FROM series WHERE study = s.number)""",
    "studies count other instances than they have": """
        SELECT count(*) FROM studies s WHERE s.instances <>
        (SELECT coalesce(sum(e.instances), 0) FROM series e WHERE e.study = s.number)""",
    "series count other instances than they have": """
        SELECT count(*) FROM series e
        WHERE e.instances <> (SELECT count(*) FROM instances WHERE series = e.number)""",
    "studies or series hold nothing": """
        SELECT (SELECT count(*) FROM studies WHERE instances = 0)
        + (SELECT count(*) FROM series WHERE instances = 0)""",
    "patients have no study": """
        SELECT count(*) FROM patients p
        WHERE NOT EXISTS (SELECT 1 FROM studies WHERE patient = p.number)""",
    "studies list other modalities or classes than they are found by": f"""
        SELECT count(*) FROM studies s
        WHERE s.modalities <> {_LISTED.format(MODALITIES_IN_STUDY)}
        OR s.sop_classes <> {_LISTED.format(SOP_CLASSES_IN_STUDY)}""",  # noqa: S608 - tags of ours
    "beginnings of files belong to nothing that is held": """
        SELECT count(*) FROM heads h
        WHERE NOT EXISTS (SELECT 1 FROM instances WHERE digest = h.digest)
        AND NOT EXISTS (SELECT 1 FROM conflicts WHERE digest = h.digest)""",
}


def problems(connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with an index, in words; [] is good. Raises sqlite3.Error."""
    (first,), *more = connection.execute(f"PRAGMA integrity_check({_MOST_PROBLEMS})").fetchall()
    # SQLite's own words name pages and indexes, never what is in them.
    found = [] if first == "ok" and not more else [str(first), *(str(text) for (text,) in more)]
    strays = connection.execute("SELECT count(*) FROM pragma_foreign_key_check").fetchone()[0]
    if strays:
        found.append(f"{strays} rows belong to rows that are not there")
    for words, sql in _CHECKS.items():
        (count,) = connection.execute(sql).fetchone()
        if count:
            found.append(f"{count} {words}")
    return found


def copy_to(connection: sqlite3.Connection, file: Path) -> None:
    """Write a whole copy of this moment to a new file and make it durable; ConfigError where there is one."""
    if file.exists():
        raise ConfigError("is there already; nothing was written", file=file)
    with in_words("write", file):
        file.touch(mode=0o600)
        with closing(sqlite3.connect(file, isolation_level=None)) as copy:
            connection.backup(copy)
            # A copy is one file: nothing may lie beside it that a restore would forget.
            copy.execute("PRAGMA journal_mode = DELETE")
        _make_durable(file)


def rebuild(
    file: Path,
    entries: Iterable[Entry],
    *,
    heads: Iterable[tuple[str, str]] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> dict[Outcome, int]:
    """Make an index anew from all that is held, and put it in the place of the one that is there or was lost.

    It is written beside the old one, whole and checked before it takes its place; until then a crash changes nothing, and the
    old one is kept as ``FILE.before``. Give entries in the order in which they were received: the first one of a study says
    its attributes. ``heads``, taken after all entries: digests of instances and of the blobs with the beginnings of their
    files; those of instances that are not held are left out. Returns how many were new, the same again, and in conflict.
    Raises ConfigError where a process writes the old index, StorageError, and what ``Filing.file`` raises.
    """
    with in_words("open", file):
        right = take_the_right(file)
    try:
        made = file.with_name(f"{file.name}.new")
        with in_words("write", made):
            _remove(made)
        counts = _fill(made, entries, heads, limits)
        with in_words("write", file):
            _put_in_place(made, file)
    finally:
        os.close(right)
    return counts


def _fill(
    made: Path, entries: Iterable[Entry], heads: Iterable[tuple[str, str]], limits: Limits
) -> dict[Outcome, int]:
    counts = dict.fromkeys(Outcome, 0)
    with closing(open_writer(made, limits)) as connection, in_words("write", made):
        connection.execute("PRAGMA synchronous = OFF")  # made durable as a whole
        filing = Filing(connection, limits)
        for batch in _batches(entries, limits.index_batch):
            connection.execute("BEGIN IMMEDIATE")
            for written in filing.file(batch):
                counts[written.outcome] += 1
            connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        for digest, head in heads:
            filing.keep_head(digest, head)
        connection.execute("COMMIT")
        found = problems(connection)
        if found:
            raise ConfigError(f"could not be made anew: {found[0]}", file=made)
    with in_words("write", made):
        _make_durable(made)
    return counts


def _batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    left = iter(entries)
    while batch := list(islice(left, size)):
        yield batch


def _put_in_place(made: Path, file: Path) -> None:
    before = file.with_name(f"{file.name}.before")
    if file.exists():
        _remove(before)
        # The file first: without its log it would miss its last commits and not know it. A crash from here on leaves no
        # index, which nobody takes for a whole one.
        file.replace(before)
        log = file.with_name(f"{file.name}-wal")
        if log.exists():
            log.replace(f"{before}-wal")
    # A log that stayed would be taken for that of the new file.
    _remove(file)
    made.replace(file)
    LocalDisk().sync_folder(str(file.absolute().parent))


def _remove(file: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        file.with_name(f"{file.name}{ending}").unlink(missing_ok=True)


def _make_durable(file: Path) -> None:
    handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    LocalDisk().sync_folder(str(file.absolute().parent))
