"""What a version name may claim: likely, possible, never certain."""

import pytest

from doorward.audit.checks.product import looks_like_honeypot, version_vulnerable
from doorward.audit.verdict import Severity, Verdict
from seen import ANYBODY, CALLER_LIST, MUTUAL, NOW, accepted, associations, door


def named(version_name, class_uid=""):
    return door(associations(accepted(stack=(class_uid, version_name))))


@pytest.mark.parametrize(
    ("seen", "verdict", "severity"),
    [
        (door(ANYBODY), Verdict.FAIL, Severity.MEDIUM),  # DCMTK 3.6.7
        (named("dcm4che-5.34.1"), Verdict.FAIL, Severity.LOW),
        (named("dcm4che-5.35.2"), Verdict.PASS, None),
        (named("1.5.0/WIN32"), Verdict.PASS, None),
        (named("OSIRIX"), Verdict.NOT_TESTED, None),
        (named("NEVER HEARD OF"), Verdict.NOT_TESTED, None),
        (door(CALLER_LIST), Verdict.NOT_TESTED, None),
        (door(MUTUAL), Verdict.NOT_APPLICABLE, None),
    ],
)
def test_a_version_is_compared_with_the_advisories(seen, verdict, severity):
    ruling = version_vulnerable(seen, NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


def test_the_evidence_never_sounds_certain():
    evidence = version_vulnerable(door(ANYBODY), NOW).evidence
    assert "likely has" in evidence
    assert "CVE-2026-50003 (likely" in evidence
    assert "a repaired package may keep it" in evidence
    assert "certain" not in evidence
    assert (
        "None known is not the same as safe"
        in version_vulnerable(named("1.5.0/WIN32"), NOW).evidence
    )


def test_hostile_version_names_never_reach_the_evidence():
    for rule in (version_vulnerable, looks_like_honeypot):
        assert "<b>" not in rule(named("<b>[red]\x1b[31m"), NOW).evidence


@pytest.mark.parametrize(
    ("version_name", "verdict"),
    [
        ("GODICOM_1_1", Verdict.FAIL),
        ("OFFIS_DCMTK_367", Verdict.PASS),
        ("NEVER HEARD OF", Verdict.NOT_TESTED),
    ],
)
def test_a_known_honeypot_is_told(version_name, verdict):
    assert looks_like_honeypot(named(version_name), NOW).verdict is verdict
