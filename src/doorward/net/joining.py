"""The head of an HTTP answer and its body in one piece: uvicorn writes them one after the other.

A small answer is then one record of TLS instead of two, and one call of the system, which takes as long as to encrypt 64 KiB.
"""

import asyncio

#: How every answer begins.
_HEAD = b"HTTP/1.1 "


class Joining:
    """A transport that sends the head of an answer with what follows it at once: one record of TLS, one call of the system.

    A head after which nothing comes in the same turn of the loop leaves alone. Everything else is the transport's own.
    """

    __slots__ = (
        *("_head", "_loop", "_transport", "abort", "get_extra_info", "get_write_buffer_size"),
        *("is_closing", "pause_reading", "resume_reading"),
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.abort = transport.abort

    def write(self, piece: bytes) -> None:
        """Send a piece, or keep it for a moment where it begins an answer."""
        if self._head:
            piece, self._head = self._head + piece, b""
        elif piece.startswith(_HEAD):
            self._head = piece
            self._loop.call_soon(self._flush)
            return
        if piece:
            self._transport.write(piece)

    def close(self) -> None:
        """Close it behind what was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            piece, self._head = self._head, b""
            self._transport.write(piece)
