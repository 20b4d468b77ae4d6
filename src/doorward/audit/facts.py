"""What the probes saw, as values without judgement and without patient data.

A probe asks one question over at most one connection at a time and returns an ``Attempt`` that holds one of the fact
classes below, or none. Checks read facts and nothing else, so an old scan can be judged anew without the network.
Every class here can be written to JSON by ``dataclasses.asdict``: only numbers, enums, UIDs, titles and names that the
auditor chose itself or that describe software. Nothing read from a data set but (0020,1208).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from doorward.audit.count_facts import PartsFacts
from doorward.audit.count_facts import QueryEnd as QueryEnd  # noqa: PLC0414 - everybody takes it from here
from doorward.audit.credential_facts import CredentialFacts
from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.fhir_facts import FhirFacts
from doorward.audit.file_facts import FtpFacts, ListingFacts, WebdavFacts
from doorward.audit.hl7_facts import Hl7Facts
from doorward.audit.share_facts import ShareFacts
from doorward.audit.tally import UNKNOWN_COUNT as UNKNOWN_COUNT  # noqa: PLC0414 - everybody takes them from here
from doorward.audit.tally import Count as Count  # noqa: PLC0414
from doorward.audit.tally import Exactness as Exactness  # noqa: PLC0414
from doorward.audit.tls_facts import TlsDepthFacts
from doorward.audit.web_facts import DebuggerFacts, DicomWebFacts, WebFacts, WebHygieneFacts
from doorward.net.certificate_facts import CertificateFacts


class Outcome(StrEnum):
    """How an attempt to get facts ended. Only ANSWERED may lead to a pass or a fail."""

    ANSWERED = "answered"
    INCONCLUSIVE = "inconclusive"  # silence, congestion, a refused probe: says nothing about safety
    ERROR = "error"  # our own side failed
    NOT_TESTED = "not_tested"  # clearance level, earlier answer, or budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One TCP door. ``address`` is a numeric IP; ``name`` what the operator typed, for people."""

    address: str
    port: int
    name: str = ""

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


class PortState(StrEnum):
    """What the first TCP connection met."""

    OPEN = "open"
    CLOSED = "closed"  # answered with RST
    FILTERED = "filtered"  # no answer in time
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachFacts:
    """Whether anything listens on a port that is not expected to speak DICOM."""

    port_state: PortState


