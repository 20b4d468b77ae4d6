"""The values of a ledger say what they mean."""

from datetime import date

import pytest

from doorward.audit.codec import from_json, to_json
from doorward.audit.ledger.records import Coverage, Progress, ScanPlan, ScanRow, ScanState
from ledgers import plan


def test_a_plan_comes_back_from_json_as_it_was():
    before = ScanPlan(
        started_at=plan().started_at,
        clearance_level=1,
        ports=(104,),
        settings='{"pace": 2}',
        organisation="Clinic",
        valid_until=date(2026, 12, 31),
        scope_sha256="ab",
    )
    assert from_json(ScanPlan, to_json(before)) == before


def test_a_plan_of_an_older_version_takes_the_defaults_of_what_it_did_not_know():
    text = '{"started_at":"2026-03-14T12:00:00+00:00","clearance_level":2,"ports":[104,11112]}'
    assert from_json(ScanPlan, text) == plan()


def test_coverage_comes_back_from_json_as_it_was():
    assert from_json(Coverage, to_json(Coverage(ports=3))) == Coverage(ports=3)


@pytest.mark.parametrize(("targets", "is_planned"), [(None, False), (0, True), (3, True)])
def test_a_survey_is_planned_once_its_targets_are_counted(targets, is_planned):
    row = ScanRow(number=1, plan=plan(), state=ScanState.RUNNING, targets=targets)
    assert row.is_planned is is_planned


def test_progress_knows_what_is_left_and_the_worst_rung():
    assert Progress(systems=5, done=2).waiting == 3
    assert Progress(rungs={"E1": 2, "E5": 1, "W3": 4, "V": 1}).worst == "E5"
    assert Progress(rungs={"T": 1}).worst == ""
