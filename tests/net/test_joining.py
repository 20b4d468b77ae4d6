"""What is written, and in how many pieces it leaves."""

import asyncio
from typing import Any

from doorward.net.joining import Joining

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Written(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> None:
        self.pieces.append(data)

    def close(self) -> None:
        self.pieces.append(b"closed")

    def is_closing(self) -> bool:
        return self.pieces[-1:] == [b"closed"]

    def _unused(self, *_: Any) -> None:
        raise AssertionError

    get_write_buffer_size = pause_reading = resume_reading = abort = _unused  # type: ignore[assignment]


def after(*pieces: bytes, turns: int = 0) -> list[bytes]:
    """Return what has left when these were written in one turn of the loop, and so many turns have passed."""

    async def write() -> list[bytes]:
        written = Written()
        joining = Joining(written)
        for piece in pieces:
            joining.close() if piece == b"closed" else joining.write(piece)
        for _ in range(turns):
            await asyncio.sleep(0)
        return list(written.pieces)

    return asyncio.run(write())


def test_a_head_leaves_with_what_follows_it_at_once() -> None:
    assert after(HEAD, b"body") == [HEAD + b"body"]
    assert after(HEAD, b"body", b"more", turns=2) == [HEAD + b"body", b"more"]


def test_a_head_that_nothing_follows_leaves_in_the_next_turn() -> None:
    assert after(HEAD) == []
    assert after(HEAD, turns=2) == [HEAD]


def test_the_end_of_a_connection_takes_the_head_along() -> None:
    assert after(HEAD, b"closed", turns=2) == [HEAD, b"closed"]
    assert after(HEAD, b"body", b"closed", turns=2) == [HEAD + b"body", b"closed"]


def test_two_heads_in_one_turn_leave_in_order() -> None:
    assert after(HEAD, HEAD, b"a", b"", HEAD, turns=2) == [HEAD + HEAD, b"a", HEAD]
