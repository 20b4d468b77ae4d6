"""What is read ahead is bounded, sent once, and given back where it is not sent."""

import pytest

from doorward.errors import StorageError
from doorward.net.begun import AtHand, Begun
from loopback import in_loop


class Pieces:
    """A source of some pieces, which remembers how far it was read and that it was closed."""

    sop_class_uid = sop_instance_uid = transfer_syntax_uid = "1.2"

    def __init__(self, *pieces, fault=None):
        self.left = list(pieces)
        self.fault = fault
        self.is_closed = False

    async def pieces(self):
        try:
            while self.left:
                yield self.left.pop(0)
            if self.fault is not None:
                raise self.fault
        finally:
            self.is_closed = True


class Whole(AtHand, Pieces):
    """One that may have all of it at hand."""

    def __init__(self, whole, *pieces):
        super().__init__(*pieces)
        self.whole = whole

    def at_once(self):
        return self.whole


def fault():
    return StorageError("gone", operation="read", path=None, kind="missing")


async def begun(source):
    one = Begun(source)
    await one.read()
    return one


@in_loop
@pytest.mark.parametrize("count", range(6))
async def test_all_of_it_comes_in_order_and_no_more_than_two_pieces_ahead(count):
    pieces = [bytes([n]) for n in range(count)]
    source = Pieces(*pieces)
    one = await begun(source)

    assert len(source.left) == max(0, count - 2)
    assert one.whole == (b"".join(pieces) if count < 2 else None)
    if one.whole is None:
        assert [piece async for piece in one.pieces()] == pieces
        assert source.is_closed


@in_loop
async def test_what_is_at_hand_is_not_read_in_pieces():
    source = Whole(b"all", b"never")

    assert (await begun(source)).whole == b"all"
    assert source.left == [b"never"]


@in_loop
async def test_what_is_not_at_hand_is():
    assert (await begun(Whole(None, b"all"))).whole == b"all"
    assert AtHand().at_once() is None


@in_loop
async def test_it_is_read_once():
    source = Pieces(*[b"1"] * 9)
    one = await begun(source)
    await one.read()

    assert len(source.left) == 7


@in_loop
@pytest.mark.parametrize("before", [0, 1])
async def test_what_fails_early_fails_before_it_is_sent(before):
    source = Pieces(*[b"1"] * before, fault=fault())
    with pytest.raises(StorageError):
        await begun(source)
    assert source.is_closed


@in_loop
async def test_what_is_not_sent_is_given_back():
    source = Pieces(*[b"1"] * 9)
    one = await begun(source)
    await one.close()

    assert source.is_closed
    assert [piece async for piece in one.pieces()] == []
