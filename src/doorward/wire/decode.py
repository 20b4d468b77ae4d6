"""From the bytes of one PDU to its value: one function per PDU and per item (PS3.8 9.3, PS3.7 D.3.3).

Theory of operation. ``framing`` has cut the stream and bounded the PDU; here its body is taken apart. What comes out is
immutable and owns its bytes; nothing borrows the caller's buffer after the call, not even through a traceback.

Invariants:

* For any bytes whatever the result is a value or ``PeerProtocolError``; the error names a field of the Standard and
  lengths, never what stood in the field.
* Every count is checked before the next thing is built: items are cut one by one and the first one too many ends it,
  so 16,000 sub-items of four bytes cost as much as ``limits.user_sub_items``.
* What could be read in two ways is refused: two user identities, two contexts with one id, lengths that leave a rest.
* Text is printable ASCII and U+FFFD. A control character of a stranger never reaches a terminal, a log or a report.
* What comes out can be encoded again (``encode`` writes U+FFFD as "?" and leaves unknown items out).

Deliberately not done here: protocol version, application context, titles, whether a context was proposed. Those have
their own answers in the Standard (A-ASSOCIATE-RJ) and belong to ``association`` and ``negotiation``.
"""

import struct
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from doorward.errors import PeerProtocolError
from doorward.limits import Limits
from doorward.wire.pdu import (
    LEAST_MAX_PDU_BYTES,
    Abort,
    AbortReason,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    AsynchronousOperationsWindow,
    CommonExtendedNegotiation,
    ContextResult,
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
    UnknownItem,
    UserIdentity,
    UserInformation,
)

#: Everything that is accepted although it is not what a strict sender writes: name, and why.
TOLERANCES: tuple[tuple[str, str], ...] = (
    ("reserved bytes of any value", 'PS3.8 9.3: "not tested to this value when received"'),
    ("control header bits 2 to 7 of any value", 'PS3.8 E.2: "never checked by the receiver"'),
    ("unknown items", 'PS3.8 9.3.1: "ignored and skipped"; the length is still checked'),
    ("unknown user sub-items", "PS3.8 D.2: not to be refused; kept as type and length"),
    ("user sub-items of the other direction", "PS3.8 D.2: read as unknown ones"),
    ("items in any order", "PS3.8 9.3.1 wants increasing types; senders differ, none is ambiguous"),
    ("UIDs padded with NUL or space", "PS3.8 F.1 forbids it; PS3.5 9.1 pads UIDs in data sets"),
    ("AE titles padded with NUL", "PS3.8 Table 9-11 pads with spaces; C programs copy strings"),
    ("text outside printable ASCII", "Latin-1 AE titles exist; each such byte becomes U+FFFD"),
    ("empty AE titles", "PS3.8 Table 9-11 forbids them; A-ASSOCIATE-RJ is the better answer"),
    ("no maximum length", "PS3.8 D.1 requires it; read as None"),
    ("no implementation class UID", "PS3.7 D.3.3.2 requires it; it carries no right"),
    ("implementation version name above 16 bytes", "PS3.7 Table D.3-3; for people: cut at 16"),
    ("equal role selections or negotiations repeated", "PS3.7 D.3.3: one per SOP class; kept once"),
    ("anything behind a refused context", 'PS3.8 Table 9-18: "its value shall not be tested"'),
    ("an accept without presentation contexts", "PS3.8 9.3.3 wants one; none is accepted"),
    ("bytes after common extended negotiation", "PS3.7 Table D.3-12: kept free for later versions"),
)

_ITEM_HEADER = struct.Struct(">BxH")
_VALUE_HEADER = struct.Struct(">IBB")
_ASSOCIATE_HEAD_BYTES = 68
#: PS3.7 D.3.3: common extended negotiation and user identity 58H only ask, 59H only answers.
_REQUEST_SUB_ITEMS = frozenset({0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58})
_ACCEPT_SUB_ITEMS = frozenset({0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x59})
#: ASCII control characters, for ``str.translate``.
_CONTROLS = dict.fromkeys([*range(0x20), 0x7F], "\ufffd")

_T = TypeVar("_T")
#: One for each SOP class.
_P = TypeVar("_P", RoleSelection, ExtendedNegotiation, CommonExtendedNegotiation)


