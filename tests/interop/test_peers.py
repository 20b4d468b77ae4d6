"""The ground that all interop tests stand on: DCMTK's own tools find the real peers as ``peers.py`` promises them.

Nothing of doorward takes part. Where the auditor disagrees with a peer, these tests tell on whose side the fault is.
"""

from pathlib import Path

import pytest
from pydicom import dcmread

from certificates import Certificates
from dcmtk import (
    At,
    ClientTls,
    FindResult,
    ToolResult,
    echoscu,
    findscu,
    getscu,
    movescu,
    rejection_in,
    storescu,
)
from peers import DicomPeer, Orthanc, PeerFailed, StorageArea, Tls, dcmqrscp, orthanc, storescp
from pynetdicom_peers import pynetdicom_archive
from synthetic import Known, data_set_of

STUDIES = ("0008,0052=STUDY", "0020,000D", "0020,1208")
PATIENTS = ("0008,0052=PATIENT", "0020,1200")

pytestmark = pytest.mark.interop


def images_in(result: FindResult) -> dict[str, int]:
    """Study Instance UID -> Number of Study Related Instances, as the peer says."""
    return {
        match.StudyInstanceUID: int(match.NumberOfStudyRelatedInstances) for match in result.matches
    }


def one_study(known: Known) -> tuple[list[str], set[bytes]]:
    """Keys that name the first study, and the data sets that belong to it."""
    uid = next(iter(known.images_of_study))
    keys = ["0008,0052=STUDY", f"0020,000D={uid}"]
    files = [path for path in known.files if dcmread(path).StudyInstanceUID == uid]
    assert len(files) == known.images_of_study[uid]
    return keys, {data_set_of(path) for path in files}


def received_data_sets(folder: Path) -> set[bytes]:
    """The data sets of all files in the folder."""
    return {data_set_of(path) for path in folder.iterdir()}


def was_rejected(result: ToolResult, reason: str) -> bool:
    """The tool met a permanent rejection with this reason, in DCMTK's words."""
    return rejection_in(result.output) == ("Rejected Permanent", "Service User", reason)


# --- Orthanc --------------------------------------------------------------------------------------


@pytest.mark.peer("orthanc", "dcmtk")
def test_open_orthanc_counts_what_was_written(
    open_orthanc: Orthanc, known: Known, tmp_path: Path
) -> None:
    assert echoscu(open_orthanc).is_success
    assert images_in(findscu(open_orthanc, tmp_path / "s", STUDIES)) == known.images_of_study
    patients = findscu(open_orthanc, tmp_path / "p", PATIENTS, model="--patient")
    assert len(patients.matches) == known.patients
    assert open_orthanc.statistics() == {
        "patients": known.patients,
        "studies": known.studies,
        "series": known.series,
        "instances": known.images,
    }


@pytest.mark.peer("orthanc", "dcmtk")
def test_open_orthanc_gives_a_study_away_unchanged(
    open_orthanc: Orthanc, known: Known, tmp_path: Path
) -> None:
    keys, data_sets = one_study(known)
    assert getscu(open_orthanc, tmp_path, keys).is_success
    assert received_data_sets(tmp_path) == data_sets


@pytest.mark.peer("orthanc", "dcmtk")
def test_open_orthanc_moves_a_study_to_a_known_target(
    open_orthanc: Orthanc, move_target: DicomPeer, known: Known
) -> None:
    keys, data_sets = one_study(known)
    assert movescu(open_orthanc, keys, move_target.ae_title).is_success
    assert data_sets <= received_data_sets(move_target.folder / "received")


@pytest.mark.peer("orthanc", "dcmtk")
def test_default_orthanc_aborts_queries_and_takes_storage(
    default_orthanc: Orthanc, known: Known, tmp_path: Path
) -> None:
    refused = findscu(default_orthanc, tmp_path / "s", STUDIES, called="ANYTHING")
    assert not refused.matches
    assert "Association Accepted" in refused.output
    assert "Peer Aborted Association" in refused.output
    stored = storescu(default_orthanc, known.files[:1], called="ANYTHING")
    assert "Received Store Response (Success)" in stored.output


@pytest.mark.peer("orthanc", "dcmtk")
def test_orthanc_rejects_wrong_called_and_unknown_calling_titles(tmp_path: Path) -> None:
    commands = ("Echo", "Store", "Find", "FindWorklist", "Get", "Move")
    closed: dict[str, object] = {f"DicomAlwaysAllow{command}": False for command in commands}
    closed |= {
        "DicomCheckCalledAet": True,
        "DicomModalities": {"friend": ["FRIEND", "127.0.0.1", 11112]},
    }
    with orthanc(tmp_path, configuration=closed) as peer:
        assert was_rejected(echoscu(peer, called="OTHER"), "Called AE Title Not Recognized")
        assert was_rejected(echoscu(peer), "Calling AE Title Not Recognized")
        assert echoscu(peer, calling="FRIEND").is_success


