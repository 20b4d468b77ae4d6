"""Thousands of hosts on loopback that accept every association: ``python -m measures.fleet PORT...``.

One socket answers on all of 127.0.0.0/8. It is bound to the device ``lo``, so that nobody outside can reach it; where the
system does not allow that, whoever was not called by a loopback address is hung up on.
"""

import asyncio
import socket
import sys
from collections.abc import Sequence
from typing import cast

from doorward.net.loop import run
from doorward.wire.pdu import PduType
from measures import pdus
from measures.processes import Broken, allow_many_files, until_stdin_ends

#: Where the titles lie in A-ASSOCIATE-RQ and -AC (PS3.8 Tables 9-11 and 9-17), header included.
_TITLES = slice(10, 42)


class Host(asyncio.Protocol):
    """One connection: accept, release, nothing else."""

    known: dict[bytes, bytes] = {}  # noqa: RUF012 - one for all: accepts by everything in the request but its titles

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        called = transport.get_extra_info("sockname")
        if not called[0].startswith("127."):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while len(self._received) >= 6:
            end = 6 + int.from_bytes(self._received[2:6], "big")
            if len(self._received) < end:
                return
            pdu, self._received = self._received[:end], self._received[end:]
            if pdu[0] == PduType.ASSOCIATE_RQ:
                self._transport.write(self._accept(pdu))
            elif pdu[0] == PduType.RELEASE_RQ:
                self._transport.write(pdus.RELEASE_RP)
            else:
                self._transport.close()

    def _accept(self, request: bytes) -> bytes:
        kind = request[_TITLES.stop :]
        if kind not in self.known:
            self.known[kind] = pdus.accept_all(request[6:])[1]
        accept = self.known[kind]
        return accept[: _TITLES.start] + request[_TITLES] + accept[_TITLES.stop :]


def bind_first(listener: socket.socket, ports: Sequence[int]) -> int:
    """Bind to the first port that is free and return it."""
    for port in ports:
        try:
            listener.bind(("0.0.0.0", port))  # noqa: S104 - on one device, see above
        except OSError:
            continue
        return port
    raise Broken(f"none of the ports {ports} is free")


async def serve(ports: Sequence[int]) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    except OSError:
        pass  # older kernels want a privilege for it; ``Host`` looks by itself
    port = bind_first(listener, ports)
    server = await asyncio.get_running_loop().create_server(Host, sock=listener, backlog=4096)
    async with server:
        await asyncio.to_thread(until_stdin_ends, port)


def main() -> None:
    allow_many_files(8_000)
    run(serve([int(port) for port in sys.argv[1:]]))


if __name__ == "__main__":
    main()
