"""naabu's JSON lines: today's and those of 2022, and what a broken file comes to."""

import pytest

from doorward.audit.imports.naabu import read
from doorward.audit.imports.sighting import Sighting
from doorward.limits import Limits
from imported import PATIENT, json_lines, result_of

RESULT = {
    "host": "pacs.example",
    "ip": "192.0.2.1",
    "timestamp": "2026-05-01T10:20:30.123456789Z",
    "port": 104,
    "protocol": "tcp",
    "tls": False,
    "name": PATIENT,
    "product": PATIENT,
    "cdn-name": PATIENT,
    "cpes": [PATIENT],
}
SEEN = Sighting(host="192.0.2.1", port=104, source="naabu", seen_at="2026-05-01T10:20:30+00:00")


def test_a_result_is_a_sighting_of_the_address() -> None:
    result = result_of(read, json_lines(RESULT))
    assert result.items == [SEEN]
    assert PATIENT not in result.words


def test_a_result_without_an_address_is_a_sighting_of_the_name() -> None:
    result = result_of(read, json_lines({"host": "PACS.Example", "port": 104}))
    assert result.doors == [("pacs.example", 104)]


def test_the_port_may_be_an_object_as_in_2022() -> None:
    ports = [
        {"Port": 2762, "Protocol": 0, "TLS": True},
        {"Port": 161, "Protocol": 1, "TLS": False},
    ]
    result = result_of(read, json_lines(*({"ip": "192.0.2.1", "port": port} for port in ports)))
    assert [(i.port, i.is_tls) for i in result.items if isinstance(i, Sighting)] == [(2762, True)]


def test_udp_is_no_door() -> None:
    assert result_of(read, json_lines(RESULT | {"protocol": "udp"})).items == []


def test_a_content_delivery_network_is_skipped_unless_it_is_wanted() -> None:
    content = json_lines(RESULT | {"cdn": True, "cdn-name": PATIENT}, RESULT | {"cdn": False})
    result = result_of(read, content)
    assert result.skipped == [(1, "cdn: is a content delivery network")]
    assert result.items[1:] == [SEEN]
    assert result_of(read, content, with_cdn=True).items == [SEEN, SEEN]
    assert PATIENT not in result.words


# --- broken in five ways ----------------------------------------------------------------------------------------------


def test_a_file_that_was_cut_off_gives_what_was_whole() -> None:
    result = result_of(read, json_lines(RESULT, RESULT)[:-9])
    assert result.items[0] == SEEN
    assert result.skipped == [(2, "the record is cut off: the file ends in it")]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"ip": 7}, "ip is no text"),
        ({"ip": "1.2.3"}, "ip is no IP address"),
        ({"ip": "", "host": None}, "host is missing"),
        ({"port": PATIENT}, "port is no port from 1 to 65535"),
        ({"port": {"Port": None}}, "port is missing"),
        ({"port": True}, "port is no port"),
    ],
)
def test_a_wrong_value_skips_the_line_and_no_other(wrong: dict[str, object], reason: str) -> None:
    result = result_of(read, json_lines(RESULT | wrong, RESULT))
    assert result.skipped == [(1, reason)]
    assert result.items[1:] == [SEEN]
    assert PATIENT not in result.words


def test_garbage_between_the_lines_is_skipped() -> None:
    content = json_lines(RESULT).encode()
    result = result_of(read, content + b"\x00\xffprogress: " + PATIENT.encode() + b"\n" + content)
    assert result.items[0] == result.items[2] == SEEN
    assert result.skipped == [(2, "the record is no JSON object")]
    assert PATIENT not in result.words


def test_a_hundred_useless_lines_in_a_row_are_another_format() -> None:
    result = result_of(read, json_lines(*({"a": PATIENT} for _ in range(101))))
    assert result.error is not None
    assert result.error.line == 101
    assert "101 rows in a row cannot be used" in str(result.error)
    assert PATIENT not in result.words


def test_a_line_that_is_too_long_is_skipped_and_a_byte_order_mark_does_no_harm() -> None:
    content = json_lines(RESULT | {"name": PATIENT * 20_000}, RESULT)
    result = result_of(read, content, limits=Limits(import_record_bytes=100_000))
    assert result.doors == [("192.0.2.1", 104)]
    assert result.skipped == [(1, "the record is longer than 100,000 bytes")]
    assert result_of(read, b"\xef\xbb\xbf" + json_lines(RESULT).encode()).items == [SEEN]
