"""One file on its way in, by the thread that writes it."""

import threading

import pytest

from blob_stores import content, digest_of, files_in, opened
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.blobs.part import Part
from doorward.errors import LocalProtocolError


def test_a_part_grows_and_gets_the_name_of_all_of_it(tmp_path):
    with opened(tmp_path) as store:
        part = Part(store.shelf)
        part.append(b"ab")
        part.append(b"cd")
        blob = part.finish(b"ef")
        part.abandon()
    assert (blob.digest, blob.size_bytes, blob.is_new) == (digest_of(b"abcdef"), 6, True)
    assert [path.read_bytes() for path in files_in(tmp_path)] == [b"abcdef"]


@pytest.mark.parametrize("expected", (3, 5_000, 9_000))
def test_announced_room_is_cut_to_what_came(tmp_path, expected):
    with opened(tmp_path) as store:
        part = Part(store.shelf, expected)
        part.append(content(1, 2_000))
        [growing] = files_in(tmp_path)
        assert growing.stat().st_size == max(expected, 2_000)
        blob = part.finish(content(2, 3_000))
        part.abandon()
    assert blob.size_bytes == 5_000
    assert files_in(tmp_path)[0].read_bytes() == content(1, 2_000) + content(2, 3_000)


def test_after_its_end_nothing_can_be_added(tmp_path):
    with opened(tmp_path) as store:
        finished, abandoned = Part(store.shelf), Part(store.shelf)
        finished.finish(b"x")
        abandoned.append(b"y")
        abandoned.abandon()
        for part in (finished, abandoned):
            with pytest.raises(LocalProtocolError):
                part.append(b"z")
            with pytest.raises(LocalProtocolError):
                part.finish(b"z")
            part.abandon()
    assert len(files_in(tmp_path)) == 1


def test_content_under_a_wrong_name_is_refused(tmp_path):
    with opened(tmp_path) as store:
        part = Part(store.shelf)
        part.append(b"abc")
        assert not part.finish_as(digest_of(b"abx"))
        part.abandon()
        assert files_in(tmp_path) == []
        again = Part(store.shelf)
        again.append(b"abc")
        assert again.finish_as(digest_of(b"abc"))
        again.abandon()
        assert store.has(digest_of(b"abc"))


def test_abandoning_waits_for_a_thread_that_still_writes(tmp_path):
    class Slow(LocalDisk):
        def __init__(self):
            self.has_begun, self.may_go_on = threading.Event(), threading.Event()

        def write(self, handle, content):
            self.has_begun.set()
            assert self.may_go_on.wait(10)
            super().write(handle, content)

    with opened(tmp_path):
        pass
    disk = Slow()
    with opened(tmp_path, disk=disk) as store:
        part = Part(store.shelf)
        appending = threading.Thread(target=part.append, args=(b"abc",))
        appending.start()
        assert disk.has_begun.wait(10)
        abandoning = threading.Thread(target=part.abandon)
        abandoning.start()
        assert len(files_in(tmp_path)) == 1
        disk.may_go_on.set()
        appending.join()
        abandoning.join()
    assert files_in(tmp_path) == []
