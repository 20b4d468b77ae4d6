"""Downloads over HTTP and HTTPS that cost as little as can be: what is measured is the server, not who asks.

A blocking ``ssl`` socket gives one record at a time, with two calls of the system for each: 1.5 ms of a processor for a
megabyte, more than a server takes to send it. Here much is received at once and decrypted in memory, in half of that. Of the
answer its status is looked at, its bytes are counted and dropped, and where it ends is checked: cut short is no answer.
"""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from measures.processes import HOST, Broken

_TIMEOUT_S = 300.0
#: What is received at a time stays in the processor's cache.
_BUFFER_BYTES = 262_144
_RECORD_BYTES = 16_384
_END_OF_HEAD = b"\r\n\r\n"
#: Of a body that does not say its length: the last chunk, the last boundary.
_ENDS = (b"0\r\n\r\n", b"--\r\n")
_END_BYTES = max(map(len, _ENDS))
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


def tls_context(authority: Path, certificate: Path | None = None) -> ssl.SSLContext:
    """Return what verifies the server, and shows a certificate where there is one."""
    context = ssl.create_default_context(cafile=authority)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def download(
    port: int, path: str, accept: str, tls: ssl.SSLContext | None = None
) -> tuple[int, float]:
    """Ask once, on a connection of its own; return the bytes behind the head, and the seconds from request to end.

    Raises Broken where the answer is not 200 or was cut short.
    """
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )
    with socket.socket() as sock:
        sock.settimeout(_TIMEOUT_S)
        sock.connect((HOST, port))
        line = _Plain(sock) if tls is None else _Decrypted(sock, tls)
        begun = time.perf_counter()
        line.send(request.encode())
        size = _counted(line.pieces())
        return size, time.perf_counter() - begun


class _Plain:
    """HTTP as it is."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, request: bytes) -> None:
        self._sock.sendall(request)

    def pieces(self) -> Iterator[memoryview]:
        """Yield what comes, each piece until the next one is asked for."""
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        while count := self._sock.recv_into(buffer):
            yield buffer[:count]


class _Decrypted:
    """TLS in memory."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=HOST)
        self._received = memoryview(bytearray(_BUFFER_BYTES))
        while not self._has_agreed():
            self._receive()
        self._flush()

    def send(self, request: bytes) -> None:
        self._session.write(request)
        self._flush()

    def pieces(self) -> Iterator[memoryview]:
        """Yield what comes, each piece until the next one is asked for."""
        record = memoryview(bytearray(_RECORD_BYTES))
        while True:
            try:
                while count := cast("int", self._session.read(_RECORD_BYTES, record)):
                    yield record[:count]
                return
            except ssl.SSLWantReadError:
                if not self._receive():
                    return

    def _has_agreed(self) -> bool:
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()
        return True

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._sock.sendall(self._outgoing.read())

    def _receive(self) -> bool:
        count = self._sock.recv_into(self._received)
        self._incoming.write(self._received[:count])
        return count > 0


def _counted(pieces: Iterator[memoryview]) -> int:
    """Return the size of the body; the framing of chunks is part of it."""
    head = b""
    for piece in pieces:
        head += piece
        if _END_OF_HEAD in head:
            break
    head, _, begun = head.partition(_END_OF_HEAD)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Broken(f"a download was answered with {head[:12]!r}")
    size, end = len(begun), begun[-_END_BYTES:]
    for piece in pieces:
        size += len(piece)
        end = (end + bytes(piece[-_END_BYTES:]))[-_END_BYTES:]
    told = _LENGTH.search(head)
    if size != int(told[1]) if told else not end.endswith(_ENDS):
        raise Broken(f"a download was cut short after {size} bytes")
    return size
