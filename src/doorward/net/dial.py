"""The one function that connects outwards.

Theory of operation: whoever dials must bring a gate, and there is no default for it; the gate raises ScopeError for an
address that nobody authorised (the auditor's gate is its scope). Only numeric addresses are dialled: a name is resolved
by ``resolve`` first, and each address it gives is asked for by itself. That the auditor never leaves its scope can be
shown by grep: no other module may call ``create_connection`` (tests/test_floors.py).
Errors of the operating system are mapped here, once.
"""

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from doorward.errors import ConnectFailed, ConnectTimeout, ScopeError, TlsFailed
from doorward.limits import DEFAULT_LIMITS, Limits

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)


class Gate(Protocol):
    """Says what may be dialled."""

    def permit(self, address: str, port: int) -> None:
        """Return in silence, or raise ScopeError."""


@dataclass(frozen=True, slots=True)
class OnlyGate:
    """The gate of one place that the settings name; ``what`` it is stands in the refusal of any other."""

    address: str
    port: int
    what: str

    def permit(self, address: str, port: int) -> None:
        """Let nothing else be dialled."""
        if (address, port) != (self.address, self.port):
            raise ScopeError(f"this is not {self.what}", target=address)


class MeteredGate:
    """A gate that is also told how many bytes come in through it, for a caller with a budget."""

    def __init__(self, gate: Gate, received: Callable[[int], None]) -> None:
        self._gate = gate
        self._received = received

    def permit(self, address: str, port: int) -> None:
        """Ask the gate behind."""
        self._gate.permit(address, port)

    def metered(self, protocol: ProtocolT) -> ProtocolT:
        """Return the protocol with its reads counted: one more call a read, nothing a message."""
        received = self._received
        if not hasattr(protocol, "__dict__"):
            return protocol  # asyncio.Protocol itself, which drops what comes
        if isinstance(protocol, asyncio.BufferedProtocol):
            updated = protocol.buffer_updated

            def buffer_updated(nbytes: int) -> None:
                received(nbytes)
                updated(nbytes)

            protocol.buffer_updated = buffer_updated  # type: ignore[method-assign]
        elif isinstance(protocol, asyncio.Protocol):
            came = protocol.data_received

            def data_received(data: bytes) -> None:
                received(len(data))
                came(data)

            protocol.data_received = data_received  # type: ignore[method-assign]
        return protocol


async def resolve(host: str, *, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """Return the numeric addresses of a name or of a literal, IPv4 first, without repeats.

    Raises ConnectFailed (kind ``name``) when the name is unknown, or stands for more addresses than one name may.
    """
    literal = host.strip("[]")
    try:
        return [str(ipaddress.ip_address(literal))]
    except ValueError:
        pass
    try:
        async with asyncio.timeout(limits.resolve_s):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except TimeoutError:
        message = f"no answer to where {host} is within {limits.resolve_s:g} s"
        raise ConnectFailed(message, kind="name", hint="is the name server reachable?") from None
    except (OSError, UnicodeError):
        raise ConnectFailed(
            f"the host name {host} is not known",
            kind="name",
            hint="check the spelling, or give the numeric address",
        ) from None
    addresses = sorted((row[0] == socket.AF_INET6, str(row[4][0])) for row in found)
    unique = list(dict.fromkeys(address for _, address in addresses))
    if len(unique) > limits.name_addresses:
        message = f"the host name {host} stands for more than {limits.name_addresses} addresses"
        raise ConnectFailed(message, kind="name", hint="give the addresses that are meant")
    return unique


async def dial(
    address: str,
    port: int,
    *,
    gate: Gate,
    protocol: Callable[[], ProtocolT],
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[asyncio.Transport, ProtocolT]:
    """Open one TCP connection, with TLS where a context is given.

    Raises ScopeError before anything is sent when the gate refuses; ConnectTimeout, ConnectFailed, TlsFailed.
    """
    numeric = str(ipaddress.ip_address(address))
    gate.permit(numeric, port)
    make = protocol
    if isinstance(gate, MeteredGate):
        meter = gate
        make = lambda: meter.metered(protocol())  # noqa: E731
    loop = asyncio.get_running_loop()  # asyncio and uvloop set TCP_NODELAY by themselves
    timeout_s = limits.connect_s + (limits.tls_handshake_s if tls else 0.0)
    try:
        async with asyncio.timeout(timeout_s):
            return await loop.create_connection(
                make,
                numeric,
                port,
                ssl=tls,
                server_hostname=(server_name or numeric) if tls else None,
                ssl_handshake_timeout=limits.tls_handshake_s if tls else None,
            )
    except TimeoutError:
        raise ConnectTimeout(
            f"no answer from {numeric} port {port} within {timeout_s:g} s"
        ) from None
    except ssl.SSLError as error:
        raise tls_failure(error) from None
    except OSError as error:
        raise _connect_failure(error, numeric, port, is_tls=tls is not None) from None


def _connect_failure(
    error: OSError, address: str, port: int, *, is_tls: bool
) -> ConnectFailed | ConnectTimeout | TlsFailed:
    if error.errno == errno.ETIMEDOUT:
        return ConnectTimeout(f"no answer from {address} port {port}")
    if error.errno == errno.ECONNREFUSED:
        return ConnectFailed(
            f"{address} refuses connections on port {port}",
            kind="refused",
            hint="nothing listens there, or a firewall answers for it",
        )
    if is_tls and isinstance(error, ConnectionAbortedError):  # asyncio's word for its own deadline
        return TlsFailed("the TLS handshake was not finished in time", kind="timeout")
    if is_tls and isinstance(error, ConnectionError):
        return TlsFailed("the peer closed the connection during the TLS handshake", kind="closed")
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM):
        return ConnectFailed(
            f"this machine cannot open a connection ({errno.errorcode[error.errno]})",
            kind="local",
            hint="lower the number of systems asked at a time, or raise the limit of open files",
        )
    return ConnectFailed(f"{address} port {port} cannot be reached", kind="unreachable")


def tls_failure(error: ssl.SSLError) -> TlsFailed:
    """Return a handshake failure in stable words; OpenSSL's reason names the kind."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed("the peer's certificate is not trusted", kind="certificate_refused")
    if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason:
        return TlsFailed("the peer asks for a certificate of ours", kind="certificate_required")
    if "HANDSHAKE_FAILURE" in reason:
        return TlsFailed(
            "the peer refused the TLS handshake: no suite in common, or no certificate of ours",
            kind="refused",
        )
    if reason in (
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "RECORD_LAYER_FAILURE",
        "UNEXPECTED_MESSAGE",
    ):
        return TlsFailed("the port does not speak TLS", kind="not_tls")
    if "VERSION" in reason or "PROTOCOL" in reason:
        return TlsFailed("no TLS version in common", kind="version")
    if "EOF" in reason:
        return TlsFailed("the peer closed the connection during the TLS handshake", kind="closed")
    return TlsFailed(f"the TLS handshake failed ({reason or 'no reason given'})", kind="other")
