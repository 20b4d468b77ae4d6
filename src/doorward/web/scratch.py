"""A short text of a stranger, decoded where it lies and zeroed afterwards: file names may be names of patients.

Theory of operation: a ``Scratch`` is one buffer of fixed size that never grows and never moves, so nothing of the text stays
behind in memory that was given back. What does not fit makes it ``is_too_long``, and then it holds nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType

#: The references that servers write in lists of files; all others stay as they are (HTML section 13.5, XML section 4.6).
_NAMED: Mapping[bytes, int] = MappingProxyType(
    {b"amp": 0x26, b"lt": 0x3C, b"gt": 0x3E, b"quot": 0x22, b"apos": 0x27, b"nbsp": 0x20}
)
_LONGEST_REFERENCE = 10
_SPACES = frozenset(b" \t\r\n\x0b\x0c")


class Scratch:
    """At most ``most`` bytes."""

    __slots__ = ("_length", "_room", "is_too_long")

    def __init__(self, most: int) -> None:
        self._room = bytearray(most)
        self._length = 0
        #: More came than there is room for; what was there is gone.
        self.is_too_long = False

    def __len__(self) -> int:
        return self._length

    def append(self, piece: bytes | memoryview) -> None:
        """Add a piece."""
        end = self._length + len(piece)
        if self.is_too_long or end > len(self._room):
            self.clear()
            self.is_too_long = True
            return
        self._room[self._length : end] = piece
        self._length = end

    def view(self) -> memoryview:
        """Return the text; of no use after the next call of another method."""
        return memoryview(self._room)[: self._length]

    def equals(self, text: bytes) -> bool:
        """Tell whether this is the text."""
        return self._length == len(text) and self._room.startswith(text, 0, self._length)

    def has(self, mark: bytes) -> bool:
        """Tell whether some bytes stand anywhere in the text."""
        return self._room.find(mark, 0, self._length) >= 0

    def clear(self) -> None:
        """Zero everything."""
        self._room[: self._length] = bytes(self._length)
        self._length = 0
        self.is_too_long = False

    def strip(self) -> None:
        """Drop white space at both ends."""
        begin, end = 0, self._length
        while begin < end and self._room[begin] in _SPACES:
            begin += 1
        while end > begin and self._room[end - 1] in _SPACES:
            end -= 1
        self._shift(begin, end)

    def drop_suffix(self, suffix: bytes) -> bool:
        """Drop an ending; tell whether it was there."""
        begin = self._length - len(suffix)
        if begin < 0 or not self._room.endswith(suffix, begin, self._length):
            return False
        self._shift(0, begin)
        return True

    def drop_prefix(self, prefix: bytes) -> bool:
        """Drop a beginning; tell whether it was there."""
        if not self._room.startswith(prefix, 0, self._length):
            return False
        self._shift(len(prefix), self._length)
        return True

    def drop_first(self, count: int) -> None:
        """Drop so many bytes at the beginning."""
        self._shift(min(count, self._length), self._length)

    def percent_decode(self) -> None:
        """Replace percent-encoded bytes (RFC 3986 section 2.1)."""
        if self._room.find(b"%", 0, self._length) < 0:
            return
        read = write = 0
        while read < self._length:
            value = self._room[read]
            if value == 0x25 and (decoded := self._hexadecimal(read + 1, read + 3)) >= 0:
                value, read = decoded, read + 2
            self._room[write] = value
            read, write = read + 1, write + 1
        self._cut(write)

    def unescape(self) -> None:
        """Replace character references that stand for one ASCII character."""
        if self._room.find(b"&", 0, self._length) < 0:
            return
        read = write = 0
        while read < self._length:
            value = self._room[read]
            if value == 0x26:
                end = self._room.find(b";", read, min(read + _LONGEST_REFERENCE, self._length))
                decoded = self._reference(read + 1, end) if end > 0 else -1
                if decoded >= 0:
                    value, read = decoded, end
            self._room[write] = value
            read, write = read + 1, write + 1
        self._cut(write)

    # --- inner ----------------------------------------------------------------------------------------------------

    def _reference(self, begin: int, end: int) -> int:
        """Return the ASCII code of a reference between "&" and ";", -1 for another one."""
        if self._room[begin] != 0x23:
            return _NAMED.get(bytes(self._room[begin:end]), -1)
        if self._room[begin + 1] | 0x20 == 0x78:
            code = self._hexadecimal(begin + 2, end)
        else:
            code = self._decimal(begin + 1, end)
        return 0x20 if code == 0xA0 else code if code < 0x80 else -1

    def _hexadecimal(self, begin: int, end: int) -> int:
        code = 0
        if not begin < end <= self._length:
            return -1
        for byte in memoryview(self._room)[begin:end]:
            digit = b"0123456789abcdef".find(byte | 0x20 if byte > 0x39 else byte)
            if digit < 0:
                return -1
            code = code * 16 + digit
        return code

    def _decimal(self, begin: int, end: int) -> int:
        code = 0
        if not begin < end <= self._length:
            return -1
        for byte in memoryview(self._room)[begin:end]:
            if not 0x30 <= byte <= 0x39:
                return -1
            code = code * 10 + byte - 0x30
        return code

    def _shift(self, begin: int, end: int) -> None:
        """Keep what lies between, and zero the rest."""
        for index in (
            range(begin, end) if begin else ()
        ):  # no copy: a slice of it would stay in memory
            self._room[index - begin] = self._room[index]
        self._cut(end - begin)

    def _cut(self, length: int) -> None:
        self._room[length : self._length] = bytes(self._length - length)
        self._length = length


def folder_of(path: str) -> bytes:
    """Return the folder that a request path names: decoded, with a slash at its end. For paths of our own only."""
    plain = Scratch(len(path))
    plain.append(path.rstrip("/").encode("ascii"))
    plain.percent_decode()
    return bytes(plain.view()) + b"/"
