"""The front of all importers: formats by content, files as they come, and targets."""

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doorward.audit.imports.reader import formats, read, sniff, targets
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting, Skipped
from doorward.audit.place import Place
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from import_invariants import check_import
from imported import PATIENT, json_lines

FILE = Path("scan.file")
#: Format -> beginnings of files in it; one door each at 192.0.2.1:104, where the file names a port.
SAMPLES: dict[str, list[str]] = {
    "nmap": [
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n<!-- Nmap 7.93 -->\n'
        '<nmaprun scanner="nmap"><host><status state="up"/><address addr="192.0.2.1" addrtype="ipv4"/>'
        '<ports><port protocol="tcp" portid="104"><state state="open"/></port></ports></host></nmaprun>'
    ],
    "masscan": [
        '[\n{   "ip": "192.0.2.1",   "timestamp": "1777630830", "ports": [ {"port": 104, "proto": "tcp", '
        '"status": "open", "reason": "syn-ack", "ttl": 57} ] }\n]\n',
        '{"ip":"192.0.2.1","timestamp":"1777630830","port":104,"proto":"tcp","rec_type":"status",'
        '"data":{"status":"open","reason":"syn-ack","ttl":57}}\n',
    ],
    "zmap": [
        "saddr,sport,success\n192.0.2.1,104,1\n",
        "192.0.2.1\n",
        '{"saddr":"192.0.2.1","sport":104}\n',
    ],
    "zgrab2": [
        json_lines(
            {
                "ip": "192.0.2.1",
                "data": {"http": {"status": "success", "protocol": "http", "port": 104}},
            }
        )
    ],
    "shodan": [
        json_lines(
            {"data": PATIENT, "port": 104, "ip_str": "192.0.2.1", "_shodan": {"module": "x"}}
        ),
        # A page longer than one piece stands before the address.
        json_lines({"http": {"html": '"url": {' * 30_000}, "port": 104, "ip_str": "192.0.2.1"}),
    ],
    "censys": [
        json_lines({"ip": "192.0.2.1", "services": [{"port": 104}]}),
        json.dumps([{"ip": "192.0.2.1", "services": [{"port": 104}]}], indent=4),
        json_lines({"host": {"ip": "192.0.2.1", "services": [{"port": 104}]}}),
        json_lines({"result": {"hits": [{"ip": "192.0.2.1", "services": [{"port": 104}]}]}}),
        "host.ip,host.services.port\n192.0.2.1,104\n",
    ],
    "naabu": [
        json_lines({"host": "pacs.example", "ip": "192.0.2.1", "port": 104, "protocol": "tcp"})
    ],
    "httpx": [
        json_lines({"url": "http://192.0.2.1:104", "scheme": "http", "port": "104", "ip": "7"}),
    ],
    "inventory": [
        "sep=;\nsite;IP address;port\nA;192.0.2.1;104\n",
        "address,ports\n192.0.2.1,104\n",
    ],
}
ALL = [(name, content) for name, contents in SAMPLES.items() for content in contents]


def test_every_format_is_named() -> None:
    assert formats() == tuple(SAMPLES)


@pytest.mark.parametrize("wrapped", ["plain", "gzip", "with a byte order mark"])
@pytest.mark.parametrize(("name", "content"), ALL)
def test_a_format_is_recognised_by_content_whatever_the_file_is_called(
    tmp_path: Path, name: str, content: str, wrapped: str
) -> None:
    raw = content.encode()
    if wrapped == "with a byte order mark":
        raw = b"\xef\xbb\xbf" + raw
    file = tmp_path / "anything.bin"
    file.write_bytes(gzip.compress(raw) if wrapped == "gzip" else raw)
    items = list(read(file, None, ImportOptions(port=104)))
    assert [(i.host, i.port, i.source) for i in items if isinstance(i, Sighting)] == [
        ("192.0.2.1", 104, name)
    ]
    assert [i for i in items if isinstance(i, Skipped)] == []


@pytest.mark.parametrize(
    "content",
    [
        "<html></html>",
        "{}",
        "[1, 2]",
        '{"a": 1}',
        "pacs.example\n",
        "first,last\nA,B\n",
        "\x00\x01",
        '{"x": "\\"ip_str\\": 1, "}',
        '{"x": [{"ip_str": 1}]}',
        PATIENT,
    ],
)
def test_what_is_not_recognised_is_an_error_that_says_what_would_be(content: str) -> None:
    with pytest.raises(ConfigError) as refused:
        sniff(content.encode(), FILE)
    assert all(name in str(refused.value) for name in formats())
    assert "--import FORMAT=FILE" in (refused.value.hint or "")
    assert PATIENT not in str(refused.value)


