"""Names on the server: what is written there can be read back, and what is not ours is nobody's."""

import pytest

from doorward.audit.sensors.subjects import facts_subject, parse_subject, work_subject


def test_a_subject_says_whose_survey_and_which_system_it_is_about():
    assert work_subject("north", "scan-1", 12) == "doorward.work.north.scan-1.12"
    assert parse_subject(work_subject("north", "scan-1", 12)) == ("north", "scan-1", 12)
    assert parse_subject(facts_subject("north", "scan-1", 12)) == ("north", "scan-1", 12)


def test_a_part_is_about_the_same_system():
    part = facts_subject("north", "scan-1", 12, "visit", "2")
    assert part == "doorward.facts.north.scan-1.12.visit.2"
    assert parse_subject(part) == ("north", "scan-1", 12)


@pytest.mark.parametrize(
    "subject",
    (
        "",
        "doorward.facts.north.scan",
        "doorward.facts.north.scan.x",
        "doorward.facts.north.scan.-1",
        "doorward.facts.north.scan.\u0661",
        "doorward.facts.north.scan." + "9" * 30,
        "doorward.rumours.north.scan.1",
        "a.b.c.d.1",
    ),
)
def test_a_subject_that_is_not_ours_is_nobody_s(subject):
    assert parse_subject(subject) is None
