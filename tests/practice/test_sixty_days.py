"""The fleet of November 2019 and its differences from September are those that were published."""

from dataclasses import replace

import pytest

from doorward.audit.changes import Change, Survey
from doorward.audit.compare import compare
from doorward.audit.facts import Count, Exactness
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from doorward.audit.verdict import Counts
from doorward.practice.sixty_days import differences, november, sixty_days_later
from doorward.practice.study_2019 import study
from doorward.practice.study_numbers import SEED
from doorward.practice.study_system import Behaviour, Web, inventory, truth

BEFORE, AFTER = study(), sixty_days_later()
SEEN = differences(BEFORE, AFTER)
TRUTH = truth(AFTER)
FIRST = {system.address: system for system in BEFORE}


def test_the_headline_is_that_of_the_repeat():
    total = TRUTH.total
    assert (total.unprotected, len(TRUTH.exposed_countries)) == (547, 50)
    assert (total.studies, total.images) == (35_000_000, 1_193_404_000)
    assert total.images_retrievable == 370_000_000


def test_the_differences_are_the_published_ones():
    assert (len(SEEN.gone), len(SEEN.new)) == (172, 129)
    assert (len(SEEN.clean_countries), len(SEEN.new_countries)) == (11, 9)
    assert len(SEEN.still_open) == 590 - 172 == 547 - 129


def test_the_method_is_kept_apart():
    parts = (SEEN.newly_open, SEEN.newly_listed, SEEN.by_method)
    assert [len(part) for part in parts] == [57, 31, 41]
    assert len(SEEN.new) == sum(map(len, parts))
    for system in AFTER:
        if system.address in SEEN.by_method:
            before = FIRST[system.address]
            assert before.archive_port == system.archive_port != 0
            assert system.archive_port not in before.asked
            assert not before.is_unprotected


def test_named_countries_are_clean():
    assert {"GB", "DE", "TH", "VE", "RS"} < SEEN.clean_countries
    assert not any(TRUTH.countries[code].unprotected for code in SEEN.clean_countries)


def test_five_countries_have_more_than_three_quarters_of_all_studies():
    five = sum(TRUTH.countries[code].studies for code in ("US", "IN", "ZA", "BR", "EC"))
    assert five > 0.75 * 35_000_000


def test_published_rows_are_exact():
    found = TRUTH.countries
    assert found["US"].images == 786_000_000
    assert (found["IN"].studies, found["IN"].images) == (1_010_000, 121_000_000)
    assert found["IN"].images_retrievable > 0.99 * 121_000_000
    assert found["BR"].images == 42_300_000


@pytest.mark.parametrize(
    ("region", "studies", "images"),
    (("Maharashtra", 308_451, 69_789_685), ("Karnataka", 182_865, 13_731_001)),
)
def test_published_parts_of_india_are_exact(region, studies, images):
    total = truth(system for system in AFTER if system.region == region).total
    assert (total.studies, total.images) == (studies, images)


def test_one_archive_is_larger_than_all_others():
    first, second, *_ = sorted(
        (system for system in AFTER if system.is_unprotected), key=lambda s: -s.studies
    )
    assert (first.country, first.studies) == ("US", 1_230_000)
    assert second.studies < 1_230_000


def test_what_is_gone_is_offline_and_still_asked():
    for system in AFTER:
        if system.address in SEEN.gone:
            assert system.behaviour in (Behaviour.REFUSED, Behaviour.FILTERED)
            assert (system.studies, system.images, system.web) == (0, 0, Web.NONE)
            assert system.asked == FIRST[system.address].asked


def test_what_was_closed_was_asked_on_the_same_port():
    for system in AFTER:
        if system.address in SEEN.newly_open:
            before = FIRST[system.address]
            assert system.archive_port in before.asked
            assert before.archive_port == 0


def test_new_addresses_follow_the_old_ones_and_are_unique():
    addresses = [system.address for system in AFTER]
    assert len(set(addresses)) == len(addresses) == 2_331
    assert set(addresses) - FIRST.keys() == SEEN.newly_listed
    assert len({system.site for system in AFTER}) == 2_331


def test_archives_that_stay_only_grow():
    for system in AFTER:
        if system.address in SEEN.still_open | SEEN.by_method:
            before = FIRST[system.address]
            assert (before.studies, before.images) <= (system.studies, system.images)
            assert before.images <= system.images
            assert before.patients <= system.patients
            assert before.is_retrievable == system.is_retrievable


def test_everything_else_is_as_it_was():
    changed = SEEN.gone | SEEN.new | SEEN.still_open
    for system in AFTER:
        if system.address not in changed:
            assert system == FIRST[system.address]


def test_every_open_archive_has_a_holding_and_nobody_else():
    for system in AFTER:
        assert bool(system.studies) == bool(system.archive_port)
        if system.studies:
            assert 1 <= system.patients <= system.studies <= system.images