def decode_pdu(pdu_type: int, body: bytes | memoryview, limits: Limits) -> Pdu:
    """The value of one PDU; ``body`` is everything behind its six header bytes.

    Raises PeerProtocolError, and nothing else, for whatever the peer did wrong.
    """
    content = bytes(body)
    match pdu_type:
        case PduType.ASSOCIATE_RQ:
            return decode_associate_request(content, limits)
        case PduType.ASSOCIATE_AC:
            return decode_associate_accept(content, limits)
        case PduType.ASSOCIATE_RJ:
            return decode_associate_reject(content)
        case PduType.DATA_TF:
            return DataTransfer(values=tuple(decode_values(content, 0, len(content))))
        case PduType.RELEASE_RQ:
            _require_length(content, 4, "PS3.8 Table 9-24")
            return ReleaseRequest()
        case PduType.RELEASE_RP:
            _require_length(content, 4, "PS3.8 Table 9-25")
            return ReleaseReply()
        case PduType.ABORT:
            return decode_abort(content)
    raise PeerProtocolError(
        f"{pdu_type:#04x} is none of the seven types",
        field="PDU-type",
        source="PS3.8 section 9.3.1",
        abort_reason=AbortReason.UNRECOGNIZED_PDU,
    )


def decode_values(buffer: Fragment, start: int, end: int) -> list[DataValue]:
    """The presentation data values of a P-DATA-TF body that lies in ``buffer[start:end]``.

    Fragments are copies of a ``bytes`` object and views of a view. ``end`` is at most ``len(buffer)``.
    There is at least one value.
    Raises PeerProtocolError (PS3.8 Tables 9-22 and 9-23).
    """
    values: list[DataValue] = []
    position = start
    last = end - 6
    unpack = _VALUE_HEADER.unpack_from
    while position <= last:
        length, context_id, control = unpack(buffer, position)
        stop = position + 4 + length
        if length < 2 or stop > end or not context_id & 1:
            break
        # PS3.8 E.2: bits 2 through 7 are "never checked by the receiver"
        values.append((context_id, control & 3, buffer[position + 6 : stop]))
        position = stop
    if position != end or not values:
        raise _bad_value(buffer, position, end)
    return values


def _bad_value(buffer: Fragment, position: int, end: int) -> PeerProtocolError:
    """Why the presentation data value at ``position`` was refused."""
    room = end - position
    if room < 6:
        field = "Presentation-data-value Item"
        return _violation(field, f"{room} bytes, at least 6", "PS3.8 Table 9-22")
    length, context_id, _ = _VALUE_HEADER.unpack_from(buffer, position)
    source = "PS3.8 Table 9-23"
    if not 2 <= length <= room - 4:
        return _violation("Item-length", f"{length}, must be 2 to {room - 4}", source)
    return _violation("Presentation-context-ID", f"{context_id} is not odd", source)


def decode_associate_request(body: bytes, limits: Limits) -> AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 section 9.3.2); raises PeerProtocolError."""
    source = "PS3.8 Table 9-11"
    items = _associate_items(body, limits, source)
    items_rq = _bounded_contexts(items, ItemType.PRESENTATION_CONTEXT_RQ, 1, limits, source)
    contexts = tuple(_proposed_context(content, limits) for content in items_rq)
    _require_distinct([context.id for context in contexts], source)
    user_information = _exactly_one(items, ItemType.USER_INFORMATION, source)
    return AssociateRequest(
        called_ae_title=_text(body[4:20]),
        calling_ae_title=_text(body[20:36]),
        presentation_contexts=contexts,
        user_information=_user_information(user_information, limits, _REQUEST_SUB_ITEMS),
        application_context=_application_context(items, limits, source),
        protocol_version=int.from_bytes(body[:2], "big"),
    )


def decode_associate_accept(body: bytes, limits: Limits) -> AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 section 9.3.3); raises PeerProtocolError."""
    source = "PS3.8 Table 9-17"
    items = _associate_items(body, limits, source)
    items_ac = _bounded_contexts(items, ItemType.PRESENTATION_CONTEXT_AC, 0, limits, source)
    contexts = tuple(_answered_context(content, limits) for content in items_ac)
    _require_distinct([context.id for context in contexts], source)
    user_information = _exactly_one(items, ItemType.USER_INFORMATION, source)
    return AssociateAccept(
        called_ae_title=_text(body[4:20]),
        calling_ae_title=_text(body[20:36]),
        presentation_contexts=contexts,
        user_information=_user_information(user_information, limits, _ACCEPT_SUB_ITEMS),
        application_context=_application_context(items, limits, source),
        protocol_version=int.from_bytes(body[:2], "big"),
    )


