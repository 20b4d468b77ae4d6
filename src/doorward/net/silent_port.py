"""Ports on which nobody is heard, without any rule in a packet filter: for practice and for tests, on loopback.

Theory of operation: a *refusing* port is bound and never listens, so the system answers each SYN with RST, and no
connection of ours gets that number by chance meanwhile. A *swallowing* port listens, nobody accepts, and a connection of our
own fills its queue: Linux drops each further SYN in silence (tcp(7), tcp_abort_on_overflow 0), which is what a packet filter
looks like from outside. No privilege is needed. Both end with their context.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from doorward.errors import ScopeError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import dial


@contextmanager
def refusing_port(address: str, port: int) -> Iterator[int]:
    """Hold a port where connections are refused; yields its number (for port 0). Raises OSError when it is taken."""
    with _bound(address, port) as held:
        yield int(held.getsockname()[1])


@asynccontextmanager
async def swallowing_port(
    address: str, port: int, *, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[int]:
    """Hold a port where connections are never answered; yields its number (for port 0).

    Raises OSError when it is taken, and as ``net.dial.dial`` where its queue cannot be filled.
    """
    with _bound(address, port) as held:
        held.listen(0)  # Linux lets one more wait than was asked for
        bound = int(held.getsockname()[1])
        filler, _ = await dial(
            address, bound, gate=_OwnPort(address, bound), protocol=asyncio.Protocol, limits=limits
        )
        try:
            yield bound
        finally:
            filler.abort()


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((address, port))
    except OSError:
        held.close()
        raise
    return held


class _OwnPort:
    """Lets nothing through but the way to our own socket."""

    def __init__(self, address: str, port: int) -> None:
        self._own = (str(ipaddress.ip_address(address)), port)

    def permit(self, address: str, port: int) -> None:
        """Return in silence, or raise ScopeError."""
        if (address, port) != self._own:
            raise ScopeError("not this process's own port", target=f"{address} port {port}")
