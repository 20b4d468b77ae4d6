"""Many practice archives in one process, each on its own loopback address and port.

Theory of operation: one server of ``net.server`` carries all that speak DICOM; which archive answers is told by the address
and port that were called (``street``), so a thousand archives cost a thousand listening sockets and nothing else. What is
no DICOM gets a listener of its own, and where nobody is heard a socket is held that nobody serves. Leaving the context ends
them all.
"""

import errno
import resource
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from doorward.errors import ConfigError, TransportError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.server import Server, serve
from doorward.net.silent_port import refusing_port, swallowing_port
from doorward.net.tls import TlsContext, server_context
from doorward.practice.archive import PracticeArchive
from doorward.practice.certificates import PracticeCertificates
from doorward.practice.ftp import FtpDoor
from doorward.practice.log import EventLog
from doorward.practice.personas import WEB_SPEAKERS, Persona, Speaks, TlsDemand
from doorward.practice.settings import ArchiveSettings
from doorward.practice.strangers import Mute, Ssh
from doorward.practice.street import Street
from doorward.practice.web import Web

#: All clients are on this machine, and scanners open many connections at a time; nobody waits for the end of a class.
LIMITS = replace(DEFAULT_LIMITS, associations=20_000, associations_per_peer=20_000, drain_s=0.5)
#: File descriptors beside the sockets that listen: callers, files, pipes.
_MORE_FILES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One archive that answers now."""

    settings: ArchiveSettings
    address: str
    port: int
    #: Ports of the doors beside it, in the order of the settings.
    more_ports: tuple[int, ...] = ()


@asynccontextmanager
async def fleet(
    archives: Sequence[ArchiveSettings],
    *,
    certificates: PracticeCertificates | None = None,
    limits: Limits = LIMITS,
    log: EventLog | None = None,
) -> AsyncIterator[tuple[Running, ...]]:
    """Run the archives for as long as the context is open.

    ``certificates`` are needed where a persona asks for TLS; ``log`` is the caller's to close. Raises ConfigError where an
    address and port are taken, or where this process may not open so many files.
    """
    refused: ConfigError | None = None
    allow_files(archives)
    async with AsyncExitStack() as stack:
        street = Street(log)
        server = await stack.enter_async_context(serve(street, limits=limits))
        opener = _Opener(stack, server, street, certificates, log)
        try:
            running = tuple([await opener.open(settings) for settings in archives])
        except ConfigError as error:
            refused = error  # raised below: the server's task group would wrap it
        else:
            yield running
    if refused is not None:
        raise refused


def needs_certificates(archives: Iterable[ArchiveSettings]) -> bool:
    """Tell whether one of the archives speaks TLS."""
    return any(secured(archive) for archive in archives)


def secured(archive: ArchiveSettings) -> bool:
    """Tell whether an archive speaks TLS at one of its doors."""
    personas = (archive.persona, *(door.persona for door in archive.doors))
    return any(persona.tls is not TlsDemand.NONE for persona in personas)


def allow_files(archives: Sequence[ArchiveSettings]) -> None:
    """Raise the number of files that this process may open, as far as the system lets it. Raises ConfigError."""
    needed = _MORE_FILES + sum(
        _FILES.get(persona.speaks, 1)
        for archive in archives
        for persona in (archive.persona, *(door.persona for door in archive.doors))
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        message = f"{len(archives):,} archives need {needed:,} open files, and {hard:,} are allowed"
        hint = "Allow more (ulimit -Hn, LimitNOFILE), or start fewer archives."
        raise ConfigError(message, hint=hint)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


#: Sockets of a door, where they are more than one: FTP has one for data, a filtered port a connection in its queue.
_FILES = {Speaks.FTP: 2, Speaks.FILTERED: 2}


class _Opener:
    """Opens every door of an archive."""

    def __init__(
        self,
        stack: AsyncExitStack,
        server: Server,
        street: Street,
        certificates: PracticeCertificates | None,
        log: EventLog | None,
    ) -> None:
        self._stack = stack
        self._server = server
        self._street = street
        self._certificates = certificates
        self._log = log
        self._contexts: dict[TlsDemand, TlsContext] = {}

    async def open(self, settings: ArchiveSettings) -> Running:
        """Open all; raises ConfigError."""
        port, *more = [
            await self._open(settings, persona, wanted)
            for persona, wanted in (
                (settings.persona, settings.port),
                *((door.persona, door.port) for door in settings.doors),
            )
        ]
        return Running(
            settings=settings, address=settings.address, port=port, more_ports=tuple(more)
        )

    async def _open(self, settings: ArchiveSettings, persona: Persona, port: int) -> int:
        address = settings.address
        try:
            match persona.speaks:
                case Speaks.DICOM:
                    return await self._open_archive(settings, persona, port)
                case Speaks.REFUSED:
                    return self._stack.enter_context(refusing_port(address, port))
                case Speaks.FILTERED:
                    swallowing = swallowing_port(address, port, limits=self._server.limits)
                    return await self._stack.enter_async_context(swallowing)
                case Speaks.FTP:
                    control, data = await FtpDoor(persona, self._log).listen(address, port)
                    self._stack.callback(data.close)
                    self._stack.callback(control.close)
                    return int(control.sockets[0].getsockname()[1])
                case speaks:
                    return await self._open_stranger(_STRANGERS[speaks], persona, address, port)
        except (OSError, TransportError) as error:
            raise _taken(address, port, error) from None

    async def _open_archive(self, settings: ArchiveSettings, persona: Persona, port: int) -> int:
        archive = PracticeArchive(
            persona,
            settings.holding,
            ae_title=settings.ae_title,
            calling_ae_title=settings.calling_ae_title,
        )
        tls = self._tls(persona.tls)
        bound = await self._server.listen(settings.address, port, tls=tls)
        self._street.archives[settings.address, bound] = archive
        return bound

    async def _open_stranger(
        self,
        kind: "Callable[[Persona, EventLog | None], Mute]",
        persona: Persona,
        address: str,
        port: int,
    ) -> int:
        log = self._log
        listener = await get_running_loop().create_server(lambda: kind(persona, log), address, port)
        self._stack.callback(listener.close)
        return int(listener.sockets[0].getsockname()[1])

    def _tls(self, demand: TlsDemand) -> TlsContext | None:
        """Return the context of a demand; all archives share it."""
        if demand is TlsDemand.NONE:
            return None
        if demand not in self._contexts:
            assert self._certificates is not None, "the caller looks at needs_certificates"
            is_mutual = demand is TlsDemand.MUTUAL
            self._contexts[demand] = server_context(
                self._certificates.server_certificate,
                self._certificates.server_key,
                client_authorities=self._certificates.authority if is_mutual else None,
            )
        return self._contexts[demand]


_STRANGERS: dict[Speaks, "Callable[[Persona, EventLog | None], Mute]"] = {
    Speaks.NOTHING: Mute,
    Speaks.SSH: Ssh,
    **dict.fromkeys(WEB_SPEAKERS, Web),
}


def _taken(address: str, port: int, error: OSError | TransportError) -> ConfigError:
    where = f"{address} port {port}"
    if not isinstance(error, OSError):
        return ConfigError(f"{where} cannot be kept silent ({error})", field="port")
    if error.errno == errno.EADDRINUSE:
        hint = "End the program that listens there, or choose other ports with --port-base."
        return ConfigError(f"{where} is taken", field="port", hint=hint)
    reason = error.strerror or type(error).__name__
    is_forbidden = error.errno == errno.EACCES
    return ConfigError(
        f"{where} cannot be opened ({reason})",
        field="port",
        hint="Ports below 1024 may be for privileged users only." if is_forbidden else None,
    )
