"""Foreign clients store in our archive by STOW-RS: dicomweb-client, Orthanc's plugin, and the files of pydicom's wheel."""

import hashlib
import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from archives import sendable
from doorward.archive.originals import heads_of, original_of
from doorward.dicom.part10 import PREAMBLE_BYTES, PREFIX, read_file_meta
from doorward_archive import instance_of
from peers import Orthanc, orthanc
from pydicom_files import PATHS, read
from stow_bodies import items, multipart, post
from synthetic import Known
from web_archives import WebArchive, web_archive
from web_servers import DICOMWEB_PLUGIN

pytestmark = pytest.mark.interop
REFERENCED, FAILED = "00081199", "00081198"
ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    """An archive behind HTTPS."""
    with web_archive(tmp_path_factory.mktemp("site")) as one:
        yield one


@pytest.fixture(scope="module")
def modality(site: WebArchive) -> Iterator[requests.Session]:
    """A session that shows the certificate of the modality."""
    own = site.credentials["ct1"]
    with requests.Session() as session:
        session.verify = str(site.authority)
        session.cert = (str(own.certificate_path), str(own.key_path))
        session.trust_env = False
        yield session


def digest(content: bytes) -> str:
    """Return the SHA-256: a failed comparison prints no bytes."""
    return hashlib.sha256(content).hexdigest()


def held(site: WebArchive, uid: str) -> Any:
    """Return an instance that is held."""
    [one] = site.do(site.archive.index.instances_with([uid]))
    return one


def content_of(site: WebArchive, blob: str, kept: Any = None) -> bytes:
    """Return the file of an instance: ours, or with the beginning that it came with."""

    async def whole() -> bytes:
        return b"".join([piece async for piece in original_of(site.archive.blobs, blob, kept)])

    found = site.do(whole())
    assert isinstance(found, bytes)
    return found


def test_dicomweb_client_stores_instances_and_understands_the_answer(
    site: WebArchive, modality: requests.Session, known: Known
) -> None:
    client = DICOMwebClient(url=site.url, session=modality)
    data_sets = [dcmread(path) for path in known.files]

    answer = client.store_instances(data_sets)

    assert len(answer.ReferencedSOPSequence) == len(data_sets)
    assert "FailedSOPSequence" not in answer
    for one in data_sets:
        assert held(site, one.SOPInstanceUID).study_uid == one.StudyInstanceUID


def test_dicomweb_client_stores_in_a_study_and_is_told_what_does_not_belong_there(
    site: WebArchive, modality: requests.Session, known: Known
) -> None:
    client = DICOMwebClient(url=site.url, session=modality)
    data_sets = [dcmread(path) for path in known.files]
    study = data_sets[0].StudyInstanceUID
    inside = [one for one in data_sets if one.StudyInstanceUID == study]

    answer = client.store_instances(data_sets, study_instance_uid=study)

    assert len(answer.ReferencedSOPSequence) == len(inside)
    failed = answer.FailedSOPSequence
    assert len(failed) == len(data_sets) - len(inside)
    assert {one.FailureReason for one in failed} == {0xA900}
    # This client leaves the port out of Host.
    assert answer.RetrieveURL == f"https://{site.host}/dicom-web/studies/{study}"


@cache
def wheel() -> list[Path]:
    """Return the files of the wheel that are whole DICOM files of a composite instance."""
    return [
        path
        for path in PATHS.values()
        if path.read_bytes()[PREAMBLE_BYTES:][:4] == PREFIX
        and sendable(path) is not None
        and instance_of(path).transfer_syntax_uid
    ]


def completed(syntaxes: set[str]) -> dict[str, bytes]:
    """Return a file of each other transfer syntax, with the UIDs that those in the wheel lack."""
    found: dict[str, bytes] = {}
    for path in PATHS.values():
        one = instance_of(path)
        data_set = read(path)
        if one.transfer_syntax_uid in syntaxes | {""} or "PixelData" not in data_set:
            continue
        syntaxes = syntaxes | {one.transfer_syntax_uid}
        data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        data_set.SOPInstanceUID = f"2.25.{len(syntaxes)}"
        data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "2.25.1", "2.25.2"
        with io.BytesIO() as file:
            data_set.save_as(file, enforce_file_format=True)
            found[data_set.SOPInstanceUID] = file.getvalue()
    return found


