"""One HTTP/1.1 request over one connection, bounded in bytes and in time.

Theory of operation: ``fetch`` dials through the gate, sends a head (never a body), reads one answer and closes. It follows
no redirect, keeps no cookie, decodes no content coding: whoever calls decides what the answer is worth. h11 writes the
request and reads the head of the answer, strictly; the body is cut out by ``web.body`` as views of one buffer of ours, given
to ``sink`` or kept up to ``max_body_bytes``, and the buffer is zeroed in the end, because a body may name a patient and h11
copies what it is fed. Only methods that change nothing can be sent; a POST goes without a body and so stores nothing.
``post_form`` is the one exception, for a login at an OpenID provider; the auditor may not even name it (tools/house.py).
A head that is garbage raises PeerProtocolError; a body that ends early, is garbage or takes too long is ``truncated``.
"""

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlencode

import h11

from doorward.errors import (
    DoorwardError,
    LimitExceeded,
    LocalProtocolError,
    PeerProtocolError,
    ReplyTimeout,
)
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial, tls_failure
from doorward.net.tls import TlsContext
from doorward.web.body import BodyFraming, framing_of
from doorward.wire.wiped import WipedBuffer, WipedBytes, wipe

#: What may be sent: nothing here can change anything as long as there is no body.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PROPFIND"})
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_MAGIC = b"HTTP/"
_SOURCE = "RFC 9112 section 4"

