"""Our client against the real servers: Orthanc, dcmqrscp, storescp and pynetdicom, over plain TCP and over TLS.

What the servers kept, and what the synthetic files hold, decides whether we spoke DICOM.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from certificates import Certificates, Credential
from doorward.audit.scope import Scope
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    DoorwardError,
    LocalProtocolError,
    TlsFailed,
)
from doorward.net.client import Proposal, Requestor, associate
from doorward.net.operations import FindEnd
from doorward.net.tls import client_context, server_context
from doorward.net.transfer import Instance, RetrieveResult, get, move, store
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import RoleSelection
from doorward.wire.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_FIND,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from doorward_archive import DoorwardArchive, instance_of, served, text_of, values_of
from peers import DicomPeer, StorageArea, Tls, dcmqrscp, orthanc, storescp
from pynetdicom_peers import pynetdicom_archive
from synthetic import Known, data_set_of, make_studies
from wheel_instances import composite_instances, digests

pytestmark = pytest.mark.interop

HOST = "127.0.0.1"
LEVEL, PATIENT_ID = 0x0008_0052, 0x0010_0020
STUDY_UID, SERIES_UID, IMAGE_UID = 0x0020_000D, 0x0020_000E, 0x0008_0018
CT = "1.2.840.10008.5.1.4.1.1.2"
COLOR_PALETTE_STORAGE = "1.2.840.10008.5.1.4.39.1"
ARCHIVES = [
    "orthanc",
    "orthanc-tls",
    "dcmqrscp",
    "pynetdicom",
    "pynetdicom-tls",
    "ours",
    "ours-tls",
]
STORES = [*ARCHIVES, "storescp", "storescp-tls"]
PEER_OF = {
    "orthanc": "orthanc",
    "dcmqrscp": "dcmtk",
    "storescp": "dcmtk",
    "pynetdicom": "pynetdicom",
}
ORTHANC_OPEN = {f"DicomAlwaysAllow{one}": True for one in ("Find", "Get", "Move")}
#: Port, AE title, and what the server was given to store.
Running = tuple[int, str, Callable[[], set[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A server as our client sees it. ``kept`` returns the data sets it was given to store."""

    port: int
    ae_title: str
    kept: Callable[[], set[bytes]]
    tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def association(
        self, contexts: Sequence[tuple[str, Sequence[str]]], *, roles: Sequence[str] = ()
    ) -> AsyncIterator[Requestor]:
        """Associate; ``roles`` are SOP classes in which we want to be the SCP too."""
        proposal = Proposal(
            called_ae_title=self.ae_title,
            calling_ae_title="DOORWARD",
            contexts=contexts,
            role_selections=tuple(
                RoleSelection(sop_class_uid=uid, scu_role=True, scp_role=True) for uid in roles
            ),
        )
        async with associate(
            HOST, self.port, proposal, gate=Scope.loopback(), tls=self.tls
        ) as requestor:
            yield requestor


# --- the servers -----------------------------------------------------------------------------------


def our_tls(certificates: Certificates, own: Credential | None) -> ssl.SSLContext:
    """A verifying client context with a certificate of ours, or none."""
    return client_context(
        authorities=certificates.authority.certificate_path,
        certificate=own.certificate_path if own else None,
        key=own.key_path if own else None,
    )


def data_sets_in(folder: Path, pattern: str = "*") -> set[bytes]:
    """The data sets of all files below the folder whose name fits."""
    return {data_set_of(path) for path in folder.rglob(pattern) if path.is_file()}