def test_the_wheel_is_stored_and_read_back_byte_by_byte_in_every_transfer_syntax(
    tmp_path: Path,
) -> None:
    # Of files with the same instance the first one is held, the others are kept aside.
    files = {one.sop_instance_uid: path for path in reversed(wheel()) if (one := sendable(path))}
    contents = {uid: path.read_bytes() for uid, path in files.items()}
    stored = {instance_of(path).transfer_syntax_uid for path in files.values()}
    contents |= completed(stored)
    with web_archive(tmp_path) as site:
        answer = post(site, multipart(contents.values()))
        assert answer.status == 200
        assert len(items(answer, REFERENCED)) == len(contents)
        for uid, content in contents.items():
            one = held(site, uid)
            meta = read_file_meta(content)
            ours = content_of(site, one.digest)
            assert one.transfer_syntax_uid == meta.transfer_syntax_uid
            assert digest(ours[read_file_meta(ours).data_set_offset :]) == digest(
                content[meta.data_set_offset :]
            )
            kept = site.do(heads_of(site.archive.index, site.archive.blobs, one.digest))
            assert [digest(content_of(site, one.digest, head)) for head in kept] == [
                digest(content)
            ]
    syntaxes = {read_file_meta(content).transfer_syntax_uid for content in contents.values()}
    assert len(files) > 50
    assert syntaxes == {instance_of(path).transfer_syntax_uid for path in PATHS.values()} - {""}


def test_what_was_stored_is_retrieved_over_the_same_door(
    site: WebArchive, modality: requests.Session, known: Known
) -> None:
    path = known.files[0]
    one = dcmread(path)
    answer = post(site, multipart([path.read_bytes()]))
    assert answer.status == 200
    [item] = items(answer, REFERENCED)

    url = item["00081190"].removeprefix(site.url.removesuffix("/dicom-web"))
    got = site.get(url, who="ws1", Accept="application/dicom; transfer-syntax=*")

    assert got.status == 200
    file = got.body
    assert digest(file[read_file_meta(file).data_set_offset :]) == digest(
        path.read_bytes()[read_file_meta(path.read_bytes()).data_set_offset :]
    )
    assert one.SOPInstanceUID in url


def test_every_file_of_the_wheel_has_an_answer(site: WebArchive) -> None:
    for path in PATHS.values():
        answer = post(site, multipart([path.read_bytes()]))
        assert answer.status in ((200, 202) if path in wheel() else (400, 409)), path.name


@pytest.fixture
def sender(site: WebArchive, known: Known, tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc whose plugin knows our archive, with the modality's certificate."""
    own = site.credentials["ct1"]
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
    with orthanc(tmp_path / "orthanc", configuration=configuration, files=known.files) as peer:
        yield peer


@pytest.mark.peer("orthanc", "orthanc-dicomweb")
def test_orthanc_sends_its_studies_to_us(site: WebArchive, sender: Orthanc, known: Known) -> None:
    studies = sender.rest("GET", "/studies")
    assert isinstance(studies, list)
    body = ('{"Resources":["' + '","'.join(studies) + '"],"Synchronous":true}').encode()

    done = sender.rest("POST", "/dicom-web/servers/doorward/stow", body)

    assert isinstance(done, dict), done
    for path in known.files:
        sent = instance_of(path)
        ours = content_of(site, held(site, sent.sop_instance_uid).digest)
        assert digest(ours[read_file_meta(ours).data_set_offset :]) == digest(sent.data_set)


def test_pydicom_reads_what_we_give_back(site: WebArchive, known: Known, tmp_path: Path) -> None:
    path = known.files[1]
    post(site, multipart([path.read_bytes()]))
    ours = tmp_path / "ours.dcm"
    ours.write_bytes(content_of(site, held(site, dcmread(path).SOPInstanceUID).digest))

    assert pydicom.dcmread(ours) == dcmread(path)
