"""Buffers that forget: what was in them is zero afterwards, in the very memory where it stood."""

from hypothesis import given
from hypothesis import strategies as st

from doorward.wire.wiped import PlainBuffer, WipedBuffer, WipedBytes, wipe

pieces = st.lists(st.binary(max_size=300), max_size=12)


@given(pieces)
def test_pieces_come_out_as_they_went_in(given_pieces):
    for buffer in (WipedBuffer(), PlainBuffer()):
        for piece in given_pieces:
            buffer.append(piece)
        with buffer.view() as view:
            assert view == b"".join(given_pieces)
        assert len(buffer) == sum(map(len, given_pieces))
        buffer.clear()
        assert len(buffer) == 0
        with buffer.view() as view:
            assert view == b""


def test_views_are_taken_in_as_bytes_are():
    buffer = WipedBuffer()
    buffer.append(memoryview(b"xxCANARYxx")[2:8])
    assert buffer.view() == b"CANARY"


@given(pieces.filter(any))
def test_what_was_gathered_is_zero_after_clear(given_pieces):
    buffer = WipedBuffer()
    for piece in given_pieces:
        buffer.append(piece)
    left = buffer.view()
    buffer.clear()
    assert left == bytes(len(left))


def test_the_smaller_room_that_growth_leaves_behind_is_zero():
    buffer = WipedBuffer()
    buffer.append(b"CANARY" * 5)
    left = buffer.view()
    buffer.append(b"YRANAC" * 100)
    assert left == bytes(30)
    assert buffer.view() == b"CANARY" * 5 + b"YRANAC" * 100


def test_growth_copies_each_byte_about_twice_however_small_the_pieces():
    buffer = WipedBuffer()
    moves, room = 0, 0
    for _ in range(10_000):
        buffer.append(b"x")
        if len(buffer._room) != room:
            moves, room = moves + room, len(buffer._room)
    assert moves < 2 * 10_000


def test_clearing_an_empty_buffer_changes_nothing():
    for buffer in (WipedBuffer(), PlainBuffer()):
        buffer.clear()
        assert len(buffer) == 0


def test_wipe_zeroes_the_beginning_and_nothing_else():
    for kind in (bytearray, lambda raw: memoryview(bytearray(raw))):
        buffer = kind(b"CANARY!")
        wipe(buffer, 6)
        assert bytes(buffer) == b"\0\0\0\0\0\0!"


def test_what_is_handed_on_is_zeroed_when_it_is_let_go():
    handed = WipedBytes(b"CANARY")
    handed.__del__()
    assert handed == bytes(6)
