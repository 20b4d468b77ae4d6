"""Where a response body begins and ends, without holding it (RFC 9112 section 6).

Theory of operation: ``framing_of`` reads the head and returns a ``BodyFraming``; ``feed`` takes the bytes that follow and
gives the pieces of the body as views of them, so nothing is copied that would have to be wiped. h11 could do this too, but
it keeps and copies every byte, and the bytes of a query answer may name a patient (promise 2).
What the peer does wrong raises PeerProtocolError; nothing else can come out of ``feed``.
"""

import re
from collections.abc import Iterable, Iterator

from doorward.errors import LimitExceeded, PeerProtocolError

#: A chunk size with its extensions, or one trailer line (RFC 9112 section 7.1).
_LINE_BYTES = 1_024
#: All trailer lines of one body together.
_TRAILER_BYTES = 8_192
#: Sixteen digits are more than 2**60 bytes.
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\Z", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
#: These never have a body (RFC 9112 section 6.3).
_WITHOUT_BODY = (204, 205, 304)


def _fault(words: str) -> PeerProtocolError:
    return PeerProtocolError(words, field="HTTP body", source="RFC 9112 section 6")


class BodyFraming:
    """A body of so many bytes, or (``length`` None) one that ends with the connection."""

    def __init__(self, length: int | None) -> None:
        self._left = length

    @property
    def is_complete(self) -> bool:
        """The end of the body was seen."""
        return self._left == 0

    def feed(self, chunk: memoryview) -> Iterator[memoryview]:
        """Yield the pieces of the body; what follows its end is dropped."""
        if self._left is None:
            yield chunk
            return
        piece = chunk[: self._left]
        self._left -= len(piece)
        if piece:
            yield piece

    def ends_well(self) -> bool:
        """Tell, when the connection has ended, whether the body was whole."""
        return self._left in (0, None)


class ChunkedFraming(BodyFraming):
    """A body in chunks (RFC 9112 section 7.1)."""

    def __init__(self) -> None:
        super().__init__(None)
        self._line = bytearray()
        self._in_chunk = 0  # bytes of the chunk still to come
        self._expects = "size"  # size | bytes | end | trailer | nothing
        self._trailer_bytes = 0

    @property
    def is_complete(self) -> bool:
        """The last chunk and the trailers were seen."""
        return self._expects == "nothing"

    def feed(self, chunk: memoryview) -> Iterator[memoryview]:
        """Yield the pieces of the body; raises PeerProtocolError, LimitExceeded."""
        position = 0
        while position < len(chunk) and self._expects != "nothing":
            if self._expects == "bytes":
                piece = chunk[position : position + self._in_chunk]
                position += len(piece)
                self._in_chunk -= len(piece)
                if not self._in_chunk:
                    self._expects = "end"
                yield piece
                continue
            position = self._take_line(chunk, position)

    def ends_well(self) -> bool:
        """Tell, when the connection has ended, whether the last chunk had come."""
        return self.is_complete

    def _take_line(self, chunk: memoryview, position: int) -> int:
        """Gather one line, byte by byte: these lines are short, and chunks are not."""
        while position < len(chunk):
            byte = chunk[position]
            position += 1
            self._line.append(byte)
            if byte == 0x0A:
                line, self._line = bytes(self._line), bytearray()
                self._end_line(line)
                return position
            if len(self._line) > _LINE_BYTES:
                raise LimitExceeded(
                    limit="HTTP chunk line", value=_LINE_BYTES, seen=len(self._line)
                )
        return position

    def _end_line(self, line: bytes) -> None:
        if self._expects == "trailer":
            self._end_trailer(line)
            return
        if not line.endswith(b"\r\n"):
            raise _fault("a line of a chunked body ends without a carriage return")
        text = line[:-2]
        if self._expects == "size":
            self._in_chunk = _chunk_size(text)
            self._expects = "bytes" if self._in_chunk else "trailer"
        elif text:
            raise _fault("a chunk is longer than its size")
        else:
            self._expects = "size"

    def _end_trailer(self, line: bytes) -> None:
        """Drop a trailer unread; a bare line feed ends one too (RFC 9112 section 2.2)."""
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _TRAILER_BYTES:
            raise LimitExceeded(
                limit="HTTP trailers", value=_TRAILER_BYTES, seen=self._trailer_bytes
            )
        if line in (b"\r\n", b"\n"):
            self._expects = "nothing"


def _chunk_size(text: bytes) -> int:
    found = _CHUNK_SIZE.match(text)
    if found is None:
        raise _fault("a chunk has no size")
    return int(found[1], 16)


def framing_of(method: str, status: int, headers: Iterable[tuple[str, str]]) -> BodyFraming:
    """Return how the body of a response is framed (RFC 9112 section 6.3); header names in lower case.

    Raises PeerProtocolError for lengths that contradict each other and for an unknown transfer coding.
    """
    if method == "HEAD" or status < 200 or status in _WITHOUT_BODY:
        return BodyFraming(0)
    named = [(name, value) for name, value in headers]
    codings = ",".join(v for n, v in named if n == "transfer-encoding").lower().replace(" ", "")
    if codings:
        if codings != "chunked":
            raise _fault("the transfer coding is not chunked")
        return ChunkedFraming()
    lengths = {p.strip() for n, v in named if n == "content-length" for p in v.split(",")}
    if not lengths:
        return BodyFraming(None)
    length = lengths.pop()
    if lengths or not _LENGTH.match(length):
        raise _fault("the length of the body is no number, or several")
    return BodyFraming(int(length))
