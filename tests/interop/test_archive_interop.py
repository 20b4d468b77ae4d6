"""Our archive and foreign programs over mutual TLS, in both directions; the wheel by every way in and every way out.

Beside test_archive.py (DCMTK), test_dicomweb_archive.py, test_stow_archive.py, test_commitment.py and test_ohif_requests.py;
docs/archive-interop.md says what is shown where.
"""

import asyncio
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import _config, build_context

from archives import EVERYTHING, HOST, Running, device, fingerprint, legacy, records, running
from certificates import Certificates, make_credential
from dcmtk import ClientTls, movescu, storescu
from doorward.access.identity import Operation
from doorward.access.journal.record import Event
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.giving import Destination
from doorward.archive.upkeep.importing import import_files
from doorward.dicom.part10 import is_deflated
from doorward.net.tls import server_context
from doorward.wire.uids import STUDY_ROOT_FIND, TRANSFER_SYNTAXES
from doorward_archive import instance_of
from peers import DicomPeer, Orthanc, PeerFailed, Tls, orthanc, storescp
from synthetic import Known
from upkept import filled
from web_archives import web_archive
from wheel_instances import digests
from wheel_travels import (
    associated,
    by_c_get,
    by_c_move,
    by_c_store,
    by_export,
    by_stow,
    by_wado,
    dicom_door,
    differing,
    syntaxes_of_the_wheel,
    wheel_files,
)

pytestmark = pytest.mark.interop
#: Until when Orthanc may do what a migration does.
NEXT_YEAR = datetime.now(UTC) + timedelta(days=365)
WAYS_OUT = (by_c_get, by_c_move, by_wado)


# --- the wheel ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("way_in", ["C-STORE", "STOW", "import"])
def test_the_wheel_in_every_transfer_syntax_by_every_way_in_and_every_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way_in: str
) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # else it encodes anew
    (tmp_path / "completed").mkdir()
    files = wheel_files(tmp_path / "completed")
    syntaxes = {one.transfer_syntax_uid for one in files.values()}
    assert syntaxes >= syntaxes_of_the_wheel()
    assert len(syntaxes_of_the_wheel()) >= 12
    assert not [uid for uid in TRANSFER_SYNTAXES if uid not in syntaxes and not is_deflated(uid)]
    assert len(files) > 50
    folder = tmp_path / "site" / "archive"
    if way_in == "import":
        folder.parent.mkdir()
        done = asyncio.run(import_files(filled(folder, []), list(files)))
        assert (done.new, done.files) == (len(files), len(files))

    with web_archive(tmp_path / "site") as site, dicom_door(site) as port:
        if way_in != "import":
            (by_stow if way_in == "STOW" else by_c_store)(site, port, files)
        came_out = {way.__name__: way(site, port, files) for way in WAYS_OUT}
    came_out["by_export"] = by_export(folder, tmp_path / "out", files)

    assert len(came_out) == 4
    for way, found in came_out.items():
        assert not differing(found, files.values()), way


# --- pynetdicom ---------------------------------------------------------------------------------------------------------


def test_pynetdicom_finds_over_mutual_tls_what_it_has_stored(tmp_path: Path, known: Known) -> None:
    with web_archive(tmp_path) as site, dicom_door(site) as port:
        by_c_store(site, port, {path: instance_of(path) for path in known.files})
        association = associated(site, port, "ws1", build_context(STUDY_ROOT_FIND))
        asked = Dataset()
        asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", ""
        asked.NumberOfStudyRelatedInstances = ""
        answers = [found for _, found in association.send_c_find(asked, STUDY_ROOT_FIND) if found]
        association.release()

    counts = {one.StudyInstanceUID: one.NumberOfStudyRelatedInstances for one in answers}
    assert counts == known.images_of_study


# --- storescp and Orthanc as destinations, Orthanc as client ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class House:
    """An archive of ours, and who else is there."""

    archive: Running
    known: Known
    folder: Path
    peer: Orthanc
    modality: ClientTls