class Reply(StrEnum):
    """What came back to one A-ASSOCIATE-RQ."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ABORTED = "aborted"  # a valid A-ABORT
    CLOSED = "closed"  # TCP end without a PDU
    SILENT = "silent"  # nothing in time
    NOT_DICOM = "not_dicom"  # bytes that are no PDU
    NOT_CONNECTED = "not_connected"


class Control(StrEnum):
    """Which pair of AE titles a request carried: the science of the AE-title verdict."""

    RANDOM_BOTH = "random_called_random_calling"
    GIVEN_CALLED = "given_called_random_calling"
    GIVEN_BOTH = "given_called_given_calling"
    LISTED_CALLED = "listed_called_random_calling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A-ASSOCIATE-RJ triplet (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int

    @property
    def is_transient(self) -> bool:
        """Congestion or a limit (2/x/x), or a result that Table 9-21 does not have: never a verdict."""
        return self.result != 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationReply:
    """The answer to one association request."""

    control: Control
    called_ae_title: str
    calling_ae_title: str
    reply: Reply
    rejection: Rejection | None = None
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    max_pdu_bytes: int | None = None
    #: What the answer looks like when it is not DICOM: "http", "ssh", "tls", "ftp", "smtp", "unknown"; else "".
    looks_like: str = ""
    #: For people: how the answer was recognised or what went wrong. Never a peer's text.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationFacts:
    """All control pairs that were tried on one endpoint, in order."""

    port_state: PortState
    over_tls: bool
    replies: tuple[AssociationReply, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextAnswer:
    """What the peer said to one proposed abstract syntax."""

    abstract_syntax: str
    name: str
    #: echo | find | get | move | store | worklist | mpps | commitment | print | control (a made-up SOP class)
    service: str
    #: PS3.8 Table 9-18; None where the peer did not answer this context at all.
    result: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityFacts:
    """What a stranger may negotiate on one association."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ContextAnswer, ...]

    def accepted(self, *services: str) -> tuple[ContextAnswer, ...]:
        """Return the accepted contexts of the services."""
        return tuple(c for c in self.contexts if c.service in services and c.result == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFacts:
    """One counting C-FIND. Matches are counted from the command sets; identifiers are dropped unread."""

    level: str  # STUDY | PATIENT
    information_model: str  # abstract syntax UID
    end: QueryEnd
    final_status: int | None
    matches: int
    #: Sum and number of (0020,1208) Number of Study Related Instances; matches without it do not add to the second.
    instances: int = 0
    matches_with_instances: int = 0
    #: Matches whose identifier could not be walked (malformed): counted, their instances unknown.
    malformed: int = 0
    #: Most elements beyond the requested ones seen in any match: a chatty server. Values were never decoded.
    extra_elements: int = 0
    reached_cap: bool = False  # our own cap (limits.count_matches or count_s)
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureFacts:
    """The counting queries of one endpoint and what they amount to."""

    queries: tuple[QueryFacts, ...]
    patients: Count = UNKNOWN_COUNT
    studies: Count = UNKNOWN_COUNT
    images: Count = UNKNOWN_COUNT

    @property
    def answers_study_query(self) -> bool:
        """A stranger's STUDY query was answered: with matches, or with success and none."""
        return any(
            q.level == "STUDY" and (q.matches > 0 or q.end in (QueryEnd.SUCCESS, QueryEnd.WARNING))
            for q in self.queries
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeFacts:
    """Which patient attributes of one match came back non-empty (clearance level 3): keyword -> value length in bytes."""

    returned: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """One TLS handshake with the port."""

    version: str  # "TLSv1.2"
    cipher: str  # OpenSSL name
    bits: int
    certificate: CertificateFacts | None
    #: verified against the system's store: None = not tried
    chain_trusted: bool | None
    #: True: the peer closed or alerted for want of a client certificate; False: served without; None: not known
    client_certificate_required: bool | None
    accepts_tls_1_0: bool | None = None
    accepts_tls_1_1: bool | None = None
    accepts_tls_1_2: bool | None = None
    accepts_tls_1_3: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFacts:
    """Does the port speak TLS, and does it also speak plain DICOM?"""

    speaks_tls: bool | None
    #: a plain A-ASSOCIATE-RQ got a DICOM answer (accept, reject or abort)
    speaks_plain_dicom: bool | None
    tls: TlsFacts | None = None
    detail: str = ""


Facts = (
    ReachFacts
    | AssociationFacts
    | CapabilityFacts
    | ExposureFacts
    | PartsFacts
    | AttributeFacts
    | TransportFacts
    | TlsDepthFacts
    | WebFacts
    | DicomWebFacts
    | WebHygieneFacts
    | DebuggerFacts
    | DatabaseFacts
    | ShareFacts
    | ListingFacts
    | WebdavFacts
    | FtpFacts
    | Hl7Facts
    | FhirFacts
    | CredentialFacts
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One probe's try on one endpoint: request -> attempt -> facts. A failed question never loses the other answers."""

    probe: str  # association | capabilities | exposure | parts | attributes | transport ...
    endpoint: Endpoint
    outcome: Outcome
    reason: str = ""  # for people; says why there are no facts
    facts: Facts | None = None
    connections: int = 0
    started_at: str = ""  # ISO 8601 UTC
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """Everything that was seen of one address: the input of all checks."""

    address: str
    name: str
    clearance_level: int
    attempts: tuple[Attempt, ...]

    def of(self, probe: str, port: int | None = None) -> tuple[Attempt, ...]:
        """Return the attempts of one probe, of one port or of all."""
        return tuple(
            a for a in self.attempts if a.probe == probe and port in (None, a.endpoint.port)
        )

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that were tried, in order."""
        return tuple(dict.fromkeys(a.endpoint.port for a in self.attempts))
