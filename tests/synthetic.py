"""Synthetic studies with known counts and unmistakable patient values: the truth that counting is tested against.

Everything is derived from a seed, so two runs write the same bytes. Every attribute that may say something about a
person holds a canary: a value that cannot occur by chance and must never be seen in what the auditor prints, keeps or
remembers. No value comes from a real person. pydicom is the oracle here and is never imported by ``src``.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, FileDataset, FileMetaDataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

#: Attributes that describe the patient, constant over all studies of one patient (PS3.3 C.7.1.1, C.7.2.2 and C.2).
PATIENT_KEYWORDS = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientBirthTime",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientAddress",
    "PatientMotherBirthName",
    "MilitaryRank",
    "BranchOfService",
    "MedicalRecordLocator",
    "CountryOfResidence",
    "RegionOfResidence",
    "PatientTelephoneNumbers",
    "EthnicGroup",
    "PatientReligiousPreference",
    "PatientComments",
)
#: Attributes of one examination, constant over its series.
STUDY_KEYWORDS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
    "StudyDescription",
    "PatientSize",
    "PatientWeight",
    "MedicalAlerts",
    "Allergies",
    "Occupation",
    "AdditionalPatientHistory",
    "LastMenstrualDate",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansOfRecord",
    "RequestingPhysician",
    "RequestedProcedureDescription",
    "AdmissionID",
    "CurrentPatientLocation",
    "InstitutionName",
    "InstitutionAddress",
)
#: Attributes of one series.
SERIES_KEYWORDS = (
    "SeriesDate",
    "SeriesTime",
    "SeriesDescription",
    "ProtocolName",
    "StationName",
    "InstitutionalDepartmentName",
    "PerformingPhysicianName",
    "OperatorsName",
    "DeviceSerialNumber",
)

#: Longest value in characters (PS3.5 Table 6.2-1); PN components are kept far below 64.
LONGEST = {"SH": 16, "CS": 16, "LO": 24, "ST": 24, "LT": 24, "UT": 24, "UC": 24}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a set of synthetic files holds: the numbers that an audit must find."""

    patients: int
    studies: int
    series: int
    images: int
    files: tuple[Path, ...]
    #: Values of patient attributes that may appear in no output of the auditor.
    canaries: frozenset[str]
    #: Study Instance UID -> number of its instances.
    images_of_study: dict[str, int]


def make_studies(
    folder: Path,
    *,
    patients: int = 3,
    studies_per_patient: int = 2,
    series: int = 2,
    images: int = 3,
    seed: int = 1,
    rows: int = 16,
) -> Known:
    """Write CT-like instances and return what was written.

    The first series of a patient's n-th study has n images more, counted from 0, so that no two numbers agree by
    accident: the defaults give 3 patients, 6 studies, 12 series and 39 images. An instance has ``rows`` * ``rows``
    16-bit pixels; ``rows=512`` gives the 525 KB of a usual CT slice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    canaries: set[str] = set()
    files: list[Path] = []
    images_of_study: dict[str, int] = {}
    for patient in range(patients):
        for study in range(studies_per_patient):
            written = len(files)
            for one_series in range(series):
                extra = study if one_series == 0 else 0
                for image in range(images + extra):
                    place = (seed, patient, study, one_series, image)
                    dataset = synthetic_instance(place, rows=rows, canaries=canaries)
                    path = folder / f"{'-'.join(map(str, place))}.dcm"
                    dataset.save_as(path, enforce_file_format=True)
                    files.append(path)
            images_of_study[uid_of("study", seed, patient, study)] = len(files) - written
    return Known(
        patients=patients,
        studies=patients * studies_per_patient,
        series=patients * studies_per_patient * series,
        images=len(files),
        files=tuple(files),
        canaries=frozenset(canaries),
        images_of_study=images_of_study,
    )


def synthetic_instance(
    place: tuple[int, int, int, int, int], *, rows: int, canaries: set[str]
) -> FileDataset:
    """Return the CT instance at (seed, patient, study, series, image); its canaries are added to the set."""
    seed, patient, study, one_series, image = place
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(uid_of("image", *place))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = uid_of("study", seed, patient, study)
    dataset.SeriesInstanceUID = uid_of("series", seed, patient, study, one_series)
    dataset.Modality = "CT"
    dataset.SeriesNumber = one_series + 1
    dataset.InstanceNumber = image + 1
    dataset.PatientSex = "O"
    dataset.PatientAge = "099Y"
    add_canaries(dataset, PATIENT_KEYWORDS, (seed, patient), canaries)
    add_canaries(dataset, STUDY_KEYWORDS, (seed, patient, study), canaries)
    add_canaries(dataset, SERIES_KEYWORDS, (seed, patient, study, one_series), canaries)
    add_canaries(dataset, ("ImageComments",), place, canaries)
    add_pixels(dataset, rows, place)
    return dataset


def add_pixels(dataset: Dataset, rows: int, place: tuple[int, ...]) -> None:
    """Give the dataset a square of 16-bit noise that cannot be compressed away (PS3.3 C.7.6.3)."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = rows
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = "-1024"
    dataset.RescaleSlope = "1"
    dataset.PixelData = hashlib.shake_256(repr(place).encode()).digest(rows * rows * 2)


def add_canaries(
    dataset: Dataset, keywords: tuple[str, ...], place: tuple[int, ...], canaries: set[str]
) -> None:
    """Set every attribute to a canary of its value representation and remember the canaries."""
    for keyword in keywords:
        value = canary(keyword, place)
        setattr(dataset, keyword, value)
        canaries.update(value.split("^"))


def canary(keyword: str, place: tuple[int, ...]) -> str:
    """Return the unmistakable value of one attribute at one place, legal for its value representation.

    Dates lie in the nineteenth century and numbers have twelve digits, so that they are not mistaken for anything else.
    """
    digest = hashlib.sha256(f"{keyword} {place}".encode()).digest()
    number = int.from_bytes(digest[:8])
    letters = digest.hex().upper()
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"no such attribute: {keyword}")
    vr = dictionary_VR(tag)
    if vr == "DA":
        return f"18{number % 100:02}{number // 100 % 12 + 1:02}{number // 1200 % 28 + 1:02}"
    if vr == "TM":
        return (
            f"{number % 24:02}{number // 24 % 60:02}{number // 1440 % 60:02}.{number % 999983:06}"
        )
    if vr == "DS":
        return f"1{number % 90 + 10:02}.{number % 999999999989:012}"
    if vr == "PN":
        return f"CANARY{letters[:10]}^CANARY{letters[10:20]}"
    return f"CANARY{letters}"[: LONGEST[vr]]


def uid_of(kind: str, *place: int) -> str:
    """Return a UID under the 2.25 root that depends on nothing but kind and place (PS3.5 section B.2)."""
    digest = hashlib.sha256(f"{kind} {place}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16])}"


def data_set_of(path: Path) -> bytes:
    """Return the encoded data set of a Part 10 file, without preamble and File Meta Information (PS3.10 section 7.1)."""
    content = path.read_bytes()
    # (0002,0000) File Meta Information Group Length: tag, UL and length take 8 bytes, the value 4.
    meta_bytes = int.from_bytes(content[140:144], "little")
    return content[144 + meta_bytes :]
