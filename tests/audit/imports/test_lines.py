"""Lines and records come out of a stream one by one, whatever stands around them, in bounded memory."""

import io
import json
import re
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.imports import lines as module
from doorward.audit.imports.fields import RowError
from doorward.audit.imports.lines import Line, Record, json_records, lines, sightings
from doorward.audit.imports.sighting import ImportOptions, Sighting, Skipped
from doorward.errors import ConfigError
from imported import FILE, PATIENT, Result
from loopback import limits

RECORD = {"ip": "1.2.3.4", "n": [1, -2.5e3, True, None, {"b": 'x😀\\"\n'}], "t": "1"}
TEXT = json.dumps(RECORD)
CUT_OFF = "the record is cut off: the file ends in it"


class Repeated(io.RawIOBase):
    """A stream that gives a beginning, then one piece again and again, then an end; it is never whole in memory."""

    def __init__(self, start: bytes, piece: bytes, times: int, end: bytes = b"") -> None:
        self._rest = iter([start, *[piece] * times, end])
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._piece:
            piece = next(self._rest, None)
            if piece is None:
                return 0
            self._piece = piece
        taken, self._piece = self._piece[: len(buffer)], self._piece[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def records_of(content: bytes | str | io.RawIOBase, **options) -> Result:
    if not isinstance(content, io.RawIOBase):
        content = io.BytesIO(content.encode() if isinstance(content, str) else content)
    items = []
    try:
        for item in json_records(content, FILE, **options):
            items.append(item)  # noqa: PERF402 - what came before an error counts
    except ConfigError as error:
        return Result(items, error)
    return Result(items, None)


def seen(content: bytes | str, **options) -> list:
    """Line of each record, (line, reason) of what was skipped; the sentence of an error at the end."""
    result = records_of(content, **options)
    found = [i.number if isinstance(i, Record) else (i.line, i.reason) for i in result.items]
    return [*found, str(result.error)] if result.error else found


# --- lines --------------------------------------------------------------------------------------------------------------


def test_lines_come_without_end_and_mark():
    stream = io.BytesIO(b"\xef\xbb\xbfa\r\n\nb\rc\r\n\xef\xbb\xbfd\xff\r")
    found = list(lines(stream, FILE))
    assert found == [
        Line(1, b"a"),
        Line(2, b""),
        Line(3, b"b\rc"),
        Line(4, b"\xef\xbb\xbfd\xff", has_end=False),
    ]
    assert list(lines(io.BytesIO(), FILE)) == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_is_skipped_from_one_byte_beyond_the_bound(end):
    few = limits(import_record_bytes=8)
    content = b"12345678" + end + b"123456789" + end + b"x" * 200_000 + end + b"12345678"
    long = "the line is longer than 8 bytes"
    assert list(lines(io.BytesIO(content), FILE, limits=few)) == [
        Line(1, b"12345678"),
        Skipped(line=2, reason=long),
        Skipped(line=3, reason=long),
        Line(4, b"12345678", has_end=False),
    ]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_is_refused_for_lines_and_for_json(codec):
    content = f"\ufeff{TEXT}".encode(codec)
    for read in (lines, json_records):
        with pytest.raises(ConfigError, match=r"scan\.file:1: is UTF-16, not UTF-8 text"):
            list(read(io.BytesIO(content), FILE))


# --- records of JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 64, 65_536])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps([RECORD] * 3),
        json.dumps([RECORD] * 3, indent=4),
        "".join(f"{TEXT}\n" for _ in range(3)),
        f"{TEXT}{TEXT} {TEXT}",
        f"[\n{TEXT}\n,\n{TEXT}\n,\n{TEXT},\n]\n",
        f"[{TEXT},{TEXT},\r\n{TEXT},",
        f"\ufeff\n\x1e{TEXT}\n\x1e{TEXT}\n\x1e{TEXT}\n",
        json.dumps([RECORD] * 3, ensure_ascii=False),
    ],
)
def test_every_layout_gives_the_same_records(text, piece_bytes, monkeypatch):
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    result = records_of(text)
    assert result.error is None
    assert [record.fields for record in result.items] == [RECORD] * 3


