import runpy
import struct
from dataclasses import MISSING, fields, replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import LocalProtocolError, PeerProtocolError
from doorward.limits import Limits
from doorward.wire.dimse import (
    ELEMENTS,
    CCancelRequest,
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    CFindResponse,
    CGetResponse,
    CMoveRequest,
    CStoreRequest,
    NGetRequest,
    Priority,
    Request,
    Response,
    decode_command,
    encode_command,
    has_free_text,
)

FUZZ = runpy.run_path(str(Path(__file__).resolve().parents[1] / "fuzz" / "fuzz_dimse.py"))
MESSAGES = [*Request.__args__, *Response.__args__]
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def element(number: int, value: bytes, group: int = 0) -> bytes:
    """Implicit VR little endian, PS3.5 section 7.1.3."""
    return struct.pack("<HHI", group, number, len(value)) + value


def us(value: int) -> bytes:
    return struct.pack("<H", value)


def echo_request(*more: bytes, command_field=us(0x0030), data_set_type=us(0x0101)) -> bytes:
    return b"".join(
        (
            element(0x0002, b"1.2.840.10008.1.1\0"),
            element(0x0100, command_field),
            element(0x0110, us(7)),
            element(0x0800, data_set_type),
            *more,
        )
    )


ECHO = CEchoRequest(message_id=7, affected_sop_class_uid="1.2.840.10008.1.1")

uids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)
printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
VALUES = {
    "US": st.integers(0, 0xFFFF),
    "UI": uids,
    "AE": st.text(printable, max_size=16).map(str.strip),
    "LO": st.text(printable, max_size=64).map(str.strip),
    "AT": st.lists(st.integers(0, 0xFFFFFFFF), max_size=8).map(tuple),
}


@st.composite
def commands(draw):
    """Any message with any values; optional elements may be absent."""
    message = draw(st.sampled_from(MESSAGES))
    values = {"has_data_set": draw(st.booleans())}
    for field in fields(message):
        if field.name == "has_data_set":
            continue
        strategy = VALUES[ELEMENTS[field.name].vr]
        if field.default is MISSING:
            values[field.name] = draw(strategy.filter(lambda value: value not in ("", ())))
        elif draw(st.booleans()):
            values[field.name] = draw(strategy)
    return message(**values)


# --- both ways ---


@given(commands())
def test_every_command_survives_encode_and_decode(command):
    assert decode_command(encode_command(command)) == command


@given(commands())
def test_encoded_commands_are_ordered_even_and_carry_their_group_length(command):
    data = encode_command(command)
    numbers, offset = [], 0
    while offset < len(data):
        group, number, length = struct.unpack_from("<HHI", data, offset)
        assert group == 0
        assert length % 2 == 0
        numbers.append(number)
        offset += 8 + length
    assert numbers == sorted(set(numbers))
    assert {0x0000, 0x0100, 0x0800} <= set(numbers)
    assert struct.unpack_from("<I", data, 8) == (len(data) - 12,)


@given(st.binary(max_size=200))
def test_random_bytes_give_a_command_or_a_peer_protocol_error(data):
    try:
        decode_command(data)
    except PeerProtocolError:
        pass


@given(commands(), st.data())
def test_damaged_commands_give_a_command_or_a_peer_protocol_error(command, data):
    raw = bytearray(encode_command(command))
    for position in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[position] = data.draw(st.integers(0, 255))
    try:
        again = decode_command(bytes(raw))
    except PeerProtocolError:
        return
    assert decode_command(encode_command(again)) == again


@pytest.mark.parametrize("path", sorted(FUZZ["CORPUS"].iterdir()), ids=lambda path: path.name)
def test_kept_inputs_of_the_fuzzer_hold_its_invariant(path):
    assert FUZZ["check"](path.read_bytes()) is not path.name.startswith("refused")


def test_a_find_response_as_dcmtk_sends_it():
    data = bytes.fromhex(
        "00000000 04000000 4c000000"  # Command Group Length
        "00000200 1c000000" + b"1.2.840.10008.5.1.4.1.2.2.1\0".hex() + "00000001 02000000 2080"
        "00002001 02000000 0300"
        "00000008 02000000 0100"
        "00000009 02000000 00ff"
    )
    expected = CFindResponse(
        message_id_being_responded_to=3,
        status=0xFF00,
        has_data_set=True,
        affected_sop_class_uid=STUDY_ROOT_FIND,
    )
    assert decode_command(data) == expected
    assert encode_command(expected)[12:] == data[12:]


# --- pynetdicom as oracle ---