def archive_tls(certificates: Certificates) -> Any:
    own, trusted = certificates.server, certificates.authority
    return server_context(
        own.certificate_path, own.key_path, client_authorities=trusted.certificate_path
    )


def encrypted(peer: DicomPeer, certificates: Certificates) -> Destination:
    """Return a peer as a destination to which we show our certificate."""
    own = certificates.server
    return Destination(
        ae_title=peer.ae_title,
        address=HOST,
        port=peer.port,
        authorities=certificates.authority.certificate_path,
        certificate=own.certificate_path,
        key=own.key_path,
    )


def test_movescu_has_a_study_sent_to_a_storescp_that_demands_our_certificate(
    tmp_path: Path, certificates: Certificates, known: Known
) -> None:
    tls = Tls(own=certificates.server, trusted=certificates.authority)
    devices = [legacy("oldct", "modality"), legacy("oldws", "workstation", "OLDWS", "TLSTARGET")]
    study, count = next(iter(known.images_of_study.items()))
    with storescp(tmp_path / "target", ae_title="TLSTARGET", tls=tls) as target:
        to = encrypted(target, certificates)
        with running(tmp_path / "archive", devices, None, destinations=[to]) as archive:
            old = archive.at_legacy_port()  # movescu speaks no TLS
            assert storescu(old, known.files, calling="OLDCT").is_success
            keys = ["0008,0052=STUDY", f"0020,000d={study}"]
            moved = movescu(old, keys, "TLSTARGET", calling="OLDWS")

    assert moved.is_success, moved.output
    got = [instance_of(path) for path in (target.folder / "received").iterdir()]
    sent = [instance_of(path) for path in known.files if dcmread(path).StudyInstanceUID == study]
    assert len(got) == count
    assert digests(one.data_set for one in got) == digests(one.data_set for one in sent)


