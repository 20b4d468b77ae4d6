"""What the sums keep of one system: above all which of its doors are open, shut by an answer, or silent."""

import pytest

from doorward.audit.facts import Control, Outcome, PortState, QueryEnd, Reply, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.place import Place
from doorward.audit.standing import Standing, standing
from doorward.audit.verdict import Severity
from seen import (
    NOW,
    accepted,
    associations,
    attempt,
    counted,
    exposure,
    offers,
    query,
    rejected,
    reply,
    seen,
    system,
)

SERVED = exposure(query(QueryEnd.SUCCESS, 5), studies=counted(5))
REFUSED = exposure(query(QueryEnd.REFUSED))


def stood(facts: SystemFacts) -> Standing:
    return standing(judge(facts, now=NOW))


@pytest.mark.parametrize(
    ("facts", "doors"),
    [
        (seen(associations(accepted()), offers("find"), SERVED), "unprotected"),
        (seen(associations(state=PortState.CLOSED)), "shut"),
        (seen(associations(accepted()), offers("find"), REFUSED), "shut"),
        (seen(associations(rejected(Control.RANDOM_BOTH, 1, 1, 3))), "shut"),
        # The right called title may open: no grade, and yet the stranger was turned away.
        (seen(associations(rejected(Control.RANDOM_BOTH, 1, 1, 7))), "shut"),
        (seen(associations(reply(Control.RANDOM_BOTH, Reply.NOT_DICOM, looks_like="ssh"))), "shut"),
        (seen(associations(state=PortState.FILTERED)), "silent"),
        (seen(associations(state=PortState.UNREACHABLE)), "silent"),
        # Somebody is there, and nothing said settles it.
        (seen(associations(rejected(Control.RANDOM_BOTH, 2, 3, 1))), ""),
        (seen(associations(reply(Control.RANDOM_BOTH, Reply.SILENT))), ""),
        (seen(associations(accepted())), ""),
        (seen(associations(accepted()), offers("find"), level=1), ""),
        (seen(Outcome.ERROR), ""),
    ],
)
def test_a_door_is_shut_by_an_answer_and_never_by_silence(facts: SystemFacts, doors: str) -> None:
    found = stood(facts)
    assert found.ports_asked == (104,)
    kinds = ("unprotected", "shut", "silent")
    assert [kind for kind in kinds if getattr(found, f"ports_{kind}")] == ([doors] if doors else [])
    assert found.is_unprotected is (doors == "unprotected")


def test_each_door_of_a_system_is_told_by_itself() -> None:
    found = stood(
        system(
            attempt(associations(accepted())),
            attempt(offers("find")),
            attempt(SERVED),
            attempt(associations(state=PortState.CLOSED), port=2762),
            attempt(associations(state=PortState.FILTERED), port=11112),
        )
    )
    assert found.ports_asked == (104, 2762, 11112)
    assert (found.ports_unprotected, found.ports_shut, found.ports_silent) == (
        (104,),
        (2762,),
        (11112,),
    )


def test_an_open_archive_stands_as_it_was_judged() -> None:
    judged = judge(seen(associations(accepted()), offers("find", "get"), SERVED), now=NOW)
    place = Place(country="DE")
    found = standing(judged, place)
    assert (found.grade, found.score, found.rungs) == (judged.grade, judged.score, judged.rungs)
    assert (found.counts, found.place) == (judged.counts, place)
    assert (found.is_unprotected, found.is_downloadable, found.is_writable) == (True, True, False)
    assert found.worst_severity is Severity.CRITICAL
    assert found.is_tested


@pytest.mark.parametrize(
    ("attempts", "is_tested", "is_silent"),
    [
        ((attempt(associations(state=PortState.FILTERED)),), False, True),
        ((attempt(associations(state=PortState.CLOSED)),), False, False),
    ],
)
def test_silence_and_a_closed_port_are_told_apart(attempts, is_tested, is_silent) -> None:
    found = stood(system(*attempts))
    assert (found.is_tested, found.is_silent, found.worst_severity) == (is_tested, is_silent, None)
    assert found.counts.studies.value is None
