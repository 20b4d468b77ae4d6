"""Foreign clients against our own server: DCMTK's tools, pynetdicom and Orthanc, over plain TCP and over TLS.

The server is ``doorward_archive``, which has nothing but ``doorward`` inside; that the clients are content, and that bytes
arrive as they were, is judged by the clients and by pydicom.
"""

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, _config, build_context, build_role, evt
from pynetdicom.association import Association

from certificates import Certificates
from dcmtk import (
    ClientTls,
    ToolResult,
    echoscu,
    findscu,
    getscu,
    movescu,
    rejection_in,
    run_tool,
    storescu,
)
from doorward.limits import DEFAULT_LIMITS
from doorward.net.application import Match, Peer
from doorward.net.tls import client_context, server_context
from doorward.wire.command import CFindRequest
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.status import PENDING
from doorward.wire.uids import (
    PATIENT_ROOT_FIND,
    STORAGE_SOP_CLASSES,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from doorward_archive import STORAGE_SYNTAXES, DoorwardArchive, instance_of, served
from hostile_callers import GOOD
from peers import Orthanc, Tls, orthanc, storescp
from synthetic import Known, data_set_of, make_studies
from wheel_instances import composite_instances, contexts_of, digests

pytestmark = pytest.mark.interop

LEVELS = {"PATIENT": "patients", "STUDY": "studies", "SERIES": "series", "IMAGE": "images"}
CT = "1.2.840.10008.5.1.4.1.1.2"
#: How storescu is told to keep a transfer syntax.
STORESCU_OPTIONS = {
    "-xi": "1.2.840.10008.1.2",
    "-xe": "1.2.840.10008.1.2.1",
    "-xd": "1.2.840.10008.1.2.1.99",
    "-xb": "1.2.840.10008.1.2.2",
    "-xy": "1.2.840.10008.1.2.4.50",
    "-xx": "1.2.840.10008.1.2.4.51",
    "-xs": "1.2.840.10008.1.2.4.70",
    "-xt": "1.2.840.10008.1.2.4.80",
    "-xu": "1.2.840.10008.1.2.4.81",
    "-xv": "1.2.840.10008.1.2.4.90",
    "-xw": "1.2.840.10008.1.2.4.91",
    "-xr": "1.2.840.10008.1.2.5",
}
#: Where --accept-all would take another one of those that storescu proposes beside it.
PREFERRED_BY_STORESCP = {
    "1.2.840.10008.1.2.1": "--prefer-little",
    "1.2.840.10008.1.2.2": "--prefer-big",
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Two CT slices of 525 KB."""
    folder = tmp_path_factory.mktemp("large")
    return make_studies(
        folder, patients=1, studies_per_patient=1, series=1, images=2, rows=512, seed=5
    )


@pytest.fixture(scope="module", params=["plain", "tls", "mutual-tls"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it runs over plain TCP, over TLS, and over TLS with a client certificate."""
    return str(request.param)


@pytest.fixture(scope="module")
def tls_server(transport: str, certificates: Certificates) -> ssl.SSLContext | None:
    """What our server speaks."""
    if transport == "plain":
        return None
    own, trusted = certificates.server, certificates.authority.certificate_path
    authorities = trusted if transport == "mutual-tls" else None
    return server_context(own.certificate_path, own.key_path, client_authorities=authorities)


@pytest.fixture(scope="module")
def tool_tls(transport: str, certificates: Certificates) -> ClientTls | None:
    """How DCMTK's tools speak to it."""
    if transport == "plain":
        return None
    own = certificates.client if transport == "mutual-tls" else None
    return ClientTls(trusted=certificates.authority, own=own)


@pytest.fixture(scope="module")
def archive(known: Known, tls_server: ssl.SSLContext | None) -> Iterator[DoorwardArchive]:
    """Our archive over the known studies; tests read what it adds to its records."""
    with served(DoorwardArchive(known.files), tls=tls_server) as one:
        yield one


def one_study(known: Known) -> tuple[list[str], set[bytes]]:
    """Keys that name the first study, and the data sets that belong to it."""
    uid = next(iter(known.images_of_study))
    files = [path for path in known.files if dcmread(path).StudyInstanceUID == uid]
    return ["0008,0052=STUDY", f"0020,000D={uid}"], {data_set_of(path) for path in files}


def received_data_sets(folder: Path) -> set[bytes]:
    """The data sets of all files in the folder."""
    return {data_set_of(path) for path in folder.iterdir()}


# --- DCMTK's tools ---------------------------------------------------------------------------------


@pytest.mark.peer("dcmtk")
def test_echoscu_gets_its_echo_back(archive: DoorwardArchive, tool_tls: ClientTls | None) -> None:
    done = echoscu(archive, "--repeat", "3", tls=tool_tls)
    assert done.is_success
    assert done.output.count("Received Echo Response (Success)") == 3


@pytest.mark.peer("dcmtk")
def test_storescu_stores_a_usual_ct_slice_byte_by_byte(
    archive: DoorwardArchive, tool_tls: ClientTls | None, large: Known
) -> None:
    # The least and the greatest PDU that storescu offers: 525 KB come in 130 and in 5 pieces.
    for most in ("4096", "131072"):
        archive.received.clear()
        done = storescu(archive, large.files, "--max-pdu", most, tls=tool_tls)
        assert done.is_success
        assert archive.data_sets() == {data_set_of(path) for path in large.files}


@pytest.mark.peer("dcmtk")
def test_findscu_finds_at_every_level(
    archive: DoorwardArchive, tool_tls: ClientTls | None, known: Known, tmp_path: Path
) -> None:
    for level, many in LEVELS.items():
        keys = (f"0008,0052={level}", "0020,000D", "0020,1208")
        found = findscu(archive, tmp_path / level, keys, model="--patient", tls=tool_tls)
        assert found.is_success
        assert len(found.matches) == getattr(known, many)
        assert {one.QueryRetrieveLevel for one in found.matches} == {level}
    keys = ("0008,0052=STUDY", "0020,000D", "0020,1208")
    studies = findscu(archive, tmp_path / "counted", keys, tls=tool_tls).matches
    counted = {one.StudyInstanceUID: one.NumberOfStudyRelatedInstances for one in studies}
    assert counted == known.images_of_study


@pytest.mark.peer("dcmtk")
def test_getscu_gets_a_study_byte_by_byte(known: Known, tmp_path: Path) -> None:
    keys, data_sets = one_study(known)
    with served(DoorwardArchive(known.files)) as archive:  # getscu 3.6.7 speaks no TLS
        assert getscu(archive, tmp_path, keys).is_success
    assert archive.endings == ["released"]
    assert received_data_sets(tmp_path) == data_sets


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("is_safe", [False, True], ids=["plain", "tls"])
def test_movescu_has_a_study_moved_to_storescp(
    known: Known, certificates: Certificates, tmp_path: Path, is_safe: bool
) -> None:
    keys, data_sets = one_study(known)
    trusted, own = certificates.authority, certificates.client
    towards = client_context(
        authorities=trusted.certificate_path, certificate=own.certificate_path, key=own.key_path
    )
    tls = Tls(own=certificates.server_rsa, trusted=trusted) if is_safe else None
    with storescp(tmp_path, ae_title="TARGET", tls=tls) as target:
        mover = DoorwardArchive(
            known.files,
            destinations={"TARGET": target.port},
            destination_tls=towards if is_safe else None,
        )
        with served(mover) as ours:
            assert movescu(ours, keys, "TARGET").is_success
            elsewhere = movescu(ours, keys, "NOWHERE")
    assert received_data_sets(tmp_path / "received") == data_sets
    assert "Refused: MoveDestinationUnknown" in elsewhere.output


@pytest.mark.peer("dcmtk")
def test_movescu_has_a_study_moved_from_our_server_to_another_of_ours(known: Known) -> None:
    keys, data_sets = one_study(known)
    with served(DoorwardArchive(ae_title="SECOND")) as second:
        first = DoorwardArchive(known.files, destinations={"SECOND": second.port})
        with served(first):
            assert movescu(first, keys, "SECOND").is_success
    assert second.data_sets() == data_sets
    assert {one.request.move_originator_ae_title for one in second.received} == {"MOVER"}
    assert second.endings == ["released"]


@pytest.mark.peer("dcmtk")
def test_movescu_hears_what_failed_when_the_destination_is_off(known: Known) -> None:
    keys, data_sets = one_study(known)
    with socket.socket() as bound_but_not_listening:
        bound_but_not_listening.bind(("127.0.0.1", 0))
        port = bound_but_not_listening.getsockname()[1]
        with served(DoorwardArchive(known.files, destinations={"OFF": port})) as ours:
            done = movescu(ours, keys, "OFF", "--debug")
    assert not done.is_success
    assert "OutOfResourcesSubOperations" in done.output
    assert f"Failed Suboperations          : {len(data_sets)}" in done.output


class Endless(DoorwardArchive):
    """An archive whose list of studies has no end: only C-CANCEL ends it."""

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match]:
        first = next(iter(super().find(peer, context, request, identifier)))
        assert first[0] == PENDING
        while True:
            yield first


@pytest.mark.peer("dcmtk")
def test_findscu_cancels_a_list_without_end(known: Known) -> None:
    keys = ("--key", "0008,0052=STUDY", "--key", "0020,000D")
    with served(Endless(known.files)) as endless:
        options = ("--study", "--cancel", "2", "--call", endless.ae_title, *keys)
        done = run_tool("findscu", "--verbose", *options, endless.host, endless.port)
    assert done.is_success
    assert "MatchingTerminatedDueToCancelRequest" in done.output
    assert endless.endings == ["released"]


def was_served(done: ToolResult) -> bool:
    """The tool ended well after a C-ECHO."""
    return done.is_success and "Received Echo Response (Success)" in done.output


@pytest.mark.peer("dcmtk")
def test_a_mutual_tls_server_serves_only_holders_of_a_certificate(
    certificates: Certificates,
) -> None:
    own, trusted = certificates.server, certificates.authority
    context = server_context(
        own.certificate_path, own.key_path, client_authorities=trusted.certificate_path
    )
    with served(DoorwardArchive(), tls=context) as archive:
        assert was_served(echoscu(archive, tls=ClientTls(trusted=trusted, own=certificates.client)))
        for bad in (certificates.stranger, certificates.expired, None):
            assert not was_served(echoscu(archive, tls=ClientTls(trusted=trusted, own=bad)))
        assert not was_served(echoscu(archive))
    der = ssl.PEM_cert_to_DER_cert(certificates.client.certificate_path.read_text())
    assert archive.certificates == [der]
    assert archive.commands == ["C-ECHO"]


@pytest.mark.peer("dcmtk")
def test_echoscu_is_told_why_it_is_turned_away(known: Known) -> None:
    archive = DoorwardArchive(ae_title="HOUSE", callers=["FRIEND"])
    limits = replace(DEFAULT_LIMITS, associations_per_peer=1)
    with served(archive, limits=limits), socket.socket() as holds_the_only_place:
        by_stranger = rejection_in(echoscu(archive).output)
        at_wrong_door = rejection_in(echoscu(archive, called="OTHER").output)
        holds_the_only_place.connect((archive.host, archive.port))
        titles = f"{'HOUSE':16}{'FRIEND':16}".encode()  # called, then calling (PS3.8 Table 9-11)
        holds_the_only_place.sendall(GOOD[:10] + titles + GOOD[42:])
        assert holds_the_only_place.recv(1) == b"\x02"  # A-ASSOCIATE-AC
        when_full = rejection_in(echoscu(archive, calling="FRIEND").output)
    user = ("Rejected Permanent", "Service User")
    assert by_stranger == (*user, "Calling AE Title Not Recognized")
    assert at_wrong_door == (*user, "Called AE Title Not Recognized")
    presentation = "Service Provider (Presentation Related)"
    assert when_full == ("Rejected Transient", presentation, "Local Limit Exceeded")


# --- pynetdicom ------------------------------------------------------------------------------------


class Gate(threading.Event):
    """What pynetdicom's reactor waits for; shut until ``open`` is called, and it tells when the reactor stands there."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)

    def set(self) -> None:
        """Stay shut: pynetdicom opens it after each operation."""

    def open(self) -> None:
        super().set()


@contextmanager
def sole_reader(association: Association) -> Iterator[None]:
    """Keep pynetdicom 3.0.4's reactor thread still while its own ``send_*`` methods run.

    It may take one message away from them ("Received unexpected C-FIND service message"): a ``send_*`` method that
    clears the checkpoint just after the reactor has passed it finds ``_is_paused`` still true and goes on.
    """
    gate, before = Gate(), association._reactor_checkpoint
    association._reactor_checkpoint = gate
    assert gate.reached.wait(5)
    try:
        yield
    finally:
        association._reactor_checkpoint = before
        gate.open()


def pynetdicom_tls(transport: str, certificates: Certificates) -> tuple[ssl.SSLContext, str] | None:
    """What pynetdicom needs to call our server."""
    if transport == "plain":
        return None
    own = certificates.client if transport == "mutual-tls" else None
    context = client_context(
        authorities=certificates.authority.certificate_path,
        certificate=own.certificate_path if own else None,
        key=own.key_path if own else None,
    )
    return context, "127.0.0.1"


def identifier(**keys: str) -> Dataset:
    """A query."""
    data_set = Dataset()
    for keyword, value in keys.items():
        setattr(data_set, keyword, value)
    return data_set


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_echoes_finds_gets_and_stores(
    archive: DoorwardArchive, transport: str, known: Known, large: Known, certificates: Certificates
) -> None:
    archive.received.clear()
    got: list[bytes] = []

    def keep(event: Any) -> int:
        got.append(event.request.DataSet.getvalue())
        return 0

    entity = AE()
    for uid in (VERIFICATION, PATIENT_ROOT_FIND, STUDY_ROOT_GET):
        entity.add_requested_context(uid)
    entity.add_requested_context(CT, "1.2.840.10008.1.2.1")
    association = entity.associate(
        archive.host,
        archive.port,
        ae_title=archive.ae_title,
        ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
        tls_args=pynetdicom_tls(transport, certificates),
    )
    assert association.is_established
    with sole_reader(association):
        assert association.send_c_echo().Status == 0
        for level, many in LEVELS.items():
            asked = identifier(QueryRetrieveLevel=level, StudyInstanceUID="")
            answers = list(association.send_c_find(asked, PATIENT_ROOT_FIND))
            assert [status.Status for status, _ in answers[:-1]] == [0xFF00] * getattr(known, many)
            assert answers[-1][0].Status == 0
        uid = next(iter(known.images_of_study))
        study = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=uid)
        final, _ = list(association.send_c_get(study, STUDY_ROOT_GET))[-1]
        assert (final.Status, final.NumberOfCompletedSuboperations) == (0, len(got))
        assert set(got) == one_study(known)[1]
        for path in large.files:
            assert association.send_c_store(path).Status == 0
    association.release()
    assert association.is_released
    assert archive.data_sets() == {data_set_of(path) for path in large.files}


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_has_a_study_moved(known: Known) -> None:
    with served(DoorwardArchive(ae_title="SECOND")) as second:
        mover = DoorwardArchive(known.files, destinations={"SECOND": second.port})
        with served(mover):
            entity = AE()
            entity.add_requested_context(STUDY_ROOT_MOVE)
            association = entity.associate(mover.host, mover.port, ae_title=mover.ae_title)
            uid = next(iter(known.images_of_study))
            study = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=uid)
            with sole_reader(association):
                answers = list(association.send_c_move(study, "SECOND", STUDY_ROOT_MOVE))
                elsewhere = list(association.send_c_move(study, "NOWHERE", STUDY_ROOT_MOVE))
            association.release()
    many = known.images_of_study[uid]
    pending = [status.NumberOfRemainingSuboperations for status, _ in answers[:-1]]
    assert pending == list(range(many - 1, -1, -1))
    assert answers[-1][0].NumberOfCompletedSuboperations == many
    assert [status.Status for status, _ in elsewhere] == [0xA801]
    assert second.data_sets() == one_study(known)[1]


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_is_content_with_every_storage_class_in_several_associations(
    archive: DoorwardArchive, transport: str, certificates: Certificates
) -> None:
    accepted: set[str] = set()
    for first in range(0, len(STORAGE_SOP_CLASSES), 128):
        entity = AE()
        for uid in STORAGE_SOP_CLASSES[first : first + 128]:
            entity.add_requested_context(uid)
        association = entity.associate(
            archive.host,
            archive.port,
            ae_title=archive.ae_title,
            tls_args=pynetdicom_tls(transport, certificates),
        )
        accepted |= {str(one.abstract_syntax) for one in association.accepted_contexts}
        association.release()
    assert accepted == set(STORAGE_SOP_CLASSES)


# --- every file of pydicom's wheel -----------------------------------------------------------------


def test_the_wheel_has_instances_in_every_kind_of_transfer_syntax() -> None:
    paths = composite_instances()
    assert len(paths) > 150
    assert len({syntax for _, syntax in contexts_of(paths)}) >= 12


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_sends_every_wheel_file_and_each_arrives_byte_by_byte(
    archive: DoorwardArchive,
    transport: str,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In chunks from the file: pynetdicom would decode and encode the data set otherwise.
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    archive.received.clear()
    paths = composite_instances()
    entity = AE()
    entity.requested_contexts = [build_context(*pair) for pair in contexts_of(paths)]
    association = entity.associate(
        archive.host,
        archive.port,
        ae_title=archive.ae_title,
        tls_args=pynetdicom_tls(transport, certificates),
    )
    with sole_reader(association):
        assert [association.send_c_store(path).Status for path in paths] == [0] * len(paths)
    association.release()
    sent = [instance_of(path) for path in paths]
    received = [one.instance() for one in archive.received]
    assert digests(one.data_set for one in received) == digests(one.data_set for one in sent)
    assert [one.transfer_syntax_uid for one in received] == [
        one.transfer_syntax_uid for one in sent
    ]


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize(("option", "syntax"), STORESCU_OPTIONS.items())
def test_storescu_brings_the_wheel_files_to_us_as_to_storescp(
    tmp_path: Path, option: str, syntax: str
) -> None:
    # storescu writes some data sets anew (group lengths, trailing padding, sequence lengths), so what it sent to
    # storescp is the truth, not the file; the two together wait 80 ms per instance, so ten of each kind must do.
    ours = [p for p in composite_instances() if instance_of(p).transfer_syntax_uid == syntax]
    paths = ours[-10:]
    # It looks for class and instance in the data set, where a few files of the wheel lack them: those are passed over.
    options = (option, "--required", "--no-halt")
    first = (syntax, *(uid for uid in STORAGE_SYNTAXES if uid != syntax))
    with served(DoorwardArchive(storage_syntaxes=first)) as archive:
        assert storescu(archive, paths, *options).is_success
    unique = ("--fork", "--unique-filenames", PREFERRED_BY_STORESCP.get(syntax, "--accept-all"))
    with storescp(tmp_path, options=unique) as peer:
        assert storescu(peer, paths, *options).is_success
    kept = [data_set_of(path) for path in (tmp_path / "received").iterdir()]
    assert archive.received
    assert {one.context.transfer_syntax for one in archive.received} == {syntax}
    assert digests(one.data_set for one in archive.received) == digests(kept)


# --- Orthanc ---------------------------------------------------------------------------------------


def rest(peer: Orthanc, path: str, body: object) -> Any:
    """POST to Orthanc's REST interface."""
    return peer.rest("POST", path, json.dumps(body).encode())


@pytest.mark.peer("orthanc")
@pytest.mark.parametrize("is_safe", [False, True], ids=["plain", "mutual-tls"])
def test_orthanc_echoes_stores_finds_and_has_studies_moved(
    known: Known, certificates: Certificates, tmp_path: Path, is_safe: bool
) -> None:
    """Orthanc as a client of our server; for C-MOVE we are a client of Orthanc in turn."""
    own, trusted = certificates.server, certificates.authority.certificate_path
    ours = DoorwardArchive(
        known.files,
        ae_title="OURS",
        destination_tls=client_context(
            authorities=trusted, certificate=own.certificate_path, key=own.key_path
        )
        if is_safe
        else None,
    )
    listening = server_context(own.certificate_path, own.key_path, client_authorities=trusted)
    tls = Tls(own=own, trusted=certificates.authority) if is_safe else None
    sent = known.files[:5]
    with served(ours, tls=listening if is_safe else None):
        modality = {"AET": "OURS", "Host": ours.host, "Port": ours.port, "UseDicomTls": is_safe}
        configuration = {"DicomModalities": {"ours": modality}}
        with orthanc(tmp_path, configuration=configuration, files=sent, tls=tls) as peer:
            ours.destinations[peer.ae_title] = peer.port
            rest(peer, "/modalities/ours/echo", {})
            instances = peer.rest("GET", "/instances")
            done = rest(peer, "/modalities/ours/store", {"Resources": instances})
            assert (done["InstancesCount"], done["FailedInstancesCount"]) == (len(sent), 0)
            asked = {"Level": "Study", "Query": {"StudyInstanceUID": ""}}
            query = rest(peer, "/modalities/ours/query", asked)["Path"]
            assert len(peer.rest("GET", f"{query}/answers")) == known.studies
            rest(peer, f"{query}/retrieve", {"TargetAet": peer.ae_title})
            statistics = peer.statistics()
    assert ours.data_sets() == {data_set_of(path) for path in sent}
    assert statistics["instances"] == known.images
    assert set(ours.endings) == {"released"}
    assert Counter(ours.commands) == {
        "C-ECHO": 1,
        "C-STORE": len(sent),
        "C-FIND": 1,
        "C-MOVE": known.studies,
    }
