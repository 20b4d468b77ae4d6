"""Facts of parts say nothing of a patient, and are the same after a ledger."""

from dataclasses import fields

from doorward.audit import facts
from doorward.audit.codec import from_json, to_json
from doorward.audit.count_facts import Part, PartsFacts, QueryEnd, SampleFacts

PART = Part(first_day="2020-01-01", last_day="", answers=3, end=QueryEnd.SUCCESS, matches=70)


def test_facts_of_parts_come_back_from_json_as_they_were():
    seen = PartsFacts(
        whole_matches=50,
        queries=9,
        parts=(PART,),
        sample=SampleFacts(days_drawn=12, days=800, strata=4, margin=33),
    )
    assert from_json(PartsFacts, to_json(seen)) == seen


def test_the_facts_hand_on_the_same_words():
    assert facts.QueryEnd is QueryEnd


def test_a_part_has_no_time_of_day():
    assert not any("time" in field.name or "second" in field.name for field in fields(Part))
