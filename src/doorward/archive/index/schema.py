"""The tables of an index, and the way from each version to the next.

``MIGRATIONS[n]`` leads from version n to n + 1; the file says its version itself (PRAGMA user_version) and that it is an
index (PRAGMA application_id). Each step is one transaction. A step that was ever released is never changed.

The tables of texts are found by text, their second index by owner: the one starts a search, the other checks what another
key has found. Numbers are never used twice (AUTOINCREMENT): a search that goes on for minutes meets no stranger.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from doorward.errors import ConfigError

#: "DwIx": tells an index from every other SQLite file.
APPLICATION_ID = 0x44774978

#: The SQL statements of one step.
Migration = tuple[str, ...]

_FIRST: Migration = (
    """
    CREATE TABLE patients (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        patient_id TEXT NOT NULL,
        issuer TEXT NOT NULL,
        study_uid TEXT NOT NULL, -- "" where the Patient ID is known
        UNIQUE (patient_id, issuer, study_uid)
    )
    """,
    """
    CREATE TABLE studies (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        patient INTEGER NOT NULL REFERENCES patients,
        uid TEXT NOT NULL,
        series INTEGER NOT NULL DEFAULT 0,
        instances INTEGER NOT NULL DEFAULT 0,
        study_day TEXT NOT NULL, -- YYYYMMDD, "" where not known
        site TEXT NOT NULL,
        department TEXT NOT NULL,
        referring_physician TEXT NOT NULL,
        modalities TEXT NOT NULL DEFAULT '', -- in order, parted by backslashes
        sop_classes TEXT NOT NULL DEFAULT '',
        view TEXT NOT NULL,
        UNIQUE (uid, patient)
    )
    """,
    "CREATE INDEX studies_of_patient ON studies (patient)",
    "CREATE INDEX studies_newest ON studies (study_day)",
    """
    CREATE TABLE study_texts (
        tag INTEGER NOT NULL,
        text TEXT NOT NULL,
        study INTEGER NOT NULL REFERENCES studies,
        PRIMARY KEY (tag, text, study)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX study_texts_of ON study_texts (study, tag, text)",
    """
    CREATE TABLE study_labels (
        study INTEGER NOT NULL REFERENCES studies,
        label TEXT NOT NULL,
        PRIMARY KEY (study, label)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE series (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        study INTEGER NOT NULL REFERENCES studies,
        uid TEXT NOT NULL,
        instances INTEGER NOT NULL DEFAULT 0,
        modality TEXT NOT NULL,
        view TEXT NOT NULL,
        UNIQUE (uid, study)
    )
    """,
    "CREATE INDEX series_of_study ON series (study)",
    """
    CREATE TABLE series_texts (
        tag INTEGER NOT NULL,
        text TEXT NOT NULL,
        series INTEGER NOT NULL REFERENCES series,
        PRIMARY KEY (tag, text, series)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX series_texts_of ON series_texts (series, tag, text)",
    """
    CREATE TABLE instances (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        series INTEGER NOT NULL REFERENCES series,
        uid TEXT NOT NULL UNIQUE,
        sop_class TEXT NOT NULL,
        transfer_syntax TEXT NOT NULL,
        digest BLOB NOT NULL, -- 32 bytes
        size_bytes INTEGER NOT NULL,
        received_at INTEGER NOT NULL, -- milliseconds since 1970
        source TEXT NOT NULL,
        view TEXT NOT NULL,
        frames BLOB -- offset and length of each, 64 bits
    )
    """,
    "CREATE INDEX instances_of_series ON instances (series)",
    "CREATE INDEX instances_by_digest ON instances (digest)",
    """
    CREATE TABLE conflicts (
        uid TEXT NOT NULL,
        digest BLOB NOT NULL,
        patient_id TEXT NOT NULL,
        issuer TEXT NOT NULL,
        study_uid TEXT NOT NULL,
        series_uid TEXT NOT NULL,
        sop_class TEXT NOT NULL,
        transfer_syntax TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        source TEXT NOT NULL,
        PRIMARY KEY (uid, digest)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX conflicts_by_digest ON conflicts (digest)",
)
#: How the files of instances began, where that is not how ours begin (``archive.originals``).
_HEADS: Migration = (
    """
    CREATE TABLE heads (
        digest BLOB NOT NULL, -- of the instance
        head BLOB NOT NULL, -- digest of the blob with the beginning of its file
        PRIMARY KEY (digest, head)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX heads_by_head ON heads (head)",
)
#: A second copy of what no blob says, held against the first by SQLite's own check: so a flipped bit is found. Over
#: expressions, and only where they are something, as they always are: no search says so, and therefore none is planned by it.
_COPIES: Migration = (
    """
    CREATE INDEX studies_copied ON studies (site || char(0) || department)
    WHERE site || department IS NOT NULL
    """,
    """
    CREATE INDEX study_labels_copied ON study_labels (label || '', study)
    WHERE label || '' IS NOT NULL
    """,
)
MIGRATIONS: tuple[Migration, ...] = (_FIRST, _HEADS, _COPIES)

_SQLITE = b"SQLite format 3\x00"


def require_database(file: Path) -> None:
    """Raise ConfigError where a file is no database of SQLite; an empty one may become an index.

    Its first bytes are those of the SQLite file format, section 1.3; OSError where they cannot be read.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(len(_SQLITE))
    except FileNotFoundError:
        return
    if head not in (b"", _SQLITE):
        raise _no_index(file)


def _no_index(file: Path) -> ConfigError:
    hint = "Move it away; 'reindex' makes a new index from the blobs."
    return ConfigError("is no index of Doorward; it was left alone", file=file, hint=hint)


def _require_index(connection: sqlite3.Connection, file: Path) -> None:
    """Raise ConfigError for a database of somebody else; asked of SQLite, as the answer may still be in the log."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != APPLICATION_ID and (application_id or tables):
        raise _no_index(file)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of an open file; 0 for one without tables."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(
    connection: sqlite3.Connection, file: Path, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """Bring an open file to the newest version, step by step.

    Raises ConfigError where it is somebody else's or newer than this program, and sqlite3.Error.
    """
    _require_index(connection, file)
    if not 0 <= version_of(connection) <= len(migrations):
        message = (
            f"is of version {version_of(connection)}; this Doorward knows indexes up to"
            f" {len(migrations)}"
        )
        hint = "Update Doorward. Nothing was changed."
        raise ConfigError(message, file=file, hint=hint)
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
