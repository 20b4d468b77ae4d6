"""Where secrets lie on disk: one folder for the owner alone, files that nobody else can read, written whole or not at all.

Theory of operation: a ``Vault`` is a folder of mode 0700 with files of mode 0600, all of the user that runs us. Each time
something is read, the folder and the file are looked at again, by descriptor, so that what was checked is what is read: a
symbolic link, a file of somebody else, one with a second name, or one that others can read is refused with the command that
puts it right. A key that others could read must be taken as known to them; so nothing is repaired silently.

A file is replaced by renaming a synced one over it: after a power cut there is the old content or the new one. Writers take
turns by a lock on the folder (flock(2)), in this process and in others; readers never wait.

Not done: encryption. Whoever may read the folder as its owner, or as root, may read what is in it.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from doorward.errors import ConfigError, StorageError, StorageFull
from doorward.limits import DEFAULT_LIMITS, Limits

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_OTHERS = 0o077
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}", re.ASCII)
#: What is being written; a name that no secret can have.
_UNFINISHED = ".unfinished"
_CHUNK_BYTES = 65_536


class Vault:
    """An existing folder of secrets. Raises ConfigError where others can read or change it."""

    def __init__(self, folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.folder = folder
        self._limits = limits
        with self._opened():
            pass

    @classmethod
    def create(cls, folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> "Vault":
        """Make the folder, whose parent must exist, and return it.

        Raises ConfigError where something of that name is there already, StorageError where the disk refuses.
        """
        try:
            folder.mkdir(mode=_FOLDER_MODE)
        except FileExistsError:
            hint = "Choose a name that is not taken; nothing is ever put beside what is there."
            raise ConfigError("is there already", file=folder, hint=hint) from None
        except OSError as fault:
            _refused("write", folder, fault)
        folder.chmod(_FOLDER_MODE)  # whatever the umask took away
        return cls(folder, limits=limits)

    def __repr__(self) -> str:
        return f"Vault({str(self.folder)!r})"

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.names()

    def names(self) -> tuple[str, ...]:
        """Return the names of all secrets, sorted."""
        with self._opened() as folder:
            return tuple(sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name)))

    def read(self, name: str) -> bytes:
        """Return a secret. Raises ConfigError where it is missing, or others can read or change it."""
        with self._opened() as folder:
            content = self._read(folder, name)
        if content is None:
            hint = "Restore it from a backup."
            raise ConfigError("is missing", file=self.folder / name, hint=hint)
        return content

    def path(self, name: str) -> Path:
        """Return where a secret lies, for libraries that read files themselves; it was looked at just now."""
        self.read(name)
        return self.folder / name

    def check(self) -> None:
        """Look at every secret, as must be done before anybody is served. Raises ConfigError at the first fault."""
        for name in self.names():
            self.read(name)

    def add(self, name: str, content: bytes) -> None:
        """Write a new secret. Raises ConfigError where the name is taken, StorageError where the disk refuses."""

        def new(present: bytes | None) -> bytes:
            if present is not None:
                raise ConfigError("is there already", file=self.folder / name)
            return content

        self.update(name, new)

    def write(self, name: str, content: bytes) -> None:
        """Write a secret, in place of the one of that name if there is one. Raises StorageError."""
        self.update(name, lambda _: content)

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Replace a secret by what ``change`` makes of it (None: there is none yet), and return that.

        Nobody else writes meanwhile, so ``change`` must not write into this vault itself. What it raises leaves all as it
        was. Raises ConfigError like ``read``, StorageError where the disk refuses.
        """
        with self._opened() as folder, _locked(folder):
            content = change(self._read(folder, name))
            self._require_size(name, len(content))
            try:
                _replace(folder, name, content)
            except OSError as fault:
                _refused("write", self.folder / name, fault)
        return content

    def remove(self, name: str) -> None:
        """Take a secret away; its blocks on the disk are not overwritten. Raises ConfigError where it is missing."""
        with self._opened() as folder, _locked(folder):
            self._require_name(name)
            try:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
            except FileNotFoundError:
                raise ConfigError("is missing", file=self.folder / name) from None
            except OSError as fault:
                _refused("write", self.folder / name, fault)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as fault:
            _not_ours(self.folder, fault)
        try:
            _require_private(self.folder, os.fstat(folder), _FOLDER_MODE)
            yield folder
        finally:
            os.close(folder)

    def _read(self, folder: int, name: str) -> bytes | None:
        self._require_name(name)
        path = self.folder / name
        # Without O_NONBLOCK a named pipe would keep us waiting for its writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = os.open(name, flags, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as fault:
            _not_ours(path, fault)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError("is no file", file=path)
            _require_private(path, status, _FILE_MODE)
            if status.st_nlink > 1:  # none: it was replaced since it was opened, and is whole
                hint = "Find it: find / -xdev -samefile FILE. Then replace the secret: it may be known."
                raise ConfigError("has a second name elsewhere", file=path, hint=hint)
            self._require_size(name, status.st_size)
            with os.fdopen(file, "rb", closefd=False) as stream:
                return stream.read(self._limits.secret_bytes)
        except OSError as fault:
            _refused("read", path, fault)
        finally:
            os.close(file)

    def _require_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            hint = "Lower-case letters, digits, '.', '_' and '-'; a letter or digit first."
            raise ConfigError("is no name of a secret", file=self.folder, hint=hint)

    def _require_size(self, name: str, size_bytes: int) -> None:
        if size_bytes > self._limits.secret_bytes:
            message = f"is longer than {self._limits.secret_bytes:,} bytes"
            raise ConfigError(message, file=self.folder / name)


