"""The answer to LIST, line by line: what is a folder and where the name begins; names never leave the reader's buffer.

RFC 959 says nothing on the form, so two are known: that of ``ls -l`` (nearly all servers) and that of MS-DOS (Microsoft
IIS); of other lines the whole is the name. Each name is handed on as a view that is zeroed right after.
"""

import re
from collections.abc import Callable

#: drwxr-xr-x 2 ftp ftp 4096 Nov 22 14:26 name. Owner and group may be missing.
_UNIX = re.compile(
    rb"([-dlbcpsD])[-rwxsStT]{9}[+@.]?\s+[0-9]+\s(?:.*?\s)?[0-9]+\s+"
    rb"(?:[A-Za-z]{3}\s+[0-9]{1,2}\s+[0-9:]{4,5}|[0-9]{4}-[0-9]{2}-[0-9]{2}\s+[0-9:]{4,8})\s",
    re.DOTALL,
)
#: 11-22-26  02:26PM       <DIR>          name
_DOS = re.compile(
    rb"[0-9]{2}-[0-9]{2}-[0-9]{2,4}\s+[0-9]{2}:[0-9]{2}(?:AM|PM)?\s+(?:(<DIR>)|[0-9]+)\s+"
)
_TOTAL = re.compile(rb"total [0-9]+\Z")
_ITSELF = (b"", b".", b"..")
_LINE_BYTES = 2_048

#: Takes a name, valid during the call only, and whether it is a folder's.
OnName = Callable[[memoryview, bool], None]


class ListLines:
    """Reads the lines of one LIST, fed in pieces."""

    def __init__(self, on_name: OnName) -> None:
        self._on_name = on_name
        self._room = bytearray(_LINE_BYTES)
        self._length = 0
        self._is_too_long = False

    def feed(self, chunk: memoryview) -> None:
        """Read a piece."""
        begin = 0
        while begin < len(chunk):
            end = _find_line_feed(chunk, begin)
            self._keep(chunk[begin : end if end >= 0 else len(chunk)])
            if end < 0:
                return
            self._end_line()
            begin = end + 1

    def finish(self) -> None:
        """Say that nothing follows: a last line may have no end."""
        self._end_line()

    def _keep(self, piece: memoryview) -> None:
        end = self._length + len(piece)
        if self._is_too_long or end > _LINE_BYTES:
            self._is_too_long = True
            return
        self._room[self._length : end] = piece
        self._length = end

    def _end_line(self) -> None:
        length = self._length
        if length and self._room[length - 1] == 0x0D:
            length -= 1
        if self._is_too_long:
            self._on_name(memoryview(b""), False)  # something lies there, whatever it is called
        elif length:
            self._hand_on(length)
        self._room[: self._length] = bytes(self._length)
        self._length, self._is_too_long = 0, False

    def _hand_on(self, length: int) -> None:
        begin, is_folder = 0, False
        if _TOTAL.match(self._room, 0, length) is not None:
            return
        if (unix := _UNIX.match(self._room, 0, length)) is not None:
            begin, is_folder = unix.end(), unix[1] == b"d"
        elif (dos := _DOS.match(self._room, 0, length)) is not None:
            begin, is_folder = dos.end(), dos[1] is not None
        unix = dos = None  # they hold on to the buffer
        with memoryview(self._room) as view, view[begin:length] as name:
            if name not in _ITSELF:
                self._on_name(name, is_folder)


def _find_line_feed(chunk: memoryview, begin: int) -> int:
    found = _LINE_FEED.search(chunk, begin)
    return -1 if found is None else found.start()


_LINE_FEED = re.compile(rb"\n")
