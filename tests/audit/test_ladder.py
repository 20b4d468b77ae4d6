"""Which rungs a system reached, for the typical doors of the study."""

import pytest

from doorward.audit.facts import Control
from doorward.audit.judge import judge
from doorward.audit.ladder import RUNGS
from seen import (
    ANYBODY,
    CALLER_LIST,
    CLOSED,
    FILTERED,
    KNOWN_TITLES,
    MUTUAL,
    NOW,
    OFFERS_ALL,
    OFFERS_NOTHING,
    PLAIN,
    REFUSED_BY_ABORT,
    SILENT,
    STUDIES_1234,
    accepted,
    associations,
    attempt,
    offers,
    seen,
    system,
)

QUIET = associations(accepted(stack=("", "")))


@pytest.mark.parametrize(
    ("facts", "rungs"),
    [
        ([FILTERED], ("E0",)),
        ([CLOSED], ()),
        ([SILENT], ("E1",)),
        ([CALLER_LIST], ("E1", "E2")),
        ([CALLER_LIST, PLAIN], ("E1", "E2", "T")),
        ([QUIET, OFFERS_NOTHING], ("E1", "E2", "E3")),
        ([QUIET, offers("find")], ("E1", "E2", "E3", "E4")),
        ([QUIET, offers("find"), STUDIES_1234], ("E1", "E2", "E3", "E4", "E5")),
        ([QUIET, offers("find", "get"), STUDIES_1234], ("E1", "E2", "E3", "E4", "E5", "E6")),
        ([QUIET, offers("store")], ("E1", "E2", "E3", "E7")),
        ([QUIET, OFFERS_ALL, REFUSED_BY_ABORT], ("E1", "E2", "E3", "E4", "E7")),
        ([ANYBODY, OFFERS_NOTHING], ("E1", "E2", "E3", "V")),
        ([MUTUAL], ("E1",)),
        (
            [KNOWN_TITLES, offers("find", "store", control=Control.GIVEN_BOTH), STUDIES_1234],
            ("E1", "E2", "V"),
        ),
    ],
)
def test_rungs_are_reached_one_by_one(facts, rungs):
    assert judge(seen(*facts), now=NOW).rungs == rungs


def test_downloadable_needs_query_and_retrieval_on_the_same_door():
    two = system(
        attempt(QUIET, port=104),
        attempt(offers("find"), port=104),
        attempt(STUDIES_1234, port=104),
        attempt(QUIET, port=11112),
        attempt(offers("get"), port=11112),
    )
    rungs = judge(two, now=NOW).rungs
    assert "E5" in rungs
    assert "E6" not in rungs


def test_a_filtered_port_beside_an_open_one_is_no_rung():
    two = system(attempt(QUIET, port=104), attempt(FILTERED, port=11112))
    assert judge(two, now=NOW).rungs == ("E1", "E2", "E3")


def test_each_rung_has_its_words_in_order():
    assert list(RUNGS) == ["E0", "E1", "E2", "E3", "E4", "E5", "E6", "E7", "T", "V"]
    assert all(RUNGS.values())
