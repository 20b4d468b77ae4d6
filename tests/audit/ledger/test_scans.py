"""A survey's own row: begun, planned, ended, taken up again."""

from datetime import datetime, timedelta, timezone

import pytest

from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanRow, ScanState
from doorward.audit.ledger.scans import utc_text
from doorward.errors import ConfigError
from ledgers import NOON, plan


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger") as ledger:
        yield ledger


def test_a_survey_begins_unplanned_and_running(ledger):
    scan = ledger.begin(plan(label="March"))
    assert ledger.row(scan) == ScanRow(
        number=scan, plan=plan(label="March"), state=ScanState.RUNNING
    )
    assert not ledger.planned(scan)
    ledger.mark_planned(scan, 7)
    assert ledger.planned(scan)
    assert ledger.row(scan).targets == 7


def test_a_survey_ends_and_goes_on(ledger):
    scan = ledger.begin(plan())
    later = NOON + timedelta(hours=1)
    ledger.end(scan, state=ScanState.INTERRUPTED, at=later)
    assert (ledger.row(scan).state, ledger.row(scan).ended_at) == (ScanState.INTERRUPTED, later)
    ledger.resume(scan)
    assert (ledger.row(scan).state, ledger.row(scan).ended_at) == (ScanState.RUNNING, None)


def test_the_newest_survey_that_was_not_finished_is_the_one_to_go_on_with(ledger):
    assert ledger.unfinished() is None
    first, second, third = (ledger.begin(plan(days=n)) for n in range(3))
    ledger.end(third, state=ScanState.FINISHED, at=NOON)
    ledger.end(first, state=ScanState.INTERRUPTED, at=NOON)
    found = ledger.unfinished()
    assert found is not None
    assert found.number == second
    ledger.end(second, state=ScanState.FINISHED, at=NOON)
    assert ledger.unfinished() == ledger.row(first)
    assert [row.number for row in ledger.scans()] == [first, second, third]


def test_a_survey_that_is_not_there_is_a_clear_error(ledger):
    with pytest.raises(ConfigError, match="no survey number 7"):
        ledger.row(7)
    with pytest.raises(ConfigError, match="no survey number 7"):
        ledger.planned(7)


def test_times_are_written_in_utc_so_that_their_texts_have_an_order():
    east = datetime(2026, 3, 14, 13, 30, 1, 999, tzinfo=timezone(timedelta(hours=2)))
    assert utc_text(east) == "2026-03-14T11:30:01+00:00"
    assert utc_text(east) < utc_text(NOON)
