"""Real peers that several tests share; none of them is changed by a test, so each starts once per run."""

from collections.abc import Iterator

import pytest

from certificates import Certificates, make_certificates
from peers import DicomPeer, Orthanc, StorageArea, Tls, dcmqrscp, orthanc, storescp
from synthetic import Known, make_studies

#: What makes an Orthanc answer everybody; echo and store do so by default.
ORTHANC_OPEN = {
    "DicomAlwaysAllowFind": True,
    "DicomAlwaysAllowGet": True,
    "DicomAlwaysAllowMove": True,
}


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """3 patients, 6 studies, 39 images."""
    return make_studies(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One credential of each kind."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def move_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomPeer]:
    """A storescp titled TARGET, which the archives below know as a C-MOVE destination."""
    with storescp(tmp_path_factory.mktemp("target"), ae_title="TARGET") as peer:
        yield peer


@pytest.fixture(scope="session")
def open_orthanc(
    tmp_path_factory: pytest.TempPathFactory, known: Known, move_target: DicomPeer
) -> Iterator[Orthanc]:
    """An Orthanc that answers every stranger's echo, store, find, get and move."""
    modalities = {"target": [move_target.ae_title, move_target.host, move_target.port]}
    configuration = {**ORTHANC_OPEN, "DicomModalities": modalities}
    folder = tmp_path_factory.mktemp("orthanc-open")
    with orthanc(folder, configuration=configuration, files=known.files) as peer:
        yield peer


@pytest.fixture(scope="session")
def default_orthanc(tmp_path_factory: pytest.TempPathFactory, known: Known) -> Iterator[Orthanc]:
    """An Orthanc as Debian ships it: closed for queries, open for storage."""
    folder = tmp_path_factory.mktemp("orthanc-default")
    with orthanc(folder, debian_default=True, files=known.files) as peer:
        yield peer


@pytest.fixture(scope="session")
def tls_orthanc(
    tmp_path_factory: pytest.TempPathFactory, known: Known, certificates: Certificates
) -> Iterator[Orthanc]:
    """The open Orthanc behind TLS 1.3 with client certificates required.

    Its certificate is the EC one: with an RSA certificate Orthanc 1.10 would speak TLS 1.0 too.
    """
    tls = Tls(own=certificates.server, trusted=certificates.authority)
    folder = tmp_path_factory.mktemp("orthanc-tls")
    with orthanc(folder, configuration=ORTHANC_OPEN, files=known.files, tls=tls) as peer:
        yield peer


@pytest.fixture(scope="session")
def open_dcmqrscp(
    tmp_path_factory: pytest.TempPathFactory, known: Known, move_target: DicomPeer
) -> Iterator[DicomPeer]:
    """A dcmqrscp with a title per access mode and PRIVATE for the caller FRIEND; all are filled."""
    areas = [
        StorageArea(ae_title="READ", access="R", files=known.files),
        StorageArea(ae_title="READWRITE", access="RW", files=known.files),
        StorageArea(ae_title="WRITE", access="W", files=known.files),
        StorageArea(
            ae_title="PRIVATE",
            access="RW",
            peers="(FRIEND, localhost, 11112)",
            files=known.files,
        ),
    ]
    folder = tmp_path_factory.mktemp("dcmqrscp")
    with dcmqrscp(folder, areas, hosts={"TARGET": move_target.port}) as peer:
        yield peer
