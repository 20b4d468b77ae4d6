"""HTTPS for an ASGI application: uvicorn's protocol behind listeners, caps and deadlines of our own.

Theory of operation. uvicorn turns bytes into requests (httptools) and answers into bytes; its server, with its signal
handlers and its own idea of a socket, is not used. Each connection is accepted here, so it is known before TLS begins:
where there are too many, in all or from one address, the one that has been idle longest is ended for the new one, and the
new one only where none is idle. A stranger who opens ten thousand connections ends his own.

One sweep a second looks at the clocks: a handshake, a whole head, the next request, and a body that must move on, whoever
sends it (``web_stall_s``). Bytes that bring no request further (a long head, chunk extensions, trailers) are bounded.
The application gets the client's certificate, which TLS has verified, by ``certificate_of``; no access is logged here.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.accepting import Acceptor
from doorward.net.descriptors import OUR_OWN, room
from doorward.net.faults import kind_and_place
from doorward.net.joining import Joining
from doorward.net.lean_tls import begin_tls
from doorward.net.tls import TlsContext, telling

_log = logging.getLogger("doorward.net")
#: uvicorn's own messages quote what a peer has sent, and tracebacks.
_SILENT = logging.getLogger("doorward.net.uvicorn")
_SILENT.setLevel(logging.CRITICAL + 1)
_CERTIFICATE = "doorward.certificate"
#: Whether the fault of a request is in the log already.
_REPORTED = "doorward.reported"
_FAILED = b'{"error":"This request has failed"}'
_FAILED_HEADERS = (
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_FAILED)),
)
_BACKLOG = 1_024

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: An ASGI 3 application.
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def certificate_of(scope: Scope) -> bytes | None:
    """Return the client's certificate as DER, verified by TLS; None where none was shown."""
    return cast("bytes | None", scope.get(_CERTIFICATE))


