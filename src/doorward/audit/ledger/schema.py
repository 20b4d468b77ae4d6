"""The tables of a ledger, and the way from each version to the next.

Theory of operation: ``MIGRATIONS[n]`` leads from version n to n + 1; the file says its version itself (PRAGMA user_version)
and that it is a ledger (PRAGMA application_id). Each step is one transaction: a file is always of one version or the next.
A step that was ever released is never changed. Free text of strangers has no column: what was seen is stored as
``audit.codec`` writes it, which knows no patient.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

from doorward.errors import ConfigError

#: "DwLg": tells a ledger from every other SQLite file (bytes 68 to 71 of the file).
APPLICATION_ID = 0x44774C67

#: The SQL statements of one step.
Migration = tuple[str, ...]

_FIRST: Migration = (
    """
    CREATE TABLE scans (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
        state TEXT NOT NULL CHECK (state IN ('running', 'interrupted', 'finished')),
        started_at TEXT NOT NULL, -- ISO 8601, UTC, to the second
        ended_at TEXT,
        plan TEXT NOT NULL, -- ScanPlan
        targets INTEGER, -- NULL until every system is written down
        coverage TEXT -- Coverage, from when the answers were pruned
    )
    """,
    """
    CREATE TABLE systems (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- a late answer of a sensor must not meet another system
        scan INTEGER NOT NULL REFERENCES scans ON DELETE CASCADE,
        address TEXT NOT NULL,
        target TEXT NOT NULL, -- Target
        unknown TEXT NOT NULL, -- why its name could not be resolved
        clearance_level INTEGER, -- at which it was asked
        is_done INTEGER NOT NULL DEFAULT 0 CHECK (is_done IN (0, 1)),
        UNIQUE (scan, address)
    )
    """,
    "CREATE INDEX systems_waiting ON systems (scan, number) WHERE is_done = 0",
    """
    CREATE TABLE answers (
        number INTEGER PRIMARY KEY, -- in the order of asking
        system INTEGER NOT NULL REFERENCES systems ON DELETE CASCADE,
        port INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        connections INTEGER NOT NULL,
        attempt TEXT NOT NULL -- Attempt
    )
    """,
    # Holds all that coverage adds up, so that the long texts are not read for it.
    "CREATE INDEX answers_of_system ON answers (system, port, outcome, connections)",
    """
    CREATE TABLE verdicts (
        system INTEGER PRIMARY KEY REFERENCES systems ON DELETE CASCADE,
        scan INTEGER NOT NULL,
        rank INTEGER NOT NULL, -- the score; 101 where there is none; 1000 more for a honeypot
        fewer_studies INTEGER NOT NULL, -- minus the studies that lie open
        address_order BLOB NOT NULL, -- version and bytes of the address
        address TEXT NOT NULL,
        name TEXT NOT NULL,
        grade TEXT NOT NULL,
        score INTEGER,
        worst_severity INTEGER,
        rungs TEXT NOT NULL, -- "E1 E2 T"
        ports_asked TEXT NOT NULL, -- "104 11112"
        ports_unprotected TEXT NOT NULL,
        ports_shut TEXT NOT NULL,
        ports_silent TEXT NOT NULL,
        product TEXT NOT NULL,
        site TEXT NOT NULL,
        owner TEXT NOT NULL,
        contact TEXT NOT NULL,
        country TEXT NOT NULL,
        network_operator TEXT NOT NULL,
        is_unprotected INTEGER NOT NULL,
        is_downloadable INTEGER NOT NULL,
        is_writable INTEGER NOT NULL,
        is_suspected INTEGER NOT NULL,
        is_tested INTEGER NOT NULL,
        is_silent INTEGER NOT NULL,
        patients INTEGER,
        patients_exactness TEXT NOT NULL,
        patients_method TEXT NOT NULL,
        studies INTEGER,
        studies_exactness TEXT NOT NULL,
        studies_method TEXT NOT NULL,
        images INTEGER,
        images_exactness TEXT NOT NULL,
        images_method TEXT NOT NULL,
        images_downloadable INTEGER,
        images_downloadable_exactness TEXT NOT NULL,
        images_downloadable_method TEXT NOT NULL
    )
    """,
    "CREATE INDEX verdicts_worst_first ON verdicts (scan, rank, fewer_studies, address_order)",
    # Apart from the verdicts, so that a sum does not leaf through them.
    """
    CREATE TABLE documents (
        system INTEGER PRIMARY KEY REFERENCES systems ON DELETE CASCADE,
        document BLOB NOT NULL -- JSON of the judged system, zlib
    )
    """,
)
MIGRATIONS: tuple[Migration, ...] = (_FIRST,)

_SQLITE = b"SQLite format 3\x00"


def require_ledger(file: Path) -> None:
    """Raise ConfigError where a file is something else; the first 100 bytes are read and nothing is changed.

    A file that is empty or not there may become a ledger. The fields are those of the SQLite file format, section 1.3.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(100)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be read ({reason})", file=file) from None
    if head and (head[:16] != _SQLITE or int.from_bytes(head[68:72], "big") != APPLICATION_ID):
        hint = "Give the name of a ledger, or of a file that does not exist yet."
        raise ConfigError("is no ledger of Doorward; it was left alone", file=file, hint=hint)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of an open file; 0 for one without tables."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def require_known(
    connection: sqlite3.Connection, file: Path, migrations: Sequence[Migration] = MIGRATIONS
) -> bool:
    """Tell whether the file is of the newest version; raise ConfigError where it is newer than this program."""
    version = version_of(connection)
    if not 0 <= version <= len(migrations):
        message = f"is of version {version}; this Doorward knows ledgers up to {len(migrations)}"
        hint = "Update Doorward, or write to another ledger."
        raise ConfigError(message, file=file, hint=hint)
    if version and _tables(connection) != _tables_of(migrations[:version]):
        message = "has other tables than a ledger: Doorward did not make it, or somebody changed it"
        raise ConfigError(message, file=file, hint="Nothing in it was carried out.")
    return version == len(migrations)


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """Return kind, name and SQL of everything in a file: a view or a trigger would be carried out by whoever reads it."""
    found = connection.execute(
        # What ANALYZE and AUTOINCREMENT keep, and the indexes of UNIQUE, have no word of anybody's.
        "SELECT type, name, coalesce(sql, '') FROM sqlite_master"
        " WHERE NOT (type IN ('table', 'index') AND name LIKE 'sqlite\\_%' ESCAPE '\\') LIMIT 100"
    )
    return {(kind, name, " ".join(str(sql).split())) for kind, name, sql in found}


def _tables_of(migrations: Sequence[Migration]) -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in chain(*migrations):
            connection.execute(statement)
        return _tables(connection)


def migrate(
    connection: sqlite3.Connection, file: Path, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """Bring an open file to the newest version, step by step; raises like ``require_known``, and sqlite3.Error."""
    require_known(connection, file, migrations)
    while (version := version_of(connection)) < len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migrations[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