def server_tls(certificates: Certificates, own: Credential) -> ssl.SSLContext:
    """A server context that demands a client certificate."""
    trusted = certificates.authority.certificate_path
    return server_context(own.certificate_path, own.key_path, client_authorities=trusted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What every server is started with: a filled archive that may move to ``targets``, TLS or none."""

    folder: Path
    files: tuple[Path, ...]
    certificates: Certificates
    targets: dict[str, int]

    @contextmanager
    def start(self, name: str) -> Iterator[Reach]:
        """Run one of STORES until the context is left."""
        kind = name.removesuffix("-tls")
        is_safe = kind != name
        made = self.certificates
        # DCMTK of this age has no suite of TLS 1.2 for an EC certificate: storescp gets the usual RSA.
        own = made.server_rsa if kind == "storescp" else made.server
        tls = Tls(own=own, trusted=made.authority) if is_safe else None
        ours = our_tls(made, made.client) if is_safe else None
        folder = self.folder / name
        with getattr(self, kind)(folder, tls) as (port, ae_title, kept):
            yield Reach(port=port, ae_title=ae_title, kept=kept, tls=ours)

    @contextmanager
    def orthanc(self, folder: Path, tls: Tls | None) -> Iterator[Running]:
        modalities = {
            title: {"AET": title, "Host": HOST, "Port": port, "UseDicomTls": False}
            for title, port in self.targets.items()
        }
        configuration = {**ORTHANC_OPEN, "DicomModalities": modalities}
        with orthanc(folder, configuration=configuration, files=self.files, tls=tls) as peer:
            # Orthanc names its attachments by UUIDs and keeps the data set as it came.
            yield peer.port, peer.ae_title, lambda: data_sets_in(folder / "storage", "*-*-*-*-*")

    @contextmanager
    def dcmqrscp(self, folder: Path, tls: Tls | None) -> Iterator[Running]:
        areas = [StorageArea(ae_title="AREA", access="RW", files=self.files)]
        with dcmqrscp(folder, areas, hosts=self.targets) as peer:
            yield peer.port, "AREA", lambda: data_sets_in(folder / "AREA", "[!i]*")

    @contextmanager
    def pynetdicom(self, folder: Path, tls: Tls | None) -> Iterator[Running]:
        hosts = {title: (HOST, port) for title, port in self.targets.items()}
        with pynetdicom_archive(self.files, destinations=hosts, tls=tls) as peer:
            yield peer.port, peer.ae_title, lambda: set(peer.received.values())

    @contextmanager
    def storescp(self, folder: Path, tls: Tls | None) -> Iterator[Running]:
        # Several wheel files share one instance UID, by which storescp would name them.
        with storescp(folder, options=("--fork", "--unique-filenames"), tls=tls) as peer:
            yield peer.port, peer.ae_title, lambda: data_sets_in(folder / "received")

    @contextmanager
    def ours(self, folder: Path, tls: Tls | None) -> Iterator[Running]:
        listening = server_tls(self.certificates, tls.own) if tls else None
        archive = DoorwardArchive(self.files, destinations=self.targets)
        with served(archive, tls=listening):
            yield archive.port, archive.ae_title, archive.data_sets


@pytest.fixture(scope="module")
def second() -> Iterator[DoorwardArchive]:
    """Our own server titled SECOND, which the others know as a destination."""
    with served(DoorwardArchive(ae_title="SECOND")) as archive:
        yield archive


@pytest.fixture(scope="module")
def reach(
    tmp_path_factory: pytest.TempPathFactory,
    known: Known,
    certificates: Certificates,
    second: DoorwardArchive,
    move_target: DicomPeer,
) -> Iterator[Callable[[str], Reach]]:
    """Return a server by its name, filled with the known studies; each starts once. No test may change one."""
    targets = {"SECOND": second.port, move_target.ae_title: move_target.port}
    starter = Starter(
        folder=tmp_path_factory.mktemp("servers"),
        files=known.files,
        certificates=certificates,
        targets=targets,
    )
    with ExitStack() as running:
        yield cache(lambda name: running.enter_context(starter.start(name)))


def each(names: Sequence[str]) -> pytest.MarkDecorator:
    """Run a test against each of the servers that are here."""
    marked = []
    for name in names:
        peer = PEER_OF.get(name.removesuffix("-tls"))
        marked.append(pytest.param(name, marks=[pytest.mark.peer(peer)] if peer else []))
    return pytest.mark.parametrize("name", marked)


# --- what we ask -----------------------------------------------------------------------------------

BOTH = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
Keys = Sequence[tuple[int, str, str]]


def syntax_of_context(context: AcceptedContext) -> Syntax:
    """How an identifier must be written."""
    is_explicit = context.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
    return Syntax.EXPLICIT_LITTLE if is_explicit else Syntax.IMPLICIT_LITTLE


def query(requestor: Requestor, model: str, keys: Keys) -> bytes:
    """An identifier for an accepted context."""
    context = requestor.context_for(model)
    assert context is not None
    return encode_identifier(keys, syntax_of_context(context))


async def values_found(requestor: Requestor, model: str, keys: Keys, tag: int) -> list[str]:
    """The values of one attribute in all matches; the query must end with success."""
    context = requestor.context_for(model)
    assert context is not None
    syntax = syntax_of_context(context)
    found: list[str] = []

    def take(status: int, match: bytes) -> None:
        assert status in (0xFF00, 0xFF01)
        found.append(text_of(values_of(match, syntax), tag))

    result = await requestor.find(model, query(requestor, model, keys), take)
    assert (result.end, result.final_status, result.matches) == (FindEnd.FINAL, 0, len(found))
    return found


def one_study(known: Known) -> tuple[Keys, set[bytes]]:
    """Keys that name the first study, and the data sets that belong to it."""
    uid = next(iter(known.images_of_study))
    files = [path for path in known.files if dcmread(path).StudyInstanceUID == uid]
    return ((LEVEL, "CS", "STUDY"), (STUDY_UID, "UI", uid)), {data_set_of(path) for path in files}


class Kept:
    """Takes one instance of a C-GET into a list."""

    def __init__(self, kept: list[bytes]) -> None:
        self._kept = kept
        self._pieces: list[bytes] = []

    def fragment(self, fragment: bytes) -> None:
        self._pieces.append(fragment)

    def end(self) -> int:
        self._kept.append(b"".join(self._pieces))
        return 0

    def abandon(self) -> None:
        raise AssertionError("the association ended in the middle of an instance")


# --- echo and store --------------------------------------------------------------------------------


@each(STORES)
def test_every_server_echoes(reach: Callable[[str], Reach], name: str) -> None:
    async def ask() -> list[int]:
        async with reach(name).association([(VERIFICATION, BOTH)]) as requestor:
            return [await requestor.echo() for _ in range(3)]

    assert asyncio.run(ask()) == [0, 0, 0]


@each(STORES)
def test_every_server_keeps_what_we_store_byte_by_byte(
    tmp_path: Path, certificates: Certificates, name: str
) -> None:
    # A CT slice of 525 KB goes out in many pieces: Orthanc and DCMTK take 16 KB in one PDU.
    small = make_studies(tmp_path / "small", patients=1, seed=6)
    large = make_studies(
        tmp_path / "large", patients=1, studies_per_patient=1, series=1, images=2, rows=512, seed=5
    )
    files = (*small.files, *large.files)
    starter = Starter(folder=tmp_path, files=(), certificates=certificates, targets={})

    async def send(server: Reach) -> list[int]:
        async with server.association([(CT, (EXPLICIT_VR_LITTLE_ENDIAN,))]) as requestor:
            return [await store(requestor, instance_of(path)) for path in files]

    with starter.start(name) as server:
        assert asyncio.run(send(server)) == [0] * len(files)
        kept = server.kept()
    assert {data_set_of(path) for path in files} <= kept


@each(["storescp", "storescp-tls", "ours", "ours-tls"])
def test_every_wheel_file_arrives_byte_by_byte(
    tmp_path: Path, certificates: Certificates, name: str
) -> None:
    instances = [instance_of(path) for path in composite_instances()]
    if name.startswith("storescp"):
        # DCMTK ends the association at an odd length (PS3.8 section E.1); two files of the wheel have one.
        instances = [one for one in instances if len(one.data_set) % 2 == 0]
    starter = Starter(folder=tmp_path, files=(), certificates=certificates, targets={})

    async def send(server: Reach) -> list[Instance]:
        """Send what the server takes, and return what it does not."""
        pairs = sorted({(one.sop_class_uid, one.transfer_syntax_uid) for one in instances})
        refused = []
        async with server.association([(uid, (syntax,)) for uid, syntax in pairs]) as requestor:
            for one in instances:
                if requestor.context_for(one.sop_class_uid, one.transfer_syntax_uid) is None:
                    refused.append(one)
                else:
                    assert await store(requestor, one) == 0
        return refused

    with starter.start(name) as server:
        refused = asyncio.run(send(server))
        kept = server.kept()
    # DCMTK 3.6.7 does not count palettes among what can be stored.
    palettes = {COLOR_PALETTE_STORAGE} if name.startswith("storescp") else set()
    assert {one.sop_class_uid for one in refused} == palettes
    sent = {one.data_set for one in instances if one not in refused}
    assert digests(kept) == digests(sent)


# --- find ------------------------------------------------------------------------------------------


@each(ARCHIVES)
def test_every_archive_answers_at_every_level(
    reach: Callable[[str], Reach], known: Known, name: str
) -> None:
    async def ask() -> dict[str, list[str]]:
        contexts = [(PATIENT_ROOT_FIND, BOTH), (STUDY_ROOT_FIND, BOTH)]
        found: dict[str, list[str]] = {"series": [], "images": []}
        async with reach(name).association(contexts) as requestor:
            keys: Keys = ((LEVEL, "CS", "PATIENT"), (PATIENT_ID, "LO", ""))
            found["patients"] = await values_found(requestor, PATIENT_ROOT_FIND, keys, PATIENT_ID)
            keys = ((LEVEL, "CS", "STUDY"), (STUDY_UID, "UI", ""))
            found["studies"] = await values_found(requestor, STUDY_ROOT_FIND, keys, STUDY_UID)
            # Level by level, each under the unique key of the one above (PS3.4 section C.4.1.2.1).
            for study in found["studies"]:
                keys = ((LEVEL, "CS", "SERIES"), (STUDY_UID, "UI", study), (SERIES_UID, "UI", ""))
                series = await values_found(requestor, STUDY_ROOT_FIND, keys, SERIES_UID)
                found["series"] += series
                for one in series:
                    keys = (
                        (LEVEL, "CS", "IMAGE"),
                        (STUDY_UID, "UI", study),
                        (SERIES_UID, "UI", one),
                    )
                    keys = (*keys, (IMAGE_UID, "UI", ""))
                    found["images"] += await values_found(
                        requestor, STUDY_ROOT_FIND, keys, IMAGE_UID
                    )
        return found

    found = asyncio.run(ask())
    assert {one: len(values) for one, values in found.items()} == {
        one: len(set(values)) for one, values in found.items()
    }
    assert set(found["studies"]) == set(known.images_of_study)
    for many in ("patients", "studies", "series", "images"):
        assert len(found[many]) == getattr(known, many)


@each(ARCHIVES)
def test_a_cancelled_query_ends_and_leaves_the_association_usable(
    reach: Callable[[str], Reach], name: str
) -> None:
    async def ask() -> tuple[int, bool, int | None, int]:
        contexts = [(STUDY_ROOT_FIND, BOTH), (VERIFICATION, BOTH)]
        async with reach(name).association(contexts) as requestor:
            keys: Keys = ((LEVEL, "CS", "STUDY"), (STUDY_UID, "UI", ""))
            asked = query(requestor, STUDY_ROOT_FIND, keys)
            result = await requestor.find(STUDY_ROOT_FIND, asked, lambda *_: None, max_matches=2)
            return result.matches, result.capped, result.final_status, await requestor.echo()

    matches, capped, final, echo = asyncio.run(ask())
    assert (matches, capped, echo) == (2, True, 0)
    # Six matches are soon said: the server may have been done before the cancel reached it.
    assert final in (0xFE00, 0x0000)


@each(["orthanc", "dcmqrscp"])
def test_a_query_without_a_level_is_an_answer_and_no_error(
    reach: Callable[[str], Reach], name: str
) -> None:
    async def ask() -> tuple[FindEnd, int | None]:
        async with reach(name).association([(STUDY_ROOT_FIND, BOTH)]) as requestor:
            asked = query(requestor, STUDY_ROOT_FIND, ((STUDY_UID, "UI", ""),))
            result = await requestor.find(STUDY_ROOT_FIND, asked, lambda *_: None)
            return result.end, result.final_status

    assert asyncio.run(ask()) == (FindEnd.FINAL, {"orthanc": 0xC000, "dcmqrscp": 0xA900}[name])


# --- get and move ----------------------------------------------------------------------------------


@each(ARCHIVES)
def test_every_archive_gives_a_study_back_byte_by_byte(
    reach: Callable[[str], Reach], known: Known, name: str
) -> None:
    keys, data_sets = one_study(known)
    got: list[bytes] = []

    async def ask() -> RetrieveResult:
        contexts = [(STUDY_ROOT_GET, BOTH), (CT, (EXPLICIT_VR_LITTLE_ENDIAN,))]
        async with reach(name).association(contexts, roles=[CT]) as requestor:
            asked = query(requestor, STUDY_ROOT_GET, keys)
            return await get(requestor, STUDY_ROOT_GET, asked, lambda *_: Kept(got))

    result = asyncio.run(ask())
    assert (result.status, result.completed, result.failed) == (0, len(data_sets), 0)
    assert len(got) == len(data_sets)
    assert set(got) == data_sets


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("orthanc", marks=pytest.mark.peer("orthanc")),
        pytest.param("dcmqrscp", marks=pytest.mark.peer("dcmtk")),
        pytest.param("pynetdicom", marks=pytest.mark.peer("pynetdicom")),
        "ours",
    ],
)
def test_an_archive_hears_when_we_refuse_what_it_gives(
    reach: Callable[[str], Reach], known: Known, name: str
) -> None:
    keys, data_sets = one_study(known)

    async def ask() -> RetrieveResult:
        contexts = [(STUDY_ROOT_GET, BOTH), (CT, (EXPLICIT_VR_LITTLE_ENDIAN,))]
        async with reach(name).association(contexts, roles=[CT]) as requestor:
            asked = query(requestor, STUDY_ROOT_GET, keys)
            return await get(requestor, STUDY_ROOT_GET, asked, lambda *_: 0xA700)

    result = asyncio.run(ask())
    assert result.status != 0
    assert (result.completed, result.failed) == (0, len(data_sets))


@pytest.mark.peer("dcmtk")
@each(ARCHIVES)
def test_every_archive_moves_a_study_to_our_server_and_to_storescp(
    reach: Callable[[str], Reach],
    known: Known,
    second: DoorwardArchive,
    move_target: DicomPeer,
    name: str,
) -> None:
    keys, data_sets = one_study(known)
    second.received.clear()

    async def ask() -> list[RetrieveResult]:
        async with reach(name).association([(STUDY_ROOT_MOVE, BOTH)]) as requestor:
            asked = query(requestor, STUDY_ROOT_MOVE, keys)
            to = ("SECOND", move_target.ae_title, "NOWHERE")
            return [await move(requestor, STUDY_ROOT_MOVE, asked, title) for title in to]

    here, there, nowhere = asyncio.run(ask())
    assert (here.status, here.completed, here.failed) == (0, len(data_sets), 0)
    assert (there.status, there.completed, there.failed) == (0, len(data_sets), 0)
    assert nowhere.status in (
        0xA801,
        0xC000,
    )  # the second is Orthanc's word for an unknown destination
    assert second.data_sets() == data_sets
    assert data_sets <= data_sets_in(move_target.folder / "received")


# --- being turned away -----------------------------------------------------------------------------


def failure_of(conversation: Coroutine[Any, Any, object]) -> DoorwardError:
    """What the conversation ended with."""
    with pytest.raises(DoorwardError) as caught:
        asyncio.run(conversation)
    return caught.value


async def echo(server: Reach) -> int:
    """One association with one C-ECHO."""
    async with server.association([(VERIFICATION, BOTH)]) as requestor:
        return await requestor.echo()


@pytest.mark.peer("dcmtk")
def test_a_refused_association_names_result_source_and_reason(
    reach: Callable[[str], Reach],
) -> None:
    refused = failure_of(echo(replace(reach("dcmqrscp"), ae_title="NOBODY")))
    assert isinstance(refused, AssociationRejected)
    assert (refused.result, refused.source, refused.reason) == (1, 1, 7)
    assert not refused.is_transient


@pytest.mark.peer("dcmtk")
def test_what_a_read_only_area_does_not_take_is_not_sent(
    open_dcmqrscp: DicomPeer, known: Known
) -> None:
    area = Reach(port=open_dcmqrscp.port, ae_title="READ", kept=set)

    async def send() -> int:
        contexts = [(CT, (EXPLICIT_VR_LITTLE_ENDIAN,)), (VERIFICATION, BOTH)]
        async with area.association(contexts) as requestor:
            assert requestor.context_for(CT) is None
            return await store(requestor, instance_of(known.files[0]))

    assert isinstance(failure_of(send()), LocalProtocolError)


@each(["orthanc-tls", "storescp-tls", "pynetdicom-tls", "ours-tls"])
@pytest.mark.parametrize("who", ["nobody", "stranger", "expired"])
def test_a_tls_server_turns_away_a_bad_or_missing_certificate(
    reach: Callable[[str], Reach], certificates: Certificates, name: str, who: str
) -> None:
    own = None if who == "nobody" else getattr(certificates, who)
    failure = failure_of(echo(replace(reach(name), tls=our_tls(certificates, own))))
    # TLS 1.3 refuses after the handshake: an alert, or only the end where it overtakes the alert.
    assert isinstance(failure, (TlsFailed, AssociationAborted))


@each(["orthanc-tls", "storescp-tls", "pynetdicom-tls", "ours-tls"])
def test_plain_dicom_to_a_tls_port_gets_no_association(
    reach: Callable[[str], Reach], name: str
) -> None:
    assert isinstance(failure_of(echo(replace(reach(name), tls=None))), AssociationAborted)


# Not pynetdicom: it never ends an association that began with a ClientHello.
@each(["orthanc", "dcmqrscp", "storescp", "ours"])
def test_tls_to_a_plain_port_fails_in_the_handshake(
    reach: Callable[[str], Reach], certificates: Certificates, name: str
) -> None:
    ours = our_tls(certificates, certificates.client)
    assert isinstance(failure_of(echo(replace(reach(name), tls=ours))), TlsFailed)


@each(["orthanc-tls", "ours-tls"])
def test_we_do_not_talk_to_a_server_that_we_do_not_trust(
    reach: Callable[[str], Reach], certificates: Certificates, name: str
) -> None:
    # The system's own authorities did not sign the test's.
    ours = client_context(
        certificate=certificates.client.certificate_path, key=certificates.client.key_path
    )
    failure = failure_of(echo(replace(reach(name), tls=ours)))
    assert isinstance(failure, TlsFailed)
    assert failure.kind == "certificate_refused"
