"""ZGrab2's lines give the doors whose protocol was spoken; what was said there is not read."""

import json
from datetime import UTC, datetime

import pytest

from doorward.audit.imports.sighting import Sighting
from doorward.audit.imports.zgrab2 import read
from imported import PATIENT, json_lines, result_of
from loopback import limits


def module(protocol: str, status: str = "success", **more: object) -> dict[str, object]:
    """What one module writes (ScanResponse of module.go)."""
    answer = {
        "status": status,
        "protocol": protocol,
        "result": {"response": {"body": PATIENT, "headers": {"x": [PATIENT]}}},
        "timestamp": "2026-05-01T12:00:00+02:00",
        "error": PATIENT,
    }
    return answer | more


HOST = {
    "ip": "192.0.2.1",
    "domain": "pacs.example",
    "data": {
        "http": module("http", port=8042),
        "web": module("http", port=443),
        "tls": module("tls", port=2762),
        "ssh": module("ssh", "connection-refused", port=22),
        "ftp": module("ftp", "io-timeout", port=21),
        "ntp": module("ntp", port=123),
    },
}
SEEN = "2026-05-01T10:00:00+00:00"
EXPECTED = [
    Sighting(host="192.0.2.1", port=8042, source="zgrab2", seen_at=SEEN, service="http"),
    Sighting(host="192.0.2.1", port=443, source="zgrab2", seen_at=SEEN, service="http"),
    Sighting(
        host="192.0.2.1", port=2762, source="zgrab2", seen_at=SEEN, is_tls=True, service="tls"
    ),
]
OLDER = [
    {"ip": f"192.0.2.{n}", "data": {"http": module("http") | {"x": PATIENT}}} for n in (1, 2, 3)
]
THREE = [("192.0.2.1", 104), ("192.0.2.2", 104), ("192.0.2.3", 104)]


@pytest.mark.parametrize("port", [None, 9])
def test_modules_that_succeeded_are_doors_and_their_results_are_not_read(port):
    result = result_of(read, json_lines(HOST), port=port)
    assert result.error is None
    assert result.items == EXPECTED
    assert PATIENT not in result.words


def test_older_versions_take_the_port_that_the_operator_says():
    result = result_of(read, json_lines(*OLDER), port=104)
    assert result.error is None
    assert result.doors == THREE


def test_older_versions_without_a_port_ask_for_it():
    silent = HOST | {"data": {"ssh": module("ssh", "connection-timeout")}}
    result = result_of(read, json_lines(silent, *OLDER))
    assert result.items == []
    assert str(result.error) == "scan.file:2: does not say which port was asked"
    assert result.error.hint == "Say it with --port, for example --port 443."


def test_a_host_without_an_address_is_its_name():
    named = HOST | {"ip": "", "domain": "PACS.example"}
    assert {host for host, _ in result_of(read, json_lines(named)).doors} == {"pacs.example"}


# --- broken -------------------------------------------------------------------------------------------------------------


def test_a_file_cut_off_in_a_record_gives_the_records_before():
    result = result_of(read, json_lines(*OLDER)[:-30], port=104)
    assert result.error is None
    assert result.doors == THREE[:2]
    assert result.skipped == [(3, "the record is cut off: the file ends in it")]
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ip": 7}, "ip is no text"),
        ({"ip": PATIENT}, "ip is no IP address"),
        ({"ip": None}, "ip is missing"),
        ({"ip": None, "domain": f"{PATIENT}/"}, "domain is no host name"),
        ({"data": {"http": module("http", port=PATIENT)}}, "port is no port from 1 to 65535"),
        ({"data": {"http": module("http", port=[104])}}, "port is no port"),
    ],
)
def test_a_wrong_value_costs_its_door_only(changes, reason):
    result = result_of(read, json_lines(OLDER[0], OLDER[1] | changes, OLDER[2]), port=104)
    assert result.error is None
    assert result.doors == [THREE[0], THREE[2]]
    assert result.skipped == [(2, reason)]
    assert PATIENT not in result.words


def test_a_wrong_port_of_one_module_leaves_the_others():
    data = HOST["data"] | {"http": module("http", port=0)}
    result = result_of(read, json_lines(HOST | {"data": data}))
    assert [item for item in result.items if isinstance(item, Sighting)] == EXPECTED[1:]
    assert result.skipped == [(1, "port is no port from 1 to 65535")]


@pytest.mark.parametrize("data", [None, [], "x", 7, {"http": None}, {"http": [PATIENT]}])
def test_data_of_another_type_has_no_door(data):
    result = result_of(read, json_lines(HOST | {"data": data}))
    assert (result.items, result.error) == ([], None)


def test_a_long_protocol_is_no_hint():
    odd = HOST | {"data": {"my module": module(PATIENT, port=104)}}
    [seen] = result_of(read, json_lines(odd)).items
    assert seen.service == ""


def test_garbage_between_records_costs_only_itself():
    first, *others = (json_lines(record).encode() for record in OLDER)
    content = first + b"\x00\xff\xfe" + PATIENT.encode() + b"\n" + b"".join(others)
    result = result_of(read, content, port=104)
    assert result.doors == THREE
    assert result.skipped == [(2, "the record is no JSON object")]
    assert PATIENT not in result.words


def test_hostile_depth_and_size_cost_only_themselves():
    deep = '{"data":' * 100_000 + "\n"
    long = json.dumps(HOST | {"data": {"http": module("http", result="x" * 4_200_000)}}) + "\n"
    content = json_lines(OLDER[0]) + deep + json_lines(OLDER[1]) + long + json_lines(OLDER[2])
    result = result_of(read, content, port=104)
    assert result.doors == THREE
    assert result.skipped == [
        (2, "the record is nested too deeply"),
        (4, "the record is longer than 4,194,304 bytes"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "\ufeff".encode("utf-16-be") + json_lines(HOST).encode("utf-16-be"),
            "is UTF-16, not UTF-8",
        ),
        (
            "192.0.2.1\n192.0.2.2\n",
            "holds no record that can be read: the record is no JSON object",
        ),
        (b"\x89PNG\r\n\x1a\n", "holds no record that can be read: the record is no JSON object"),
    ],
    ids=["utf-16", "addresses", "binary"],
)
def test_another_file_is_refused_with_its_line(content, words):
    result = result_of(read, content, port=104)
    assert result.doors == []
    assert str(result.error).startswith(f"scan.file:1: {words}")


def test_a_mark_of_utf8_does_not_matter():
    assert result_of(read, "\ufeff" + json_lines(HOST)).items == EXPECTED


def test_too_many_records_of_another_kind_are_another_format():
    result = result_of(read, '{"ip": "192.0.2.1"}\n' * 4, limits=limits(import_bad_rows=3))
    assert [line for line, _ in result.skipped] == [1, 2, 3]
    words = "4 rows in a row cannot be used; the last: data is missing"
    assert str(result.error) == f"scan.file:4: {words}"


def test_what_is_too_old_is_skipped():
    oldest = datetime(2026, 5, 1, 10, 0, 1, tzinfo=UTC)
    result = result_of(read, json_lines(HOST), oldest=oldest)
    assert result.doors == []
    assert len(result.skipped) == 3
