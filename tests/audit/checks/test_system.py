"""The verdict on a system as a whole is given once, whatever number of ports it has."""

from doorward.audit.checks.system import looks_like_honeypot
from doorward.audit.facts import Outcome
from doorward.audit.judge import judge
from doorward.audit.verdict import Severity, Verdict
from places import attempt
from places import door as door_of
from places import system as system_of
from seen import ANYBODY, NOW, accepted, associations, offers, system
from seen import attempt as dicom

HONEYPOT = associations(accepted(stack=("1.2.826.0.1.3680043.9.7133.1.1", "GODICOM_1_1")))


def test_a_suspicion_is_a_finding_of_no_severity():
    judged = judge(system(dicom(HONEYPOT, port=104), dicom(HONEYPOT, port=11112)), now=NOW)
    (finding,) = [f for f in judged.findings if f.check == "system_looks_like_honeypot"]
    assert (finding.verdict, finding.severity, finding.port) == (Verdict.FAIL, Severity.INFO, None)
    assert "stack of a known honeypot" in finding.evidence


def test_one_weak_sign_is_told_and_passes():
    seen = door_of(dicom(ANYBODY), dicom(offers("find", "control"), probe="capabilities"))
    ruling = looks_like_honeypot(seen, NOW)
    assert ruling.verdict is Verdict.PASS
    assert "made up" in ruling.evidence


def test_no_sign_passes_and_silence_does_not():
    assert looks_like_honeypot(door_of(dicom(ANYBODY)), NOW).verdict is Verdict.PASS
    silent = attempt("association", None, outcome=Outcome.INCONCLUSIVE)
    assert looks_like_honeypot(door_of(silent), NOW).verdict is Verdict.NOT_TESTED
    assert system_of(silent).attempts
