"""Sends messages to an outside collector: syslog (RFC 5424) over TLS (RFC 5425), as PS3.15 A.6 asks.

Theory of operation: what is to be sent waits in an outbox (the spool of access/). The sender takes a batch, writes it,
and lets it go only when the collector's system has acknowledged every byte; syslog has no acknowledgement of its own, and
bytes in our buffers are lost with the connection. So a message is sent at least once: after a lost connection the batch
is sent again. (What the collector's system has acknowledged and its program has not read is lost with that machine.)
A collector that cannot be reached is dialled again and again, with a pause that doubles up to a bound; a collector that
takes nothing for too long counts as lost. What it sends back is dropped: RFC 5425 has no answers.
"""

import asyncio
import fcntl
import re
import struct
import termios
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from doorward.errors import DoorwardError, PeerError, TransportError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial
from doorward.net.tls import TlsContext

#: RFC 5424 section 6.2.1: security and authorization messages, as PS3.15 A.6 says.
_FACILITY = 10
#: PS3.15 A.6: messages of the schema in PS3.15 A.5.1.
MSGID = "DICOM+RFC3881"
_NIL = "-"
_BOM = b"\xef\xbb\xbf"
_NOT_PRINTABLE = re.compile(r"[^!-~]")


#: RFC 5424 section 6.2.3.
_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who sends, in the words of RFC 5424 section 6.2: HOSTNAME, APP-NAME, PROCID."""

    host: str
    application: str
    process: str


class Outbox(Protocol):
    """Where messages wait."""

    def peek(self, count: int) -> list[bytes]:
        """Return the oldest, at most so many, and keep them."""

    def advance(self, count: int) -> None:
        """Let go of the oldest: they have arrived."""


class CollectorLost(TransportError):
    """The collector closed the connection, or took nothing for too long."""


def syslog_message(text: bytes, *, origin: Origin, time: datetime, severity: int) -> bytes:
    """Return one message of RFC 5424: its header, no structured data, a BOM and the text, which is UTF-8."""
    stamp = time.astimezone(UTC).strftime(_STAMP)
    words = (
        f"<{_FACILITY * 8 + severity}>1",
        stamp,
        _word(origin.host, 255),
        _word(origin.application, 48),
        _word(origin.process, 128),
        MSGID,
        _NIL,
    )
    return " ".join(words).encode("ascii") + b" " + _BOM + text


def time_of(message: bytes) -> datetime:
    """Return when a message of ours says that it was made."""
    stamp = message.split(b" ", 2)[1].decode("ascii")
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)


def frame(message: bytes) -> bytes:
    """Return the message with its length before it (RFC 5425 section 4.3.1)."""
    return b"%d %s" % (len(message), message)


class SyslogSender:
    """Sends what waits in an outbox to one collector, for as long as ``run`` runs.

    ``tls``: a verifying context (``net.tls.client_context``); ``server_name`` is what its certificate must be made for.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        outbox: Outbox,
        gate: Gate,
        tls: TlsContext,
        server_name: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._address = address
        self._port = port
        self._outbox = outbox
        self._gate = gate
        self._tls = tls
        self._server_name = server_name
        self._limits = limits
        self._news = asyncio.Event()
        #: Messages that have arrived, and connections that were lost or not made.
        self.delivered = 0
        self.failures = 0
        #: Why the last connection was lost or not made; None: there was none, or all is well again.
        self.trouble: DoorwardError | None = None

    def notify(self) -> None:
        """Say that something waits in the outbox."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled. Raises ScopeError where the gate refuses, StorageError of the outbox."""
        pause_s = self._limits.syslog_retry_s
        while True:
            delivered = self.delivered
            try:
                await self._connection()
            except (TransportError, PeerError) as trouble:
                self.failures += 1
                self.trouble = trouble
            if self.delivered > delivered:
                pause_s = self._limits.syslog_retry_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._limits.syslog_longest_retry_s)

    async def _connection(self) -> None:
        transport, collector = await dial(
            self._address,
            self._port,
            gate=self._gate,
            protocol=_Collector,
            tls=self._tls,
            server_name=self._server_name,
            limits=self._limits,
        )
        try:
            while True:
                self._news.clear()
                batch = self._outbox.peek(self._limits.syslog_batch)
                if not batch:
                    await self._wait(collector)
                    continue
                transport.writelines([frame(message) for message in batch])
                await self._settle(transport, collector)
                self._outbox.advance(len(batch))
                self.delivered += len(batch)
                self.trouble = None
        finally:
            transport.close()

    async def _wait(self, collector: "_Collector") -> None:
        """Wait for something to send, or for the end of the connection."""
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(self._news.wait()),
                group.create_task(collector.gone.wait()),
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        if collector.gone.is_set():
            raise CollectorLost("the collector closed the connection")

    async def _settle(self, transport: asyncio.Transport, collector: "_Collector") -> None:
        """Wait until the other system has acknowledged all that was written."""
        try:
            async with asyncio.timeout(self._limits.syslog_settle_s):
                while not collector.gone.is_set() and _unsettled(transport):  # noqa: ASYNC110 - TCP tells nobody
                    await asyncio.sleep(self._limits.syslog_poll_s)
        except TimeoutError:
            transport.abort()
            raise CollectorLost("the collector has taken nothing for too long") from None
        if collector.gone.is_set():
            raise CollectorLost("the collector closed the connection while it was sent to")


class _Collector(asyncio.Protocol):
    """The other side: says nothing that we want to hear."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the sender know."""
        self.gone.set()


def _unsettled(transport: asyncio.Transport) -> bool:
    """Whether bytes wait here, or on their way: SIOCOUTQ, tcp(7), which has the number of TIOCOUTQ."""
    if transport.get_write_buffer_size():
        return True
    socket = transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return True  # being closed; connection_lost follows
    queued = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return bool(struct.unpack("i", queued)[0])


def _word(text: str, characters: int) -> str:
    return _NOT_PRINTABLE.sub("_", text)[:characters] or _NIL
