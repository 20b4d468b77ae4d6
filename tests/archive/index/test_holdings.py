"""What is held, by UID, and what the policy is told of it."""

from contextlib import closing
from datetime import date

import pytest

from doorward.access.identity import Subject
from doorward.archive.index import holdings
from doorward.archive.index.entry import Totals
from doorward.archive.index.filing import Filing
from doorward.archive.index.store import open_writer
from doorward.limits import DEFAULT_LIMITS
from index_entries import entry


@pytest.fixture
def connection(tmp_path):
    with closing(open_writer(tmp_path / "index", DEFAULT_LIMITS)) as connection:
        yield connection


@pytest.fixture
def filing(connection):
    return Filing(connection, DEFAULT_LIMITS)


def test_a_study_is_a_subject_for_the_policy(connection, filing):
    named = {"StudyDate": "no date\\2020.01.02", "ReferringPhysicianName": "Doe^John\\Other"}
    labels = frozenset({"vip"})
    filing.file([entry("7.1.1", site="a", department="ct", labels=labels, **named)])
    [study] = holdings.studies_with(connection, "7")
    assert study.subject == Subject(
        study_uid="7",
        site="a",
        department="ct",
        referring_physician="Doe^John",
        study_date=date(2020, 1, 2),
        labels=labels,
    )
    assert holdings.studies_with(connection, "8") == []


def test_what_is_not_known_of_a_study_is_not_made_up(connection, filing):
    filing.file([entry("7.1.1", StudyDate="soon")])
    [study] = holdings.studies_with(connection, "7")
    assert study.subject == Subject(study_uid="7")


def test_site_and_department_of_a_study_are_those_of_its_first_instance(connection, filing):
    filing.file([entry("7.1.1", site="a"), entry("7.1.2", site="b", department="x")])
    [study] = holdings.studies_with(connection, "7")
    assert (study.subject.site, study.subject.department) == ("a", "")


def test_studies_of_a_patient_are_those_of_the_issuer(connection, filing):
    filing.file(
        [entry("1.1.1"), entry("2.1.1", IssuerOfPatientID="H"), entry("3.1.1", PatientID="")]
    )
    numbers = [
        [s.number for s in holdings.studies_of(connection, "P1", i)] for i in (None, "", "H")
    ]
    assert numbers == [[1, 2], [1], [2]]
    assert holdings.studies_of(connection, "") == []


def test_series_of_two_studies_are_inconsistent(connection, filing):
    filing.file([entry("1.1.1"), entry("2.1.1", series_uid="1.1"), entry("3.1.1")])
    found = holdings.inconsistencies(connection, most=10)
    assert [study.subject.study_uid for study in found] == ["1", "2"]
    assert len(holdings.inconsistencies(connection, most=1)) == 1


def test_instances_go_on_where_they_stopped(connection, filing):
    filing.file([entry(f"1.1.{n}") for n in range(3)])
    first, after = holdings.instances_of(connection, 1, most=2)
    rest, end = holdings.instances_of(connection, 1, after=after, most=2)
    assert [one.sop_instance_uid for one in (*first, *rest)] == ["1.1.0", "1.1.1", "1.1.2"]
    assert end == 0


def test_totals_are_those_of_all_studies(connection, filing):
    assert holdings.totals(connection) == Totals(
        patients=0, studies=0, series=0, instances=0, conflicts=0
    )
    filing.file([entry("1.1.1"), entry("1.2.1"), entry("2.1.1"), entry("2.1.1", "other")])
    assert holdings.totals(connection) == Totals(
        patients=1, studies=2, series=3, instances=3, conflicts=1
    )
