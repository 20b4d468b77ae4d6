"""One survey from its plan to its report: resumed with what was planned, judged as it goes, read back from the disk."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from doorward.audit import campaign
from doorward.audit.campaign import Judge, LedgerRoster, new_plan, planned_settings
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanState
from doorward.audit.place import Place
from doorward.audit.report.model import SystemModel
from doorward.audit.scope import Scope
from doorward.audit.system import SurveySettings
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from doorward.knowledge.advisories import Additions
from loopback import in_loop, limits
from seen import ANYBODY, OFFERS_ALL, PLAIN, STUDIES_1234, seen

JUDGE = Judge(now=datetime(2026, 11, 22, tzinfo=UTC), additions=Additions())
SETTINGS = SurveySettings(
    clearance_level=2, ports=(104, 11112), called_ae_titles=("PACS",), discovers=True
)
DE = Place(site="North", country="DE")


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "a.ledger") as one:
        one.begin(new_plan(SETTINGS, Scope.loopback(), label="autumn"))
        yield one


def add(ledger, *addresses, place=DE):
    ledger.add(1, [(Target(host=a, ports=(104,), place=place), a, "") for a in addresses])
    ledger.mark_planned(1, len(addresses))


def open_archive(address):
    return seen(ANYBODY, PLAIN, OFFERS_ALL, STUDIES_1234, address=address)


async def everybody(roster):
    found = []
    while (visitee := await roster.next()) is not None:
        found.append(visitee)
    return found


def test_a_resumed_survey_asks_what_was_planned_and_not_what_is_said_now(ledger):
    now = SurveySettings(clearance_level=1, ports=(1,), limits=limits(host_s=77.0))
    again = planned_settings(ledger.row(1).plan, now)
    assert again == replace(SETTINGS, limits=now.limits)


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_a_plan_that_cannot_be_read_is_an_error_in_words(ledger, text):
    plan = replace(ledger.row(1).plan, settings=text)
    with pytest.raises(ConfigError, match="plan"):
        planned_settings(plan, SETTINGS)


@in_loop
async def test_neighbours_in_the_order_are_no_neighbours_in_the_network(ledger):
    add(ledger, *(f"127.{net}.0.{n}" for net in (1, 2, 3) for n in (1, 2)))
    order = [one.address for one in await everybody(LedgerRoster(ledger, 1, JUDGE))]
    assert order == [f"127.{net}.0.{n}" for n in (1, 2) for net in (1, 2, 3)]


@in_loop
async def test_a_finished_system_is_judged_and_never_comes_again(ledger):
    add(ledger, "127.1.0.1", "127.1.0.2")
    heard = []
    roster = LedgerRoster(ledger, 1, JUDGE, on_finished=heard.append)
    first = await roster.next()
    for attempt in open_archive(first.address).attempts:
        roster.answered(first, attempt)
    roster.finished(first, open_archive(first.address))
    (standing,) = ledger.standings(1)
    assert heard == [standing]
    assert (standing.is_unprotected, standing.place) == (True, DE)
    document = SystemModel.model_validate_json(next(iter(ledger.documents(1))))
    assert (document.address, document.country, document.site) == ("127.1.0.1", "DE", "North")
    rest = await everybody(roster)
    assert [one.address for one in rest] == ["127.1.0.2"]


@in_loop
async def test_who_is_put_back_comes_again_with_its_answers(ledger):
    add(ledger, "127.1.0.1")
    roster = LedgerRoster(ledger, 1, JUDGE)
    visitee = await roster.next()
    attempts = open_archive(visitee.address).attempts
    roster.answered(visitee, attempts[0])
    roster.put_back(visitee, open_archive(visitee.address))
    again = await roster.next()
    assert again.answered == (attempts[0],)


@in_loop
async def test_judging_anew_needs_no_network_and_replaces_the_verdict(ledger):
    add(ledger, "127.1.0.1")
    roster = LedgerRoster(ledger, 1, JUDGE)
    visitee = await roster.next()
    facts = open_archive(visitee.address)
    for attempt in facts.attempts:
        roster.answered(visitee, attempt)
    roster.finished(visitee, facts)
    before = next(iter(ledger.standings(1)))
    ledger.replace_verdict(1, visitee.number, replace(before, grade="A", score=100), "{}")
    assert campaign.rejudge(ledger, 1, JUDGE) == 1
    assert next(iter(ledger.standings(1))) == before


@in_loop
async def test_the_frame_of_the_report_comes_from_the_ledger_alone(ledger):
    add(ledger, "127.1.0.1", "127.1.0.2")
    roster = LedgerRoster(ledger, 1, JUDGE)
    for visitee in await everybody(roster):
        facts = open_archive(visitee.address)
        for attempt in facts.attempts:
            roster.answered(visitee, attempt)
        roster.finished(visitee, facts)
    ended = datetime(2026, 11, 23, tzinfo=UTC)
    ledger.end(1, state=ScanState.FINISHED, at=ended)
    frame = campaign.frame(ledger, 1)
    assert frame.totals.studies.value == 2 * 1_234
    assert [row.country for row in frame.countries] == ["DE"]
    assert frame.scan.finished_at == ended.isoformat(timespec="seconds")
    assert not frame.scan.interrupted
    assert frame.scan.coverage.systems == 2
    assert json.loads(ledger.row(1).plan.settings)["count_honeypots"] is False


@in_loop
async def test_a_survey_compared_with_itself_shows_no_change(ledger):
    add(ledger, "127.1.0.1")
    roster = LedgerRoster(ledger, 1, JUDGE)
    visitee = await roster.next()
    roster.finished(visitee, open_archive(visitee.address))
    report = campaign.compared(ledger, 1, ledger, 1, JUDGE)
    assert (report.before.unprotected, report.after.unprotected, report.new) == (1, 1, 0)
    assert report.before.label == "autumn"


def test_an_audit_becomes_a_survey_of_its_own_in_a_ledger(ledger):
    systems = [open_archive("127.1.0.1"), open_archive("127.1.0.2")]
    scan = campaign.record(ledger, SETTINGS, Scope.loopback(), systems, JUDGE)
    assert scan == 2
    assert [facts for _, facts in ledger.facts(scan)] == systems
    assert [one.is_unprotected for one in ledger.standings(scan)] == [True, True]
