"""The synthetic studies and certificates are what their tests take them for."""

import ssl
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from certificates import Certificates
from synthetic import PATIENT_KEYWORDS, STUDY_KEYWORDS, Known, data_set_of, make_studies


def test_counts_agree_with_what_pydicom_reads(known: Known) -> None:
    headers = [dcmread(path) for path in known.files]
    assert len({header.PatientID for header in headers}) == known.patients
    assert len({header.StudyInstanceUID for header in headers}) == known.studies
    assert len({header.SeriesInstanceUID for header in headers}) == known.series
    assert len({header.SOPInstanceUID for header in headers}) == known.images
    assert Counter(header.StudyInstanceUID for header in headers) == known.images_of_study
    assert len({known.patients, known.studies, known.series, known.images}) == 4


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first = make_studies(tmp_path / "first", patients=1, images=1, seed=7)
    again = make_studies(tmp_path / "again", patients=1, images=1, seed=7)
    other = make_studies(tmp_path / "other", patients=1, images=1, seed=8)
    assert [path.read_bytes() for path in first.files] == [p.read_bytes() for p in again.files]
    assert not first.canaries & other.canaries
    assert not first.images_of_study.keys() & other.images_of_study.keys()


def test_every_personal_attribute_is_a_canary_that_cannot_occur_by_chance(known: Known) -> None:
    assert min(map(len, known.canaries)) >= 8
    header = dcmread(known.files[0])
    for keyword in (*PATIENT_KEYWORDS, *STUDY_KEYWORDS):
        for part in str(header[keyword].value).split("^"):
            assert part in known.canaries, keyword


def test_a_large_instance_has_the_size_of_a_ct_slice(tmp_path: Path) -> None:
    large = make_studies(tmp_path, patients=1, studies_per_patient=1, series=1, images=1, rows=512)
    assert 524_288 < len(data_set_of(large.files[0])) < 530_000


def test_an_encoded_data_set_starts_after_the_file_meta_information(known: Known) -> None:
    assert data_set_of(known.files[0])[:8] == bytes.fromhex("08000500 4353 0a00")


def test_certificates_have_the_faults_they_are_named_after(certificates: Certificates) -> None:
    now = datetime.now(UTC)
    assert certificates.expired.certificate.not_valid_after_utc < now
    assert certificates.not_yet_valid.certificate.not_valid_before_utc > now
    assert certificates.weak_key.key.key_size == 1024
    issuer = certificates.self_signed.certificate.issuer
    assert issuer == certificates.self_signed.certificate.subject
    issuer = certificates.stranger.certificate.issuer
    assert issuer != certificates.authority.certificate.subject


@pytest.mark.parametrize(
    ("name", "is_good"),
    [
        ("server", True),
        ("server_rsa", True),
        ("expired", False),
        ("not_yet_valid", False),
        ("wrong_name", False),
        ("self_signed", False),
        ("stranger", False),
    ],
)
def test_a_strict_client_accepts_only_the_good_server_certificates(
    certificates: Certificates, name: str, is_good: bool
) -> None:
    own = getattr(certificates, name)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(own.certificate_path, own.key_path)
    client_side = ssl.create_default_context(cafile=certificates.authority.certificate_path)
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    assert handshake_succeeds(client_side, server_side) is is_good


def handshake_succeeds(client_side: ssl.SSLContext, server_side: ssl.SSLContext) -> bool:
    """Join a client and a server in memory and let them talk until one is done or gives up."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return client.version() is not None
