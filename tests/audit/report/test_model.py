"""The published contract: the schema in docs/ is the code's, and real reports obey it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from doorward.audit.facts import Exactness
from doorward.audit.report.assemble import assemble
from doorward.audit.report.model import CountModel, Report, SeverityLabel, VerdictLabel, json_schema
from doorward.audit.report.outputs import report_json
from doorward.audit.verdict import JudgedSystem, Severity, Verdict
from judged_systems import HOSTILE_SYSTEM, OPEN, RECORD, SHUT, SILENT, WRITABLE

PUBLISHED = Path(__file__).parents[3] / "docs" / "report.schema.json"


def published() -> Any:
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def test_the_published_schema_is_that_of_the_code() -> None:
    assert published() == json_schema(), "run: make docs"


@pytest.mark.parametrize(
    "systems",
    [[OPEN], [WRITABLE], [SHUT], [SILENT], [HOSTILE_SYSTEM], [OPEN, SHUT, SILENT], []],
    ids=["open", "writable", "shut", "silent", "hostile", "several", "none"],
)
def test_reports_obey_the_published_schema(systems: list[JudgedSystem]) -> None:
    validator = jsonschema.Draft202012Validator(published())
    validator.check_schema(published())
    validator.validate(json.loads(report_json(assemble(systems, RECORD))))


def test_a_report_holds_every_field_of_the_contract() -> None:
    report = json.loads(report_json(assemble([OPEN], RECORD)))
    assert report["schema"] == "doorward.report/1"
    assert set(report) == {"schema", "scan", "totals", "countries", "groups", "systems"}
    assert set(report["totals"]) == {
        "systems",
        "left_out",
        "speaking_dicom",
        "unprotected",
        "downloadable",
        "writable",
        "patients",
        "studies",
        "images",
        "images_downloadable",
        "tested",
        "unanswered",
        "critical",
        "weak",
        "web_viewers_plain_http",
        "file_listings",
        "exposed_countries",
    }
    system = report["systems"][0]
    assert {
        "address",
        "name",
        "country",
        "site",
        "owner",
        "contact",
        "network_operator",
        "grade",
        "score",
        "ladder",
        "services",
        "counts",
        "findings",
    } <= set(system)
    assert set(system["services"][0]) == {
        "port",
        "protocol",
        "tls",
        "product",
        "version",
        "toolkit",
        "confidence",
    }
    assert {
        "check",
        "verdict",
        "severity",
        "title",
        "evidence",
        "remediation",
        "references",
    } <= set(system["findings"][0])
    assert set(system["counts"]["studies"]) == {"value", "exactness", "method"}


def test_a_report_survives_its_own_json() -> None:
    report = assemble([OPEN, SHUT, SILENT], RECORD)
    assert Report.model_validate_json(report_json(report)) == report


def test_words_of_the_model_are_those_of_the_verdicts() -> None:
    assert set(VerdictLabel.__args__) == {v.value for v in Verdict}
    assert list(SeverityLabel.__args__) == [s.label for s in Severity]
    exactness = CountModel.model_fields["exactness"].annotation
    assert set(exactness.__args__) == {e.value for e in Exactness}


def test_a_report_of_before_the_survey_is_still_read() -> None:
    old = json.loads(report_json(assemble([OPEN], RECORD)))
    del old["groups"]
    for name in ("site", "owner", "contact", "network_operator"):
        del old["systems"][0][name]
    for name in ("tested", "unanswered", "critical", "weak", "exposed_countries"):
        del old["totals"][name]
    assert Report.model_validate(old).systems[0].site == ""


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        CountModel.model_validate({"value": 1, "exactness": "unknown", "method": "", "more": 1})
