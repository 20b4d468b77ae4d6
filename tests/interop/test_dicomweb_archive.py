"""Foreign clients search our archive by QIDO and retrieve from it by WADO: dicomweb-client and Orthanc's plugin."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread

from archives import sendable
from doorward.dicom.part10 import read_file_meta
from doorward.net.transfer import Instance
from doorward_archive import instance_of
from peers import Orthanc, orthanc
from pydicom_files import PATHS
from synthetic import Known
from web_archives import WebArchive, web_archive
from web_servers import DICOMWEB_PLUGIN

pytestmark = pytest.mark.interop
TWO_FRAMES = next(path for name, path in PATHS.items() if name.endswith("SC_rgb_rle_2frame.dcm"))


def as_sent(path: Path) -> Instance:
    """Return a file as it may be stored."""
    found = sendable(path)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, known: Known) -> Iterator[WebArchive]:
    """An archive behind HTTPS that holds the known studies and a compressed image."""
    with web_archive(tmp_path_factory.mktemp("site")) as one:
        one.stored(*map(as_sent, known.files), as_sent(TWO_FRAMES))
        yield one


@pytest.fixture(params=["certificate", "token"])
def client(site: WebArchive, request: pytest.FixtureRequest) -> Iterator[DICOMwebClient]:
    """dicomweb-client, known by the workstation's certificate or by a token."""
    with requests.Session() as session:
        session.verify = str(site.authority)
        session.trust_env = False
        headers = {}
        if request.param == "token":
            headers = {"Authorization": f"Bearer {site.token()}"}
        else:
            own = site.credentials["ws1"]
            session.cert = (str(own.certificate_path), str(own.key_path))
        yield DICOMwebClient(url=site.url, session=session, headers=headers)


def digest(content: bytes) -> str:
    """Return the SHA-256: a failed comparison prints no bytes."""
    return hashlib.sha256(content).hexdigest()


def uids(answers: list[dict[str, dict[str, list[str]]]], tag: str = "0020000D") -> set[str]:
    """Return one UID of each answer."""
    return {one[tag]["Value"][0] for one in answers}


def test_dicomweb_client_finds_what_is_there(client: DICOMwebClient, known: Known) -> None:
    data_sets = [dcmread(path) for path in known.files]
    studies = {one.StudyInstanceUID for one in data_sets}
    assert uids(client.search_for_studies(get_remaining=True)) >= studies
    first = data_sets[0]
    [found] = client.search_for_studies(
        search_filters={"StudyInstanceUID": first.StudyInstanceUID}, fields=["PatientID"]
    )
    assert found["00100020"]["Value"] == [first.PatientID]
    inside = [one for one in data_sets if one.StudyInstanceUID == first.StudyInstanceUID]
    series = client.search_for_series(first.StudyInstanceUID)
    assert uids(series, "0020000E") == {one.SeriesInstanceUID for one in inside}
    instances = client.search_for_instances(first.StudyInstanceUID)
    assert uids(instances, "00080018") == {one.SOPInstanceUID for one in inside}
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_dicomweb_client_pages_through_all_studies(client: DICOMwebClient, known: Known) -> None:
    studies = {dcmread(path).StudyInstanceUID for path in known.files}
    seen: list[str] = []
    while page := client.search_for_studies(limit=2, offset=len(seen)):
        assert len(page) <= 2
        seen += [one["0020000D"]["Value"][0] for one in page]
    assert studies <= set(seen)
    assert len(seen) == len(set(seen))


