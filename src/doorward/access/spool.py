"""Messages for an outside collector, kept on disk until it has taken them; bounded.

Theory of operation: messages are appended to files of about a megabyte, each with its length and checksum; the position
says what has been taken, and a file that is taken as a whole is removed. **The oldest are kept**: a full spool refuses
what comes, so an intruder cannot push the traces of the break-in out by making noise afterwards. Nothing is lost by that:
the journal is the durable record, and says itself when the spool was full and when it took messages again.

Nothing is synced: a killed process loses nothing, a power cut the last seconds, which the journal has. After a crash a
message may be sent twice (the position is written after the sending), and a torn end is cut off.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from doorward.errors import StorageError
from doorward.limits import DEFAULT_LIMITS, Limits

_ENDING = ".spool"
_FRAME = struct.Struct(">II")  # length, CRC-32
_POSITION = "{:012d} {:012d}\n"
_MODE = 0o600


class Spool:
    """A queue of messages in a folder, for one process. Raises StorageError where the folder cannot be used."""

    def __init__(self, folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._folder = folder
        self._limits = limits
        #: Messages refused since the spool was opened.
        self.refused = 0
        #: Whether the last message was refused: who puts notes the change, not each message.
        self.is_full = False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._first, self._offset = self._read_position()
            self._sizes = {int(path.stem): path.stat().st_size for path in self._paths()}
            for number in [one for one in self._sizes if one < self._first]:
                self._remove(number)
            self._last = max(self._sizes, default=self._first)
            if self._offset > self._sizes.get(self._first, 0):
                self._offset = 0  # of a file that is gone
            self._cut_torn()
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._position = os.open(folder / "position", flags, _MODE)
            self._tail = self._open_tail()
        except OSError as error:
            raise self._error(error, "open") from error

    @property
    def size_bytes(self) -> int:
        """What the spool takes on disk."""
        return sum(self._sizes.values())

    def put(self, message: bytes) -> bool:
        """Keep a message at the end; False: it was refused, for the spool is full or the message too long.

        Raises StorageError.
        """
        frame = _FRAME.pack(len(message), zlib.crc32(message)) + message
        is_too_long = len(message) > self._limits.syslog_message_bytes
        self.is_full = is_too_long or self.size_bytes + len(frame) > self._limits.spool_bytes
        if self.is_full:
            self.refused += 1
            return False
        try:
            if self._sizes[self._last] >= self._limits.spool_file_bytes:
                os.close(self._tail)
                self._last += 1
                self._tail = self._open_tail()
            written = os.write(self._tail, frame)
            if written < len(frame):
                os.ftruncate(self._tail, self._sizes[self._last])
                self.refused, self.is_full = self.refused + 1, True
                return False
        except OSError as error:
            raise self._error(error, "write") from error
        self._sizes[self._last] += len(frame)
        return True

    def peek(self, count: int) -> list[bytes]:
        """Return the oldest messages, at most so many, and keep them. Raises StorageError."""
        return [message for _, _, message in self._places(count)]

    def advance(self, count: int) -> None:
        """Let go of the oldest messages: they have arrived. Raises StorageError."""
        for number, end, _ in self._places(count):
            self._first, self._offset = number, end
        if self._first == self._last and 0 < self._sizes[self._last] <= self._offset:
            self._begin_anew()
        while self._first < self._last and self._offset >= self._sizes.get(self._first, 0):
            self._first, self._offset = self._first + 1, 0
        for number in [one for one in self._sizes if one < self._first]:
            self._remove(number)
        self._write_position()

    def close(self) -> None:
        """Close the files."""
        os.close(self._tail)
        os.close(self._position)

    # --- files --------------------------------------------------------------------------------------------------------

    def _paths(self) -> list[Path]:
        paths = self._folder.glob(f"*{_ENDING}")
        return sorted(path for path in paths if path.stem.isdigit())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{_ENDING}"

    def _open_tail(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path(self._last), flags, _MODE)
        self._sizes.setdefault(self._last, 0)
        return descriptor

    def _places(self, count: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield the oldest messages, each with its file and where in it the next one begins."""
        found, start = 0, self._offset
        for number in range(self._first, self._last + 1):
            for end, message in self._read(number, start):
                if found == count:
                    return
                found += 1
                yield number, end, message
            start = 0

    def _read(self, number: int, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield the whole messages of one file from a place on, each with its end; what is damaged ends them."""
        try:
            with self._path(number).open("rb") as file:
                file.seek(start)
                while len(head := file.read(_FRAME.size)) == _FRAME.size:
                    length, checksum = _FRAME.unpack(head)
                    if length > self._limits.syslog_message_bytes:
                        return
                    message = file.read(length)
                    if len(message) < length or zlib.crc32(message) != checksum:
                        return
                    yield file.tell(), message
        except FileNotFoundError:
            pass  # removed by somebody: what follows is sent
        except OSError as error:
            raise self._error(error, "read") from error

    def _cut_torn(self) -> None:
        """Cut what a crash left after the last whole message of the last file."""
        if self._last not in self._sizes:
            return
        whole = start = self._offset if self._last == self._first else 0
        for end, _ in self._read(self._last, start):
            whole = end
        if whole < self._sizes[self._last]:
            os.truncate(self._path(self._last), whole)
            self._sizes[self._last] = whole

    def _begin_anew(self) -> None:
        """Go on in a new file, as all is taken: so the room is given back, and no position is ahead of its file."""
        os.close(self._tail)
        self._last += 1
        self._tail = self._open_tail()

    def _remove(self, number: int) -> None:
        self._path(number).unlink(missing_ok=True)
        self._sizes.pop(number, None)

    def _read_position(self) -> tuple[int, int]:
        try:
            first, offset = (self._folder / "position").read_text("ascii").split()
            return int(first), int(offset)
        except (FileNotFoundError, ValueError):
            paths = self._paths()
            return (int(paths[0].stem) if paths else 1), 0

    def _write_position(self) -> None:
        text = _POSITION.format(self._first, self._offset)
        try:
            os.pwrite(self._position, text.encode("ascii"), 0)
        except OSError as error:
            raise self._error(error, "write") from error

    def _error(self, error: OSError, operation: str) -> StorageError:
        return StorageError(
            f"the spool {self._folder} could not be used",
            operation=operation,
            path=self._folder,
            kind="failed",
            hint="Look at its disk; what is not sent is in the journal.",
        )
