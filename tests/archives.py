"""An archive of ours for a test: opened in a folder, served on loopback, with devices that it knows by their certificates."""

import asyncio
import hashlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from certificates import Credential
from doorward.access.identity import Device, Operation, Register
from doorward.access.journal.reading import show
from doorward.access.journal.record import Record
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.archive import Archive
from doorward.archive.head import Head
from doorward.dicom.attributes import DataSetView, read_attributes
from doorward.dicom.part10 import read_file_meta
from doorward.dicom.tags import vr_of
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import PIXEL_DATA, Syntax
from doorward.errors import DoorwardError
from doorward.net.client import Proposal, Requestor, associate
from doorward.net.server import serve
from doorward.net.transfer import Instance
from doorward.wire.pdu import RoleSelection
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND, VERIFICATION
from index_entries import CT, TAG_OF
from loopback import OpenGate

HOST = "127.0.0.1"
SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN,)
EVERYTHING = Rules(
    rules=(
        Rule(
            name="studies",
            effect=Effect.ALLOW,
            operations=frozenset(
                {
                    Operation.STORE,
                    Operation.COMMIT,
                    Operation.QUERY,
                    Operation.RETRIEVE,
                    Operation.MOVE,
                }
            ),
        ),
        Rule(name="echo", effect=Effect.ALLOW, operations=frozenset({Operation.ECHO})),
    )
)


def fingerprint(credential: Credential) -> str:
    """Return the SHA-256 of a certificate."""
    return hashlib.sha256(credential.certificate.public_bytes(Encoding.DER)).hexdigest()


def device(name: str, role: str, **named: Any) -> Device:
    """Return a device; an AE title of its own where none is given."""
    return Device(name=name, role=role, **{"ae_titles": (name.upper(),)} | named)


def legacy(name: str, role: str, *titles: str) -> Device:
    """Return a device that is known by address and title on the legacy port."""
    known = {"addresses": (HOST,), "legacy_port": "old"}
    return device(name, role, **known | ({"ae_titles": titles} if titles else {}))


@asynccontextmanager
async def opened(
    folder: Path, devices: Iterable[Device] = (), rules: Rules = EVERYTHING, **named: Any
) -> AsyncIterator[Archive]:
    """Open an archive, and close it."""
    register = Register(devices=tuple(devices))
    archive = await Archive.open(folder, register=register, rules=rules, **named)
    try:
        yield archive
    finally:
        await archive.close()


@asynccontextmanager
async def served(
    archive: Archive, *, tls: ssl.SSLContext | None = None, is_legacy: bool = False
) -> AsyncIterator[int]:
    """Serve an archive and give its port; on a legacy port named "old" where asked for."""
    async with serve(archive.services) as server:
        port = await server.listen(HOST, 0, tls=tls)
        if is_legacy:
            archive.services.legacy_ports[port] = "old"
        yield port


@asynccontextmanager
async def calling_as(
    title: str, port: int, *contexts: tuple[str, tuple[str, ...]], takes: Iterable[str] = ()
) -> AsyncIterator[Requestor]:
    """An association of ours by that AE title; ``takes``: SOP classes that it receives by C-GET."""
    roles = tuple(RoleSelection(sop_class_uid=u, scu_role=True, scp_role=True) for u in takes)
    asked = replace(proposal_of(title, *contexts), role_selections=roles)
    async with associate(HOST, port, asked, gate=OpenGate()) as requestor:
        yield requestor


async def found(
    requestor: Requestor, level: str, **keys: str
) -> tuple[int | None, list[DataSetView]]:
    """Ask by C-FIND and return the final status and the answers."""
    answers: list[DataSetView] = []

    def keep(status: int, answer: Any) -> None:
        answers.append(read_attributes(bytes(answer), Syntax.EXPLICIT_LITTLE))

    result = await requestor.find(STUDY_ROOT_FIND, identifier(level, **keys), keep)
    return result.final_status, answers


def identifier(level: str, **keys: str) -> bytes:
    """Return an identifier with keys by keyword."""
    elements = [(TAG_OF[k], vr_of(TAG_OF[k]), text) for k, text in keys.items()]
    return encode_identifier([*elements, (0x00080052, "CS", level)], Syntax.EXPLICIT_LITTLE)


@dataclass
class Running:
    """An archive in a thread of its own, for tools that block."""

    archive: Archive
    loop: asyncio.AbstractEventLoop
    port: int
    legacy_port: int
    ae_title: str = "DOORWARD"
    host: str = HOST

    def do(self, work: Any) -> Any:
        """Do something in the archive's loop and return what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def at_legacy_port(self) -> "Running":
        """Return the other door."""
        return Running(self.archive, self.loop, self.legacy_port, self.legacy_port)


@contextmanager
def running(
    folder: Path, devices: Iterable[Device], tls: ssl.SSLContext | None, **named: Any
) -> Iterator[Running]:
    """Run an archive in a thread: TLS on one port, legacy devices on another."""
    ready, found = threading.Event(), []

    async def run() -> None:
        end = asyncio.Event()
        async with (
            opened(folder, devices, **named) as archive,
            served(archive, tls=tls) as port,
            served(archive, is_legacy=True) as legacy_port,
        ):
            found.append((Running(archive, asyncio.get_running_loop(), port, legacy_port), end))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    one, end = found[0]
    try:
        yield one
    finally:
        one.loop.call_soon_threadsafe(end.set)
        thread.join(10)


def records(folder: Path) -> list[Record]:
    """Return the whole journal of an archive."""
    return list(show(folder / "journal"))


def proposal_of(calling_ae_title: str, *contexts: tuple[str, tuple[str, ...]]) -> Proposal:
    """Return what a device asks for: echo, study root and CT where nothing else is said."""
    asked = contexts or (
        (VERIFICATION, SYNTAXES),
        (STUDY_ROOT_FIND, SYNTAXES),
        (CT, SYNTAXES),
    )
    return Proposal(called_ae_title="DOORWARD", calling_ae_title=calling_ae_title, contexts=asked)


def instance(uid: str, pixels: bytes = b"\0\0", **changes: str) -> Instance:
    """Return a CT image of a study and a series of its own; ``changes`` are by keyword."""
    texts = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": f"{uid}.1",
        "SeriesInstanceUID": f"{uid}.2",
        "PatientID": "P1",
        "PatientName": "Nobody^Known",
        "StudyDate": "20260102",
    } | changes
    elements: list[Any] = [(TAG_OF[k], vr_of(TAG_OF[k]), text) for k, text in texts.items()]
    elements.append((PIXEL_DATA, "OW", pixels + b"\0" * (len(pixels) % 2)))
    return Instance(
        sop_class_uid=CT,
        sop_instance_uid=uid,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        data_set=encode_identifier(elements, Syntax.EXPLICIT_LITTLE),
    )


def sendable(path: Path) -> Instance | None:
    """Return a file as it may be stored: named as its data set names itself; None where that lacks a UID or cannot be read."""
    content = path.read_bytes()
    meta = read_file_meta(content)
    data_set = content[meta.data_set_offset :]
    tags = (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)
    head = Head(meta.transfer_syntax_uid)
    try:
        head.feed(data_set)
        head.finish()
        view = head.view()
        class_uid, uid, *_ = [view[tag].values[0] for tag in tags]
    except (DoorwardError, KeyError, IndexError):
        return None
    return Instance(
        sop_class_uid=class_uid,
        sop_instance_uid=uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        data_set=data_set,
    )
