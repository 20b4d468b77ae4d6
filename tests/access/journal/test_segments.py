import os

import pytest

from doorward.access.journal.record import EMPTY, Head
from doorward.access.journal.segments import (
    Anchor,
    create_segment,
    cut_torn,
    read_anchor,
    read_header,
    read_lines,
    read_tail,
    segment_paths,
)
from doorward.errors import StorageError
from journals import stored, written
from loopback import limits

HEAD = Head(41, "ab" * 32)


def test_a_segment_is_named_after_its_first_record_and_begins_after_the_one_before(tmp_path):
    path = create_segment(tmp_path, HEAD)
    assert path.name == "000000000042.journal"
    (line,) = read_lines(path)
    assert read_header(line.text) == HEAD
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "line",
    (
        b"",
        b"\n",
        b"[]\n",
        b'{"format":"doorward.journal/2","first":1,"previous":""}\n',
        b'{"format":"doorward.journal/1"}\n',
        b'{"format":"doorward.journal/1","first":"x","previous":""}\n',
    ),
)
def test_a_first_line_of_another_kind_is_none(line):
    assert read_header(line) is None


def test_a_segment_whose_first_line_does_not_fit_is_not_there(tmp_path, monkeypatch):
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, line: real(descriptor, line[:9]))
        with pytest.raises(OSError, match="did not fit"):
            create_segment(tmp_path, HEAD)
    assert segment_paths(tmp_path) == []
    assert create_segment(tmp_path, HEAD).exists()


def test_segments_come_in_the_order_of_the_chain_and_nothing_else_is_one(tmp_path):
    for number in (100, 3, 20):
        create_segment(tmp_path, Head(number, EMPTY.digest))
    (tmp_path / "notes.journal").write_text("")
    assert [int(path.stem) for path in segment_paths(tmp_path)] == [4, 21, 101]


def test_a_line_without_an_end_is_read_in_pieces(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a" * 250)
    assert [len(one.text) for one in read_lines(path, limits(journal_record_bytes=100))] == [
        100,
        100,
        50,
    ]


def test_the_tail_ends_with_the_last_whole_record(tmp_path):
    records = written(tmp_path, [stored(1), stored(2)])
    (path,) = segment_paths(tmp_path)
    size_bytes = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"half a li")
    tail = read_tail(path)
    assert (tail.last, tail.size_bytes, tail.torn_bytes) == (records[1], size_bytes, 9)
    assert cut_torn(tail).read_bytes() == b"half a li"
    assert path.stat().st_size == size_bytes


def test_what_is_cut_off_twice_is_kept_twice(tmp_path):
    written(tmp_path, [stored(1)])
    (path,) = segment_paths(tmp_path)
    for piece in (b"one", b"two"):
        with path.open("ab") as file:
            file.write(piece)
        cut_torn(read_tail(path))
    assert sorted(one.read_bytes() for one in tmp_path.glob("torn-*")) == [b"one", b"two"]


def test_a_segment_without_a_first_line_is_damaged(tmp_path):
    path = tmp_path / "000000000001.journal"
    path.write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        read_tail(path)
    assert caught.value.kind == "damaged"


def test_an_anchor_is_written_over_in_place(tmp_path):
    anchor = Anchor(tmp_path / "anchor")
    for sequence in (1, 10**12, 7):
        anchor.move(Head(sequence, "cd" * 32))
        assert read_anchor(tmp_path / "anchor") == Head(sequence, "cd" * 32)
    anchor.close()


@pytest.mark.parametrize("text", ("", "12", "00000000000000000012 abc\n", "x" * 86, "é" * 43))
def test_an_anchor_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "anchor").write_text(text)
    assert read_anchor(tmp_path / "anchor") is None
    assert read_anchor(tmp_path / "missing") is None
