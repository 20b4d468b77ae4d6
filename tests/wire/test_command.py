from dataclasses import FrozenInstanceError, fields

import pytest

from doorward.dicom.tags import keyword_of, vr_of
from doorward.wire import command
from doorward.wire.command import ELEMENTS, CFindResponse, CMoveRequest, Priority, Request, Response

MESSAGES = [*Request.__args__, *Response.__args__]


@pytest.mark.parametrize("name", ELEMENTS)
def test_each_element_has_number_vr_and_keyword_of_the_standard(name):
    number, vr = ELEMENTS[name]
    assert vr_of(number) == vr
    keyword = keyword_of(number).replace("ApplicationEntityTitle", "AETitle")
    assert keyword.lower() == name.replace("_", "")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_each_field_of_each_message_is_an_element(message):
    names = {field.name for field in fields(message)} - {"has_data_set"}
    assert names <= ELEMENTS.keys()


def test_command_fields_are_those_of_the_standard():
    """PS3.7 Table E.1-1, (0000,0100)."""
    assert {message.__name__: message.command_field for message in MESSAGES} == {
        "CStoreRequest": 0x0001,
        "CStoreResponse": 0x8001,
        "CGetRequest": 0x0010,
        "CGetResponse": 0x8010,
        "CFindRequest": 0x0020,
        "CFindResponse": 0x8020,
        "CMoveRequest": 0x0021,
        "CMoveResponse": 0x8021,
        "CEchoRequest": 0x0030,
        "CEchoResponse": 0x8030,
        "NEventReportRequest": 0x0100,
        "NEventReportResponse": 0x8100,
        "NGetRequest": 0x0110,
        "NGetResponse": 0x8110,
        "NSetRequest": 0x0120,
        "NSetResponse": 0x8120,
        "NActionRequest": 0x0130,
        "NActionResponse": 0x8130,
        "NCreateRequest": 0x0140,
        "NCreateResponse": 0x8140,
        "NDeleteRequest": 0x0150,
        "NDeleteResponse": 0x8150,
        "CCancelRequest": 0x0FFF,
    }


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_responses_have_the_high_bit_and_requests_have_not(message):
    assert message.is_request is not bool(message.command_field & 0x8000)
    assert message.is_request is message.__name__.endswith("Request")


def test_an_error_comment_never_shows_in_repr():
    response = CFindResponse(
        message_id_being_responded_to=1, status=0xC000, error_comment="CANARY^NAME not found"
    )
    assert "CANARY" not in repr(response)
    assert "49152" in repr(response)


def test_messages_are_immutable_and_comparable():
    request = CMoveRequest(message_id=1, affected_sop_class_uid="1.2.3", move_destination="THERE")
    assert request.priority == Priority.MEDIUM
    assert request == CMoveRequest(
        message_id=1, affected_sop_class_uid="1.2.3", move_destination="THERE"
    )
    with pytest.raises(FrozenInstanceError):
        request.move_destination = "ELSEWHERE"


def test_nothing_of_the_module_can_print_a_comment_by_another_way():
    holders = [
        cls
        for cls in vars(command).values()
        if isinstance(cls, type) and "error_comment" in getattr(cls, "__dataclass_fields__", {})
    ]
    assert len(holders) > 11
    assert not any(cls.__dataclass_fields__["error_comment"].repr for cls in holders)
