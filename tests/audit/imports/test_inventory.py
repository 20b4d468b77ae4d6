"""The operator's inventory: spreadsheets of all kinds, and a wrong value is named with line and column."""

import pytest

from doorward.audit.imports.inventory import COLUMNS, is_host_column, read
from doorward.audit.imports.sighting import Sighting
from doorward.audit.place import Place
from doorward.limits import Limits
from imported import PATIENT, result_of

HEADER = "address,ports,site,owner,contact,country,ae_title,calling_ae,tags,role,criticality"
ROW = '192.0.2.1,104,Example Clinic,Radiology,pacs@clinic.example,de,ARCHIVE,DOORWARD,"a, b",PACS,High'
SEEN = Sighting(
    host="192.0.2.1",
    port=104,
    source="inventory",
    place=Place(
        site="Example Clinic", owner="Radiology", contact="pacs@clinic.example", country="DE"
    ),
    called_ae_title="ARCHIVE",
    calling_ae_title="DOORWARD",
    tags=("role:pacs", "criticality:high", "a", "b"),
)


def test_a_row_is_a_sighting_with_all_that_is_known() -> None:
    result = result_of(read, f"{HEADER}\n{ROW}\n")
    assert result.items == [SEEN]
    assert result.error is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_encoding_and_line_ends_are_those_of_any_spreadsheet(
    delimiter: str, encoding: str, end: str
) -> None:
    lines = [["Host", "Port", "Site"], ["192.0.2.1", "104", "Klinik Süd"], ["pacs.example", "", ""]]
    content = "".join(delimiter.join(line) + end for line in lines).encode(encoding)
    assert result_of(read, content).items == [
        Sighting(host="192.0.2.1", port=104, source="inventory", place=Place(site="Klinik Süd")),
        Sighting(host="pacs.example", port=None, source="inventory"),
    ]


def test_what_excel_leaves_in_a_file_does_no_harm() -> None:
    content = (
        'sep=;\r\nIP address;AE-Title;Ports;;\r\n="192.0.2.1";="0123";"104";;\r\n'
        '"192.0.2.2";"=""0456""";104.0;;\r\n;;;;\r\n\r\n'
    )
    result = result_of(read, content)
    assert [
        (i.host, i.port, i.called_ae_title) for i in result.items if isinstance(i, Sighting)
    ] == [
        ("192.0.2.1", 104, "0123"),
        ("192.0.2.2", 104, "0456"),
    ]
    assert result.skipped == []


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ("104", [104]),
        ("104;4242", [104, 4242]),
        ("104 11112", [104, 11112]),
        ("104, 4242 ,104", [104, 4242]),
        ("104/4242|2762", [104, 4242, 2762]),
        ("", [None]),
    ],
)
def test_a_cell_may_hold_several_ports(ports: str, expected: list[int | None]) -> None:
    result = result_of(read, f'host,ports\n192.0.2.1,"{ports}"\n')
    assert [port for _, port in result.doors] == expected


@pytest.mark.parametrize("name", [name for names in COLUMNS.values() for name in names])
def test_every_name_of_a_column_is_known_in_any_spelling(name: str) -> None:
    spelled = name.replace("_", " ").title()
    result = result_of(read, f"fqdn,{spelled}\npacs.example,\n")
    assert result.skipped == []
    assert result.doors == [("pacs.example", None)]


def test_the_address_counts_before_the_name() -> None:
    content = "name,fqdn,ip\nPACS main,pacs.example,192.0.2.1\nPACS 2,pacs.example,\narchive,,\n"
    result = result_of(read, content)
    assert [host for host, _ in result.doors] == ["192.0.2.1", "pacs.example", "archive"]
    assert is_host_column("IP Address")
    assert not is_host_column("site")


def test_a_name_in_a_column_of_addresses_is_a_name() -> None:
    assert result_of(read, "IP\nPACS.example.\n").doors == [("pacs.example", None)]


def test_a_port_may_stand_behind_the_host() -> None:
    content = "host\npacs.example:104\n[2001:db8::7]:104\n2001:db8::7\n192.0.2.1:4242\n"
    assert result_of(read, content).doors == [
        ("pacs.example", 104),
        ("2001:db8::7", 104),
        ("2001:db8::7", None),
        ("192.0.2.1", 4242),
    ]


def test_columns_that_are_not_known_are_named_once() -> None:
    result = result_of(read, "host,MAC,Site,Site,rack\n192.0.2.1,x,A,B,y\n192.0.2.2,x,A,B,y\n")
    assert result.skipped == [
        (1, "the column 'MAC' is not known and was left out"),
        (1, "the column 'Site' is there twice; the first one counts"),
        (1, "the column 'rack' is not known and was left out"),
    ]
    assert [i.place.site for i in result.items if isinstance(i, Sighting)] == ["A", "A"]


def test_what_is_not_known_is_not_read() -> None:
    result = result_of(read, f"host,remark\n192.0.2.1,{PATIENT}\n")
    assert result.doors == [("192.0.2.1", None)]
    assert PATIENT not in result.words


