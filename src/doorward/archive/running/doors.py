"""The doors of an archive as its settings name them: DICOM over TLS, plain ports for legacy devices, HTTPS.

Who stands behind a door is decided elsewhere (``services``, ``web.door``), for all of them by the same register and policy.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Self

from doorward.archive.archive import Archive
from doorward.archive.running.folder import (
    AUTHORITY,
    OPENID_SECRET,
    REVOCATIONS,
    SERVER,
    SERVER_KEY,
    Folder,
)
from doorward.archive.running.metrics import CONTENT_TYPE, Metrics
from doorward.archive.running.persons import admit_first
from doorward.archive.running.settings import Settings
from doorward.archive.user_identities import UserIdentities
from doorward.archive.web import metrics_page
from doorward.archive.web.app import DICOM_WEB, make_app
from doorward.archive.web.caller import SCOPE_KEY, Caller
from doorward.archive.web.door import Door
from doorward.archive.web.metrics_page import counted
from doorward.archive.web.openid import OpenId
from doorward.errors import ConfigError
from doorward.limits import Limits
from doorward.net.application import Peer
from doorward.net.asgi import AsgiApp, HttpsDoor, Scope, serve_https
from doorward.net.server import Server, serve
from doorward.net.tls import TlsContext, present, refuse_revoked, server_context


class Doors:
    """Every listener of one archive. Made by ``opened``."""

    def __init__(
        self, folder: Folder, settings: Settings, archive: Archive, metrics: Metrics | None
    ) -> None:
        self._metrics = metrics
        self._door: Door | None = None
        self._folder = folder
        self._settings = settings
        self._archive = archive
        self._server: Server | None = None
        self._contexts: list[TlsContext] = []
        self._https: list[HttpsDoor] = []
        #: Where it listens, a sentence for each listener.
        self.lines: list[str] = []

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        folder: Folder,
        settings: Settings,
        archive: Archive,
        limits: Limits,
        metrics: Metrics | None = None,
    ) -> AsyncIterator[Self]:
        """Listen for as long as the context is open; then what runs may finish. ``metrics`` are shown on HTTPS.

        Raises ConfigError where a port is taken, or a certificate and its key do not fit.
        """
        doors = cls(folder, settings, archive, metrics)
        async with AsyncExitStack() as stack:
            doors._door = door = doors._make_door(limits)
            stack.callback(door.close)
            doors._server = await stack.enter_async_context(serve(archive.services, limits=limits))
            await doors._open_dicom(door)
            await doors._open_legacy()
            await doors._open_https(door, stack, limits)
            try:
                yield doors
            finally:
                await doors.drain()

    async def drain(self) -> None:
        """Let what runs finish, on every door at the same time."""
        async with asyncio.TaskGroup() as tasks:
            for one in self._https:
                tasks.create_task(one.close())
            if self._server is not None:
                tasks.create_task(self._server.close())

    @property
    def connections(self) -> Mapping[str, int]:
        """Connections that are open, by door."""
        dicom = 0 if self._server is None else self._server.associations
        return {"dicom": dicom, "https": sum(one.connections for one in self._https)}

    @property
    def sessions(self) -> int:
        """Sessions of people who are logged in."""
        return 0 if self._door is None else len(self._door.sessions)

    def _make_door(self, limits: Limits) -> Door:
        """Return what knows tokens and logins; DICOM asks it too, so that who is locked out is so everywhere."""
        return Door(
            self._archive,
            vault=self._folder.vault(),
            hosts=self._settings.site.hosts,
            origins=self._settings.https.allowed_origins,
            openid=self._openid(limits),
            admit=partial(admit_first, self._folder),
        )

    def _take_user_identities(self, door: Door) -> None:
        archive = self._archive
        users = UserIdentities(
            register=lambda: archive.settings.register,
            now=archive.now,
            login=door.login,
            tokens=door.tokens,
            provider=door.openid,
        )
        archive.services.callers.identify_user = users.identify

    async def _open_dicom(self, door: Door) -> None:
        settings = self._settings.dicom
        if settings.user_identity:
            self._take_user_identities(door)
        # Who may show a user identity instead is let through without a certificate; who shows neither is refused.
        context = self._context(asks_only=settings.user_identity) if settings.addresses else None
        for address in settings.addresses:
            port = await self._listen(address, settings.port, context, "dicom.port")
            title = settings.ae_title
            self.lines.append(f"DICOM over TLS on {address} port {port}, AE title {title}")

    async def _open_legacy(self) -> None:
        for one in self._settings.legacy_port:
            port = await self._listen(one.address, one.port, None, f"legacy_port {one.name}: port")
            self._archive.services.legacy_ports[port] = one.name
            self.lines.append(
                f"plain DICOM, unencrypted ({one.name}), on {one.address} port {port}"
            )

    async def _open_https(self, door: Door, stack: AsyncExitStack, limits: Limits) -> None:
        settings = self._settings.https
        if not settings.addresses:
            return
        context = self._context(asks_only=True)
        app = self._app(door)
        for address in settings.addresses:
            try:
                one = serve_https(
                    app, address, settings.port, context, limits, told=door.turned_away
                )
                https = await stack.enter_async_context(one)
            except OSError as error:
                raise self._cannot_listen(address, settings.port, error, "https.port") from None
            self._https.append(https)
            self.lines.append(f"HTTPS on {address} port {https.port}, DICOMweb at {DICOM_WEB}")

    def _app(self, door: Door) -> AsgiApp:
        metrics = self._metrics
        if metrics is None:
            return make_app(self._archive, door=door)
        page = metrics_page.routes(self._archive, metrics.text, CONTENT_TYPE)
        return counted(make_app(self._archive, door=door, extra_routes=page), metrics.answered)

    def _openid(self, limits: Limits) -> OpenId | None:
        settings = self._settings.openid
        if not settings.issuer:
            return None
        secret = self._folder.vault().read(OPENID_SECRET).decode(errors="replace").strip()
        authorities = self._folder.path / settings.authorities if settings.authorities else None
        return OpenId(
            settings,
            secret=secret,
            also_hosts=settings.also_hosts,
            authorities=authorities,
            limits=limits,
        )

    async def _listen(
        self, address: str, port: int, context: TlsContext | None, setting: str
    ) -> int:
        assert self._server is not None
        try:
            return await self._server.listen(address, port, tls=context)
        except OSError as error:
            raise self._cannot_listen(address, port, error, setting) from None

    def _cannot_listen(self, address: str, port: int, error: OSError, setting: str) -> ConfigError:
        """Return why nobody can be served there."""
        return ConfigError(
            f"cannot listen on {address} port {port}: {error.strerror or 'refused'}",
            file=self._folder.settings_file,
            field=setting,
            hint="Is another program there, or the address not of this machine? Name another one.",
        )

    def _context(self, *, asks_only: bool) -> TlsContext:
        vault = self._folder.vault()
        context = server_context(
            vault.path(SERVER),
            vault.path(SERVER_KEY),
            client_authorities=vault.path(AUTHORITY),
            asks_only=asks_only,
        )
        refuse_revoked(context, vault.path(REVOCATIONS))
        self._contexts.append(context)
        return context

    def renew(self) -> None:
        """Show the certificate that now lies in the vault, and refuse who was revoked. Raises ConfigError."""
        vault = self._folder.vault()
        for context in self._contexts:
            refuse_revoked(context, vault.path(REVOCATIONS))
            present(context, vault.path(SERVER), vault.path(SERVER_KEY))

    def end_unknown(self) -> int:
        """End what runs for everybody who is nobody any more, on every door; return how many.

        On HTTPS these are the requests that are being answered; the next one is refused by itself.
        """
        services = self._archive.services

        def is_unknown(peer: Peer) -> bool:
            return not services.is_known(peer)

        ended = 0 if self._server is None else self._server.end(is_unknown)
        return ended + sum(one.end(_is_from_nobody) for one in self._https)


def _is_from_nobody(scope: Scope) -> bool:
    """Whether a request came from somebody who was known then, and is not now."""
    caller = scope.get(SCOPE_KEY)
    return isinstance(caller, Caller) and caller.was_known and caller.identity() is None
