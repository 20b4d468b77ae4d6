"""The bench of the archive runs, and asks of both sides the same."""

import pytest

import bench_archive
from doorward.dicom.part10 import read_file_meta
from measures import archive_ingest, archive_queries, archive_sender, index


def test_two_messages_of_a_sender_differ_in_their_instance_alone():
    message = archive_sender.Message(7, 16_384, 1_000)
    first = bytes(message.content)
    message.become(41)
    second = bytes(message.content)
    assert len(first) == len(second)
    assert first != second
    assert second.count(b"2.25.8.100000000041") == 2
    assert first.replace(b"2.25.8.100000000000", b"2.25.8.100000000041") == second


def test_what_orthanc_is_given_is_what_ours_holds():
    entry = next(index.entries(9))
    content = archive_queries._file(entry)
    assert read_file_meta(content).transfer_syntax_uid == "1.2.840.10008.1.2.1"
    for text in (entry.study_uid, "P0000000", "A00000000"):
        assert text.encode() in content


@pytest.mark.parametrize("name", archive_queries.questions(1_000))
def test_each_question_is_asked_all_over_the_archive(name):
    make = archive_queries.questions(1_000)[name]
    asked = {tuple(make(n).items()) for n in range(50)}
    assert len(asked) == (1 if name == "all studies" else 50)


def test_memory_beyond_the_bound_is_a_miss():
    assert archive_ingest.memory(150_000, 200.0).verdict == "PASS"
    assert archive_ingest.memory(210_000, 200.0).verdict == "MISS"


@pytest.mark.slow
def test_the_bench_runs_in_small(capsys, monkeypatch):
    arguments = ["bench_archive.py", "--only", "b", "--rounds", "1", "--scale", "0.001"]
    monkeypatch.setattr("sys.argv", arguments)
    assert bench_archive.main() == 0
    said = capsys.readouterr().out
    assert "doorward, TLS, 10 of 1 KB, 4 at a time" in said
    assert "peak memory" in said
    assert "BROKEN" not in said
