"""The fleet of September 2019 adds up to the study, number by number."""

import hashlib
import ipaddress
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from doorward.practice.holding import MOST_IMAGES, Holding
from doorward.practice.study_2019 import Stake, lowered, shared_out, study
from doorward.practice.study_numbers import SEED, Cell, closed_ways, countries, month, september
from doorward.practice.study_system import SET_APART, Behaviour, Web, truth

PAGE = Path(__file__).resolve().parents[2] / "docs" / "practice-study.md"
FIELDS = ("systems", "studies", "images", "accessible")
FLEET = study()
TRUTH = truth(FLEET)
UNPROTECTED = [system for system in FLEET if system.is_unprotected]


def test_the_headline_is_that_of_the_study():
    total = TRUTH.total
    assert (total.systems, total.unprotected) == (2_300, 590)
    assert len(TRUTH.exposed_countries) == 52
    assert (total.studies, total.images) == (24_300_000, 737_000_000)
    assert total.images_retrievable == 400_000_000
    assert (total.viewers, total.file_servers) == (39, 45)


@pytest.mark.parametrize(
    ("country", "systems", "studies", "images", "accessible"),
    (
        ("US", 187, 13_700_000, 303_100_000, 45_800_000),
        ("TR", 36, 4_924_141, 179_533_940, 178_283_858),
        ("IN", None, 627_000, 105_000_000, 104_100_000),
        ("RS", None, 30_484, None, 15_242_000),
        ("BR", 34, None, 31_100_000, None),
        ("IT", 10, None, None, 1_110_000),
        ("FR", 7, 47_500, None, 2_670_000),
        ("GB", 6, None, None, None),
        ("DE", 5, 15_000, 2_850_000, 1_380_000),
        ("MY", 3, 19_922, 1_200_000, None),
        ("CH", 2, 1_571, None, 231_840),
        ("SK", 1, None, None, None),
        ("AU", None, 50_000, None, None),
        ("SG", 0, 0, 0, 0),
    ),
)
def test_published_rows_are_exact(country, systems, studies, images, accessible):
    sums = TRUTH.countries[country]
    found = (sums.unprotected, sums.studies, sums.images, sums.images_retrievable)
    for value, expected in zip(found, (systems, studies, images, accessible), strict=True):
        assert expected in (None, value)


def test_every_cell_is_divided_exactly():
    for cell in september():
        own = [s for s in UNPROTECTED if (s.country, s.region) == (cell.country, cell.region)]
        giving = [s for s in own if s.is_retrievable]
        assert len(own) == cell.systems
        assert sum(s.studies for s in own) == cell.studies
        assert sum(s.images for s in own) == cell.images
        assert sum(s.images for s in giving) == cell.accessible


def test_countries_named_without_numbers_are_there():
    named = {"CN", "JP", "RU", "TH", "VE", "EC", "ZA"}
    assert named <= set(TRUTH.exposed_countries)


def test_the_closed_ones_are_closed_in_every_way():
    ways = {Behaviour(row.behaviour): row.systems for row in closed_ways()}
    assert {way: TRUTH.behaviours[way] for way in ways} == ways
    assert TRUTH.total.set_apart == sum(ways[way] for way in SET_APART)


def test_honeypots_and_demonstrations_answer_and_are_not_counted():
    for system in FLEET:
        if system.is_set_apart:
            assert system.archive_port in system.asked
            assert system.studies > 0
            assert not system.is_unprotected


def test_what_is_set_apart_shows_signs_that_an_auditor_knows():
    from doorward.audit.honeypot import SUSPECT_FROM
    from doorward.knowledge.implementations import identify

    assert (
        SUSPECT_FROM <= 25 + 30
    )  # audit/honeypot.py: pynetdicom, and a made-up SOP class agreed to
    for system in FLEET:
        found = identify(system.implementation_class_uid, system.implementation_version_name)
        assert found.honeypot == (system.behaviour is Behaviour.HONEYPOT)
        assert (found.toolkit == "pynetdicom") == (system.behaviour is Behaviour.DEMO)


def test_an_archive_is_open_at_one_door_only_and_closed_systems_hold_nothing():
    for system in FLEET:
        assert bool(system.studies) == bool(system.archive_port)
        assert system.second_port not in system.asked
        assert not system.second_port or system.port not in (system.archive_port, 0)


def test_some_archives_stand_open_where_nobody_asks():
    hidden = [s for s in FLEET if s.archive_port not in (0, *s.asked)]
    assert len(hidden) == month("november").method
    assert {s.second_port for s in hidden} <= {4242, 11_113, 2761, 2762}
    assert all((s.second_behaviour is Behaviour.TLS) == (s.second_port == 2762) for s in hidden)


def test_viewers_and_file_servers_stand_beside_unprotected_archives():
    webs = [system for system in FLEET if system.web is not Web.NONE]
    assert len(webs) == 39 + 45
    assert all(system.is_unprotected and system.web_port in system.asked for system in webs)
    assert {bool(system.web_banner) for system in webs if system.web is not Web.FTP} == {True}
    assert TRUTH.countries["CH"].viewers >= 1
    assert TRUTH.countries["BR"].listings >= 4


def test_addresses_are_unique_loopback_and_away_from_the_usual_ones():
    addresses = [ipaddress.IPv4Address(system.address) for system in FLEET]
    assert len(set(addresses)) == 2_300
    assert all(address.is_loopback for address in addresses)
    reserved = ipaddress.IPv4Network("127.0.0.0/15")
    assert not any(address in reserved for address in addresses)


