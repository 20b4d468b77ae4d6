import csv
import io
import json
from datetime import timedelta

from doorward.access.journal.reading import COLUMNS, Wanted, as_csv, as_json_lines, show
from doorward.access.journal.record import Entry, Event
from doorward.access.journal.segments import segment_paths
from journals import NOON, STUDY, Clock, stored, written
from loopback import limits

ENTRIES = [
    stored(1),
    stored(11),
    Entry(event=Event.QUERY, identity="reader.one", keys=("0020000D", "00100010")),
    stored(1, event=Event.RETRIEVE, identity="reader.one"),
    stored(1, identity="ct10"),
]


def sequences(folder, **wanted):
    return [record.sequence for record in show(folder, Wanted(**wanted))]


def test_records_are_found_by_study_identity_and_event_and_by_all_together(tmp_path):
    written(tmp_path, ENTRIES, limits=limits(journal_segment_bytes=500))
    assert sequences(tmp_path) == [1, 2, 3, 4, 5]
    assert sequences(tmp_path, study=f"{STUDY}.1") == [1, 4, 5]
    assert sequences(tmp_path, identity="ct1") == [1, 2]
    assert sequences(tmp_path, event=Event.STORE) == [1, 2, 5]
    assert sequences(tmp_path, study=f"{STUDY}.1", identity="reader.one") == [4]
    assert sequences(tmp_path, identity="nobody") == []


def test_a_word_in_another_field_is_no_match(tmp_path):
    written(tmp_path, [stored(1, reason="ct2", subject="query")])
    assert sequences(tmp_path, identity="ct2") == []
    assert sequences(tmp_path, event=Event.QUERY) == []


def test_since_is_included_and_until_is_not(tmp_path):
    clock = Clock()
    for number in range(3):
        written(tmp_path, [stored(number)], clock=clock)
        clock.move(60)
    minute = timedelta(seconds=60)
    assert sequences(tmp_path, since=NOON + minute) == [2, 3]
    assert sequences(tmp_path, until=NOON + minute) == [1]
    assert sequences(tmp_path, since=NOON + minute, until=NOON + 2 * minute) == [2]


def test_what_is_no_record_is_passed_over(tmp_path):
    written(tmp_path, ENTRIES)
    (path,) = segment_paths(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"noise\n"
    path.write_bytes(b"".join(lines))
    assert sequences(tmp_path) == [1, 3, 4, 5]


def test_json_lines_hold_every_field_that_is_not_empty(tmp_path):
    records = written(tmp_path, ENTRIES)
    lines = [json.loads(line) for line in as_json_lines(show(tmp_path))]
    assert lines[2] == {
        "sequence": 3,
        "time": "2026-03-01T12:00:00.000000+00:00",
        "event": "query",
        "outcome": "success",
        "identity": "reader.one",
        "keys": ["0020000D", "00100010"],
        "previous": records[1].digest,
        "digest": records[2].digest,
    }


def test_csv_has_a_column_for_each_field_and_a_formula_stays_text(tmp_path):
    written(tmp_path, [*ENTRIES, stored(1, calling_ae_title="=1+cmd|A1")])
    rows = list(csv.DictReader(io.StringIO("".join(as_csv(show(tmp_path))), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert rows[2]["keys"] == "0020000D 00100010"
    assert rows[5]["calling_ae_title"] == "'=1+cmd|A1"
    assert len(rows) == 6