@pytest.mark.peer("orthanc", "dcmtk")
def test_orthanc_ends_a_capped_query_with_a_cancel_status(known: Known, tmp_path: Path) -> None:
    capped = {"DicomAlwaysAllowFind": True, "LimitFindResults": 4}
    with orthanc(tmp_path / "peer", configuration=capped, files=known.files) as peer:
        result = findscu(peer, tmp_path / "s", STUDIES)
    assert len(result.matches) == 4
    assert "Cancel: MatchingTerminatedDueToCancelRequest" in result.output


@pytest.mark.peer("orthanc", "dcmtk")
def test_tls_orthanc_serves_only_holders_of_a_certificate(
    tls_orthanc: Orthanc, known: Known, certificates: Certificates, tmp_path: Path
) -> None:
    friend = ClientTls(trusted=certificates.authority, own=certificates.client)
    stranger = ClientTls(trusted=certificates.authority, own=certificates.stranger)
    found = findscu(tls_orthanc, tmp_path / "s", STUDIES, tls=friend)
    assert images_in(found) == known.images_of_study
    assert not echoscu(tls_orthanc, tls=stranger).is_success
    assert not echoscu(tls_orthanc, tls=ClientTls(trusted=certificates.authority)).is_success
    assert not echoscu(tls_orthanc).is_success


@pytest.mark.peer("orthanc")
def test_a_peer_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(PeerFailed, match="DicomPort"),
        orthanc(tmp_path, configuration={"DicomPort": "no number"}),
    ):
        pass


# --- dcmqrscp -------------------------------------------------------------------------------------


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("title", ["READ", "READWRITE", "WRITE"])
def test_dcmqrscp_answers_queries_in_every_access_mode(
    open_dcmqrscp: DicomPeer, known: Known, tmp_path: Path, title: str
) -> None:
    assert echoscu(open_dcmqrscp, called=title).is_success
    studies = findscu(open_dcmqrscp, tmp_path / "s", STUDIES, called=title)
    assert {match.StudyInstanceUID for match in studies.matches} == set(known.images_of_study)
    assert not any("NumberOfStudyRelatedInstances" in match for match in studies.matches)
    patients = findscu(open_dcmqrscp, tmp_path / "p", PATIENTS, called=title, model="--patient")
    assert len(patients.matches) == known.patients


@pytest.mark.peer("dcmtk")
def test_dcmqrscp_refuses_storage_only_where_it_is_read_only(
    open_dcmqrscp: DicomPeer, known: Known
) -> None:
    read_only = storescu(open_dcmqrscp, known.files[:1], called="READ")
    assert "No Acceptable Presentation Contexts" in read_only.output
    for title in ("READWRITE", "WRITE"):
        stored = storescu(open_dcmqrscp, known.files[:1], called=title)
        assert "Received Store Response (Success)" in stored.output


@pytest.mark.peer("dcmtk")
def test_dcmqrscp_gives_and_moves_a_study(
    open_dcmqrscp: DicomPeer, move_target: DicomPeer, known: Known, tmp_path: Path
) -> None:
    keys, data_sets = one_study(known)
    assert getscu(open_dcmqrscp, tmp_path, keys).is_success
    assert received_data_sets(tmp_path) == data_sets
    assert movescu(open_dcmqrscp, keys, move_target.ae_title).is_success
    assert data_sets <= received_data_sets(move_target.folder / "received")


@pytest.mark.peer("dcmtk")
def test_dcmqrscp_tells_unknown_callers_the_same_as_unknown_titles(
    open_dcmqrscp: DicomPeer,
) -> None:
    reason = "Called AE Title Not Recognized"
    assert was_rejected(echoscu(open_dcmqrscp, called="NOWHERE"), reason)
    assert was_rejected(echoscu(open_dcmqrscp, called="PRIVATE"), reason)
    assert echoscu(open_dcmqrscp, called="PRIVATE", calling="FRIEND").is_success


@pytest.mark.peer("dcmtk")
def test_dcmqrscp_with_no_free_association_rejects_transiently(tmp_path: Path) -> None:
    areas = [StorageArea(ae_title="READ")]
    with dcmqrscp(tmp_path, areas, max_associations=0) as peer:
        rejection = rejection_in(echoscu(peer).output)
    assert rejection is not None
    assert rejection[0] == "Rejected Transient"


# --- storescp -------------------------------------------------------------------------------------


