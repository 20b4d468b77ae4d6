"""File shares: old versions and missing signatures fail, and no silence passes."""

from dataclasses import replace

import pytest

from doorward.audit.checks import rule_of
from doorward.audit.door import Door
from doorward.audit.facts import Attempt, Endpoint, Outcome, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.share_facts import ShareFacts
from doorward.audit.verdict import Severity, Verdict
from seen import NOW

SMB = ShareFacts(
    protocol="smb",
    is_recognised=True,
    smb_dialect="3.1.1",
    smb_first_version=False,
    smb_signing_required=True,
    smb_encrypts=True,
)
NFS = ShareFacts(protocol="nfs", is_recognised=True, nfs_versions=(4,))
PORTMAPPER = ShareFacts(protocol="portmapper", is_recognised=True, portmapper_tells=False)
OF_SMB = ("smb_v1_spoken", "smb_signing_not_required")
ALL = (*OF_SMB, "share_port_reachable", "nfs_old_version_spoken", "nfs_portmapper_open")


def system(facts, *, address="10.1.2.3", outcome=Outcome.ANSWERED):
    made = Attempt(
        probe="shares",
        endpoint=Endpoint(address=address, port=445),
        outcome=outcome,
        reason="" if outcome is Outcome.ANSWERED else "no answer in 15 s",
        facts=facts,
    )
    return SystemFacts(address=address, name="", clearance_level=2, attempts=(made,))


def ruled(check, facts, **how):
    return rule_of(check).rule(Door(system=system(facts, **how), port=445), NOW)


@pytest.mark.parametrize(
    ("check", "facts", "verdict"),
    (
        ("smb_v1_spoken", SMB, Verdict.PASS),
        ("smb_v1_spoken", replace(SMB, smb_first_version=True), Verdict.FAIL),
        ("smb_v1_spoken", replace(SMB, smb_first_version=None), Verdict.INCONCLUSIVE),
        ("smb_v1_spoken", NFS, Verdict.NOT_APPLICABLE),
        ("smb_signing_not_required", SMB, Verdict.PASS),
        ("smb_signing_not_required", replace(SMB, smb_signing_required=False), Verdict.FAIL),
        ("nfs_old_version_spoken", NFS, Verdict.PASS),
        ("nfs_old_version_spoken", replace(NFS, nfs_versions=(3, 4)), Verdict.FAIL),
        ("nfs_old_version_spoken", SMB, Verdict.NOT_APPLICABLE),
        ("nfs_portmapper_open", PORTMAPPER, Verdict.PASS),
        ("nfs_portmapper_open", replace(PORTMAPPER, portmapper_tells=True), Verdict.FAIL),
    ),
)
def test_each_fact_has_its_verdict(check, facts, verdict):
    assert ruled(check, facts).verdict is verdict


@pytest.mark.parametrize(
    ("address", "severity"),
    (("8.8.8.8", Severity.HIGH), ("10.1.2.3", Severity.MEDIUM), ("::1", Severity.LOW)),
)
def test_a_share_that_answers_is_the_graver_the_more_can_reach_it(address, severity):
    ruling = ruled("share_port_reachable", SMB, address=address)
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, severity)


def test_the_versions_are_named():
    assert "SMB (version 3.1.1)" in ruled("share_port_reachable", SMB).evidence
    assert "NFS (version 4)" in ruled("share_port_reachable", NFS).evidence
    assert "portmapper of NFS." in ruled("share_port_reachable", PORTMAPPER).evidence
    unnamed = ruled("share_port_reachable", replace(SMB, smb_dialect=""))
    assert "as SMB." in unnamed.evidence
    old = ruled("nfs_old_version_spoken", replace(NFS, nfs_versions=(2, 3)))
    assert old.evidence == "NFS version 2 and 3 is spoken."


@pytest.mark.parametrize("check", ALL)
def test_silence_never_passes(check):
    for facts in (None, ShareFacts(protocol="smb")):
        assert ruled(check, facts, outcome=Outcome.INCONCLUSIVE).verdict is Verdict.INCONCLUSIVE


def test_a_closed_port_passes_for_one_and_is_no_business_of_the_others():
    closed = ShareFacts(protocol="smb", is_open=False)
    assert ruled("share_port_reachable", closed).verdict is Verdict.PASS
    assert {ruled(check, closed).verdict for check in OF_SMB} == {Verdict.NOT_APPLICABLE}


def test_another_protocol_on_the_port_is_no_business_of_theirs():
    other = ShareFacts(protocol="smb")
    verdicts = {ruled(check, other).verdict for check in (*OF_SMB, "share_port_reachable")}
    assert verdicts == {Verdict.NOT_APPLICABLE}


def test_the_remedy_is_that_of_the_protocol_and_the_service_is_named():
    judged = judge(system(replace(SMB, smb_first_version=True)), now=NOW)
    found = {f.check: f for f in judged.findings if f.verdict is Verdict.FAIL}
    assert "Samba" in found["smb_v1_spoken"].remediation
    assert judged.services[0].protocol == "smb"
    judged = judge(system(replace(NFS, nfs_versions=(3,))), now=NOW)
    found = {f.check: f for f in judged.findings if f.verdict is Verdict.FAIL}
    assert "/etc/nfs.conf" in found["nfs_old_version_spoken"].remediation