def test_an_empty_file_is_an_error_unless_its_format_is_named(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_bytes(b"\n")
    with pytest.raises(ConfigError, match="empty: is empty"):
        list(read(file, None, ImportOptions()))
    assert list(read(file, "naabu", ImportOptions())) == []


def test_a_format_can_be_named_and_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text(
        '{"domain": "pacs.example", "port": 104}\n{"host": "pacs.example", "port": 104}'
    )
    items = list(read(file, "naabu", ImportOptions()))
    assert [type(item) for item in items] == [Skipped, Sighting]
    with pytest.raises(ConfigError, match="there is no format 'excel' to import; there are nmap,"):
        list(read(file, "excel", ImportOptions()))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        list(read(tmp_path / "nowhere", None, ImportOptions()))


def test_a_compressed_file_that_was_cut_off_says_so_at_the_end(tmp_path: Path) -> None:
    records = ({"ip_str": f"192.0.2.{i % 250 + 1}", "port": i + 1} for i in range(5_000))
    packed = gzip.compress(json_lines(*records).encode())
    file = tmp_path / "shodan.json.gz"
    file.write_bytes(packed[:-4_000])
    items = list(read(file, None, ImportOptions()))
    assert sum(isinstance(item, Sighting) for item in items) > 1_000
    assert items[-1] == Skipped(
        line=0, reason="the file ends in the middle of its gzip compression; the rest is missing"
    )


def test_sightings_become_targets_one_by_one_and_the_rest_is_told() -> None:
    place = Place(site="A", country="DE")
    items: list[Item] = [
        Sighting(host="192.0.2.1", port=104, source="masscan"),
        Skipped(line=2, reason="port is missing"),
        Sighting(
            host="pacs.example",
            port=None,
            source="inventory",
            place=place,
            called_ae_title="ARCHIVE",
            calling_ae_title="DOORWARD",
        ),
        Sighting(host="192.0.2.1", port=4242, source="masscan"),
    ]
    told: list[Skipped] = []
    made = targets(iter(items), told.append)
    assert next(made) == Target(host="192.0.2.1", ports=(104,), is_swept=True)
    assert told == []
    assert list(made) == [
        Target(
            host="pacs.example",
            ports=None,
            place=place,
            called_ae_titles=("ARCHIVE",),
            calling_ae_title="DOORWARD",
        ),
        Target(host="192.0.2.1", ports=(4242,), is_swept=True),
    ]
    assert told == [items[1]]
    assert [t.ports for t in targets(items, told.append, ports=(104, 11112))] == [
        (104,),
        (104, 11112),
        (4242,),
    ]


# --- anything at all --------------------------------------------------------------------------------------------------

#: Samples with pieces cut out, doubled and overwritten reach deeper than bytes alone.
BROKEN = st.builds(
    lambda sample, begin, end, piece: (
        sample.encode()[:400][: begin % 400] + piece + sample.encode()[:400][end % 400 :]
    ),
    st.sampled_from([content for _, content in ALL]),
    st.integers(0, 400),
    st.integers(0, 400),
    st.binary(max_size=20),
)


@given(
    content=st.one_of(st.binary(max_size=300), BROKEN),
    format_name=st.sampled_from([None, *SAMPLES]),
)
@example(content=b"\x1f\x8b\x08\x00", format_name=None)
@example(content=b"\xff\xfeh", format_name="inventory")
@example(content=b'[{"ip_str":' + b"[" * 5_000, format_name=None)
@example(content=b"9" * 5_000, format_name=None)
@example(content=b'{"port":' + b"9" * 5_000 + b"}", format_name="naabu")
@example(content=b"saddr\n\x00", format_name=None)
def test_arbitrary_bytes_raise_nothing_but_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, format_name: str | None
) -> None:
    file = tmp_path_factory.getbasetemp() / "anything"
    for raw in (content, gzip.compress(content, compresslevel=1)):
        file.write_bytes(raw)
        # Every other exception fails the test.
        with contextlib.suppress(ConfigError):
            for item in read(file, format_name, ImportOptions(port=104)):
                assert isinstance(item, Sighting | Skipped)


CORPUS = sorted((Path(__file__).parents[2] / "fuzz" / "corpus" / "imports").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_kept_inputs_of_the_fuzzer_are_doors_or_clear_errors(path: Path) -> None:
    check_import(path.read_bytes())


@given(content=st.one_of(st.binary(max_size=300), BROKEN), kind=st.integers(0, 255))
def test_anything_that_is_imported_can_be_asked_and_steers_no_terminal(
    content: bytes, kind: int
) -> None:
    check_import(bytes([kind]) + content)
