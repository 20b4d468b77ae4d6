"""TLS on an accepted socket with little memory: for a server with many connections that wait.

asyncio holds 256 KiB for one read as long as a connection is open, in memory that is not given back (255 KiB measured for each
idle connection; 62 KiB with what is done here). uvloop has a TLS of its own, which does not need this.
"""

import asyncio
import math
import socket
from asyncio.sslproto import SSLProtocol

from doorward.limits import DEFAULT_LIMITS
from doorward.net.tls import TlsContext


class _LeanTls(SSLProtocol):
    """asyncio's TLS with a smaller buffer."""

    max_size = DEFAULT_LIMITS.web_tls_read_bytes


async def begin_tls(
    protocol: asyncio.Protocol, connection: socket.socket, tls: TlsContext, handshake_s: float
) -> None:
    """Make the handshake as its server; then the protocol is connected. The socket is closed where it fails.

    Raises OSError: no TLS, a certificate that is refused, too slow, gone.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, asyncio.BaseEventLoop):
        await loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=tls, ssl_handshake_timeout=handshake_s
        )
        return
    agreed: asyncio.Future[None] = loop.create_future()
    seconds = math.ceil(handshake_s)
    lean = _LeanTls(loop, protocol, tls, agreed, server_side=True, ssl_handshake_timeout=seconds)
    transport, _ = await loop.connect_accepted_socket(lambda: lean, connection)
    try:
        await agreed
    except BaseException:
        transport.abort()
        raise
