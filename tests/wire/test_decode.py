"""What a stranger may send, and what it becomes: PS3.8 section 9.3, PS3.7 Annex D.3.3."""

import struct
import timeit
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doorward.errors import PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.decode import TOLERANCES, decode_pdu, decode_values
from doorward.wire.encode import encode_pdu
from doorward.wire.pdu import (
    Abort,
    AbortReason,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    AsynchronousOperationsWindow,
    CommonExtendedNegotiation,
    DataTransfer,
    ExtendedNegotiation,
    PduType,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
    RoleSelection,
    UnknownItem,
    UserIdentity,
    UserInformation,
)
from pdus import (
    APPLICATION_CONTEXT,
    CLASS_UID,
    IMPLICIT,
    MAXIMUM_LENGTH,
    VERIFICATION,
    accept,
    answered,
    associate,
    check_decoding,
    field,
    item,
    pdus,
    proposed,
    request,
    user,
)

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "decode"
CONTEXT_NAME = item(0x10, APPLICATION_CONTEXT)
MPPS = b"1.2.840.10008.3.1.2.3.3"

#: What echoscu 3.6.7 sends, field by field.
ECHOSCU_REQUEST = bytes.fromhex(
    "0001 0000"  # Protocol-version, reserved
    "41524348495645202020202020202020"  # Called-AE-title "ARCHIVE"
    "444f4f52544553542020202020202020"  # Calling-AE-title "DOORTEST"
    + "00"
    * 32
    + "1000 0015 312e322e3834302e31303030382e332e312e312e31"  # Application Context Item
    "2000 002e 01 00 ff 00"  # Presentation Context Item, the third byte is reserved
    "3000 0011 312e322e3834302e31303030382e312e31"  # Abstract Syntax Sub-Item
    "4000 0011 312e322e3834302e31303030382e312e32"  # Transfer Syntax Sub-Item
    "5000 003a"  # User Information Item
    "5100 0004 00004000"  # Maximum Length
    "5200 001b 312e322e3237362e302e373233303031302e332e302e332e362e37"  # Implementation Class UID
    "5500 000f 4f464649535f44434d544b5f333637"  # Implementation Version Name
)
#: What storescp 3.6.7 answered to it.
STORESCP_ACCEPT = bytes.fromhex(
    "0001 0000"
    "41524348495645202020202020202020"
    "444f4f52544553542020202020202020"
    + "00"
    * 32
    + "1000 0015 312e322e3834302e31303030382e332e312e312e31"
    "2100 0019 01 00 00 00"  # Presentation-context-ID, reserved, Result/Reason, reserved
    "4000 0011 312e322e3834302e31303030382e312e32"
    "5000 003a"
    "5100 0004 00004000"
    "5200 001b 312e322e3237362e302e373233303031302e332e302e332e362e37"
    "5500 000f 4f464649535f44434d544b5f333637"
)
DCMTK_USER_INFORMATION = UserInformation(
    max_pdu_bytes=16384,
    implementation_class_uid="1.2.276.0.7230010.3.0.3.6.7",
    implementation_version_name="OFFIS_DCMTK_367",
)


def decode(pdu_type, body, limits=DEFAULT_LIMITS):
    return decode_pdu(pdu_type, body, limits)


def decode_request(*sub_items):
    """The user information of a request with these sub-items."""
    return decode(PduType.ASSOCIATE_RQ, request(*sub_items)).user_information


def decode_accept(*sub_items):
    return decode(PduType.ASSOCIATE_AC, accept(*sub_items)).user_information


def violation(pdu_type, body, limits=DEFAULT_LIMITS):
    """The error of a body that is against the Standard."""
    with pytest.raises(PeerProtocolError) as caught:
        decode(pdu_type, body, limits)
    return caught.value


# --- the seven PDUs ---


def test_request_of_echoscu_is_read_field_by_field():
    assert decode(PduType.ASSOCIATE_RQ, ECHOSCU_REQUEST) == AssociateRequest(
        called_ae_title="ARCHIVE",
        calling_ae_title="DOORTEST",
        presentation_contexts=(
            ProposedContext(
                id=1, abstract_syntax="1.2.840.10008.1.1", transfer_syntaxes=("1.2.840.10008.1.2",)
            ),
        ),
        user_information=DCMTK_USER_INFORMATION,
        application_context="1.2.840.10008.3.1.1.1",
        protocol_version=1,
    )


