"""Requests to the DICOMweb routes of an archive, in the loop of the test: no socket, and a door that knows one caller.

async with opened(tmp_path) as archive:
    web = Web(archive)
    await web.store(instance("1.2.3"))
    answer = await web.get("/studies", Accept="application/dicom+json")
    assert answer.status == 200, answer.json()
"""

import email.parser
import email.policy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Mount, Router

from doorward.access.identity import Identity, Kind, Role
from doorward.access.journal.record import Entry, Event
from doorward.archive.archive import Archive
from doorward.archive.ingest import Door as IngestDoor
from doorward.archive.web import app as web_app
from doorward.archive.web import capabilities, qido, wado
from doorward.archive.web.caller import SCOPE_KEY, Caller
from doorward.errors import DoorwardError
from doorward.net.transfer import Instance

HOST = "archive.test"
BASE = f"https://{HOST}/dicom-web"


def who(name: str = "ws1", role: str = Role.WORKSTATION) -> Identity:
    """Return a device."""
    return Identity(kind=Kind.DEVICE, name=name, role=role, how="certificate")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; header names are in lower case. ``is_whole`` False: it was broken off."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool = True

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    def parts(self) -> list[tuple[dict[str, str], bytes]]:
        """Return the parts of a multipart body, read by the standard library."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        assert message.is_multipart()
        boundary = message.get_boundary().encode()
        found = []
        for piece in self.body.split(b"--" + boundary)[1:-1]:
            fields, _, content = piece.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in fields.decode().strip().split("\r\n")]
            found.append(({name.lower(): value for name, value in lines}, content[:-2]))
        return found


@dataclass(slots=True)
class Web:
    """The routes of an archive, asked by one identity (None: it was revoked)."""

    archive: Archive
    identity: Identity | None = field(default_factory=who)
    #: How many pieces are taken until the client goes away; None: all.
    patience: int | None = None

    def app(self) -> Any:
        """Return the routes with the handlers of faults that they have behind the real door."""
        routes = [
            one for module in (capabilities, qido, wado) for one in module.routes(self.archive)
        ]
        handlers = {HTTPException: web_app._http, DoorwardError: web_app._ours}
        return ExceptionMiddleware(Router([Mount("/dicom-web", routes=routes)]), handlers)

    async def get(self, path: str, **headers: str) -> Reply:
        """Ask by GET."""
        return await self.ask("GET", path, **headers)

    async def ask(self, method: str, path: str, **headers: str) -> Reply:
        """Ask for a path below /dicom-web; underscores in header names become hyphens."""
        bare, _, query = path.partition("?")
        named = [(b"host", HOST.encode())]
        named += [(n.replace("_", "-").lower().encode(), v.encode()) for n, v in headers.items()]
        scope = {
            "type": "http",
            "method": method,
            "path": f"/dicom-web{bare}",
            "scheme": "https",
            "query_string": query.encode(),
            "headers": named,
            "root_path": "",
            "server": (HOST, 443),
            "client": ("127.0.0.1", 1),
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            SCOPE_KEY: Caller(
                identity=lambda: self.identity, record=Entry(event=Event.LOGIN, peer="127.0.0.1")
            ),
        }
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if self.patience is not None and len(messages) > self.patience:
                raise OSError("the client has gone")
            messages.append(message)

        is_whole = True
        try:
            await self.app()(scope, receive, send)
        except Exception:
            if not messages:
                raise
            is_whole = False
        start, *rest = messages
        found: dict[str, str] = {}
        for name, value in start["headers"]:
            key, text = name.decode().lower(), value.decode()
            found[key] = f"{found[key]}, {text}" if key in found else text
        body = b"".join(one.get("body", b"") for one in rest)
        return Reply(start["status"], found, body, is_whole)

    async def store(self, *instances: Instance) -> None:
        """Take instances in, as if a modality had sent them."""
        sender = who("ct1", Role.MODALITY)
        door = IngestDoor(
            identity=lambda: sender,
            rules=lambda: self.archive.settings.rules,
            now=self.archive.now,
            record=Entry(event=Event.STORE),
        )
        for one in instances:

            async def whole(content: bytes = bytes(one.data_set)) -> AsyncIterator[bytes]:
                yield content

            answer = await self.archive.ingest.take(
                whole(),
                door,
                sop_class_uid=one.sop_class_uid,
                sop_instance_uid=one.sop_instance_uid,
                transfer_syntax_uid=one.transfer_syntax_uid,
            )
            assert answer.status == 0, answer


def path_of(uid: str) -> str:
    """Return the path of an instance as ``archives.instance`` names its study and series."""
    return f"/studies/{uid}.1/series/{uid}.2/instances/{uid}"
