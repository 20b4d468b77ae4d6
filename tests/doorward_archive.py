"""An archive on our own server, running in a thread of the test: what DCMTK's tools, pynetdicom and Orthanc talk to.

It answers C-ECHO, C-STORE, C-FIND, C-GET and C-MOVE over Part 10 files with nothing but ``doorward`` inside, so whatever a
foreign client makes of it is the truth about ``net.server``. It keeps what it received byte by byte, and a record of the
commands and of how each association ended. Plumbing for tests, no product: everything is held in memory.
"""

import asyncio
import fnmatch
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from doorward.audit.scope import Scope
from doorward.dicom.part10 import read_file_meta, syntax_of
from doorward.dicom.values import decode_strings, encode_identifier
from doorward.dicom.walk import Syntax, walk
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.application import Application, Match, Peer
from doorward.net.server import serve
from doorward.net.suboperations import MovePlan
from doorward.net.transfer import Instance, Receiver
from doorward.wire.command import CFindRequest, CGetRequest, CMoveRequest, CStoreRequest
from doorward.wire.negotiation import AcceptedContext, negotiate
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest, UserInformation
from doorward.wire.status import MOVE_DESTINATION_UNKNOWN, PENDING, SUCCESS
from doorward.wire.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    RETIRED_STORAGE_SOP_CLASSES,
    STORAGE_SOP_CLASSES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    TRANSFER_SYNTAXES,
    VERIFICATION,
)

HOST = "127.0.0.1"
START_S = 10.0
LEVEL = 0x0008_0052
#: What says how to read an identifier, or where it goes; never compared.
NO_KEYS = (0x0008_0005, LEVEL, 0x0008_0054)
STUDY_UID = 0x0020_000D
#: Query/Retrieve Level -> the attribute that tells its entities apart (PS3.4 section C.6.1).
UNIQUE_KEYS = {
    "PATIENT": 0x0010_0020,
    "STUDY": STUDY_UID,
    "SERIES": 0x0020_000E,
    "IMAGE": 0x0008_0018,
}
#: Number of ... Related ...: tag -> the level whose entities are counted.
COUNTERS = {
    0x0020_1200: "STUDY",
    0x0020_1202: "SERIES",
    0x0020_1204: "IMAGE",
    0x0020_1206: "SERIES",
    0x0020_1208: "IMAGE",
    0x0020_1209: "IMAGE",
}
#: Ours first: it decides, and it is the one that the synthetic files are written in.
STORAGE_SYNTAXES = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    *(uid for uid in TRANSFER_SYNTAXES if uid != EXPLICIT_VR_LITTLE_ENDIAN),
    EXPLICIT_VR_BIG_ENDIAN,  # retired, but the wheel has files in it
)
QUERY_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
STORAGE = (*STORAGE_SOP_CLASSES, *RETIRED_STORAGE_SOP_CLASSES)
QUERY = (
    *(PATIENT_ROOT_FIND, PATIENT_ROOT_GET, PATIENT_ROOT_MOVE),
    *(STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE),
)
SUPPORTED: Mapping[str, Sequence[str]] = {
    VERIFICATION: QUERY_SYNTAXES,
    **dict.fromkeys(QUERY, QUERY_SYNTAXES),
}