def test_the_list_of_september_names_no_port_that_only_november_asks():
    first = "".join(inventory(BEFORE))
    second = "".join(inventory(AFTER))
    assert "4242" not in first
    assert second.count("4242") == sum(system.archive_port == 4242 for system in AFTER)


@pytest.mark.parametrize("scale", (10, 1000))
def test_a_smaller_fleet_has_the_same_differences(scale):
    seen = differences(study(scale=scale), sixty_days_later(scale=scale))
    assert seen == SEEN


@pytest.mark.parametrize("seed", (3, 4, 5))
def test_another_seed_has_the_same_numbers(seed):
    before, after = study(seed=seed), sixty_days_later(seed=seed)
    seen, total = differences(before, after), truth(after).total
    assert seen.gone != SEEN.gone
    assert (len(seen.gone), len(seen.new), len(seen.by_method)) == (172, 129, 41)
    assert (len(seen.clean_countries), len(seen.new_countries)) == (11, 9)
    assert (total.unprotected, total.studies) == (547, 35_000_000)
    assert (total.images, total.images_retrievable) == (1_193_404_000, 370_000_000)


def test_a_fleet_compared_with_itself_has_no_differences():
    seen = differences(AFTER, AFTER)
    assert not seen.gone | seen.new | seen.clean_countries | seen.new_countries


def test_each_kind_of_difference_is_told_apart():
    (closed,) = [s for s in BEFORE if s.behaviour is Behaviour.CLOSED and not s.second_port][:1]
    opened = replace(closed, behaviour=Behaviour.OPEN)
    hidden = replace(closed, second_port=4242, second_behaviour=Behaviour.OPEN)
    asked = replace(hidden, asked=(*hidden.asked, 4242))
    address = frozenset({closed.address})
    assert differences([closed], [opened]).newly_open == address
    assert differences([opened], [closed]).gone == address
    assert differences([opened], []).gone == address
    assert differences([], [opened]).newly_listed == address
    assert differences([hidden], [asked]).by_method == address
    assert differences([hidden], [hidden]).new == frozenset()


def exact(value):
    return Count(value=value, exactness=Exactness.EXACT_ENUMERATED, method="counted")


def as_seen(system):
    """What an auditor who errs in nothing keeps of a system."""
    found = system.is_unprotected
    answers = found or system.is_set_apart
    silent = (system.port,) if system.behaviour is Behaviour.FILTERED else ()
    doors = (system.archive_port,) if answers else ()
    is_offline = system.behaviour in (Behaviour.REFUSED, Behaviour.FILTERED) and not answers
    return Standing(
        address=system.address,
        name="",
        place=Place(country=system.country, site=system.site),
        grade="F" if answers else "C",
        score=None,
        rungs=(() if is_offline else ("E1",)) + (("E5",) if answers else ()),
        counts=Counts(
            patients=exact(system.patients if found else 0),
            studies=exact(system.studies if found else 0),
            images=exact(system.images if found else 0),
            images_downloadable=exact(system.images if found and system.is_retrievable else 0),
        ),
        ports_asked=system.asked,
        ports_unprotected=doors,
        ports_shut=tuple(port for port in system.asked if port not in doors + silent),
        ports_silent=silent,
        is_unprotected=answers,
        is_downloadable=answers and system.is_retrievable,
        is_suspected=system.is_set_apart,
    )


def test_the_auditors_own_comparison_says_the_same():
    surveys = [Survey(systems=map(as_seen, fleet), clearance_level=2) for fleet in (BEFORE, AFTER)]
    compared = compare(*surveys)
    addresses = {
        change: {one.address for one in compared.systems if one.change is change}
        for change in Change
    }
    assert addresses[Change.STILL_OPEN] == SEEN.still_open
    assert addresses[Change.GONE] == SEEN.gone
    assert addresses[Change.NEWLY_OPEN] == SEEN.newly_open
    assert addresses[Change.NEWLY_LISTED] == SEEN.newly_listed
    assert addresses[Change.METHOD_IMPROVED] == SEEN.by_method
    assert not addresses[Change.UNKNOWN_NOW] | addresses[Change.UNKNOWN_BEFORE]
    assert (compared.before.countries, compared.after.countries) == (52, 50)
    assert {row.country for row in compared.countries if row.is_clean} == SEEN.clean_countries
    assert {row.country for row in compared.countries if row.is_new} == SEEN.new_countries
    assert compared.before.counts.images.value == 737_000_000
    assert compared.after.counts.images.value == 1_193_404_000
    assert compared.after.counts.images.exactness is Exactness.EXACT_ENUMERATED


def test_cells_of_november_add_up_whoever_is_in_them():
    members = {}
    for system in BEFORE:
        if system.is_unprotected:
            members.setdefault((system.country, system.region), []).append(system)
    cells = november(members, SEED)
    assert sum(cell.studies for cell in cells.values()) == 35_000_000
    assert sum(cell.images for cell in cells.values()) == 1_193_404_000
    assert sum(cell.accessible for cell in cells.values()) == 370_000_000
