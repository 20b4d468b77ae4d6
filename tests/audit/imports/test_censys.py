"""Censys' exports of both generations, as JSON and as tables; and what a broken file comes to."""

import json

import pytest

from doorward.audit.imports.censys import is_column, is_service_column, read
from doorward.audit.imports.sighting import Sighting
from doorward.audit.place import Place
from doorward.limits import Limits
from imported import PATIENT, json_lines, result_of

PLACE = Place(country="US", network_operator="EXAMPLE-AS")
#: A host as the Search v2 interface gives it.
LEGACY = {
    "ip": "192.0.2.1",
    "name": PATIENT,
    "services": [
        {
            "port": 104,
            "transport_protocol": "TCP",
            "service_name": "DICOM",
            "extended_service_name": "DICOM",
            "observed_at": "2026-05-01T10:20:30.123Z",
            "banner": PATIENT,
            "dicom": {"patient": PATIENT},
            "software": [{"product": PATIENT}],
        },
        {
            "port": 8443,
            "transport_protocol": "TCP",
            "service_name": "HTTP",
            "extended_service_name": "HTTPS",
            "http": {"response": {"body": PATIENT, "html_title": PATIENT}},
        },
        {"port": 161, "transport_protocol": "UDP", "service_name": "SNMP"},
    ],
    "location": {"country_code": "us", "city": PATIENT},
    "autonomous_system": {"asn": 64500, "name": "EXAMPLE-AS", "description": PATIENT},
    "dns": {"names": [PATIENT]},
    "last_updated_at": "2026-05-02T00:00:00.000Z",
}
LEGACY_SEEN = [
    Sighting(
        host="192.0.2.1",
        port=104,
        source="censys",
        seen_at="2026-05-01T10:20:30+00:00",
        service="dicom",
        place=PLACE,
    ),
    Sighting(
        host="192.0.2.1",
        port=8443,
        source="censys",
        seen_at="2026-05-02T00:00:00+00:00",
        is_tls=True,
        service="http",
        place=PLACE,
    ),
]
#: The same of the Platform: everything below "host".
PLATFORM = {
    "host": {
        "ip": "2001:db8::7",
        "services": [
            {
                "port": 2762,
                "protocol": "DICOM",
                "transport_protocol": "tcp",
                "scan_time": "2026-05-03T01:02:03Z",
                "tls": {"version_selected": "tls1_3", "presented": PATIENT},
                "banner": PATIENT,
            },
            {"port": 443, "protocol": "HTTP", "transport_protocol": "quic"},
        ],
        "location": {"country_code": "US"},
        "autonomous_system": {"name": "EXAMPLE-AS"},
    }
}
PLATFORM_SEEN = Sighting(
    host="2001:db8::7",
    port=2762,
    source="censys",
    seen_at="2026-05-03T01:02:03+00:00",
    is_tls=True,
    service="dicom",
    place=PLACE,
)


@pytest.mark.parametrize(
    "content",
    [
        json_lines(LEGACY),
        json.dumps([LEGACY], indent=4),
        json.dumps({"code": 200, "status": "OK", "result": {"query": PATIENT, "hits": [LEGACY]}}),
        json.dumps({"code": 200, "result": LEGACY}, indent=1),
    ],
)
def test_a_legacy_host_is_one_sighting_for_each_service_over_tcp(content: str) -> None:
    result = result_of(read, content)
    assert result.items == LEGACY_SEEN
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    "content",
    [
        json_lines(PLATFORM),
        json.dumps([PLATFORM], indent=2),
        json_lines({"result": {"hits": [{"host_v1": {"resource": PLATFORM["host"]}}]}}),
        json_lines({"result": {"resource": PLATFORM["host"]}}),
        json_lines(PLATFORM["host"]),
    ],
)
def test_a_platform_host_is_read_however_it_is_wrapped(content: str) -> None:
    result = result_of(read, content)
    assert result.items == [PLATFORM_SEEN]
    assert PATIENT not in result.words


def test_both_generations_in_one_file() -> None:
    assert result_of(read, json_lines(LEGACY, PLATFORM)).items == [*LEGACY_SEEN, PLATFORM_SEEN]


def test_an_empty_export_is_a_search_that_found_nothing() -> None:
    assert (result_of(read, "").items, result_of(read, "[]").items) == ([], [])
    assert result_of(read, json_lines({"result": {"hits": []}})).items == []


# --- tables -----------------------------------------------------------------------------------------------------------

COLUMNS = (
    "host.ip,host.location.country_code,host.autonomous_system.name,host.services.port,"
    "host.services.protocol,host.services.transport_protocol,host.services.banner,host.dns.names"
)


def test_a_table_has_dotted_headers_and_a_row_for_each_service() -> None:
    row = f'192.0.2.1,US,EXAMPLE-AS,104,DICOM,tcp,"{PATIENT}\n{PATIENT}",{PATIENT}\n'
    other = "192.0.2.2,de,,161,SNMP,udp,,\n192.0.2.3,xx,,11112,,,,\n"
    result = result_of(read, f"\ufeff{COLUMNS}\n{row}{other}")
    assert result.items == [
        Sighting(host="192.0.2.1", port=104, source="censys", service="dicom", place=PLACE),
        Sighting(host="192.0.2.3", port=11112, source="censys"),
    ]
    assert PATIENT not in result.words


