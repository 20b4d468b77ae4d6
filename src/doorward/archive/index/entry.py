"""One instance on its way into the index, what becomes of it, and what the index says of what it holds."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from doorward.access.identity import Subject
from doorward.archive.blobs.names import checked
from doorward.archive.index.levels import ISSUER_OF_PATIENT_ID, PATIENT_ID
from doorward.dicom.attributes import Attribute, DataSetView
from doorward.errors import UsageError

_UID_CHARACTERS = 64
_NONE = Attribute("LO")


class PatientKey(NamedTuple):
    """What tells patients apart. ``study_uid`` is "" but for a study without a Patient ID, whose patient is its own."""

    patient_id: str
    issuer: str
    study_uid: str

    def __repr__(self) -> str:
        """Say what it is, never whose."""
        return "PatientKey()"


class Frame(NamedTuple):
    """Where one frame lies in its blob, in bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One instance as ingest has walked it: what queries need of it, and where its content is.

    The UIDs are those of the data set, without padding; the views need not hold them. ``received_at`` is aware, and kept to
    the millisecond. ``site``, ``department`` and ``labels`` come from who sent it, never from the data set. Raises UsageError
    where a UID is empty, longer than 64 characters or not printable ASCII, and where the digest is no name of a blob.
    """

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    sop_class_uid: str
    transfer_syntax_uid: str
    digest: str
    size_bytes: int
    received_at: datetime
    #: The name of the identity that sent it.
    source: str
    patient: DataSetView = field(default_factory=dict, repr=False)
    study: DataSetView = field(default_factory=dict, repr=False)
    series: DataSetView = field(default_factory=dict, repr=False)
    instance: DataSetView = field(default_factory=dict, repr=False)
    site: str = ""
    department: str = ""
    labels: frozenset[str] = frozenset()
    frames: tuple[Frame, ...] = ()
    #: The blob with the beginning of the file that it came in (``archive.originals``); "" where there is none.
    head_digest: str = ""

    def __post_init__(self) -> None:
        checked(self.digest)
        checked(self.head_digest or self.digest)
        for name in ("study_uid", "series_uid", "sop_instance_uid", "sop_class_uid"):
            uid = getattr(self, name)
            if not 0 < len(uid) <= _UID_CHARACTERS or not (uid.isascii() and uid.isprintable()):
                raise UsageError(f"the {name} of an entry is no UID")
        if self.received_at.tzinfo is None:
            raise UsageError("received_at of an entry has no time zone")

    @property
    def patient_key(self) -> PatientKey:
        """Which patient it belongs to."""
        patient_id = _first(self.patient, PATIENT_ID)
        issuer = _first(self.patient, ISSUER_OF_PATIENT_ID)
        return PatientKey(patient_id, issuer, "" if patient_id else self.study_uid)


def _first(view: DataSetView, tag: int) -> str:
    return next(iter(view.get(tag, _NONE).values), "")


class Outcome(Enum):
    """What became of an entry."""

    NEW = "new"
    #: The same instance with the same content was there before.
    SAME = "same"
    #: The same SOP Instance UID with other content: kept aside, the first one stays.
    CONFLICT_KEPT = "conflict kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of one entry. ``is_inconsistent``: its study or series UID is also held for another patient or study."""

    outcome: Outcome
    is_inconsistent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldStudy:
    """One study: ``number`` names it as long as the index lives, and never names another one."""

    number: int
    subject: Subject
    patient: PatientKey
    count_series: int
    count_instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSeries:
    """One series of a study."""

    study: int
    series_uid: str = field(repr=False)
    modality: str
    count_instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInstance:
    """One instance, and where its content is; ``study`` is the number of its study."""

    study: int
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    sop_class_uid: str
    transfer_syntax_uid: str
    digest: str
    size_bytes: int
    received_at: datetime
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A content that came for an instance which is held with another one. ``held_digest`` is "" when that is gone."""

    study_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    digest: str
    held_digest: str
    transfer_syntax_uid: str
    size_bytes: int
    received_at: datetime
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much is held."""

    patients: int
    studies: int
    series: int
    instances: int
    conflicts: int