@pytest.fixture(scope="module")
def house(
    certificates: Certificates, known: Known, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Our archive and an Orthanc, which know each other by certificate; Orthanc holds the known studies."""
    folder = tmp_path_factory.mktemp("house")
    own = make_credential(folder, "orthanc", issuer=certificates.authority)
    tls = Tls(own=own, trusted=certificates.authority)
    sender = make_credential(folder, "ct1", issuer=certificates.authority)
    with orthanc(folder / "orthanc", files=known.files, tls=tls) as peer:
        to = encrypted(peer, certificates)
        devices = [
            device(
                "orthanc",
                "migration",
                fingerprints=(fingerprint(own),),
                ae_titles=("ORTHANC",),
                expires_at=NEXT_YEAR,
            ),
            device("ct1", "modality", fingerprints=(fingerprint(sender),)),
            legacy("oldws", "workstation"),
        ]
        tls_context = archive_tls(certificates)
        more = Rule(
            name="to-orthanc",
            effect=Effect.ALLOW,
            operations=frozenset({Operation.MOVE}),
            destinations=frozenset({"ORTHANC"}),
        )
        named = {"destinations": [to], "rules": Rules(rules=(*EVERYTHING.rules, more))}
        with running(folder / "archive", devices, tls_context, **named) as archive:
            told = {
                "AET": archive.ae_title,
                "Host": HOST,
                "Port": archive.port,
                "UseDicomTls": True,
            }
            put(peer, "/modalities/doorward", told)
            modality = ClientTls(trusted=certificates.authority, own=sender)
            yield House(archive, known, folder / "archive", peer, modality)


def put(peer: Orthanc, path: str, content: object) -> None:
    """Change a setting of Orthanc's; it answers with nothing."""
    connection = http.client.HTTPConnection(HOST, peer.http_port, timeout=15)
    try:
        connection.request("PUT", path, json.dumps(content))
        assert connection.getresponse().status == http.client.OK
    finally:
        connection.close()


def ask(peer: Orthanc, path: str, content: object) -> Any:
    """Have Orthanc do something."""
    return peer.rest("POST", path, json.dumps(content).encode())


def studies_of(archive: Running) -> int:
    totals = archive.do(archive.archive.index.totals())
    return int(totals.studies)


def test_orthanc_echoes_and_stores_over_mutual_tls(house: House) -> None:
    ask(house.peer, "/modalities/doorward/echo", {})
    names = house.peer.rest("GET", "/studies")
    sent = ask(house.peer, "/modalities/doorward/store", {"Resources": names, "Synchronous": True})

    assert sent["FailedInstancesCount"] == 0, sent
    assert studies_of(house.archive) == len(house.known.images_of_study)
    uids = [instance_of(path).sop_instance_uid for path in house.known.files]
    held = house.archive.do(house.archive.archive.index.instances_with(uids))
    assert len(held) == len(house.known.files)


def test_orthanc_finds_and_moves_to_itself_over_mutual_tls(house: House) -> None:
    peer, study = house.peer, next(iter(house.known.images_of_study))
    count = house.known.images_of_study[study]
    fill(house)
    query = {"Level": "Study", "Query": {"StudyInstanceUID": study, "PatientName": ""}}
    asked = ask(peer, "/modalities/doorward/query", query)
    answers = peer.rest("GET", f"/queries/{asked['ID']}/answers?expand&simplify")
    assert [one["StudyInstanceUID"] for one in answers] == [study]
    everything = ask(peer, "/modalities/doorward/query", {"Level": "Study", "Query": {}})
    assert len(peer.rest("GET", f"/queries/{everything['ID']}/answers")) == studies_of(
        house.archive
    )

    forget(peer, study)
    before = peer.statistics()["instances"]
    moved = ask(
        peer, f"/queries/{asked['ID']}/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True}
    )

    assert "Query" in moved, moved
    assert peer.statistics()["instances"] == before + count


def test_movescu_has_a_study_sent_to_orthanc_over_mutual_tls(house: House) -> None:
    peer, study = house.peer, list(house.known.images_of_study)[1]
    fill(house)
    forget(peer, study)
    before = peer.statistics()["instances"]
    keys = ["0008,0052=STUDY", f"0020,000d={study}"]

    moved = movescu(house.archive.at_legacy_port(), keys, "ORTHANC", calling="OLDWS")

    assert moved.is_success, moved.output
    assert peer.statistics()["instances"] == before + house.known.images_of_study[study]
    events = [one.entry for one in records(house.folder)]
    assert events[-1].event in (Event.MOVE, Event.ASSOCIATION_CLOSED)
    assert any(one.event is Event.MOVE and one.destination == "ORTHANC" for one in events)


def test_orthanc_with_the_certificate_of_a_stranger_gets_nothing(
    house: House, certificates: Certificates, tmp_path: Path
) -> None:
    stranger = make_credential(tmp_path, "stranger", issuer=certificates.authority)
    tls = Tls(own=stranger, trusted=certificates.authority)
    with orthanc(tmp_path / "orthanc", files=house.known.files[:1], tls=tls) as peer:
        archive = house.archive
        told = {"AET": archive.ae_title, "Host": HOST, "Port": archive.port, "UseDicomTls": True}
        put(peer, "/modalities/doorward", told)
        with pytest.raises(PeerFailed, match="Orthanc answered"):
            ask(peer, "/modalities/doorward/echo", {})
        names = peer.rest("GET", "/instances")
        with pytest.raises(PeerFailed, match="Orthanc answered"):
            ask(peer, "/modalities/doorward/store", names)


def fill(house: House) -> None:
    """Have our archive hold the known studies, whatever ran before."""
    done = storescu(house.archive, house.known.files, tls=house.modality)
    assert done.is_success, done.output


def forget(peer: Orthanc, study: str) -> None:
    """Have Orthanc delete a study."""
    for found in peer.rest("POST", "/tools/lookup", study.encode()):
        peer.rest("DELETE", found["Path"])
