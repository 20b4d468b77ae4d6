"""A short text of a stranger, in memory that is zeroed when it was read."""


class WipedText:
    """At most so many bytes; one that grows longer is forgotten and stays empty."""

    __slots__ = ("_length", "_room", "is_too_long")

    def __init__(self, most: int) -> None:
        self._room = bytearray(most)
        self._length = 0
        #: More bytes came than there is room for.
        self.is_too_long = False

    def append(self, piece: memoryview) -> None:
        """Add a piece."""
        end = self._length + len(piece)
        if self.is_too_long or end > len(self._room):
            self.is_too_long = True
            self._forget()
            return
        self._room[self._length : end] = piece
        self._length = end

    def taken(self) -> bytes | None:
        """Return the text once, None when it was too long; and zero it."""
        if self.is_too_long:
            return None
        text = bytes(memoryview(self._room)[: self._length])
        self._forget()
        return text

    def _forget(self) -> None:
        self._room[:] = bytes(len(self._room))
        self._length = 0
