"""The joint between asyncio and ``wire.Association``; the same for both roles.

Theory of operation: ``data_received`` feeds, hands the events on, and writes what the association queued in one write, so
that the replies to everything in one read leave together (PS3.8 asks for nothing here; delayed acknowledgements do).
``owner.take`` is called for each event, in order, without await: an owner that must wait pauses reading and resumes later.
Back pressure: ``writable()`` waits while the peer does not read; ``pause`` and ``resume`` stop our own reading. Fairness: one
read may hold thousands of small requests; after some of them the others have their turn before the rest is fed.
The connection knows time (ARTIM through ``deadline``); the owner knows the longer deadlines of its questions.
"""

import asyncio
import socket
import ssl
from typing import Protocol, cast

from doorward.errors import TlsFailed
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import tls_failure
from doorward.wire.association import Association, Role
from doorward.wire.events import Event
from doorward.wire.pdu import Fragment
from doorward.wire.table import State
from doorward.wire.wiped import wipe

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
#: Up to so much it is cheaper to copy than to write in parts.
_JOINED_BYTES = 32_768
#: What an idle connection holds to read into.
_FIRST_READ_BYTES = 4_096
#: What an acceptor feeds at first of one read, and how many events it answers before others have their turn. Images come
#: in few large fragments and are never held up by this.
_FIRST_FED_BYTES = 16_384
_TURN_EVENTS = 64
#: Two segments of the largest size, loopback's: what brings more is acknowledged at once by every kernel (RFC 5681 4.2).
_ACKNOWLEDGED_BYTES = 131_072


class _Borrowed(socket.socket):
    """The transport's socket, for its options: uvloop's own stand-in makes a socket anew for each call. Never closed here."""

    def __del__(self) -> None:
        """Leave it open, whatever becomes of this object."""
        self.detach()


class Owner(Protocol):
    """Whoever answers the events of one connection."""

    def opened(self, connection: "Connection") -> None:
        """The transport stands; the association was told."""

    def take(self, event: Event) -> None:
        """One event; must not block and must not raise."""

    def closed(self) -> None:
        """The transport is gone; no event follows."""


