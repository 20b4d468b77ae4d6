"""What we send: PS3.8 section 9.3, PS3.7 Annex D.3.3."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doorward.errors import LocalProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.decode import decode_pdu, decode_values
from doorward.wire.encode import (
    encode_data_parts,
    encode_data_values,
    encode_pdu,
    encode_values,
)
from doorward.wire.pdu import (
    IS_COMMAND,
    IS_LAST,
    Abort,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    AsynchronousOperationsWindow,
    CommonExtendedNegotiation,
    DataTransfer,
    ExtendedNegotiation,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
    RoleSelection,
    UnknownItem,
    UserIdentity,
    UserInformation,
)
from pdus import pdus, request_users, short_pdus

ECHO = ProposedContext(
    id=1, abstract_syntax="1.2.840.10008.1.1", transfer_syntaxes=("1.2.840.10008.1.2",)
)
BOTH_WAYS = UserInformation(
    max_pdu_bytes=16384,
    implementation_class_uid="2.25.1",
    implementation_version_name="DOORWARD",
    asynchronous_operations_window=AsynchronousOperationsWindow(max_invoked=1, max_performed=0),
    role_selections=(RoleSelection(sop_class_uid="1.2.9", scu_role=False, scp_role=True),),
    extended_negotiations=(ExtendedNegotiation(sop_class_uid="1.2.8", information=b"\1\2"),),
)
REQUEST = AssociateRequest(
    called_ae_title="ARCHIVE",
    calling_ae_title="DOORWARD",
    presentation_contexts=(ECHO,),
    user_information=replace(
        BOTH_WAYS,
        common_extended_negotiations=(
            CommonExtendedNegotiation(
                sop_class_uid="1.1",
                service_class_uid="1.2",
                related_general_sop_class_uids=("1.3", "1.44"),
            ),
        ),
        user_identity=UserIdentity(type=2, response_requested=True, primary=b"me", secondary=b"pw"),
    ),
)
ACCEPT = AssociateAccept(
    called_ae_title="ARCHIVE",
    calling_ae_title="DOORWARD",
    presentation_contexts=(
        AnsweredContext(id=1, result=0, transfer_syntax="1.2.840.10008.1.2.1"),
        AnsweredContext(id=3, result=4),
    ),
    user_information=replace(BOTH_WAYS, user_identity_response=b"ticket"),
)
HEAD = (
    "0001 0000"  # Protocol-version, reserved
    "41524348495645202020202020202020"  # Called-AE-title
    "444f4f52574152442020202020202020"  # Calling-AE-title
    + "00" * 32
    + "1000 0015 312e322e3834302e31303030382e332e312e312e31"  # Application Context Item
)
USER_BOTH_WAYS_1 = (
    "5100 0004 00004000"  # Maximum Length
    "5200 0006 322e32352e31"  # Implementation Class UID
    "5300 0004 0001 0000"  # Asynchronous Operations Window: invoked, performed
    "5400 0009 0005 312e322e39 00 01"  # Role Selection: SCU, SCP
    "5500 0008 444f4f5257415244"  # Implementation Version Name
    "5600 0009 0005 312e322e38 0102"  # SOP Class Extended Negotiation
)


# --- whole PDUs, byte by byte ---


def test_request_is_written_field_by_field():
    body = bytes.fromhex(
        HEAD + "2000 002e 01 00 00 00"  # Presentation Context Item
        "3000 0011 312e322e3834302e31303030382e312e31"
        "4000 0011 312e322e3834302e31303030382e312e32"
        "5000 0069" + USER_BOTH_WAYS_1 + "5700 0017"  # SOP Class Common Extended Negotiation
        "0003 312e31  0003 312e32"  # SOP class, service class
        "000b  0003 312e33  0004 312e3434"  # related general SOP classes
        "5800 000a 02 01  0002 6d65  0002 7077"  # User Identity: type, response, two fields
    )
    assert encode_pdu(REQUEST) == bytes.fromhex("0100") + len(body).to_bytes(4, "big") + body


def test_accept_is_written_field_by_field():
    body = bytes.fromhex(
        HEAD + "2100 001b 01 00 00 00"  # Presentation-context-ID, reserved, Result/Reason, reserved
        "4000 0013 312e322e3834302e31303030382e312e322e31"
        "2100 0019 03 00 04 00"  # a refused one carries a transfer syntax that nobody reads
        "4000 0011 312e322e3834302e31303030382e312e32"
        "5000 004c" + USER_BOTH_WAYS_1 + "5900 0008 0006 7469636b6574"  # User Identity: response
    )
    assert encode_pdu(ACCEPT) == bytes.fromhex("0200") + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("pdu", "encoded"),
    (
        (AssociateReject(result=1, source=2, reason=7), "03 00 00000004 00 01 02 07"),
        (ReleaseRequest(), "05 00 00000004 00000000"),
        (ReleaseReply(), "06 00 00000004 00000000"),
        (Abort(source=2, reason=6), "07 00 00000004 00 00 02 06"),
        (
            DataTransfer(values=((1, 3, b"\xab"), (3, 0, b""))),
            "04 00 0000000d  00000003 01 03 ab  00000002 03 00",
        ),
    ),
)
def test_short_pdu_is_written(pdu, encoded):
    assert encode_pdu(pdu) == bytes.fromhex(encoded)


def test_user_information_may_be_empty():
    pdu = replace(REQUEST, user_information=UserInformation(max_pdu_bytes=None))
    assert encode_pdu(pdu).endswith(bytes.fromhex("50000000"))
    answer = replace(ACCEPT, user_information=UserInformation(max_pdu_bytes=None))
    assert encode_pdu(answer).endswith(bytes.fromhex("50000000"))


def test_unknown_items_are_left_out():
    unknown = replace(REQUEST.user_information, unknown=(UnknownItem(type=0x60, length=9),))
    assert encode_pdu(replace(REQUEST, user_information=unknown)) == encode_pdu(REQUEST)


def test_echo_of_a_title_outside_ascii_does_not_fail():
    """The acceptor repeats the titles of the request (PS3.8 Table 9-17), whatever they were."""
    encoded = encode_pdu(replace(ACCEPT, calling_ae_title="R\ufffdNTGEN"))
    assert encoded[26:42] == b"R?NTGEN         "


@given(pdus)
def test_what_is_encoded_decodes_to_the_same(pdu):
    encoded = encode_pdu(pdu)
    assert int.from_bytes(encoded[2:6], "big") == len(encoded) - 6
    assert decode_pdu(encoded[0], encoded[6:], DEFAULT_LIMITS) == pdu


# --- what has no encoding ---


def _with_context(**changes):
    return replace(REQUEST, presentation_contexts=(replace(ECHO, **changes),))


def _with_user(pdu, **changes):
    return replace(pdu, user_information=replace(pdu.user_information, **changes))


def _answer(**changes):
    context = replace(ACCEPT.presentation_contexts[0], **changes)
    return replace(ACCEPT, presentation_contexts=(context,))


@pytest.mark.parametrize(
    ("pdu", "field"),
    (
        (replace(REQUEST, called_ae_title="A" * 17), "Called-AE-title"),
        (replace(REQUEST, calling_ae_title="RÖNTGEN"), "Calling-AE-title"),
        (replace(REQUEST, calling_ae_title="A\nB"), "Calling-AE-title"),
        (replace(ACCEPT, calling_ae_title="A\0B"), "Calling-AE-title"),
        (replace(REQUEST, protocol_version=65536), "Protocol-version"),
        (replace(REQUEST, protocol_version=-1), "Protocol-version"),
        (replace(REQUEST, application_context=""), "Application-context-name"),
        (replace(REQUEST, presentation_contexts=()), "Presentation Context Items"),
        (replace(REQUEST, presentation_contexts=(ECHO, ECHO)), "Presentation-context-ID"),
        (_with_context(id=0), "Presentation-context-ID"),
        (_with_context(id=2), "Presentation-context-ID"),
        (_with_context(id=257), "Presentation-context-ID"),
        (_with_context(id=-1), "Presentation-context-ID"),
        (_with_context(abstract_syntax="1" * 65), "Abstract-syntax-name"),
        (_with_context(abstract_syntax="1.2.٣"), "Abstract-syntax-name"),
        (_with_context(transfer_syntaxes=()), "Transfer Syntax Sub-Item"),
        (_with_context(transfer_syntaxes=("",)), "Transfer-syntax-name"),
        (_with_context(transfer_syntaxes=("1" * 64,) * 1000), "Item-length of 0x20"),
        (_answer(id=4), "Presentation-context-ID"),
        (_answer(result=256), "Result/Reason"),
        (_answer(transfer_syntax=""), "Transfer-syntax-name"),
        (_with_user(REQUEST, max_pdu_bytes=7), "Maximum-length-received"),
        (_with_user(REQUEST, max_pdu_bytes=2**32), "Maximum-length-received"),
        (_with_user(REQUEST, max_pdu_bytes=-1), "Maximum-length-received"),
        (_with_user(REQUEST, implementation_class_uid="1" * 65), "Implementation-class-uid"),
        (_with_user(REQUEST, implementation_version_name="A" * 17), "Implementation-version-name"),
        (
            _with_user(
                REQUEST,
                asynchronous_operations_window=AsynchronousOperationsWindow(
                    max_invoked=65536, max_performed=1
                ),
            ),
            "Maximum-number-operations-invoked",
        ),
        (_with_user(REQUEST, user_identity_response=b""), "User Identity 59H"),
        (
            _with_user(ACCEPT, user_identity=REQUEST.user_information.user_identity),
            "User Identity 58H",
        ),
        (
            _with_user(
                ACCEPT,
                common_extended_negotiations=REQUEST.user_information.common_extended_negotiations,
            ),
            "SOP Class Common Extended Negotiation",
        ),
        (_with_user(ACCEPT, user_identity_response=bytes(65536)), "Server-response-length"),
        (
            _with_user(
                REQUEST,
                user_identity=UserIdentity(type=5, response_requested=False, primary=bytes(65536)),
            ),
            "Primary-field-length",
        ),
        (
            _with_user(
                REQUEST,
                user_identity=UserIdentity(type=256, response_requested=False, primary=b""),
            ),
            "User-Identity-Type",
        ),
        (AssociateReject(result=256, source=1, reason=1), "ASSOCIATE_RJ"),
        (Abort(source=-1, reason=0), "ABORT"),
        (DataTransfer(values=()), "Presentation-data-value Item"),
        (DataTransfer(values=((2, 3, b""),)), "Presentation-context-ID"),
        (DataTransfer(values=((1, 4, b""),)), "Message Control Header"),
    ),
)
def test_value_without_encoding_is_our_own_mistake(pdu, field):
    with pytest.raises(LocalProtocolError) as caught:
        encode_pdu(pdu)
    assert str(caught.value).startswith(f"{field}: ")


def test_secrets_are_not_in_the_error():
    identity = UserIdentity(
        type=2, response_requested=False, primary=b"SECRET" * 11_000, secondary=b"SECRET"
    )
    with pytest.raises(LocalProtocolError) as caught:
        encode_pdu(_with_user(REQUEST, user_identity=identity))
    assert "SECRET" not in f"{caught.value} {caught.value!r}"


# --- P-DATA-TF ---


@pytest.mark.parametrize(
    ("is_command", "is_last", "control"),
    ((True, True, 3), (True, False, 1), (False, True, 2), (False, False, 0)),
)
def test_small_data_is_one_pdu_with_its_control_header(is_command, is_last, control):
    pdus = encode_data_values(5, is_command, b"abcd", 16384, is_last=is_last)
    assert pdus == [bytes.fromhex(f"0400 0000000a 00000006 05 {control:02x}") + b"abcd"]


@pytest.mark.parametrize("kind", (bytes, bytearray, memoryview))
def test_data_may_be_any_bytes_and_leaves_as_bytes(kind):
    pdus = encode_data_values(1, False, kind(b"0123456789"), 10)
    assert all(type(pdu) is bytes for pdu in pdus)
    assert (
        b"".join(f for pdu in pdus for _, _, f in decode_values(pdu, 6, len(pdu))) == b"0123456789"
    )


@given(
    st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0),
    st.integers(8, 220) | st.just(0),
    st.booleans(),
    st.booleans(),
)
@example(bytes(20), 11, False, True)
@example(bytes(20), 8, True, False)
def test_data_is_cut_into_pdus_that_the_peer_allows(data, max_pdu_bytes, is_command, is_last):
    pdus = encode_data_values(1, is_command, data, max_pdu_bytes, is_last=is_last)
    fragments = []
    for pdu in pdus:
        length = int.from_bytes(pdu[2:6], "big")
        assert length == len(pdu) - 6
        assert length <= (max_pdu_bytes or DEFAULT_LIMITS.max_pdu_bytes)
        fragments += decode_values(pdu, 6, len(pdu))
    assert len(fragments) == len(pdus)
    assert b"".join(fragment for _, _, fragment in fragments) == data
    # "Each fragment of a message shall consist of an even number of bytes" (PS3.8 E.1)
    assert all(len(fragment) % 2 == 0 for _, _, fragment in fragments)
    assert all(bool(control & IS_COMMAND) is is_command for _, control, _ in fragments)
    ends = [bool(control & IS_LAST) for _, control, _ in fragments]
    assert ends == [False] * (len(ends) - 1) + [is_last] * bool(ends)
    # no more PDUs than needed
    room = ((max_pdu_bytes or DEFAULT_LIMITS.max_pdu_bytes) - 6) // 2 * 2
    assert len(pdus) == max(-(-len(data) // room), int(is_last))


def test_nothing_that_ends_nothing_is_not_sent():
    assert encode_data_values(1, False, b"", 16384, is_last=False) == []


def test_end_without_data_is_one_empty_value():
    assert encode_data_values(1, False, b"", 16384) == [
        bytes.fromhex("0400 00000006 00000002 01 02")
    ]


def test_no_limit_of_the_peer_means_our_own():
    lengths = [
        int.from_bytes(p[2:6], "big") for p in encode_data_values(1, False, bytes(300_000), 0)
    ]
    assert lengths == [131_072, 131_072, 300_000 - 2 * 131_066 + 6]


@pytest.mark.parametrize("context_id", (-1, 0, 2, 256, 257))
def test_context_that_cannot_exist_carries_no_data(context_id):
    with pytest.raises(LocalProtocolError, match="Presentation-context-ID"):
        encode_data_values(context_id, True, b"ab", 16384)


@pytest.mark.parametrize("max_pdu_bytes", (-1, 1, 7))
def test_maximum_length_that_carries_nothing_is_refused(max_pdu_bytes):
    with pytest.raises(LocalProtocolError, match="cannot carry a fragment"):
        encode_data_values(1, True, b"abcd", max_pdu_bytes)


def test_values_are_one_pdu():
    assert encode_values([(1, 3, b"ab"), (1, 2, b"c")]) == bytes.fromhex(
        "0400 0000000f  00000004 0103 6162  00000003 0102 63"
    )


# --- pynetdicom as oracle ---


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_reads_our_request():
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    oracle = A_ASSOCIATE_RQ()
    oracle.decode(encode_pdu(REQUEST))
    assert oracle.called_ae_title == "ARCHIVE"
    assert oracle.calling_ae_title == "DOORWARD"
    assert oracle.application_context_name == "1.2.840.10008.3.1.1.1"
    (context,) = oracle.presentation_context
    assert context.presentation_context_id == 1
    assert context.abstract_syntax == ECHO.abstract_syntax
    assert context.transfer_syntax == ["1.2.840.10008.1.2"]
    read = oracle.user_information
    _assert_both_ways(read)
    common = read.common_ext_neg[0]
    assert (common.sop_class_uid, common.service_class_uid) == ("1.1", "1.2")
    assert common.related_general_sop_class_identification == ["1.3", "1.44"]
    identity = read.user_identity
    assert (identity.user_identity_type, identity.positive_response_requested) == (2, 1)
    assert (identity.primary_field, identity.secondary_field) == (b"me", b"pw")


def _assert_both_ways(read):
    assert read.maximum_length == 16384
    assert read.implementation_class_uid == "2.25.1"
    assert read.implementation_version_name == "DOORWARD"
    window = read.async_ops_window
    assert window.maximum_number_operations_invoked == 1
    assert window.maximum_number_operations_performed == 0
    role = read.role_selection["1.2.9"]
    assert (role.scu_role, role.scp_role) == (0, 1)
    (extended,) = read.ext_neg
    assert extended.sop_class_uid == "1.2.8"
    assert extended.service_class_application_information == b"\1\2"


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_reads_our_accept():
    from pynetdicom.pdu import A_ASSOCIATE_AC

    oracle = A_ASSOCIATE_AC()
    oracle.decode(encode_pdu(ACCEPT))
    assert oracle.reserved_aet == "ARCHIVE"
    assert oracle.reserved_aec == "DOORWARD"
    first, second = oracle.presentation_context
    assert (first.presentation_context_id, first.result) == (1, 0)
    assert first.transfer_syntax == "1.2.840.10008.1.2.1"
    assert (second.presentation_context_id, second.result) == (3, 4)
    _assert_both_ways(oracle.user_information)
    assert oracle.user_information.user_identity.server_response == b"ticket"


@pytest.mark.peer("pynetdicom")
@given(short_pdus)
def test_pynetdicom_reads_and_rewrites_other_pdus_alike(pdu):
    from pynetdicom import pdu as oracle

    kinds = {
        ReleaseRequest: oracle.A_RELEASE_RQ,
        ReleaseReply: oracle.A_RELEASE_RP,
        Abort: oracle.A_ABORT_RQ,
        AssociateReject: oracle.A_ASSOCIATE_RJ,
        DataTransfer: oracle.P_DATA_TF,
    }
    again = kinds[type(pdu)]()
    again.decode(encode_pdu(pdu))
    assert again.encode() == encode_pdu(pdu)


@pytest.mark.peer("pynetdicom")
@given(request_users)
def test_pynetdicom_reads_and_rewrites_user_information_alike(user_information):
    from pynetdicom.pdu_items import UserInformationItem

    empty = UserInformation(max_pdu_bytes=None)
    head = len(encode_pdu(replace(REQUEST, user_information=empty))) - 4
    encoded = encode_pdu(replace(REQUEST, user_information=user_information))[head:]
    oracle = UserInformationItem()
    oracle.decode(encoded)
    assert oracle.maximum_length == user_information.max_pdu_bytes
    window = user_information.asynchronous_operations_window
    assert (oracle.async_ops_window is None) is (window is None)
    assert set(oracle.role_selection) == {
        role.sop_class_uid for role in user_information.role_selections
    }
    assert [e.service_class_application_information for e in oracle.ext_neg] == [
        e.information for e in user_information.extended_negotiations
    ]
    identity = user_information.user_identity
    assert (oracle.user_identity is None) is (identity is None)
    if identity is not None:
        # pynetdicom 3.0.4 reads an empty primary field as two zero bytes
        assert oracle.user_identity.primary_field == identity.primary or not identity.primary
        assert oracle.user_identity.user_identity_type == identity.type


@pytest.mark.parametrize("context_id", (0, 2, 257))
def test_parts_for_a_context_that_cannot_be_are_refused(context_id):
    with pytest.raises(LocalProtocolError):
        encode_data_parts(context_id, b"1234", 16_384, is_last=True)


def test_parts_for_a_peer_that_takes_no_fragment_are_refused():
    with pytest.raises(LocalProtocolError):
        encode_data_parts(1, b"1234", 7, is_last=True)