def test_accept_of_storescp_is_read_field_by_field():
    assert decode(PduType.ASSOCIATE_AC, memoryview(STORESCP_ACCEPT)) == AssociateAccept(
        called_ae_title="ARCHIVE",
        calling_ae_title="DOORTEST",
        presentation_contexts=(
            AnsweredContext(id=1, result=0, transfer_syntax="1.2.840.10008.1.2"),
        ),
        user_information=DCMTK_USER_INFORMATION,
    )


@pytest.mark.parametrize(
    ("pdu_type", "body", "pdu"),
    (
        (3, "00 01 02 07", AssociateReject(result=1, source=2, reason=7)),
        (3, "ff fe fd fc", AssociateReject(result=254, source=253, reason=252)),
        (5, "00 00 00 00", ReleaseRequest()),
        (6, "00 00 00 00", ReleaseReply()),
        (7, "00 00 02 06", Abort(source=2, reason=6)),
        (4, "00000004 01 03 abcd", DataTransfer(values=((1, 3, b"\xab\xcd"),))),
        (4, "00000002 05 02", DataTransfer(values=((5, 2, b""),))),
    ),
)
def test_short_pdu_is_read(pdu_type, body, pdu):
    assert decode(pdu_type, bytes.fromhex(body)) == pdu


@pytest.mark.parametrize("pdu_type", (3, 5, 6, 7))
@pytest.mark.parametrize("length", (0, 3, 5))
def test_short_pdu_of_another_length_is_refused(pdu_type, length):
    error = violation(pdu_type, bytes(length))
    assert error.field == "length"
    assert error.abort_reason == AbortReason.INVALID_PDU_PARAMETER


@pytest.mark.parametrize("pdu_type", (0, 8, 0x47, 255))
def test_type_that_is_no_pdu_is_unrecognized(pdu_type):
    error = violation(pdu_type, b"T / HTTP/1.1")
    assert error.abort_reason == AbortReason.UNRECOGNIZED_PDU
    assert error.field == "PDU-type"


# --- presentation data values ---


def test_values_between_two_offsets_are_cut():
    buffer = bytes.fromhex("040000000010 00000003 0101 aa 00000003 ff02 bb 0400")
    values = decode_values(buffer, 6, 20)
    assert values == [(1, 1, b"\xaa"), (255, 2, b"\xbb")]
    assert all(type(fragment) is bytes for _, _, fragment in values)


def test_fragments_of_a_borrowed_buffer_are_borrowed_too():
    """Nothing is copied, so what is zeroed in the buffer is gone (promise 2)."""
    buffer = bytearray.fromhex("00000003 0101 aa 00000003 ff02 bb")
    values = decode_values(memoryview(buffer), 0, 14)
    assert values == [(1, 1, b"\xaa"), (255, 2, b"\xbb")]
    buffer[:] = bytes(len(buffer))
    assert values == [(1, 1, b"\0"), (255, 2, b"\0")]


def test_reserved_bits_of_the_control_header_are_dropped():
    assert decode_values(bytes.fromhex("00000002 01 ff"), 0, 6) == [(1, 3, b"")]


@pytest.mark.parametrize(
    ("body", "refused"),
    (
        ("", "Presentation-data-value Item"),
        ("00 00 00 02 01", "Presentation-data-value Item"),
        ("00000002 0103 00", "Presentation-data-value Item"),
        ("00000000 0103", "Item-length"),
        ("00000001 0103", "Item-length"),
        ("00000003 0103", "Item-length"),
        ("ffffffff 0103 aabb", "Item-length"),
        ("00000002 0003", "Presentation-context-ID"),
        ("00000002 0103 00000002 fe03", "Presentation-context-ID"),
    ),
)
def test_value_against_table_9_23_is_refused(body, refused):
    error = violation(PduType.DATA_TF, bytes.fromhex(body))
    assert error.field == refused
    assert error.source in ("PS3.8 Table 9-22", "PS3.8 Table 9-23")


def test_a_refused_value_does_not_pin_the_buffer():
    """A view in a traceback would forbid the owner to shrink its bytearray."""
    buffer = bytearray.fromhex("00000004 0103 aabb 00000001 0103")
    with pytest.raises(PeerProtocolError) as caught:
        decode_values(buffer, 0, len(buffer))
    del buffer[:8]
    assert len(buffer) == 6
    assert caught.value.field == "Item-length"


# --- A-ASSOCIATE: the items ---


@pytest.mark.parametrize("length", (0, 4, 67))
def test_associate_shorter_than_its_fixed_fields_is_refused(length):
    assert violation(PduType.ASSOCIATE_RQ, bytes(length)).field == "PDU-length"


