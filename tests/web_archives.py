"""An archive of ours with its HTTPS door for a test: served on loopback over TLS in a thread, with callers that it knows.

    with web_archive(tmp_path) as site:
        site.stored(instance("1.2.3"))
        answer = site.get("/dicom-web/studies", who="ws1")          # by client certificate
        answer = site.get("/dicom-web/studies", who=None, Authorization=f"Bearer {site.token('viewer')}")
        assert answer.status == 200, answer.json()

Known from the start: the modality ``ct1``, the workstation ``ws1`` (both by certificate) and the service ``viewer`` (role
workstation, by token). ``Rules`` allow everything that their roles carry.
"""

import asyncio
import http.client
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from archives import EVERYTHING, HOST, device, fingerprint
from certificates import Certificates, Credential, make_certificates, make_credential
from doorward.access import totp
from doorward.access.identity import How, Operation, Person, Register, Role, Service
from doorward.access.journal.reading import show
from doorward.access.journal.record import Entry, Event, Record
from doorward.access.passwords import Passwords
from doorward.access.people import PeopleBook, SetUp, set_up
from doorward.access.rules import Rules
from doorward.access.tokens import TokenBook
from doorward.access.vault import Vault
from doorward.archive.archive import Archive
from doorward.archive.ingest import Door as IngestDoor
from doorward.archive.web.app import make_app
from doorward.archive.web.door import Door
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.asgi import HttpsDoor, serve_https
from doorward.net.tls import server_context
from doorward.net.transfer import Instance

