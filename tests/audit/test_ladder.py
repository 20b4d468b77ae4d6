"""Which rungs a system reached, for the typical doors of the study."""

from dataclasses import replace

import pytest

from doorward.audit.facts import Attempt, Control, Endpoint, Outcome
from doorward.audit.file_facts import FolderSeen, ListingFacts
from doorward.audit.judge import judge
from doorward.audit.ladder import RUNGS
from doorward.audit.web_facts import Access
from doorward.web.file_names import FolderShape
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
from web_seen import counted, dicomweb, rest, viewer, web, web_attempt

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


@pytest.mark.parametrize(
    ("facts", "reached"),
    [
        ([dicomweb()], {"E5"}),
        ([dicomweb(wado=Access.OPEN)], {"E5", "E6"}),
        ([dicomweb(stow=Access.OPEN)], {"E5", "E7"}),
        ([dicomweb(Access.LOGIN)], set()),
        ([dicomweb(Access.UNCLEAR)], set()),
        ([web(rest=(rest(),))], {"E5"}),
        ([web(rest=(rest(Access.LOGIN),))], set()),
        ([web(viewers=(viewer(),)), dicomweb()], {"E5", "W1", "W2"}),
        ([web(viewers=(viewer(),), over_tls=True), dicomweb()], {"E5", "W1"}),
        # A login in clear text is bad, and no open viewer.
        ([web(viewers=(viewer(Access.LOGIN),))], set()),
    ],
)
def test_web_doors_reach_rungs_of_their_own(facts, reached):
    found = set(judge(system(*map(web_attempt, facts)), now=NOW).rungs)
    assert found - {"E1", "T", "V"} == reached


def test_an_interface_that_gives_only_its_configuration_lists_no_studies():
    arc = replace(rest(), product="dcm4chee-arc", key="dcm4chee")
    assert "E5" not in judge(system(web_attempt(web(rest=(arc,)))), now=NOW).rungs
    counting = replace(arc, studies=counted(3))
    assert "E5" in judge(system(web_attempt(web(rest=(counting,)))), now=NOW).rungs


def test_what_only_the_machine_itself_is_served_is_no_rung():
    own = web(viewers=(viewer(),), rest=(rest(is_local_only=True),))
    made = [web_attempt(facts, address="127.0.0.1") for facts in (own, dicomweb(wado=Access.OPEN))]
    rungs = judge(system(*made), now=NOW).rungs
    assert set(rungs).isdisjoint({"E5", "E6", "E7", "W1", "W2", "W3"})


@pytest.mark.parametrize(("entries", "is_rung"), [(3, True), (0, False)])
def test_a_list_of_files_is_a_rung_unless_it_is_empty(entries, is_rung):
    folder = FolderSeen(path="/dicom/", shape=FolderShape(entries=entries))
    made = Attempt(
        probe="listings",
        endpoint=Endpoint(address="10.1.2.3", port=80),
        outcome=Outcome.ANSWERED,
        facts=ListingFacts(over_tls=False, folders=(folder,), answered=8),
    )
    assert ("W3" in judge(system(made), now=NOW).rungs) is is_rung


def test_each_rung_has_its_words_in_order():
    assert list(RUNGS) == [
        "E0",
        "E1",
        "E2",
        "E3",
        "E4",
        "E5",
        "E6",
        "E7",
        "W1",
        "W2",
        "W3",
        "T",
        "V",
    ]
    assert all(RUNGS.values())