@pytest.mark.parametrize(
    ("items", "refused"),
    (
        # how often
        ((), "Presentation Context Items"),
        ((CONTEXT_NAME, user()), "Presentation Context Items"),
        ((proposed(), user()), "Item-type 0x10"),
        ((CONTEXT_NAME, CONTEXT_NAME, proposed(), user()), "Item-type 0x10"),
        ((CONTEXT_NAME, proposed()), "Item-type 0x50"),
        ((CONTEXT_NAME, proposed(), user(), user()), "Item-type 0x50"),
        # lengths inside their parent
        ((CONTEXT_NAME, proposed(), user(), b"\x50"), "Variable items"),
        ((item(0x10, b"1.2", length=65535),), "Item-length of 0x10"),
        ((CONTEXT_NAME, item(0x20, b"\1\0\0"), user()), "Item-length"),
        ((CONTEXT_NAME, item(0x20, b""), user()), "Item-length"),
        (
            (
                CONTEXT_NAME,
                proposed(1, (VERIFICATION,), (), item(0x40, IMPLICIT, length=18)),
                user(),
            ),
            "Item-length of 0x40",
        ),
        (
            (CONTEXT_NAME, proposed(1, (VERIFICATION,), (IMPLICIT,), b"@@@"), user()),
            "Syntax Sub-Items",
        ),
        # identifiers
        ((CONTEXT_NAME, proposed(0), user()), "Presentation-context-ID"),
        ((CONTEXT_NAME, proposed(2), user()), "Presentation-context-ID"),
        ((CONTEXT_NAME, proposed(3), proposed(3), user()), "Presentation-context-ID"),
        # names
        ((item(0x10), proposed(), user()), "length of Application-context-name"),
        ((item(0x10, b"\0 "), proposed(), user()), "Application-context-name"),
        ((CONTEXT_NAME, proposed(1, ()), user()), "Item-type 0x30"),
        ((CONTEXT_NAME, proposed(1, (VERIFICATION, MPPS)), user()), "Item-type 0x30"),
        ((CONTEXT_NAME, proposed(1, (b"",)), user()), "length of Abstract-syntax-name"),
        ((CONTEXT_NAME, proposed(1, (b"1" * 65,)), user()), "length of Abstract-syntax-name"),
        ((CONTEXT_NAME, proposed(1, (VERIFICATION,), ()), user()), "Transfer Syntax Sub-Item"),
        (
            (CONTEXT_NAME, proposed(1, (VERIFICATION,), (b"",)), user()),
            "length of Transfer-syntax-name",
        ),
    ),
)
def test_request_against_table_9_11_is_refused(items, refused):
    error = violation(PduType.ASSOCIATE_RQ, associate(*items))
    assert error.field == refused
    assert error.abort_reason == AbortReason.INVALID_PDU_PARAMETER


@pytest.mark.parametrize(
    ("contexts", "refused"),
    (
        ((answered(1, 0),), "Item-type 0x40"),
        ((answered(1, 0, item(0x40, IMPLICIT), item(0x40, IMPLICIT)),), "Item-type 0x40"),
        ((answered(1, 0, item(0x40)),), "length of Transfer-syntax-name"),
        ((answered(2, 3),), "Presentation-context-ID"),
        ((answered(1, 3), answered(1, 0, item(0x40, IMPLICIT))), "Presentation-context-ID"),
        ((item(0x21, b"\1\0\3"),), "Item-length"),
    ),
)
def test_accept_against_table_9_18_is_refused(contexts, refused):
    body = associate(CONTEXT_NAME, *contexts, user())
    assert violation(PduType.ASSOCIATE_AC, body).field == refused


def test_every_context_identifier_is_read():
    contexts = [proposed(context_id) for context_id in range(1, 256, 2)]
    pdu = decode(PduType.ASSOCIATE_RQ, associate(CONTEXT_NAME, *contexts, user()))
    assert [context.id for context in pdu.presentation_contexts] == list(range(1, 256, 2))


def test_unknown_result_of_a_context_is_kept():
    body = associate(CONTEXT_NAME, answered(1, 99), user())
    (context,) = decode(PduType.ASSOCIATE_AC, body).presentation_contexts
    assert context == AnsweredContext(id=1, result=99)
    assert not context.is_accepted


# --- A-ASSOCIATE: user sub-items ---


