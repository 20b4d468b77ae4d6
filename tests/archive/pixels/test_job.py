"""Messages between this process and a worker: bounded, and nothing but numbers, text and bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.archive.pixels.job import (
    HEAD_BYTES,
    LENGTHS,
    BadMessage,
    Message,
    lengths_of,
    pack,
    unpack,
)


def through(message, most=1_000_000):
    """Return a message as the other side reads it."""
    packed = b"".join(pack(message))
    head, body = lengths_of(packed[: LENGTHS.size], most)
    at = LENGTHS.size + head
    return unpack(packed[LENGTHS.size : at], packed[at : at + body])


@given(
    st.dictionaries(st.text().filter(lambda key: key != "parts"), st.integers() | st.text()),
    st.lists(st.binary(), max_size=4),
)
def test_a_message_arrives_as_it_was_sent(facts, parts):
    found = through(Message(facts=facts, parts=parts))

    assert found.facts == facts
    assert list(found.parts) == parts


@pytest.mark.parametrize("lengths", [(HEAD_BYTES + 1, 0), (1, 101), (2**32 - 1, 2**64 - 1)])
def test_what_is_longer_than_it_may_be_is_refused_from_its_lengths(lengths):
    with pytest.raises(BadMessage):
        lengths_of(LENGTHS.pack(*lengths), 100)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"[]",
        b"{}",
        b'{"parts": 1}',
        b'{"parts": [-1, 1]}',
        b'{"parts": [true]}',
        b'{"parts": [5]}',
        b"[" * 60_000,
        b"\xff",
    ],
)
def test_what_is_no_message_is_refused(head):
    with pytest.raises(BadMessage):
        unpack(head, b"")
