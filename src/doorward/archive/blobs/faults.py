"""What a file system refuses, as our own exceptions with what to do next. Mapped here and nowhere else."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doorward.errors import StorageError, StorageFull

#: errno -> kind, words, hint.
_WORDS: dict[int, tuple[str, str, str]] = {
    errno.EROFS: (
        "read_only",
        "the file system is read-only",
        "Linux turns a file system read-only when its device fails: look at the kernel's log, then mount it again.",
    ),
    errno.EACCES: (
        "permission",
        "permission is missing",
        "The archive's folder and all in it must belong to the user that the archive runs as.",
    ),
    errno.ENOENT: ("missing", "it is not there", "Restore it from a backup."),
}
_WORDS[errno.EPERM] = _WORDS[errno.EACCES]
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MAKE_ROOM = (
    "Make room on this disk; nothing that was acknowledged is lost, and senders will try again."
)


@contextmanager
def mapped(operation: str, path: str) -> Iterator[None]:
    """Turn an OSError of one operation into a StorageError; ``operation`` is a verb: "write", "sync"."""
    try:
        yield
    except OSError as fault:
        raise storage_error(operation, path, fault) from fault


def storage_error(operation: str, path: str, fault: OSError) -> StorageError:
    """Return an OSError as one of ours, ``kind`` and hint from its number."""
    if fault.errno in _FULL:
        return full(operation, path)
    unknown = ("failed", fault.strerror or "input/output error", None)
    kind, words, hint = _WORDS.get(fault.errno or 0, unknown)
    message = f"cannot {operation} {path}: {words}"
    return StorageError(message, operation=operation, path=Path(path), kind=kind, hint=hint)


def full(operation: str, path: str) -> StorageFull:
    """Return the error for a disk, or a share of one, on which no room is left."""
    message = f"cannot {operation} {path}: no room is left"
    return StorageFull(message, operation=operation, path=Path(path), kind="full", hint=_MAKE_ROOM)


def damaged(path: str) -> StorageError:
    """Return the error for a blob whose content is not what its name says."""
    message = f"{path} is damaged: its content is not what its name says"
    hint = "Restore it from a backup, or have it sent again: the same instance takes its place."
    return StorageError(message, operation="read", path=Path(path), kind="damaged", hint=hint)