@pytest.mark.parametrize(
    ("sub_item", "field_name", "value"),
    (
        (item(0x51, b"\0\0\0\0"), "max_pdu_bytes", 0),
        (item(0x51, b"\0\0\0\x08"), "max_pdu_bytes", 8),
        (item(0x51, b"\xff" * 4), "max_pdu_bytes", 2**32 - 1),
        (item(0x52, b"2.25.7"), "implementation_class_uid", "2.25.7"),
        (item(0x52), "implementation_class_uid", ""),
        (
            item(0x53, b"\0\1\xff\xff"),
            "asynchronous_operations_window",
            AsynchronousOperationsWindow(max_invoked=1, max_performed=65535),
        ),
        (
            item(0x54, field(MPPS), b"\0\1"),
            "role_selections",
            (RoleSelection(sop_class_uid=MPPS.decode(), scu_role=False, scp_role=True),),
        ),
        (item(0x55, b"DOORWARD_1"), "implementation_version_name", "DOORWARD_1"),
        (
            item(0x56, field(MPPS), b"\1\0\xff"),
            "extended_negotiations",
            (ExtendedNegotiation(sop_class_uid=MPPS.decode(), information=b"\1\0\xff"),),
        ),
    ),
)
def test_sub_item_of_both_directions_is_read(sub_item, field_name, value):
    assert getattr(decode_request(sub_item), field_name) == value
    assert getattr(decode_accept(sub_item), field_name) == value


@pytest.mark.parametrize(
    ("sub_item", "field_name", "value"),
    (
        (
            item(0x57, field(b"1.1"), field(b"1.2"), field(field(b"1.3") + field(b"1.4"))),
            "common_extended_negotiations",
            (
                CommonExtendedNegotiation(
                    sop_class_uid="1.1",
                    service_class_uid="1.2",
                    related_general_sop_class_uids=("1.3", "1.4"),
                ),
            ),
        ),
        (
            item(0x57, field(b"1.1"), field(b"1.2"), field(b"")),
            "common_extended_negotiations",
            (CommonExtendedNegotiation(sop_class_uid="1.1", service_class_uid="1.2"),),
        ),
        *(
            (
                item(0x58, bytes((kind, 1)), field(b"me"), field(secondary)),
                "user_identity",
                UserIdentity(
                    type=kind, response_requested=True, primary=b"me", secondary=secondary
                ),
            )
            for kind, secondary in ((1, b""), (2, b"pw"), (3, b""), (4, b""), (5, b""), (250, b""))
        ),
    ),
)
def test_sub_item_of_requests_is_read_there_and_unknown_in_accepts(sub_item, field_name, value):
    assert getattr(decode_request(sub_item), field_name) == value
    assert decode_accept(sub_item).unknown == (
        UnknownItem(type=sub_item[0], length=len(sub_item) - 4),
    )


def test_user_identity_response_is_read_in_accepts_and_unknown_in_requests():
    sub_item = item(0x59, field(b"ticket"))
    assert decode_accept(sub_item).user_identity_response == b"ticket"
    assert decode_accept(item(0x59, field(b""))).user_identity_response == b""
    assert decode_request(sub_item).unknown == (UnknownItem(type=0x59, length=8),)


@pytest.mark.parametrize(
    ("sub_items", "source"),
    (
        ((item(0x51, b"\0\0\1"),), "PS3.8 Table D.1-1"),
        ((item(0x51, b"\0\0\0\1\0"),), "PS3.8 Table D.1-1"),
        ((item(0x51, b"\0\0\0\1"),), "PS3.8 Table D.1-1"),
        ((item(0x51, b"\0\0\0\7"),), "PS3.8 Table D.1-1"),
        ((item(0x52, b"1" * 65),), "PS3.7 Table D.3-1"),
        ((item(0x53, b"\0\1\0"),), "PS3.7 Table D.3-7"),
        ((item(0x54, field(b"1.2"), b"\1"),), "PS3.7 Table D.3-9"),
        ((item(0x54, field(b"1.2"), b"\1\1\1"),), "PS3.7 Table D.3-9"),
        ((item(0x54, field(b"1.2"), b"\2\0"),), "PS3.7 Table D.3-9"),
        ((item(0x54, field(b"1.2"), b"\0\2"),), "PS3.7 Table D.3-9"),
        ((item(0x54, field(b""), b"\0\0"),), "PS3.7 Table D.3-9"),
        ((item(0x54),), "PS3.7 Table D.3-9"),
        ((item(0x54, field(b"1.2", length=6), b"\1\1"),), "PS3.7 Table D.3-9"),
        ((item(0x56, b"\0"),), "PS3.7 Table D.3-11"),
        ((item(0x56, field(b"1.2", length=4)),), "PS3.7 Table D.3-11"),
        ((item(0x57, field(b"1.1"), field(b"1.2")),), "PS3.7 Table D.3-12"),
        ((item(0x57, field(b"1.1"), field(b"")),), "PS3.7 Table D.3-12"),
        ((item(0x57, field(b"1.1"), field(b"1.2"), field(b"\0")),), "PS3.7 Table D.3-13"),
        ((item(0x57, field(b"1.1"), field(b"1.2"), field(field(b""))),), "PS3.7 Table D.3-13"),
        ((item(0x58),), "PS3.7 Table D.3-14"),
        ((item(0x58, b"\1\0", field(b"user")),), "PS3.7 Table D.3-14"),
        ((item(0x58, b"\1\2", field(b"user"), field(b"")),), "PS3.7 Table D.3-14"),
        ((item(0x58, b"\1\0", field(b"user"), field(b""), b"\0"),), "PS3.7 Table D.3-14"),
        ((item(0x58, b"\1\0", field(b"user", length=9), field(b"")),), "PS3.7 Table D.3-14"),
        ((MAXIMUM_LENGTH, MAXIMUM_LENGTH), "PS3.7 section D.3.3"),
        ((CLASS_UID, CLASS_UID), "PS3.7 section D.3.3"),
        ((item(0x53, bytes(4)), item(0x53, bytes(4))), "PS3.7 section D.3.3"),
        ((item(0x55, b"A"), item(0x55, b"A")), "PS3.7 section D.3.3"),
        ((item(0x58, b"\1\0", field(b"a"), field(b"")),) * 2, "PS3.7 section D.3.3"),
        (
            (item(0x54, field(b"1.2"), b"\1\0"), item(0x54, field(b"1.2"), b"\0\1")),
            "PS3.7 section D.3.3",
        ),
        ((item(0x56, field(b"1.2")), item(0x56, field(b"1.2"), b"\1")), "PS3.7 section D.3.3"),
        ((b"\x51\0\0",), "PS3.8 Table 9-16"),
        ((item(0x60, b"", length=1),), "PS3.8 Table 9-16"),
    ),
)
def test_user_sub_item_against_its_table_is_refused(sub_items, source):
    assert violation(PduType.ASSOCIATE_RQ, request(*sub_items)).source == source


