"""No sentence claims more than the facts."""

from dataclasses import replace

import pytest

from doorward.audit.checks.ruling import NO_PORT_ASKED
from doorward.audit.facts import UNKNOWN_COUNT, Exactness
from doorward.audit.place import Place
from doorward.audit.report import wording
from doorward.audit.report.assemble import assemble, system_model
from doorward.audit.report.model import Report, SystemModel
from doorward.audit.report.wording import Tone, headline, unanswered
from doorward.audit.verdict import JudgedSystem, Severity, Verdict
from judged_systems import OPEN, RECORD, SHUT, SILENT, WRITABLE, counted, finding

QUERY = "dimse_query_unprotected"


def _report(*systems: JudgedSystem) -> Report:
    return assemble(systems, RECORD)


def _system(system: JudgedSystem) -> SystemModel:
    return _report(system).systems[0]


def _counting(**counts: object) -> JudgedSystem:
    return replace(OPEN, counts=replace(OPEN.counts, **counts))


def _shut_but(verdict: Verdict, severity: Severity, check: str = "x") -> JudgedSystem:
    more = finding(check, verdict, severity, "T", evidence="E.")
    return replace(SHUT, findings=(*(f for f in SHUT.findings if f.check != check), more))


@pytest.mark.parametrize(
    ("system", "tone", "sentence"),
    [
        (OPEN, Tone.OPEN, "This archive answers strangers and hands out its images."),
        (
            replace(OPEN, rungs=("E1", "E2", "E3", "E4", "E5")),
            Tone.OPEN,
            "This archive answers strangers.",
        ),
        (WRITABLE, Tone.OPEN, "This archive lets strangers add images."),
        (SHUT, Tone.SHUT, "No open door was found."),
        (SILENT, Tone.UNKNOWN, "No imaging system answered here."),
        (replace(SILENT, rungs=("E1", "E2")), Tone.UNKNOWN, "This system could not be judged."),
        (
            _shut_but(Verdict.FAIL, Severity.MEDIUM),
            Tone.WEAK,
            "This system can be protected better.",
        ),
        (
            replace(_shut_but(Verdict.FAIL, Severity.HIGH), rungs=("E1", "E2", "E3")),
            Tone.WEAK,
            "This system talks to any stranger.",
        ),
        (_shut_but(Verdict.FAIL, Severity.LOW), Tone.SHUT, "No open door was found."),
        (
            _shut_but(Verdict.INCONCLUSIVE, Severity.HIGH),
            Tone.UNKNOWN,
            "No open door was found, but not everything could be tested.",
        ),
        (
            replace(
                _shut_but(Verdict.NOT_TESTED, Severity.CRITICAL, QUERY),
                rungs=("E1", "E2", "E3", "E4"),
            ),
            Tone.WEAK,
            "Strangers may put questions to this archive.",
        ),
        (
            replace(
                _shut_but(Verdict.NOT_TESTED, Severity.CRITICAL, QUERY),
                grade="not rated",
                score=None,
            ),
            Tone.UNKNOWN,
            "Whether this system answers strangers was not tested.",
        ),
    ],
)
def test_the_headline_of_a_system(system: JudgedSystem, tone: Tone, sentence: str) -> None:
    said = headline(_system(system))
    assert (said.tone, said.sentence) == (tone, sentence)
    assert said.explanation


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (
            OPEN,
            "Anyone who can reach port 4242 can list 1,234 studies of 567 patients, and may take",
        ),
        (OPEN, "at least 45,678 images. No password is asked."),
        (
            _counting(studies=counted(1), patients=counted(1), images_downloadable=counted(1)),
            "can list 1 study of 1 patient, and may take 1 image.",
        ),
        (
            _counting(studies=counted(500, Exactness.AT_LEAST), patients=UNKNOWN_COUNT),
            "can list at least 500 studies, and",
        ),
        (_counting(studies=counted(500, Exactness.ESTIMATED)), "can list about 500 studies of"),
        (_counting(studies=UNKNOWN_COUNT), "how many could not be counted"),
        (_counting(studies=counted(0)), "at the moment it showed none"),
        (_counting(images_downloadable=UNKNOWN_COUNT), "may take its images"),
        (replace(OPEN, rungs=(*OPEN.rungs, "E7")), "Strangers may also add images"),
    ],
)
def test_the_explanation_counts_honestly(system: JudgedSystem, words: str) -> None:
    assert words in headline(_system(system)).explanation


def test_a_gap_beside_a_weakness_is_said() -> None:
    gap = finding("y", Verdict.INCONCLUSIVE, Severity.CRITICAL, "T")
    weak = _shut_but(Verdict.FAIL, Severity.MEDIUM)
    said = headline(_system(replace(weak, findings=(*weak.findings, gap))))
    assert "1 important question stayed without an answer" in said.explanation


