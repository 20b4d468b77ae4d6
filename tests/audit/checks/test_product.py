"""What a version name may claim: likely, possible, never certain."""

import pytest

from doorward.audit.checks.product import (
    looks_like_honeypot,
    version_vulnerable,
    web_version_vulnerable,
)
from doorward.audit.door import Door
from doorward.audit.facts import Outcome
from doorward.audit.verdict import Severity, Verdict
from doorward.audit.web_facts import WebFacts, WebProduct
from doorward.knowledge.advisories import advisories_for, in_use
from doorward.knowledge.implementations import identify
from doorward.knowledge.updates import Holdings
from knowledge_files import CSAF, KEV, read
from seen import ANYBODY, CALLER_LIST, MUTUAL, NOW, accepted, associations, attempt, door, system
from web_seen import server, web, web_attempt, web_door


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
        (named("INFINITT_3.5"), Verdict.NOT_TESTED, None),  # the version of the stack
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


def test_whoever_asks_for_a_certificate_first_names_no_software_to_a_stranger():
    assert looks_like_honeypot(door(MUTUAL), NOW).verdict is Verdict.NOT_APPLICABLE
    assert looks_like_honeypot(door(CALLER_LIST), NOW).verdict is Verdict.NOT_TESTED


# --- products on the web ------------------------------------------------------------------------------------------------


def shown(product, version="", *, by="header", certainty="likely", kind="archive"):
    return WebProduct(
        product=product, key="", kind=kind, version=version, certainty=certainty, shown_by=by
    )


def on_the_web(*products):
    return web_door(web(products=products))


ORTHANC_157 = shown("Orthanc", "1.5.7", by="system")


@pytest.mark.parametrize(
    ("products", "verdict", "severity"),
    [
        ((ORTHANC_157,), Verdict.FAIL, Severity.MEDIUM),  # an exact build, rows read in their source
        ((shown("Orthanc", "1.5.7"),), Verdict.FAIL, Severity.LOW),
        ((shown("Orthanc", "1.5.7", by="system", certainty="possible"),), Verdict.FAIL, Severity.LOW),
        ((shown("Orthanc", "1.12.11", by="system"),), Verdict.FAIL, Severity.LOW),  # mark M
        ((shown("Orthanc", "1.13.0", by="system"),), Verdict.PASS, None),
        ((shown("Orthanc", by="realm"),), Verdict.NOT_TESTED, None),
        ((shown("Orthanc", by="realm"), ORTHANC_157), Verdict.FAIL, Severity.MEDIUM),
        ((shown("Dicoogle", "2.5.0"),), Verdict.FAIL, Severity.LOW),
        ((shown("Dicoogle", "3.4.1"),), Verdict.PASS, None),
        ((shown("Sante PACS Server", by="favicon", certainty="possible"),), Verdict.NOT_TESTED, None),
        ((shown("Visage 7", by="title"),), Verdict.NOT_TESTED, None),
        ((shown("Dicoogle", "3.4.1"), shown("MedDream", by="cookie")), Verdict.NOT_TESTED, None),
        ((server("nginx", "1.18.0"),), Verdict.NOT_APPLICABLE, None),
        ((), Verdict.NOT_APPLICABLE, None),
    ],
)  # fmt: skip
def test_products_on_the_web_are_compared_with_the_advisories(products, verdict, severity):
    ruling = web_version_vulnerable(on_the_web(*products), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


@pytest.mark.parametrize("outcome", [Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.NOT_TESTED])
def test_silence_on_the_web_is_no_pass(outcome):
    ruling = web_version_vulnerable(web_door(web=outcome), NOW)
    assert ruling.verdict not in (Verdict.PASS, Verdict.FAIL)


def test_a_port_without_http_has_no_product():
    nothing = WebFacts(speaks_http=False, over_tls=False, front=web().front)
    assert web_version_vulnerable(web_door(nothing), NOW).verdict is Verdict.NOT_APPLICABLE


def test_the_words_follow_how_the_version_was_shown():
    exact = web_version_vulnerable(on_the_web(ORTHANC_157), NOW).evidence
    assert "Orthanc 1.5.7 likely has 4 published weaknesses: CVE-2026-5437 (likely" in exact
    assert "CVE-2023-33466 (possible" in exact
    header = web_version_vulnerable(on_the_web(shown("Orthanc", "1.5.7")), NOW).evidence
    assert "possibly has" in header
    assert "likely" not in header
    for evidence in (exact, header):
        assert "a repaired package may keep it" in evidence
        assert "certain" not in evidence


def test_a_product_without_a_version_is_told_what_to_compare():
    evidence = web_version_vulnerable(on_the_web(shown("MedDream", by="cookie")), NOW).evidence
    assert "MedDream does not show its version here" in evidence
    assert "7 advisories published about this product" in evidence


def stack_beside_orthanc(version):
    """Evidence on a DICOM port of DCMTK 3.6.7 whose neighbour tells Orthanc's exact version; "" for no neighbour."""
    beside = (
        [web_attempt(web(products=(shown("Orthanc", version, by="system"),)))] if version else []
    )
    one = Door(system=system(attempt(ANYBODY), *beside), port=104)
    return version_vulnerable(one, NOW).evidence


@pytest.mark.parametrize(
    ("version", "of_orthanc"),
    [
        ("", 2),  # a guess: official builds with DCMTK 3.6.7 have both
        ("1.12.2", 2),
        ("1.12.11", 1),
        ("1.13.0", 0),  # built on the DCMTK of a distribution
    ],
)
def test_what_the_web_side_says_exactly_overrules_the_guess_by_the_stack(version, of_orthanc):
    of_dcmtk = [m for m in advisories_for(identify("", "OFFIS_DCMTK_367")) if not m.condition]
    expected = f"likely has {len(of_dcmtk) + of_orthanc} published weaknesses"
    assert expected in stack_beside_orthanc(version)


def test_what_was_taken_later_is_judged_too():
    holdings = Holdings().with_update(read(CSAF)).with_update(read(KEV))
    current = on_the_web(shown("Orthanc", "1.13.0", by="system"))
    with in_use(holdings.additions):
        ruling = web_version_vulnerable(current, NOW)
    assert ruling.verdict is Verdict.FAIL
    assert (
        "CVE-2099-10001 (likely, known to be exploited: EXAMPLE path traversal)" in ruling.evidence
    )
    assert web_version_vulnerable(current, NOW).verdict is Verdict.PASS