def test_a_cell_may_hold_several_services() -> None:
    header = "ip;services.port;services.service_name;services.transport_protocol\n"
    rows = (
        '192.0.2.1;[104, 161, 443];"DICOM, SNMP, HTTP";TCP|UDP|TCP\n192.0.2.2;"104, 4242";DICOM;\n'
    )
    result = result_of(read, header + rows)
    assert [(i.host, i.port, i.service) for i in result.items if isinstance(i, Sighting)] == [
        ("192.0.2.1", 104, "dicom"),
        ("192.0.2.1", 443, "http"),
        ("192.0.2.2", 104, ""),
        ("192.0.2.2", 4242, ""),
    ]


def test_services_may_have_numbered_columns() -> None:
    header = (
        "ip,services[0].port,services[0].transport_protocol,services.1.port,services.1.protocol\n"
    )
    result = result_of(read, header + "192.0.2.1,104,TCP,8042,HTTP\n192.0.2.2,104,UDP,,\n")
    assert result.doors == [("192.0.2.1", 104), ("192.0.2.1", 8042)]


def test_the_columns_that_are_read_are_known_by_name() -> None:
    assert is_column("ip")
    assert is_column("Host.IP")
    assert not is_column("services.banner")
    assert is_service_column("host.services.12.port")
    assert not is_service_column("ip")


# --- broken in more than five ways ------------------------------------------------------------------------------------


def test_an_array_that_was_cut_off_gives_what_was_whole() -> None:
    content = json.dumps([LEGACY, PLATFORM], indent=2)
    result = result_of(read, content[:-60])
    assert result.items[:2] == LEGACY_SEEN
    assert [reason for _, reason in result.skipped] == [
        "the record is cut off: the file ends in it"
    ]
    assert result.error is None
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"ip": PATIENT}, "ip is no IP address"),
        ({"ip": {"x": PATIENT}}, "ip is no text"),
        ({"services": None}, "services is missing"),
        ({"services": {"x": PATIENT}}, "services is no list"),
        ({"services": [{"port": PATIENT}]}, "services.port is no port from 1 to 65535"),
        ({"services": [PATIENT]}, "services.port is missing"),
    ],
)
def test_a_host_with_a_wrong_value_is_skipped_and_the_next_is_read(
    wrong: dict[str, object], reason: str
) -> None:
    result = result_of(read, json_lines(LEGACY | wrong, PLATFORM))
    assert result.skipped == [(1, reason)]
    assert result.items[1:] == [PLATFORM_SEEN]
    assert PATIENT not in result.words


def test_one_wrong_service_does_not_cost_the_others() -> None:
    services = [{"port": 0}, *LEGACY["services"]]
    result = result_of(read, json_lines(LEGACY | {"services": services}))
    assert result.skipped == [(1, "services.port is no port from 1 to 65535")]
    assert result.items[1:] == LEGACY_SEEN


def test_strange_surroundings_cost_only_themselves() -> None:
    strange = {"location": [7], "autonomous_system": PATIENT, "last_updated_at": {"x": 1}}
    result = result_of(read, json_lines(LEGACY | strange))
    assert result.doors == [("192.0.2.1", 104), ("192.0.2.1", 8443)]
    assert PATIENT not in result.words


def test_binary_garbage_is_no_table_and_no_json() -> None:
    result = result_of(read, b"\x89PNG\r\n\x1a\n\x00\x00" + PATIENT.encode() * 9)
    assert result.items == []
    assert result.error is not None
    assert result.error.line == 1
    assert PATIENT not in result.words


def test_a_table_without_addresses_is_an_error_with_its_line() -> None:
    result = result_of(read, f"services.port,{PATIENT}\n104,x\n")
    assert str(result.error) == (
        "scan.file:1: has no column for the address: its header would be ip or host.ip"
    )


def test_a_host_that_is_too_long_or_too_deep_is_skipped() -> None:
    long = LEGACY | {"dns": PATIENT * 20_000}
    limits = Limits(import_record_bytes=100_000)
    result = result_of(read, json_lines(long, PLATFORM), limits=limits)
    assert result.skipped == [(1, "the record is longer than 100,000 bytes")]
    assert result.items[1:] == [PLATFORM_SEEN]
    deep = '{"ip": ' + "[" * 100_000 + "\n"
    result = result_of(read, deep + json_lines(PLATFORM))
    assert result.skipped == [(1, "the record is nested too deeply")]
    assert result.items[1:] == [PLATFORM_SEEN]


def test_a_byte_order_mark_does_no_harm() -> None:
    assert result_of(read, b"\xef\xbb\xbf" + json_lines(LEGACY).encode()).items == LEGACY_SEEN


def test_a_broken_row_of_a_table_is_skipped_with_its_line() -> None:
    rows = f'192.0.2.1,"104"{PATIENT}\n192.0.2.2,104\n'
    result = result_of(read, "ip,services.port\n" + rows)
    assert result.skipped == [(2, "the row is no CSV: see its quotes")]
    assert result.doors == [("192.0.2.2", 104)]
    assert PATIENT not in result.words
