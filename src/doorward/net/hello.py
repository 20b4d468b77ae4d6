"""One raw ClientHello, and what the server answers: no handshake library, no keys, never a second message.

Theory of operation: ``greet`` dials (the gate is asked there), makes the protocol's own switch to TLS where it has one,
sends the hello and feeds what comes to a ``FlightReader`` until that has seen enough, the connection ends, or time is up.
Then it says close_notify and hangs up: the server never gets keys, so nothing is ever encrypted, asked or changed.

A switch is a *prelude*: a generator that yields what to send and is sent what came (b"" yields wait for the server's
first word). It returns "" when TLS may begin, or why there is none, in words without a byte of the server; or, as bytes,
its last words, after which the hello follows at once (MySQL does not answer them). It has no socket, so it can be tested
and fuzzed like the parsers. Each connection needs a new one.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import cast

from doorward.errors import LimitExceeded, TlsFailed
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial
from doorward.web.tls_hello import ClientHello
from doorward.web.tls_records import Flight, FlightEnd, FlightReader
from doorward.wire.wiped import wipe

#: Yields bytes to send, is sent bytes that came; returns "" or last words (TLS begins), or why there is no TLS.
PreludeSteps = Generator[bytes, bytes, str | bytes]
Prelude = Callable[[], PreludeSteps]

_READ_BYTES = 16_384
#: A warning close_notify in a record of TLS 1.0, the one version that every server can read (RFC 5246 section 7.2.1).
_CLOSE_NOTIFY = bytes.fromhex("15 0301 0002 01 00")


async def greet(
    address: str,
    port: int,
    hello: ClientHello,
    *,
    gate: Gate,
    prelude: Prelude | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Flight:
    """Send one ClientHello over one new connection and return the server's first flight.

    Every answer is a value, silence and garbage included. Raises ScopeError, ConnectFailed and ConnectTimeout from the
    dialling, and TlsFailed (kind ``refused``) when the prelude says that there is no TLS here.
    """
    transport, listener = await dial(
        address,
        port,
        gate=gate,
        protocol=lambda: _Listener(hello.encode(), prelude, limits),
        limits=limits,
    )
    try:
        async with asyncio.timeout(limits.tls_handshake_s):
            await listener.finished.wait()
    except TimeoutError:
        listener.reader.stop(FlightEnd.SILENT)
    finally:
        if listener.is_speaking_tls and not transport.is_closing():
            transport.write(_CLOSE_NOTIFY)
        transport.close()
    if listener.refusal is not None:
        raise listener.refusal
    return listener.reader.flight()


class _Listener(asyncio.BufferedProtocol):
    """Runs the prelude, sends the hello, feeds the reader. What was read is zeroed: a peer may say anything (promise 2)."""

    def __init__(self, hello: bytes, prelude: Prelude | None, limits: Limits) -> None:
        self.finished = asyncio.Event()
        self.reader = FlightReader(limits)
        self.refusal: TlsFailed | LimitExceeded | None = None
        self.is_speaking_tls = False
        self._hello = hello
        self._steps = None if prelude is None else prelude()
        self._limits = limits
        self._prelude_bytes = 0
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_READ_BYTES))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: with the prelude's first words, or with the hello."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base
        if self._steps is None:
            self._say_hello()
        else:
            self._step(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand the bytes to whoever listens at this stage, and zero them."""
        try:
            self._take(self._buffer[:nbytes])
        finally:
            wipe(self._buffer, nbytes)

    def _take(self, data: memoryview) -> None:
        if self.finished.is_set():
            return
        if not self.is_speaking_tls:
            self._step(bytes(data))
            return
        self.reader.receive(data)
        if self.reader.is_finished:
            self.finished.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up; how is the same to us."""
        if not self.is_speaking_tls and not self.finished.is_set():
            self._refuse("the connection was closed before TLS could begin")
        self.reader.stop(FlightEnd.CLOSED)
        self.finished.set()

    def _step(self, data: bytes | None) -> None:
        """Go one step on in the prelude. Bytes that a server sends after its consent are dropped: they are not TLS yet."""
        assert self._steps is not None
        self._prelude_bytes += len(data or b"")
        if self._prelude_bytes > self._limits.tls_prelude_bytes:
            self.refusal = LimitExceeded(
                limit="tls_prelude_bytes",
                value=self._limits.tls_prelude_bytes,
                seen=self._prelude_bytes,
            )
            self.finished.set()
            return
        try:
            words = next(self._steps) if data is None else self._steps.send(data)
        except StopIteration as end:
            if isinstance(end.value, str) and end.value:
                self._refuse(end.value)
                return
            self._send(end.value or b"")
            self._say_hello()
        else:
            self._send(words)

    def _say_hello(self) -> None:
        self.is_speaking_tls = True
        self._send(self._hello)

    def _send(self, words: bytes) -> None:
        if words and self._transport is not None and not self._transport.is_closing():
            self._transport.write(words)

    def _refuse(self, why: str) -> None:
        self.refusal = TlsFailed(why, kind="refused")
        self.finished.set()
