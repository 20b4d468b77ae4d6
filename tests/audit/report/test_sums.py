"""One pass, and no sum is sounder than its parts."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.place import Place
from doorward.audit.report.sums import (
    by_country,
    sums,
    together,
    totals,
    worst_first,
    worst_rung,
)
from doorward.audit.standing import Standing
from doorward.audit.verdict import Counts, Severity
from judged_systems import counted

COUNTER, AT_LEAST, ESTIMATED = Exactness.EXACT_COUNTER, Exactness.AT_LEAST, Exactness.ESTIMATED

SHUT = Standing(address="127.0.0.1", name="", grade="A", score=95, rungs=("E1", "E2"))
SILENT = Standing(
    address="127.0.0.2",
    name="",
    grade="not rated",
    score=None,
    rungs=("E0",),
    is_tested=False,
    is_silent=True,
)


def _open(studies: Count, *, country: str = "", **more: object) -> Standing:
    is_downloadable = bool(more.pop("is_downloadable", False))
    made = Standing(
        address="127.0.0.3",
        name="",
        place=Place(country=country, site=f"Site {country}" if country else ""),
        grade="F",
        score=3,
        rungs=("E1", "E2", "E5", *(("E6",) if is_downloadable else ())),
        counts=Counts(
            patients=studies, studies=studies, images=studies, images_downloadable=studies
        ),
        is_unprotected=True,
        is_downloadable=is_downloadable,
        worst_severity=Severity.CRITICAL,
    )
    return replace(made, **more)


def test_every_system_is_counted_under_what_it_is() -> None:
    found = totals(
        [
            _open(counted(10), country="CH", is_downloadable=True),
            _open(counted(5), country="CH", rungs=("E2", "E5", "W1", "W2")),
            replace(SHUT, rungs=("E1", "E2", "E7"), is_writable=True, worst_severity=Severity.HIGH),
            replace(SHUT, rungs=("E1", "W3"), worst_severity=Severity.LOW),
            SILENT,
        ],
        count_suspected=False,
    )
    assert (found.systems, found.speaking_dicom) == (5, 3)
    assert (found.unprotected, found.downloadable, found.writable) == (2, 1, 1)
    assert (found.web_viewers_plain_http, found.file_listings) == (1, 1)
    assert (found.tested, found.unanswered) == (4, 1)
    assert (found.critical, found.weak) == (2, 1)
    assert (found.studies.value, found.images_downloadable.value) == (15, 10)
    assert found.exposed_countries == 1


@pytest.mark.parametrize(
    ("parts", "value", "exactness"),
    [
        ([counted(3, COUNTER), counted(4, COUNTER)], 7, "exact_counter"),
        ([counted(3, COUNTER), counted(4)], 7, "exact_enumerated"),
        ([counted(3), counted(4, AT_LEAST)], 7, "at_least"),
        ([counted(3), UNKNOWN_COUNT], 3, "at_least"),
        ([counted(3, ESTIMATED), counted(4, AT_LEAST)], 7, "estimated"),
        ([UNKNOWN_COUNT, UNKNOWN_COUNT], None, "unknown"),
        ([], None, "unknown"),
    ],
)
def test_a_sum_is_never_sounder_than_its_parts(
    parts: list[Count], value: int | None, exactness: str
) -> None:
    standings = [_open(part, country=f"C{i}") for i, part in enumerate(parts)]
    whole = totals(standings, count_suspected=False).studies
    assert (whole.value, whole.exactness) == (value, exactness)
    # The same systems, summed by country first.
    again = together(by_country(standings, count_suspected=False)).studies
    assert (again.value, again.exactness) == (value, exactness)


def test_a_silent_system_makes_only_the_sums_of_its_own_groups_a_lower_bound() -> None:
    silent = replace(SILENT, place=Place(country="DE"))
    found = sums(
        [_open(counted(5), country="CH"), _open(counted(7), country="DE"), silent],
        count_suspected=False,
    )
    assert found.totals.studies.exactness == "at_least"
    studies = {one.country: (one.studies.value, one.studies.exactness) for one in found.countries}
    assert studies == {"CH": (5, "exact_enumerated"), "DE": (7, "at_least")}


def test_groups_without_an_open_system_do_not_weaken_what_is_summed_over_them() -> None:
    shut = replace(SHUT, place=Place(country="FR"))
    countries = by_country([_open(counted(5, COUNTER), country="CH"), shut], count_suspected=False)
    assert together(countries).studies.exactness == "exact_counter"


def test_groups_add_up_to_the_whole_and_come_most_open_first() -> None:
    standings = [
        _open(counted(1), country="CH", product="A"),
        _open(counted(2), country="DE", product="B"),
        _open(counted(3), country="DE", product=""),
        _open(counted(9), country=""),
        replace(SHUT, place=Place(country="AT")),
    ]
    found = sums(standings, count_suspected=False)
    assert [one.country for one in found.countries] == ["DE", "CH", "AT", ""]
    assert sum(one.unprotected for one in found.countries) == found.totals.unprotected == 4
    assert found.totals.exposed_countries == 2
    assert [(one.key, one.systems) for one in found.groups.products] == [
        ("B", 1),
        ("A", 1),
        ("", 3),
    ]
    assert found.groups.owners == ()


def test_each_system_is_under_its_worst_rung_once() -> None:
    standings = [
        _open(counted(1), is_downloadable=True),
        _open(counted(1), rungs=("E1", "E2", "E5", "E7")),
        replace(SHUT, rungs=("E1", "E2", "E7", "T")),
        replace(SHUT, rungs=()),
        SHUT,
    ]
    rungs = sums(standings, count_suspected=False).groups.rungs
    assert [(one.key, one.systems) for one in rungs] == [
        ("E6", 1),
        ("E5", 1),
        ("E7", 1),
        ("E2", 1),
        ("", 1),
    ]
    assert worst_rung(("T", "V")) == ""


def test_what_looks_like_a_honeypot_is_set_apart_unless_it_is_wanted() -> None:
    standings = [_open(counted(4)), _open(counted(1_000_000), is_suspected=True)]
    found = totals(standings, count_suspected=False)
    assert (found.systems, found.left_out, found.studies.value) == (1, 1, 4)
    found = totals(standings, count_suspected=True)
    assert (found.systems, found.left_out, found.studies.value) == (2, 0, 1_000_004)


def test_the_worst_come_first_honeypots_last_and_ties_by_address() -> None:
    small, large = _open(counted(4), address="127.0.0.8"), _open(counted(40), address="127.0.0.9")
    honeypot = _open(counted(400), is_suspected=True, address="127.0.0.7")
    other = replace(SHUT, address="127.0.0.10")
    unresolved = replace(SILENT, address="pacs.example")
    standings = [SILENT, unresolved, honeypot, other, SHUT, small, large]
    order = [one.address for one in sorted(standings, key=worst_first)]
    assert order == [
        "127.0.0.9",
        "127.0.0.8",
        "127.0.0.1",
        "127.0.0.10",
        "pacs.example",
        "127.0.0.2",
        "127.0.0.7",
    ]
    counted_too = sorted(standings, key=lambda one: worst_first(one, count_suspected=True))
    assert counted_too[0].address == "127.0.0.7"


def test_two_sites_that_read_alike_are_one() -> None:
    standings = [
        replace(SHUT, place=Place(site=site)) for site in ("Site A", "Site\u202e A", "Site  A")
    ]
    sites = sums(standings, count_suspected=False).groups.sites
    assert [(one.key, one.systems) for one in sites] == [("Site A", 2), ("Site? A", 1)]


def test_a_hundred_thousand_systems_are_summed_from_an_iterator_in_little_memory() -> None:
    one = _open(counted(3), country="CH")

    def stream() -> Iterator[Standing]:
        for _ in range(100_000):
            yield one

    tracemalloc.start()
    try:
        found = totals(stream(), count_suspected=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.unprotected, found.studies.value) == (100_000, 300_000)
    assert peak < 1_000_000