@pytest.mark.peer("dcmtk")
def test_storescp_keeps_what_it_receives(known: Known, tmp_path: Path) -> None:
    with storescp(tmp_path) as peer:
        assert echoscu(peer, called="ANYTHING").is_success
        assert storescu(peer, known.files[:6]).is_success
    sent = {data_set_of(path) for path in known.files[:6]}
    assert received_data_sets(tmp_path / "received") == sent


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize(
    ("asks", "anonymous_is_served", "stranger_is_served"),
    [("require", False, False), ("verify", True, False), ("ignore", True, True)],
)
def test_storescp_over_tls_asks_for_certificates_as_told(
    certificates: Certificates,
    tmp_path: Path,
    asks: str,
    anonymous_is_served: bool,
    stranger_is_served: bool,
) -> None:
    tls = Tls(own=certificates.server_rsa, trusted=certificates.authority, client_certificate=asks)
    trusted = certificates.authority
    with storescp(tmp_path, tls=tls) as peer:
        assert echoscu(peer, tls=ClientTls(trusted=trusted, own=certificates.client)).is_success
        anonymous = echoscu(peer, tls=ClientTls(trusted=trusted))
        assert anonymous.is_success is anonymous_is_served
        stranger = echoscu(peer, tls=ClientTls(trusted=trusted, own=certificates.stranger))
        assert stranger.is_success is stranger_is_served
        assert not echoscu(peer).is_success


# --- pynetdicom -----------------------------------------------------------------------------------


@pytest.mark.peer("pynetdicom", "dcmtk")
def test_pynetdicom_archive_answers_at_every_level(known: Known, tmp_path: Path) -> None:
    counts = {"PATIENT": known.patients, "STUDY": known.studies}
    counts |= {"SERIES": known.series, "IMAGE": known.images}
    with pynetdicom_archive(known.files) as archive:
        for level, count in counts.items():
            keys = (f"0008,0052={level}", "0020,000D", "0020,1208")
            found = findscu(archive, tmp_path / level, keys, model="--patient")
            assert len(found.matches) == count
        assert images_in(findscu(archive, tmp_path / "s", STUDIES)) == known.images_of_study
    assert archive.commands == ["C-FIND"] * 5
    assert archive.endings == ["released"] * 5


@pytest.mark.peer("pynetdicom", "dcmtk")
def test_pynetdicom_archive_stores_gives_and_moves(known: Known, tmp_path: Path) -> None:
    keys, data_sets = one_study(known)
    with storescp(tmp_path / "target") as target:
        destinations = {target.ae_title: (target.host, target.port)}
        with pynetdicom_archive(known.files, destinations=destinations) as archive:
            assert getscu(archive, tmp_path / "got", keys).is_success
            assert movescu(archive, keys, target.ae_title).is_success
            assert not movescu(archive, keys, "NOWHERE").is_success
            assert storescu(archive, known.files[:2]).is_success
    assert received_data_sets(tmp_path / "got") == data_sets
    assert received_data_sets(tmp_path / "target" / "received") == data_sets
    assert set(archive.received.values()) == {data_set_of(path) for path in known.files[:2]}
    assert archive.commands == ["C-GET", "C-MOVE", "C-MOVE", "C-STORE", "C-STORE"]


@pytest.mark.peer("pynetdicom", "dcmtk")
def test_pynetdicom_archive_checks_both_titles() -> None:
    with pynetdicom_archive(ae_title="HOUSE", callers=["FRIEND"], checks_called=True) as archive:
        assert echoscu(archive, calling="FRIEND").is_success
        by_stranger = echoscu(archive)
        at_wrong_door = echoscu(archive, calling="FRIEND", called="OTHER")
    assert was_rejected(by_stranger, "Calling AE Title Not Recognized")
    assert was_rejected(at_wrong_door, "Called AE Title Not Recognized")
    assert archive.endings == ["released", "rejected", "rejected"]


@pytest.mark.peer("pynetdicom", "dcmtk")
def test_pynetdicom_archive_over_tls_requires_a_certificate(certificates: Certificates) -> None:
    tls = Tls(own=certificates.server, trusted=certificates.authority)
    with pynetdicom_archive(tls=tls) as archive:
        address = At(port=archive.port, ae_title=archive.ae_title)
        friend = ClientTls(trusted=certificates.authority, own=certificates.client)
        assert echoscu(address, tls=friend).is_success
        assert not echoscu(address, tls=ClientTls(trusted=certificates.authority)).is_success
    assert archive.commands == ["C-ECHO"]


@pytest.mark.peer("pynetdicom", "dcmtk")
def test_pynetdicom_archive_answers_patient_keys_with_canaries(
    known: Known, tmp_path: Path
) -> None:
    with pynetdicom_archive(known.files) as archive:
        asked = findscu(archive, tmp_path, (*STUDIES, "0010,0010", "0010,0020", "0008,0090"))
    values = {match.PatientID for match in asked.matches}
    assert len(values) == known.patients
    assert values <= known.canaries
