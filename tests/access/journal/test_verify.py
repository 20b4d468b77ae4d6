import asyncio
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.journal.journal import Journal
from doorward.access.journal.record import EMPTY, Head, make_record
from doorward.access.journal.segments import segment_paths
from doorward.access.journal.verify import Break, verify
from journals import NOON, stored, written
from loopback import limits

RECORDS = 12


@pytest.fixture
def folder(tmp_path):
    written(tmp_path, [stored(number) for number in range(RECORDS)])
    return tmp_path


def lines_of(folder):
    (path,) = segment_paths(folder)
    return path.read_bytes().splitlines(keepends=True)


def put(folder, lines):
    (path,) = segment_paths(folder)
    path.write_bytes(b"".join(lines))


def broken(folder, **how):
    found = verify(folder, **how).broken
    assert found is not None
    return found.what, found.sequence


def forged(lines, sequence, number):
    """A record that fits after the one before it, and says something else."""
    previous = lines[sequence - 1][:64].decode() if sequence > 1 else EMPTY.digest
    return make_record(stored(number), Head(sequence - 1, previous), NOON)[1]


def test_a_journal_that_nobody_touched_is_whole(folder):
    found = verify(folder)
    assert found.is_whole
    assert found.is_anchored
    assert (found.head.sequence, found.segments, found.unfinished_bytes) == (RECORDS, 1, 0)


def test_an_empty_folder_is_whole_and_not_anchored(tmp_path):
    found = verify(tmp_path)
    assert (found.is_whole, found.is_anchored, found.head) == (True, False, EMPTY)


@pytest.mark.parametrize("sequence", (1, 5, RECORDS))
def test_a_changed_record_is_named(folder, sequence):
    lines = lines_of(folder)
    lines[sequence] = lines[sequence].replace(b'"ct1"', b'"ct2"')
    put(folder, lines)
    assert broken(folder) == (Break.CHANGED, sequence)


@pytest.mark.parametrize("sequence", (1, 5, RECORDS))
def test_a_record_changed_with_its_digest_is_named(folder, sequence):
    lines = lines_of(folder)
    lines[sequence] = forged(lines, sequence, 99)
    put(folder, lines)
    assert broken(folder) == (Break.CHANGED, sequence)


@pytest.mark.parametrize("sequence", (1, 5))
def test_a_removed_record_is_named(folder, sequence):
    lines = lines_of(folder)
    del lines[sequence]
    put(folder, lines)
    assert broken(folder) == (Break.REMOVED, sequence)


@pytest.mark.parametrize("sequence", (1, 5, RECORDS - 1))
def test_two_records_in_the_wrong_order_are_named(folder, sequence):
    lines = lines_of(folder)
    lines[sequence : sequence + 2] = lines[sequence + 1], lines[sequence]
    put(folder, lines)
    assert broken(folder) == (Break.REORDERED, sequence)


@pytest.mark.parametrize("sequence", (1, 5))
def test_an_inserted_record_is_named(folder, sequence):
    lines = lines_of(folder)
    lines.insert(sequence, forged(lines, sequence, 99))
    put(folder, lines)
    assert broken(folder) == (Break.INSERTED, sequence)


def test_a_repeated_record_is_named(folder):
    lines = lines_of(folder)
    lines.insert(6, lines[3])
    put(folder, lines)
    assert broken(folder) == (Break.INSERTED, 3)


@pytest.mark.parametrize("kept", (0, 5, RECORDS - 1))
def test_an_end_cut_off_at_a_record_is_named(folder, kept):
    put(folder, lines_of(folder)[: kept + 1])
    assert broken(folder) == (Break.TRUNCATED, kept + 1)


def test_an_end_cut_off_inside_a_record_is_named(folder):
    lines = lines_of(folder)
    put(folder, [*lines[:-1], lines[-1][:40]])
    assert broken(folder) == (Break.TRUNCATED, RECORDS)


def test_a_journal_that_is_gone_is_named_by_its_anchor(folder):
    segment_paths(folder)[0].unlink()
    assert broken(folder) == (Break.TRUNCATED, 1)


def test_without_an_anchor_a_missing_end_cannot_be_seen_and_the_answer_says_so(folder):
    put(folder, lines_of(folder)[:6])
    (folder / "anchor").unlink()
    found = verify(folder)
    assert (found.is_whole, found.is_anchored) == (True, False)


def test_a_chain_made_anew_as_a_whole_is_seen_by_a_head_that_was_kept_elsewhere(folder, tmp_path):
    head = verify(folder).head
    other = tmp_path / "other"
    written(other, [stored(number + 50) for number in range(RECORDS + 3)])
    assert verify(other).is_whole
    assert broken(other, heads=[head]) == (Break.CHANGED, RECORDS)
    assert verify(folder, heads=[head]).is_whole


def test_a_first_line_that_was_changed_is_named(folder):
    lines = lines_of(folder)
    put(folder, [lines[0].replace(b'"first":1', b'"first":2'), *lines[1:]])
    assert broken(folder) == (Break.CHANGED, 1)


def test_a_missing_segment_is_named_by_its_first_record(tmp_path):
    bounds = limits(journal_segment_bytes=1_000)
    written(tmp_path, [stored(number) for number in range(30)], limits=bounds)
    paths = segment_paths(tmp_path)
    paths[2].unlink()
    assert broken(tmp_path) == (Break.REMOVED, int(paths[2].stem))
    paths[0].unlink()
    assert broken(tmp_path) == (Break.REMOVED, 1)


def test_a_record_changed_with_its_digest_at_the_end_of_a_segment_is_named(tmp_path):
    bounds = limits(journal_segment_bytes=1_000)
    written(tmp_path, [stored(number) for number in range(30)], limits=bounds)
    path, following = segment_paths(tmp_path)[1:3]
    lines = path.read_bytes().splitlines(keepends=True)
    last = int(following.stem) - 1
    previous = Head(last - 1, lines[-2][:64].decode())
    path.write_bytes(b"".join([*lines[:-1], make_record(stored(99), previous, NOON)[1]]))
    assert broken(tmp_path) == (Break.CHANGED, last)


def test_a_journal_can_be_verified_while_it_is_written(tmp_path):
    async def run():
        journal = Journal(tmp_path)
        for number in range(3):
            await journal.write(stored(number))
            assert verify(tmp_path).head == journal.head
        (path,) = segment_paths(tmp_path)
        with path.open("ab") as file:
            file.write(b"0123")
        found = verify(tmp_path)
        assert (found.is_whole, found.unfinished_bytes) == (True, 4)
        await journal.close()

    asyncio.run(run())


@given(st.data())
def test_whatever_byte_is_changed_it_is_seen(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "bytes"
    if not folder.exists():
        written(folder, [stored(number) for number in range(RECORDS)])
    (path,) = segment_paths(folder)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[place] ^ data.draw(st.integers(1, 255))
    path.write_bytes(whole[:place] + bytes([changed]) + whole[place + 1 :])
    try:
        assert not verify(folder).is_whole
    finally:
        path.write_bytes(whole)


def test_a_walk_holds_a_line_at_a_time(tmp_path):
    written(tmp_path, [stored(number) for number in range(3_000)][:1], limits=limits())
    (path,) = segment_paths(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    head = Head(1, lines[1][:64].decode())
    with path.open("ab") as file:
        for number in range(2, 8_000):
            record, line = make_record(stored(number), head, NOON)
            head = Head(record.sequence, record.digest)
            file.write(line)
    tracemalloc.start()
    assert verify(tmp_path).head == head
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 4