def decode_associate_reject(body: bytes) -> AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 section 9.3.4); raises PeerProtocolError."""
    _require_length(body, 4, "PS3.8 Table 9-21")
    return AssociateReject(result=body[1], source=body[2], reason=body[3])


def decode_abort(body: bytes) -> Abort:
    """A-ABORT (PS3.8 section 9.3.8); raises PeerProtocolError."""
    _require_length(body, 4, "PS3.8 Table 9-26")
    return Abort(source=body[2], reason=body[3])


# --- items of the two A-ASSOCIATE PDUs (PS3.8 9.3.2 and 9.3.3) ---


def _associate_items(body: bytes, limits: Limits, source: str) -> dict[int, list[bytes]]:
    """The variable items, by type."""
    _require_within(len(body), _ASSOCIATE_HEAD_BYTES, 0xFFFF_FFFF, "PDU-length", source)
    most = limits.presentation_contexts + limits.user_sub_items
    return _split(body[_ASSOCIATE_HEAD_BYTES:], most, "Variable items", source)


def _application_context(items: dict[int, list[bytes]], limits: Limits, source: str) -> str:
    """Application Context Item, Table 9-12. Whether we know the name is not asked here."""
    content = _exactly_one(items, ItemType.APPLICATION_CONTEXT, source)
    return _uid(content, limits, "Application-context-name", "PS3.8 Table 9-12")


def _bounded_contexts(
    items: dict[int, list[bytes]], item_type: ItemType, least: int, limits: Limits, source: str
) -> list[bytes]:
    most = limits.presentation_contexts
    _require_within(len(items[item_type]), least, most, "Presentation Context Items", source)
    return items[item_type]


def _proposed_context(content: bytes, limits: Limits) -> ProposedContext:
    """Presentation Context Item of a request, Table 9-13."""
    source = "PS3.8 Table 9-13"
    context_id = _context_id(content, source)
    items = _context_items(content, limits, source)
    transfer_syntaxes = items[ItemType.TRANSFER_SYNTAX]
    if not transfer_syntaxes:
        raise _violation("Transfer Syntax Sub-Item", "missing", source)
    abstract_syntax = _exactly_one(items, ItemType.ABSTRACT_SYNTAX, source)
    return ProposedContext(
        id=context_id,
        abstract_syntax=_uid(abstract_syntax, limits, "Abstract-syntax-name", "PS3.8 Table 9-14"),
        transfer_syntaxes=tuple(
            _uid(name, limits, "Transfer-syntax-name", "PS3.8 Table 9-15")
            for name in transfer_syntaxes
        ),
    )


def _answered_context(content: bytes, limits: Limits) -> AnsweredContext:
    """Presentation Context Item of an accept, Table 9-18."""
    source = "PS3.8 Table 9-18"
    context_id = _context_id(content, source)
    result = content[2]
    # "When the Result/Reason field has a value other than acceptance (0), [...] its value shall not be tested"
    if result != ContextResult.ACCEPTANCE:
        return AnsweredContext(id=context_id, result=result)
    items = _context_items(content, limits, source)
    name = _exactly_one(items, ItemType.TRANSFER_SYNTAX, source)
    transfer_syntax = _uid(name, limits, "Transfer-syntax-name", "PS3.8 Table 9-19")
    return AnsweredContext(id=context_id, result=result, transfer_syntax=transfer_syntax)


def _context_id(content: bytes, source: str) -> int:
    """Presentation-context-ID, odd."""
    _require_within(len(content), 4, 0xFFFF, "Item-length", source)
    if not content[0] & 1:
        raise _violation("Presentation-context-ID", f"{content[0]} is not odd", source)
    return content[0]


def _context_items(content: bytes, limits: Limits, source: str) -> dict[int, list[bytes]]:
    """Abstract and transfer syntaxes. What is unknown counts, so that it cannot be many."""
    most = limits.transfer_syntaxes_per_context + 1
    return _split(content[4:], most, "Syntax Sub-Items", source)


def _require_distinct(context_ids: list[int], source: str) -> None:
    if len(set(context_ids)) != len(context_ids):
        raise _violation("Presentation-context-ID", "the same for two contexts", source)


# --- user sub-items (PS3.8 D.1, PS3.7 D.3.3) ---


def _user_information(content: bytes, limits: Limits, known: frozenset[int]) -> UserInformation:
    """User Information Item, PS3.8 Table 9-16; ``known`` are the types of this direction."""
    items = _split(content, limits.user_sub_items, "User-data", "PS3.8 Table 9-16")
    strange = sorted(items.keys() - known)

    def one(item_type: ItemType, decode: Callable[[bytes, Limits], _T]) -> _T | None:
        if item_type not in items or item_type not in known:
            return None
        return decode(_exactly_one(items, item_type, "PS3.7 section D.3.3"), limits)

    def each(item_type: ItemType, decode: Callable[[bytes, Limits], _P]) -> tuple[_P, ...]:
        if item_type not in items or item_type not in known:
            return ()
        return _one_per_sop_class([decode(sub_item, limits) for sub_item in items[item_type]])

    return UserInformation(
        max_pdu_bytes=one(ItemType.MAXIMUM_LENGTH, _maximum_length),
        implementation_class_uid=one(ItemType.IMPLEMENTATION_CLASS_UID, _class_uid) or "",
        implementation_version_name=one(ItemType.IMPLEMENTATION_VERSION_NAME, _version_name) or "",
        asynchronous_operations_window=one(ItemType.ASYNCHRONOUS_OPERATIONS_WINDOW, _window),
        role_selections=each(ItemType.ROLE_SELECTION, _role_selection),
        extended_negotiations=each(ItemType.EXTENDED_NEGOTIATION, _extended_negotiation),
        common_extended_negotiations=each(
            ItemType.COMMON_EXTENDED_NEGOTIATION, _common_extended_negotiation
        ),
        user_identity=one(ItemType.USER_IDENTITY_RQ, _user_identity),
        user_identity_response=one(ItemType.USER_IDENTITY_AC, _user_identity_response),
        unknown=tuple(
            UnknownItem(type=key, length=len(sub_item))
            for key in strange
            for sub_item in items[key]
        ),
    )


def _one_per_sop_class(values: list[_P]) -> tuple[_P, ...]:
    """Without repetitions; two that differ for one SOP class leave open which one counts."""
    by_uid: dict[str, _P] = {}
    for value in values:
        if by_uid.setdefault(value.sop_class_uid, value) != value:
            raise _violation("SOP-class-uid", "two sub-items that differ", "PS3.7 section D.3.3")
    return tuple(by_uid.values())


def _maximum_length(content: bytes, _limits: Limits) -> int:
    """Maximum Length Sub-Item, PS3.8 Table D.1-1; 0 means unlimited."""
    source = "PS3.8 Table D.1-1"
    _require_length(content, 4, source)
    length = int.from_bytes(content, "big")
    if 0 < length < LEAST_MAX_PDU_BYTES:
        raise _violation("Maximum-length-received", f"{length} cannot carry a message", source)
    return length


def _class_uid(content: bytes, limits: Limits) -> str:
    """Implementation Class UID, PS3.7 Table D.3-1; an empty one is as good as none."""
    if not content:
        return ""
    return _uid(content, limits, "Implementation-class-uid", "PS3.7 Table D.3-1")


def _version_name(content: bytes, _limits: Limits) -> str:
    """Implementation Version Name, PS3.7 Table D.3-3: 1 to 16 characters."""
    return _text(content[:16])


def _window(content: bytes, _limits: Limits) -> AsynchronousOperationsWindow:
    """Asynchronous Operations Window, PS3.7 Table D.3-7."""
    _require_length(content, 4, "PS3.7 Table D.3-7")
    return AsynchronousOperationsWindow(
        max_invoked=int.from_bytes(content[:2], "big"),
        max_performed=int.from_bytes(content[2:], "big"),
    )


def _role_selection(content: bytes, limits: Limits) -> RoleSelection:
    """SCP/SCU Role Selection, PS3.7 Table D.3-9."""
    source = "PS3.7 Table D.3-9"
    uid, position = _prefixed(content, 0, "SOP-class-uid", source)
    _require_length(content, position + 2, source)
    return RoleSelection(
        sop_class_uid=_uid(uid, limits, "SOP-class-uid", source),
        scu_role=_flag(content[position], "SCU-role", source),
        scp_role=_flag(content[position + 1], "SCP-role", source),
    )


def _extended_negotiation(content: bytes, limits: Limits) -> ExtendedNegotiation:
    """SOP Class Extended Negotiation, PS3.7 Table D.3-11."""
    source = "PS3.7 Table D.3-11"
    uid, position = _prefixed(content, 0, "SOP-class-uid", source)
    return ExtendedNegotiation(
        sop_class_uid=_uid(uid, limits, "SOP-class-uid", source), information=content[position:]
    )


def _common_extended_negotiation(content: bytes, limits: Limits) -> CommonExtendedNegotiation:
    """SOP Class Common Extended Negotiation, PS3.7 Tables D.3-12 and D.3-13."""
    source = "PS3.7 Table D.3-12"
    sop_class_uid, position = _prefixed(content, 0, "SOP-class-uid", source)
    service_class_uid, position = _prefixed(content, position, "Service-class-uid", source)
    field = "Related-general-sop-class-identification"
    identification, _ = _prefixed(content, position, field, source)
    related: list[str] = []
    position = 0
    while position < len(identification):
        if len(related) == limits.user_sub_items:
            raise _violation(field, f"more than {limits.user_sub_items} UIDs", source)
        uid, position = _prefixed(identification, position, field, "PS3.7 Table D.3-13")
        related.append(_uid(uid, limits, field, "PS3.7 Table D.3-13"))
    return CommonExtendedNegotiation(
        sop_class_uid=_uid(sop_class_uid, limits, "SOP-class-uid", source),
        service_class_uid=_uid(service_class_uid, limits, "Service-class-uid", source),
        related_general_sop_class_uids=tuple(related),
    )


def _user_identity(content: bytes, limits: Limits) -> UserIdentity:
    """User Identity of a request, PS3.7 Table D.3-14."""
    source = "PS3.7 Table D.3-14"
    _require_within(len(content), 6, limits.user_identity_bytes, "Item-length", source)
    primary, position = _prefixed(content, 2, "Primary-field", source)
    secondary, position = _prefixed(content, position, "Secondary-field", source)
    _require_length(content, position, source)
    return UserIdentity(
        type=content[0],
        response_requested=_flag(content[1], "Positive-response-requested", source),
        primary=primary,
        secondary=secondary,
    )


def _user_identity_response(content: bytes, limits: Limits) -> bytes:
    """User Identity of an accept, PS3.7 Table D.3-15: the server's answer, opaque here."""
    source = "PS3.7 Table D.3-15"
    _require_within(len(content), 2, limits.user_identity_bytes, "Item-length", source)
    response, position = _prefixed(content, 0, "Server-response", source)
    _require_length(content, position, source)
    return response


