"""The handshake of the Java Debug Wire Protocol, and nothing of what could follow it.

Theory of operation: both sides send the same fourteen bytes (Java SE, JDWP specification, "JDWP Start Up"). Whoever gets them
back stands before a debugger that asks for no password and runs any code; the connection ends there, no packet is sent.
"""

import asyncio

from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import Gate, dial
from doorward.wire.wiped import wipe

HANDSHAKE = b"JDWP-Handshake"
_READ_BYTES = 4_096


class _Handshake(asyncio.BufferedProtocol):
    """Compares what comes with the fourteen bytes; keeps no more than these, and zeroes the rest (promise 2)."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.is_over = asyncio.Event()
        self._buffer = memoryview(bytearray(_READ_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Compare as far as there is something."""
        self.seen += self._buffer[: min(nbytes, len(HANDSHAKE) + 1 - len(self.seen))]
        wipe(self._buffer, nbytes)
        if len(self.seen) >= len(HANDSHAKE) or not HANDSHAKE.startswith(bytes(self.seen)):
            self.is_over.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self.is_over.set()


async def shakes_hands(
    address: str, port: int, *, gate: Gate, limits: Limits = DEFAULT_LIMITS
) -> bool | None:
    """Tell whether the port answers the handshake of JDWP with the same bytes; None: it stayed silent.

    Raises what ``dial`` raises.
    """
    transport, protocol = await dial(address, port, gate=gate, protocol=_Handshake, limits=limits)
    try:
        transport.write(HANDSHAKE)
        try:
            async with asyncio.timeout(limits.jdwp_s):
                await protocol.is_over.wait()
        except TimeoutError:
            pass
        if not protocol.seen and not protocol.is_over.is_set():
            return None
        return bytes(protocol.seen) == HANDSHAKE
    finally:
        transport.abort()
