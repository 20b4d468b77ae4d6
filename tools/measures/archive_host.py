"""An archive of ours as a process of its own: ``python -m measures.archive_host FOLDER [STUDIES]``.

It says the port for plain DICOM and ends with its standard input; the other doors are in ``ports.json``: DICOM over TLS,
HTTPS. It makes an authority in the folder (``authority.pem``) and one device (``device.pem`` with its key), which is known
by its certificate, and on the plain port by address and AE title. With STUDIES the index is filled directly beforehand.
Bounds are those of every archive, and so is what is synced; the loop is the one that programs run on.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from doorward.access.authority import Authority, Credential
from doorward.access.identity import Device, Operation, Register
from doorward.access.passwords import Passwords
from doorward.access.rules import Effect, Rule, Rules
from doorward.access.vault import Vault
from doorward.archive.archive import Archive
from doorward.archive.web.app import make_app
from doorward.archive.web.door import Door
from doorward.limits import DEFAULT_LIMITS
from doorward.net.asgi import serve_https
from doorward.net.loop import run
from doorward.net.server import serve
from doorward.net.tls import server_context
from measures.index import entries
from measures.processes import HOST, until_stdin_ends

TITLE = "DOORWARD"
CALLING = "DOORWARDBENCH"
AUTHORITY, SERVER, DEVICE, PORTS = "authority.pem", "server.pem", "device.pem", "ports.json"
_LISTENER = "bench"
_RULES = Rules(
    rules=(
        Rule(
            name="bench",
            effect=Effect.ALLOW,
            operations=frozenset(
                {Operation.STORE, Operation.QUERY, Operation.RETRIEVE, Operation.MOVE}
            ),
        ),
        Rule(name="echo", effect=Effect.ALLOW, operations=frozenset({Operation.ECHO})),
    )
)
#: storescu has the title that it has by default.
_TITLES = (CALLING, "STORESCU")
_LIMITS = replace(DEFAULT_LIMITS, associations_per_peer=1_000)
_BATCH = 500


def _write(path: Path, credential: Credential) -> None:
    path.touch(mode=0o600)
    path.write_bytes(credential.key + credential.certificate)


def _certified(folder: Path) -> Device:
    """Make the certificates, and return the device that everybody here is."""
    now = datetime.now(UTC)
    authority = Authority.make("bench", now=now)
    (folder / AUTHORITY).write_bytes(authority.certificate)
    _write(folder / SERVER, authority.server([HOST], now=now))
    shown = authority.device("bench", now=now)
    _write(folder / DEVICE, shown)
    return Device(
        name="bench",
        role="migration",  # the one role that stores and retrieves; it has an end
        ae_titles=_TITLES,
        fingerprints=(shown.fingerprint,),
        addresses=(HOST,),
        legacy_port=_LISTENER,
        expires_at=now + timedelta(days=1),
    )


async def _fill(archive: Archive, studies: int) -> None:
    left = entries(studies)
    while batch := list(islice(left, _BATCH)):
        await archive.index.write(batch)


@asynccontextmanager
async def _doors(archive: Archive, folder: Path) -> AsyncIterator[int]:
    """Serve all three doors; gives the plain port."""
    server_pem, authority = folder / SERVER, folder / AUTHORITY
    strict = server_context(server_pem, server_pem, client_authorities=authority)
    asking = server_context(server_pem, server_pem, client_authorities=authority, asks_only=True)
    vault = Vault.create(folder / "secrets")
    door = Door(archive, vault=vault, hosts=(HOST,), passwords=Passwords())
    app = make_app(archive, door=door)
    async with (
        serve(archive.services, limits=_LIMITS) as server,
        serve_https(app, HOST, 0, asking, _LIMITS) as https,
    ):
        plain = await server.listen(HOST, 0)
        archive.services.legacy_ports[plain] = _LISTENER
        tls = await server.listen(HOST, 0, tls=strict)
        (folder / PORTS).write_text(json.dumps({"tls": tls, "https": https.port}))
        yield plain


async def _serve(folder: Path, studies: int) -> None:
    register = Register(devices=(_certified(folder),))
    archive = await Archive.open(
        folder / "archive", register=register, rules=_RULES, ae_title=TITLE, limits=_LIMITS
    )
    try:
        await _fill(archive, studies)
        async with _doors(archive, folder) as port:
            await asyncio.to_thread(until_stdin_ends, port)
    finally:
        await archive.close()


if __name__ == "__main__":
    run(_serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
