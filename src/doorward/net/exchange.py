"""Carries one conversation of ``greetings`` over one connection.

Theory of operation: the driver of generators. It dials through the gate, says what the conversation yields, sends it what
comes, switches to TLS where it asks for that, and hangs up in the end. The time of the whole is bounded here, the bytes by
the conversation's inbox. What ends a conversation from outside (the peer hung up, time is up, TLS failed) is thrown into
it, so that it may still return what it knows; where it does not, the error comes out of ``exchange``.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, cast

from doorward.errors import DoorwardError, PeerProtocolError, ReplyTimeout, TlsFailed
from doorward.greetings.conversation import (
    SILENCE,
    Conversation,
    Errand,
    ResultT,
    Said,
    Secure,
    end_of_stream,
    silence,
)
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial, tls_failure
from doorward.net.tls import TlsContext, TlsSession, session_of
from doorward.wire.wiped import WipedBuffer, wipe

_READ_BYTES = 16_384

#: Makes the second connection of an errand, calls the function (which says the errand's words), and reads to the end.
Aside = Callable[[Errand, Callable[[], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged(Generic[ResultT]):
    """What a conversation found out, and the TLS that it ended in, if any."""

    result: ResultT
    session: TlsSession | None


async def exchange(
    address: str,
    port: int,
    conversation: Conversation[ResultT],
    *,
    gate: Gate,
    tls: TlsContext | None = None,
    switch: TlsContext | None = None,
    server_name: str | None = None,
    aside: Aside | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Exchanged[ResultT]:
    """Lead one conversation; ``tls`` begins with a handshake, ``switch`` is for one that asks for TLS on its way.

    ``aside`` is for a conversation with an errand, which fails without it.

    Raises what ``dial`` raises, PeerProtocolError and LimitExceeded of the conversation (field ``connection``: the peer
    hung up), ReplyTimeout, TlsFailed.
    """
    transport, listener = await dial(
        address,
        port,
        gate=gate,
        protocol=_Listener,
        tls=tls,
        server_name=server_name,
        limits=limits,
    )
    listener.most_bytes = limits.greeting_bytes
    leader = _Leader(transport, listener, switch, server_name or address, limits, aside)
    try:
        result = await leader.lead(conversation)
        return Exchanged(result=result, session=leader.session)
    finally:
        conversation.close()
        await leader.hang_up()


def _sent(conversation: Conversation[ResultT], came: bytearray) -> Said:
    """Give a conversation what came; it takes what it needs, and the rest is zeroed."""
    try:
        return conversation.send(cast(bytes, came))
    finally:
        wipe(came, len(came))


class _Listener(asyncio.BufferedProtocol):
    """Keeps what comes until it is asked for, in memory that is zeroed: an HL7 receiver may say more than it should."""

    def __init__(self) -> None:
        self._buffer = bytearray(_READ_BYTES)
        self.most_bytes = 0
        self.loss: TlsFailed | None = None
        self.gone = asyncio.Event()
        self._news = asyncio.Event()
        self._waiting = WipedBuffer()
        self._transport: asyncio.Transport | None = None
        self._is_forgotten = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to stop reading."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads into."""
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """Keep it; more than a whole conversation may bring is not read any more, and nothing behind its end."""
        if not self._is_forgotten:
            self._waiting.append(memoryview(self._buffer)[:nbytes])
        wipe(self._buffer, nbytes)
        self._news.set()
        if len(self._waiting) > self.most_bytes > 0 and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, by whoever's doing."""
        if isinstance(exc, ssl.SSLError):
            self.loss = tls_failure(exc)
        self.gone.set()
        self._news.set()

    def eof_received(self) -> bool:
        """The peer will say nothing more."""
        self.gone.set()
        self._news.set()
        return False

    async def more(self) -> bytearray:
        """Return what came, nothing when nothing will; whoever takes it zeroes it."""
        if not len(self._waiting) and not self.gone.is_set():
            self._news.clear()
            await self._news.wait()
        came = bytearray(self._waiting.view())
        self._waiting.clear()
        return came

    def forget(self) -> None:
        """Zero what nobody asked for; nothing is kept any more."""
        self._is_forgotten = True
        self._waiting.clear()


