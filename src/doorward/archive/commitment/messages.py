"""What a request for storage commitment says, and what its report holds, as values (PS3.4 section J.3)."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from doorward.dicom.attributes import DataSetView, read_attributes
from doorward.dicom.part10 import syntax_of
from doorward.dicom.values import Attribute, Attributes, encode_identifier
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.transfer import Answer
from doorward.wire.command import NActionRequest, NEventReportRequest
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)

_RETRIEVE_AE_TITLE = 0x00080054
_REFERENCED_SOP_CLASS_UID = 0x00081150
_REFERENCED_SOP_INSTANCE_UID = 0x00081155
_TRANSACTION_UID = 0x00081195
_FAILURE_REASON = 0x00081197
_FAILED_SOP_SEQUENCE = 0x00081198
_REFERENCED_SOP_SEQUENCE = 0x00081199
_REQUEST_COMMITMENT = 1  # Action Type ID, PS3.4 Table J.3-1
_ALL_COMMITTED, _SOME_FAILED = 1, 2  # Event Type ID, PS3.4 Table J.3-2
#: Failure Reason (PS3.3 section C.14.1.1).
PROCESSING_FAILURE, NO_SUCH_INSTANCE, CLASS_CONFLICT = 0x0110, 0x0112, 0x0119
#: Answers to N-ACTION (PS3.7 section 10.1.4.1.10).
_NO_SUCH_SOP_CLASS = Answer(0x0118)
_NO_SUCH_SOP_INSTANCE = Answer(0x0112)
_NO_SUCH_ACTION = Answer(0x0123)
_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)


class Reference(NamedTuple):
    """One instance that is asked about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one request says."""

    transaction_uid: str
    references: tuple[Reference, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What has become of the instances of one request, in its order; a failure has its Failure Reason."""

    committed: tuple[Reference, ...] = field(repr=False)
    failed: tuple[tuple[Reference, int], ...] = field(repr=False)
    studies: tuple[str, ...] = field(default=(), repr=False)


def read_request(
    information: bytes, transfer_syntax: str, limits: Limits = DEFAULT_LIMITS
) -> Asked | None:
    """Return what the data set of an N-ACTION asks for, None where it says nothing valid (PS3.4 Table J.3-1).

    Raises LimitExceeded. An instance that is named twice is asked for once.
    """
    wanted = (_TRANSACTION_UID, _REFERENCED_SOP_SEQUENCE)
    try:
        view = read_attributes(information, syntax_of(transfer_syntax), wanted, limits)
    except PeerProtocolError:
        return None
    items = view[_REFERENCED_SOP_SEQUENCE].items if _REFERENCED_SOP_SEQUENCE in view else ()
    if len(items) > limits.commitment_instances:
        bound = limits.commitment_instances
        raise LimitExceeded(limit="commitment_instances", value=bound, seen=len(items))
    pairs = [
        Reference(
            _uid(item, _REFERENCED_SOP_CLASS_UID),
            _uid(item, _REFERENCED_SOP_INSTANCE_UID),
        )
        for item in items
    ]
    transaction_uid = _uid(view, _TRANSACTION_UID)
    if not transaction_uid or not pairs or not all(map(all, pairs)):
        return None
    return Asked(transaction_uid=transaction_uid, references=tuple(dict.fromkeys(pairs)))


def _uid(view: DataSetView, tag: int) -> str:
    values = view[tag].values if tag in view else ()
    return values[0] if len(values) == 1 and _UID.fullmatch(values[0]) else ""


def encode_report(transaction_uid: str, found: Found, ae_title: str, transfer_syntax: str) -> bytes:
    """Return the data set of an N-EVENT-REPORT (PS3.4 Table J.3-2): every instance that was asked for is in it."""
    elements: list[Attribute] = [
        (_RETRIEVE_AE_TITLE, "AE", ae_title),
        (_TRANSACTION_UID, "UI", transaction_uid),
    ]
    if found.failed:
        failed: list[Attributes] = [
            [*_reference(one), (_FAILURE_REASON, "US", reason)] for one, reason in found.failed
        ]
        elements.append((_FAILED_SOP_SEQUENCE, "SQ", failed))
    if found.committed:
        committed = [_reference(one) for one in found.committed]
        elements.append((_REFERENCED_SOP_SEQUENCE, "SQ", committed))
    return encode_identifier(elements, syntax_of(transfer_syntax))


def _reference(one: Reference) -> Attributes:
    return [
        (_REFERENCED_SOP_CLASS_UID, "UI", one.sop_class_uid),
        (_REFERENCED_SOP_INSTANCE_UID, "UI", one.sop_instance_uid),
    ]


def unfit(context: AcceptedContext, request: NActionRequest) -> Answer | None:
    """Return why this is no request for storage commitment (PS3.4 section J.3.2)."""
    asked = {context.abstract_syntax, request.requested_sop_class_uid}
    if asked != {STORAGE_COMMITMENT_PUSH_MODEL}:
        return _NO_SUCH_SOP_CLASS
    if request.requested_sop_instance_uid != STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE:
        return _NO_SUCH_SOP_INSTANCE
    return None if request.action_type_id == _REQUEST_COMMITMENT else _NO_SUCH_ACTION


def notice(message_id: int, found: Found) -> NEventReportRequest:
    """Return the command of a report."""
    return NEventReportRequest(
        message_id=message_id,
        has_data_set=True,
        affected_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
        affected_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        event_type_id=_SOME_FAILED if found.failed else _ALL_COMMITTED,
    )
