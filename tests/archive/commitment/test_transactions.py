"""What waits for a report survives a restart, whole or not at all, and in bounds."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from commitment_peers import references
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.commitment.transactions import Transactions, Waiting
from doorward.errors import StorageError, StorageFull
from forgetful_disk import ForgetfulDisk, PowerCut
from loopback import limits

ONE = Waiting(
    transaction_uid="1.2.3",
    identity="ct1",
    how="certificate",
    calling_ae_title="CT1",
    peer="127.0.0.1",
    asked_at=1_767_000_000.5,
    count=2,
)
ASKED = tuple(references("1.1", "1.2"))


def opened(folder, **bounds):
    one = Transactions(folder, limits(**bounds))
    one.open()
    return one


def test_what_waits_is_there_after_a_restart(tmp_path):
    assert opened(tmp_path).add(ONE, ASKED)

    again = opened(tmp_path)
    [waiting] = again
    assert waiting == ONE
    assert again.references(waiting) == ASKED


def test_what_was_reported_is_gone_after_a_restart(tmp_path):
    one = opened(tmp_path)
    one.add(ONE, ASKED)
    one.remove(ONE)
    one.remove(ONE)

    assert list(opened(tmp_path)) == []
    assert os.listdir(tmp_path) == []


def test_the_same_request_again_is_the_same_file_and_its_end_is_not_that_of_the_later_one(tmp_path):
    one = opened(tmp_path, commitment_waiting=1)
    one.add(ONE, ASKED)
    later = replace(ONE, asked_at=ONE.asked_at + 1)
    assert one.add(later, ASKED[:1])
    one.remove(ONE)

    assert [one.has(ONE), one.has(later)] == [False, True]
    assert list(one) == [later]
    assert one.references(later) == ASKED[:1]


@pytest.mark.parametrize(
    ("bounds", "other"),
    [
        ({"commitment_waiting": 1}, replace(ONE, identity="ct2")),
        ({"commitment_waiting_each": 1}, replace(ONE, transaction_uid="1.2.4")),
    ],
)
def test_too_many_requests_are_not_taken(tmp_path, bounds, other):
    one = opened(tmp_path, **bounds)
    assert one.add(ONE, ASKED)
    assert not one.add(other, ASKED)

    one.remove(ONE)
    assert one.add(other, ASKED)


def test_one_device_does_not_take_the_room_of_another(tmp_path):
    one = opened(tmp_path, commitment_waiting_each=1)
    assert one.add(ONE, ASKED)
    assert one.add(replace(ONE, identity="ct2"), ASKED)


def test_two_devices_may_use_one_transaction_uid(tmp_path):
    one = opened(tmp_path)
    one.add(ONE, ASKED)
    one.add(replace(ONE, identity="ct2"), ASKED)
    assert len(list(one)) == 2


def test_a_file_that_was_not_finished_goes_and_one_that_nobody_understands_stays(tmp_path):
    one = opened(tmp_path)
    one.add(ONE, ASKED)
    [name] = os.listdir(tmp_path)
    (tmp_path / f"{name}.new").write_bytes(b"{")
    (tmp_path / "torn.json").write_bytes(b'{"transaction_uid"')
    (tmp_path / "moved.json").write_bytes((tmp_path / name).read_bytes())
    head = json.loads((tmp_path / name).read_bytes().split(b"\n")[0])
    for number, change in enumerate(({"asked_at": "x"}, {"identity": 1}, {"more": 1})):
        (tmp_path / f"{number}.json").write_text(json.dumps(head | change))

    assert list(opened(tmp_path)) == [ONE]
    assert not (tmp_path / f"{name}.new").exists()
    assert (tmp_path / "torn.json").exists()


@pytest.mark.parametrize("end", [b"", b"\n[[1", b"\n[[1, 2, 3]]", b"\n7"])
def test_a_list_that_cannot_be_read_is_a_storage_error(tmp_path, end):
    one = opened(tmp_path)
    one.add(ONE, ASKED)
    [name] = os.listdir(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().split(b"\n")[0] + end)

    with pytest.raises(StorageError) as raised:
        one.references(ONE)
    assert raised.value.kind == "damaged"


def test_nothing_is_taken_before_it_is_synced_file_and_folder(tmp_path):
    done = []

    class Watched(LocalDisk):
        def sync(self, handle):
            done.append("sync")

        def rename(self, old, new):
            done.append("rename")
            super().rename(old, new)

        def sync_folder(self, path):
            done.append("sync folder")

    one = Transactions(tmp_path, limits(), Watched())
    one.open()
    assert one.add(ONE, ASKED)
    assert done == ["sync folder", "sync", "rename", "sync folder"]


@pytest.mark.parametrize("cut_at", range(1, 16))
def test_what_was_taken_survives_a_power_cut_at_any_moment(cut_at):
    disk = ForgetfulDisk("/archive")
    disk.cut_at = cut_at
    other = replace(ONE, identity="ct2")
    taken = []
    try:
        one = Transactions(Path("/archive/commitments"), limits(), disk)
        one.open()
        assert one.add(ONE, ASKED)
        taken.append(ONE)
        assert one.add(other, ASKED)
        taken.append(other)
    except PowerCut:
        pass
    disk.cut_power(cut_at)

    again = Transactions(Path("/archive/commitments"), limits(), disk)
    again.open()
    found = list(again)
    assert set(taken) <= set(found) <= {ONE, other}
    assert all(again.references(waiting) == ASKED for waiting in found)


def test_a_full_disk_takes_nothing_and_the_next_try_begins_anew(tmp_path):
    class Full(LocalDisk):
        is_full = True

        def write(self, handle, content):
            if self.is_full:
                raise OSError(28, "full")
            super().write(handle, content)

    disk = Full()
    one = Transactions(tmp_path, limits(), disk)
    one.open()
    with pytest.raises(StorageFull):
        one.add(ONE, ASKED)
    assert list(one) == []

    disk.is_full = False
    assert one.add(ONE, ASKED)
    assert list(opened(tmp_path)) == [ONE]