def pynetdicom_name(message) -> str:
    """CFindRequest -> C_FIND_RQ."""
    name = message.__name__
    if name == "CCancelRequest":
        return "C_CANCEL_RQ"
    stem = name.removesuffix("Request").removesuffix("Response")
    words = {"NEventReport": "N_EVENT_REPORT"}.get(stem, f"{stem[0]}_{stem[1:].upper()}")
    return words + ("_RQ" if message.is_request else "_RSP")


def sample(message):
    """Every field filled with something that differs from its neighbours."""
    values = {"has_data_set": True}
    for index, field in enumerate(fields(message)):
        if field.name != "has_data_set":
            values[field.name] = {
                "US": 0x0100 + index,
                "UI": f"1.2.{index}.4",
                "AE": f"TITLE{index}",
                "LO": "a comment",
                "AT": (0x00080018, 0x7FE00010, index),
            }[ELEMENTS[field.name].vr]
    return message(**values)


def plain(value):
    """A value of pydicom as one of ours."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    return tuple(int(tag) for tag in value)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_pynetdicom_reads_what_we_write(message):
    from pynetdicom.dimse_messages import DIMSEMessage
    from pynetdicom.dsutils import decode
    from pynetdicom.pdu_primitives import P_DATA

    ours = sample(message)
    data = encode_command(replace(ours, has_data_set=False))
    pdata = P_DATA()
    pdata.presentation_data_value_list = [[1, b"\x03" + data]]
    theirs = DIMSEMessage()
    assert theirs.decode_msg(pdata) is True  # it is whole, and of a class that pynetdicom knows
    assert type(theirs).__name__ == pynetdicom_name(message)

    elements = {element.tag: element.value for element in decode(BytesIO(data), True, True)}
    for name, (number, _) in ELEMENTS.items():
        if hasattr(ours, name):
            assert plain(elements.pop(number)) == getattr(ours, name)
    assert elements == {0x0000: len(data) - 12, 0x0100: message.command_field, 0x0800: 0x0101}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_we_read_what_pynetdicom_writes(message):
    from pynetdicom import dimse_messages

    ours = replace(sample(message), has_data_set=False)
    theirs = getattr(dimse_messages, pynetdicom_name(message))()
    known = theirs.command_set
    defaults = {field.name: field.default for field in fields(message)}
    expected = {}
    for name, (number, _) in ELEMENTS.items():
        if not hasattr(ours, name):
            continue
        if number in known:
            value = getattr(ours, name)
            known[number].value = list(value) if isinstance(value, tuple) else value
        elif defaults[name] is not MISSING:  # an optional field that pynetdicom does not send
            expected[name] = defaults[name]
    known[0x0100].value = message.command_field
    known[0x0800].value = 0x0101
    (pdata,) = theirs.encode_msg(1, 0)
    ((_, content),) = pdata.presentation_data_value_list
    assert content[0] == 3
    assert decode_command(content[1:]) == replace(ours, **expected)


# --- tolerated ---


def test_group_length_may_be_wrong_or_absent():
    assert decode_command(echo_request()) == ECHO
    assert decode_command(element(0, b"\xff\xff\xff\xff") + echo_request()) == ECHO


def test_elements_may_be_out_of_order_unknown_and_of_odd_length():
    data = (
        element(0x0800, us(0x0101))
        + element(0x5010, b"odd")  # retired, unknown here
        + element(0x0110, us(7))
        + element(0x0100, us(0x0030))
        + element(0x0002, b"1.2.840.10008.1.1")
    )
    assert decode_command(data) == ECHO


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\0\0\0", b""])
def test_uids_may_be_padded_with_anything(padding):
    data = echo_request().replace(
        element(0x0002, b"1.2.840.10008.1.1\0"), element(0x0002, b"1.2.840.10008.1.1" + padding)
    )
    assert decode_command(data) == ECHO


def test_priority_may_be_absent_or_unknown():
    request = CFindRequest(message_id=1, affected_sop_class_uid=STUDY_ROOT_FIND, priority=9)
    data = encode_command(request)
    assert decode_command(data).priority == 9
    without = decode_command(data.replace(element(0x0700, us(9)), b""))
    assert without == replace(request, priority=Priority.MEDIUM)


def test_empty_optional_elements_count_as_absent():
    data = echo_request(element(0x0900, b""), command_field=us(0x0030))
    assert decode_command(data) == ECHO
    response = CEchoResponse(message_id_being_responded_to=7, status=0)
    raw = encode_command(response) + element(0x0903, b"") + element(0x0902, b"  ")
    assert decode_command(raw) == response


def test_any_data_set_type_but_0101_announces_a_data_set():
    for value in (0x0000, 0x0001, 0x0102, 0xFEFE):
        assert decode_command(echo_request(data_set_type=us(value))).has_data_set
    assert not decode_command(echo_request()).has_data_set


def test_what_no_terminal_should_see_becomes_a_question_mark():
    request = CStoreRequest(
        message_id=1,
        affected_sop_class_uid="1.2.3",
        affected_sop_instance_uid="1.2.4",
        move_originator_ae_title="SEVEN.7",
    )
    data = encode_command(request).replace(b"SEVEN.7 ", b"\x1b[2J\xe9 X ")
    assert decode_command(data).move_originator_ae_title == "?[2J? X"


def test_an_error_comment_is_cut_at_64_characters():
    response = CEchoResponse(message_id_being_responded_to=7, status=0x0110)
    raw = encode_command(response) + element(0x0902, b" " + b"x" * 63 + b" " + b"y" * 500)
    assert decode_command(raw).error_comment == "x" * 63


def test_a_uid_may_hold_letters_because_some_do():
    data = echo_request().replace(b"1.2.840.10008.1.1\0", b"1.2.840.10008.A-_\0")
    assert decode_command(data).affected_sop_class_uid == "1.2.840.10008.A-_"


def test_the_failed_instances_that_orthanc_puts_into_the_command_set_are_skipped_unread():
    foreign = element(0x0000, b"\x0c\0\0\0", group=8) + element(0x0058, b"1.2\0", group=8)
    assert decode_command(echo_request() + foreign) == decode_command(echo_request())
    with pytest.raises(PeerProtocolError, match="occurs twice"):
        decode_command(echo_request() + foreign + foreign)


# --- refused ---


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "Command Field: is missing"),
        (b"\0\0\0\0\4\0\0", "ends inside an element header"),
        (element(0x0100, us(0x0030))[:-1], r"\(0000,0100\): is longer than the command set"),
        (struct.pack("<HHI", 0, 2, 0xFFFFFFFF), r"\(0000,0002\): is longer"),
        (element(0x0010, b"NAME", group=0x0010), r"\(0010,0010\): is not of group 0000"),
        (echo_request(element(0x0110, us(8))), r"\(0000,0110\): occurs twice"),
        (echo_request(command_field=us(0x0031)), "0x0031 names no message"),
        (echo_request(command_field=b"\x30"), "Command Field: has 1 bytes, not 2"),
        (echo_request(command_field=b""), "Command Field: is missing"),
        (echo_request(data_set_type=b""), "Command Data Set Type: is missing"),
        (echo_request(data_set_type=us(1) * 2), "Command Data Set Type: has 4 bytes"),
        (echo_request().replace(element(0x0110, us(7)), b""), "message id: is missing"),
        (echo_request()[:26], "Command Field: is missing"),
        (echo_request().replace(b"1.2.840.10008.1.1\0", b" " * 18), "sop class uid: is missing"),
        (echo_request().replace(b"1.2.840.10008.1.1\0", b"1.2.840/../1.1.1\0\0"), "no UID has"),
        (echo_request().replace(b"1.2.840.10008.1.1\0", b"1.2.840.10008.\n1\0\0"), "no UID has"),
        (echo_request().replace(b"1.2.840.10008.1.1\0", b"..".ljust(18, b"\0")), "no UID has"),
        (echo_request().replace(b"1.2.840.10008.1.1\0", b"\xe9".ljust(18, b"\0")), "no UID has"),
        (
            element(0x0002, b"1." + b"2" * 63) + echo_request()[26:],
            "has 65 bytes, more than 64",
        ),
    ],
)
def test_what_the_standard_forbids_is_refused(data, complaint):
    with pytest.raises(PeerProtocolError, match=complaint):
        decode_command(data)


def test_a_title_longer_than_16_bytes_is_refused():
    request = CMoveRequest(message_id=1, affected_sop_class_uid="1.2", move_destination="X" * 16)
    data = encode_command(request)
    assert decode_command(data) == request
    with pytest.raises(PeerProtocolError, match="move destination: has 17 bytes, more than 16"):
        decode_command(data.replace(element(0x0600, b"X" * 16), element(0x0600, b"X" * 17 + b" ")))


def test_a_list_of_tags_is_whole():
    request = NGetRequest(
        message_id=1,
        requested_sop_class_uid="1.2",
        requested_sop_instance_uid="1.3",
        attribute_identifier_list=(0x00100010,),
    )
    data = encode_command(request)
    assert decode_command(data) == request
    broken = data.replace(element(0x1005, b"\x10\0\x10\0"), element(0x1005, b"\x10\0"))
    with pytest.raises(PeerProtocolError, match="attribute identifier list: has 2 bytes"):
        decode_command(broken)


def test_bounds_hold():
    with pytest.raises(PeerProtocolError, match="longer than 40 bytes"):
        decode_command(echo_request(), Limits(command_set_bytes=40))
    with pytest.raises(PeerProtocolError, match="more than 3 elements"):
        decode_command(echo_request(), Limits(command_elements=3))
    assert decode_command(echo_request(), Limits(command_elements=4)) == ECHO


def test_no_refusal_repeats_what_the_peer_wrote():
    canary = b"CANARY^PATIENT"
    for data in (
        element(0x0010, canary, group=0x0010),
        element(0x0002, canary + b"/") + echo_request()[26:],
        element(0x0002, canary * 8) + echo_request()[26:],
    ):
        with pytest.raises(PeerProtocolError) as caught:
            decode_command(data)
        assert "CANARY" not in str(caught.value)


# --- our own mistakes ---


@pytest.mark.parametrize(
    "command",
    [
        CEchoRequest(message_id=0x10000, affected_sop_class_uid="1.2"),
        CEchoRequest(message_id=-1, affected_sop_class_uid="1.2"),
        CEchoRequest(message_id=1, affected_sop_class_uid=""),
        CEchoRequest(message_id=1, affected_sop_class_uid="1." + "2" * 63),
        CEchoRequest(message_id=1, affected_sop_class_uid="1.2/3"),
        CEchoRequest(message_id=1, affected_sop_class_uid="é"),
        CMoveRequest(message_id=1, affected_sop_class_uid="1.2", move_destination="X" * 17),
        CMoveRequest(message_id=1, affected_sop_class_uid="1.2", move_destination="É"),
        CMoveRequest(message_id=1, affected_sop_class_uid="1.2", move_destination="A\n"),
        CEchoResponse(message_id_being_responded_to=1, status=0, error_comment="x" * 65),
        CEchoResponse(message_id_being_responded_to=1, status=0, offending_element=(1 << 32,)),
    ],
)
def test_what_an_element_cannot_carry_is_our_own_error(command):
    with pytest.raises(LocalProtocolError):
        encode_command(command)


def test_a_cancel_needs_nothing_but_the_message_it_cancels():
    cancel = CCancelRequest(message_id_being_responded_to=5)
    assert encode_command(cancel) == (
        element(0x0000, struct.pack("<I", 30))
        + element(0x0100, us(0x0FFF))
        + element(0x0120, us(5))
        + element(0x0800, us(0x0101))
    )


def test_absent_counters_are_not_sent_and_zero_is():
    response = CGetResponse(
        message_id_being_responded_to=1, status=0, number_of_failed_suboperations=0
    )
    data = encode_command(response)
    assert element(0x1022, us(0)) in data
    assert b"\0\0\x21\x10" not in data
    assert decode_command(data).number_of_completed_suboperations is None


# --- borrowed bytes (promise 2) ---


def failed_find(*more: bytes) -> bytes:
    """A C-FIND response that failed, with further elements behind."""
    response = CFindResponse(message_id_being_responded_to=1, status=0xC000)
    return encode_command(response) + b"".join(more)


COMMENT = bytes.fromhex("0000 0209 06000000") + b"CANARY"
UNDEFINED = bytes.fromhex("0000 1040 06000000") + b"CANARY"


@pytest.mark.parametrize(
    ("command_set", "expected"),
    [
        (failed_find(), False),
        (failed_find(COMMENT), True),
        (failed_find(UNDEFINED), True),
        (failed_find(b"\0\0\2"), False),
        (b"", False),
    ],
    ids=["plain", "comment", "undefined", "cut", "empty"],
)
def test_free_text_is_seen_from_the_headers(command_set, expected):
    assert has_free_text(command_set) is expected
    assert has_free_text(memoryview(command_set)) is expected


def test_free_text_of_a_borrowed_command_stays_unread():
    raw = failed_find(COMMENT, UNDEFINED)
    assert decode_command(raw).error_comment == "CANARY"
    borrowed = decode_command(memoryview(bytearray(raw)))
    assert borrowed == CFindResponse(message_id_being_responded_to=1, status=0xC000)


def test_free_text_twice_is_refused_in_borrowed_bytes_too():
    with pytest.raises(PeerProtocolError, match="occurs twice"):
        decode_command(memoryview(bytearray(failed_find(COMMENT, COMMENT))))