class _Leader:
    """One conversation over one transport, which TLS replaces by another."""

    def __init__(
        self,
        transport: asyncio.Transport,
        listener: _Listener,
        switch: TlsContext | None,
        server_name: str,
        limits: Limits,
        aside: Aside | None,
    ) -> None:
        self._aside = aside
        self._transport = transport
        self._listener = listener
        self._switch = switch
        self._server_name = server_name
        self._limits = limits
        #: What TLS agreed on, kept from before an alert can end it.
        self.session = _session(transport)

    async def lead(self, conversation: Conversation[ResultT]) -> ResultT:
        """Return the conversation's result, or raise what ended it."""
        deadline = asyncio.get_running_loop().time() + self._limits.greeting_s
        step: Callable[[], Said] = lambda: next(conversation)  # noqa: E731 - the first of many steps
        while True:
            try:
                said = step()
            except StopIteration as end:
                return cast(ResultT, end.value)
            except PeerProtocolError as error:
                if error.field == SILENCE:
                    raise ReplyTimeout(
                        f"no answer within {self._limits.greeting_s:g} s after the connection"
                    ) from None
                raise
            step = await self._answered(conversation, said, deadline)

    async def _answered(
        self, conversation: Conversation[ResultT], said: Said, deadline: float
    ) -> Callable[[], Said]:
        """Say it and return the step with which the conversation goes on."""
        try:
            async with asyncio.timeout_at(deadline):
                came = await self._say(said)
        except TimeoutError:
            return lambda: conversation.throw(silence())
        except DoorwardError as error:
            fault = error
            return lambda: conversation.throw(fault)
        return lambda: _sent(conversation, came)

    async def _say(self, said: Said) -> bytearray:
        if isinstance(said, bytes):
            self._write(said)
            came = await self._listener.more()
            if not came:
                raise self._listener.loss or end_of_stream()
            return came
        if isinstance(said, Errand):
            await self._run(said)
            return bytearray()
        self._write(said.words)
        if isinstance(said, Secure):
            await self._secure()
        return bytearray()

    async def _run(self, errand: Errand) -> None:
        if self._aside is None:
            raise PeerProtocolError("no errand was expected", field="errand", source="this program")
        await self._aside(errand, lambda: self._write(errand.words))

    def _write(self, words: bytes) -> None:
        if words and not self._transport.is_closing():
            self._transport.write(words)

    async def _secure(self) -> None:
        """Make the handshake inside the connection; raises TlsFailed. What still comes in plain text makes it fail."""
        if self._switch is None:
            raise TlsFailed("TLS was offered and not wanted", kind="other")
        try:
            secured = await asyncio.get_running_loop().start_tls(
                self._transport,
                self._listener,
                self._switch,
                server_hostname=self._server_name,
                ssl_handshake_timeout=self._limits.tls_handshake_s,
            )
        except ssl.SSLError as error:
            raise tls_failure(error) from None
        except OSError:
            raise TlsFailed(
                "the peer closed the connection during the TLS handshake", kind="closed"
            ) from None
        assert secured is not None
        self._transport = secured
        self.session = _session(secured)

    async def hang_up(self) -> None:
        """Close in order; whoever takes long over it is dropped."""
        self._listener.forget()
        self._transport.close()
        try:
            async with asyncio.timeout(self._limits.tls_linger_s):
                await self._listener.gone.wait()
        except TimeoutError:
            pass
        self._transport.abort()


def _session(transport: asyncio.Transport) -> TlsSession | None:
    found = transport.get_extra_info("ssl_object")
    return None if found is None else session_of(found)
