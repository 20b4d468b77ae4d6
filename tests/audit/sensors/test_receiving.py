"""What comes back from sensors: believed as far as it can be, and given to the roster once for each system."""

from dataclasses import replace

import pytest

from doorward.audit.exit_code import is_tested
from doorward.audit.facts import Outcome, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.roster import Visitee
from doorward.audit.sensors.messages import Result, pack
from doorward.audit.sensors.receiving import Handed, Received, Receiver
from doorward.audit.sensors.subjects import Delivery, facts_subject
from doorward.audit.system import SurveySettings
from doorward.audit.targets import Target
from doorward.audit.traffic import Traffic
from ledgers import attempt
from loopback import in_loop, limits
from practising import Unheard
from seen import NOW
from sensors import MemoryRoster

ADDRESS = "192.0.2.1"
NEVER_GIVEN = 99


class Desk:
    """A receiver with one system, number 7, in the hands of the sensor north."""

    def __init__(self, **bounds):
        self.visitee = Visitee(number=7, target=Target(host=ADDRESS, ports=(104,)), address=ADDRESS)
        self.roster = MemoryRoster([self.visitee])
        self.said: list[str] = []
        self.traffic = Traffic()
        settings = SurveySettings(limits=limits(**bounds))
        self.receiver = Receiver(self.roster, settings, self.traffic, Unheard(), self.said.append)
        self.one = Handed(visitee=self.visitee, sensor="north")
        self.receiver.handed[7] = self.one
        self.receiver.mark_published(self.one, at_s=0)

    @property
    def done(self):
        return self.receiver.done

    def get(self, result=None, *, sensor="north", number=7, content=None, part=()) -> Received:
        content = pack(result or self.result()) if content is None else content
        subject = facts_subject(sensor, "scan-1", number, *part)
        delivery = Delivery(subject=subject, content=content, reply=f"reply {len(self.said)}")
        self.last = delivery
        return self.receiver.receive(delivery)

    def result(self, *attempts, **changes) -> Result:
        facts = SystemFacts(
            address=ADDRESS, name="", clearance_level=2, attempts=attempts or (attempt(ADDRESS),)
        )
        made = Result(scan="scan-1", number=7, address=ADDRESS, visit="v1", facts=facts)
        return replace(made, **changes)


@in_loop
async def test_a_result_is_handed_over_answer_by_answer_and_then_finished():
    desk = Desk()
    answers = (attempt(ADDRESS), attempt(ADDRESS, port=11112, connections=3))
    received = desk.get(desk.result(*answers))
    assert received == Received(done=(desk.last,))
    assert desk.roster.answers[7] == list(answers)
    assert desk.roster.each_once()
    assert desk.traffic.connections == 4
    assert not desk.receiver.handed
    assert desk.receiver.published["north"] == 0
    assert desk.done.finished == 1


@in_loop
async def test_a_second_result_for_a_system_is_dropped_and_counted():
    desk = Desk()
    desk.get()
    other = desk.result(attempt(ADDRESS, outcome=Outcome.INCONCLUSIVE), visit="v2")
    assert desk.get(other) == Received(done=(desk.last,))
    assert desk.done.repeated == 1
    assert desk.roster.each_once()


@in_loop
async def test_answers_of_an_earlier_life_are_not_handed_over_again():
    desk = Desk()
    before = attempt(ADDRESS)
    desk.one.visitee = replace(desk.visitee, answered=(before,))
    desk.get(desk.result(before, attempt(ADDRESS, port=11112)))
    assert [made.endpoint.port for made in desk.roster.answers[7]] == [11112]
    ((facts,),) = desk.roster.judged.values()
    assert len(facts.attempts) == 2


@in_loop
async def test_a_result_from_a_sensor_that_is_not_responsible_is_dropped():
    desk = Desk()
    assert desk.get(sensor="south") == Received(done=(desk.last,))
    assert desk.done.foreign == 1
    assert 7 in desk.receiver.handed
    assert not desk.roster.done


