"""masscan's JSON gives its open TCP ports, in every layout it ever had; banners give nothing but their kind."""

import json
from datetime import UTC, datetime

import pytest

from doorward.audit.imports.masscan import read
from doorward.audit.imports.sighting import Sighting
from imported import PATIENT, result_of
from loopback import limits
from measures import import_stream


def status(ip: str, port: int | str, **changes: object) -> dict[str, object]:
    """What out-json.c writes for a port."""
    door = {"port": port, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 53}
    return {"ip": ip, "timestamp": "1573000000", "ports": [door | changes]}


def banner(ip: str, port: int, kind: str) -> dict[str, object]:
    """What out-json.c writes for a banner."""
    door = {"port": port, "proto": "tcp", "service": {"name": kind, "banner": PATIENT}}
    return {"ip": ip, "timestamp": "1573000060", "ports": [door]}


RECORDS = [
    status("192.0.2.1", 104),
    banner("192.0.2.1", 104, "unknown"),
    status("192.0.2.2", 2762),
    banner("192.0.2.2", 2762, "X509"),
    status("192.0.2.3", 161, proto="udp"),
    status("192.0.2.4", 104, status="closed", reason="rst"),
    status("2001:db8::5", 11112, status="open"),
]
SEEN, LATER = "2019-11-06T00:26:40+00:00", "2019-11-06T00:27:40+00:00"
EXPECTED = [
    Sighting(host="192.0.2.1", port=104, source="masscan", seen_at=SEEN),
    Sighting(host="192.0.2.1", port=104, source="masscan", seen_at=LATER, service="unknown"),
    Sighting(host="192.0.2.2", port=2762, source="masscan", seen_at=SEEN),
    Sighting(
        host="192.0.2.2", port=2762, source="masscan", seen_at=LATER, is_tls=True, service="x509"
    ),
    Sighting(host="2001:db8::5", port=11112, source="masscan", seen_at=SEEN),
]
#: One record per line with the comma before the next, as masscan 1.3 has it.
LINES = [json.dumps(record) + "\n" for record in RECORDS]
WHOLE = "[\n" + ",\n".join(LINES) + "]\n"


@pytest.mark.parametrize(
    "content",
    [
        WHOLE,
        "[\n" + "".join(line.rstrip() + ",\n" for line in LINES) + "{finished: 1}\n]\n",
        "[\n" + "".join(line.rstrip() + ",\n" for line in LINES) + "]\n",
        ",\n".join(LINES),
        WHOLE.removesuffix("]\n"),
        json.dumps(RECORDS, indent=2),
        json.dumps(RECORDS, separators=(",", ":")),
        "".join(LINES),
        "\ufeff" + WHOLE.replace("\n", "\r\n"),
    ],
    ids=[
        "as 1.3 writes it",
        "as 1.0.3 writes it",
        "comma too many",
        "no brackets",
        "bracket missing",
        "jq",
        "jq -c",
        "jq -c .[]",
        "from Windows",
    ],
)
def test_every_layout_gives_the_open_tcp_ports(content):
    result = result_of(read, content)
    assert result.error is None
    assert result.items == EXPECTED
    assert PATIENT not in result.words


def test_one_object_per_line_gives_the_same():
    def flat(record: dict) -> dict[str, object]:
        door = record["ports"][0]
        common = {"ip": record["ip"], "timestamp": record["timestamp"], "port": door["port"]}
        if "service" in door:
            kind = {"service_name": door["service"]["name"], "banner": PATIENT}
            return common | {"proto": "tcp", "rec_type": "banner", "data": kind}
        found = {"status": door["status"], "reason": door["reason"], "ttl": 53}
        return common | {"proto": door["proto"], "rec_type": "status", "data": found}

    content = "".join(json.dumps(flat(record)) + "\n" for record in RECORDS)
    result = result_of(read, content)
    assert result.items == EXPECTED
    assert PATIENT not in result.words


def test_a_record_may_hold_several_ports():
    record = status("192.0.2.1", 104)
    record["ports"] += status("192.0.2.1", 4242)["ports"]
    assert result_of(read, json.dumps([record])).doors == [("192.0.2.1", 104), ("192.0.2.1", 4242)]


@pytest.mark.parametrize("content", ["", "[\n]\n", "[\n{finished: 1}\n]\n"])
def test_a_scan_that_found_nothing_is_no_error(content):
    result = result_of(read, content)
    assert (result.items, result.error) == ([], None)