@pytest.mark.parametrize(
    "sub_items",
    (
        (item(0x59),),
        (item(0x59, field(b"ticket", length=7)),),
        (item(0x59, field(b"ticket"), b"\0"),),
        (item(0x59, field(b"")), item(0x59, field(b""))),
    ),
)
def test_user_identity_response_against_its_table_is_refused(sub_items):
    error = violation(PduType.ASSOCIATE_AC, accept(*sub_items))
    assert error.source in ("PS3.7 Table D.3-15", "PS3.7 section D.3.3")


# --- tolerances ---

TWO_ITEMS_TWISTED = associate(user(MAXIMUM_LENGTH), proposed(), CONTEXT_NAME)
ROLE = item(0x54, field(MPPS), b"\1\1")
REFUSED = associate(CONTEXT_NAME, answered(1, 3, b"\x40\0\xff\xff garbage"), user())


def _title(raw):
    body = associate(CONTEXT_NAME, proposed(), user(), called=raw)
    return decode(PduType.ASSOCIATE_RQ, body).called_ae_title


def _abstract_syntax(raw):
    body = associate(CONTEXT_NAME, proposed(1, (raw,)), user())
    return decode(PduType.ASSOCIATE_RQ, body).presentation_contexts[0].abstract_syntax


TOLERATED = {
    "reserved bytes of any value": lambda: (
        decode(PduType.ASSOCIATE_RQ, associate(CONTEXT_NAME, proposed(), user(), reserved=255))
        == decode(PduType.ASSOCIATE_RQ, associate(CONTEXT_NAME, proposed(), user()))
        and decode(7, b"\xff\xff\2\6") == Abort(source=2, reason=6)
        and decode(5, b"junk") == ReleaseRequest()
        and decode_request(item(0x53, bytes(4), reserved=7)) == decode_request(item(0x53, bytes(4)))
    ),
    "control header bits 2 to 7 of any value": lambda: (
        decode_values(b"\0\0\0\2\1\xfc", 0, 6) == [(1, 0, b"")]
    ),
    "unknown items": lambda: (
        decode(
            PduType.ASSOCIATE_RQ,
            associate(
                item(0x77, b"?"),
                CONTEXT_NAME,
                proposed(1, (VERIFICATION,), (IMPLICIT,), item(0x31, b"?")),
                answered(1, 0),
                user(),
            ),
        )
        == decode(PduType.ASSOCIATE_RQ, request())
    ),
    "unknown user sub-items": lambda: (
        decode_request(item(0xFF, b"abc"), item(0x5A), item(0xFF)).unknown
        == (
            UnknownItem(type=0x5A, length=0),
            UnknownItem(type=0xFF, length=3),
            UnknownItem(type=0xFF, length=0),
        )
    ),
    "user sub-items of the other direction": lambda: (
        decode_accept(item(0x57, b"?")).unknown == (UnknownItem(type=0x57, length=1),)
    ),
    "items in any order": lambda: (
        decode(PduType.ASSOCIATE_RQ, TWO_ITEMS_TWISTED)
        == decode(PduType.ASSOCIATE_RQ, request(MAXIMUM_LENGTH))
        and decode_request(item(0x55, b"A"), CLASS_UID)
        == decode_request(CLASS_UID, item(0x55, b"A"))
    ),
    "UIDs padded with NUL or space": lambda: (
        _abstract_syntax(VERIFICATION + b"\0")
        == _abstract_syntax(b" " + VERIFICATION + b" \0")
        == VERIFICATION.decode()
    ),
    "AE titles padded with NUL": lambda: _title(b" ABC\0\0\0\0\0\0\0\0\0\0\0\0") == "ABC",
    "text outside printable ASCII": lambda: (
        _title("RÖNTGEN\x1b[2J\n\x7f\0X ".encode("latin-1"))
        == "R\ufffdNTGEN\ufffd[2J\ufffd\ufffd\ufffdX"
    ),
    "empty AE titles": lambda: _title(b" " * 16) == _title(bytes(16)) == "",
    "no maximum length": lambda: decode_request().max_pdu_bytes is None,
    "no implementation class UID": lambda: (
        decode_accept() == decode_accept(item(0x52)) == UserInformation(max_pdu_bytes=None)
    ),
    "implementation version name above 16 bytes": lambda: (
        decode_accept(item(0x55, b"A_VERY_LONG_NAME_1.0")).implementation_version_name
        == "A_VERY_LONG_NAME"
    ),
    "equal role selections or negotiations repeated": lambda: (
        decode_request(ROLE, ROLE) == decode_request(ROLE)
    ),
    "anything behind a refused context": lambda: (
        decode(PduType.ASSOCIATE_AC, REFUSED).presentation_contexts
        == (AnsweredContext(id=1, result=3),)
    ),
    "an accept without presentation contexts": lambda: (
        decode(PduType.ASSOCIATE_AC, associate(CONTEXT_NAME, user())).presentation_contexts == ()
    ),
    "bytes after common extended negotiation": lambda: (
        decode_request(item(0x57, field(b"1.1"), field(b"1.2"), field(b""), b"later"))
        == decode_request(item(0x57, field(b"1.1"), field(b"1.2"), field(b"")))
    ),
}


