"""A list as a roster: everybody once, in order; what was seen is kept, also of a visit that was stopped."""

import asyncio

from doorward.audit.facts import Attempt, Endpoint, Outcome, SystemFacts
from doorward.audit.roster import ListRoster, Visitee
from doorward.audit.targets import Target


def visitee(number):
    host = f"127.0.0.{number}"
    return Visitee(number=number, target=Target(host=host), address=host)


def facts(number, *attempts):
    return SystemFacts(
        address=f"127.0.0.{number}", name="", clearance_level=2, attempts=tuple(attempts)
    )


def test_everybody_comes_once_and_in_order():
    roster = ListRoster(map(visitee, (1, 2)))

    async def all_of_them():
        return [await roster.next() for _ in range(4)]

    assert asyncio.run(all_of_them()) == [visitee(1), visitee(2), None, None]


def test_what_was_finished_or_stopped_midway_is_kept_and_what_was_not_begun_is_not():
    roster = ListRoster([])
    made = Attempt(
        probe="reach", endpoint=Endpoint(address="127.0.0.2", port=1), outcome=Outcome.ANSWERED
    )
    roster.finished(visitee(1), facts(1))
    roster.put_back(visitee(2), facts(2, made))
    roster.put_back(visitee(3), facts(3))
    assert roster.seen == {1: facts(1), 2: facts(2, made)}
