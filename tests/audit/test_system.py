"""One system's visit: what is asked is kept, whatever ends it, and no fault of ours ends another's."""

import asyncio
import socket

import pytest

from doorward.audit import itinerary
from doorward.audit.facts import Outcome, PortState, ReachFacts
from doorward.audit.probes import reach
from doorward.audit.roster import ListRoster, Visitee
from doorward.audit.scope import Scope
from doorward.audit.system import SurveySettings, SystemVisit
from doorward.audit.targets import Target
from doorward.audit.traffic import Traffic, TrafficRules, VisitStopped
from doorward.errors import ConfigError, ConnectFailed, ReplyTimeout
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


def visit(
    address=HOST,
    *,
    ports=(104, 105),
    answered=(),
    roster=None,
    traffic=None,
    discovers=False,
    **changes,
):
    bounds = {"probe_gap_s": 0.0, "host_s": 5.0} | changes
    target = Target(host=HOST if isinstance(address, ConnectFailed) else address, ports=ports)
    unknown = str(address) if isinstance(address, ConnectFailed) else ""
    visitee = Visitee(
        number=0, target=target, address=target.host, unknown=unknown, answered=tuple(answered)
    )
    settings = SurveySettings(limits=limits(**bounds), discovers=discovers)
    return SystemVisit(
        visitee,
        Scope.loopback(),
        settings,
        Heard(),
        roster or ListRoster([]),
        traffic or Traffic(),
    )


def run(one):
    async def go():
        await one.run()
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


# --- a visit that goes on where an earlier one was ended -------------------------------------------------------------


class Kept(ListRoster):
    """Keeps answers as they are handed over."""

    def __init__(self):
        super().__init__([])
        self.kept = []

    def answered(self, visitee, attempt):
        self.kept.append(attempt)


def counting(asked):
    """An itinerary of three questions for each port, which notes what is really asked."""

    async def ask_port(one, approach):
        async def ask(_):
            asked.append((probe, approach.endpoint.port))
            return Outcome.ANSWERED, "", None

        for probe in ("association", "transport", "association"):
            await one.ask(probe, approach, ask)
        one.skip("exposure", approach, "no association was accepted")

    return ask_port


def test_what_was_answered_is_not_asked_again_wherever_the_earlier_visit_ended(monkeypatch):
    whole, first = [], Kept()
    monkeypatch.setattr(itinerary, "ask_port", counting(whole))
    facts = run(visit(roster=first))
    assert len(first.kept) == 8
    for ended_after in range(9):
        asked, second = [], Kept()
        monkeypatch.setattr(itinerary, "ask_port", counting(asked))
        again = run(visit(answered=first.kept[:ended_after], roster=second))
        assert again.attempts[:ended_after] == facts.attempts[:ended_after]
        assert [a.probe for a in again.attempts] == [a.probe for a in facts.attempts]
        assert len(second.kept) == 8 - ended_after
        assert asked == whole[len(whole) - len(asked) :]


def test_the_next_question_waits_until_the_answer_is_safe(monkeypatch):
    said = []

    class Slow(ListRoster):
        def answered(self, visitee, attempt):
            said.append(f"{attempt.probe} is safe")

    async def ask_port(one, approach):
        for probe in ("association", "transport"):
            await one.ask(probe, approach, lambda _, probe=probe: note(probe))

    async def note(probe):
        said.append(probe)
        return Outcome.ANSWERED, "", None

    monkeypatch.setattr(itinerary, "ask_port", ask_port)
    run(visit(ports=(104,), roster=Slow([])))
    assert said == ["association", "association is safe", "transport", "transport is safe"]


def test_a_stopped_survey_ends_before_the_next_question(monkeypatch):
    traffic = Traffic()

    async def ask_port(one, approach):
        async def ask(_):
            traffic.stop("enough")
            return Outcome.ANSWERED, "", None

        await one.ask("association", approach, ask)
        await one.ask("transport", approach, ask)

    monkeypatch.setattr(itinerary, "ask_port", ask_port)
    one = visit(traffic=traffic)
    with pytest.raises(VisitStopped):
        run(one)
    assert [a.probe for a in one.attempts] == ["association"]
    assert ("finished", HOST) not in one._observer.said