@pytest.mark.parametrize(("name", "reason"), TOLERANCES)
def test_tolerance_of_the_table_holds(name, reason):
    assert TOLERATED[name]()
    assert reason


def test_every_tested_tolerance_is_in_the_table():
    assert set(TOLERATED) == {name for name, _ in TOLERANCES}


# --- bounds ---


@pytest.mark.parametrize(
    ("limits", "fits", "too_many"),
    (
        (
            {"presentation_contexts": 2},
            associate(CONTEXT_NAME, proposed(1), proposed(3), user()),
            associate(CONTEXT_NAME, proposed(1), proposed(3), proposed(5), user()),
        ),
        (
            {"transfer_syntaxes_per_context": 3},
            associate(CONTEXT_NAME, proposed(1, (VERIFICATION,), [IMPLICIT] * 3), user()),
            associate(CONTEXT_NAME, proposed(1, (VERIFICATION,), [IMPLICIT] * 4), user()),
        ),
        (
            {"user_sub_items": 3},
            request(*[item(0x60)] * 3),
            request(*[item(0x60)] * 4),
        ),
        (
            {"user_sub_items": 3},
            request(item(0x57, field(b"1"), field(b"1"), field(field(b"1") * 3))),
            request(item(0x57, field(b"1"), field(b"1"), field(field(b"1") * 4))),
        ),
        (
            {"uid_bytes": 21},
            request(item(0x52, b"1" * 21)),
            request(item(0x52, b"1" * 22)),
        ),
        (
            {"user_identity_bytes": 16},
            request(item(0x58, b"\1\0", field(b"0123456789"), field(b""))),
            request(item(0x58, b"\1\0", field(b"0123456789A"), field(b""))),
        ),
    ),
)
def test_bound_of_limits_is_kept(limits, fits, too_many):
    bounded = replace(DEFAULT_LIMITS, **limits)
    decode(PduType.ASSOCIATE_RQ, fits, bounded)
    error = violation(PduType.ASSOCIATE_RQ, too_many, bounded)
    assert any(words in str(error) for words in ("must be", "more than"))