def test_dicomweb_client_retrieves_studies_series_and_instances(
    client: DICOMwebClient, known: Known
) -> None:
    one = dcmread(known.files[0])
    inside = {
        read.SOPInstanceUID: read
        for path in known.files
        if (read := dcmread(path)).StudyInstanceUID == one.StudyInstanceUID
    }
    study = client.retrieve_study(one.StudyInstanceUID)
    assert {found.SOPInstanceUID: found for found in study} == inside
    series = client.retrieve_series(one.StudyInstanceUID, one.SeriesInstanceUID)
    assert {found.SOPInstanceUID for found in series} == {
        uid for uid, read in inside.items() if read.SeriesInstanceUID == one.SeriesInstanceUID
    }
    place = (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    assert client.retrieve_instance(*place) == one


def test_dicomweb_client_reads_metadata(client: DICOMwebClient, known: Known) -> None:
    one = dcmread(known.files[0])
    place = (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    given = Dataset.from_json(client.retrieve_instance_metadata(*place), lambda *_: b"")
    assert (given.PatientID, given.SOPInstanceUID) == (one.PatientID, one.SOPInstanceUID)
    series = client.retrieve_series_metadata(*place[:2])
    study = client.retrieve_study_metadata(place[0])
    assert uids(series, "00080018") <= uids(study, "00080018")


def test_dicomweb_client_retrieves_compressed_frames(client: DICOMwebClient) -> None:
    one = dcmread(TWO_FRAMES)
    place = (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    fragments = list(pydicom.encaps.generate_frames(one.PixelData, number_of_frames=2))
    for media_type in ("image/dicom-rle", "application/octet-stream"):
        frames = client.retrieve_instance_frames(
            *place, frame_numbers=[2, 1], media_types=((media_type, "*"),)
        )
        assert [digest(frame) for frame in frames] == [digest(f) for f in reversed(fragments)]


def test_dicomweb_client_is_told_what_it_may_not_do(site: WebArchive) -> None:
    with requests.Session() as session:
        session.verify, session.trust_env = str(site.authority), False
        nobody = DICOMwebClient(url=site.url, session=session)
        with pytest.raises(requests.HTTPError, match="401"):
            nobody.search_for_studies()
        own = site.credentials["ct1"]
        session.cert = (str(own.certificate_path), str(own.key_path))
        with pytest.raises(requests.HTTPError, match="403"):
            DICOMwebClient(url=site.url, session=session).search_for_studies()


@pytest.fixture
def viewer(site: WebArchive, tmp_path: Path) -> Iterator[Orthanc]:
    """An empty Orthanc whose plugin knows our archive, with the workstation's certificate."""
    own = site.credentials["ws1"]
    server = {
        "Url": f"{site.url}/",
        "CertificateFile": str(own.certificate_path),
        "CertificateKeyFile": str(own.key_path),
    }
    configuration: dict[str, object] = {
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Servers": {"doorward": server}},
        "HttpsCACertificates": str(site.authority),
        "HttpsVerifyPeers": True,
    }
    with orthanc(tmp_path / "orthanc", configuration=configuration) as peer:
        yield peer


@pytest.mark.peer("orthanc", "orthanc-dicomweb")
def test_orthanc_searches_and_retrieves_from_us(viewer: Orthanc, known: Known) -> None:
    one = instance_of(known.files[0])
    study = dcmread(known.files[0]).StudyInstanceUID
    inside = {
        instance_of(path).sop_instance_uid
        for path in known.files
        if dcmread(path).StudyInstanceUID == study
    }

    question = f'{{"Uri":"/studies","Arguments":{{"StudyInstanceUID":"{study}"}}}}'
    found = viewer.rest("POST", "/dicom-web/servers/doorward/qido", question.encode())
    assert isinstance(found, list), found
    assert [entry["0020000D"]["Value"] for entry in found] == [study]

    wish = f'{{"Resources":[{{"Study":"{study}"}}],"Synchronous":true}}'
    done = viewer.rest("POST", "/dicom-web/servers/doorward/retrieve", wish.encode())
    assert isinstance(done, dict), done
    assert viewer.statistics()["instances"] == len(inside)
    lookup = viewer.rest("POST", "/tools/lookup", one.sop_instance_uid.encode())
    assert isinstance(lookup, list)
    assert lookup


def test_a_file_that_travelled_over_the_web_is_the_one_that_came(
    site: WebArchive, known: Known
) -> None:
    for path in (known.files[0], TWO_FRAMES):
        one = dcmread(path)
        url = (
            f"/dicom-web/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}"
            f"/instances/{one.SOPInstanceUID}"
        )
        got = site.get(url, Accept="application/dicom; transfer-syntax=*").body
        sent = path.read_bytes()
        assert digest(got[read_file_meta(got).data_set_offset :]) == digest(
            sent[read_file_meta(sent).data_set_offset :]
        )
