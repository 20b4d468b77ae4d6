"""A count says how far it may be trusted; no count is not zero."""

from doorward.audit import facts
from doorward.audit.tally import UNKNOWN_COUNT, Count, Exactness, largest


def test_what_was_not_counted_has_no_value():
    assert Count(value=None, exactness=Exactness.UNKNOWN, method="not counted") == UNKNOWN_COUNT


def test_the_facts_hand_on_the_same_classes():
    assert (facts.Count, facts.Exactness, facts.UNKNOWN_COUNT) == (Count, Exactness, UNKNOWN_COUNT)


def test_of_several_counts_the_largest_stands_and_of_equals_the_soundest_and_first():
    def count(value, exactness, method=""):
        return Count(value=value, exactness=exactness, method=method)

    least, exact = count(5, Exactness.AT_LEAST), count(5, Exactness.EXACT_ENUMERATED, "in parts")
    assert largest([least, exact, count(5, Exactness.EXACT_ENUMERATED, "at once")]) is exact
    assert largest([exact, count(6, Exactness.ESTIMATED)]).value == 6
    unknown = count(None, Exactness.UNKNOWN, "refused")
    assert largest([unknown, least]) is least
    assert largest([unknown, UNKNOWN_COUNT]) is unknown
    assert largest([]) is UNKNOWN_COUNT