@pytest.mark.parametrize("content", ["", "[\n]\n", "\n\n", "[]"])
def test_a_scan_that_found_nothing_is_no_error(content):
    assert seen(content) == []


@pytest.mark.parametrize("piece_bytes", [1, 5, 65_536])
def test_a_record_cut_off_anywhere_at_the_end_costs_only_itself(piece_bytes, monkeypatch):
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    for cut in range(1, len(TEXT)):
        found = seen(f"{TEXT}\n{TEXT[:cut]}")
        assert found[0] == 1
        assert found[1][0] == 2
        assert len(found) == 2
    assert seen(f"{TEXT}\n{TEXT[:-1]}") == [1, (2, CUT_OFF)]
    assert seen(f"{TEXT}\n{TEXT[:8]}") == [1, (2, CUT_OFF)]


@pytest.mark.parametrize("piece_bytes", [1, 5, 65_536])
def test_a_record_cut_off_in_the_middle_costs_at_most_the_next_one(piece_bytes, monkeypatch):
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    for cut in range(1, len(TEXT)):
        found = seen(f"{TEXT}\n{TEXT[:cut]}\n{TEXT}\n{TEXT}\n")
        assert found in (
            [1, (2, "the record is no JSON"), 3, 4],
            [1, (2, "the record is no JSON"), 4],
        )


def test_a_cut_behind_a_value_does_not_cost_the_next_record():
    assert seen('{"a": 1\n{"b": 2}\n') == [(1, "the record is no JSON"), 2]
    assert seen('{"a": 1,\n   {"b": 2}\n') == [(1, "the record is no JSON"), 2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"noise\nnoise\n{TEXT}", [(1, "the record is no JSON object"), 3]),
        (b"\x00\xff\xfe\x01\n" + TEXT.encode(), [(1, "the record is no JSON object"), 2]),
        (f'[1, "x",\n{TEXT}]', [(1, "the record is no JSON object"), 2]),
        ('{"a":' * 100_000 + f"\n{TEXT}", [(1, "the record is nested too deeply"), 2]),
        (
            '{"a": ' + "9" * 10_000 + "}\n" + TEXT,
            [(1, "the record holds a number that is too long"), 2],
        ),
        (
            '{"a": "' + "x" * 4_194_296 + '"}\n' + TEXT,
            [(1, "the record is longer than 4,194,304 bytes"), 2],
        ),
        (
            '{"a": "' + "x" * 4_194_296 + '"}' + TEXT,
            [(1, "the record is longer than 4,194,304 bytes"), 1],
        ),
        ('{"a": "' + "x" * 4_194_295 + '"}' + TEXT, [1, 1]),
        (
            '{"a": "' + "x" * 5_000_000 + '"}\n' + TEXT,
            [(1, "the record is longer than 4,194,304 bytes"), 2],
        ),
        (
            '{"a"\n' + " " * 300_000 + "\n" + TEXT,
            [(1, "the record is no JSON"), 3],
        ),
    ],
)
def test_reading_goes_on_behind_what_is_broken(content, expected):
    assert seen(content) == expected


def test_nothing_but_noise_is_another_format():
    message = "scan.file:1: holds no record that can be read: the record is no JSON object"
    assert seen("hello\nworld\n") == [(1, "the record is no JSON object"), message]


def test_much_behind_a_break_is_not_dropped_in_silence():
    few = limits(import_record_bytes=1_000)
    message = "scan.file:2: is broken here, and no record begins on a line of its own after it"
    assert seen(f"{TEXT}\n" + '{"a": x},' + f"{TEXT}," * 50, limits=few) == [1, message]
    assert seen(f"{TEXT}\n" + '{"a": x},' + f"{TEXT}," * 2, limits=few) == [
        1,
        (2, "the record is no JSON"),
    ]


def test_broken_utf8_costs_no_record():
    found = list(json_records(io.BytesIO(b'{"banner": "\xff\xc3", "ip": "1.2.3.4"}'), FILE))
    assert found == [Record(1, {"banner": "\ufffd\ufffd", "ip": "1.2.3.4"})]


