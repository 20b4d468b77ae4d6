"""The same questions to our archive, Orthanc 1.10 and dcmqrscp 3.6.7 over the same five studies: where they differ, and why.

Each difference that is known stands here as it is; docs/query-differences.md says the same in words. Where a newer peer
answers in another way, a test fails, and the list is corrected.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from archives import HOST, proposal_of
from doorward.net.client import associate
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND
from loopback import OpenGate
from peers import DicomPeer, Orthanc, StorageArea, dcmqrscp, orthanc
from query_worlds import Asked, World, decoded, encoded, identifier
from two_doors import Doors, two_doors

pytestmark = [pytest.mark.interop, pytest.mark.peer("orthanc", "dcmtk")]

KEYWORDS = (
    *("PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber"),
    *("StudyDescription", "Modality", "SpecificCharacterSet"),
)
#: The study's letter -> its values.
STUDIES: Mapping[str, tuple[str, ...]] = {
    "a": ("P1", "Doe^John", "20200115", "093000", "A1", "Head", "CT", ""),
    "b": ("P2", "DOE^JANE", "20200131", "101530.25", "A10", "Hand", "MR", ""),
    "c": ("P3", "", "", "", "", "", "CT", ""),
    "d": ("P4", "Müller^Jörg", "20210630", "0930", "a1", "head", "CT", "ISO_IR 100"),
    "e": ("P5", "Yamada^Tarou=山田^太郎", "20210701", "09", "A 1", "Head CT", "CT", "ISO_IR 192"),
}
UIDS = {letter: f"2.25.77.{number}" for number, letter in enumerate(STUDIES, 1)}
ALL = "abcde"
REFUSED = "refused"

#: Keyword, key, and which studies each of the three finds. All three agree.
AGREED = (
    ("PatientName", "Doe^John", "a"),
    ("PatientName", "Müller*", "d"),
    ("PatientName", "Müller^Jörg", "d"),
    ("PatientName", "Yamada*", "e"),
    ("PatientID", "P1", "a"),
    ("PatientID", "p1", ""),
    ("PatientID", "P?", ALL),
    ("PatientID", "*", ALL),
    ("StudyDate", "20200115", "a"),
    ("StudyDate", "20200115-20200131", "ab"),
    ("StudyDate", "20200116-", "bde"),  # a study without a date is in no range
    ("StudyTime", "10-", "b"),
    ("AccessionNumber", "A1", "a"),  # nor does one without a number match any: c is not here
    ("AccessionNumber", "A*", "abe"),
    ("AccessionNumber", "a1", "d"),
    ("AccessionNumber", "A 1", "e"),
    ("StudyDescription", "Head", "a"),
    ("StudyDescription", "H*d", "ab"),
    ("StudyDescription", "?ead", "ad"),
    ("ModalitiesInStudy", "CT\\MR", ALL),
    ("StudyInstanceUID", "2.25.77.1\\2.25.77.2", "ab"),
    ("StudyInstanceUID", "9.9", ""),
)
#: Keyword, key, and which studies are found by us, by Orthanc, by dcmqrscp.
DIFFERENT = (
    # Names: dcmqrscp compares them as they are written, Orthanc without case. We pass over accents, compare each group for
    # itself, and a trailing delimiter says nothing (PS3.4 section C.2.2.2.1.1 leaves it to the archive).
    ("PatientName", "doe^john", "a", "a", ""),
    ("PatientName", "DOE*", "ab", "ab", "b"),
    ("PatientName", "*j*", "abd", "abd", ""),
    ("PatientName", "Muller^Jorg", "d", "", ""),
    ("PatientName", "山田*", "e", "", ""),
    ("PatientName", "Yamada^Tarou", "e", "", ""),
    ("PatientName", "Doe^John^^", "a", "", ""),
    # Several values: alternatives for us and Orthanc, one text for dcmqrscp. The Standard leaves it open (C.2.2.2.8, note 4).
    ("PatientID", "P1\\P2", "ab", "ab", ""),
    # Orthanc compares dates and times as texts: nothing is before every date, and 0930 is not 093000. For us a time that is
    # cut off is all that it names, for dcmqrscp its beginning (C.2.2.2.1.3 leaves it to the archive, but by meaning).
    ("StudyDate", "-20200115", "a", "ac", "a"),
    ("StudyDate", "2020.01.15", "a", "", "a"),
    ("StudyTime", "0930", "ad", "d", "ad"),
    ("StudyTime", "093000", "ad", "a", "ad"),
    ("StudyTime", "09", "ade", "e", "e"),
    ("StudyTime", "0900-1000", "ade", "ad", "ade"),
    # dcmqrscp does not match modalities in study.
    ("ModalitiesInStudy", "CT", "acde", "acde", ALL),
    ("ModalitiesInStudy", "M*", "b", "b", ALL),
    # Keys that cannot be matched: passed over by us (with status FF01) and dcmqrscp; Orthanc finds nothing.
    ("Modality", "MR", ALL, "", ALL),
    ("MilitaryRank", "x", ALL, "", ALL),
    ("NumberOfStudyRelatedInstances", "1", ALL, "", ALL),
    ("NumberOfStudyRelatedInstances", "2", "", "", ALL),
    # Keys that cannot be understood: we say so, the others find nothing. A UID has no wild cards.
    ("StudyDate", "20200131-20200115", REFUSED, "", ""),
    ("StudyDate", "yesterday", REFUSED, "", ""),
    ("StudyInstanceUID", "2.25.77.*", "", REFUSED, ""),
)
QUESTIONS = [
    *((keyword, text, found, found, found) for keyword, text, found in AGREED),
    *DIFFERENT,
]


def study(letter: str) -> Dataset:
    """Return the one instance of a study."""
    made = Dataset()
    for keyword, text in zip(KEYWORDS, STUDIES[letter], strict=True):
        if text or keyword != "SpecificCharacterSet":
            setattr(made, keyword, text)
    uid = UIDS[letter]
    made.StudyInstanceUID, made.SeriesInstanceUID = uid, f"{uid}.1"
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, f"{uid}.1.1"
    made.StudyID, made.SeriesNumber, made.InstanceNumber = "", "1", "1"
    return decoded(encoded(made))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The studies as files."""
    folder = tmp_path_factory.mktemp("files")
    found = []
    for letter in STUDIES:
        one = study(letter)
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found.append(folder / f"{letter}.dcm")
        one.save_as(found[-1], enforce_file_format=True)
    return tuple(found)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Our archive with the studies."""
    held = World(
        instances=tuple(map(study, STUDIES)),
        sites=dict.fromkeys(UIDS.values(), ""),
        labels=dict.fromkeys(UIDS.values(), frozenset()),
    )
    with two_doors(tmp_path_factory.mktemp("ours"), held) as one:
        yield one


@pytest.fixture(scope="module")
def their_orthanc(
    files: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Orthanc]:
    """Orthanc with the studies."""
    may_find = {"DicomAlwaysAllowFind": True}
    folder = tmp_path_factory.mktemp("orthanc")
    with orthanc(folder, configuration=may_find, files=files) as peer:
        yield peer


@pytest.fixture(scope="module")
def their_dcmqrscp(
    files: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DicomPeer]:
    """Dcmqrscp with the studies."""
    area = StorageArea(ae_title="READ", files=files)
    with dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"), [area]) as peer:
        yield peer


def asked_for(keyword: str, text: str) -> Asked:
    """Return the question for studies."""
    character_set = () if text.isascii() else ("ISO_IR 192",)
    keys = {"StudyInstanceUID": ""} | {keyword: text}
    return Asked(level="STUDY", keys=keys, character_set=character_set)


def letters(answers: list[Dataset] | int) -> str:
    """Return which studies were found."""
    if isinstance(answers, int):
        return REFUSED
    by_uid = {uid: letter for letter, uid in UIDS.items()}
    return "".join(sorted(by_uid[str(one.StudyInstanceUID)] for one in answers))


def found_at(peer: DicomPeer, asked: Asked) -> str:
    """Ask a foreign archive."""

    async def ask() -> list[Dataset] | int:
        contexts = (STUDY_ROOT_FIND, (EXPLICIT_VR_LITTLE_ENDIAN,))
        proposal = replace(proposal_of("WS1", contexts), called_ae_title=peer.ae_title)
        answers: list[Dataset] = []
        async with associate(HOST, peer.port, proposal, gate=OpenGate()) as requestor:
            result = await requestor.find(
                STUDY_ROOT_FIND,
                encoded(identifier(asked)),
                lambda _, answer: answers.append(decoded(bytes(answer))),
            )
        return answers if result.final_status == 0 else result.final_status or -1

    return letters(asyncio.run(ask()))


@pytest.mark.parametrize(("keyword", "text", "ours", "orthancs", "dcmqrscps"), QUESTIONS)
def test_who_finds_what_is_known(
    doors: Doors,
    their_orthanc: Orthanc,
    their_dcmqrscp: DicomPeer,
    keyword: str,
    text: str,
    ours: str,
    orthancs: str,
    dcmqrscps: str,
) -> None:
    asked = asked_for(keyword, text)
    assert letters(doors.find(asked, "ws1")) == ours
    assert letters(doors.search(asked, "ws1")) == ours
    assert found_at(their_orthanc, asked) == orthancs
    assert found_at(their_dcmqrscp, asked) == dcmqrscps
