"""The study of 2019 and its repeat, surveyed over the wire: every published number comes out, and so do the differences.

Each fleet is one process and ``doorward survey`` another, at a thousandth of the studies; ``make bench-study`` does the same
with all of them. What must be found is what the fleet's own sums say.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from doorward.practice.sixty_days import differences
from doorward.practice.study_numbers import countries
from doorward.practice.study_system import StudySystem, truth
from measures import study
from measures.study import NOVEMBER, SEPTEMBER, UNPACED, Check, Report

SCALE = 1_000
#: Most of the time of so small a survey is waiting for who is silent: more of it side by side.
MORE = ("--systems", "128")
#: A survey takes under a minute; two cores may be wanted by others.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One survey of one fleet."""

    systems: tuple[StudySystem, ...]
    report: Report
    ledger: Path
    peak_kib: int

    def checks(self) -> list[Check]:
        return list(study.checks(self.systems, self.report))


def surveyed(name: str, folder: Path) -> Survey:
    with study.fleet(name, SCALE, folder) as fleet:
        done = study.survey(fleet, folder, options=(*UNPACED, *MORE), most_s=240)
    report = study.read_report(done.report)
    done.report.unlink()  # a hundred megabytes, for a folder that pytest keeps
    return Survey(systems=fleet.systems, report=report, ledger=done.ledger, peak_kib=done.peak_kib)


@pytest.fixture(scope="module")
def september(tmp_path_factory) -> Survey:
    return surveyed(SEPTEMBER, tmp_path_factory.mktemp("september"))


@pytest.fixture(scope="module")
def november(tmp_path_factory) -> Survey:
    return surveyed(NOVEMBER, tmp_path_factory.mktemp("november"))


def wrong(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.is_right]


# --- September --------------------------------------------------------------------------------------------------------


def test_every_number_of_the_study_comes_out(september):
    checks = september.checks()
    assert wrong(checks) == []
    rows = {check.name for check in checks}
    published = {row.country for row in countries() if row.listed and not row.is_drawn}
    assert len(published) > 10
    assert {f"{code}, as published" for code in published} <= rows


def test_the_headline_is_the_published_one(september):
    totals = september.report.frame["totals"]
    (america,) = [r for r in september.report.frame["countries"] if r["country"] == "US"]
    assert totals["unprotected"] == 590
    assert totals["exposed_countries"] == 52
    assert america["unprotected"] == 187
    assert totals["web_viewers_plain_http"] == 39
    assert totals["file_listings"] == 45


def test_honeypots_and_demonstrations_are_set_apart(september):
    apart = {system.address for system in september.systems if system.is_set_apart}
    assert september.report.set_apart == apart
    assert september.report.frame["totals"]["left_out"] == len(apart) == 35


def test_the_survey_was_whole_and_nothing_failed_on_our_side(september):
    scan = september.report.frame["scan"]
    assert scan["interrupted"] is False
    assert scan["coverage"]["systems"] == len(september.systems) == 2_300
    assert scan["coverage"]["questions_failed"] == 0


def test_the_survey_took_less_than_300_megabytes(september):
    assert september.peak_kib * 1_024 < 300_000_000


# --- November ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(september, november):
    return study.comparison(september.ledger, november.ledger)


def test_every_number_of_the_repeat_comes_out(november):
    assert wrong(november.checks()) == []
    assert november.report.frame["totals"]["unprotected"] == 547


def test_comparing_the_two_gives_the_sixty_days_table(september, november, compared):
    checks = list(study.change_checks(september.systems, november.systems, compared))
    assert wrong(checks) == []
    numbers = compared["numbers"]
    assert (numbers["gone"], compared["new"], numbers["still_open"]) == (172, 129, 418)
    assert (len(compared["clean_countries"]), len(compared["new_countries"])) == (11, 9)
    assert compared["after"]["unprotected"] == 547


def test_what_only_a_better_method_has_found_is_no_news(september, november, compared):
    seen = differences(september.systems, november.systems)
    numbers = compared["numbers"]
    assert numbers["method_improved"] == len(seen.by_method) == 41
    assert numbers["newly_open"] + numbers["newly_listed"] == 129 - 41


# --- the checks themselves --------------------------------------------------------------------------------------------


@pytest.fixture
def small() -> tuple[tuple[StudySystem, ...], Report]:
    """A fleet of three, and what an auditor who errs in nothing says of it."""
    everybody = study.STUDIES[SEPTEMBER](SCALE)
    one = next(s for s in everybody if s.is_unprotected and s.is_retrievable and not s.web)
    closed = next(s for s in everybody if s.behaviour.value == "closed" and not s.second_port)
    honeypot = next(s for s in everybody if s.behaviour.value == "honeypot")
    total = truth([one]).total
    counts = {
        "studies": {"value": total.studies},
        "images": {"value": total.images},
        "images_downloadable": {"value": total.images_retrievable},
        "patients": {"value": total.patients},
    }
    sums = {"systems": 2, "left_out": 1, "unprotected": 1, "downloadable": 1} | counts
    webs = {"exposed_countries": 1, "web_viewers_plain_http": 0, "file_listings": 0}
    frame = {"totals": sums | webs, "countries": [{"country": one.country} | sums]}
    numbers = (one.studies, one.images, one.patients, one.images)
    return (
        (one, closed, honeypot),
        Report(
            frame=frame,
            open={one.address: numbers},
            set_apart=frozenset({honeypot.address}),
            inexact=frozenset(),
        ),
    )


def test_a_right_report_passes(small):
    assert wrong(list(study.checks(*small))) == []


def test_one_study_too_few_in_one_archive_is_wrong(small):
    systems, report = small
    ((address, numbers),) = report.open.items()
    fewer = replace(report, open={address: (numbers[0] - 1, *numbers[1:])})
    (check,) = wrong(list(study.checks(systems, fewer)))
    assert (check.name, check.found) == ("archives that are right one by one", 0)


def test_an_archive_said_to_be_open_that_is_closed_is_wrong(small):
    systems, report = small
    more = replace(report, open={**report.open, systems[1].address: (1, 1, 1, 0)})
    assert [check.name for check in wrong(list(study.checks(systems, more)))] == [
        "closed, said to be open"
    ]


def test_one_image_too_many_in_the_sum_is_wrong_in_the_sum_and_in_its_country(small):
    systems, report = small
    frame = json.loads(json.dumps(report.frame))
    frame["totals"]["images"]["value"] += 1
    frame["countries"][0]["images"]["value"] += 1
    found = wrong(list(study.checks(systems, replace(report, frame=frame))))
    assert {check.name for check in found[:1]} == {"images"}
    assert len(found) == 2
