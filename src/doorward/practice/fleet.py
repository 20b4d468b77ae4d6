"""Many practice archives in one process, each on its own loopback address and port.

Theory of operation: one server of ``net.server`` carries all that speak DICOM; which archive answers is told by the address
and port that were called, so a thousand archives cost a thousand listening sockets and nothing else. What is no DICOM gets
a listener of its own. Leaving the context ends them all.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.application import Application, Match, Peer
from doorward.net.server import Server, serve
from doorward.net.suboperations import MovePlan
from doorward.net.tls import TlsContext, server_context
from doorward.net.transfer import Instance, Receiver
from doorward.practice.archive import PracticeArchive
from doorward.practice.certificates import PracticeCertificates
from doorward.practice.personas import TlsDemand
from doorward.practice.settings import ArchiveSettings
from doorward.practice.strangers import STRANGERS
from doorward.wire.command import CFindRequest, CGetRequest, CMoveRequest, CStoreRequest
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest

#: All clients are on this machine, and scanners open many connections at a time; nobody waits for the end of a class.
LIMITS = replace(DEFAULT_LIMITS, associations=20_000, associations_per_peer=20_000, drain_s=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One archive that answers now."""

    settings: ArchiveSettings
    address: str
    port: int


class _Street(Application):
    """Passes each association to the archive that was called."""

    def __init__(self) -> None:
        self.archives: dict[tuple[str, int], PracticeArchive] = {}

    def _called(self, peer: Peer) -> PracticeArchive:
        return self.archives[peer.local_address, peer.local_port]

    def associate(
        self, peer: Peer, request: AssociateRequest
    ) -> AssociateAccept | AssociateReject | None:
        return self._called(peer).associate(peer, request)

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match] | AsyncIterator[Match]:
        return self._called(peer).find(peer, context, request, identifier)

    def store(self, peer: Peer, context: AcceptedContext, request: CStoreRequest) -> Receiver | int:
        return self._called(peer).store(peer, context, request)

    def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Iterable[Instance] | int:
        return self._called(peer).get(peer, context, request, identifier)

    def move(
        self, peer: Peer, context: AcceptedContext, request: CMoveRequest, identifier: bytes
    ) -> MovePlan | int:
        return self._called(peer).move(peer, context, request, identifier)


@asynccontextmanager
async def fleet(
    archives: Sequence[ArchiveSettings],
    *,
    certificates: PracticeCertificates | None = None,
    limits: Limits = LIMITS,
) -> AsyncIterator[tuple[Running, ...]]:
    """Run the archives for as long as the context is open.

    ``certificates`` are needed where a persona asks for TLS. Raises ConfigError where an address and port are taken.
    """
    street = _Street()
    refused: ConfigError | None = None
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(street, limits=limits))
        running = []
        try:
            for settings in archives:
                if settings.is_dicom:
                    port = await _open_archive(server, street, settings, certificates)
                else:
                    port = await _open_stranger(stack, settings)
                running.append(Running(settings=settings, address=settings.address, port=port))
        except ConfigError as error:
            refused = error  # raised below: the server's task group would wrap it
        else:
            yield tuple(running)
    if refused is not None:
        raise refused


def needs_certificates(archives: Iterable[ArchiveSettings]) -> bool:
    """Tell whether one of the archives speaks TLS."""
    return any(archive.persona.tls is not TlsDemand.NONE for archive in archives)


async def _open_archive(
    server: Server,
    street: _Street,
    settings: ArchiveSettings,
    certificates: PracticeCertificates | None,
) -> int:
    archive = PracticeArchive(
        settings.persona,
        settings.holding,
        ae_title=settings.ae_title,
        calling_ae_title=settings.calling_ae_title,
    )
    tls = _tls(settings, certificates)
    try:
        port = await server.listen(settings.address, settings.port, tls=tls)
    except OSError as error:
        raise _taken(settings, error) from None
    street.archives[settings.address, port] = archive
    return port


async def _open_stranger(stack: AsyncExitStack, settings: ArchiveSettings) -> int:
    loop = asyncio.get_running_loop()
    protocol = STRANGERS[settings.persona.speaks]
    try:
        listener = await loop.create_server(protocol, settings.address, settings.port)
    except OSError as error:
        raise _taken(settings, error) from None
    stack.callback(listener.close)
    return int(listener.sockets[0].getsockname()[1])


def _tls(settings: ArchiveSettings, certificates: PracticeCertificates | None) -> TlsContext | None:
    if settings.persona.tls is TlsDemand.NONE:
        return None
    assert certificates is not None, "the caller looks at needs_certificates"
    is_mutual = settings.persona.tls is TlsDemand.MUTUAL
    return server_context(
        certificates.server_certificate,
        certificates.server_key,
        client_authorities=certificates.authority if is_mutual else None,
    )


def _taken(settings: ArchiveSettings, error: OSError) -> ConfigError:
    where = f"{settings.address} port {settings.port}"
    if error.errno == errno.EADDRINUSE:
        hint = "End the program that listens there, or choose other ports with --port-base."
        return ConfigError(f"{where} is taken", field="port", hint=hint)
    reason = error.strerror or type(error).__name__
    return ConfigError(f"{where} cannot be opened ({reason})", field="port")