Values = dict[int, tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Stored:
    """One instance of the archive: what is sent, and what is searched."""

    instance: Instance
    values: Values


def instance_of(path: Path) -> Instance:
    """Return a Part 10 file as it travels: its data set untouched, in its own transfer syntax."""
    content = path.read_bytes()
    meta = read_file_meta(content)
    return Instance(
        sop_class_uid=meta.media_storage_sop_class_uid,
        sop_instance_uid=meta.media_storage_sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        data_set=content[meta.data_set_offset :],
    )


def values_of(data_set: bytes, syntax: Syntax) -> Values:
    """Return the short values of the outermost level: tag -> (VR, bytes)."""
    return {
        tag: (vr, data_set[offset : offset + length])
        for tag, vr, offset, length, depth in walk(data_set, syntax)
        if depth == 0 and vr != "SQ" and 0 <= length < 1024
    }


def text_of(values: Values, tag: int) -> str:
    """Return one value as text, "" where it is absent."""
    vr, raw = values.get(tag, ("LO", b""))
    return "\\".join(decode_strings(raw, vr, ("ISO_IR 100",)))


def is_match(key: str, value: str) -> bool:
    """Single value, list of UIDs and wild card matching (PS3.4 section C.2.2.2)."""
    return any(fnmatch.fnmatchcase(value, one) for one in key.split("\\"))


@dataclass(slots=True)
class Received(Receiver):
    """One instance as it came in by C-STORE."""

    archive: "DoorwardArchive"
    context: AcceptedContext
    request: CStoreRequest
    pieces: list[bytes] = field(default_factory=list)

    def fragment(self, fragment: bytes) -> None:
        self.pieces.append(fragment)

    def end(self) -> int:
        self.archive.received.append(self)
        return SUCCESS

    def abandon(self) -> None:
        self.archive.abandoned += 1

    @property
    def data_set(self) -> bytes:
        """The bytes as they came."""
        return b"".join(self.pieces)

    def instance(self) -> Instance:
        """What was received, in the form in which it would be sent."""
        return Instance(
            sop_class_uid=self.request.affected_sop_class_uid,
            sop_instance_uid=self.request.affected_sop_instance_uid,
            transfer_syntax_uid=self.context.transfer_syntax,
            data_set=self.data_set,
        )


class DoorwardArchive(Application):
    """A running archive: where it listens, and a record of what it has seen."""

    host = HOST

    def __init__(
        self,
        files: Sequence[Path] = (),
        *,
        ae_title: str = "DOORWARD",
        callers: Sequence[str] = (),
        destinations: Mapping[str, int] | None = None,
        destination_tls: ssl.SSLContext | None = None,
        storage_syntaxes: Sequence[str] = STORAGE_SYNTAXES,
    ) -> None:
        self.port = 0
        self.ae_title = ae_title
        self.callers = tuple(callers)
        #: AE title -> port on loopback, for C-MOVE.
        self.destinations = dict(destinations or {})
        self.destination_tls = destination_tls
        #: Best first: of several proposed transfer syntaxes the first of these is taken.
        self.supported = {**SUPPORTED, **dict.fromkeys(STORAGE, storage_syntaxes)}
        self.stored = [self._index(instance_of(path)) for path in files]
        self.commands: list[str] = []
        self.received: list[Received] = []
        self.abandoned = 0
        self.endings: list[str] = []
        self.certificates: list[bytes | None] = []

    def _index(self, instance: Instance) -> Stored:
        syntax = syntax_of(instance.transfer_syntax_uid)
        return Stored(instance, values_of(instance.data_set, syntax))

    def data_sets(self) -> set[bytes]:
        """Return what was received, byte by byte."""
        return {one.data_set for one in self.received}

    # --- Application ---

    def associate(
        self, peer: Peer, request: AssociateRequest
    ) -> AssociateAccept | AssociateReject | None:
        self.certificates.append(peer.certificate)
        if request.called_ae_title != self.ae_title:
            return AssociateReject(result=1, source=1, reason=7)
        if self.callers and request.calling_ae_title not in self.callers:
            return AssociateReject(result=1, source=1, reason=3)
        agreed = negotiate(
            request.presentation_contexts,
            self.supported,
            roles=request.user_information.role_selections,
            allow_scp_role=STORAGE,
        )
        return AssociateAccept(
            called_ae_title=request.called_ae_title,
            calling_ae_title=request.calling_ae_title,
            presentation_contexts=agreed.answers,
            user_information=UserInformation(
                max_pdu_bytes=DEFAULT_LIMITS.max_pdu_bytes,
                implementation_class_uid="2.25.1",
                role_selections=agreed.roles,
            ),
        )

    def echo(self, peer: Peer) -> int:
        self.commands.append("C-ECHO")
        return SUCCESS

    def store(self, peer: Peer, context: AcceptedContext, request: CStoreRequest) -> Receiver | int:
        self.commands.append("C-STORE")
        return Received(self, context, request)

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match]:
        self.commands.append("C-FIND")
        syntax = syntax_of(context.transfer_syntax)
        keys = values_of(identifier, syntax)
        return [(PENDING, encode_identifier(row, syntax)) for row in self._answers(keys)]

    def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Iterable[Instance] | int:
        self.commands.append("C-GET")
        return self._instances(context, identifier)

    def move(
        self, peer: Peer, context: AcceptedContext, request: CMoveRequest, identifier: bytes
    ) -> MovePlan | int:
        self.commands.append("C-MOVE")
        port = self.destinations.get(request.move_destination)
        if port is None:
            return MOVE_DESTINATION_UNKNOWN
        return MovePlan(
            address=HOST,
            port=port,
            gate=Scope.loopback(),
            called_ae_title=request.move_destination,
            calling_ae_title=self.ae_title,
            originator_ae_title="MOVER",
            instances=self._instances(context, identifier),
            tls=self.destination_tls,
        )

    def ended(self, peer: Peer, *, in_order: bool) -> None:
        self.endings.append("released" if in_order else "broken")

    # --- search ---

    def _matching(self, keys: Values) -> list[Stored]:
        wanted = {tag: text_of(keys, tag) for tag in keys if tag not in (*NO_KEYS, *COUNTERS)}
        return [
            one
            for one in self.stored
            if all(is_match(key, text_of(one.values, tag)) for tag, key in wanted.items() if key)
        ]

    def _answers(self, keys: Values) -> Iterator[list[tuple[int, str, bytes | str]]]:
        """Yield one row per entity of the asked level, with counters where they are asked for."""
        level = text_of(keys, LEVEL)
        groups: dict[str, list[Stored]] = {}
        for one in self._matching(keys):
            groups.setdefault(text_of(one.values, UNIQUE_KEYS[level]), []).append(one)
        for group in groups.values():
            first = group[0].values
            row: list[tuple[int, str, bytes | str]] = [(LEVEL, "CS", level)]
            for tag, (vr, _) in keys.items():
                if tag in COUNTERS:
                    key = UNIQUE_KEYS[COUNTERS[tag]]
                    row.append((tag, "IS", str(len({text_of(one.values, key) for one in group}))))
                elif tag != LEVEL:
                    row.append((tag, vr, first.get(tag, (vr, b""))[1]))
            yield row

    def _instances(self, context: AcceptedContext, identifier: bytes) -> list[Instance]:
        keys = values_of(identifier, syntax_of(context.transfer_syntax))
        return [one.instance for one in self._matching(keys)]


@contextmanager
def served(
    archive: DoorwardArchive,
    *,
    tls: ssl.SSLContext | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[DoorwardArchive]:
    """Serve the archive on a free port of loopback until the context is left; its ``port`` is set."""
    up = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stop = asyncio.Event()
        async with serve(archive, limits=limits) as server:
            archive.port = await server.listen(HOST, 0, tls=tls)
            loops.append((asyncio.get_running_loop(), stop))
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="doorward-archive")
    thread.start()
    assert up.wait(START_S), "the server did not start"
    loop, stop = loops[0]
    try:
        yield archive
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
        assert not thread.is_alive(), "the server did not end"
