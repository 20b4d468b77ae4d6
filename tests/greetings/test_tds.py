"""SQL Server: PRELOGIN as MS-TDS section 4.1 shows it."""

import pytest

from doorward.errors import PeerProtocolError
from doorward.greetings.tds import greet
from doorward.limits import DEFAULT_LIMITS
from greeting_talk import lead

#: MS-TDS section 4.2, "Pre-Login Response": SQL Server 9.0.0 with encryption off.
EXAMPLE = bytes.fromhex(
    "04 01 00 2B 00 00 01 00"
    "00 00 1A 00 06 01 00 20 00 01 02 00 21 00 01 03 00 22 00 00 04 00 22 00 01 FF"
    "09 00 00 00 00 00 01 00 01"
)


def answer(version=(16, 0, 4085), encryption=0):
    major, minor, build = version
    body = bytes.fromhex("00 000b 0006 01 0011 0001 ff")
    body += bytes((major, minor)) + build.to_bytes(2, "big") + bytes(2) + bytes((encryption,))
    return bytes((4, 1)) + (8 + len(body)).to_bytes(2, "big") + bytes(4) + body


def talk(*replies):
    return lead(greet(DEFAULT_LIMITS), *replies)


def test_the_example_of_the_standard_is_understood():
    result = talk(EXAMPLE).result
    assert (result.product, result.version) == ("SQL Server 2005", "9.0.0")
    assert (result.offers_tls, result.demands_tls) == (True, True)


@pytest.mark.parametrize(
    ("encryption", "offers", "demands"),
    ((0, True, False), (1, True, True), (2, False, False), (3, True, True), (9, None, None)),
)
def test_the_encryption_option_says_what_tls_there_is(encryption, offers, demands):
    result = talk(answer(encryption=encryption)).result
    assert (result.offers_tls, result.demands_tls) == (offers, demands)


def test_the_version_names_the_product():
    assert talk(answer((16, 0, 4085))).result.product == "SQL Server 2022"
    assert talk(answer((99, 1, 2))).result.product == "SQL Server"


def test_the_request_is_a_prelogin_without_an_instance_name():
    (said,) = talk(answer()).said
    assert said == bytes.fromhex("12 01 001a 0000 01 0000 000b 0006 01 0011 0001 ff000000000000 00")


@pytest.mark.parametrize(
    "reply",
    (
        b"HTTP/1.1 400",
        bytes.fromhex("04 01 0004 0000 0100"),
        bytes.fromhex("04 01 0009 0000 0100 ff"),  # no options at all
        bytes.fromhex("04 01 000a 0000 0100 00ff"),  # cut off
        bytes.fromhex("04 01 000d 0000 0100 00 ffff 0006"),  # a value outside the packet
        bytes.fromhex("04 01 000d 0000 0100 00 0000 0000"),  # no terminator
    ),
)
def test_another_answer_is_no_sql_server(reply):
    with pytest.raises(PeerProtocolError):
        talk(reply)
