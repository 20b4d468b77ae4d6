"""A count says how far it may be trusted; no count is not zero."""

from doorward.audit import facts
from doorward.audit.tally import UNKNOWN_COUNT, Count, Exactness


def test_what_was_not_counted_has_no_value():
    assert Count(value=None, exactness=Exactness.UNKNOWN, method="not counted") == UNKNOWN_COUNT


def test_the_facts_hand_on_the_same_classes():
    assert (facts.Count, facts.Exactness, facts.UNKNOWN_COUNT) == (Count, Exactness, UNKNOWN_COUNT)
