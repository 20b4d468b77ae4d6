"""What a practice archive holds: patients, studies and images that exist only as numbers until somebody asks.

Theory of operation: study number n belongs to patient n modulo the number of patients, has one series and as many images
as every other, or one more where the first few make up for an odd total, and a date and time that follow from n. So every
sum is known without counting, ten million studies cost no memory, and the same seed gives the same archive. Every value
that stands where a real archive says something about a person holds a canary: a text that cannot occur by chance and must
be seen in nothing that the auditor writes or keeps.
UIDs lie below this project's own root (PS3.5 section B.2) and are 64 characters long, as many real ones nearly are.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import date, timedelta

from doorward.errors import ConfigError
from doorward.net.client import IMPLEMENTATION_CLASS_UID

MOST_STUDIES = 10**8 - 1
MOST_IMAGES = 10**6 - 1
MOST_PATIENTS = 10**7 - 1
MOST_SEED = 9_999

#: Study dates as numbers YYYYMMDD: in a year in which nobody made a radiograph.
DATES = tuple(
    int((date(1890, 1, 1) + timedelta(days=day)).strftime("%Y%m%d")) for day in range(365)
)
#: Seconds from one study of a day to the next, round the clock: no divisor of a day's length.
_STRIDE_S = 7_919


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The numbers behind one archive. Raises ConfigError for numbers that do not fit.

    ``images_total`` says how many images there are in all; None: so many times ``images_per_study``. ``days``: over how many
    the studies are spread.
    """

    studies: int = 1_234
    images_per_study: int = 30
    images_total: int | None = None
    patients: int = 493
    seed: int = 1
    days: int = len(DATES)

    def __post_init__(self) -> None:
        for field, value, least, most in (
            ("studies", self.studies, 0, MOST_STUDIES),
            ("images", self.images_per_study, 0, MOST_IMAGES),
            ("images_total", self.images, 0, self.studies * MOST_IMAGES),
            ("patients", self.patients, min(1, self.studies), min(MOST_PATIENTS, self.studies)),
            ("seed", self.seed, 0, MOST_SEED),
            ("days", self.days, 1, len(DATES)),
        ):
            if not least <= value <= most:
                raise ConfigError(f"must be {least} to {most}, not {value}", field=field)

    @property
    def images(self) -> int:
        """Images in all: the sum of (0020,1208) over the studies."""
        if self.images_total is None:
            return self.studies * self.images_per_study
        return self.images_total

    @property
    def images_shared(self) -> tuple[int, int]:
        """How many images every study has, and how many studies, the first ones, have one more."""
        return divmod(self.images, self.studies) if self.studies else (0, 0)

    def images_of(self, study: int) -> int:
        """Return how many images one study has."""
        each, larger = self.images_shared
        return each + (study < larger)

    def time_of(self, study: int) -> int:
        """Return the time of day of one study as a number HHMMSS; no two alike among 86,400 of one day."""
        second = study // self.days * _STRIDE_S % 86_400
        return second // 3600 * 10_000 + second // 60 % 60 * 100 + second % 60

    def studies_of(self, patient: int) -> range:
        """Return the numbers of the studies of one patient."""
        return range(patient, self.studies, self.patients)

    def study_of(self, uid: str) -> int | None:
        """Return the number of a Study Instance UID of this archive, None for any other."""
        found = re.fullmatch(re.escape(f"{_root('1', self.seed)}") + r"(\d{8})0{6}", uid, re.ASCII)
        number = int(found[1]) if found else self.studies
        return number if number < self.studies else None

    def patient_of(self, patient_id: str) -> int | None:
        """Return the number of a Patient ID of this archive, None for any other."""
        found = re.fullmatch(rf"{self.canary}-P(\d{{7}})", patient_id, re.ASCII)
        number = int(found[1]) if found else self.patients
        return number if number < self.patients else None

    @property
    def canary(self) -> str:
        """What every text about a patient or an examination contains."""
        return f"CANARY{_digest(self.seed)[:8]}"

    @property
    def birth_date(self) -> str:
        """The birth date of every patient (DA), a canary itself."""
        number = int(_digest(self.seed)[8:16], 16)
        return f"18{number % 90 + 10:02}{number // 90 % 12 + 1:02}{number // 1080 % 28 + 1:02}"

    @property
    def weight(self) -> str:
        """The weight of every patient (DS), a canary itself."""
        number = int(_digest(self.seed)[16:32], 16)
        return f"1{number % 90 + 10:02}.{number % 10**12:012}"

    @property
    def canaries(self) -> frozenset[str]:
        """What may appear in no output of an auditor."""
        return frozenset((self.canary, self.birth_date, self.weight))

    def attributes(self) -> dict[int, tuple[str, str, str]]:
        """Return tag -> (level, VR, value); in a value ``{slot}`` stands for a number that varies.

        Slots: study, patient, image, date, time, patient_studies, patient_images, study_images (see ``matches``).
        """
        each, larger = self.images_shared
        rows = (*_PATIENT, *_STUDY, *_SERIES, *_IMAGE)
        fixed = {
            "canary": self.canary,
            "birth_date": self.birth_date,
            "weight": self.weight,
            "images": "{study_images}" if larger else str(each),
            "study_uid": _root("1", self.seed) + "{study}000000",
            "series_uid": _root("2", self.seed) + "{study}000000",
            "image_uid": _root("3", self.seed) + "{study}{image}",
        }
        return {tag: (level, vr, _fill(value, fixed)) for tag, level, vr, value in rows}