#: Takes a piece of a body, valid during the call only; False: enough.
Sink = Callable[[memoryview], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """One answer. Header names are in lower case; ``body`` is empty where a sink took it, and zeroed with the answer."""

    status: int
    http_version: str
    headers: tuple[tuple[str, str], ...]
    body: bytearray = field(default_factory=WipedBytes)
    #: The body was longer than wanted, ended early, was no legal body, or took too long.
    truncated: bool = False
    #: Bytes of the body that arrived, kept or not.
    bytes_seen: int = 0

    def header(self, name: str) -> str:
        """Return the value of a header, several joined by a comma, "" where there is none."""
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def location(self) -> str:
        """Where the peer would like us to go; nobody has to."""
        return self.header("location")

    @property
    def is_encoded(self) -> bool:
        """The body is compressed although nobody asked for it; it is never inflated."""
        return self.header("content-encoding").strip().lower() not in ("", "identity")


async def fetch(  # noqa: PLR0913 - one request has so many parts
    address: str,
    port: int,
    *,
    gate: Gate,
    tls: TlsContext | None = None,
    server_name: str | None = None,
    method: str = "GET",
    path: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    max_body_bytes: int | None = None,
    sink: Sink | None = None,
    user_agent: str,
    limits: Limits = DEFAULT_LIMITS,
) -> HttpReply:
    """Send one request without a body and return the answer; ``path`` includes the query.

    Raises what ``dial`` raises, ReplyTimeout without a head in time, PeerProtocolError for what is no HTTP, LimitExceeded
    for a head beyond its bounds, LocalProtocolError for a method or path that we do not send.
    """
    host = _host(server_name or address, port, is_tls=tls is not None)
    request = _request(method, path, host, user_agent, headers)
    most = limits.http_body_bytes if max_body_bytes is None else max_body_bytes
    transport, exchange = await dial(
        address,
        port,
        gate=gate,
        protocol=lambda: _Exchange(method, most, sink, limits),
        tls=tls,
        server_name=server_name,
        limits=limits,
    )
    return await _exchanged(transport, exchange, exchange.begin(request), limits)


async def post_form(
    address: str,
    port: int,
    *,
    gate: Gate,
    fields: Mapping[str, str],
    tls: TlsContext | None = None,
    server_name: str | None = None,
    path: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    user_agent: str,
    limits: Limits = DEFAULT_LIMITS,
) -> HttpReply:
    """Send a form (RFC 6749 section 4.1.3) and return the answer. Raises as ``fetch`` does."""
    host = _host(server_name or address, port, is_tls=tls is not None)
    body = urlencode(fields).encode("ascii")
    sent = [*headers, ("Content-Type", "application/x-www-form-urlencoded")]
    request = _request("POST", path, host, user_agent, sent, len(body))
    transport, exchange = await dial(
        address,
        port,
        gate=gate,
        protocol=lambda: _Exchange("POST", limits.http_body_bytes, None, limits),
        tls=tls,
        server_name=server_name,
        limits=limits,
    )
    return await _exchanged(transport, exchange, exchange.begin(request, body), limits)


async def _exchanged(
    transport: asyncio.Transport, exchange: "_Exchange", request: bytes, limits: Limits
) -> HttpReply:
    try:
        transport.write(request)
        await _wait(exchange, limits)
        return exchange.reply()
    finally:
        transport.abort()
        exchange.forget()


async def _wait(exchange: "_Exchange", limits: Limits) -> None:
    try:
        async with asyncio.timeout(limits.http_head_s):
            await exchange.has_head.wait()
    except TimeoutError:
        raise ReplyTimeout(
            f"no HTTP answer within {limits.http_head_s:g} s after the request"
        ) from None
    try:
        async with asyncio.timeout(limits.http_body_s):
            await exchange.is_over.wait()
    except TimeoutError:
        pass  # the head is an answer; the body stays truncated


def _host(name: str, port: int, *, is_tls: bool) -> str:
    """Return the Host header (RFC 9110 section 7.2)."""
    try:
        name = f"[{name}]" if ipaddress.ip_address(name).version == 6 else name
    except ValueError:
        pass
    return name if port == (443 if is_tls else 80) else f"{name}:{port}"


def _request(
    method: str,
    path: str,
    host: str,
    user_agent: str,
    headers: Iterable[tuple[str, str]],
    body_bytes: int = 0,
) -> h11.Request:
    if method not in METHODS:
        raise LocalProtocolError("a method that could change something is never sent")
    lines = [
        ("Host", host),
        ("User-Agent", user_agent),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        *headers,
    ]
    if method == "POST":
        lines.append(("Content-Length", str(body_bytes)))
    try:
        return h11.Request(method=method, target=path, headers=lines)
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise LocalProtocolError("the request cannot be written as HTTP/1.1") from error


class _Exchange(asyncio.BufferedProtocol):
    """One request and its answer. The head grows in the buffer; body bytes pass through it."""

    def __init__(self, method: str, max_body_bytes: int, sink: Sink | None, limits: Limits) -> None:
        self._method = method
        self._most = max_body_bytes
        self._sink = sink
        self._limits = limits
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.http_head_bytes)
        self._buffer = bytearray(limits.http_head_bytes)
        self._begin = self._end = 0  # of what was read and is not yet a head
        self._response: h11.Response | None = None
        self._framing: BodyFraming | None = None
        self._body = WipedBuffer()
        self._seen = 0
        self._is_whole = False
        self._fault: DoorwardError | None = None
        self.has_head = asyncio.Event()
        self.is_over = asyncio.Event()

    def begin(self, request: h11.Request, body: bytes = b"") -> bytes:
        """Return the bytes of the request."""
        sent = (self._http.send(request), self._http.send(h11.Data(data=body)))
        return b"".join(part or b"" for part in (*sent, self._http.send(h11.EndOfMessage())))

    def reply(self) -> HttpReply:
        """Return the answer, or raise what stood in its way."""
        if self._response is None:
            raise self._fault or PeerProtocolError(
                "the connection ended without an answer", field="HTTP", source=_SOURCE
            )
        return HttpReply(
            status=self._response.status_code,
            http_version=self._response.http_version.decode("ascii"),
            headers=_decoded(self._response),
            body=WipedBytes(self._body.view()),
            truncated=not self._is_whole,
            bytes_seen=self._seen,
        )

    def forget(self) -> None:
        """Zero everything that was read; nothing is taken any more."""
        self._finish()
        wipe(self._buffer, len(self._buffer))
        self._body.clear()

    # --- asyncio calls these --------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads into: behind the unfinished head, or over the last piece of the body."""
        # never empty: a head that fills it is over, and uvloop asks once more before it stops reading
        return memoryview(self._buffer)[0 if self.is_over.is_set() else self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read; what comes after the end is zeroed at once (promise 2)."""
        if self.is_over.is_set():
            wipe(self._buffer, nbytes)
            return
        self._end += nbytes
        try:
            if self._framing is None:
                self._read_heads()
            if self._framing is not None:
                self._read_body(memoryview(self._buffer)[self._begin : self._end])
                self._begin = self._end = 0
        except (PeerProtocolError, LimitExceeded) as fault:
            self._fault = fault
            self._finish()

    def eof_received(self) -> bool:
        """The peer will send nothing more."""
        self._end_of_stream()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, by whoever's doing."""
        if isinstance(exc, ssl.SSLError) and self._fault is None:
            self._fault = tls_failure(exc)
        self._end_of_stream(is_clean=exc is None)

    # --- inner ----------------------------------------------------------------------------------------------------

    def _end_of_stream(self, *, is_clean: bool = True) -> None:
        if not self.is_over.is_set():
            self._is_whole = is_clean and self._framing is not None and self._framing.ends_well()
            self._finish()

    def _finish(self) -> None:
        self.has_head.set()
        self.is_over.set()

    def _read_heads(self) -> None:
        """Read heads until one is final: interim answers (1xx) come before it."""
        seen = self._buffer[self._begin : min(self._begin + len(_MAGIC), self._end)]
        if not _MAGIC.startswith(bytes(seen)):
            raise PeerProtocolError("the answer is no HTTP", field="HTTP", source=_SOURCE)
        while found := _END_OF_HEAD.search(self._buffer, self._begin, self._end):
            self._http.receive_data(bytes(memoryview(self._buffer)[self._begin : found.end()]))
            self._begin = found.end()
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise PeerProtocolError(
                    "the head is no legal HTTP", field="HTTP", source=_SOURCE
                ) from error
            if isinstance(event, h11.Response):
                self._accept(event)
                return
            if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                raise PeerProtocolError("no answer to us", field="HTTP", source=_SOURCE)
        if self._end == len(self._buffer):
            raise LimitExceeded(
                limit="http_head_bytes", value=self._limits.http_head_bytes, seen=self._end
            )

    def _accept(self, response: h11.Response) -> None:
        if len(response.headers) > self._limits.http_headers:
            raise LimitExceeded(
                limit="http_headers",
                value=self._limits.http_headers,
                seen=len(response.headers),
            )
        self._framing = framing_of(self._method, response.status_code, _decoded(response))
        self._response = response
        self.has_head.set()

    def _read_body(self, chunk: memoryview) -> None:
        framing = cast(BodyFraming, self._framing)
        for piece in framing.feed(chunk):
            room = self._most - self._seen
            self._seen += len(piece)
            if self._sink is None:
                self._body.append(piece[:room])
            elif not self._sink(piece[:room]):
                self._finish()
                return
            if len(piece) > room:
                self._finish()
                return
        if framing.is_complete:
            self._is_whole = True
            self._finish()


def _decoded(response: h11.Response) -> tuple[tuple[str, str], ...]:
    """Return the headers as text, byte for byte (RFC 9110 section 5.5: opaque beyond ASCII)."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers
    )
