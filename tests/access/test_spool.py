import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.spool import Spool
from doorward.errors import StorageError
from loopback import limits

SMALL = limits(spool_file_bytes=200, spool_bytes=2_000, syslog_message_bytes=500)


def message(number):
    return b"message %d " % number + b"x" * 40


def filled(folder, count, bounds=SMALL):
    spool = Spool(folder, limits=bounds)
    for number in range(count):
        assert spool.put(message(number))
    return spool


def numbers(spool, count=1_000):
    return [int(one.split()[1]) for one in spool.peek(count)]


def test_messages_come_out_in_order_and_stay_until_they_are_let_go(tmp_path):
    spool = filled(tmp_path, 20)
    assert numbers(spool, 3) == numbers(spool, 3) == [0, 1, 2]
    spool.advance(3)
    assert numbers(spool) == list(range(3, 20))
    spool.close()


def test_what_waits_is_there_after_a_restart(tmp_path):
    spool = filled(tmp_path, 20)
    spool.advance(7)
    spool.close()
    again = Spool(tmp_path, limits=SMALL)
    assert numbers(again) == list(range(7, 20))
    assert again.put(message(20))
    assert numbers(again)[-1] == 20
    again.close()


def test_a_full_spool_keeps_the_oldest_and_says_so(tmp_path):
    spool = Spool(tmp_path, limits=SMALL)
    kept = 0
    while spool.put(message(kept)):
        kept += 1
    assert (spool.is_full, spool.refused) == (True, 1)
    assert not spool.put(message(99))
    assert spool.refused == 2
    assert numbers(spool) == list(range(kept))
    assert spool.size_bytes <= 2_000
    assert sum(path.stat().st_size for path in tmp_path.glob("*.spool")) <= 2_000
    spool.advance(10)
    assert spool.put(message(kept))
    assert not spool.is_full
    spool.close()


def test_files_are_removed_when_all_of_them_was_taken(tmp_path):
    spool = filled(tmp_path, 20)
    assert len(list(tmp_path.glob("*.spool"))) > 3
    spool.advance(20)
    assert spool.size_bytes == 0
    assert [path.stat().st_size for path in tmp_path.glob("*.spool")] == [0]
    assert spool.peek(5) == []
    spool.close()


def test_a_message_longer_than_the_bound_is_refused(tmp_path):
    spool = Spool(tmp_path, limits=SMALL)
    assert not spool.put(b"x" * 501)
    assert spool.put(b"x" * 500)
    assert spool.put(b"")
    assert spool.peek(3) == [b"x" * 500, b""]
    spool.close()


@pytest.mark.parametrize("cut", (1, 4, 7, 8, 30))
def test_a_torn_end_is_cut_off(tmp_path, cut):
    filled(tmp_path, 2).close()
    path = max(tmp_path.glob("*.spool"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    spool = Spool(tmp_path, limits=SMALL)
    assert spool.put(message(2))
    assert numbers(spool) == [0, 1, 2]
    spool.close()


def test_a_damaged_file_loses_its_own_messages_only(tmp_path):
    filled(tmp_path, 12).close()
    first, *_ = sorted(tmp_path.glob("*.spool"))
    whole = bytearray(first.read_bytes())
    in_first = whole.count(b"message")
    whole[20] ^= 0xFF
    first.write_bytes(whole)
    spool = Spool(tmp_path, limits=SMALL)
    assert numbers(spool) == list(range(in_first, 12))
    spool.advance(1)
    assert numbers(spool) == list(range(in_first + 1, 12))
    spool.close()


def test_a_lost_position_sends_again_and_loses_nothing(tmp_path):
    spool = filled(tmp_path, 6)
    spool.advance(1)
    spool.close()
    (tmp_path / "position").write_text("noise")
    again = Spool(tmp_path, limits=SMALL)
    assert numbers(again) == list(range(6))
    again.close()


def test_a_position_beyond_its_file_loses_nothing_new(tmp_path):
    spool = filled(tmp_path, 2)
    spool.advance(1)
    spool.close()
    for path in tmp_path.glob("*.spool"):
        path.unlink()
    again = Spool(tmp_path, limits=SMALL)
    assert again.put(message(7))
    assert numbers(again) == [7]
    again.close()


def test_files_are_for_their_owner_alone(tmp_path):
    filled(tmp_path / "spool", 3).close()
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "spool").iterdir())


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        Spool(tmp_path / "file" / "spool")
    assert caught.value.operation == "open"


STEPS = st.lists(
    st.tuples(st.sampled_from(("put", "take", "reopen")), st.integers(1, 6)), max_size=30
)


@given(STEPS)
def test_a_spool_is_a_queue(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("queue")
    spool, expected, number = Spool(folder, limits=SMALL), [], 0
    for verb, count in steps:
        if verb == "reopen":
            spool.close()
            spool = Spool(folder, limits=SMALL)
        for _ in range(count if verb == "put" else 0):
            if spool.put(message(number)):
                expected.append(number)
            number += 1
        if verb == "take":
            spool.advance(count)
            expected = expected[count:]
        assert numbers(spool) == expected
    spool.close()