def _fill(value: str, fixed: dict[str, str]) -> str:
    """Put the values in that are the same in the whole archive; slots stay."""
    return re.sub(r"<(\w+)>", lambda name: fixed[name[1]], value)


def _root(kind: str, seed: int) -> str:
    """Return what UIDs of one kind begin with: 8 digits of the study and 6 of the image follow."""
    return f"{IMPLEMENTATION_CLASS_UID}.{kind}{seed:04}"


def _digest(seed: int) -> str:
    return hashlib.sha256(f"doorward practice {seed}".encode()).hexdigest().upper()


_PATIENT = (
    (0x0010_0010, "PATIENT", "PN", "SYNTHETIC^<canary>^P{patient}"),
    (0x0010_0020, "PATIENT", "LO", "<canary>-P{patient}"),
    (0x0010_0021, "PATIENT", "LO", "<canary> ISSUER"),
    (0x0010_0030, "PATIENT", "DA", "<birth_date>"),
    (0x0010_0040, "PATIENT", "CS", "O"),
    (0x0010_1000, "PATIENT", "LO", "<canary>-OTHER{patient}"),
    (0x0010_1001, "PATIENT", "PN", "SYNTHETIC^<canary>^OTHER"),
    (0x0010_1005, "PATIENT", "PN", "SYNTHETIC^<canary>^BIRTH"),
    (0x0010_1040, "PATIENT", "LO", "<canary> STREET {patient}"),
    (0x0010_1060, "PATIENT", "PN", "SYNTHETIC^<canary>^MOTHER"),
    (0x0010_2154, "PATIENT", "SH", "<canary>"),
    (0x0010_2160, "PATIENT", "SH", "<canary>"),
    (0x0010_21F0, "PATIENT", "LO", "<canary> RELIGION"),
    (0x0010_4000, "PATIENT", "LT", "<canary> COMMENT ON {patient}"),
    (0x0020_1200, "PATIENT", "IS", "{patient_studies}"),
    (0x0020_1202, "PATIENT", "IS", "{patient_studies}"),
    (0x0020_1204, "PATIENT", "IS", "{patient_images}"),
)
_STUDY = (
    (0x0008_0020, "STUDY", "DA", "{date}"),
    (0x0008_0030, "STUDY", "TM", "{time}"),
    (0x0008_0050, "STUDY", "SH", "<canary>"),
    (0x0008_0061, "STUDY", "CS", "OT"),
    (0x0008_0080, "STUDY", "LO", "<canary> HOSPITAL"),
    (0x0008_0081, "STUDY", "ST", "<canary> HOSPITAL STREET"),
    (0x0008_0090, "STUDY", "PN", "SYNTHETIC^<canary>^REFERRER"),
    (0x0008_1030, "STUDY", "LO", "<canary> EXAMINATION {study}"),
    (0x0008_1048, "STUDY", "PN", "SYNTHETIC^<canary>^RECORD"),
    (0x0008_1060, "STUDY", "PN", "SYNTHETIC^<canary>^READER"),
    (0x0010_1010, "STUDY", "AS", "099Y"),
    (0x0010_1030, "STUDY", "DS", "<weight>"),
    (0x0010_2000, "STUDY", "LO", "<canary> ALERT"),
    (0x0010_2110, "STUDY", "LO", "<canary> ALLERGY"),
    (0x0010_2180, "STUDY", "SH", "<canary>"),
    (0x0010_21B0, "STUDY", "LT", "<canary> HISTORY OF {patient}"),
    (0x0020_000D, "STUDY", "UI", "<study_uid>"),
    (0x0020_0010, "STUDY", "SH", "<canary>"),
    (0x0020_1206, "STUDY", "IS", "1"),
    (0x0020_1208, "STUDY", "IS", "<images>"),
    (0x0032_1032, "STUDY", "PN", "SYNTHETIC^<canary>^REQUESTER"),
    (0x0032_1060, "STUDY", "LO", "<canary> PROCEDURE"),
)
_SERIES = (
    (0x0008_0060, "SERIES", "CS", "OT"),
    (0x0008_103E, "SERIES", "LO", "<canary> SERIES"),
    (0x0008_1050, "SERIES", "PN", "SYNTHETIC^<canary>^PERFORMER"),
    (0x0008_1070, "SERIES", "PN", "SYNTHETIC^<canary>^OPERATOR"),
    (0x0020_000E, "SERIES", "UI", "<series_uid>"),
    (0x0020_0011, "SERIES", "IS", "1"),
    (0x0020_1209, "SERIES", "IS", "<images>"),
)
_IMAGE = (
    (0x0008_0016, "IMAGE", "UI", "1.2.840.10008.5.1.4.1.1.7"),
    (0x0008_0018, "IMAGE", "UI", "<image_uid>"),
    (0x0020_0013, "IMAGE", "IS", "{image}"),
)
