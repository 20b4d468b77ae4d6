"""What is sent, and an instance of which the beginning is read before its turn to be sent has come.

To read one while the receiver still takes the last one costs no time of either. What is held for it is bounded: all of it
where that is at hand at once (a source says up to which size), two pieces otherwise.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

#: Two tell the last one from the others.
_PIECES_AHEAD = 2


class Source(Protocol):
    """One composite instance that is read while it is sent; ``transfer.Instance`` is one that is in memory."""

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID."""

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID."""

    @property
    def transfer_syntax_uid(self) -> str:
        """What it is written in, and therefore sent in."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the data set; raises StorageError, before the first piece where it cannot be read at all."""


class AtHand:
    """A source that may have its whole data set at hand: to wait for nothing costs more than to read from memory."""

    __slots__ = ()

    def at_once(self) -> bytes | memoryview | None:
        """Return the data set where that takes no waiting; None where it is to be read by ``pieces``.

        A view stays as it is for as long as somebody has it, or a part of it.
        Raises StorageError where it cannot be read at all.
        """
        return None


class Begun:
    """A source of which the beginning was read ahead: what fails at once fails before its turn to be sent.

    Holds the whole data set where that is at hand, and two pieces otherwise, which tell the last one from the others.
    Whoever does not send it closes it.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        #: All of it, as far as it is known to be all.
        self.whole: bytes | memoryview | None = None
        self._is_read = False
        self._ahead: list[bytes] = []
        self._rest: AsyncIterator[bytes] | None = None

    async def read(self) -> None:
        """Read ahead, once. Raises what reading raises, and holds nothing then."""
        if self._is_read:
            return
        self._is_read = True
        source = self.source
        if isinstance(source, AtHand):
            self.whole = source.at_once()
            if self.whole is not None:
                return
        rest = self._rest = source.pieces()
        try:
            while len(self._ahead) < _PIECES_AHEAD:
                piece = await anext(rest, None)
                if piece is None:
                    self._rest = None
                    self.whole = b"".join(self._ahead)  # of one piece this is the piece
                    return
                self._ahead.append(piece)
        except BaseException:
            await self.close()
            raise

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the data set, once."""
        ahead, self._ahead = self._ahead, []
        for piece in ahead:
            yield piece
        if self._rest is not None:
            async for piece in self._rest:
                yield piece

    async def close(self) -> None:
        """Give back what reading holds."""
        rest, self._rest = self._rest, None
        self._ahead.clear()
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()
