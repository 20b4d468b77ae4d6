"""Hundreds of imaging systems with eight doors each: ``python -m measures.street FOLDER DOOR=PORT...``.

One socket a port answers for all addresses of 127.0.0.0/8, bound to the device ``lo`` as in ``measures.fleet``. Behind DICOM,
plain and in TLS, stands the project's own practice archive, open to strangers or closed by the address that was called.
FOLDER takes the certificate of this run.
"""

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from doorward.net.application import Application, Match, Peer
from doorward.net.connection import Connection
from doorward.net.loop import run
from doorward.net.server import Server, serve
from doorward.net.session import Session
from doorward.net.tls import TlsContext, server_context
from doorward.practice.archive import PracticeArchive
from doorward.practice.certificates import make_certificates
from doorward.practice.fleet import LIMITS
from doorward.practice.holding import Holding
from doorward.practice.personas import PERSONAS
from doorward.wire.association import Role
from doorward.wire.command import CFindRequest
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest
from measures import doorkeepers
from measures.doorkeepers import IMAGES, PATIENTS, STUDIES, is_open
from measures.processes import allow_many_files, until_stdin_ends

_OTHERS: dict[str, type[asyncio.Protocol]] = {
    "http": doorkeepers.Orthanc,
    "https": doorkeepers.Nginx,
    "hl7": doorkeepers.Hl7,
    "postgresql": doorkeepers.PostgreSql,
    "redis": doorkeepers.Redis,
    "ftp": doorkeepers.Ftp,
}
_OVER_TLS = ("dicom-tls", "https")


class Archives(Application):
    """An open archive and a closed one behind the same socket."""

    def __init__(self) -> None:
        holding = Holding(studies=STUDIES, images_per_study=IMAGES, patients=PATIENTS, seed=1)
        self._open = PracticeArchive(PERSONAS["open"], holding)
        self._closed = PracticeArchive(PERSONAS["closed"], holding)

    def _called(self, peer: Peer) -> PracticeArchive:
        return self._open if is_open(peer.local_address, peer.local_port) else self._closed

    def associate(
        self, peer: Peer, request: AssociateRequest
    ) -> AssociateAccept | AssociateReject | None:
        if not ipaddress.ip_address(peer.local_address).is_loopback:
            return None
        return self._called(peer).associate(peer, request)

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match]:
        found = self._called(peer).find(peer, context, request, identifier)
        assert isinstance(found, Iterable)
        return found


def listener(port: int) -> socket.socket:
    """Return a socket for all loopback addresses; raises OSError where the port is taken or not ours to take."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    except OSError:
        pass  # older kernels want a privilege for it; each door looks by itself who was called
    try:
        opened.bind(("0.0.0.0", port))  # noqa: S104 - on one device, see above
    except OSError:
        opened.close()
        raise
    return opened


def _certificate(folder: Path) -> TlsContext:
    made = make_certificates(folder, now=datetime.now(UTC), addresses=["127.0.0.1"])
    return server_context(made.server_certificate, made.server_key)


def _keeper(door: str, server: Server) -> Callable[[], asyncio.BaseProtocol]:
    if door in _OTHERS:
        return _OTHERS[door]
    return lambda: Connection(Session(server), role=Role.ACCEPTOR, limits=server.limits)


async def open_doors(doors: dict[str, int], folder: Path) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    tls = _certificate(folder)
    async with serve(Archives(), limits=LIMITS) as server:
        data = await loop.create_server(doorkeepers.FtpList, sock=listener(0), backlog=512)
        doorkeepers.Ftp.data_port = data.sockets[0].getsockname()[1]
        opened = [data]
        for door, port in doors.items():
            context = tls if door in _OVER_TLS else None
            keeper = _keeper(door, server)
            opened.append(
                await loop.create_server(keeper, sock=listener(port), ssl=context, backlog=4_096)
            )
        await asyncio.to_thread(until_stdin_ends, next(iter(doors.values())))
        for one in opened:
            one.close()


def main() -> None:
    allow_many_files(8_000)
    doors = dict(argument.split("=") for argument in sys.argv[2:])
    run(open_doors({door: int(port) for door, port in doors.items()}, Path(sys.argv[1])))


if __name__ == "__main__":
    main()