def _require_private(path: Path, status: os.stat_result, mode: int) -> None:
    """Refuse what others own, read or write. Who reads keys that others may read trusts them all."""
    if status.st_uid != os.geteuid():
        hint = f"Run as its owner, or: chown {os.geteuid()} '{path}'"
        raise ConfigError("belongs to another user", file=path, hint=hint)
    if status.st_mode & _OTHERS:
        message = f"can be read or changed by others (mode {stat.S_IMODE(status.st_mode):04o})"
        hint = f"chmod {mode:o} '{path}'; and replace what is in it, if others use this machine."
        raise ConfigError(message, file=path, hint=hint)


@contextmanager
def _locked(folder: int) -> Iterator[None]:
    """Wait for one's turn to write; the lock ends with the descriptor, so a killed writer holds up nobody."""
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def _replace(folder: int, name: str, content: bytes) -> None:
    """Put a synced file in place; the caller holds the lock, so what is unfinished is left over from a crash."""
    _unlink(folder, _UNFINISHED)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    file = os.open(_UNFINISHED, flags, _FILE_MODE, dir_fd=folder)
    try:
        with os.fdopen(file, "wb", buffering=_CHUNK_BYTES) as stream:
            os.fchmod(file, _FILE_MODE)  # whatever the umask took away
            stream.write(content)
            stream.flush()
            os.fsync(file)
        os.rename(_UNFINISHED, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        _unlink(folder, _UNFINISHED)
        raise
    os.fsync(folder)


def _unlink(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass


def _not_ours(path: Path, fault: OSError) -> NoReturn:
    """Say why a folder or a file cannot be opened at all."""
    if fault.errno in (errno.ELOOP, errno.EMLINK) or path.is_symlink():
        hint = "Put the folder or file itself there; a link may be bent by others."
        raise ConfigError("is a symbolic link", file=path, hint=hint) from None
    if fault.errno == errno.ENOENT:
        raise ConfigError("is missing", file=path, hint="Restore it from a backup.") from None
    if fault.errno == errno.ENOTDIR:
        raise ConfigError("is no folder", file=path) from None
    if fault.errno in (errno.EACCES, errno.EPERM):
        hint = "Run as the user that it belongs to."
        raise ConfigError("cannot be opened by this user", file=path, hint=hint) from None
    _refused("read", path, fault)


def _refused(operation: str, path: Path, fault: OSError) -> NoReturn:
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        message = f"cannot {operation} {path}: no room is left"
        hint = "Make room on this disk; what was there before is untouched."
        raise StorageFull(
            message, operation=operation, path=path, kind="full", hint=hint
        ) from fault
    kinds = {
        errno.EROFS: "read_only",
        errno.EACCES: "permission",
        errno.EPERM: "permission",
        errno.ENOENT: "missing",
    }
    raise StorageError(
        f"cannot {operation} {path}: {fault.strerror}",
        operation=operation,
        path=path,
        kind=kinds.get(fault.errno or 0, "failed"),
    ) from fault