#: Who is known by certificate where a test says nothing else: name -> role.
DEVICES = {"ct1": Role.MODALITY, "ws1": Role.WORKSTATION}
#: Good enough to be taken.
PASSWORD = "four kettles walk to nowhere"
SERVICES = (Service(name="viewer", role=Role.WORKSTATION),)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAnswer:
    """One answer; header names are in lower case, several of one name joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True, kw_only=True)
class WebArchive:
    """A running archive with its HTTPS door."""

    archive: Archive
    door: Door
    vault: Vault
    loop: asyncio.AbstractEventLoop
    https: HttpsDoor
    folder: Path
    certificates: Certificates
    #: By name, of the devices.
    credentials: dict[str, Credential]
    host: str = HOST
    _contexts: dict[str | None, ssl.SSLContext] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """Where HTTPS is served."""
        return self.https.port

    @property
    def url(self) -> str:
        """The root of DICOMweb."""
        return f"https://{self.host}:{self.port}/dicom-web"

    @property
    def authority(self) -> Path:
        """The certificate that has signed the server's: ``verify=`` of requests and dicomweb-client."""
        return self.certificates.authority.certificate_path

    def do(self, work: Any) -> Any:
        """Do something in the archive's loop and return what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(15)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call something in the archive's loop and return what it returns."""

        async def called() -> Any:
            return function(*arguments)

        return self.do(called())

    def context(self, who: str | None) -> ssl.SSLContext:
        """Return the TLS of a caller: with the certificate of that device, or without any."""
        if who not in self._contexts:
            context = ssl.create_default_context(cafile=str(self.authority))
            if who is not None:
                shown = self.credentials[who]
                context.load_cert_chain(shown.certificate_path, shown.key_path)
            self._contexts[who] = context
        return self._contexts[who]

    def connection(self, who: str | None = None) -> http.client.HTTPSConnection:
        """Return a connection, to be closed by the test, for several requests."""
        return http.client.HTTPSConnection(
            self.host, self.port, context=self.context(who), timeout=15
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "ws1",
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> WebAnswer:
        """Ask once over a connection of its own; ``who``: whose certificate is shown (None: nobody's)."""
        connection = self.connection(who)
        try:
            return ask(connection, method, path, body=body, headers=headers)
        finally:
            connection.close()

    def get(self, path: str, *, who: str | None = "ws1", **headers: str) -> WebAnswer:
        """Ask by GET; underscores in header names become hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", path, who=who, headers=named)

    def token(
        self,
        owner: str = "viewer",
        scope: Iterable[Operation] = (Operation.QUERY, Operation.RETRIEVE),
        *,
        lifetime: timedelta = timedelta(days=1),
    ) -> str:
        """Return a new token of a service or person."""
        texts: list[str] = []

        def change(content: bytes | None) -> bytes:
            book = TokenBook() if content is None else TokenBook.from_bytes(content)
            now = self.archive.now()
            issued = book.issue(owner=owner, scope=tuple(scope), now=now, lifetime=lifetime)
            texts.append(issued.text)
            return issued.book.to_bytes()

        self.vault.update("tokens.json", change)
        return texts[0]

    def stored(self, *instances: Instance) -> None:
        """Take instances in, as if ``ct1`` had sent them."""

        async def take(one: Instance) -> None:
            async def whole() -> AsyncIterator[bytes]:
                yield bytes(one.data_set)

            sender = device("ct1", Role.MODALITY).identity(How.CERTIFICATE)
            door = IngestDoor(
                identity=lambda: sender,
                rules=lambda: self.archive.settings.rules,
                now=self.archive.now,
                record=Entry(event=Event.STORE, peer=HOST),
            )
            answer = await self.archive.ingest.take(
                whole(),
                door,
                sop_class_uid=one.sop_class_uid,
                sop_instance_uid=one.sop_instance_uid,
                transfer_syntax_uid=one.transfer_syntax_uid,
            )
            assert answer.status == 0, answer

        for one in instances:
            self.do(take(one))

    def credentials_of(self, name: str, password: str = PASSWORD) -> SetUp:
        """Give somebody who is in the register a password and a second factor."""
        made = set_up(name, password, passwords())

        def change(book: PeopleBook) -> tuple[PeopleBook, bytes]:
            changed = book.with_credentials(made.credentials)
            return changed, changed.to_bytes()

        self.door.login.book.update(change)
        return made

    def log_in(
        self, name: str, password: str = PASSWORD, code: str = "", **headers: str
    ) -> WebAnswer:
        """Try to log in."""
        body = json.dumps({"name": name, "password": password, "code": code}).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        kind = {"Content-Type": "application/json"}
        return self.request("POST", "/login", who=None, body=body, headers=kind | named)

    def session(self, name: str) -> str:
        """Log somebody in and return the Cookie header that shows it."""
        made = self.credentials_of(name)
        step = int(self.archive.now().timestamp() // totp.STEP_S)
        answer = self.log_in(name, code=totp.code_at(made.secret, step))
        assert answer.status == 200, answer
        return answer.headers["set-cookie"].partition(";")[0]

    def journal(self) -> list[Record]:
        """Return the whole journal, as far as it is on disk."""
        self.do(self.archive.journal.write(Entry(event=Event.JOURNAL_READ)))
        return list(show(self.folder / "archive" / "journal"))[:-1]

    def revoke(self, name: str) -> None:
        """Take somebody out of the register."""
        register = self.archive.settings.register.without(name)
        self.call(lambda: self.archive.use(register=register))


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> WebAnswer:
    """Ask over a connection that is kept. ``body``: bytes, or an iterator of bytes, sent chunked."""
    connection.request(method, path, body=body, headers=headers or {})
    reply = connection.getresponse()
    found: dict[str, str] = {}
    for name, value in reply.getheaders():
        found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
    return WebAnswer(status=reply.status, headers=found, body=reply.read())


@contextmanager
def web_archive(
    folder: Path,
    *,
    devices: dict[str, Role] | None = None,
    persons: Iterable[Person] = (),
    services: Iterable[Service] = SERVICES,
    rules: Rules = EVERYTHING,
    extra_routes: Callable[[Archive], Iterable[BaseRoute]] = lambda _: (),
    limits: Limits = DEFAULT_LIMITS,
    **door_named: Any,
) -> Iterator[WebArchive]:
    """Serve an archive in a thread; ``devices``: name -> role, each with a certificate of its own."""
    certificates = make_certificates(folder / "certificates")
    known = DEVICES if devices is None else devices
    credentials = {
        name: make_credential(
            folder / "certificates", name, issuer=certificates.authority, names=()
        )
        for name in known
    }
    register = Register(
        devices=tuple(
            device(name, role, fingerprints=(fingerprint(credentials[name]),))
            for name, role in known.items()
        ),
        persons=tuple(persons),
        services=tuple(services),
    )
    vault = Vault.create(folder / "secrets")
    tls = server_context(
        certificates.server.certificate_path,
        certificates.server.key_path,
        client_authorities=certificates.authority.certificate_path,
        asks_only=True,
    )
    ready, running = threading.Event(), _Running()

    async def run() -> None:
        archive = await Archive.open(
            folder / "archive", register=register, rules=rules, limits=limits
        )
        try:
            door = make_door(archive, vault, **door_named)
            running.ends.callback(door.close)
            app = make_app(archive, door=door, extra_routes=extra_routes(archive))
            async with serve_https(app, HOST, 0, tls, limits) as https:
                running.end = asyncio.Event()
                running.site = WebArchive(
                    archive=archive,
                    door=door,
                    vault=vault,
                    loop=asyncio.get_running_loop(),
                    https=https,
                    folder=folder,
                    certificates=certificates,
                    credentials=credentials,
                )
                ready.set()
                await running.end.wait()
        finally:
            running.ends.close()
            await archive.close()

    def start() -> None:
        try:
            asyncio.run(run())
        except BaseException as fault:  # noqa: BLE001 - told to the test, whose thread is another one
            running.fault = fault
        finally:
            ready.set()

    thread = threading.Thread(target=start)
    thread.start()
    assert ready.wait(15)
    if running.site is None:
        thread.join(15)
        assert running.fault is not None
        raise running.fault
    try:
        yield running.site
    finally:
        running.site.loop.call_soon_threadsafe(running.end.set)
        thread.join(15)
    if running.fault is not None:
        raise running.fault


class _Running:
    """What the thread of an archive tells the test's."""

    def __init__(self) -> None:
        self.site: WebArchive | None = None
        self.fault: BaseException | None = None
        self.end: asyncio.Event
        self.ends = ExitStack()


@cache  # making one takes a third of a second
def passwords() -> Passwords:
    """Return what hashes passwords, the same for all tests."""
    return Passwords()


def make_door(archive: Archive, vault: Vault, **named: Any) -> Door:
    """Return the door of an archive whose secrets lie in a vault."""
    named = {"hosts": ("localhost", HOST), "passwords": passwords()} | named
    return Door(archive, vault=vault, **named)
