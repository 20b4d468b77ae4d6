"""Memory that forgets: bytes put together from pieces, zeroed before they are given back.

Theory of operation: what an archive answers may name a patient, and CPython does not clear what it frees. So the bytes
of a stranger are gathered in buffers that we own, never in ``bytes`` objects, and each buffer is zeroed when it is done
with, also the smaller one that growth leaves behind (docs/decisions/0004-memory-that-forgets.md).
"""

_SMALLEST = 64


class WipedBuffer:
    """A row of bytes that grows at its end and leaves nothing behind. Not bounded: the owner is."""

    __slots__ = ("_length", "_room")

    def __init__(self) -> None:
        # A view: what is assigned to a slice of a bytearray is copied into a temporary one first.
        self._room = memoryview(bytearray())
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, piece: bytes | memoryview) -> None:
        """Add a piece; views taken before are of no use afterwards."""
        end = self._length + len(piece)
        if end > len(self._room):
            # Twice as much each time: a byte is copied twice on average, however small the pieces are.
            room = memoryview(bytearray(max(end, 2 * len(self._room), _SMALLEST)))
            room[: self._length] = self._room[: self._length]
            wipe(self._room, self._length)
            self._room = room
        self._room[self._length : end] = piece
        self._length = end

    def view(self) -> memoryview:
        """Return what was gathered; valid until the next call of another method."""
        return self._room[: self._length]

    def clear(self) -> None:
        """Zero what was gathered and give the memory back."""
        if self._length:
            wipe(self._room, self._length)
            self._room = memoryview(bytearray())
            self._length = 0


class PlainBuffer:
    """The same for bytes that came as ``bytes`` objects, which nobody can wipe: a receiver of images needs the speed."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = bytearray()

    def __len__(self) -> int:
        return len(self._room)

    def append(self, piece: bytes | memoryview) -> None:
        """Add a piece; no view may be held."""
        self._room += piece

    def view(self) -> memoryview:
        """Return what was gathered; valid until ``clear``."""
        return memoryview(self._room)

    def clear(self) -> None:
        """Give the memory back."""
        if self._room:
            self._room = bytearray()


class WipedBytes(bytearray):
    """Bytes that are zeroed when the last who has them lets them go; for what is handed on and never grows."""

    def __del__(self) -> None:
        """Zero it. CPython calls this at once."""
        wipe(self, len(self))


def wipe(buffer: bytearray | memoryview, length: int) -> None:
    """Zero the first ``length`` bytes."""
    buffer[:length] = bytes(length)
