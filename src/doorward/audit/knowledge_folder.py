"""The folder of one user in which newer knowledge is kept: read before an audit, written by ``doorward knowledge update``.

One file, replaced whole: an update that fails leaves what was there. Nothing is downloaded.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from doorward.audit.report.outputs import write_file
from doorward.errors import ConfigError
from doorward.knowledge.advisories import overlaid, shipped
from doorward.knowledge.updates import (
    Holdings,
    Update,
    UpdateReader,
    from_json,
    looks_like_json,
)
from doorward.limits import DEFAULT_LIMITS, Limits

FILE_NAME = "knowledge.json"
_PIECE_BYTES = 262_144
_START_BYTES = 64


def default_folder(environment: Mapping[str, str], home: Path) -> Path:
    """Return where one user keeps newer knowledge (XDG Base Directory Specification: a relative path is ignored)."""
    base = Path(environment.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():
        base = home / ".local" / "share"
    return base / "doorward" / "knowledge"


def load(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> Holdings:
    """Return what was taken; empty holdings where there is nothing yet.

    Raises ConfigError for a file that cannot be read or was changed by hand into something else.
    """
    file = folder / FILE_NAME
    try:
        with file.open("rb") as stream:
            content = stream.read(limits.knowledge_json_bytes + 1)
    except FileNotFoundError:
        return Holdings()
    except OSError as error:
        raise _unreadable(file, error) from None
    if len(content) > limits.knowledge_json_bytes:
        raise ConfigError(f"is longer than {limits.knowledge_json_bytes:,} bytes", file=file)
    try:
        return from_json(content, file)
    except ConfigError as error:
        error.hint = "Remove it and take the files again: the shipped tables do without it."
        raise


def take(
    folder: Path, files: Sequence[Path], *, taken: date, limits: Limits = DEFAULT_LIMITS
) -> tuple[Update, ...]:
    """Take files into the folder, all or none, and return what each brought.

    Advisories go first, so that scores are kept for their ids too. Raises ConfigError; then nothing was changed.
    """
    holdings = load(folder, limits=limits)
    updates = []
    for file in sorted(
        files, key=lambda f: not looks_like_json(next(_pieces(f, _START_BYTES), b""))
    ):
        update = read_update(file, holdings, taken=taken, limits=limits)
        holdings = holdings.with_update(update)
        updates.append(update)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be made ({reason})", file=folder) from None
    write_file(folder / FILE_NAME, holdings.to_json())
    return tuple(updates)


def read_update(
    file: Path, holdings: Holdings, *, taken: date, limits: Limits = DEFAULT_LIMITS
) -> Update:
    """Return what one file holds; scores are kept for the ids of the tables and of the holdings. Raises ConfigError."""
    known = (i for row in overlaid(shipped(), holdings.advisories) for i in row.ids)
    reader = UpdateReader(file, wanted=known, limits=limits)
    for piece in _pieces(file, _PIECE_BYTES):
        reader.receive(piece)
    return reader.finish(taken=taken)


def _pieces(file: Path, size: int) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while piece := stream.read(size):
                yield piece
    except OSError as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot be read ({error.strerror or type(error).__name__})", file=file)