def test_bounds_of_an_accept_are_kept():
    limits = replace(DEFAULT_LIMITS, presentation_contexts=1, user_identity_bytes=8)
    contexts = associate(CONTEXT_NAME, answered(1, 3), answered(3, 3), user())
    assert violation(PduType.ASSOCIATE_AC, contexts, limits).field == "Presentation Context Items"
    decode(PduType.ASSOCIATE_AC, accept(item(0x59, field(b"123456"))), limits)
    response = accept(item(0x59, field(b"1234567")))
    assert violation(PduType.ASSOCIATE_AC, response, limits).source == "PS3.7 Table D.3-15"


@pytest.mark.parametrize(
    "body",
    (
        request(b"\x60\0\0\0" * 16_000),
        associate(b"\x60\0\0\0" * 48_000),
        associate(b"\x20\0\0\0" * 48_000),
        associate(CONTEXT_NAME, proposed(1, (), (), b"\x40\0\0\0" * 16_000), user()),
        request(item(0x57, field(b"1"), field(b"1"), field(b"\0\1" * 16_000))),
    ),
    ids=("user sub-items", "items", "contexts", "transfer syntaxes", "related UIDs"),
)
def test_thousands_of_tiny_items_are_refused_early(body):
    tracemalloc.start()
    try:
        violation(PduType.ASSOCIATE_RQ, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # copies of the body and of its parts, and nothing for each item
    assert peak < 4 * len(body) + 200_000
    assert timeit.timeit(lambda: violation(PduType.ASSOCIATE_RQ, body), number=1) < 0.1


# --- any bytes ---


@given(st.integers(0, 255), st.binary(max_size=300))
@example(4, bytes.fromhex("ffffffff0103"))
def test_any_bytes_give_a_pdu_or_a_protocol_error(first, rest):
    check_decoding(bytes([first]) + rest)


@given(pdus, st.data())
def test_any_damage_to_a_pdu_gives_a_pdu_or_a_protocol_error(pdu, data):
    encoded = bytearray(encode_pdu(pdu))
    del encoded[1:6]
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    check_decoding(bytes(encoded))
    check_decoding(bytes(encoded[: data.draw(st.integers(0, len(encoded)))]))


@given(st.integers(0, 65535), st.binary(max_size=60), st.sampled_from(range(0x50, 0x5B)))
def test_any_user_sub_item_gives_a_pdu_or_a_protocol_error(length, content, item_type):
    for body in (
        b"\1" + request(item(item_type, content)),
        b"\2" + accept(item(item_type, content)),
    ):
        check_decoding(body)
    check_decoding(b"\1" + request(item(item_type, content, length=length)))


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_input_of_the_fuzzing_corpus_holds_the_invariant(path):
    check_decoding(path.read_bytes())


def test_corpus_holds_pdus_of_every_type():
    read = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    assert {given_bytes[0] & 15 for given_bytes in read if check_decoding(given_bytes)} == {
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    }


def test_no_value_of_the_peer_is_in_an_error():
    secret = b"SECRET"
    for body in (
        request(item(0x58, b"\1\0", field(secret), field(secret), b"\0")),
        request(item(0x52, secret * 11)),
        associate(CONTEXT_NAME, proposed(2, (secret,)), user()),
        associate(CONTEXT_NAME, proposed(), user(), secret[:3], calling=(secret * 3)[:16]),
    ):
        error = violation(PduType.ASSOCIATE_RQ, body)
        assert "SECRET" not in f"{error} {error!r} {error.args} {error.field}"
    value = struct.pack(">IBB", 99, 1, 3) + secret
    assert "SECRET" not in repr(violation(PduType.DATA_TF, value))


# --- pynetdicom as oracle ---


@pytest.mark.peer("pynetdicom")
def test_request_of_pynetdicom_is_read():
    from pynetdicom import pdu_primitives as primitives
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.presentation import build_context

    primitive = primitives.A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = "CALLING"
    primitive.called_ae_title = "CALLED"
    contexts = [build_context("1.2.840.10008.1.1"), build_context("1.2.840.10008.5.1.4.1.2.2.1")]
    for index, context in enumerate(contexts):
        context.context_id = 2 * index + 1
    primitive.presentation_context_definition_list = contexts
    sent = _pynetdicom_sub_items(primitives)
    common = primitives.SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = "1.2.3"
    common.service_class_uid = "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.4", "1.2.5"]
    identity = primitives.UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.positive_response_requested = True
    identity.primary_field = b"user"
    identity.secondary_field = b"pass"
    primitive.user_information = [*sent, common, identity]
    pdu = decode(PduType.ASSOCIATE_RQ, A_ASSOCIATE_RQ(primitive).encode()[6:])
    assert (pdu.calling_ae_title, pdu.called_ae_title) == ("CALLING", "CALLED")
    assert [
        (context.id, context.abstract_syntax, context.transfer_syntaxes)
        for context in pdu.presentation_contexts
    ] == [(c.context_id, c.abstract_syntax, tuple(c.transfer_syntax)) for c in contexts]
    assert pdu.user_information == replace(
        PYNETDICOM_USER_INFORMATION,
        common_extended_negotiations=(
            CommonExtendedNegotiation(
                sop_class_uid="1.2.3",
                service_class_uid="1.2.840.10008.4.2",
                related_general_sop_class_uids=("1.2.4", "1.2.5"),
            ),
        ),
        user_identity=UserIdentity(
            type=2, response_requested=True, primary=b"user", secondary=b"pass"
        ),
    )


