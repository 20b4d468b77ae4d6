"""Signs of honeypots and demonstrations add up; no single weak one is enough, and ordinary archives show none."""

from dataclasses import replace

import pytest

from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.file_facts import FtpFacts, ListingFacts
from doorward.audit.hl7_facts import Hl7Facts
from doorward.audit.honeypot import SUSPECT_FROM, suspicion
from doorward.audit.report.assemble import assemble
from doorward.audit.web_facts import Access, WebFacts
from doorward.greetings.hl7 import Answer
from judged_systems import OPEN, RECORD
from places import attempt as any_attempt
from seen import DCMTK_367, OFFERS_ALL, accepted, associations, attempt, offers, system

GODICOM = ("1.2.826.0.1.3680043.9.7133.1.1", "GODICOM_1_1")
PYNETDICOM = ("1.2.826.0.1.3680043.9.3811.3.0.4", "PYNETDICOM_304")
DCM4CHEE = ("1.2.40.0.13.1.3", "dcm4che-5.34.1")
PRACTICE = ("2.25.1", "DOORWARD_PRACT")


def answers(stack=DCMTK_367, port=104):
    return attempt(associations(accepted(stack=stack)), port=port)


def database(protocol, port):
    return any_attempt("databases", DatabaseFacts(protocol=protocol, is_recognised=True), port=port)


def test_an_ordinary_archive_shows_no_sign():
    everything = system(
        answers(DCM4CHEE, 104),
        answers(DCM4CHEE, 11112),
        answers(DCM4CHEE, 2762),
        attempt(OFFERS_ALL),
        any_attempt(
            "web", WebFacts(speaks_http=True, over_tls=False, front=Access.OPEN), port=8080
        ),
        any_attempt("hl7", Hl7Facts(knocked=Answer.ACKNOWLEDGED, code="AR"), port=2575),
        database("postgresql", 5432),
        database("ldap", 389),
    )
    assert suspicion(everything).signs == ()


def test_doorward_s_own_practice_archives_stand_for_real_ones():
    assert suspicion(system(answers(PRACTICE))).score == 0


def test_the_stack_of_a_honeypot_is_enough():
    found = suspicion(system(answers(GODICOM)))
    assert found.is_suspected
    assert found.score >= SUSPECT_FROM


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (system(answers(PYNETDICOM)), "pynetdicom"),
        (system(answers(), attempt(offers("find", "store", "control"))), "made up"),
        (system(*(answers(port=port) for port in (104, 105, 106, 107))), "4 ports give the same"),
        (
            system(*(database(kind, n) for n, kind in enumerate(("mysql", "redis", "mongodb"), 1))),
            "3 kinds of databases",
        ),
        (
            system(any_attempt("listings", ListingFacts(over_tls=False, lists_everything=True))),
            "made up",
        ),
        (system(*(answers(("", str(port)), port) for port in range(1, 10))), "all of the 9 ports"),
    ],
)
def test_one_weak_sign_is_not_enough(seen, words):
    found = suspicion(seen)
    assert words in " ".join(sign.because for sign in found.signs)
    assert 0 < found.score < SUSPECT_FROM


def test_two_signs_are():
    dicomhawk = system(answers(PYNETDICOM), attempt(offers("find", "control")))
    assert suspicion(dicomhawk).is_suspected


def test_a_refused_made_up_class_is_no_sign():
    assert suspicion(system(answers(), attempt(offers("find", refused=("control",))))).signs == ()


def test_the_score_ends_at_a_hundred():
    worst = system(
        answers(GODICOM, 104),
        *(answers(GODICOM, port) for port in range(105, 120)),
        attempt(offers("find", "control")),
        any_attempt("ftp", FtpFacts(is_recognised=True), port=21),
    )
    assert suspicion(worst).score == 100


# --- in the report ----------------------------------------------------------------------------------------------------


def test_a_suspected_system_is_shown_and_left_out_of_the_totals():
    honeypot = replace(OPEN, facts=system(answers(GODICOM)))
    report = assemble([OPEN, honeypot], RECORD)
    assert (report.totals.systems, report.totals.left_out) == (1, 1)
    assert report.totals.studies.value == 1_234
    assert len(report.systems) == 2
    suspected = [s.honeypot.is_suspected for s in report.systems if s.honeypot is not None]
    assert sorted(suspected) == [False, True]


def test_the_operator_may_count_it():
    honeypot = replace(OPEN, facts=system(answers(GODICOM)))
    report = assemble([OPEN, honeypot], replace(RECORD, count_honeypots=True))
    assert (report.totals.systems, report.totals.left_out) == (2, 0)
    assert report.totals.studies.value == 2_468
