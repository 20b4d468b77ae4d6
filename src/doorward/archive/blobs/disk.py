"""What the store asks of a file system: one Protocol, and the real one.

The store reaches its files through ``Disk`` and nothing else, so that a test can put a file system there that forgets
whatever was not synced, or that is full at a drawn moment. All of it blocks; threads call it. Paths are whole paths.
"""

import errno
import fcntl
import os
import threading
from dataclasses import dataclass
from typing import Protocol

from doorward.limits import DEFAULT_LIMITS

Bytes = bytes | bytearray | memoryview

#: Never through a link: a folder that others can write to may hold one of theirs.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_LOCK = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
#: Writes of at least so much pass by the page cache; below, it costs less than the two changes of a flag.
_DIRECT_BYTES = 65_536
#: What devices want memory, place and length to be multiples of; none known to us wants more (open(2), O_DIRECT).
_PAGE_BYTES = 4_096
#: File systems that cannot preallocate say so in one of these words (posix_fallocate(3)).
_CANNOT_ALLOCATE = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_THREAD = threading.local()
_MOST_SCRATCH_BYTES = DEFAULT_LIMITS.blob_chunk_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a folder knows about one file: its size, and when it was written or touched (seconds since 1970)."""

    size_bytes: int
    modified_at: float


class Disk(Protocol):
    """A file system. Everything raises OSError where it fails."""

    def make_folder(self, path: str) -> None:
        """Make a folder that only we may enter; one that exists is left as it is."""

    def names(self, folder: str) -> list[str]:
        """Return what a folder holds, in order."""

    def entry(self, path: str) -> Entry | None:
        """Return size and time of a file, None where there is none."""

    def create(self, path: str) -> int:
        """Make a new file and open it for writing; one that exists is an error."""

    def allocate(self, handle: int, size_bytes: int) -> None:
        """Take the room for so many bytes now, where the file system can."""

    def write(self, handle: int, content: Bytes) -> None:
        """Write all of the content behind what was written before."""

    def truncate(self, handle: int, size_bytes: int) -> None:
        """Let a file end here."""

    def sync(self, handle: int) -> None:
        """Return when content and size of a file would survive a power cut."""

    def sync_folder(self, path: str) -> None:
        """Return when the names in a folder would survive a power cut."""

    def open(self, path: str) -> int:
        """Open a file for reading."""

    def size_of(self, handle: int) -> int:
        """Return the size of an open file in bytes."""

    def read(self, handle: int, length: int, offset: int) -> bytes:
        """Return up to so many bytes from there; none at the end."""

    def read_ready(self, handle: int, length: int, offset: int) -> bytes | None:
        """Return what is in memory anyway, None where that would wait for the device."""

    def read_ready_into(self, handle: int, room: memoryview, offset: int) -> int:
        """Read into ``room`` what is in memory anyway; return how many bytes, 0 where that would wait for the device."""

    def will_need(self, path: str) -> None:
        """Say that a file will be read soon; what is not there is passed over."""

    def close(self, handle: int) -> None:
        """Close a file."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, at once for everybody; what had that name is gone."""

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""

    def touch(self, path: str) -> None:
        """Let a file be as young as one that was written now."""

    def remove(self, path: str) -> None:
        """Take a name away."""

    def free_bytes(self, path: str) -> int:
        """Return how much room is left for us."""

    def lock(self, path: str) -> int | None:
        """Take the right to write; None where another process has it. It ends with ``close`` or the process."""