# --- a wrong value ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "cells", "reason"),
    [
        ("host", "10.1", "host looks like an address and is none"),
        ("host", "10.0.0.0/24", "host is a network or a URL; a row is one system"),
        ("host", "two words", "host is no host name"),
        ("host", "fe80::1%eth0", "host has a zone (%...), which only the scanner's machine knows"),
        ("host,Port", "192.0.2.1,104x", "Port is no port from 1 to 65535"),
        ("host,Port", "192.0.2.1,0", "Port is no port from 1 to 65535"),
        ("host", "192.0.2.1:99999", "host is no port from 1 to 65535"),
        (
            "host,Land,country",
            "192.0.2.1,,UK",
            "country is no two-letter country code (ISO 3166-1); the code is GB",
        ),
        (
            "host,country",
            "192.0.2.1,Germany",
            "country is no two-letter country code (ISO 3166-1), such as DE or US",
        ),
        (
            "host,Port",
            "192.0.2.1," + " ".join(map(str, range(1, 1_026))),
            "Port names more than 1,024 ports",
        ),
        ("host,AET", "192.0.2.1,SEVENTEEN_LETTERS", "AET is longer than 16 characters"),
        (
            "host,AET",
            "192.0.2.1,1.23E+11",
            "AET looks like a number that a spreadsheet has shortened",
        ),
        (
            "host,calling",
            "192.0.2.1,ÄRZTE",
            "calling is no AE title: printable ASCII without a backslash",
        ),
        ("host,site", "192.0.2.1,#NAME?", "site holds the error of a spreadsheet's formula"),
        (
            "host,site",
            ",Example Clinic",
            "host is empty, and so is every other column that says which system is meant",
        ),
        ("host,site", "192.0.2.1,A,B", "the row has more cells than the header has columns"),
    ],
)
def test_a_wrong_value_leaves_the_row_out_with_its_line_and_column(
    header: str, cells: str, reason: str
) -> None:
    after = "192.0.2.9" + "," * header.count(",")
    result = result_of(read, f"{header}\n{cells}\n{after}\n")
    assert [(line, r) for line, r in result.skipped if "not known" not in r] == [(2, reason)]
    assert result.doors == [("192.0.2.9", None)]


def test_the_line_is_that_on_which_the_row_begins() -> None:
    content = 'host,site,country\n192.0.2.1,"Example\nClinic",DE\n192.0.2.2,"a\nb",XX\n'
    result = result_of(read, content)
    assert [line for line, _ in result.skipped] == [4]
    assert [i.place.site for i in result.items if isinstance(i, Sighting)] == ["Example Clinic"]


def test_long_and_hostile_texts_are_cut_and_made_harmless() -> None:
    hostile = "\x1b[2J\u202e" + "x" * 1_000
    tags = ";".join(f"t{i}" for i in range(100))
    content = f'host,site,tags\n192.0.2.1,"{hostile}","{tags}"\n'
    (item,) = result_of(read, content).items
    assert isinstance(item, Sighting)
    assert item.place.site.isprintable()
    assert len(item.place.site) == Limits().import_text_chars
    assert len(item.tags) == Limits().import_tags


# --- broken in more than five ways ------------------------------------------------------------------------------------


def test_a_table_that_does_not_say_which_system_is_meant_is_an_error_with_a_hint() -> None:
    result = result_of(read, f"site,{PATIENT}\nA,B\n")
    assert str(result.error) == "scan.file:1: has no column that says which system is meant"
    assert result.error is not None
    assert result.error.hint == (
        "One column must be named ip or ip_address or host or hostname or name or system."
    )
    assert PATIENT not in result.words


def test_a_file_that_was_cut_off_inside_a_quote_loses_only_that_row() -> None:
    result = result_of(read, f'host,site\n192.0.2.1,A\n192.0.2.2,"{PATIENT}')
    assert result.doors == [("192.0.2.1", None)]
    assert result.skipped == [(3, "the row is no CSV: see its quotes")]
    assert result.error is None
    assert PATIENT not in result.words


def test_a_quote_that_is_never_closed_is_an_error_where_it_begins() -> None:
    result = result_of(read, 'host,site\n192.0.2.1,A\n192.0.2.2,"B\n192.0.2.3,C\n192.0.2.4,D\n')
    assert result.doors == [("192.0.2.1", None)]
    assert str(result.error) == "scan.file:3: a quote begins in this row and is never closed"


def test_another_encoding_is_an_error_with_the_line_and_the_way_out() -> None:
    result = result_of(read, "host,site\n192.0.2.1,A\n192.0.2.2,Süd\n".encode("cp1252"))
    assert result.doors == [("192.0.2.1", None)]
    assert str(result.error) == "scan.file:3: is not UTF-8 text"
    assert result.error is not None
    assert result.error.hint == 'Save it as "CSV UTF-8" in the spreadsheet.'


def test_binary_garbage_is_an_error() -> None:
    result = result_of(read, b"\x00\x01\x02" + PATIENT.encode() + b"\n\xff")
    assert result.items == []
    assert result.error is not None
    assert PATIENT not in result.words


def test_an_empty_file_is_an_error() -> None:
    assert str(result_of(read, " \r\n\n").error) == "scan.file: holds no table: it is empty"


def test_a_row_beyond_all_measure_is_skipped() -> None:
    content = f'host,site\n192.0.2.1,"{PATIENT * 1_000}"\n192.0.2.2,B\n'
    result = result_of(read, content, limits=Limits(import_record_bytes=4_000))
    assert result.skipped == [(2, "the row is longer than 4,000 bytes")]
    assert result.doors == [("192.0.2.2", None)]
    assert PATIENT not in result.words


def test_a_hundred_useless_rows_in_a_row_are_another_file() -> None:
    result = result_of(read, "host\n" + "a b\n" * 101)
    assert str(result.error) == (
        "scan.file:102: 101 rows in a row cannot be used; the last: host is no host name"
    )