# --- what all items have in common ---


def _split(content: bytes, most: int, field: str, source: str) -> dict[int, list[bytes]]:
    """The contents of the items by type, each list in order; a type that is not there gives an empty list."""
    found: dict[int, list[bytes]] = defaultdict(list)
    position = 0
    for _ in range(most):
        rest = len(content) - position
        if not rest:
            return found
        if rest < 4:
            raise _violation(field, f"{rest} bytes after the last item", source)
        item_type, length = _ITEM_HEADER.unpack_from(content, position)
        if length > rest - 4:
            name = f"Item-length of {item_type:#04x}"
            raise _violation(name, f"{length}, only {rest - 4} bytes are left", source)
        found[item_type].append(content[position + 4 : position + 4 + length])
        position += 4 + length
    if position < len(content):
        raise _violation(field, f"more than {most} items", source)
    return found


def _exactly_one(items: dict[int, list[bytes]], item_type: ItemType, source: str) -> bytes:
    found = items[item_type]
    if len(found) != 1:
        raise _violation(f"Item-type {item_type:#04x}", f"{len(found)} times, must be once", source)
    return found[0]


def _prefixed(content: bytes, position: int, field: str, source: str) -> tuple[bytes, int]:
    """A field behind its two length bytes, and the offset of what follows."""
    start = position + 2
    stop = start + int.from_bytes(content[position:start], "big")
    if len(content) < stop:
        raise _violation(f"{field}-length", "reaches beyond its item", source)
    return content[start:stop], stop


def _uid(raw: bytes, limits: Limits, field: str, source: str) -> str:
    """A UID without its padding; its components are not judged here."""
    _require_within(len(raw), 1, limits.uid_bytes, f"length of {field}", source)
    uid = _text(raw)
    if not uid:
        raise _violation(field, "only padding", source)
    return uid


def _text(raw: bytes) -> str:
    """Printable ASCII without padding; U+FFFD stands for every other byte."""
    text = raw.strip(b" \0").decode("ascii", "replace")
    return text if text.isprintable() else text.translate(_CONTROLS)


def _flag(value: int, field: str, source: str) -> bool:
    if value > 1:
        raise _violation(field, f"{value}, must be 0 or 1", source)
    return value == 1


def _require_length(content: bytes, length: int, source: str) -> None:
    if len(content) != length:
        raise _violation("length", f"{len(content)}, must be {length}", source)


def _require_within(number: int, least: int, most: int, field: str, source: str) -> None:
    if not least <= number <= most:
        raise _violation(field, f"{number}, must be {least} to {most}", source)


def _violation(field: str, message: str, source: str) -> PeerProtocolError:
    return PeerProtocolError(
        message, field=field, source=source, abort_reason=AbortReason.INVALID_PDU_PARAMETER
    )
