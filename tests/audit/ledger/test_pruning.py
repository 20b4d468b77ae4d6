"""What is forgotten is gone from the file; what stays can still be reported."""

from datetime import timedelta

import pytest

from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import Pruned, ScanState
from doorward.errors import ConfigError
from ledgers import NOON, finish_all, planned, written


@pytest.fixture
def ledger(tmp_path):
    """Four surveys, a day apart, each of two systems; the last one is not finished."""
    with Ledger.open(tmp_path / "ledger") as ledger:
        for days in range(4):
            scan = planned(ledger, f"192.0.2.{days}", "198.51.100.7", days=days)
            finish_all(ledger, scan)
            if days < 3:
                ledger.end(scan, state=ScanState.FINISHED, at=NOON)
        yield ledger


def numbers(ledger):
    return [row.number for row in ledger.scans()]


def test_the_newest_are_kept(ledger):
    assert ledger.prune(keep=3) == Pruned(scans=1, answers=2)
    assert numbers(ledger) == [2, 3, 4]
    assert ledger.progress(2).done == 2


def test_what_began_before_a_day_is_forgotten(ledger):
    assert ledger.prune(before=NOON + timedelta(days=2)) == Pruned(scans=2, answers=4)
    assert numbers(ledger) == [3, 4]


def test_of_the_older_ones_only_those_before_a_day_are_forgotten(ledger):
    ledger.prune(keep=1, before=NOON + timedelta(days=1))
    assert numbers(ledger) == [2, 3, 4]


def test_without_a_word_nothing_is_forgotten(ledger):
    assert ledger.prune() == Pruned()
    assert numbers(ledger) == [1, 2, 3, 4]


def test_what_was_forgotten_cannot_be_read_out_of_the_file_and_its_room_is_given_back(tmp_path):
    file = tmp_path / "ledger"
    with Ledger.open(file) as ledger:
        finish_all(ledger, planned(ledger, *(f"198.51.{n}.77" for n in range(200))))
        finish_all(ledger, planned(ledger, "192.0.2.3", days=1))
    before = file.stat().st_size
    assert b"198.51.100.77" in written(file)
    with Ledger.open(file) as ledger:
        ledger.prune(keep=1)
        assert b"198.51.100.77" not in written(file)
        assert b"192.0.2.3" in written(file)
        assert file.stat().st_size < before / 2


def test_a_survey_that_never_began_is_forgotten_alone(ledger):
    ledger.discard(4)
    assert numbers(ledger) == [1, 2, 3]
    assert ledger.progress(3).done == 2
    assert planned(ledger, "192.0.2.9") == 5


def test_a_number_is_never_used_twice(ledger):
    last = max(number for number, _ in ledger.facts(4))
    ledger.prune(keep=0)
    assert numbers(ledger) == []
    scan = planned(ledger, "192.0.2.1")
    assert scan == 5
    assert ledger.waiting(scan, 1)[0].number > last


def test_answers_alone_can_be_forgotten_of_surveys_that_are_finished(ledger):
    coverage, standings = ledger.coverage(1), list(ledger.standings(1))
    documents = list(ledger.documents(1))
    assert coverage.questions_answered == 2
    assert ledger.prune(keep=0, only_answers=True) == Pruned(scans=3, answers=6)
    assert [row.has_answers for row in ledger.scans()] == [False, False, False, True]
    assert ledger.coverage(1) == coverage
    assert list(ledger.standings(1)) == standings
    assert list(ledger.documents(1)) == documents
    with pytest.raises(ConfigError, match="were pruned"):
        list(ledger.facts(1))
    assert len(list(ledger.facts(4))) == 2
    assert ledger.prune(keep=0, only_answers=True) == Pruned()