# --- a glance at all ports first -------------------------------------------------------------------------------------


def test_only_ports_that_a_glance_found_open_are_asked(monkeypatch):
    monkeypatch.setattr(itinerary, "ask_port", answering())
    with socket.create_server((HOST, 0)) as here, socket.create_server((HOST, 0)) as gone:
        is_open, closed = here.getsockname()[1], gone.getsockname()[1]
        gone.close()
        facts = run(visit(ports=(closed, is_open), discovers=True))
    assert {(a.endpoint.port, a.probe) for a in facts.attempts} == {
        (closed, "reach"),
        (is_open, "reach"),
        (is_open, "association"),
    }


def test_a_host_that_drops_everything_costs_one_wait_for_a_handful_of_ports(monkeypatch):
    glances = []

    async def silence(approach):
        glances.append(approach.endpoint.port)
        await asyncio.sleep(0.1)
        return Outcome.INCONCLUSIVE, "no answer", ReachFacts(port_state=PortState.FILTERED)

    monkeypatch.setattr(reach, "glance", silence)
    monkeypatch.setattr(itinerary, "ask_port", answering())

    async def go():
        begun = asyncio.get_running_loop().time()
        one = visit(ports=tuple(range(1, 17)), discovers=True, discovery_at_a_time=8)
        await one.run()
        return one.facts(), asyncio.get_running_loop().time() - begun

    facts, took_s = asyncio.run(go())
    assert sorted(glances) == list(range(1, 17))
    assert [a.probe for a in facts.attempts] == ["reach"] * 16
    assert took_s < 0.8  # two waits side by side; one after the other would be 1.6 s


def test_the_time_for_one_system_does_not_run_while_it_waits_for_its_turn(monkeypatch):
    async def ask(approach):
        async with approach.pace.turn():
            return Outcome.ANSWERED, "", None

    async def ask_port(one, approach):
        await one.ask("association", approach, ask)

    monkeypatch.setattr(itinerary, "ask_port", ask_port)
    traffic = Traffic(TrafficRules(per_second=10, network_per_second=0), chance=lambda: 0.0)
    facts = run(visit(ports=(104, 105, 106), traffic=traffic, host_s=0.15))
    assert [a.outcome for a in facts.attempts] == [Outcome.ANSWERED] * 3


def test_the_time_does_not_run_while_some_of_its_glances_still_wait():
    traffic = Traffic(TrafficRules(per_second=5, network_per_second=0), chance=lambda: 0.0)
    ports = (1, 2, 3, 4)  # nobody listens there
    facts = run(visit(ports=ports, traffic=traffic, discovers=True, host_s=0.15))
    assert [(a.probe, a.outcome) for a in facts.attempts] == [("reach", Outcome.ANSWERED)] * 4


def test_each_glance_counts_its_own_connection():
    traffic = Traffic(TrafficRules(per_second=50, network_per_second=0), chance=lambda: 0.0)
    facts = run(visit(ports=(1, 2, 3, 4), traffic=traffic, discovers=True))
    assert [a.connections for a in facts.attempts] == [1] * 4
    assert traffic.connections == 4


def test_an_answer_that_nobody_could_keep_ends_the_visit_unfinished(monkeypatch):
    """Disks are full for a moment: a visit that went on would end, and be judged, without that answer."""

    class Forgetful(ListRoster):
        kept = 0

        def answered(self, visitee, attempt):
            self.kept += 1
            if self.kept == 2:
                raise ConfigError("the disk is full")

    async def answers(approach):
        return Outcome.ANSWERED, "", None

    async def one_question(visiting, approach):
        await visiting.ask("reach", approach, answers)

    monkeypatch.setattr(itinerary, "ask_port", one_question)
    roster = Forgetful([])
    asked = visit(ports=(104, 105, 106), roster=roster)
    with pytest.raises(ConfigError, match="the disk is full"):
        asyncio.run(asked.run())
    assert roster.kept == 2
    assert len(asked.facts().attempts) == 1
    assert ("finished", HOST) not in asked._observer.said
