"""The FTP conversations with their second connection: the list of a folder is counted while it streams by.

Theory of operation: ``exchange`` leads the conversation over the control connection; for its errand this module dials the
same address once more (through the same gate, whatever address the server named), says LIST, and feeds the reader of lines
until the server hangs up. What is read lies in one buffer that is zeroed; bytes and time are bounded.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from doorward.errors import TlsFailed
from doorward.greetings import ftp
from doorward.greetings.conversation import Errand
from doorward.greetings.ftp_list import ListLines
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial, tls_failure
from doorward.net.exchange import exchange
from doorward.net.tls import TlsContext
from doorward.web.file_names import FolderCount, FolderShape
from doorward.wire.wiped import wipe

_BUFFER_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousVisit:
    """How far ``anonymous`` came, and what lies in the first folder; ``shape`` None: it could not be listed."""

    entry: ftp.FtpEntry
    shape: FolderShape | None
    #: The list was not seen to its end: the numbers are at least so many.
    is_cut: bool


async def ask_manners(
    address: str,
    port: int,
    *,
    gate: Gate,
    tls: TlsContext | None = None,
    server_name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ftp.FtpManners:
    """Return what a stranger sees before any login; ``tls`` for a port that begins with TLS. Raises like ``exchange``."""
    conversation = ftp.manners(limits, is_secured=tls is not None)
    exchanged = await exchange(
        address,
        port,
        conversation,
        gate=gate,
        tls=tls,
        server_name=server_name,
        limits=limits,
    )
    return exchanged.result


async def visit_as_anonymous(
    address: str,
    port: int,
    *,
    gate: Gate,
    tls: TlsContext | None = None,
    switch: TlsContext | None = None,
    server_name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> AnonymousVisit:
    """Log in as anonymous and count the first folder. Raises like ``exchange``.

    ``tls`` is for a port that begins with TLS; with ``switch`` TLS is asked for before the login (AUTH).
    """
    count = FolderCount()
    data: list[_DataConnection] = []

    async def aside(errand: Errand, say: Callable[[], None]) -> None:
        transport, connection = await dial(
            address,
            errand.port,
            gate=gate,
            protocol=lambda: _DataConnection(count, limits),
            limits=limits,
        )
        data.append(connection)
        try:
            say()
            if errand.is_secured:  # only now does the server look at the second connection
                transport = await _secured(transport, connection, tls or switch, server_name)
            await connection.is_over.wait()
        finally:
            transport.abort()
            connection.forget()

    exchanged = await exchange(
        address,
        port,
        ftp.anonymous(
            limits, address=address, is_secured=tls is not None, asks_tls=switch is not None
        ),
        gate=gate,
        tls=tls,
        switch=switch,
        server_name=server_name,
        aside=aside,
        limits=limits,
    )
    return _visited(exchanged.result, count, data)


def _visited(
    entry: ftp.FtpEntry, count: FolderCount, data: "Sequence[_DataConnection]"
) -> AnonymousVisit:
    """Return what the visit came to: a list that was refused is no empty folder."""
    is_whole = entry.was_listed and all(not one.is_cut for one in data)
    has_list = bool(data) and (entry.was_listed or count.entries > 0)
    return AnonymousVisit(
        entry=entry,
        shape=count.shape() if has_list else None,
        is_cut=has_list and not is_whole,
    )


async def _secured(
    transport: asyncio.Transport,
    connection: "_DataConnection",
    tls: TlsContext | None,
    server_name: str | None,
) -> asyncio.Transport:
    """Make TLS on the second connection (RFC 4217 section 9); raises TlsFailed."""
    assert tls is not None
    try:
        secured = await asyncio.get_running_loop().start_tls(
            transport, connection, tls, server_hostname=server_name or ""
        )
    except ssl.SSLError as error:
        raise tls_failure(error) from None
    except OSError:
        raise TlsFailed(
            "the peer closed the connection during the TLS handshake", kind="closed"
        ) from None
    assert secured is not None
    return secured


class _DataConnection(asyncio.BufferedProtocol):
    """Reads a list to its end; nothing is ever said over it."""

    def __init__(self, count: FolderCount, limits: Limits) -> None:
        self._lines = ListLines(lambda name, is_folder: count.add(name, is_folder=is_folder))
        self._left = limits.listing_bytes
        self._buffer = bytearray(_BUFFER_BYTES)
        #: It was longer than we read.
        self.is_cut = False
        self.is_over = asyncio.Event()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads into."""
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read; what comes after the end is zeroed at once (promise 2)."""
        if self.is_over.is_set():
            wipe(self._buffer, nbytes)
            return
        taken = min(nbytes, self._left)
        self._left -= taken
        self._lines.feed(memoryview(self._buffer)[:taken])
        if taken < nbytes:
            self.is_cut = True
            self._finish()

    def eof_received(self) -> bool:
        """The list is over."""
        self._finish()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self.is_cut = self.is_cut or exc is not None
        self._finish()

    def forget(self) -> None:
        """Zero what was read last; a list that did not come to its end stays cut."""
        self.is_cut = self.is_cut or not self.is_over.is_set()
        self._finish()
        wipe(self._buffer, len(self._buffer))

    def _finish(self) -> None:
        if not self.is_over.is_set():
            self._lines.finish()
            self.is_over.set()