# --- broken -------------------------------------------------------------------------------------------------------------


def test_a_file_cut_off_in_a_record_gives_the_records_before():
    result = result_of(read, WHOLE[: WHOLE.index("X509")])
    assert result.error is None
    assert result.items[:-1] == EXPECTED[:3]
    assert result.skipped == [(8, "the record is cut off: the file ends in it")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ip": None}, "ip is missing"),
        ({"ip": 3_221_225_985}, "ip is no text"),
        ({"ip": PATIENT}, "ip is no IP address"),
        ({"ip": "192.0.2.1/24"}, "ip is no IP address"),
        ({"ports": [{"port": PATIENT, "proto": "tcp", "status": "open"}]}, "port is no port from"),
        ({"ports": [{"proto": "tcp", "status": "open"}]}, "port is missing"),
        ({"port": 70_000}, "port is no port from 1 to 65535"),
    ],
)
def test_a_wrong_value_costs_its_record_only(changes, reason):
    content = ",\n".join(json.dumps(r) for r in (RECORDS[0], RECORDS[2] | changes, RECORDS[6]))
    result = result_of(read, f"[\n{content}\n]\n")
    assert result.doors == [("192.0.2.1", 104), ("2001:db8::5", 11112)]
    [(line, words)] = result.skipped
    assert line == 3
    assert words.startswith(reason)
    assert PATIENT not in result.words


def test_records_of_another_tool_say_what_they_lack():
    result = result_of(read, '{"ip": "192.0.2.1", "data": {"http": {}}}\n')
    assert result.skipped == [(1, "ports is missing")]


def test_garbage_between_records_costs_only_itself():
    content = WHOLE.encode().replace(b",\n{", b",\n\x00\xff" + PATIENT.encode() + b"\n{", 2)
    result = result_of(read, content)
    assert [item for item in result.items if isinstance(item, Sighting)] == EXPECTED
    assert result.skipped == [
        (4, "the record is no JSON object"),
        (7, "the record is no JSON object"),
    ]
    assert PATIENT not in result.words


def test_hostile_depth_and_size_cost_only_themselves():
    deep = '{"ip": ' + "[" * 100_000
    long = json.dumps(RECORDS[0] | {"banner": "x" * 4_200_000})
    result = result_of(read, f"[\n{LINES[0]},\n{deep}\n,\n{long}\n,\n{LINES[2]}]\n")
    assert result.doors == [("192.0.2.1", 104), ("192.0.2.2", 2762)]
    assert result.skipped == [
        (4, "the record is nested too deeply"),
        (6, "the record is longer than 4,194,304 bytes"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"\ufeff{WHOLE}".encode("utf-16-le"), ":1: is UTF-16, not UTF-8 text"),
        (
            "#masscan\nopen tcp 104 192.0.2.1 1573000000\n# end\n",
            ":1: holds no record that can be read: the record is no JSON object",
        ),
        (b"\x00" * 1_000, ":1: holds no record that can be read: the record is no JSON object"),
    ],
    ids=["utf-16", "masscan -oL", "nothing but NUL"],
)
def test_another_file_is_refused_with_its_line(content, words):
    result = result_of(read, content)
    assert result.doors == []
    assert str(result.error) == f"scan.file{words}"


def test_too_many_useless_records_are_another_format():
    result = result_of(read, '{"a": 1}\n' * 4, limits=limits(import_bad_rows=3))
    assert len(result.skipped) == 3
    words = "4 rows in a row cannot be used; the last: ip is missing"
    assert str(result.error) == f"scan.file:4: {words}"


def test_what_is_too_old_is_skipped():
    oldest = datetime(2019, 11, 6, 0, 27, tzinfo=UTC)
    result = result_of(read, WHOLE, oldest=oldest)
    assert [i for i in result.items if isinstance(i, Sighting)] == [EXPECTED[1], EXPECTED[3]]
    assert len(result.skipped) == 3


def test_sixty_megabytes_are_read_in_a_process_that_stays_below_sixty():
    few, many = import_stream.passage(6), import_stream.passage(60)
    assert many.doors > 9 * few.doors
    assert many.peak_kib < import_stream.MOST_KIB
    assert many.peak_kib - few.peak_kib < 4 * 1024