def test_a_network_belongs_to_one_country_and_is_not_crowded():
    networks: dict[str, set[str]] = {}
    for system in FLEET:
        networks.setdefault(system.address.rpartition(".")[0], set()).add(system.country)
    assert all(len(codes) == 1 for codes in networks.values())
    crowd = Counter(system.address.rpartition(".")[0] for system in FLEET)
    assert max(crowd.values()) <= 40
    assert len(networks) > 100


def test_open_and_closed_stand_side_by_side():
    first = [s.is_unprotected for s in FLEET if s.address.startswith("127.16.0.")]
    assert len(set(first)) == 2


def test_sites_are_unique_and_the_systems_of_malaysia_have_one_owner():
    assert len({system.site for system in FLEET}) == 2_300
    assert len({system.owner for system in UNPROTECTED if system.country == "MY"}) == 1
    owners = Counter(system.owner for system in FLEET)
    assert 1 <= min(owners.values()) <= max(owners.values()) <= 4


def test_ports_are_those_of_the_time():
    ports = Counter(system.port for system in FLEET)
    assert set(ports) == {104, 11_112}
    assert ports[104] > 10 * ports[11_112] > 0


@pytest.mark.parametrize("scale", (1, 7, 1000))
def test_every_holding_can_be_made_and_is_doubted_by_nobody(scale):
    from doorward.audit.count import _ROUND

    for system in study(scale=scale):
        if not system.studies:
            continue
        assert 1 <= system.patients <= system.studies <= system.images
        assert system.images / system.studies < MOST_IMAGES
        assert not {system.studies, system.patients} & _ROUND
        Holding(studies=system.studies, patients=system.patients)


def test_patients_are_three_for_ten_studies():
    assert 0.28 < TRUTH.total.patients / TRUTH.total.studies < 0.32


def test_holdings_are_as_uneven_as_in_life():
    studies = sorted(s.studies for s in UNPROTECTED if s.country == "US")
    assert 5 * studies[len(studies) // 2] < studies[-1] < 1_230_000


@pytest.mark.parametrize("scale", (10, 1000))
def test_scale_divides_and_changes_nothing_else(scale):
    small = study(scale=scale)
    sums = truth(small)
    assert (sums.total.unprotected, sums.total.viewers, sums.total.file_servers) == (590, 39, 45)
    assert sums.behaviours == TRUTH.behaviours
    assert [s.address for s in small] == [s.address for s in FLEET]
    assert sums.total.studies == pytest.approx(24_300_000 / scale, rel=0.02)
    assert sums.total.images == pytest.approx(737_000_000 / scale, rel=0.02)
    assert all(s.studies for s in small if s.is_unprotected)


def digest(seed: int) -> str:
    return hashlib.sha256(repr(study(seed=seed, scale=3)).encode()).hexdigest()


def test_the_same_seed_gives_the_same_fleet_in_every_process():
    code = (
        "import hashlib; from doorward.practice.study_2019 import study;"
        "print(hashlib.sha256(repr(study(scale=3)).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest(SEED)


@pytest.mark.parametrize("seed", (3, 4, 5))
def test_another_seed_gives_another_fleet_with_the_same_sums(seed):
    total = truth(study(seed=seed)).total
    assert digest(seed) != digest(SEED)
    assert (total.unprotected, total.studies, total.images) == (590, 24_300_000, 737_000_000)
    assert (total.images_retrievable, total.viewers, total.file_servers) == (400_000_000, 39, 45)


def test_systems_of_drawn_countries_say_so():
    drawn = {system.country for system in FLEET if system.is_drawn}
    assert "US" not in drawn
    assert drawn == {row.country for row in countries() if row.is_drawn}


CELL = Cell(country="US", systems=3, studies=1_000, images=9_000, accessible=6_000)


def test_shares_add_up_and_what_was_there_stays():
    stakes = [
        Stake(is_retrievable=True, weight=1.0, studies=400, images=4_000),
        Stake(is_retrievable=True, weight=9.0),
        Stake(is_retrievable=False, weight=1.0),
    ]
    shares = shared_out(CELL, stakes, Random(1))
    assert sum(studies for studies, _ in shares) == 1_000
    assert [images for _, images in shares] == [4_000, 2_000, 3_000]
    assert shares[0][0] >= 400


def test_the_largest_archive_is_as_large_as_it_is_said_to_be():
    stakes = [Stake(is_retrievable=i < 2, weight=1.0, studies=100 + i) for i in range(3)]
    shares = shared_out(CELL, stakes, Random(1), below=700, largest=700)
    assert shares[2][0] == 700
    assert max(studies for studies, _ in shares[:2]) < 700


def test_images_without_a_system_that_could_have_them_are_an_error():
    with pytest.raises(ValueError, match="no system"):
        shared_out(CELL, [Stake(is_retrievable=True, weight=1.0)], Random(1))


def test_bounds_above_a_published_sum_are_lowered():
    assert lowered([3, 4], 7) == [3, 4]
    assert sum(lowered([300, 400], 350)) <= 350


def test_the_page_about_the_study_has_every_number_of_the_file_under_its_mark():
    signs = {"published": "", "rounded": "~", "doubtful": "?"}
    lines = PAGE.read_text().splitlines()
    for row in countries():
        marks = [row.mark(field) for field in FIELDS]
        if set(marks) == {"drawn"}:
            continue
        values = [
            f"{signs[mark]}{getattr(row, field):,}" if mark in signs else "drawn"
            for mark, field in zip(marks, FIELDS, strict=True)
        ]
        assert f"| {row.country} | {' | '.join(values)} |" in lines, row.country


def test_the_page_about_the_study_has_every_way_of_being_closed():
    found = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", PAGE.read_text(), re.MULTILINE))
    assert found == {row.behaviour: str(row.systems) for row in closed_ways()}