@in_loop
async def test_a_result_for_a_system_that_the_roster_has_not_given_yet_waits():
    desk = Desk()
    assert desk.get(number=NEVER_GIVEN) == Received(is_later=True)
    desk.receiver.is_exhausted = True
    assert desk.get(number=NEVER_GIVEN) == Received(done=(desk.last,))
    assert desk.done.repeated == 1


@in_loop
@pytest.mark.parametrize(
    "change",
    (
        {"number": 8},
        {"scan": "scan-2"},
        {"address": "192.0.2.2"},
        {"facts": None},
        {"facts": None, "refusal": "no", "address": "192.0.2.2"},
        {"facts": SystemFacts(address="192.0.2.2", name="", clearance_level=2, attempts=())},
        {"facts": SystemFacts(address=ADDRESS, name="", clearance_level=3, attempts=())},
        {
            "facts": SystemFacts(
                address=ADDRESS, name="", clearance_level=2, attempts=(attempt("192.0.2.2"),)
            )
        },
    ),
)
async def test_a_result_about_something_else_is_dropped(change):
    desk = Desk()
    assert desk.get(desk.result(**change)) == Received(done=(desk.last,))
    assert desk.done.unfit == 1
    assert not desk.roster.done


@in_loop
async def test_a_system_whose_sensor_sends_nothing_usable_ends_as_inconclusive():
    desk = Desk()
    for _ in range(3):
        assert desk.get(content=b"nonsense") == Received(done=(desk.last,))
    ((facts,),) = desk.roster.judged.values()
    assert desk.done.unfit == 3
    assert [(a.outcome, a.facts) for a in facts.attempts] == [(Outcome.INCONCLUSIVE, None)]
    assert desk.roster.each_once()


@in_loop
async def test_a_subject_that_is_not_ours_is_dropped():
    desk = Desk()
    delivery = Delivery(subject="doorward.facts.north", content=b"", reply="r")
    assert desk.receiver.receive(delivery) == Received(done=(delivery,))
    assert desk.done.unfit == 1


@in_loop
async def test_a_refusal_is_said_counted_and_never_a_pass():
    desk = Desk()
    refusal = "refused by the sensor's scope"
    desk.get(desk.result(facts=None, refusal=refusal))
    assert desk.done.refused == 1
    assert any(refusal in line and ADDRESS in line for line in desk.said)
    ((facts,),) = desk.roster.judged.values()
    judged = judge(facts, now=NOW)
    assert [a.reason for a in facts.attempts] == [refusal]
    assert not is_tested(judged)
    assert judged.score is None


# --- parts ------------------------------------------------------------------------------------------------------------


def part(desk, number, of=2, visit="v1"):
    made = desk.result(attempt(ADDRESS, port=100 + number), part=number, parts=of, visit=visit)
    return desk.get(made, part=(visit, str(number)))


@in_loop
async def test_parts_are_put_together_in_their_order_and_acknowledged_together():
    desk = Desk()
    assert part(desk, 2) == Received()
    received = part(desk, 1)
    assert len(received.done) == 2
    assert [a.endpoint.port for a in desk.roster.answers[7]] == [101, 102]
    assert desk.roster.each_once()


@in_loop
async def test_parts_of_two_visits_are_never_mixed():
    desk = Desk()
    assert part(desk, 1, visit="v1") == Received()
    assert part(desk, 2, visit="v2") == Received()
    received = part(desk, 1, visit="v2")
    assert len(received.done) == 3  # that of the visit which never ended, too
    assert desk.roster.each_once()


@in_loop
async def test_a_part_that_comes_twice_counts_once():
    desk = Desk()
    assert part(desk, 1) == Received()
    assert part(desk, 1) == Received()
    part(desk, 2)
    assert len(desk.roster.answers[7]) == 2


@in_loop
async def test_parts_that_fill_the_memory_are_dropped():
    desk = Desk(sensor_kept_bytes=300)
    received = [part(desk, 1, visit=f"v{number}", of=2) for number in range(4)]
    assert any(one.done for one in received)
    assert desk.done.unfit >= 1
    assert not desk.roster.done


@in_loop
async def test_what_is_not_finished_is_put_back():
    desk = Desk()
    desk.receiver.put_back()
    assert desk.roster.returned == [7]
