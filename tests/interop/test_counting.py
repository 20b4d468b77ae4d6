"""Thousands of studies in real archives, counted to the last one, also where the archive tells a hundred at a time."""

import asyncio
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from doorward.audit.facts import Exactness, SystemFacts
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target
from doorward.dicom.values import Attribute, encode_identifier
from doorward.dicom.walk import Syntax
from doorward.limits import DEFAULT_LIMITS
from doorward.net.client import Proposal, Requestor, associate
from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND
from loopback import HOST
from peers import DicomPeer, Orthanc, StorageArea, dcmqrscp, orthanc
from practising import Unheard, with_meta

pytestmark = pytest.mark.interop

STUDIES, UNDATED, LIMIT = 2_000, 9, 100
QUICK = replace(DEFAULT_LIMITS, probe_gap_s=0.0, part_gap_s=0.0)
EXACT, UNKNOWN = Exactness.EXACT_ENUMERATED, Exactness.UNKNOWN


def date_and_time(number: int) -> tuple[str, str]:
    """Nine without a date, two hundred on one day, the others over ten years."""
    if number < UNDATED:
        return "", ""
    time = f"{8 + number % 10:02}{number // 10 % 60:02}{number // 600:02}"
    if number % 10 == 0:
        return "20200229", time
    return f"20{10 + number % 10:02}{number // 10 % 12 + 1:02}{number // 120 % 28 + 1:02}", time


def instance(number: int) -> bytes:
    """A study of one image without pixels, as a file; two studies to a patient. Nothing of it is anybody's."""
    date, time = date_and_time(number)
    elements: list[Attribute] = [
        (0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
        (0x0008_0018, "UI", f"2.25.3{number:07}"),
        (0x0008_0020, "DA", date),
        (0x0008_0030, "TM", time),
        (0x0008_0050, "SH", ""),
        (0x0008_0060, "CS", "OT"),
        (0x0010_0010, "PN", f"SYNTHETIC^{number // 2}"),
        (0x0010_0020, "LO", f"SYNTHETIC{number // 2}"),
        (0x0020_000D, "UI", f"2.25.1{number:07}"),
        (0x0020_000E, "UI", f"2.25.2{number:07}"),
        (0x0020_0010, "SH", ""),
        (0x0020_0011, "IS", "1"),
        (0x0020_0013, "IS", "1"),
    ]
    return with_meta(encode_identifier(elements, Syntax.EXPLICIT_LITTLE), is_implicit=False)


@pytest.fixture(scope="module", params=(0, LIMIT), ids=("no limit", "LimitFindResults"))
def large_orthanc(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Orthanc, int]]:
    """An Orthanc with two thousand studies, and how many it tells at a time (0: all)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        for number in range(STUDIES):
            files.writestr(f"{number}.dcm", instance(number))
    settings = {"DicomAlwaysAllowFind": True, "LimitFindResults": request.param}
    folder = tmp_path_factory.mktemp("orthanc-large")
    with orthanc(folder, configuration=settings) as peer:
        peer.rest("POST", "/instances", packed.getvalue())
        assert peer.statistics()["studies"] == STUDIES
        yield peer, request.param


@pytest.fixture(scope="module")
def filled_dcmqrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomPeer]:
    """A dcmqrscp with three hundred studies, which is a suspicious number."""
    folder = tmp_path_factory.mktemp("dcmqrscp-counted")
    files: list[Path] = []
    for number in range(UNDATED, UNDATED + 300):
        files.append(folder / f"{number}.dcm")
        files[-1].write_bytes(instance(number))
    with dcmqrscp(folder, [StorageArea(ae_title="READ", files=tuple(files))]) as peer:
        yield peer


def audited(port: int, *called: str) -> SystemFacts:
    settings = SurveySettings(limits=QUICK, called_ae_titles=called)
    targets = [Target(host=HOST, ports=(port,))]
    (system,) = asyncio.run(
        survey(targets, scope=Scope.loopback(), settings=settings, observer=Unheard())
    )
    return system


@pytest.mark.peer("orthanc")
@pytest.mark.slow
@pytest.mark.timeout(60)
def test_orthanc_is_counted_exactly_whatever_it_tells_at_a_time(large_orthanc):
    """Crowded days and studies without a date included: Orthanc has those before every date."""
    peer, limit = large_orthanc
    system = audited(peer.port)
    (whole,) = [q for q in system.of("exposure")[0].facts.queries if q.level == "STUDY"]
    assert whole.matches == (limit or STUDIES)
    counted = system.of("parts")[0].facts
    if limit:
        assert (counted.studies.value, counted.studies.exactness) == (STUDIES, EXACT)
        assert (counted.images.value, counted.images.exactness) == (STUDIES, EXACT)
        assert counted.undated_reached in (0, UNDATED), "asked for where one was seen"
        assert system.of("parts")[0].connections == 1
    else:  # two thousand is a round number: it might have been a limit
        assert (counted.studies.value, counted.studies.exactness) == (STUDIES, EXACT)


@pytest.mark.peer("dcmtk")
@pytest.mark.timeout(60)
def test_dcmqrscp_is_counted_exactly(filled_dcmqrscp):
    system = audited(filled_dcmqrscp.port, "READ")
    counted = system.of("parts")[0].facts
    assert (counted.studies.value, counted.studies.exactness) == (300, EXACT)
    assert (counted.images.value, counted.images.exactness) == (None, UNKNOWN)
    assert counted.whole_matches == 300


async def interrupted(peer: DicomPeer, called: str) -> Requestor:
    """Ask for all studies, and be cancelled at the first match."""
    proposal = Proposal(
        called_ae_title=called,
        calling_ae_title="DOORWARDTEST",
        contexts=[(STUDY_ROOT_FIND, (IMPLICIT_VR_LITTLE_ENDIAN,))],
    )
    keys: list[Attribute] = [(0x0008_0052, "CS", "STUDY"), (0x0020_000D, "UI", "")]
    first = asyncio.Event()
    seen: list[Requestor] = []

    async def ask() -> None:
        async with associate(HOST, peer.port, proposal, gate=Scope.loopback()) as requestor:
            seen.append(requestor)
            identifier = encode_identifier(keys, Syntax.IMPLICIT_LITTLE)
            await requestor.find(STUDY_ROOT_FIND, identifier, lambda *_: first.set())

    task = asyncio.ensure_future(ask())
    await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return seen[0]


@pytest.mark.peer("orthanc")
@pytest.mark.timeout(60)
def test_an_interrupted_query_leaves_orthanc_in_order(large_orthanc):
    peer, _ = large_orthanc
    requestor = asyncio.run(interrupted(peer, "ORTHANC"))
    assert requestor.connection.is_gone
    assert requestor._is_released, "A-RELEASE-RP came"
    assert peer.statistics()["studies"] == STUDIES


@pytest.mark.peer("dcmtk")
def test_an_interrupted_query_leaves_dcmqrscp_in_order(filled_dcmqrscp):
    requestor = asyncio.run(interrupted(filled_dcmqrscp, "READ"))
    assert requestor._is_released, "A-RELEASE-RP came"
    log = filled_dcmqrscp.log_text()
    assert "Association Aborted" not in log
