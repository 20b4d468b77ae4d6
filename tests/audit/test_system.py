"""One system's visit: what is asked is kept, whatever ends it, and no fault of ours ends another's."""

import asyncio

import pytest

from doorward.audit import itinerary
from doorward.audit.facts import Outcome
from doorward.audit.scope import Scope
from doorward.audit.system import SurveySettings, SystemVisit
from doorward.audit.targets import Target
from doorward.errors import ConnectFailed, ReplyTimeout
from loopback import HOST, limits


class Heard:
    def __init__(self):
        self.said = []

    def system_started(self, target):
        self.said.append(("started", target.host))

    def probe_finished(self, attempt):
        self.said.append((attempt.probe, attempt.outcome.value))

    def system_finished(self, system):
        self.said.append(("finished", system.address))


def visit(address=HOST, *, ports=(104, 105), **changes):
    bounds = {"probe_gap_s": 0.0, "host_s": 5.0} | changes
    return SystemVisit(
        Target(host=HOST if isinstance(address, ConnectFailed) else address, ports=ports),
        address,
        Scope.loopback(),
        SurveySettings(limits=limits(**bounds)),
        Heard(),
    )


def run(one):
    async def go():
        await one.run(asyncio.Semaphore(1))
        return one.facts()

    return asyncio.run(go())


def answering(probe="association"):
    async def ask(_approach):
        return Outcome.ANSWERED, "", None

    async def ask_port(one, approach):
        await one.ask(probe, approach, ask)

    return ask_port


def test_every_port_is_asked_in_order(monkeypatch):
    monkeypatch.setattr(itinerary, "ask_port", answering())
    system = run(visit())
    assert [a.endpoint.port for a in system.attempts] == [104, 105]
    assert system.clearance_level == 2


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        (ReplyTimeout("no word"), Outcome.INCONCLUSIVE, "no word"),
        (ValueError("CANARY"), Outcome.ERROR, "ValueError"),
    ],
)
def test_a_fault_keeps_what_was_answered_and_names_no_value(monkeypatch, fault, outcome, words):
    async def ask_port(one, approach):
        await answering("reach")(one, approach)
        if approach.endpoint.port == 105:
            raise fault

    monkeypatch.setattr(itinerary, "ask_port", ask_port)
    first, second, noted = run(visit()).attempts
    assert (first.outcome, second.outcome) == (Outcome.ANSWERED, Outcome.ANSWERED)
    assert noted.outcome is outcome
    assert words in noted.reason
    assert "CANARY" not in noted.reason
    assert noted.endpoint.port == 105


def test_the_time_for_one_system_is_bounded(monkeypatch):
    async def ask_port(one, approach):
        await answering()(one, approach)
        await asyncio.Event().wait()

    monkeypatch.setattr(itinerary, "ask_port", ask_port)
    answered, noted = run(visit(host_s=0.05)).attempts
    assert answered.outcome is Outcome.ANSWERED
    assert (noted.outcome, noted.reason) == (
        Outcome.INCONCLUSIVE,
        "the time for one system was used up",
    )


def test_an_unknown_name_is_no_system_and_costs_no_question(monkeypatch):
    monkeypatch.setattr(itinerary, "ask_port", answering())
    (noted,) = run(visit(ConnectFailed("the host name x is not known", kind="name"))).attempts
    assert noted.outcome is Outcome.INCONCLUSIVE
    assert "not known" in noted.reason


def test_the_observer_hears_beginning_questions_and_end(monkeypatch):
    monkeypatch.setattr(itinerary, "ask_port", answering())
    one = visit(ports=(104,))
    run(one)
    assert one._observer.said == [
        ("started", HOST),
        ("association", "answered"),
        ("finished", HOST),
    ]


def test_a_question_that_is_not_asked_says_why(monkeypatch):
    async def ask_port(one, approach):
        one.skip("exposure", approach, "no association was accepted")

    monkeypatch.setattr(itinerary, "ask_port", ask_port)
    (skipped,) = run(visit(ports=(104,))).attempts
    assert (skipped.outcome, skipped.reason) == (
        Outcome.NOT_TESTED,
        "no association was accepted",
    )