class Connection(asyncio.BaseProtocol):
    """One TCP connection that carries one association.

    No asyncio.Protocol: uvloop would not take ``ForgetfulConnection`` for a BufferedProtocol, but read bytes for it.
    """

    def __init__(self, owner: Owner, *, role: Role, limits: Limits = DEFAULT_LIMITS) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self.limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._quick: socket.socket | None = None
        self._is_paused = False
        #: What was read and waits for its turn.
        self._rest: bytes = b""
        self.transport: asyncio.Transport | None = None
        self._is_plain = False
        #: Loop time of the last read; an owner tells silence from slowness by it.
        self.last_read_at = self._loop.time()
        #: A TLS alert that ended the connection after the handshake (a refused or missing client certificate).
        self.tls_loss: TlsFailed | None = None
        #: An exception of our own code that ended the connection; its text may quote what was read.
        self.fault: Exception | None = None
        self.association = Association(role=role, now=self._loop.time(), limits=limits)

    # --- asyncio calls these -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell the association and the owner. TCP_NODELAY is set already: by asyncio, as by uvloop."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self.limits.write_buffer_bytes)
        self._is_plain = self.tls is None
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            self._quick = _Borrowed(sock.family, sock.type, sock.proto, fileno=sock.fileno())
            # a requestor speaks first: it has nothing to acknowledge yet
            if self.association.role is Role.ACCEPTOR:
                self._acknowledge_quickly()
        self._owner.opened(self)
        if self.transport.is_closing():
            return
        self.association.tick(self._loop.time())
        self.association.connected()
        self.flush()

    def data_received(self, chunk: Fragment) -> None:
        """Feed, hand on, answer: the whole joint."""
        self.last_read_at = now = self._loop.time()
        if self._rest:
            self._rest += chunk  # TLS hands on what it has decrypted, paused or not
            return
        self.association.tick(now)
        self._take_turn(chunk)

    def eof_received(self) -> bool:
        """The peer will send nothing more."""
        rest, self._rest = self._rest, b""
        if rest:
            self.association.receive(rest)
            self._hand_on()
        self.association.receive(b"")
        self._hand_on()
        self.flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, by whoever's doing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if isinstance(exc, ssl.SSLError):
            self.tls_loss = tls_failure(exc)
        elif not isinstance(exc, OSError):
            self.fault = exc
        self._rest = b""
        if self._quick is not None:
            self._quick.detach()
            self._quick = None
        self.association.receive(b"")
        self._hand_on()
        self._gone.set()
        self._writable.set()
        self._owner.closed()

    def pause_writing(self) -> None:
        """The peer does not read as fast as we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer caught up."""
        self._writable.set()
        self.resume()

    # --- the owner calls these -----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what the association queued, in one write; close when it says so; set its timer."""
        association, transport = self.association, self.transport
        if transport is None:
            return
        outgoing = association.take_outgoing()
        if outgoing and not transport.is_closing():
            if len(outgoing) == 1:
                transport.write(outgoing[0])
            elif self._is_plain and sum(map(len, outgoing)) > _JOINED_BYTES:
                transport.writelines(outgoing)  # uvloop: writev(2), without a copy
            else:
                transport.write(b"".join(outgoing))  # one record of TLS, not one for each
        if association.must_close:
            transport.close()
        self._set_timer()

    def close(self) -> None:
        """Close the transport after what was written has left."""
        if self.transport is not None:
            self.transport.close()

    def kill(self) -> None:
        """Drop the transport and everything not yet sent."""
        if self.transport is not None:
            self.transport.abort()

    def pause(self) -> None:
        """Stop reading: the owner has work to finish first."""
        self._is_paused = True
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self.transport is not None and self.transport.is_reading():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._is_paused = False
        if (
            not self._rest
            and self.transport is not None
            and not self.transport.is_closing()
            and not self.transport.is_reading()
        ):
            self.transport.resume_reading()

    async def writable(self) -> None:
        """Wait until the peer has taken most of what was written, or is gone."""
        await self._writable.wait()

    async def wait_closed(self) -> None:
        """Wait until the transport is gone."""
        await self._gone.wait()

    @property
    def is_gone(self) -> bool:
        """The transport has ended."""
        return self._gone.is_set()

    @property
    def peer_address(self) -> tuple[str, int]:
        """Numeric address and port of the other side."""
        name = self.transport.get_extra_info("peername") if self.transport else None
        return (str(name[0]), int(name[1])) if name else ("", 0)

    @property
    def local_address(self) -> tuple[str, int]:
        """Numeric address and port of this side: on a socket bound to all addresses, which one was called."""
        name = self.transport.get_extra_info("sockname") if self.transport else None
        return (str(name[0]), int(name[1])) if name else ("", 0)

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session, or None on a plain connection."""
        return self.transport.get_extra_info("ssl_object") if self.transport else None

    # --- inner ---------------------------------------------------------------------------------------------------

    def _take_turn(self, chunk: Fragment) -> None:
        """Feed what was read; where it asks for very much, the rest waits until others had their turn."""
        association = self.association
        if association.state is State.AWAITING_CLOSE and len(chunk) > _FIRST_FED_BYTES:
            self.pause()  # it was aborted and sends on: nothing of that is looked at, and ARTIM ends it
            return
        fed = self._feed(chunk)
        if not association.must_close and len(chunk) < _ACKNOWLEDGED_BYTES:
            self._acknowledge_quickly()
        self.flush()
        if fed < len(chunk) and not self._gone.is_set():
            self._rest = bytes(chunk[fed:])
            self._stop_reading()
            self._loop.call_soon(self._next_turn)
        elif not self._writable.is_set():
            self.pause()  # who asks without reading our answers is not heard until it has read them

    def _feed(self, chunk: Fragment) -> int:
        """Feed and hand on; returns how much of it. What a requestor reads was asked for, and is fed as a whole."""
        if self.association.role is Role.REQUESTOR or len(chunk) <= _FIRST_FED_BYTES:
            self.association.receive(chunk)
            self._hand_on()
            return len(chunk)
        fed, size, events = 0, _FIRST_FED_BYTES, 0
        while fed < len(chunk) and events < _TURN_EVENTS:
            self.association.receive(chunk[fed : fed + size])
            fed += size
            events += self._hand_on()
            size *= 2
        return min(fed, len(chunk))

    def _next_turn(self) -> None:
        rest, self._rest = self._rest, b""
        if not rest or self._gone.is_set():
            return
        self._take_turn(rest)
        if not self._rest and not self._is_paused:
            self.resume()

    def _hand_on(self) -> int:
        """Hand all events on; returns how many."""
        take, count = self._owner.take, 0
        while events := self.association.take_events():
            count += len(events)
            for event in events:
                take(event)
        return count

    def _acknowledge_quickly(self) -> None:
        """Acknowledge now: a sender with Nagle on (stock storescu) waits 40 ms for it otherwise.

        Linux forgets the option after a while (tcp(7)), so it is set again after each read.
        """
        if self._quick is not None and _QUICKACK is not None:
            try:
                self._quick.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            except OSError:
                self._quick.detach()  # the socket is closing, or the system has no such option
                self._quick = None

    def _set_timer(self) -> None:
        due = self.association.deadline()
        if self._timer is not None:
            if due is not None and abs(self._timer.when() - due) < 1e-6:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None and not self._gone.is_set():
            self._timer = self._loop.call_at(due, self._deadline_passed)

    def _deadline_passed(self) -> None:
        self._timer = None
        self.association.tick(self._loop.time())
        self._hand_on()
        self.flush()


class ForgetfulConnection(Connection, asyncio.BufferedProtocol):
    """A connection that leaves nothing of what it read in memory: the auditor's (promise 2).

    The transport reads into one buffer of ours, the association works on views of it, and the buffer is zeroed when it
    grows and when the connection ends. CPython clears no memory that it frees, so nothing may be copied out of it.
    """

    def __init__(self, owner: Owner, *, role: Role, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(owner, role=role, limits=limits)
        self._buffer = memoryview(bytearray(_FIRST_READ_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads into; it asks before every read."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read; a read that filled the buffer makes the next one larger."""
        buffer = self._buffer
        self.data_received(buffer[:nbytes])
        if nbytes == len(buffer) < self.limits.read_buffer_bytes:
            self._buffer = memoryview(bytearray(min(8 * nbytes, self.limits.read_buffer_bytes)))
            wipe(buffer, nbytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on what is left, then forget."""
        super().connection_lost(exc)
        wipe(self._buffer, len(self._buffer))
