"""The file of an import as a stream of bytes: opened, its beginning looked at, inflated where it is gzip.

Theory of operation: nothing here holds more than a buffer. gzip is recognised by its first two bytes and inflated piece by
piece (RFC 1952); a file that grows beyond all reason is refused while it grows, and one that was cut off gives what was
whole before the cut.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from doorward.errors import ConfigError
from doorward.limits import Limits

#: RFC 1952 section 2.3.1.
_GZIP_MAGIC = b"\x1f\x8b"


class Rewound(io.RawIOBase):
    """A stream whose first bytes were taken for a look: they come once more. Counts what it gave."""

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        super().__init__()
        self._stream = stream
        self._head = head
        #: Bytes that were read from it.
        self.given = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Fill a buffer and return how many bytes that were; 0 at the end."""
        found = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(found)] = found
        self.given += len(found)
        return len(found)


class Source:
    """The content of one file."""

    def __init__(self, raw: IO[bytes], file: Path, limits: Limits) -> None:
        magic = raw.read(len(_GZIP_MAGIC))
        plain = Rewound(raw, magic)
        self._inflated = _Inflated(plain, file, limits) if magic == _GZIP_MAGIC else None
        buffered = io.BufferedReader(self._inflated or plain)
        #: The first bytes; they are still in ``stream``.
        self.head = buffered.read(limits.import_head_bytes)
        self.stream: IO[bytes] = io.BufferedReader(Rewound(buffered, self.head))

    @property
    def is_cut_off(self) -> bool:
        """The compressed file ended in the middle; known when the stream was read to its end."""
        return self._inflated is not None and self._inflated.is_cut_off


@contextmanager
def opened(file: Path, limits: Limits) -> Iterator[Source]:
    """Open a file for reading, compressed or not; raises ConfigError, also while it is read."""
    try:
        with file.open("rb") as raw:
            yield Source(raw, file, limits)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be read ({reason})", file=file) from None


class _Inflated(io.RawIOBase):
    """What a gzip file holds."""

    def __init__(self, packed: Rewound, file: Path, limits: Limits) -> None:
        super().__init__()
        self._packed = packed
        self._gzip = gzip.GzipFile(fileobj=packed, mode="rb")
        self._file = file
        self._limits = limits
        self._grown = 0
        self.is_cut_off = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if self.is_cut_off:
            return 0
        try:
            # Not read(): it would gather several pieces and lose them all where the file was cut off.
            found = self._gzip.read1(len(buffer))
        except EOFError:
            self.is_cut_off = True
            return 0
        except (zlib.error, gzip.BadGzipFile):
            raise ConfigError(
                "is damaged: its gzip compression is broken", file=self._file
            ) from None
        buffer[: len(found)] = found
        self._grown += len(found)
        self._require_measure()
        return len(found)

    def _require_measure(self) -> None:
        most = self._limits.import_inflation
        if (
            self._grown > self._limits.import_inflated_bytes
            and self._grown > most * self._packed.given
        ):
            message = f"holds more than {most:,} bytes for each byte of its gzip compression"
            hint = "No scan shrinks that far. If it is one, inflate it with gunzip first."
            raise ConfigError(message, file=self._file, hint=hint)
