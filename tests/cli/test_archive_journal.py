"""``doorward archive journal``: who looked at a study is one command; what was changed is one too."""

import csv
import io
import json
import os
import sys

import pytest

import archives
from doorward.access.journal.record import Entry, Event
from doorward.access.journal.segments import ANCHOR
from doorward.cli.main import run
from journals import NOON, Clock, written
from upkept import filled, some

STUDY = "2.25.1.1"


def entry(event, who="", study=STUDY, **more):
    return Entry(event=event, identity=who, how="certificate", studies=(study,), **more)


@pytest.fixture
def folder(tmp_path):
    clock = Clock()
    entries = [
        entry(Event.STORE, "ct1", instances=1),
        entry(Event.RETRIEVE, "ws1", instances=3, peer="192.0.2.1", calling_ae_title="WS1"),
        entry(Event.RETRIEVE, "ws2", "2.25.2.1", instances=3),
        Entry(event=Event.QUERY, identity="ws1", matches=2, keys=("00100020",)),
    ]
    written(tmp_path / "journal", entries, clock=clock)
    return tmp_path


def said(capsys, *arguments):
    capsys.readouterr()
    code = run(["archive", "journal", *map(str, arguments)])
    found = capsys.readouterr()
    assert "internal error" not in found.err
    return code, found.out, found.err


def shown(capsys, *arguments):
    code, out, _ = said(capsys, "show", *arguments)
    assert code == 0
    return [json.loads(line) for line in out.splitlines()]


def test_who_looked_at_a_study_is_one_command(folder, capsys):
    found = shown(capsys, folder, "--study", STUDY)
    assert [(one["identity"], one["event"]) for one in found] == [
        ("ct1", "store"),
        ("ws1", "retrieve"),
    ]


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([], [1, 2, 3, 4]),
        (["--who", "ws1"], [2, 4]),
        (["--event", "query"], [4]),
        (["--study", STUDY, "--who", "ws1"], [2]),
        (["--since", "2026-03-01T12:00+00:00"], [1, 2, 3, 4]),
        (["--until", "2026-03-01T12:00+00:00"], []),
        (["--since", "2027-01-01"], []),
    ],
)
def test_records_are_chosen(folder, capsys, arguments, numbers):
    assert [one["sequence"] for one in shown(capsys, folder, *arguments)] == numbers


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--event", "retreive"], "retrieve"),
        (["--since", "yesterday"], "2026-03-01"),
        (["--until", "2026-13-01"], "2026-03-01"),
    ],
)
def test_what_cannot_be_meant_is_said_with_what_can(folder, capsys, arguments, words):
    code, _, err = said(capsys, "show", folder, *arguments)
    assert code == 2
    assert words in err


def test_on_a_terminal_it_is_a_table(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = said(capsys, "show", folder, "--study", STUDY)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["number", "time", "(UTC)", "event", "outcome", "who", "what"]
    assert lines[2].split() == [
        *("2", "2026-03-01", "12:00:00", "retrieve", "success", "ws1", "(certificate)"),
        *("3", "instances", "of", STUDY, "from", "192.0.2.1", "as", "WS1"),
    ]
    assert lines[3] == "2 records"
    places = {line.index("success") for line in lines[1:3]}
    assert places == {lines[0].index("outcome")}


def test_a_table_of_nothing_says_so(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert said(capsys, "show", folder, "--who", "nobody")[1].splitlines()[-1] == "no record"


def test_a_clock_that_goes_back_changes_no_order_and_is_said(tmp_path, capsys, monkeypatch):
    clock = Clock()

    class Jumping(Clock):
        """An hour back, once, before the second record."""

        def __call__(self):
            now = clock()
            clock.move(-3_600 if now == NOON else 1)
            return now

    written(tmp_path / "journal", [entry(Event.STORE), entry(Event.STORE)], clock=Jumping())
    found = shown(capsys, tmp_path)

    assert [one["sequence"] for one in found] == [1, 2, 3]
    assert [one["event"] for one in found] == ["store", "clock jump", "store"]
    assert found[0]["time"] > found[2]["time"]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "(the clock went back by 3600 s)" in said(capsys, "show", tmp_path)[1]
    assert said(capsys, "verify", tmp_path)[0] == 0


def test_an_export_carries_the_digests_that_chain_it(folder, capsys):
    _, out, _ = said(capsys, "export", folder, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["sequence"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["previous"] for row in rows[1:]] == [row["digest"] for row in rows[:-1]]
    _, out, _ = said(capsys, "export", folder, "--who", "ws2")
    assert [json.loads(line)["digest"] for line in out.splitlines()] == [rows[2]["digest"]]


def test_an_unknown_format_is_wrong_usage(folder, capsys):
    code, _, err = said(capsys, "export", folder, "--format", "xml")
    assert code == 2
    assert "jsonl or csv" in err


def test_a_whole_journal_says_its_head(folder, capsys):
    code, out, _ = said(capsys, "verify", folder)
    assert code == 0
    assert "whole: 4 records in 1 files" in out
    assert len(out.split()[-1]) == 64


def test_a_changed_journal_says_which_record(folder, capsys):
    [segment] = (folder / "journal").glob("*.journal")
    segment.write_bytes(segment.read_bytes().replace(b'"ws2"', b'"ws1"', 1))
    code, out, err = said(capsys, "verify", folder)
    assert code == 1
    assert "BROKEN: record 3 was changed" in out
    assert "compare it with the last backup" in err


def test_an_anchor_of_another_disk_shows_what_was_cut_off(folder, capsys):
    (folder / "journal" / ANCHOR).rename(folder / "kept")
    [segment] = (folder / "journal").glob("*.journal")
    content = segment.read_bytes()
    segment.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    code, _, err = said(capsys, "verify", folder)
    assert code == 0
    assert "no anchor" in err
    code, out, _ = said(capsys, "verify", folder, "--anchor", folder / "kept")
    assert code == 1
    assert "record 4 was truncated" in out


def test_a_folder_without_a_journal_is_wrong_usage(tmp_path, capsys):
    for command in ("verify", "show", "export"):
        code, _, err = said(capsys, command, tmp_path)
        assert code == 2
        assert "holds no journal" in err


def test_it_is_read_beside_a_running_archive(tmp_path, capsys):
    filled(tmp_path, some(1))
    with archives.running(tmp_path, [], None):
        assert shown(capsys, tmp_path, "--study", STUDY)[0]["event"] == "store"
        assert said(capsys, "verify", tmp_path)[0] == 0


def test_a_reader_that_has_seen_enough_is_no_error(folder):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.dup2(write, 1)
        sys.stdout = os.fdopen(1, "w")
        os._exit(run(["archive", "journal", "show", str(folder)]))
    os.close(write)
    os.close(read)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
