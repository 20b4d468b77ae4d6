"""ZMap's lists give the doors that answered; the port is the file's or the operator's, never guessed."""

import json
from datetime import UTC, datetime

import pytest

from doorward.audit.imports.sighting import Sighting
from doorward.audit.imports.zmap import read
from imported import PATIENT, json_lines, result_of
from loopback import limits

BARE = "192.0.2.1\n192.0.2.2\n192.0.2.3\n"
FIELDS = "saddr,daddr,sport,dport,success,repeat,cooldown,classification,timestamp_str,data"
ROWS = (
    f"192.0.2.1,198.51.100.1,104,40000,1,0,0,synack,2026-05-01T12:00:00.123-0400,{PATIENT}\n"
    f"192.0.2.1,198.51.100.1,104,40000,1,1,0,synack,2026-05-01T12:00:01.123-0400,{PATIENT}\n"
    f"192.0.2.2,198.51.100.1,104,40000,0,0,0,rst,2026-05-01T12:00:02.000-0400,{PATIENT}\n"
    f'192.0.2.3,198.51.100.1,11112,40000,1,0,1,synack,2026-05-01T12:00:03.000-0400,"{PATIENT}, x"\n'
)
TABLE = f"{FIELDS}\n{ROWS}"
EXPECTED = [
    Sighting(host="192.0.2.1", port=104, source="zmap", seen_at="2026-05-01T16:00:00+00:00"),
    Sighting(host="192.0.2.3", port=11112, source="zmap", seen_at="2026-05-01T16:00:03+00:00"),
]
RECORDS = [
    dict(zip(FIELDS.split(","), row.split(",", 9), strict=True))
    | {"sport": int(row.split(",")[2]), "success": int(row.split(",")[4])}
    for row in ROWS.splitlines()
]


def test_bare_addresses_take_the_port_that_the_operator_says():
    result = result_of(read, BARE, port=104)
    assert result.error is None
    assert result.items == [
        Sighting(host=f"192.0.2.{n}", port=104, source="zmap") for n in (1, 2, 3)
    ]


def test_bare_addresses_without_a_port_ask_for_it():
    result = result_of(read, BARE)
    assert result.items == []
    assert str(result.error) == "scan.file:1: does not say which port was scanned"
    assert result.error.hint == "Say it with --port, for example --port 104."


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        "\ufeff" + TABLE.replace("\n", "\r\n"),
        FIELDS.replace("_", "-").replace(",", ", ") + "\n" + ROWS,
        "\n" + TABLE,
        json_lines(*RECORDS),
        json_lines(
            *[r | {"success": bool(r["success"]), "repeat": r["repeat"] == "1"} for r in RECORDS]
        ),
    ],
    ids=[
        "CSV",
        "from Windows",
        "as ZMap 1 and 2 write it",
        "empty line",
        "JSON",
        "JSON with booleans",
    ],
)
def test_only_what_answered_for_the_first_time_is_taken(content):
    # The port of the file is the truth, whatever the operator says.
    for options in ({}, {"port": 9}):
        result = result_of(read, content, **options)
        assert result.error is None
        assert result.items == EXPECTED
        assert PATIENT not in result.words


def test_a_header_alone_or_one_column_of_addresses_with_it():
    assert (
        result_of(read, "saddr\n" + BARE, port=104).doors == result_of(read, BARE, port=104).doors
    )
    assert result_of(read, f"{FIELDS}\n").items == []
    assert result_of(read, "").items == []


def test_without_success_the_classification_decides():
    table = "saddr,sport,classification\n192.0.2.1,104,synack\n192.0.2.2,104,rst\n"
    assert result_of(read, table).doors == [("192.0.2.1", 104)]
    assert result_of(read, "saddr,sport\n192.0.2.1,104\n").doors == [("192.0.2.1", 104)]


def test_ipv6_is_read():
    assert result_of(read, "2001:DB8:0::7\n", port=104).doors == [("2001:db8::7", 104)]


# --- broken -------------------------------------------------------------------------------------------------------------


