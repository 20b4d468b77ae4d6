"""What a stranger may negotiate: only an accepted context is an offer, only a refusal is none."""

import pytest

from doorward.audit.checks.offers import names, not_offered, offered
from doorward.audit.facts import Control, Outcome
from doorward.audit.verdict import Verdict
from seen import (
    ANYBODY,
    BUSY,
    CALLED_CHECKED,
    CALLER_LIST,
    KNOWN_TITLES,
    MUTUAL,
    OFFERS_ALL,
    OFFERS_NOTHING,
    door,
    offers,
)


def test_an_accepted_context_is_an_offer_and_counts_once():
    twice = door(ANYBODY, offers("find"), offers("find"))
    assert [c.service for c in offered(twice, "find", "get")] == ["find"]


def test_what_a_known_caller_is_offered_is_no_offer_to_strangers():
    assert offered(door(KNOWN_TITLES, offers("find", control=Control.GIVEN_BOTH)), "find") == ()


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (door(ANYBODY, OFFERS_NOTHING), Verdict.PASS),
        (door(ANYBODY, offers(refused={"find": 1})), Verdict.PASS),
        (door(ANYBODY, offers(refused={"find": 2})), Verdict.PASS),
        (door(ANYBODY, offers(refused={"find": 4})), Verdict.INCONCLUSIVE),
        (door(ANYBODY, offers(refused={"find": None})), Verdict.INCONCLUSIVE),
        (door(ANYBODY, offers("echo")), Verdict.NOT_TESTED),
        (door(ANYBODY), Verdict.NOT_TESTED),
        (door(ANYBODY, capabilities=Outcome.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        (door(ANYBODY, capabilities=Outcome.ERROR), Verdict.ERROR),
        (door(CALLER_LIST), Verdict.PASS),
        (door(MUTUAL), Verdict.PASS),
        (door(CALLED_CHECKED), Verdict.NOT_TESTED),
        (door(BUSY), Verdict.INCONCLUSIVE),
    ],
)
def test_no_offer_is_a_pass_only_where_a_refusal_shows_it(seen, verdict):
    assert not_offered(seen, "a query", "find").verdict is verdict


def test_long_lists_are_shortened_with_a_count():
    contexts = OFFERS_ALL.accepted("find", "get", "move", "store", "print")
    assert names(contexts, 2) == "find context, get context and 3 more"
    assert names(contexts[:1]) == "find context"


@pytest.mark.parametrize(
    ("services", "words"),
    [
        (["worklist"], "The presentation context for it was refused"),
        (["get", "move"], "All 2 presentation contexts for it were refused"),
    ],
)
def test_a_refusal_is_told_in_good_grammar(services, words):
    seen = door(ANYBODY, offers(refused=services))
    assert words in not_offered(seen, "it", *services).evidence