PYNETDICOM_USER_INFORMATION = UserInformation(
    max_pdu_bytes=32768,
    implementation_class_uid="1.2.826.0.1.3680043.9.3811.9",
    implementation_version_name="PYNETDICOM_9",
    asynchronous_operations_window=AsynchronousOperationsWindow(max_invoked=5, max_performed=0),
    role_selections=(RoleSelection(sop_class_uid="1.2.9", scu_role=True, scp_role=False),),
    extended_negotiations=(ExtendedNegotiation(sop_class_uid="1.2.8", information=b"\1\2\3"),),
)


def _pynetdicom_sub_items(primitives):
    length = primitives.MaximumLengthNotification()
    length.maximum_length_received = 32768
    class_uid = primitives.ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = "1.2.826.0.1.3680043.9.3811.9"
    version = primitives.ImplementationVersionNameNotification()
    version.implementation_version_name = "PYNETDICOM_9"
    window = primitives.AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 0
    role = primitives.SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = "1.2.9"
    role.scu_role = True
    role.scp_role = False
    extended = primitives.SOPClassExtendedNegotiation()
    extended.sop_class_uid = "1.2.8"
    extended.service_class_application_information = b"\1\2\3"
    return [length, class_uid, version, window, role, extended]


@pytest.mark.peer("pynetdicom")
def test_accept_of_pynetdicom_is_read():
    from pynetdicom import pdu_primitives as primitives
    from pynetdicom.pdu import A_ASSOCIATE_AC
    from pynetdicom.presentation import build_context

    primitive = primitives.A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = "CALLING"
    primitive.called_ae_title = "CALLED"
    accepted = build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2.1")
    accepted.context_id, accepted.result = 1, 0
    refused = build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2")
    refused.context_id, refused.result = 3, 4
    primitive.presentation_context_definition_results_list = [accepted, refused]
    answer = primitives.UserIdentityNegotiation()
    answer.server_response = b"ticket"
    primitive.user_information = [*_pynetdicom_sub_items(primitives), answer]
    pdu = decode(PduType.ASSOCIATE_AC, A_ASSOCIATE_AC(primitive).encode()[6:])
    assert pdu.presentation_contexts == (
        AnsweredContext(id=1, result=0, transfer_syntax="1.2.840.10008.1.2.1"),
        AnsweredContext(id=3, result=4),
    )
    assert pdu.user_information == replace(
        PYNETDICOM_USER_INFORMATION, user_identity_response=b"ticket"
    )


@pytest.mark.peer("pynetdicom")
def test_short_pdus_of_pynetdicom_are_read():
    from pynetdicom import pdu as oracle

    reject = oracle.A_ASSOCIATE_RJ()
    reject.result, reject.source, reject.reason_diagnostic = 2, 3, 1
    assert decode(3, reject.encode()[6:]) == AssociateReject(result=2, source=3, reason=1)
    abort = oracle.A_ABORT_RQ()
    abort.source, abort.reason_diagnostic = 2, 4
    assert decode(7, abort.encode()[6:]) == Abort(source=2, reason=4)
    assert decode(5, oracle.A_RELEASE_RQ().encode()[6:]) == ReleaseRequest()
    assert decode(6, oracle.A_RELEASE_RP().encode()[6:]) == ReleaseReply()


@pytest.mark.peer("pynetdicom")
def test_data_transfer_of_pynetdicom_is_read():
    from pynetdicom.pdu import P_DATA_TF
    from pynetdicom.pdu_primitives import P_DATA

    primitive = P_DATA()
    primitive.presentation_data_value_list = [[1, b"\x03command"], [3, b"\x00data"]]
    body = P_DATA_TF(primitive).encode()[6:]
    assert decode(4, body) == DataTransfer(values=((1, 3, b"command"), (3, 0, b"data")))
