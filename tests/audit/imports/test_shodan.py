"""Shodan's exports: what is taken, what is not looked at, and what a broken file comes to."""

import json
from datetime import UTC, datetime

import pytest

from doorward.audit.imports.shodan import read
from doorward.audit.imports.sighting import Sighting
from doorward.audit.place import Place
from doorward.limits import Limits
from imported import PATIENT, json_lines, result_of

#: A banner as ``shodan download`` writes it; the order of members is Shodan's, which is none.
BANNER = {
    "hash": -1234567,
    "asn": "AS64500",
    "http": {"html": PATIENT, "title": PATIENT, "headers_hash": 1},
    "timestamp": "2026-05-01T10:20:30.123456",
    "isp": "Example Net GmbH",
    "transport": "tcp",
    "_shodan": {"region": "eu", "module": "dicom", "id": PATIENT, "options": {}, "crawler": "x"},
    "data": f"DICOM Server Response:\n{PATIENT}",
    "dicom": {"patients": [PATIENT]},
    "product": PATIENT,
    "version": PATIENT,
    "port": 104,
    "hostnames": [PATIENT],
    "domains": [PATIENT],
    "location": {"city": PATIENT, "country_code": "DE", "country_name": "Germany"},
    "org": "Example Clinic",
    "os": PATIENT,
    "cpe23": [PATIENT],
    "vulns": {PATIENT: {"summary": PATIENT}},
    "tags": [PATIENT],
    "ip": 3221225985,
    "ip_str": "192.0.2.1",
}
SEEN = Sighting(
    host="192.0.2.1",
    port=104,
    source="shodan",
    seen_at="2026-05-01T10:20:30+00:00",
    service="dicom",
    place=Place(country="DE", network_operator="Example Net GmbH"),
)


def test_a_banner_is_a_sighting_and_its_text_is_not_looked_at() -> None:
    result = result_of(read, json_lines(BANNER))
    assert result.items == [SEEN]
    assert result.error is None
    assert PATIENT not in result.words


def test_tls_is_known_where_there_was_some() -> None:
    result = result_of(read, json_lines(BANNER | {"port": 2762, "ssl": {"cert": {"x": PATIENT}}}))
    assert [(i.port, i.is_tls) for i in result.items if isinstance(i, Sighting)] == [(2762, True)]
    assert PATIENT not in result.words


def test_other_transports_are_no_doors() -> None:
    result = result_of(read, json_lines(BANNER | {"transport": "udp"}, BANNER))
    assert result.items == [SEEN]


def test_who_runs_the_network_is_the_isp_else_the_organisation() -> None:
    without = {name: value for name, value in BANNER.items() if name != "isp"}
    (item,) = result_of(read, json_lines(without)).items
    assert isinstance(item, Sighting)
    assert item.place.network_operator == "Example Clinic"


def test_banners_before_the_oldest_time_are_skipped() -> None:
    old = BANNER | {"timestamp": "2019-09-01T00:00:00.000000", "port": 11112}
    undated = {name: value for name, value in BANNER.items() if name != "timestamp"} | {"port": 1}
    oldest = datetime(2026, 1, 1, tzinfo=UTC)
    result = result_of(read, json_lines(old, BANNER, undated), oldest=oldest)
    assert result.doors == [("192.0.2.1", 104), ("192.0.2.1", 1)]
    assert [line for line, _ in result.skipped] == [1]


def test_ipv6_and_addresses_mapped_into_it_are_written_as_one_writes_them() -> None:
    result = result_of(
        read,
        json_lines(BANNER | {"ip_str": "2001:DB8:0:0::7"}, BANNER | {"ip_str": "::ffff:192.0.2.9"}),
    )
    assert result.doors == [("2001:db8::7", 104), ("192.0.2.9", 104)]


# --- broken in more than five ways ------------------------------------------------------------------------------------


def test_a_file_that_was_cut_off_gives_what_was_whole() -> None:
    content = json_lines(BANNER, BANNER)
    result = result_of(read, content[:-30])
    assert result.items[0] == SEEN
    assert result.skipped == [(2, "the record is cut off: the file ends in it")]
    assert result.error is None
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"ip_str": 3221225985}, "ip_str is no text"),
        ({"ip_str": None}, "ip_str is missing"),
        ({"ip_str": PATIENT}, "ip_str is no IP address"),
        ({"ip_str": "224.0.0.1"}, "ip_str is not the address of one system"),
        ({"port": 70000}, "port is no port from 1 to 65535"),
        ({"port": [PATIENT]}, "port is no port"),
    ],
)
def test_a_banner_with_a_wrong_value_is_skipped_and_the_next_is_read(
    wrong: dict[str, object], reason: str
) -> None:
    result = result_of(read, json_lines(BANNER | wrong, BANNER))
    assert result.items[1:] == [SEEN]
    assert result.skipped == [(1, reason)]
    assert PATIENT not in result.words


@pytest.mark.parametrize("name", ["location", "_shodan", "ssl", "timestamp", "isp", "org"])
@pytest.mark.parametrize("value", [None, 7, "", [], {"a": [1]}, True])
def test_a_strange_value_beside_the_door_costs_only_itself(name: str, value: object) -> None:
    result = result_of(read, json_lines(BANNER | {name: value}))
    assert result.doors == [("192.0.2.1", 104)]
    assert result.error is None


def test_a_file_without_a_record_is_an_error_with_its_line() -> None:
    result = result_of(read, b"\x00\xff\xfe\x80" * 50 + PATIENT.encode())
    assert result.doors == []
    assert result.error is not None
    assert (result.error.line, result.error.file) == (1, result.error.file)
    assert "holds no record that can be read" in str(result.error)
    assert PATIENT not in result.words


def test_a_banner_that_is_too_long_or_too_deep_is_skipped() -> None:
    limits = Limits(import_record_bytes=100_000)
    long = BANNER | {"data": PATIENT * 20_000}
    result = result_of(read, json_lines(long, BANNER), limits=limits)
    assert result.doors == [("192.0.2.1", 104)]
    assert result.skipped == [(1, "the record is longer than 100,000 bytes")]
    deep = json.dumps(BANNER)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    result = result_of(read, deep + json_lines(BANNER))
    assert result.doors == [("192.0.2.1", 104)]
    assert result.skipped == [(1, "the record is nested too deeply")]
    assert PATIENT not in result.words


def test_a_byte_order_mark_does_no_harm_and_utf_16_is_refused() -> None:
    content = json_lines(BANNER)
    assert result_of(read, b"\xef\xbb\xbf" + content.encode()).items == [SEEN]
    result = result_of(read, content.encode("utf-16"))
    assert result.error is not None
    assert "UTF-16" in str(result.error)
    assert PATIENT not in result.words


def test_a_network_operator_cannot_play_with_a_terminal_or_fill_a_page() -> None:
    hostile = "\x1b[2J\u202eEvil\nNet" + "x" * 5_000
    (item,) = result_of(read, json_lines(BANNER | {"isp": hostile})).items
    assert isinstance(item, Sighting)
    words = item.place.network_operator
    assert words.isprintable()
    assert len(words) <= Limits().import_text_chars