def guarded(app: AsgiApp, *, unless: tuple[type[Exception], ...] = ()) -> AsgiApp:
    """Return the application, whose bugs end a request and nothing else; they are logged by kind and place, told to nobody.

    A door guards all of what it serves, as it owns the tasks. An application that answers in a form of its own guards what
    is inside of that once more; each fault is logged once. ``unless``: what is no bug, such as a client that has gone.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await app(scope, receive, sending)
        except unless:
            return
        except Exception as fault:
            if not scope.get(_REPORTED):
                scope[_REPORTED] = True
                _log.error("a request ended by a fault: %s", kind_and_place(fault))
            if has_begun:
                raise
            await send(
                {"type": "http.response.start", "status": 500, "headers": list(_FAILED_HEADERS)}
            )
            await send({"type": "http.response.body", "body": _FAILED})

    return run


class HttpsDoor:
    """One listener and its connections. Made by ``serve_https``."""

    def __init__(
        self,
        app: AsgiApp,
        listener: socket.socket,
        tls: TlsContext | None,
        tasks: asyncio.TaskGroup,
        limits: Limits,
        told: Callable[[str, str], None],
    ) -> None:
        self.limits = limits
        self._told = told
        self.port = int(listener.getsockname()[1])
        self.config = Config(
            guarded(app),
            loop="none",
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self.config.load()
        self.state = ServerState()
        self.state.default_headers = [(b"server", b"doorward")]
        self._tls = tls
        self._tasks = tasks
        self._lines: set[Line] = set()
        #: Those without a request, the one that is idle longest first.
        self._idle: dict[Line, None] = {}
        self._per_address: Counter[str] = Counter()
        # Associations, handshakes that may become some, and what is stored need open files too.
        others = 2 * limits.associations + OUR_OWN
        self._most = min(
            limits.web_connections, max(1, room(limits.web_connections + others) - others)
        )
        self._is_draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._sweeping = tasks.create_task(self._sweep())
        self._acceptor = Acceptor(listener, self._enter, self._end_oldest)

    @property
    def connections(self) -> int:
        """Connections that are open now, those in a handshake included."""
        return len(self._lines)

    @property
    def requests(self) -> int:
        """Connections on which a request is being answered now."""
        return len(self._lines) - len(self._idle)

    def end(self, is_unwelcome: Callable[[Scope], bool]) -> int:
        """End the connections whose running request is from those who are unwelcome now; return how many."""
        busy = [line for line in self._lines if line.is_busy()]
        found = [line for line in busy if is_unwelcome(cast("Scope", line.cycle.scope))]
        for line in found:
            line.kill()
        return len(found)

    async def close(self, *, drain_s: float | None = None) -> None:
        """Stop listening, let running requests finish for ``drain_s``, then end what is left."""
        self._is_draining = True
        self._acceptor.close()
        self._sweeping.cancel()
        for line in list(self._lines):
            line.end_when_idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.drain_s if drain_s is None else drain_s):
                await self._empty.wait()
        for line in list(self._lines):
            line.kill()
        for task in list(self.state.tasks):
            task.cancel()
        if self.state.tasks:
            await asyncio.wait(self.state.tasks)

    # --- for connections ---------------------------------------------------------------------------------------------

    def became_idle(self, line: "Line") -> None:
        """Put a connection at the end of the idle ones."""
        if self._is_draining:
            line.end_when_idle()
        elif line in self._lines:
            self._idle.pop(line, None)
            self._idle[line] = None

    def became_busy(self, line: "Line") -> None:
        """A whole head has come."""
        self._idle.pop(line, None)

    def leave(self, line: "Line") -> None:
        """Count a connection out."""
        if line not in self._lines:
            return
        self._lines.discard(line)
        self._idle.pop(line, None)
        self._per_address[line.address] -= 1
        if not self._per_address[line.address]:
            del self._per_address[line.address]
        if not self._lines:
            self._empty.set()

    # --- inner -------------------------------------------------------------------------------------------------------

    def _enter(self, connection: socket.socket, address: str) -> None:
        """Take a connection in, or end it where there is no room and none can be made."""
        limits = self.limits
        is_too_many = self._per_address[address] >= limits.web_connections_per_address
        if (is_too_many and not self._end_oldest(address)) or (
            len(self._lines) >= self._most and not self._end_oldest()
        ):
            connection.close()
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(self, address, connection)
        self._lines.add(line)
        self._empty.clear()
        self._per_address[address] += 1
        self._idle[line] = None
        line.opening = self._tasks.create_task(self._open(line, connection))

    async def _open(self, line: "Line", connection: socket.socket) -> None:
        line.accepted = None  # from here on it belongs to a transport
        try:
            if self._tls is None:
                loop = asyncio.get_running_loop()
                await loop.connect_accepted_socket(lambda: line, connection)
            else:
                with telling(partial(self._told, line.address)):
                    await begin_tls(line, connection, self._tls, self.limits.tls_handshake_s)
        except OSError:  # no TLS, a certificate that is refused, too slow, gone
            pass
        finally:
            line.opening = None
            if not line.is_open:
                self.leave(line)

    def _end_oldest(self, address: str | None = None) -> bool:
        """End the connection that is idle longest, of one address or of all; False where there is none."""
        for line in self._idle:
            if address is None or line.address == address:
                line.kill()
                return True
        return False

    async def _sweep(self) -> None:
        limits = self.limits
        pause_s = min(1.0, limits.web_head_s / 4, limits.web_idle_s / 4, limits.web_stall_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            now = asyncio.get_running_loop().time()
            for line in list(self._lines):
                line.look_at_clock(now)


class Line(HttpToolsProtocol):
    """One connection: uvicorn's protocol, with our deadlines and bounds around it."""

    def __init__(self, door: HttpsDoor, address: str, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(door.config, door.state, {}, loop)
        self.logger = _SILENT
        self.address = address
        #: The socket, until a transport has it.
        self.accepted: socket.socket | None = accepted
        self.opening: asyncio.Task[None] | None = None
        self.is_open = False
        self._door = door
        self._limits = door.limits
        self._certificate: bytes | None = None
        #: Since when the present wait lasts, for whom, and what had moved when it began.
        self._since = loop.time()
        self._is_first = True
        #: A request has begun; its head is here and its end is not.
        self._has_begun = self._has_head = False
        #: Bytes that brought no request further, and of the body that did since ``_since``.
        self._fruitless = 0
        self._moved = 0
        self._headers = self._head_bytes = 0
        self._unsent: int | None = None
        self._closing_since: float | None = None

    # --- asyncio calls these -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """TLS is agreed on."""
        super().connection_made(cast("asyncio.Transport", Joining(transport)))
        self.is_open = True
        self._since = self.loop.time()
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._certificate = tls.getpeercert(binary_form=True)
        self._door.became_idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, by whoever's doing."""
        super().connection_lost(exc)
        self._door.leave(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what brings no request further is bounded."""
        if self.transport.is_closing():
            return
        self._fruitless += len(data)
        try:
            self._unset_keepalive_if_required()
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._head_bytes <= self._limits.web_head_bytes:
                self._refuse(b"400 Bad Request", b'{"error":"This is no HTTP request"}')
                return
        if max(self._fruitless, self._head_bytes) > self._limits.web_head_bytes:
            reason = b'{"error":"The head of the request is too long"}'
            self._refuse(b"431 Request Header Fields Too Large", reason)

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write; from now on it has to move on."""
        super().pause_writing()
        self._unsent, self._since = None, self.loop.time()

    def resume_writing(self) -> None:
        """The peer has read; the sender's clock begins anew."""
        super().resume_writing()
        self._since, self._moved = self.loop.time(), 0

    # --- the parser calls these --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins; the application learns whose certificate was shown."""
        super().on_message_begin()
        self._headers = self._head_bytes = 0
        self._has_begun = True
        if not self.is_busy():
            self._since = self.loop.time()
        cast("Scope", self.scope)[_CERTIFICATE] = self._certificate

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count; trailers are headers that come too late to be any."""
        self._headers += 1
        self._head_bytes += len(name) + len(value) + (len(self.url) if self._headers == 1 else 0)
        limits = self._limits
        if self._headers > limits.web_headers or self._head_bytes > limits.web_head_bytes:
            raise ValueError("too many headers, or too long ones")
        if self._has_head:
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: a request has come."""
        if len(self.pipeline) >= self._limits.web_pipelined:
            raise ValueError("too many requests at once")
        super().on_headers_complete()
        self._has_head, self._fruitless, self._moved = True, 0, 0
        self._since = self.loop.time()
        self._door.became_busy(self)

    def on_body(self, body: bytes) -> None:
        """A piece of a body is a step forward."""
        self._fruitless = 0
        self._moved += len(body)
        if not self.is_busy() and self._moved > self._limits.web_dropped_bytes:
            self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._has_head = self._has_begun = False
        self._fruitless = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is given; the rest of a body that nobody has read is dropped, within bounds."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._since, self._moved = self.loop.time(), 0
        self._is_first = False
        if not self.is_busy():
            self._door.became_idle(self)

    # --- the door calls these ----------------------------------------------------------------------------------------

    def end_when_idle(self) -> None:
        """End the connection now, or after the answer that is being given."""
        if not self.is_open:
            self.kill()
        elif self.is_busy():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def kill(self) -> None:
        """End the connection at once."""
        if self.is_open:
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()
        if self.accepted is not None:
            self.accepted.close()
        self._door.leave(self)

    def look_at_clock(self, now: float) -> None:
        """End what has taken too long. The handshake has a clock of its own."""
        if not self.is_open:
            return
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > self._limits.web_head_s:
                self.transport.abort()
        elif not self.is_busy():
            self._look_at_wait(now)
        elif self.flow.write_paused:
            self._look_at_reader(now)
        elif self._has_head and not self.flow.read_paused:
            self._look_at_sender(now)
        else:
            self._since, self._moved = now, 0

    # --- inner -------------------------------------------------------------------------------------------------------

    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        cycle: RequestResponseCycle | None = (
            self.cycle
        )  # uvicorn begins with None, whatever it says
        return cycle is not None and not cycle.response_complete

    def _look_at_wait(self, now: float) -> None:
        is_head = self._has_begun or self._has_head or self._is_first
        most_s = self._limits.web_head_s if is_head else self._limits.web_idle_s
        if now - self._since > most_s:
            if self._has_begun:
                self._refuse(b"408 Request Timeout", b'{"error":"The request came too slowly"}')
            else:
                self.transport.close()

    def _look_at_reader(self, now: float) -> None:
        left = self.transport.get_write_buffer_size()
        if self._unsent is None or self._unsent - left >= self._limits.web_stall_bytes:
            self._unsent, self._since = left, now
        elif now - self._since > self._limits.web_stall_s:
            self.transport.abort()

    def _look_at_sender(self, now: float) -> None:
        if self._moved >= self._limits.web_stall_bytes:
            self._since, self._moved = now, 0
        elif now - self._since > self._limits.web_stall_s:
            self._refuse(b"408 Request Timeout", b'{"error":"The request came too slowly"}')

    def _refuse(self, status: bytes, body: bytes) -> None:
        """Say what is wrong where no answer has begun, and end the connection."""
        if self.is_busy() and self.cycle.response_started:
            self.transport.abort()
            return
        lines = [b"HTTP/1.1 " + status, b"server: doorward", b"content-type: application/json"]
        lines += [b"content-length: %d" % len(body), b"cache-control: no-store"]
        lines += [b"x-content-type-options: nosniff", b"connection: close", b"", body]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()


@asynccontextmanager
async def serve_https(
    app: AsgiApp,
    host: str,
    port: int,
    tls: TlsContext | None,
    limits: Limits = DEFAULT_LIMITS,
    told: Callable[[str, str], None] = lambda _address, _reason: None,
) -> AsyncIterator[HttpsDoor]:
    """Serve an ASGI application while inside; ``port`` 0 takes a free one. Raises OSError when it is taken.

    ``told`` hears from where a handshake was refused, and why. ``tls`` None is plain HTTP: for measurements on loopback.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    try:
        async with asyncio.TaskGroup() as tasks:
            door = HttpsDoor(app, listener, tls, tasks, limits, told)
            try:
                yield door
            finally:
                await door.close()
    finally:
        listener.close()
