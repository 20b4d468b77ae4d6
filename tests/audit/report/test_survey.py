"""The JSON of a survey: a whole report from a stream, in constant memory."""

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorward.audit.report.model import Report
from doorward.audit.report.survey import json_parts, write_json
from doorward.errors import ConfigError
from surveyed import survey


@pytest.mark.parametrize("number", [0, 1, 6])
def test_the_stream_is_exactly_a_report(tmp_path: Path, number: int) -> None:
    frame, documents = survey()
    file = tmp_path / "survey.json"
    write_json(frame, iter(documents[:number]), file)
    report = Report.model_validate_json(file.read_text(encoding="utf-8"))
    assert (report.scan, report.totals, report.countries, report.groups) == (
        frame.scan,
        frame.totals,
        frame.countries,
        frame.groups,
    )
    assert [system.address for system in report.systems] == [
        json.loads(document)["address"] for document in documents[:number]
    ]


def test_a_system_stands_on_one_line_for_those_who_search_with_grep() -> None:
    frame, documents = survey()
    lines = "".join(json_parts(frame, documents)).splitlines()
    assert [line.strip().rstrip(",") for line in lines if '"ladder"' in line] == documents


def test_a_survey_that_breaks_midway_leaves_the_old_report(tmp_path: Path) -> None:
    frame, documents = survey()
    file = tmp_path / "survey.json"
    file.write_text("old", encoding="utf-8")

    def broken() -> Iterator[str]:
        yield documents[0]
        raise LookupError

    with pytest.raises(LookupError):
        write_json(frame, broken(), file)
    assert file.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["survey.json"]


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    frame, documents = survey()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_json(frame, documents, tmp_path / "none" / "survey.json")


def test_twenty_thousand_large_systems_pass_through_in_little_memory() -> None:
    frame, documents = survey()
    padding = "x" * 60_000

    def stream() -> Iterator[str]:
        for number in range(20_000):
            yield documents[0].replace('"name":""', f'"name":"{number}{padding}"')

    assert len(next(stream())) > 60_000
    tracemalloc.start()
    try:
        # A device takes the 1.2 GB: what is measured is what passes through, not the disk.
        write_json(frame, stream(), Path(os.devnull))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000
