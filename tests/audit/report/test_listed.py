"""One line about one system says what the whole document says."""

from dataclasses import replace

import pytest

from doorward.audit.place import NOWHERE, Place
from doorward.audit.report.assemble import system_model
from doorward.audit.report.listed import Listed, listed
from doorward.audit.report.survey import system_document
from doorward.audit.report.wording import Tone, headline, split_quiet
from doorward.audit.verdict import JudgedSystem, Severity, Verdict
from judged_systems import HOSTILE_SYSTEM, OPEN, SHUT, SILENT, WRITABLE, finding
from surveyed import SYSTEMS, survey


def _listed(system: JudgedSystem, place: Place = NOWHERE) -> Listed:
    return listed(system_document(system_model(system, place)))


def test_a_line_tells_who_how_far_how_much_and_what_to_do_first() -> None:
    line = _listed(OPEN, Place(site="Site A", country="CH"))
    assert (line.address, line.name, line.site, line.country) == (
        "10.20.0.7",
        "pacs.st-example.test",
        "Site A",
        "CH",
    )
    assert (line.grade, line.rungs) == ("F", "E1–E6 T")
    assert (line.studies, line.images) == ("1,234", "≥45,678")
    assert line.step.startswith('In orthanc.json set "DicomAlwaysAllowFind": false')
    assert not line.is_suspected


@pytest.mark.parametrize("system", [OPEN, WRITABLE, SHUT, SILENT, HOSTILE_SYSTEM])
def test_a_line_is_as_alarming_as_the_headline_of_the_whole(system: JudgedSystem) -> None:
    assert _listed(system).tone is headline(system_model(system)).tone


def test_a_medium_weakness_is_shown_as_one() -> None:
    weak = finding("x", Verdict.FAIL, Severity.MEDIUM, "T")
    assert _listed(replace(SHUT, findings=(*SHUT.findings, weak))).tone is Tone.WEAK


@pytest.mark.parametrize(
    "system",
    [*(judged for judged, _ in SYSTEMS), replace(SHUT, rungs=("E1",), shows_imaging=False)],
)
def test_a_line_is_quiet_where_the_page_of_an_audit_sets_the_system_aside(
    system: JudgedSystem,
) -> None:
    from doorward.audit.report.assemble import assemble
    from judged_systems import RECORD

    _, quiet = split_quiet(assemble([system, OPEN], RECORD))
    assert _listed(system).is_quiet == bool(quiet)


def test_where_strangers_see_nothing_there_is_no_number() -> None:
    line = _listed(SHUT)
    assert (line.studies, line.images, line.step) == ("–", "–", "")


@pytest.mark.parametrize(
    ("ladder", "words"),
    [
        ((), ""),
        (("E0",), "E0"),
        (("E1", "E2"), "E1–E2"),
        (("E1", "E2", "E5", "E6", "E7", "W2", "T"), "E1–E2 E5–E7 W2 T"),
        (("E1", "E3", "E7"), "E1 E3 E7"),
    ],
)
def test_neighbouring_rungs_are_told_as_one(ladder: tuple[str, ...], words: str) -> None:
    assert _listed(replace(OPEN, rungs=ladder)).rungs == words


def test_advice_for_several_products_gives_its_first_line() -> None:
    advice = finding("x", Verdict.FAIL, Severity.CRITICAL, "T", remediation="First.\nSecond.")
    assert _listed(replace(SHUT, findings=(advice,))).step == "First."


def test_what_looks_like_a_honeypot_is_marked() -> None:
    _, documents = survey(suspected=["127.0.3.1"])
    assert [line.address for line in map(listed, documents) if line.is_suspected] == ["127.0.3.1"]


def test_a_tampered_document_cannot_bring_control_characters_back() -> None:
    document = system_document(system_model(OPEN)).replace("pacs.st", "\\u001b[2Jpacs\\u202e.st")
    assert listed(document).name == "?[2Jpacs?.st-example.test"


@pytest.mark.parametrize("document", ["", "{}", "[]", '{"address": 1}'])
def test_what_is_no_system_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        listed(document)
