"""Memory in which fragments gather: never more than fits, and the same memory again for the next instance."""

from dataclasses import replace

from doorward.archive.blobs.block import Block, Blocks
from doorward.limits import DEFAULT_LIMITS


def test_a_block_takes_what_fits_and_says_how_much_that_was():
    block = Block(10)
    assert block.fill(b"abcd") == 4
    assert block.room_bytes == 6
    assert block.fill(memoryview(b"efghijklm")) == 6
    assert (len(block), block.room_bytes) == (10, 0)
    assert bytes(block.content()) == b"abcdefghij"
    assert block.fill(b"x") == 0


def test_an_emptied_block_shows_nothing_of_what_was_in_it():
    block = Block(10)
    block.fill(b"abcd")
    block.empty()
    assert bytes(block.content()) == b""
    block.fill(b"x")
    assert bytes(block.content()) == b"x"


def test_a_block_that_was_given_back_is_used_again():
    blocks = Blocks(DEFAULT_LIMITS)
    first = blocks.take()
    first.fill(b"abc")
    blocks.give_back(first)
    again = blocks.take()
    assert again is first
    assert len(again) == 0
    assert blocks.take() is not first


def test_no_more_blocks_are_kept_than_the_bound():
    blocks = Blocks(replace(DEFAULT_LIMITS, blob_idle_blocks=1))
    first, second = blocks.take(), blocks.take()
    blocks.give_back(first)
    blocks.give_back(second)
    assert blocks.take() is first
    assert blocks.take() is not second