class LocalDisk:
    """The operating system's own file system."""

    def make_folder(self, path: str) -> None:
        """mkdir(2), mode 0700."""
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass

    def names(self, folder: str) -> list[str]:
        """readdir(3), sorted."""
        return sorted(os.listdir(folder))

    def entry(self, path: str) -> Entry | None:
        """lstat(2)."""
        try:
            found = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return Entry(size_bytes=found.st_size, modified_at=found.st_mtime)

    def create(self, path: str) -> int:
        """open(2) with O_EXCL, mode 0600."""
        return os.open(path, _NEW, 0o600)

    def allocate(self, handle: int, size_bytes: int) -> None:
        """posix_fallocate(3)."""
        try:
            os.posix_fallocate(handle, 0, size_bytes)
        except OSError as fault:
            if fault.errno not in _CANNOT_ALLOCATE:
                raise

    def write(self, handle: int, content: Bytes) -> None:
        """write(2) until all is written; whole pages past the page cache, where they lie so that this is possible.

        An image is written once and synced at once: a second copy of it in the kernel's memory costs as much time as all
        else about it, and takes that memory from what is read. What is left for the page cache is begun to be written at
        once: files that are synced one after the other then share one commit of the file system (ext4 finds a place for what
        it writes only then, and commits that).
        """
        with memoryview(content) as view:
            done = _write_directly(handle, view) if view.nbytes >= _DIRECT_BYTES else 0
            if done == view.nbytes:
                return
            while done < view.nbytes:
                done += os.write(handle, view[done:])
        _begin_writing_back(handle)

    def truncate(self, handle: int, size_bytes: int) -> None:
        """ftruncate(2)."""
        os.ftruncate(handle, size_bytes)

    def sync(self, handle: int) -> None:
        """fsync(2)."""
        os.fsync(handle)

    def sync_folder(self, path: str) -> None:
        """fsync(2) of the folder."""
        handle = os.open(path, _READ | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def open(self, path: str) -> int:
        """open(2), never through a link."""
        return os.open(path, _READ)

    def size_of(self, handle: int) -> int:
        """fstat(2)."""
        return os.fstat(handle).st_size

    def read(self, handle: int, length: int, offset: int) -> bytes:
        """pread(2)."""
        return os.pread(handle, length, offset)

    def read_ready(self, handle: int, length: int, offset: int) -> bytes | None:
        """preadv2(2) with RWF_NOWAIT."""
        # Into memory that is used again: fresh memory costs more than to copy it once more.
        found = _scratch(length)
        count = self.read_ready_into(handle, found, offset)
        return bytes(found[:count]) if count or not length else None

    def read_ready_into(self, handle: int, room: memoryview, offset: int) -> int:
        """preadv2(2) with RWF_NOWAIT."""
        try:
            return os.preadv(handle, [room], offset, os.RWF_NOWAIT)
        except OSError:
            return 0  # not in memory, or a file system that cannot tell (EAGAIN, EOPNOTSUPP)

    def will_need(self, path: str) -> None:
        """posix_fadvise(2): the system begins to read, and nobody waits for it."""
        try:
            handle = os.open(path, _READ)
        except OSError:
            return  # whoever opens it to read will be told
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(handle)

    def close(self, handle: int) -> None:
        """close(2)."""
        os.close(handle)

    def rename(self, old: str, new: str) -> None:
        """rename(2)."""
        os.rename(old, new)

    def link(self, old: str, new: str) -> None:
        """link(2)."""
        os.link(old, new, follow_symlinks=False)

    def touch(self, path: str) -> None:
        """utimensat(2), now."""
        os.utime(path, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """unlink(2)."""
        os.unlink(path)

    def free_bytes(self, path: str) -> int:
        """statvfs(3), as root is not: f_bavail."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def lock(self, path: str) -> int | None:
        """flock(2) on a file of its own."""
        handle = os.open(path, _LOCK, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle


def _scratch(length: int) -> memoryview:
    """Return memory of this thread to read into, until the next time."""
    if length > _MOST_SCRATCH_BYTES:
        return memoryview(bytearray(length))
    whole: memoryview | None = getattr(_THREAD, "scratch", None)
    if whole is None or len(whole) < length:
        whole = _THREAD.scratch = memoryview(bytearray(length))
    return whole[:length]


def _begin_writing_back(handle: int) -> None:
    """Linux starts to write what it need not keep (posix_fadvise(2), POSIX_FADV_DONTNEED), and waits for nothing."""
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        pass  # advice only: the sync does it


def _write_directly(handle: int, view: memoryview) -> int:
    """Write the whole pages of a view with O_DIRECT; return how many bytes, 0 where file system or memory forbid it."""
    whole = view.nbytes // _PAGE_BYTES * _PAGE_BYTES
    done = 0
    try:
        fcntl.fcntl(handle, fcntl.F_SETFL, os.O_DIRECT)
    except OSError:
        return 0  # such as a file system in memory
    try:
        while done < whole:
            done += os.write(handle, view[done:whole])
    except OSError as fault:
        if fault.errno != errno.EINVAL:
            raise
    finally:
        fcntl.fcntl(handle, fcntl.F_SETFL, 0)
    return done
