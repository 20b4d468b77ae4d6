"""What the checks say: verdicts, findings, and one judged system.

Theory of operation: probes return facts (``facts.py``), checks turn facts into the values of this module, reports print
them. Nothing here connects, reads a clock or holds a patient value, so an old scan can be judged anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from doorward.audit.facts import UNKNOWN_COUNT, Count, SystemFacts

#: The products that every remediation text speaks to; "generic" is always there (see ``Check.remedy_for``).
PRODUCTS = (
    *("generic", "orthanc", "dcm4chee", "dcmtk", "conquest", "dicoogle"),
    # What a port serves that is no archive goes by the name of its protocol.
    *("postgresql", "mysql", "mssql", "oracle", "mongodb", "redis", "elasticsearch", "ldap"),
    *("smb", "nfs"),
    # Servers of files.
    *("nginx", "apache", "lighttpd", "iis", "python", "vsftpd", "proftpd", "pureftpd", "filezilla"),
)

#: The areas of the catalogue: the first word of every check id is its area's prefix.
AREAS = (
    *("association", "query", "retrieve", "store", "transport", "reachability", "product"),
    *("database", "share", "tls_depth", "web"),
    *("files", "hl7", "fhir", "credentials", "system"),
)


class Verdict(StrEnum):
    """How one check ended. Only facts that a probe was ANSWERED lead to ``pass`` or ``fail``."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"  # asked, and the answer says nothing (silence, congestion)
    ERROR = "error"  # our own side failed
    NOT_APPLICABLE = "not_applicable"  # the question has no meaning here
    NOT_TESTED = "not_tested"  # not asked: clearance level, or an earlier answer made it moot
    ACCEPTED = "accepted"  # failed, and somebody signed for it


class Severity(IntEnum):
    """How bad a failed check is; ordered, so that ``finding.severity >= Severity.HIGH`` reads well."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The lower-case word that reports and options use."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "Severity":
        """Return the severity of a lower-case word; ValueError names the words there are."""
        for severity in cls:
            if severity.label == label:
                return severity
        raise ValueError(f"severity must be one of {', '.join(s.label for s in cls)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A source that a reader can look up: a section of the Standard, a law, an advisory."""

    label: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question of the catalogue, with everything a person needs to act on its answer."""

    id: str  # area_subject_condition; never renamed
    title: str  # states the secure condition
    problem: str  # states what is wrong where it failed
    severity: Severity  # of a fail; a finding may be lower, never higher
    area: str  # one of AREAS
    probe: (
        str  # whose facts it reads: association | capabilities | exposure | attributes | transport
    )
    clearance_level: int  # the lowest level at which its facts exist
    description: str  # what is looked at
    risk: str  # what a stranger gains when it fails
    remediation: Mapping[
        str, str
    ]  # keys: PRODUCTS; "generic" always, others where the product differs
    verify: str  # the command that shows that it is shut; {address} and {port} are filled in by ``judge``
    references: tuple[Reference, ...]

    def remedy_for(self, product: str) -> str:
        """Return the remediation for a product key of PRODUCTS, or the generic one."""
        return self.remediation.get(product, self.remediation["generic"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The verdict of one check on one system, or on one of its ports.

    ``title`` states the check's secure condition, or the problem where it failed (accepted or not); ``evidence`` says in plain
    words what was seen.
    ``remediation`` is for the product at hand and "" where there is nothing to do. ``verify`` is a command to run.
    """

    check: str
    verdict: Verdict
    severity: Severity
    title: str
    evidence: str
    remediation: str
    references: tuple[Reference, ...]
    port: int | None = None
    verify: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one port turned out to be."""

    port: int
    #: dicom | dicom-tls | http | https | hl7 | jdwp | a database or file share by its own word | ssh | tls | ftp | smtp
    #: | unknown | closed | filtered | unreachable | not_tested
    protocol: str
    tls: str = ""  # negotiated version, e.g. "TLSv1.2", or ""
    product: str = ""  # for people, e.g. "DCMTK 3.6.7 (used by Orthanc and many others)"
    version: str = ""
    toolkit: str = ""
    confidence: str = ""  # source | file | claim | ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What lies behind the door of one system, each number with its honesty."""

    patients: Count = UNKNOWN_COUNT
    studies: Count = UNKNOWN_COUNT
    images: Count = UNKNOWN_COUNT
    #: Equals ``images`` where the system reached E6, else unknown or an honest 0.
    images_downloadable: Count = UNKNOWN_COUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSystem:
    """One system after all checks: the input of every report."""

    facts: SystemFacts
    services: tuple[Service, ...]
    counts: Counts
    #: The ladder rungs that were reached, in order: E0 to E7, W1 to W3, then T, V (see ``ladder.RUNGS``).
    rungs: tuple[str, ...]
    #: Worst first: fails by severity, then the verdicts that say nothing, then passes.
    findings: tuple[Finding, ...]
    grade: str  # "A+", "A" ... "F", or "not rated"
    score: int | None  # 0 to 100; None exactly where the grade is "not rated"
    grade_reasons: tuple[str, ...] = field(
        default=()
    )  # whole sentences: which cap decided, or why not rated
    #: DICOM, DICOMweb, or a page or interface of an imaging product was seen on one of its ports.
    shows_imaging: bool = True

    @property
    def is_unprotected(self) -> bool:
        """A stranger's study query was answered (rung E5)."""
        return "E5" in self.rungs

    @property
    def is_downloadable(self) -> bool:
        """A stranger may also negotiate retrieval (rung E6)."""
        return "E6" in self.rungs

    @property
    def is_writable(self) -> bool:
        """A stranger may negotiate storage (rung E7)."""
        return "E7" in self.rungs
