"""The real file system, asked as the store asks it."""

import errno
import fcntl
import mmap
import os

import pytest

from doorward.archive.blobs.disk import LocalDisk

DISK = LocalDisk()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file")


def written(path, content=b"0123456789"):
    handle = DISK.create(path)
    DISK.write(handle, content)
    DISK.sync(handle)
    DISK.close(handle)


def test_what_was_written_is_read_again_from_any_place(path):
    written(path, memoryview(b"0123456789"))
    handle = DISK.open(path)
    assert DISK.size_of(handle) == 10
    assert DISK.read(handle, 3, 4) == b"456"
    assert DISK.read(handle, 5, 10) == b""
    assert DISK.read_ready(handle, 3, 4) in (b"456", None)
    DISK.close(handle)


def test_files_and_folders_are_for_us_alone(tmp_path, path):
    written(path)
    DISK.make_folder(str(tmp_path / "folder"))
    DISK.make_folder(str(tmp_path / "folder"))
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "folder").st_mode & 0o777 == 0o700


def test_no_file_is_made_twice_and_none_through_a_link(tmp_path, path):
    written(path)
    with pytest.raises(FileExistsError):
        DISK.create(path)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        DISK.open(str(tmp_path / "link"))


def test_a_write_that_takes_only_a_part_is_gone_on_with(path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: real(handle, bytes(content[:3])))
    written(path)
    monkeypatch.undo()
    handle = DISK.open(path)
    assert DISK.read(handle, 20, 0) == b"0123456789"
    DISK.close(handle)


def test_room_is_taken_at_once_and_given_back(path):
    handle = DISK.create(path)
    DISK.allocate(handle, 100_000)
    assert DISK.size_of(handle) == 100_000
    DISK.truncate(handle, 10)
    assert DISK.size_of(handle) == 10
    DISK.close(handle)


@pytest.mark.parametrize(
    ("number", "is_ignored"), ((errno.EOPNOTSUPP, True), (errno.ENOSPC, False))
)
def test_a_file_system_that_cannot_preallocate_is_no_full_one(
    path, monkeypatch, number, is_ignored
):
    def fail(*_):
        raise OSError(number, "no")

    handle = DISK.create(path)
    monkeypatch.setattr(os, "posix_fallocate", fail)
    try:
        if is_ignored:
            DISK.allocate(handle, 10)
        else:
            with pytest.raises(OSError, match="no"):
                DISK.allocate(handle, 10)
    finally:
        DISK.close(handle)


def test_where_reading_would_wait_nothing_is_ready(path, monkeypatch):
    def fail(*_):
        raise BlockingIOError

    written(path)
    handle = DISK.open(path)
    monkeypatch.setattr(os, "preadv", fail)
    assert DISK.read_ready(handle, 3, 4) is None
    DISK.close(handle)


def test_names_are_moved_linked_touched_and_removed(tmp_path, path):
    written(path)
    other = str(tmp_path / "other")
    DISK.rename(path, other)
    DISK.link(other, path)
    assert DISK.names(str(tmp_path)) == ["file", "other"]
    os.utime(path, (1, 1))
    assert DISK.entry(path).modified_at == 1
    DISK.touch(path)
    assert DISK.entry(path).modified_at > 1_000_000
    DISK.remove(path)
    DISK.sync_folder(str(tmp_path))
    assert DISK.entry(path) is None
    assert DISK.entry(other).size_bytes == 10
    assert DISK.free_bytes(str(tmp_path)) > 0


def test_the_right_to_write_is_given_once(path):
    first = DISK.lock(path)
    assert DISK.lock(path) is None
    DISK.close(first)
    second = DISK.lock(path)
    assert second is not None
    DISK.close(second)


class Seen:
    """The system calls of a write: how each piece went out."""

    def __init__(self, monkeypatch, fault=0) -> None:
        self.pieces = []
        self._write, self._fault = os.write, fault
        monkeypatch.setattr(os, "write", self.write)

    def write(self, handle, piece):
        is_direct = bool(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT)
        if is_direct and self._fault:
            raise OSError(self._fault, "refused")
        done = self._write(handle, piece)
        self.pieces.append((is_direct, done))
        return done


def pages(size):
    """Return memory that begins at a page, filled."""
    memory = memoryview(mmap.mmap(-1, size))
    memory[:] = os.urandom(size)
    return memory


@pytest.mark.parametrize("size", (65_536, 65_537, 200_000, 1_048_576))
def test_whole_pages_pass_by_the_page_cache_and_the_rest_follows(path, size, monkeypatch):
    content = pages(size)
    seen = Seen(monkeypatch)
    written(path, content)
    with open(path, "rb") as file:
        assert file.read() == content
    if (True, size // 4_096 * 4_096) not in seen.pieces:
        pytest.skip("this file system has no direct writes")
    assert seen.pieces[1:] == ([(False, size % 4_096)] if size % 4_096 else [])


def test_memory_that_begins_anywhere_is_written_as_ever(path):
    content = pages(300_000)[1:]
    written(path, content)
    with open(path, "rb") as file:
        assert file.read() == content


def test_a_file_system_without_direct_writes_is_written_as_ever(path, monkeypatch):
    content = pages(100_000)
    seen = Seen(monkeypatch, fault=errno.EINVAL)
    written(path, content)
    assert seen.pieces == [(False, 100_000)]


def test_a_direct_write_without_room_says_so(path, monkeypatch):
    Seen(monkeypatch, fault=errno.ENOSPC)
    handle = DISK.create(path)
    with pytest.raises(OSError, match="refused"):
        DISK.write(handle, pages(100_000))
    assert not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT
    DISK.close(handle)