def test_a_table_cut_off_in_a_row_gives_the_rows_before():
    # Half a port would be another port, half an address another system.
    for cut in ("192.0.2.2", "192.0.2.2,1", "192.0.2.2,104,"):
        result = result_of(read, f"saddr,sport,success\n192.0.2.1,104,1\n{cut}")
        assert result.error is None
        assert result.doors == [("192.0.2.1", 104)]
        assert result.skipped == [(3, "the last line has no end: the file is cut off")]
    bare = result_of(read, BARE[:-2], port=104)
    assert bare.doors == [("192.0.2.1", 104), ("192.0.2.2", 104)]
    assert bare.skipped == [(3, "the last line has no end: the file is cut off")]
    cut = result_of(read, json_lines(*RECORDS)[:-20])
    assert cut.items[:1] == EXPECTED[:1]
    assert cut.skipped == [(4, "the record is cut off: the file ends in it")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{PATIENT},104,1", "saddr is no IP address"),
        (",104,1", "saddr is missing"),
        (f"192.0.2.2,{PATIENT},1", "sport is no port from 1 to 65535"),
        ("192.0.2.2,0,1", "sport is no port from 1 to 65535"),
        ("224.0.0.1,104,1", "saddr is not the address of one system"),
        ("fe80::1%eth0,104,1", "saddr has a zone (%...), which only the scanner's machine knows"),
        ('"' + "x" * 200_000 + '",104,1', "the line is no CSV"),
        (PATIENT * 200_000, "the line is longer than 4,194,304 bytes"),
    ],
)
def test_a_wrong_value_costs_its_row_only(row, reason):
    result = result_of(read, f"saddr,sport,success\n192.0.2.1,104,1\n{row}\n192.0.2.3,104,1\n")
    assert result.error is None
    assert result.doors == [("192.0.2.1", 104), ("192.0.2.3", 104)]
    assert result.skipped == [(3, reason)]
    assert PATIENT not in result.words


def test_a_wrong_type_in_json_costs_its_record_only():
    wrong = [{"saddr": ["192.0.2.1"], "sport": 104}, {"saddr": "192.0.2.1", "sport": 104.5}]
    result = result_of(read, json_lines(*wrong, {"saddr": "192.0.2.2", "sport": 104}))
    assert result.doors == [("192.0.2.2", 104)]
    assert result.skipped == [(1, "saddr is no text"), (2, "sport is no port")]


def test_garbage_in_a_list_costs_its_line_only():
    content = BARE.encode().replace(b"192.0.2.2", b"\x00\xff\x1b[2J" + PATIENT.encode())
    result = result_of(read, content, port=104)
    assert result.doors == [("192.0.2.1", 104), ("192.0.2.3", 104)]
    assert [line for line, _ in result.skipped] == [2]
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\x02\x01\x01\x00", "holds neither addresses, one per line, nor a header with"),
        ("192.0.2.1,104\n", "holds neither addresses, one per line, nor a header with"),
        ("ip,port\n192.0.2.1,104\n", "holds neither addresses, one per line, nor a header with"),
        (f"{PATIENT}\n", "holds neither addresses, one per line, nor a header with"),
        ("\ufeff".encode("utf-16-le") + BARE.encode("utf-16-le"), "is UTF-16, not UTF-8 text"),
        (json.dumps(RECORDS), "holds neither addresses, one per line, nor a header with"),
    ],
    ids=["binary", "no header", "another header", "prose", "utf-16", "array"],
)
def test_another_file_is_refused_with_its_line(content, words):
    result = result_of(read, content, port=104)
    assert result.items == []
    assert str(result.error).startswith(f"scan.file:1: {words}")
    assert PATIENT not in result.words


def test_too_many_useless_lines_are_another_format():
    result = result_of(read, "192.0.2.1\n" + "x\n" * 4, port=104, limits=limits(import_bad_rows=3))
    assert result.doors == [("192.0.2.1", 104)]
    assert [line for line, _ in result.skipped] == [2, 3, 4]
    words = "4 rows in a row cannot be used; the last: saddr is no IP address"
    assert str(result.error) == f"scan.file:5: {words}"


def test_hostile_depth_costs_only_itself():
    deep = '{"saddr":' * 100_000
    result = result_of(read, json_lines(RECORDS[0]) + deep + "\n" + json_lines(RECORDS[3]))
    assert result.doors == [("192.0.2.1", 104), ("192.0.2.3", 11112)]
    assert result.skipped == [(2, "the record is nested too deeply")]


def test_what_is_too_old_is_skipped():
    result = result_of(read, TABLE, oldest=datetime(2026, 5, 1, 16, 0, 2, tzinfo=UTC))
    assert result.doors == [("192.0.2.3", 11112)]
    assert [line for line, _ in result.skipped] == [2]
