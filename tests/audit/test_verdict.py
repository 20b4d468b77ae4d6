"""The vocabulary of reports."""

import pytest

from doorward.audit.checks import CATALOGUE
from doorward.audit.facts import SystemFacts
from doorward.audit.verdict import Counts, JudgedSystem, Severity, Verdict


def test_severities_are_ordered_and_have_lower_case_words():
    assert Severity.CRITICAL > Severity.HIGH > Severity.MEDIUM > Severity.LOW > Severity.INFO
    assert [s.label for s in Severity] == ["info", "low", "medium", "high", "critical"]


def test_a_severity_is_found_by_its_word():
    assert all(Severity.from_label(s.label) is s for s in Severity)
    with pytest.raises(ValueError, match="info, low, medium, high, critical"):
        Severity.from_label("awful")


def test_the_verdicts_are_those_of_the_contract():
    assert {v.value for v in Verdict} == {
        "pass",
        "fail",
        "inconclusive",
        "error",
        "not_applicable",
        "not_tested",
        "accepted",
    }


def test_a_remedy_falls_back_to_the_generic_one():
    check = next(c for c in CATALOGUE if c.id == "dimse_store_open")
    assert "DicomAlwaysAllowStore" in check.remedy_for("orthanc")
    assert check.remedy_for("unheard-of") == check.remediation["generic"]


@pytest.mark.parametrize(
    ("rungs", "expected"),
    [
        (("E1", "E2"), (False, False, False)),
        (("E2", "E5"), (True, False, False)),
        (("E5", "E6"), (True, True, False)),
        (("E7",), (False, False, True)),
    ],
)
def test_a_judged_system_says_what_its_rungs_mean(rungs, expected):
    facts = SystemFacts(address="10.1.2.3", name="", clearance_level=2, attempts=())
    judged = JudgedSystem(
        facts=facts,
        services=(),
        counts=Counts(),
        rungs=rungs,
        findings=(),
        grade="not rated",
        score=None,
    )
    assert (judged.is_unprotected, judged.is_downloadable, judged.is_writable) == expected