def test_what_may_be_ignored_is():
    ignored = re.compile(r"\{finished: 1\}")
    assert seen(f"[\n{TEXT},\n{{finished: 1}}\n]\n", ignored=ignored) == [2]
    assert seen("[\n{finished: 1}\n]\n", ignored=ignored) == []


def test_no_error_holds_the_text():
    for broken in (f'{{"a": "{PATIENT}', f'{{"{PATIENT}": x}}', PATIENT, f'{{"{PATIENT}"' * 2_000):
        assert PATIENT not in records_of(broken).words
        assert PATIENT not in records_of(f"{TEXT}\n{broken}\n{TEXT}").error.__class__.__name__


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        (b"[", TEXT.encode() + b",\n", b"]"),
        (b"[", TEXT.encode() + b",", b"]"),
        (b'{"a": "', b"x" * 65_536, b'"}'),
        (b"", b" " * 65_536, b""),
        (b"x\n", b" " * 65_536, b""),
        (b"", b"noise\n" * 10_000, b""),
    ],
    ids=["lines", "one line", "one record", "space", "space behind a break", "noise"],
)
def test_memory_does_not_grow_with_the_file(start, piece, end):
    few = limits(import_record_bytes=65_536)
    tracemalloc.start()
    try:
        times = 3_000_000 // len(piece)
        stream = Repeated(start, piece, times, end)
        try:
            for _ in json_records(stream, FILE, limits=few):
                pass
        except ConfigError:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([TEXT.encode(), b"\n", b"{"]))))
def test_any_bytes_give_records_in_rising_lines_or_a_config_error(parts):
    result = records_of(b"".join(parts))
    numbers = [i.number if isinstance(i, Record) else i.line for i in result.items]
    assert numbers == sorted(numbers)


# --- rows to sightings --------------------------------------------------------------------------------------------------


def door(record: Record) -> list[Sighting]:
    if "ip" not in record.fields:
        raise RowError("ip", "is missing")
    when = record.fields.get("when", "")
    return [Sighting(host=record.fields["ip"], port=104, source="masscan", seen_at=when)]


def test_a_row_of_no_use_is_skipped_with_its_line():
    rows = [
        Record(1, {"ip": "10.0.0.1"}),
        Record(2, {}),
        Skipped(line=3, reason="x"),
        Record(4, {}),
    ]
    found = list(sightings(rows, FILE, ImportOptions(), door))
    assert [(i.line, i.reason) for i in found[1:]] == [
        (2, "ip is missing"),
        (3, "x"),
        (4, "ip is missing"),
    ]


def test_too_many_useless_rows_in_a_row_are_another_format():
    options = ImportOptions(limits=limits(import_bad_rows=3))
    good, bad = {"ip": "10.0.0.1"}, {}
    rows = [Record(n, fields) for n, fields in enumerate([bad] * 3 + [good] + [bad] * 4, start=1)]
    found = []
    with pytest.raises(ConfigError) as caught:
        found.extend(item for item in sightings(rows, FILE, options, door))
    assert str(caught.value) == (
        "scan.file:8: 4 rows in a row cannot be used; the last: ip is missing"
    )
    assert caught.value.hint == "Is it a whole file of that format, as the tool wrote it?"


def test_what_is_too_old_is_skipped_and_no_sign_of_another_format():
    options = ImportOptions(
        limits=limits(import_bad_rows=1), oldest=datetime(2026, 1, 1, tzinfo=UTC)
    )
    old = {"ip": "10.0.0.1", "when": "2025-12-31T23:59:59+00:00"}
    new = {"ip": "10.0.0.2", "when": "2026-01-01T00:00:00+00:00"}
    rows = [Record(n, fields) for n, fields in enumerate([old, old, old, new], start=1)]
    found = list(sightings(rows, FILE, options, door))
    reason = "was seen before the oldest time that is asked for"
    assert found[:3] == [Skipped(line=n, reason=reason) for n in (1, 2, 3)]
    assert found[3].host == "10.0.0.2"
