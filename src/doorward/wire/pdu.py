"""The seven PDUs of the DICOM upper layer and their items, as values (PS3.8 section 9.3, PS3.7 Annex D.3).

Theory of operation: ``decode`` makes these from bytes, ``encode`` makes bytes from these, ``association`` moves them
through the state machine. Nothing here knows bytes. Coded fields that a peer may fill with any number are kept as ``int``
(never dropped); the enumerations below name the values the Standard defines.
AE titles and UIDs are text with padding already removed.
"""

from dataclasses import dataclass, field
from enum import IntEnum

#: PS3.7 Annex A.2.1: the one application context name.
DICOM_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


class PduType(IntEnum):
    """First byte of each PDU (PS3.8 Tables 9-11 to 9-26)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class ItemType(IntEnum):
    """Type byte of items and user sub-items (PS3.8 9.3.2, PS3.7 D.3.3)."""

    APPLICATION_CONTEXT = 0x10
    PRESENTATION_CONTEXT_RQ = 0x20
    PRESENTATION_CONTEXT_AC = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ASYNCHRONOUS_OPERATIONS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    EXTENDED_NEGOTIATION = 0x56
    COMMON_EXTENDED_NEGOTIATION = 0x57
    USER_IDENTITY_RQ = 0x58
    USER_IDENTITY_AC = 0x59


class ContextResult(IntEnum):
    """Result/Reason of one presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class RejectResult(IntEnum):
    """Result of A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectSource(IntEnum):
    """Source of A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    SERVICE_USER = 1
    SERVICE_PROVIDER_ACSE = 2
    SERVICE_PROVIDER_PRESENTATION = 3


class AbortSource(IntEnum):
    """Source of A-ABORT (PS3.8 Table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Reason/Diag. of A-ABORT by the service provider (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER = 6


class IdentityType(IntEnum):
    """User-Identity-Type (PS3.7 Table D.3-14)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedContext:
    """Presentation Context Item of A-ASSOCIATE-RQ (PS3.8 9.3.2.2). ``id`` is odd, 1 to 255."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredContext:
    """Presentation Context Item of A-ASSOCIATE-AC (PS3.8 9.3.3.2).

    ``transfer_syntax`` is meaningful only where ``result`` is ACCEPTANCE; it is "" where the peer left it out.
    """

    id: int
    result: int
    transfer_syntax: str = ""

    @property
    def is_accepted(self) -> bool:
        """The acceptor agreed to this context."""
        return self.result == ContextResult.ACCEPTANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSelection:
    """SCP/SCU Role Selection (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu_role: bool
    scp_role: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedNegotiation:
    """SOP Class Extended Negotiation (PS3.7 D.3.3.5); the information is opaque here."""

    sop_class_uid: str
    information: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonExtendedNegotiation:
    """SOP Class Common Extended Negotiation (PS3.7 D.3.3.6); request only."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AsynchronousOperationsWindow:
    """Asynchronous Operations Window (PS3.7 D.3.3.3); 0 means unlimited."""

    max_invoked: int
    max_performed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIdentity:
    """User Identity of A-ASSOCIATE-RQ (PS3.7 D.3.3.7.1). Secrets: never printed."""

    type: int
    response_requested: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownItem:
    """A sub-item this project does not know: kept by type and length, its bytes are not kept."""

    type: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInformation:
    """User Information Item (PS3.8 9.3.2.3, PS3.7 D.3.3).

    ``max_pdu_bytes`` 0 means that the sender sets no limit (PS3.8 D.1.1); None that it left the item out.
    ``user_identity`` appears in requests, ``user_identity_response`` in accepts.
    """

    max_pdu_bytes: int | None
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_operations_window: AsynchronousOperationsWindow | None = None
    role_selections: tuple[RoleSelection, ...] = ()
    extended_negotiations: tuple[ExtendedNegotiation, ...] = ()
    common_extended_negotiations: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = field(default=None, repr=False)
    unknown: tuple[UnknownItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 section 9.3.2)."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    application_context: str = DICOM_APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 section 9.3.3). The titles are an echo of the request and prove nothing."""

    called_ae_title: str
    calling_ae_title: str
    presentation_contexts: tuple[AnsweredContext, ...]
    user_information: UserInformation
    application_context: str = DICOM_APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 section 9.3.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReply:
    """A-RELEASE-RP (PS3.8 section 9.3.7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """A-ABORT (PS3.8 section 9.3.8)."""

    source: int
    reason: int


#: A piece of a command set or data set. A view lies in a buffer that is zeroed and used again: it holds until the
#: association's next ``receive`` (who keeps it copies it).
Fragment = bytes | memoryview

#: One presentation data value: (context id, message control header, fragment). A bare tuple because a busy
#: association makes hundreds of thousands a second. Control header: bit 0 command, bit 1 last (PS3.8 E.2).
DataValue = tuple[int, int, Fragment]

IS_COMMAND = 0x01
IS_LAST = 0x02

#: The least maximum length that can carry a message: item length (4), context id (1), message control header (1) and
#: one fragment, which "shall consist of an even number of bytes" (PS3.8 Table 9-23, E.1).
LEAST_MAX_PDU_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTransfer:
    """P-DATA-TF (PS3.8 section 9.3.5)."""

    values: tuple[DataValue, ...]


Pdu = (
    AssociateRequest
    | AssociateAccept
    | AssociateReject
    | DataTransfer
    | ReleaseRequest
    | ReleaseReply
    | Abort
)
