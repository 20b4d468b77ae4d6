"""From a PDU value to its bytes: one function per PDU and per item (PS3.8 9.3, PS3.7 D.3.3).

Theory of operation. The opposite of ``decode``: values in, whole PDUs out, header included. What we send is strict even
where what we accept is not: reserved bytes are zero, items stand in increasing order of their types (PS3.8 9.3.1), UIDs
carry no padding (F.1), fragments are even.

A value that has no encoding raises ``LocalProtocolError``: that is our own mistake, never the peer's. For this reason
U+FFFD, which ``decode`` writes for a byte outside printable ASCII, is sent as "?": an acceptor that echoes a strange AE
title must not fail by it. Unknown items are left out; their bytes were not kept.
"""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import assert_never

from doorward.errors import LocalProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.pdu import (
    IS_COMMAND,
    IS_LAST,
    LEAST_MAX_PDU_BYTES,
    Abort,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    AsynchronousOperationsWindow,
    CommonExtendedNegotiation,
    DataTransfer,
    DataValue,
    ExtendedNegotiation,
    Fragment,
    ItemType,
    Pdu,
    PduType,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

_ITEM_HEADER = struct.Struct(">BxH")
_PDU_HEADER = struct.Struct(">BxI")
_VALUE_HEADER = struct.Struct(">IBB")
#: PDU header and the header of its only presentation data value.
_SINGLE_VALUE_HEADER = struct.Struct(">HIIBB")
#: PDU-type and the reserved byte as one number; an IntEnum costs a tenth of a microsecond in each call.
_DATA_TF = PduType.DATA_TF << 8
_AE_TITLE_BYTES = 16
_VERSION_NAME_BYTES = 16
_UID_BYTES = 64
#: Implicit VR Little Endian. A refused context needs a transfer syntax that nobody reads (PS3.8 Table 9-18), and there
#: are requestors that do not look at the result before they read it.
_INSIGNIFICANT_TRANSFER_SYNTAX = "1.2.840.10008.1.2"


def encode_pdu(pdu: Pdu) -> bytes:
    """The whole PDU, header included; raises LocalProtocolError for what has no encoding."""
    match pdu:
        case AssociateRequest():
            return encode_associate_request(pdu)
        case AssociateAccept():
            return encode_associate_accept(pdu)
        case AssociateReject():
            # PS3.8 Table 9-21: reserved, result, source, reason
            codes = (0, pdu.result, pdu.source, pdu.reason)
            return _short_pdu(PduType.ASSOCIATE_RJ, codes)
        case DataTransfer():
            return encode_values(pdu.values)
        case ReleaseRequest():
            return _short_pdu(PduType.RELEASE_RQ, (0, 0, 0, 0))
        case ReleaseReply():
            return _short_pdu(PduType.RELEASE_RP, (0, 0, 0, 0))
        case Abort():
            # PS3.8 Table 9-26: two reserved bytes, source, reason
            return _short_pdu(PduType.ABORT, (0, 0, pdu.source, pdu.reason))
    assert_never(pdu)


def encode_data_values(
    context_id: int,
    is_command: bool,
    data: bytes | bytearray | memoryview,
    max_pdu_bytes: int,
    *,
    is_last: bool = True,
) -> list[bytes]:
    """Cut a command set or data set into whole P-DATA-TF PDUs of one value each (PS3.8 E.1).

    ``max_pdu_bytes`` is what the peer announced: the most that each PDU-length field may say, 0 for no limit (then
    ours applies). ``is_last`` marks the last PDU as the end of the message; without it and without data there is
    nothing to send. ``data`` is of single bytes. Raises LocalProtocolError.
    """
    if not context_id & 1 or not 0 < context_id < 256:
        raise _unencodable("Presentation-context-ID", f"{context_id} is not odd, 1 to 255")
    size = len(data)
    most = max_pdu_bytes or DEFAULT_LIMITS.max_pdu_bytes
    control = (IS_COMMAND if is_command else 0) | (IS_LAST if is_last else 0)
    if size + 6 <= most and (size or is_last):
        head = _SINGLE_VALUE_HEADER.pack(_DATA_TF, size + 6, size + 2, context_id, control)
        return [head + data]
    return _fragments(context_id, control, data, most)


def encode_data_parts(
    context_id: int, data: Fragment, max_pdu_bytes: int, *, is_last: bool
) -> list[Fragment]:
    """Cut a piece of a data set as ``encode_data_values``, into headers and views of ``data``: without a copy of it.

    The views hold ``data``; what is bytes stays as it is. Raises LocalProtocolError.
    """
    if not context_id & 1 or not 0 < context_id < 256:
        raise _unencodable("Presentation-context-ID", f"{context_id} is not odd, 1 to 255")
    most = max_pdu_bytes or DEFAULT_LIMITS.max_pdu_bytes
    control = IS_LAST if is_last else 0
    return [part for pair in _cut(context_id, control, data, most) for part in pair]


def _fragments(
    context_id: int, control: int, data: bytes | bytearray | memoryview, most: int
) -> list[bytes]:
    """The slow half of ``encode_data_values``: more than one PDU, or none."""
    return [head + fragment for head, fragment in _cut(context_id, control, data, most)]


def _cut(
    context_id: int, control: int, data: bytes | bytearray | memoryview, most: int
) -> Iterator[tuple[bytes, memoryview]]:
    if most < LEAST_MAX_PDU_BYTES:
        raise _unencodable("max_pdu_bytes", f"{most} cannot carry a fragment")
    # "Each fragment of a message shall consist of an even number of bytes" (PS3.8 E.1); the field has 32 bits.
    step = (min(most, 0xFFFF_FFFF) - 6) & ~1
    view = memoryview(data)
    for start in range(0, len(view), step):
        fragment = view[start : start + step]
        size = len(fragment)
        mark = control if start + size == len(view) else control & ~IS_LAST
        head = _SINGLE_VALUE_HEADER.pack(_DATA_TF, size + 6, size + 2, context_id, mark)
        yield head, fragment


def encode_values(values: Iterable[DataValue]) -> bytes:
    """One whole P-DATA-TF with the values as they are (PS3.8 section 9.3.5).

    Raises LocalProtocolError.
    """
    parts: list[Fragment] = []
    for context_id, control, fragment in values:
        _require_context_id(context_id)
        if not 0 <= control <= IS_COMMAND | IS_LAST:
            raise _unencodable("Message Control Header", f"{control} has other bits than 0 and 1")
        parts.append(_VALUE_HEADER.pack(len(fragment) + 2, context_id, control))
        parts.append(fragment)
    if not parts:
        raise _unencodable("Presentation-data-value Item", "there must be at least one")
    return _pdu(PduType.DATA_TF, b"".join(parts))


def encode_associate_request(pdu: AssociateRequest) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 section 9.3.2); raises LocalProtocolError."""
    if not pdu.presentation_contexts:
        raise _unencodable("Presentation Context Items", "there must be at least one")
    return _associate(
        PduType.ASSOCIATE_RQ,
        pdu,
        [_proposed_context(context) for context in pdu.presentation_contexts],
    )


def encode_associate_accept(pdu: AssociateAccept) -> bytes:
    """A-ASSOCIATE-AC (PS3.8 section 9.3.3); raises LocalProtocolError."""
    return _associate(
        PduType.ASSOCIATE_AC,
        pdu,
        [_answered_context(context) for context in pdu.presentation_contexts],
    )


# --- items of the two A-ASSOCIATE PDUs (PS3.8 9.3.2 and 9.3.3) ---


def _associate(
    pdu_type: PduType, pdu: AssociateRequest | AssociateAccept, contexts: list[bytes]
) -> bytes:
    """What request and accept have in common: Tables 9-11 and 9-17."""
    context_ids = [context.id for context in pdu.presentation_contexts]
    if len(set(context_ids)) != len(context_ids):
        raise _unencodable("Presentation-context-ID", "the same for two contexts")
    is_request = pdu_type is PduType.ASSOCIATE_RQ
    parts = [
        _unsigned(pdu.protocol_version, 2, "Protocol-version"),
        bytes(2),
        _ascii(pdu.called_ae_title, _AE_TITLE_BYTES, "Called-AE-title").ljust(_AE_TITLE_BYTES),
        _ascii(pdu.calling_ae_title, _AE_TITLE_BYTES, "Calling-AE-title").ljust(_AE_TITLE_BYTES),
        bytes(32),
        _item(
            ItemType.APPLICATION_CONTEXT, _uid(pdu.application_context, "Application-context-name")
        ),
        *contexts,
        _user_information(pdu.user_information, is_request=is_request),
    ]
    return _pdu(pdu_type, b"".join(parts))


@lru_cache(maxsize=256)  # an auditor proposes the same few, thousands of times
def _proposed_context(context: ProposedContext) -> bytes:
    """Presentation Context Item of a request, Table 9-13."""
    _require_context_id(context.id)
    if not context.transfer_syntaxes:
        raise _unencodable("Transfer Syntax Sub-Item", "there must be at least one")
    return _item(
        ItemType.PRESENTATION_CONTEXT_RQ,
        bytes((context.id, 0, 0, 0)),
        _item(ItemType.ABSTRACT_SYNTAX, _uid(context.abstract_syntax, "Abstract-syntax-name")),
        *(
            _item(ItemType.TRANSFER_SYNTAX, _uid(uid, "Transfer-syntax-name"))
            for uid in context.transfer_syntaxes
        ),
    )


def _answered_context(context: AnsweredContext) -> bytes:
    """Presentation Context Item of an accept, Table 9-18."""
    _require_context_id(context.id)
    uid = context.transfer_syntax
    if not uid and not context.is_accepted:
        uid = _INSIGNIFICANT_TRANSFER_SYNTAX
    return _item(
        ItemType.PRESENTATION_CONTEXT_AC,
        bytes((context.id, 0)),
        _unsigned(context.result, 1, "Result/Reason"),
        bytes(1),
        _item(ItemType.TRANSFER_SYNTAX, _uid(uid, "Transfer-syntax-name")),
    )


# --- user sub-items (PS3.8 D.1, PS3.7 D.3.3) ---


def _user_information(user: UserInformation, *, is_request: bool) -> bytes:
    """User Information Item, PS3.8 Tables 9-16 and 9-20, sub-items in the order of their types."""
    parts: list[bytes] = []
    if user.max_pdu_bytes is not None:
        parts.append(_maximum_length(user.max_pdu_bytes))
    if user.implementation_class_uid:
        uid = _uid(user.implementation_class_uid, "Implementation-class-uid")
        parts.append(_item(ItemType.IMPLEMENTATION_CLASS_UID, uid))
    if user.asynchronous_operations_window is not None:
        parts.append(_asynchronous_operations_window(user.asynchronous_operations_window))
    parts.extend(_role_selection(role) for role in user.role_selections)
    if user.implementation_version_name:
        field = "Implementation-version-name"
        name = _ascii(user.implementation_version_name, _VERSION_NAME_BYTES, field)
        parts.append(_item(ItemType.IMPLEMENTATION_VERSION_NAME, name))
    parts.extend(_extended_negotiation(extended) for extended in user.extended_negotiations)
    if is_request:
        parts.extend(_request_only(user))
    else:
        parts.extend(_accept_only(user))
    return _item(ItemType.USER_INFORMATION, *parts)


def _request_only(user: UserInformation) -> list[bytes]:
    """The sub-items 57H and 58H, which an accept does not know."""
    if user.user_identity_response is not None:
        raise _unencodable("User Identity 59H", "belongs to A-ASSOCIATE-AC")
    parts = [_common_extended_negotiation(c) for c in user.common_extended_negotiations]
    if user.user_identity is not None:
        parts.append(_user_identity(user.user_identity))
    return parts


def _accept_only(user: UserInformation) -> list[bytes]:
    """The sub-item 59H, which a request does not know."""
    if user.common_extended_negotiations:
        raise _unencodable("SOP Class Common Extended Negotiation", "belongs to A-ASSOCIATE-RQ")
    if user.user_identity is not None:
        raise _unencodable("User Identity 58H", "belongs to A-ASSOCIATE-RQ")
    if user.user_identity_response is None:
        return []
    response = _prefixed(user.user_identity_response, "Server-response")
    return [_item(ItemType.USER_IDENTITY_AC, response)]


def _maximum_length(max_pdu_bytes: int) -> bytes:
    """Maximum Length Sub-Item, PS3.8 Table D.1-1."""
    if 0 < max_pdu_bytes < LEAST_MAX_PDU_BYTES:
        raise _unencodable("Maximum-length-received", f"{max_pdu_bytes} cannot carry a message")
    return _item(ItemType.MAXIMUM_LENGTH, _unsigned(max_pdu_bytes, 4, "Maximum-length-received"))


def _asynchronous_operations_window(window: AsynchronousOperationsWindow) -> bytes:
    """Asynchronous Operations Window, PS3.7 Table D.3-7."""
    return _item(
        ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW,
        _unsigned(window.max_invoked, 2, "Maximum-number-operations-invoked"),
        _unsigned(window.max_performed, 2, "Maximum-number-operations-performed"),
    )


def _role_selection(role: RoleSelection) -> bytes:
    """SCP/SCU Role Selection, PS3.7 Table D.3-9."""
    uid = _uid(role.sop_class_uid, "SOP-class-uid")
    return _item(
        ItemType.ROLE_SELECTION,
        _prefixed(uid, "SOP-class-uid"),
        bytes((role.scu_role, role.scp_role)),
    )


def _extended_negotiation(extended: ExtendedNegotiation) -> bytes:
    """SOP Class Extended Negotiation, PS3.7 Table D.3-11."""
    uid = _uid(extended.sop_class_uid, "SOP-class-uid")
    return _item(
        ItemType.EXTENDED_NEGOTIATION, _prefixed(uid, "SOP-class-uid"), extended.information
    )


def _common_extended_negotiation(common: CommonExtendedNegotiation) -> bytes:
    """SOP Class Common Extended Negotiation, PS3.7 Tables D.3-12 and D.3-13; version 0."""
    field = "Related-general-sop-class-identification"
    related = b"".join(
        _prefixed(_uid(uid, field), field) for uid in common.related_general_sop_class_uids
    )
    return _item(
        ItemType.COMMON_EXTENDED_NEGOTIATION,
        _prefixed(_uid(common.sop_class_uid, "SOP-class-uid"), "SOP-class-uid"),
        _prefixed(_uid(common.service_class_uid, "Service-class-uid"), "Service-class-uid"),
        _prefixed(related, field),
    )


def _user_identity(identity: UserIdentity) -> bytes:
    """User Identity of a request, PS3.7 Table D.3-14."""
    return _item(
        ItemType.USER_IDENTITY_RQ,
        _unsigned(identity.type, 1, "User-Identity-Type"),
        bytes((identity.response_requested,)),
        _prefixed(identity.primary, "Primary-field"),
        _prefixed(identity.secondary, "Secondary-field"),
    )


# --- what all PDUs and items have in common ---


def _pdu(pdu_type: PduType, body: bytes) -> bytes:
    return _PDU_HEADER.pack(pdu_type, len(body)) + body


def _short_pdu(pdu_type: PduType, codes: Iterable[int]) -> bytes:
    """A PDU whose body is four bytes."""
    return _pdu(pdu_type, b"".join(_unsigned(code, 1, pdu_type.name) for code in codes))


def _item(item_type: ItemType, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) > 0xFFFF:
        raise _unencodable(f"Item-length of {item_type:#04x}", f"{len(content)} exceeds 16 bits")
    return _ITEM_HEADER.pack(item_type, len(content)) + content


def _prefixed(content: bytes, field: str) -> bytes:
    """A field behind its two length bytes."""
    return _unsigned(len(content), 2, f"{field}-length") + content


def _unsigned(value: int, size: int, field: str) -> bytes:
    if not 0 <= value < 1 << 8 * size:
        raise _unencodable(field, f"{value} does not fit into {size} bytes")
    return value.to_bytes(size, "big")


def _uid(uid: str, field: str) -> bytes:
    """A UID without padding, 1 to 64 bytes (PS3.8 F.1)."""
    if not uid:
        raise _unencodable(field, "empty")
    return _ascii(uid, _UID_BYTES, field)


def _ascii(text: str, at_most: int, field: str) -> bytes:
    """Printable ASCII; U+FFFD, which ``decode`` writes, leaves as "?"."""
    text = text.replace("\ufffd", "?")
    if len(text) > at_most:
        raise _unencodable(field, f"{len(text)} characters, must be at most {at_most}")
    if not (text.isascii() and text.isprintable()):
        raise _unencodable(field, "has characters outside printable ASCII")
    return text.encode("ascii")


def _require_context_id(context_id: int) -> None:
    if not context_id & 1 or not 0 < context_id < 256:
        raise _unencodable("Presentation-context-ID", f"{context_id} is not odd, 1 to 255")


def _unencodable(field: str, message: str) -> LocalProtocolError:
    return LocalProtocolError(f"{field}: {message}")
