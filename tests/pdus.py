"""PDUs for tests: built by field names, drawn by Hypothesis, and compared as far as an encoding can carry them."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from hypothesis import strategies as st

from doorward.errors import PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.wire.decode import decode_pdu
from doorward.wire.encode import encode_pdu
from doorward.wire.pdu import (
    LEAST_MAX_PDU_BYTES,
    Abort,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    AsynchronousOperationsWindow,
    CommonExtendedNegotiation,
    DataTransfer,
    ExtendedNegotiation,
    Pdu,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
VERIFICATION = b"1.2.840.10008.1.1"
IMPLICIT = b"1.2.840.10008.1.2"

# --- bytes, written independently of wire/encode.py ---


def item(item_type: int, *contents: bytes, length: int | None = None, reserved: int = 0) -> bytes:
    """An item; ``length`` lies where it is given."""
    content = b"".join(contents)
    size = len(content) if length is None else length
    return bytes((item_type, reserved)) + size.to_bytes(2, "big") + content


def field(content: bytes, length: int | None = None) -> bytes:
    """A field behind its two length bytes."""
    return (len(content) if length is None else length).to_bytes(2, "big") + content


def proposed(
    context_id: int = 1,
    abstract_syntaxes: Iterable[bytes] = (VERIFICATION,),
    transfer_syntaxes: Iterable[bytes] = (IMPLICIT,),
    *more: bytes,
) -> bytes:
    """Presentation Context Item of a request, Table 9-13."""
    return item(
        0x20,
        bytes((context_id, 0, 0, 0)),
        *(item(0x30, uid) for uid in abstract_syntaxes),
        *(item(0x40, uid) for uid in transfer_syntaxes),
        *more,
    )


def answered(context_id: int = 1, result: int = 0, *sub_items: bytes) -> bytes:
    """Presentation Context Item of an accept, Table 9-18."""
    return item(0x21, bytes((context_id, 0, result, 0)), *sub_items)


def user(*sub_items: bytes) -> bytes:
    """User Information Item, Table 9-16."""
    return item(0x50, *sub_items)


MAXIMUM_LENGTH = item(0x51, (16384).to_bytes(4, "big"))
CLASS_UID = item(0x52, b"2.25.1")


def associate(
    *items: bytes,
    called: bytes = b"ARCHIVE         ",
    calling: bytes = b"DOORWARD        ",
    reserved: int = 0,
) -> bytes:
    """Body of an A-ASSOCIATE-RQ or -AC: what stands behind the six header bytes (Table 9-11)."""
    filler = bytes([reserved])
    return b"\0\1" + filler * 2 + called + calling + filler * 32 + b"".join(items)


def request(*sub_items: bytes) -> bytes:
    """Body of a request with one context and these user sub-items."""
    return associate(item(0x10, APPLICATION_CONTEXT), proposed(), user(*sub_items))


def accept(*sub_items: bytes) -> bytes:
    """Body of an accept with one context and these user sub-items."""
    context = answered(1, 0, item(0x40, IMPLICIT))
    return associate(item(0x10, APPLICATION_CONTEXT), context, user(*sub_items))


# --- values ---

_printable = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\")
ae_titles = st.text(_printable, max_size=16)
uids = st.lists(st.integers(0, 10**11), min_size=2, max_size=5).map(
    lambda components: ".".join(map(str, components))
)
octets = st.integers(0, 255)
words = st.integers(0, 65535)
context_ids = st.integers(0, 127).map(lambda n: 2 * n + 1)
maximum_lengths = st.none() | st.just(0) | st.integers(LEAST_MAX_PDU_BYTES, 2**32 - 1)
answered_contexts = st.builds(
    AnsweredContext, id=context_ids, result=st.just(0), transfer_syntax=uids
) | st.builds(AnsweredContext, id=context_ids, result=st.integers(1, 255))
proposed_contexts = st.builds(
    ProposedContext,
    id=context_ids,
    abstract_syntax=uids,
    transfer_syntaxes=st.lists(uids, min_size=1, max_size=4).map(tuple),
)


def _one_per_sop_class(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=3, unique_by=lambda v: v.sop_class_uid).map(tuple)


_both_ways: dict[str, Any] = {
    "max_pdu_bytes": maximum_lengths,
    "implementation_class_uid": st.just("") | uids,
    "implementation_version_name": ae_titles,
    "asynchronous_operations_window": st.none()
    | st.builds(AsynchronousOperationsWindow, max_invoked=words, max_performed=words),
    "role_selections": _one_per_sop_class(
        st.builds(RoleSelection, sop_class_uid=uids, scu_role=st.booleans(), scp_role=st.booleans())
    ),
    "extended_negotiations": _one_per_sop_class(
        st.builds(ExtendedNegotiation, sop_class_uid=uids, information=st.binary(max_size=9))
    ),
}
request_users = st.builds(
    UserInformation,
    **_both_ways,
    common_extended_negotiations=_one_per_sop_class(
        st.builds(
            CommonExtendedNegotiation,
            sop_class_uid=uids,
            service_class_uid=uids,
            related_general_sop_class_uids=st.lists(uids, max_size=3).map(tuple),
        )
    ),
    user_identity=st.none()
    | st.builds(
        UserIdentity,
        type=octets,
        response_requested=st.booleans(),
        primary=st.binary(max_size=40),
        secondary=st.binary(max_size=40),
    ),
)
accept_users = st.builds(
    UserInformation, **_both_ways, user_identity_response=st.none() | st.binary(max_size=40)
)


def _distinct(contexts: st.SearchStrategy[Any], least: int) -> st.SearchStrategy[Any]:
    return st.lists(contexts, min_size=least, max_size=4, unique_by=lambda c: c.id).map(tuple)


requests = st.builds(
    AssociateRequest,
    called_ae_title=ae_titles,
    calling_ae_title=ae_titles,
    presentation_contexts=_distinct(proposed_contexts, 1),
    user_information=request_users,
    application_context=uids,
    protocol_version=words,
)
accepts = st.builds(
    AssociateAccept,
    called_ae_title=ae_titles,
    calling_ae_title=ae_titles,
    presentation_contexts=_distinct(answered_contexts, 0),
    user_information=accept_users,
    application_context=uids,
    protocol_version=words,
)
data_transfers = st.builds(
    DataTransfer,
    values=st.lists(
        st.tuples(context_ids, st.integers(0, 3), st.binary(max_size=40)), min_size=1, max_size=4
    ).map(tuple),
)
short_pdus: st.SearchStrategy[Pdu] = st.one_of(
    st.builds(AssociateReject, result=octets, source=octets, reason=octets),
    data_transfers,
    st.just(ReleaseRequest()),
    st.just(ReleaseReply()),
    st.builds(Abort, source=octets, reason=octets),
)
pdus: st.SearchStrategy[Pdu] = st.one_of(requests, accepts, short_pdus)


# --- what an encoding carries ---


def as_sent(value: Any) -> Any:
    """The value after it was sent: U+FFFD leaves as "?", unknown items are left out."""
    if isinstance(value, str):
        return value.replace("\ufffd", "?").strip(" ")
    if isinstance(value, tuple):
        return tuple(as_sent(part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: as_sent(getattr(value, f.name)) for f in fields(value)}
        if isinstance(value, UserInformation):
            changed["unknown"] = ()
        return replace(value, **changed)
    return value


TIGHT_LIMITS = replace(
    DEFAULT_LIMITS,
    presentation_contexts=2,
    transfer_syntaxes_per_context=2,
    user_sub_items=4,
    user_identity_bytes=16,
)


def check_decoding(given: bytes) -> bool:
    """No matter what bytes: a Pdu that survives encode and decode (true), or PeerProtocolError (false).

    First byte: PDU type (the low four bits) and which limits apply (the high bit); the rest is the body.
    """
    if not given:
        return False
    limits = TIGHT_LIMITS if given[0] & 0x80 else DEFAULT_LIMITS
    pdu_type = given[0] & 0x0F
    try:
        pdu = decode_pdu(pdu_type, memoryview(given)[1:], limits)
    except PeerProtocolError as error:
        refusal = error
    else:
        _check_that_it_survives(pdu_type, pdu, limits)
        return True
    assert refusal.source.startswith("PS3.")
    assert refusal.field
    assert str(refusal).isprintable()
    return False


def _check_that_it_survives(pdu_type: int, pdu: Pdu, limits: Limits) -> None:
    encoded = encode_pdu(pdu)
    assert encoded[0] == pdu_type
    assert int.from_bytes(encoded[2:6], "big") == len(encoded) - 6
    again = decode_pdu(pdu_type, encoded[6:], limits)
    assert again == as_sent(pdu)
    assert encode_pdu(again) == encoded
