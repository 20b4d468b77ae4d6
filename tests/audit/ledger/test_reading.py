"""Facts, coverage and progress are what the same survey would have had in memory."""

from dataclasses import replace

import pytest

from doorward.audit.facts import Outcome, SystemFacts
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import Coverage, Progress
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from doorward.limits import Limits
from ledgers import attempt, finish_all, planned, standing


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger", limits=Limits(ledger_systems_at_a_time=2)) as ledger:
        yield ledger


def test_facts_are_those_of_the_visit(ledger):
    scan = planned(ledger, "192.0.2.1")
    ledger.add(scan, [(Target(host="pacs.example"), "192.0.2.2", "")])
    for visitee in ledger.waiting(scan, 9):
        ledger.answered(scan, visitee.number, attempt(visitee.address, port=104))
        ledger.answered(scan, visitee.number, attempt(visitee.address, port=80))
        level = 1 if visitee.address == "192.0.2.2" else None
        ledger.finished(scan, visitee.number, standing(), "{}", clearance_level=level)
    assert [facts for _, facts in ledger.facts(scan)] == [
        SystemFacts(
            address=address,
            name=name,
            clearance_level=level,
            attempts=(attempt(address, port=104), attempt(address, port=80)),
        )
        for address, name, level in (("192.0.2.1", "", 2), ("192.0.2.2", "pacs.example", 1))
    ]


def test_visits_that_were_cut_short_are_left_out_unless_asked_for(ledger):
    scan = planned(ledger, *(f"192.0.2.{n}" for n in range(1, 7)))
    visitees = ledger.waiting(scan, 5)
    for visitee in visitees:
        ledger.answered(scan, visitee.number, attempt(visitee.address))
    for visitee in visitees[::2]:
        ledger.finished(scan, visitee.number, standing(visitee.address), "{}")
    finished = [facts.address for _, facts in ledger.facts(scan)]
    seen = [facts.address for _, facts in ledger.facts(scan, with_unfinished=True)]
    assert finished == ["192.0.2.1", "192.0.2.3", "192.0.2.5"]
    assert seen == [f"192.0.2.{n}" for n in range(1, 6)]


def test_facts_of_a_survey_that_is_not_there_are_a_clear_error(ledger):
    with pytest.raises(ConfigError, match="no survey number 3"):
        list(ledger.facts(3))


def test_coverage_counts_questions_by_their_end(ledger):
    scan, other = planned(ledger, "192.0.2.1", "192.0.2.2"), planned(ledger, "192.0.2.1")
    finish_all(ledger, other)
    first, second = ledger.waiting(scan, 2)
    for number, port, outcome, connections in (
        (first.number, 104, Outcome.ANSWERED, 3),
        (first.number, 104, Outcome.INCONCLUSIVE, 1),
        (first.number, 80, Outcome.NOT_TESTED, 0),
        (second.number, 104, Outcome.ERROR, 0),
        (second.number, 80, Outcome.NOT_TESTED, 0),
    ):
        made = attempt(port=port, outcome=outcome, connections=connections)
        ledger.answered(scan, number, made)
    ledger.finished(scan, first.number, standing(), "{}")
    assert ledger.coverage(scan) == Coverage(
        targets=2,
        systems=1,
        ports=4,
        connections=4,
        questions_answered=1,
        questions_inconclusive=1,
        questions_failed=1,
        questions_not_asked=2,
    )


def test_the_writer_s_running_progress_is_what_the_file_says(ledger):
    scan = planned(ledger, *(f"192.0.2.{n}" for n in range(1, 6)))
    with Ledger.read(ledger.file) as reader:
        assert ledger.progress(scan) == reader.progress(scan) == Progress(systems=5)
        visitees = ledger.waiting(scan, 9)
        for n, visitee in enumerate(visitees[:4]):
            ledger.answered(scan, visitee.number, attempt(visitee.address, connections=n))
            rungs = ("E1", "E5", "E6") if n % 2 else ("E1", "W3")
            one = standing(visitee.address, rungs=rungs)
            if n == 3:
                one = replace(one, is_suspected=True)
            ledger.finished(scan, visitee.number, one, "{}")
            assert ledger.progress(scan) == reader.progress(scan)
    assert ledger.progress(scan) == Progress(
        systems=5,
        done=4,
        answers=4,
        connections=6,
        unprotected=1,
        suspected=1,
        rungs={"E1": 3, "W3": 2, "E5": 1, "E6": 1},
    )
    assert ledger.progress(scan).worst == "E6"
    ledger.finished(scan, visitees[3].number, standing(), "{}")
    assert ledger.progress(scan).unprotected == 2
    ledger.replace_verdict(scan, visitees[3].number, standing(rungs=("E7",)), "{}")
    assert ledger.progress(scan).rungs["E7"] == 1
