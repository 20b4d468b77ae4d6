"""What a file system refuses says at what, how, and what to do."""

import errno
from pathlib import Path

import pytest

from doorward.archive.blobs.faults import damaged, full, mapped
from doorward.errors import StorageError, StorageFull


@pytest.mark.parametrize(
    ("number", "kind"),
    (
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "permission"),
        (errno.EPERM, "permission"),
        (errno.ENOENT, "missing"),
        (errno.EIO, "failed"),
        (errno.ENOTDIR, "failed"),
    ),
)
def test_kind_follows_the_number_of_the_error(number, kind):
    with pytest.raises(StorageError) as caught, mapped("write", "/store/x"):
        raise OSError(number, "words of the system")
    assert caught.value.kind == kind
    assert (caught.value.operation, caught.value.path) == ("write", Path("/store/x"))
    assert str(caught.value).startswith("cannot write /store/x: ")
    assert isinstance(caught.value, StorageFull) == (kind == "full")
    assert caught.value.hint or kind == "failed"


def test_an_error_without_a_number_is_a_failure():
    with pytest.raises(StorageError, match="input/output error") as caught, mapped("read", "x"):
        raise OSError
    assert caught.value.kind == "failed"


def test_a_full_disk_and_a_damaged_blob_say_what_to_do():
    assert "room" in (full("write", "x").hint or "")
    assert damaged("x").kind == "damaged"
    assert "backup" in (damaged("x").hint or "")
