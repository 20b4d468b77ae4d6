"""The file of numbers says what was published, and what is drawn adds up with it."""

import pytest

from doorward.knowledge.implementations import identify
from doorward.practice.study_numbers import (
    SEED,
    banners,
    changes,
    closed_ways,
    countries,
    dice,
    month,
    plans,
    regions,
    september,
    toolkits,
)
from doorward.practice.study_system import Behaviour

FIELDS = ("systems", "studies", "images", "accessible")
#: The published rows, typed from the sources; None: not published, or not as a number.
PUBLISHED = {
    "US": (187, 13_700_000, 303_100_000, 45_800_000),
    "TR": (36, 4_924_141, 179_533_940, 178_283_858),
    "IN": (None, 627_000, 105_000_000, 104_100_000),
    "RS": (None, 30_484, None, 15_242_000),
    "BR": (34, None, 31_100_000, None),
    "IT": (10, None, None, 1_110_000),
    "FR": (7, 47_500, None, 2_670_000),
    "GB": (6, None, None, None),
    "DE": (5, 15_000, 2_850_000, 1_380_000),
    "MY": (3, 19_922, 1_200_000, None),
    "CH": (2, 1_571, None, 231_840),
    "SK": (1, None, None, None),
    "AU": (None, 50_000, None, None),
    "SG": (0, 0, 0, 0),
}


@pytest.mark.parametrize("country", countries(), ids=lambda row: row.country)
def test_what_is_marked_as_published_was_published(country):
    expected = PUBLISHED.get(country.country, (None,) * 4)
    marked = tuple(
        getattr(country, field) if country.mark(field) == "published" else None for field in FIELDS
    )
    assert marked == expected


def test_marks_name_values_that_are_there():
    for country in countries():
        marked = (*country.published, *country.rounded, *country.doubtful)
        assert len(set(marked)) == len(marked)
        empty = [field for field in marked if not getattr(country, field)]
        assert empty == (list(FIELDS) if country.country == "SG" else [])
        assert bool(country.source) >= bool(marked)


@pytest.mark.parametrize("seed", (SEED, 2, 3, 4, 5))
def test_cells_add_up_to_the_published_totals(seed):
    cells = september(seed)
    sums = {field: sum(getattr(cell, field) for cell in cells) for field in FIELDS}
    assert sums == {
        "systems": 590,
        "studies": 24_300_000,
        "images": 737_000_000,
        "accessible": 400_000_000,
    }
    assert len({cell.country for cell in cells}) == 52


@pytest.mark.parametrize("seed", (SEED, 2, 3, 4, 5))
def test_cells_keep_every_published_number(seed):
    for country, values in PUBLISHED.items():
        own = [cell for cell in september(seed) if cell.country == country]
        for field, value in zip(FIELDS, values, strict=True):
            if value is not None:
                assert sum(getattr(cell, field) for cell in own) == value, (country, field)


@pytest.mark.parametrize("seed", (SEED, 2, 3, 4, 5))
def test_drawn_numbers_do_not_contradict_what_was_said(seed):
    europe = {row.country for row in countries() if row.europe and row.listed}
    cells = september(seed)
    systems = {cell.country: cell.systems for cell in cells}
    assert len(europe) == 19
    assert sum(systems[code] for code in europe) > 90
    assert max(systems[code] for code in europe - {"TR"}) == systems["IT"]  # most beside Turkey
    accessible: dict[str, int] = {}
    for cell in cells:
        accessible[cell.country] = accessible.get(cell.country, 0) + cell.accessible
    ranks = sorted(accessible, key=lambda code: -accessible[code])
    assert ranks[:4] == ["TR", "IN", "US", "RS"]  # Serbia had the fourth rank
    assert 0.45 < accessible["BR"] / 31_100_000 < 0.55  # "about half"
    assert 2_500_000 <= accessible["AU"] <= 2_600_000


def test_a_country_with_one_system_gives_all_its_images_away_or_none():
    alone = [cell for cell in september() if cell.systems == 1]
    assert alone
    assert all(cell.accessible in (0, cell.images) for cell in alone)


@pytest.mark.parametrize("seed", (SEED, 2, 3, 4, 5))
def test_plans_add_up_to_the_published_changes(seed):
    found = plans(seed).values()
    totals = [sum(getattr(plan, name) for plan in found) for name in ("gone", "new")]
    assert totals == [172, 129]
    known = changes()
    fates = [row.fate for row in known.values()]
    assert (fates.count("clean"), fates.count("new")) == (11, 9)
    assert {"GB", "DE", "TH", "VE", "RS"} <= {c for c, row in known.items() if row.fate == "clean"}
    systems: dict[str, int] = {}
    for cell in september(seed):
        systems[cell.country] = systems.get(cell.country, 0) + cell.systems
    for plan in found:
        is_clean = plan.country in known and known[plan.country].fate == "clean"
        open_before = systems.get(plan.country, 0)
        assert plan.gone == open_before if is_clean else plan.gone < max(open_before, 1)
        assert not (is_clean and plan.new)


def test_months_hold_the_published_totals():
    first, second = month("september"), month("november")
    assert (first.systems, first.unprotected, first.countries) == (2_300, 590, 52)
    assert (first.viewers, first.file_servers) == (39, 45)
    assert (second.unprotected, second.gone, second.new) == (547, 172, 129)
    assert second.unprotected == first.unprotected - second.gone + second.new
    assert not set(second.method_ports) & {104, 11_112}


def test_regions_are_parts_of_their_country_in_both_months():
    (november,) = {row.country for row in regions()}
    parts = regions()
    assert november == "IN"
    assert {row.region: (row.november_studies, row.november_images) for row in parts} == {
        "Maharashtra": (308_451, 69_789_685),
        "Karnataka": (182_865, 13_731_001),
    }
    assert sum(row.november_images for row in parts) < changes()["IN"].images


def test_ways_of_being_closed_are_those_of_all_others():
    ways = [Behaviour(row.behaviour) for row in closed_ways()]
    assert len(set(ways)) == len(ways)
    assert sum(row.systems for row in closed_ways()) == 2_300 - 590


@pytest.mark.parametrize("row", toolkits(), ids=lambda row: row.version_name or "unknown")
def test_toolkits_are_known_by_both_their_names(row):
    if not row.class_uid:
        return
    by_both = identify(row.class_uid, row.version_name)
    assert by_both.is_known
    assert not by_both.honeypot
    assert by_both.toolkit != "pynetdicom"  # the mark of demonstrations
    assert len(row.version_name) <= 16  # PS3.7 section D.3.3.2


def test_web_servers_are_mostly_those_of_the_census():
    weights = {row.server: row.weight for row in banners()}
    iis = sum(weight for server, weight in weights.items() if server.startswith("Microsoft-IIS/7"))
    assert iis > sum(weights.values()) / 2


def test_questions_have_random_sequences_of_their_own():
    assert dice(1, "a").random() == dice(1, "a").random()
    assert len({dice(seed, word).random() for seed in (1, 2) for word in ("a", "b")}) == 4