def test_advice_and_commands_are_given_once() -> None:
    doubled = wording.failed(_system(replace(OPEN, findings=OPEN.findings + OPEN.findings)))
    assert len(doubled) == 6
    assert len(wording.next_steps(doubled)) == 3
    assert wording.verifications(doubled) == ("doorward audit 10.20.0.7:4242 --scope scope.toml",)


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        ("db_no_password", "A database of this system lets strangers in without a password."),
        ("files_listing_open", "This system shows strangers its image files."),
        ("web_jdwp_open", "Strangers can take over this system."),
        ("fhir_search_open", "The FHIR side of this system answers strangers."),
    ],
)
def test_what_stands_open_beside_the_studies_is_the_headline(check: str, sentence: str) -> None:
    told = headline(_system(_shut_but(Verdict.FAIL, Severity.CRITICAL, check)))
    assert (told.tone, told.sentence) == (Tone.OPEN, sentence)
    lesser = headline(_system(_shut_but(Verdict.FAIL, Severity.HIGH, check)))
    assert (lesser.tone, lesser.sentence) == (Tone.WEAK, "This system can be protected better.")


def test_an_archive_that_answers_on_the_web_alone_is_said_to() -> None:
    judged = _shut_but(Verdict.FAIL, Severity.CRITICAL, "web_qido_open")
    told = headline(_system(replace(judged, rungs=("E1", "E5"))))
    assert told.sentence == "This archive's web side answers strangers."


def test_a_web_server_is_no_imaging_system() -> None:
    judged = replace(_shut_but(Verdict.FAIL, Severity.LOW), shows_imaging=False, rungs=("E1",))
    told = headline(_system(judged))
    assert (told.tone, told.sentence) == (Tone.UNKNOWN, "No imaging system answered here.")
    assert wording.split_quiet(_report(OPEN, judged))[1]


def test_questions_that_met_no_port_of_their_kind_share_one_line() -> None:
    idle = [
        finding(check, Verdict.NOT_TESTED, Severity.HIGH, "T", evidence=NO_PORT_ASKED, port=None)
        for check in ("db_no_password", "ldap_anonymous_bind", "hl7_plain")
    ]
    groups = wording.remaining_groups(_system(replace(OPEN, findings=(*OPEN.findings, *idle))))
    group = next(group for group in groups if group.title == "Not tested")
    assert group.note == "3 questions met no port of their kind: databases, HL7."
    assert [f.check for f in group.findings] == ["dimse_patient_attributes_returned"]


def test_a_sweep_sets_the_addresses_aside_where_nobody_speaks_dicom() -> None:
    shown, quiet = wording.split_quiet(_report(OPEN, SILENT))
    assert [s.address for s in shown] == ["10.20.0.7"]
    assert [s.address for s in quiet] == ["127.0.0.3"]
    shown, quiet = wording.split_quiet(_report(SILENT))
    assert (len(shown), len(quiet)) == (1, 0)


def test_services_are_named_where_somebody_answers() -> None:
    assert wording.service_line(_system(WRITABLE)) == "port 4242 DICOM, DCMTK 3.6.7"
    assert wording.service_line(_system(SHUT)) == "port 4242 DICOM over TLS"
    assert wording.service_line(_system(SILENT)) == ""


def test_groups_hold_what_needs_nobody() -> None:
    groups = wording.remaining_groups(_system(OPEN))
    assert [(g.title, len(g.findings)) for g in groups] == [
        ("In order", 2),
        ("Not tested", 1),
        ("Does not apply", 1),
    ]


def test_a_finding_names_its_port_only_where_there_are_several() -> None:
    assert not wording.has_several_ports(_system(OPEN))
    other = finding("x", Verdict.PASS, Severity.LOW, "T", port=104)
    assert wording.has_several_ports(_system(replace(OPEN, findings=(*OPEN.findings, other))))


def test_an_open_store_beside_an_unsettled_query_says_so() -> None:
    query = finding(QUERY, Verdict.INCONCLUSIVE, Severity.CRITICAL, "T")
    rest = tuple(f for f in WRITABLE.findings if f.check != QUERY)
    said = headline(_system(replace(WRITABLE, findings=(*rest, query))))
    assert "could not be settled" in said.explanation
    assert "were not told" not in said.explanation


def test_where_nobody_speaks_dicom_each_reason_is_told_once() -> None:
    met = [
        finding(
            "dimse_speaks_dicom",
            Verdict.NOT_APPLICABLE,
            Severity.INFO,
            "T",
            evidence=f"Port {port} is closed.",
        )
        for port in range(1, 6)
    ]
    closed = _system(replace(SHUT, rungs=(), findings=tuple(met)))
    assert headline(closed).explanation == (
        "Port 1 is closed. Port 2 is closed. Port 3 is closed. (And 2 more.)"
    )
    unknown = [
        finding(
            check, Verdict.INCONCLUSIVE, Severity.HIGH, "T", evidence="The host name is not known."
        )
        for check in ("dimse_speaks_dicom", QUERY)
    ]
    nobody = _system(replace(SHUT, rungs=(), findings=tuple(unknown)))
    assert headline(nobody).explanation == "The host name is not known."
    assert unanswered(nobody) == ()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place(), ""),
        (Place(country="CH"), "Switzerland"),
        (Place(site="Site A", contact="it@example.test"), "Site A, it@example.test"),
        (Place(site="Example", owner="Example"), "Example"),
        (
            Place(site="S", owner="O", contact="C", country="DE", network_operator="N"),
            "S, O (C), Germany, N",
        ),
    ],
)
def test_a_place_is_said_as_far_as_it_is_known(place: Place, words: str) -> None:
    assert wording.place_line(system_model(OPEN, place)) == words
