"""The requests that OHIF 3 and dicomweb-client.js send to a DICOMweb server, as they send them, and what they need back.

Written down from their sources (``DicomWebDataSource``: ``qido.js``, ``wado``; ``@cornerstonejs/dicom-image-loader``:
``wadors``), since a browser would be needed to run them. Without WADO-URI, which we do not support.
"""

import json
from collections.abc import Iterator

import pytest

from archives import instance, sendable
from dicomweb_calls import Reply
from pydicom_files import PATHS, read
from web_archives import WebAnswer, WebArchive, web_archive

pytestmark = pytest.mark.interop
COMPRESSED = next(
    path for name, path in PATHS.items() if name.endswith("MR_small_jpeg_ls_lossless.dcm")
)
JSON = "application/dicom+json"
#: What the image loader accepts where nothing is configured.
FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
PIXELS = bytes(range(256)) * 2


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    """An archive with a CT study of three slices and a compressed MR image."""
    same = {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.9.1", "Modality": "CT"}
    same |= {"PatientName": "Nobody^Known", "StudyDescription": "Head", "StudyTime": "101500"}
    with web_archive(tmp_path_factory.mktemp("site")) as one:
        one.stored(
            *(instance(f"1.9.1.{n}", PIXELS, InstanceNumber=str(n), **same) for n in (1, 2, 3))
        )
        compressed = sendable(COMPRESSED)
        assert compressed is not None
        one.stored(compressed)
        yield one


@pytest.fixture(scope="module")
def token(site: WebArchive) -> str:
    """A token, as a browser that has logged in elsewhere sends it."""
    return site.token()


def asked(site: WebArchive, token: str, path: str, accept: str) -> WebAnswer:
    """Ask as the viewer does."""
    return site.get(f"/dicom-web{path}", who=None, Accept=accept, Authorization=f"Bearer {token}")


def test_the_study_list(site: WebArchive, token: str) -> None:
    query = (
        "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
        "&PatientName=*nobody*&00100020=*P*&AccessionNumber=&ModalitiesInStudy=CT%2CMR"
        "&StudyDate=20200101-20261231"
    )
    reply = asked(site, token, f"/studies?{query}", JSON)
    [study] = reply.json()
    # What the list shows: qido.js processResults.
    for tag in ("0020000D", "00080020", "00080030", "00080050", "00100020", "00100010"):
        assert tag in study
    assert study["00080061"]["Value"] == ["CT"]
    assert study["00081030"]["Value"] == ["Head"]
    assert study["00201208"]["Value"] == [3]


def test_a_study_by_its_uid_with_every_field(site: WebArchive, token: str) -> None:
    reply = asked(site, token, "/studies?StudyInstanceUID=1.9%5C1.8&includefield=all", JSON)
    assert [one["0020000D"]["Value"] for one in reply.json()] == [["1.9"]]


def test_series_of_a_study_then_their_metadata(site: WebArchive, token: str) -> None:
    fields = "includefield=00080021%2C00080031%2C0008103E%2C00200011"
    [series] = asked(site, token, f"/studies/1.9/series?{fields}", JSON).json()
    assert series["00201209"]["Value"] == [3]
    metadata = asked(site, token, "/studies/1.9/series/1.9.1/metadata", JSON)
    numbers = [one["00200013"]["Value"] for one in metadata.json()]
    assert numbers == [[1], [2], [3]]
    assert all("BulkDataURI" in one["7FE00010"] for one in metadata.json())


def test_metadata_are_asked_for_without_an_accept_header_too(site: WebArchive, token: str) -> None:
    reply = asked(site, token, "/studies/1.9/metadata", "*/*")
    assert reply.headers["content-type"] == JSON


def test_frames_one_by_one_and_many(site: WebArchive, token: str) -> None:
    url = "/studies/1.9/series/1.9.1/instances/1.9.1.1/frames/1"
    reply = asked(site, token, url, FRAMES)
    [(fields, body)] = Reply(reply.status, reply.headers, reply.body).parts()
    assert body == PIXELS
    # The loader reads the transfer syntax of a part and decodes by it.
    assert fields["content-type"].endswith("transfer-syntax=1.2.840.10008.1.2.1")


def test_compressed_frames_come_as_they_are(site: WebArchive, token: str) -> None:
    one = read(COMPRESSED)
    url = f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"
    reply = asked(site, token, f"{url}/frames/1", FRAMES)
    [(fields, _)] = Reply(reply.status, reply.headers, reply.body).parts()
    assert fields["content-type"].endswith("transfer-syntax=1.2.840.10008.1.2.4.80")
    jls = asked(site, token, f"{url}/frames/1", "image/jls")
    assert jls.headers["content-type"].startswith("image/jls")


def test_bulk_data_by_the_uri_of_the_metadata(site: WebArchive, token: str) -> None:
    [one, *_] = json.loads(asked(site, token, "/studies/1.9/metadata", JSON).body)
    path = one["7FE00010"]["BulkDataURI"].removeprefix(site.url)
    reply = asked(site, token, path, "multipart/related; type=application/octet-stream")
    assert [body for _, body in Reply(reply.status, reply.headers, reply.body).parts()] == [PIXELS]


def test_a_whole_instance_for_download(site: WebArchive, token: str) -> None:
    reply = asked(
        *(site, token, "/studies/1.9/series/1.9.1/instances/1.9.1.1"),
        'multipart/related; type="application/dicom"',
    )
    [(_, body)] = Reply(reply.status, reply.headers, reply.body).parts()
    assert body[128:132] == b"DICM"


@pytest.mark.parametrize("what", ["thumbnail", "rendered"])
def test_pictures_for_the_study_panel(site: WebArchive, token: str, what: str) -> None:
    one = read(COMPRESSED)
    url = f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"
    reply = asked(site, token, f"{url}/{what}", "image/jpeg")
    assert reply.status == 200
    assert reply.body[:2] == b"\xff\xd8"


def test_wado_uri_is_not_there(site: WebArchive, token: str) -> None:
    query = "requestType=WADO&studyUID=1.9&seriesUID=1.9.1&objectUID=1.9.1.1"
    assert asked(site, token, f"/wado?{query}", "*/*").status == 404
