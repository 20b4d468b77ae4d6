"""The messages of DIMSE, as values: one class per command set (PS3.7 sections 9.3 and 10.3).

Theory of operation: ``dimse`` makes these from bytes and bytes from these; nothing here knows bytes. The fields of a class
are the elements of its message in the Standard's words, and ``ELEMENTS`` knows tag and VR of each name. A field without a
default is mandatory on the wire; an optional element that is absent or empty has the default of its field (``None``, ``""``
or ``()``). ``has_data_set`` is Command Data Set Type (0000,0800), whatever the Standard says about the message: what a peer
really sent. Coded fields that a peer may fill with any number are kept as ``int``.
Import these names from ``doorward.wire.dimse``.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, NamedTuple


class Priority(IntEnum):
    """Priority of a request (PS3.7 E.1, (0000,0700))."""

    MEDIUM = 0x0000
    HIGH = 0x0001
    LOW = 0x0002


# --- shapes that several messages share ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """Every request but C-CANCEL: it can be answered under its ``message_id``."""

    is_request: ClassVar[bool] = True
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    """Every response: whose answer it is, how it went, and what a failure may add (PS3.7 Annex C).

    ``error_comment`` is free text of the peer, at most 64 characters. It may hold patient data: never log or report it.
    """

    is_request: ClassVar[bool] = False
    message_id_being_responded_to: int
    status: int
    has_data_set: bool = False
    affected_sop_class_uid: str = ""
    offending_element: tuple[int, ...] = ()
    error_comment: str = field(default="", repr=False)
    error_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _InstanceResponse(_Response):
    """A response that names the instance it speaks of."""

    affected_sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _AttributesResponse(_InstanceResponse):
    """A response that may list attributes at fault (status 0107, PS3.7 C.4.2)."""

    attribute_identifier_list: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _RetrieveResponse(_Response):
    """C-GET and C-MOVE responses: how far the sub-operations are."""

    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _RequestedInstance(_Request):
    """N-requests about an instance that exists at the performer."""

    requested_sop_class_uid: str
    requested_sop_instance_uid: str


# --- DIMSE-C, PS3.7 section 9.3 ---


@dataclass(frozen=True, slots=True, kw_only=True)
class CStoreRequest(_Request):
    """C-STORE-RQ (PS3.7 section 9.3.1.1)."""

    command_field: ClassVar[int] = 0x0001
    has_data_set: bool = True
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    priority: int = Priority.MEDIUM
    move_originator_ae_title: str = ""
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CStoreResponse(_InstanceResponse):
    """C-STORE-RSP (PS3.7 section 9.3.1.2)."""

    command_field: ClassVar[int] = 0x8001


@dataclass(frozen=True, slots=True, kw_only=True)
class CFindRequest(_Request):
    """C-FIND-RQ (PS3.7 section 9.3.2.1)."""

    command_field: ClassVar[int] = 0x0020
    has_data_set: bool = True
    affected_sop_class_uid: str
    priority: int = Priority.MEDIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class CFindResponse(_Response):
    """C-FIND-RSP (PS3.7 section 9.3.2.2): one match each while pending."""

    command_field: ClassVar[int] = 0x8020


@dataclass(frozen=True, slots=True, kw_only=True)
class CGetRequest(_Request):
    """C-GET-RQ (PS3.7 section 9.3.3.1)."""

    command_field: ClassVar[int] = 0x0010
    has_data_set: bool = True
    affected_sop_class_uid: str
    priority: int = Priority.MEDIUM


@dataclass(frozen=True, slots=True, kw_only=True)
class CGetResponse(_RetrieveResponse):
    """C-GET-RSP (PS3.7 section 9.3.3.2)."""

    command_field: ClassVar[int] = 0x8010


@dataclass(frozen=True, slots=True, kw_only=True)
class CMoveRequest(_Request):
    """C-MOVE-RQ (PS3.7 section 9.3.4.1)."""

    command_field: ClassVar[int] = 0x0021
    has_data_set: bool = True
    affected_sop_class_uid: str
    priority: int = Priority.MEDIUM
    move_destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CMoveResponse(_RetrieveResponse):
    """C-MOVE-RSP (PS3.7 section 9.3.4.2)."""

    command_field: ClassVar[int] = 0x8021


@dataclass(frozen=True, slots=True, kw_only=True)
class CEchoRequest(_Request):
    """C-ECHO-RQ (PS3.7 section 9.3.5.1)."""

    command_field: ClassVar[int] = 0x0030
    has_data_set: bool = False
    affected_sop_class_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CEchoResponse(_Response):
    """C-ECHO-RSP (PS3.7 section 9.3.5.2)."""

    command_field: ClassVar[int] = 0x8030


@dataclass(frozen=True, slots=True, kw_only=True)
class CCancelRequest:
    """C-CANCEL-RQ (PS3.7 sections 9.3.2.3, 9.3.3.3, 9.3.4.3): never answered by itself."""

    command_field: ClassVar[int] = 0x0FFF
    is_request: ClassVar[bool] = True
    message_id_being_responded_to: int
    has_data_set: bool = False


# --- DIMSE-N, PS3.7 section 10.3 ---


@dataclass(frozen=True, slots=True, kw_only=True)
class NEventReportRequest(_Request):
    """N-EVENT-REPORT-RQ (PS3.7 section 10.3.1.1)."""

    command_field: ClassVar[int] = 0x0100
    has_data_set: bool = False
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    event_type_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NEventReportResponse(_InstanceResponse):
    """N-EVENT-REPORT-RSP (PS3.7 section 10.3.1.2)."""

    command_field: ClassVar[int] = 0x8100
    event_type_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NGetRequest(_RequestedInstance):
    """N-GET-RQ (PS3.7 section 10.3.2.1). An empty ``attribute_identifier_list`` asks for all attributes."""

    command_field: ClassVar[int] = 0x0110
    has_data_set: bool = False
    attribute_identifier_list: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NGetResponse(_AttributesResponse):
    """N-GET-RSP (PS3.7 section 10.3.2.2)."""

    command_field: ClassVar[int] = 0x8110


@dataclass(frozen=True, slots=True, kw_only=True)
class NSetRequest(_RequestedInstance):
    """N-SET-RQ (PS3.7 section 10.3.3.1)."""

    command_field: ClassVar[int] = 0x0120
    has_data_set: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NSetResponse(_AttributesResponse):
    """N-SET-RSP (PS3.7 section 10.3.3.2)."""

    command_field: ClassVar[int] = 0x8120


@dataclass(frozen=True, slots=True, kw_only=True)
class NActionRequest(_RequestedInstance):
    """N-ACTION-RQ (PS3.7 section 10.3.4.1)."""

    command_field: ClassVar[int] = 0x0130
    has_data_set: bool = False
    action_type_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NActionResponse(_InstanceResponse):
    """N-ACTION-RSP (PS3.7 section 10.3.4.2)."""

    command_field: ClassVar[int] = 0x8130
    action_type_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NCreateRequest(_Request):
    """N-CREATE-RQ (PS3.7 section 10.3.5.1). Without an instance UID the performer makes one."""

    command_field: ClassVar[int] = 0x0140
    has_data_set: bool = False
    affected_sop_class_uid: str
    affected_sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NCreateResponse(_AttributesResponse):
    """N-CREATE-RSP (PS3.7 section 10.3.5.2)."""

    command_field: ClassVar[int] = 0x8140


@dataclass(frozen=True, slots=True, kw_only=True)
class NDeleteRequest(_RequestedInstance):
    """N-DELETE-RQ (PS3.7 section 10.3.6.1)."""

    command_field: ClassVar[int] = 0x0150
    has_data_set: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NDeleteResponse(_InstanceResponse):
    """N-DELETE-RSP (PS3.7 section 10.3.6.2)."""

    command_field: ClassVar[int] = 0x8150


Request = (
    CStoreRequest
    | CFindRequest
    | CGetRequest
    | CMoveRequest
    | CEchoRequest
    | CCancelRequest
    | NEventReportRequest
    | NGetRequest
    | NSetRequest
    | NActionRequest
    | NCreateRequest
    | NDeleteRequest
)
Response = (
    CStoreResponse
    | CFindResponse
    | CGetResponse
    | CMoveResponse
    | CEchoResponse
    | NEventReportResponse
    | NGetResponse
    | NSetResponse
    | NActionResponse
    | NCreateResponse
    | NDeleteResponse
)
Command = Request | Response

# --- elements: name -> number and VR (PS3.7 Table E.1-1) ---

Value = int | str | tuple[int, ...] | None


class Element(NamedTuple):
    """Where one field travels: element number in group 0000 and value representation."""

    number: int
    vr: str


ELEMENTS: dict[str, Element] = {
    "affected_sop_class_uid": Element(0x0002, "UI"),
    "requested_sop_class_uid": Element(0x0003, "UI"),
    "message_id": Element(0x0110, "US"),
    "message_id_being_responded_to": Element(0x0120, "US"),
    "move_destination": Element(0x0600, "AE"),
    "priority": Element(0x0700, "US"),
    "status": Element(0x0900, "US"),
    "offending_element": Element(0x0901, "AT"),
    "error_comment": Element(0x0902, "LO"),
    "error_id": Element(0x0903, "US"),
    "affected_sop_instance_uid": Element(0x1000, "UI"),
    "requested_sop_instance_uid": Element(0x1001, "UI"),
    "event_type_id": Element(0x1002, "US"),
    "attribute_identifier_list": Element(0x1005, "AT"),
    "action_type_id": Element(0x1008, "US"),
    "number_of_remaining_suboperations": Element(0x1020, "US"),
    "number_of_completed_suboperations": Element(0x1021, "US"),
    "number_of_failed_suboperations": Element(0x1022, "US"),
    "number_of_warning_suboperations": Element(0x1023, "US"),
    "move_originator_ae_title": Element(0x1030, "AE"),
    "move_originator_message_id": Element(0x1031, "US"),
}
