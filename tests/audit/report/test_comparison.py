"""The comparison as a document: it obeys its schema, holds every number, and cleans what strangers wrote."""

import json
from datetime import UTC, datetime
from typing import get_args

import jsonschema

from doorward.audit.changes import Change, Survey
from doorward.audit.compare import compare
from doorward.audit.report.comparison import (
    ChangeLabel,
    ComparisonReport,
    NumbersModel,
    SideRecord,
    comparison_json,
    comparison_report,
    json_schema,
)
from standings import refused, shut, unprotected, unsettled

BEFORE = SideRecord(
    label="autumn", started_at=datetime(2026, 9, 1, 8, tzinfo=UTC), clearance_level=2
)
AFTER = SideRecord(
    label="", started_at=datetime(2026, 11, 1, 8, tzinfo=UTC), clearance_level=2, is_whole=False
)


def report(before, after) -> ComparisonReport:
    sides = [Survey(systems=systems, clearance_level=2) for systems in (before, after)]
    return comparison_report(compare(*sides), before=BEFORE, after=AFTER, version="0.1.0")


SOME = report(
    [
        unprotected("192.0.2.1"),
        unprotected("192.0.2.2"),
        unprotected("192.0.2.3"),
        shut("192.0.2.4"),
    ],
    [
        unprotected("192.0.2.1", studies=30),
        refused("192.0.2.2"),
        unsettled("192.0.2.3"),
        unprotected("192.0.2.4", "FR", name="pacs.example", port=4242),
    ],
)


def test_the_document_obeys_its_schema() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for document in (SOME, report([], [])):
        jsonschema.validate(json.loads(comparison_json(document)), schema)


def test_the_document_holds_what_the_comparison_says() -> None:
    document = json.loads(comparison_json(SOME))
    assert document["schema"] == "doorward.comparison/1"
    assert document["before"]["started_at"] == "2026-09-01T08:00:00+00:00"
    assert document["after"]["is_whole"] is False
    assert (document["before"]["unprotected"], document["after"]["unprotected"]) == (3, 2)
    assert {name: n for name, n in document["numbers"].items() if n} == {
        "still_open": 1,
        "gone": 1,
        "unknown_now": 1,
        "method_improved": 1,
    }
    studies = document["growth"]["studies"]
    assert {part: studies[part]["value"] for part in studies} == {
        "before": 30,
        "left": 20,
        "grown": 20,
        "recounted": 0,
        "new": 0,
        "method": 10,
        "after": 40,
    }
    assert (document["clean_countries"], document["new_countries"]) == ([], [])
    assert [row["country"] for row in document["countries"]] == ["DE"]
    last = document["systems"][-1]
    assert (last["address"], last["name"], last["change"]) == (
        "192.0.2.4",
        "pacs.example",
        "method_improved",
    )
    assert last["before"] is None
    assert last["after"]["studies"]["value"] == 10


def test_the_classes_of_the_document_are_those_of_the_comparison() -> None:
    classes = [change.value for change in Change]
    assert list(get_args(ChangeLabel)) == classes
    assert list(NumbersModel.model_fields) == classes


def test_text_of_strangers_is_harmless_in_the_document() -> None:
    document = report([], [unprotected("192.0.2.1", name="pacs\x1b[2J\u202eelpmaxe\n")])
    assert document.systems[0].name == "pacs?[2J?elpmaxe"


def test_the_same_comparison_gives_the_same_bytes() -> None:
    systems = [[unprotected("192.0.2.1")], [shut("192.0.2.1")]]
    assert comparison_json(report(*systems)) == comparison_json(report(*systems))
