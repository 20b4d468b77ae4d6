"""Does a port that speaks TLS understand plain DICOM too? The fifth byte tells the two parsers apart.

Theory of operation: a TLS record has a header of five bytes (RFC 8446 section 5.1), a PDU one of six (PS3.8 section 9.3.1).
Four bytes of an A-ASSOCIATE-RQ are sent, and both kinds of server wait for more. At the fifth a TLS server has a header that
is none: it hangs up, most without an alert. A DICOM server cannot know yet what it is told, and waits for the sixth. Seen so
with OpenSSL, GnuTLS, DCMTK and Orthanc over TLS, and with DCMTK, Orthanc and pynetdicom in plain. No association is asked for.
"""

import asyncio

from doorward.audit.approach import Approach
from doorward.errors import TransportError
from doorward.net.dial import dial
from doorward.wire.wiped import wipe

#: Type and reserved byte of an A-ASSOCIATE-RQ, and the first two bytes of its length (PS3.8 section 9.3.2).
_FOUR = b"\x01\x00\x00\x00"
_FIFTH = b"\x00"
_DROPPED_BYTES = 4_096


async def takes_plain_dicom(approach: Approach) -> bool | None:
    """Return False where only TLS is understood, None where that does not show. Raises ScopeError."""
    wait_s = approach.limits.tls_linger_s
    async with approach.pace.turn():
        try:
            transport, listener = await dial(
                approach.endpoint.address,
                approach.endpoint.port,
                gate=approach.gate,
                protocol=_Listener,
                limits=approach.limits,
            )
        except TransportError:
            return None  # one question without an answer does not lose the others
        try:
            transport.write(_FOUR)
            if await listener.reacts(wait_s):
                return None  # it waits for no header: busy, or not one of the two
            transport.write(_FIFTH)
            return False if await listener.reacts(wait_s) else None
        finally:
            transport.abort()


class _Listener(asyncio.BufferedProtocol):
    """Notices that the peer hangs up or says something; what it says is dropped unread."""

    def __init__(self) -> None:
        self._reaction = asyncio.Event()
        self._buffer = memoryview(bytearray(_DROPPED_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:
        """One place for all that is dropped."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Drop it at once (promise 2)."""
        wipe(self._buffer, nbytes)
        self._reaction.set()

    def eof_received(self) -> bool:
        """The peer has hung up."""
        self._reaction.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The same, less politely."""
        self._reaction.set()

    async def reacts(self, wait_s: float) -> bool:
        """Wait for a reaction."""
        try:
            async with asyncio.timeout(wait_s):
                await self._reaction.wait()
        except TimeoutError:
            return False
        return True
