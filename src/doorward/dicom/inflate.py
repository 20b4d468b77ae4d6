"""Inflating deflated data sets in a stream, with a bound on what comes out (PS3.5 section A.5, RFC 1951).

Theory of operation. Deflated bytes go in by ``feed``, which yields what they inflate to in pieces of at most 64 KiB; the
caller may stop at any piece, and no more than one is ever held here. ``finish`` says that there are no more: a stream that
was cut off is an error then. Two bounds hold before a piece is given out: ``limits.inflate_bytes`` for all output, and
``limits.inflate_ratio`` for the output against the input that it was made from.
"""

import zlib
from collections.abc import Iterator

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

_PIECE_BYTES = 65_536  # of output at a time: the unit of work, not a bound on a peer
_PART_BYTES = 16_384  # of input at a time: zlib copies what it could not use yet
#: Checksum and length (RFC 1952 section 2.3.1): files in circulation have them, pydicom's image_dfl.dcm for one.
_GZIP_TRAILER_BYTES = 8


class Inflater:
    """One deflated data set on its way; after an error it is of no more use."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._zlib = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self._taken = 0
        self._produced = 0
        self._behind_end = 0

    def feed(self, deflated: bytes | memoryview) -> Iterator[bytes]:
        """Yield what the next bytes inflate to, in pieces of at most 64 KiB.

        Has to be used up before the next call. Raises PeerProtocolError where the bytes are no deflate stream, or go on
        behind its end; LimitExceeded (``inflate_ratio``, ``inflate_bytes``).
        """
        view = memoryview(deflated)
        for start in range(0, len(view), _PART_BYTES):
            part = view[start : start + _PART_BYTES]
            if self._zlib.eof:
                self._check_end(len(part))
            else:
                yield from self._inflate(part)

    def finish(self) -> None:
        """Say that there is no more input. Raises PeerProtocolError where the stream has not ended."""
        if not self._zlib.eof:
            raise _protocol("it ends before its last block does")

    def _inflate(self, part: bytes | memoryview) -> Iterator[bytes]:
        rest = part
        while True:
            try:
                piece = self._zlib.decompress(rest, _PIECE_BYTES)
            except zlib.error:
                raise _protocol("it is no deflate stream") from None
            tail = self._zlib.unconsumed_tail
            self._taken += len(rest) - len(tail) - len(self._zlib.unused_data)
            rest = tail
            self._check_bounds(len(piece))
            if piece:
                yield piece
            if self._zlib.eof:
                self._check_end(len(self._zlib.unused_data))
                return
            # A full piece may mean that more is waiting inside, even without input.
            if not rest and len(piece) < _PIECE_BYTES:
                return

    def _check_bounds(self, produced: int) -> None:
        self._produced += produced
        limits = self._limits
        if self._produced > limits.inflate_bytes:
            raise LimitExceeded(
                limit="inflate_bytes", value=limits.inflate_bytes, seen=self._produced
            )
        if self._produced > limits.inflate_ratio * self._taken:
            ratio = self._produced // max(1, self._taken)
            raise LimitExceeded(limit="inflate_ratio", value=limits.inflate_ratio, seen=ratio)

    def _check_end(self, behind_end: int) -> None:
        """Allow the NUL that makes the length even (PS3.5 section A.5), and what a gzip writer leaves there."""
        self._behind_end += behind_end
        if self._behind_end > _GZIP_TRAILER_BYTES + 1:
            raise _protocol("it goes on behind its last block")


def inflate(deflated: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return a whole deflated data set, inflated; raises as ``Inflater``."""
    inflater = Inflater(limits)
    inflated = b"".join(inflater.feed(deflated))
    inflater.finish()
    return inflated


def _protocol(message: str) -> PeerProtocolError:
    return PeerProtocolError(message, field="deflated data set", source="PS3.5 section A.5")
