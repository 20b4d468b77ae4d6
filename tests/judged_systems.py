"""Judged systems made by hand, for the tests of reports and exit codes: an open archive, one open for storage only, a
protected one, a silent one, and one that says hostile things about itself. All synthetic."""

from dataclasses import replace
from datetime import UTC, datetime

from doorward.audit.facts import (
    Attempt,
    Count,
    Endpoint,
    Exactness,
    Outcome,
    SystemFacts,
)
from doorward.audit.report.assemble import ScanRecord
from doorward.audit.scope import Scope
from doorward.audit.verdict import (
    Counts,
    Finding,
    JudgedSystem,
    Reference,
    Service,
    Severity,
    Verdict,
)

PS315 = Reference(
    label="DICOM PS3.15 B.12",
    url="https://dicom.nema.org/medical/dicom/current/output/html/part15.html",
)
NIST = Reference(label="NIST SP 1800-24", url="https://www.nccoe.nist.gov/publication/1800-24/")

RECORD = ScanRecord(
    version="0.1.0",
    started_at=datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC),
    finished_at=datetime(2026, 3, 14, 9, 27, 31, tzinfo=UTC),
    clearance_level=2,
    scope=Scope.loopback(),
    targets=1,
    grade_version="doorward-grade/1",
    knowledge_date="2026-03-01",
)


def finding(
    check: str,
    verdict: Verdict,
    severity: Severity,
    title: str,
    *,
    evidence: str = "",
    remediation: str = "",
    port: int | None = 4242,
    verify: str = "",
) -> Finding:
    """A finding with two references."""
    return Finding(
        check=check,
        verdict=verdict,
        severity=severity,
        title=title,
        evidence=evidence or "Seen as it should be.",
        remediation=remediation,
        references=(PS315, NIST),
        port=port,
        verify=verify,
    )


def facts(
    address: str, *, name: str = "", port: int = 4242, outcome: Outcome = Outcome.ANSWERED
) -> SystemFacts:
    """Facts with one attempt of each of two probes."""
    endpoint = Endpoint(address=address, port=port)
    attempts = tuple(
        Attempt(probe=probe, endpoint=endpoint, outcome=outcome, connections=1, duration_s=0.1)
        for probe in ("association", "exposure")
    )
    return SystemFacts(address=address, name=name, clearance_level=2, attempts=attempts)


def counted(value: int, exactness: Exactness = Exactness.EXACT_ENUMERATED) -> Count:
    """A count with a plausible method."""
    return Count(value=value, exactness=exactness, method="answers of one study query, counted")


_CHECK_AGAIN = "doorward audit 10.20.0.7:4242 --scope scope.toml"
_PASSED = (
    finding("net_port_reachable", Verdict.PASS, Severity.INFO, "The port can be reached"),
    finding("dimse_speaks_dicom", Verdict.PASS, Severity.INFO, "The port speaks DICOM"),
)

OPEN = JudgedSystem(
    facts=facts("10.20.0.7", name="pacs.st-example.test"),
    services=(
        Service(
            port=4242,
            protocol="dicom",
            product="DCMTK 3.6.7 (used by Orthanc and many others)",
            version="3.6.7",
            toolkit="DCMTK",
            confidence="source",
        ),
    ),
    counts=Counts(
        patients=counted(567),
        studies=counted(1_234),
        images=counted(45_678, Exactness.AT_LEAST),
        images_downloadable=counted(45_678, Exactness.AT_LEAST),
    ),
    rungs=("E1", "E2", "E3", "E4", "E5", "E6", "T"),
    findings=(
        finding(
            "dimse_query_unprotected",
            Verdict.FAIL,
            Severity.CRITICAL,
            "Study queries are answered to known callers only",
            evidence="A caller with made-up AE titles asked for studies on port 4242 and was told 1,234 of them "
            "(only the status and the Number of Study Related Instances of each were looked at).",
            remediation='In orthanc.json set "DicomAlwaysAllowFind": false and list each permitted '
            'workstation in "DicomModalities", then restart Orthanc.',
            verify=_CHECK_AGAIN,
        ),
        finding(
            "dimse_retrieve_open",
            Verdict.FAIL,
            Severity.CRITICAL,
            "Images are handed out to known callers only",
            evidence="The same stranger was granted C-GET and C-MOVE for the Study Root model. Nothing was retrieved.",
            remediation='Set "DicomAlwaysAllowGet": false and "DicomAlwaysAllowMove": false.',
            verify=_CHECK_AGAIN,
        ),
        finding(
            "dimse_tls_missing",
            Verdict.FAIL,
            Severity.HIGH,
            "The DICOM port speaks TLS",
            evidence="Port 4242 answers plain DICOM and does not speak TLS: names and images cross the network "
            "for anyone on the way to read.",
            remediation='Set "DicomTlsEnabled": true with a certificate of your own, and require '
            'client certificates with "DicomTlsRemoteCertificateRequired": true.',
            verify=_CHECK_AGAIN,
        ),
        finding(
            "dimse_worklist_open",
            Verdict.INCONCLUSIVE,
            Severity.HIGH,
            "The worklist is answered to known callers only",
            evidence="The association was ended by the system before it answered.",
        ),
        *_PASSED,
        finding(
            "dimse_patient_attributes_returned",
            Verdict.NOT_TESTED,
            Severity.CRITICAL,
            "No patient attribute comes back",
            evidence="Asked from clearance level 3 on; this audit ran at level 2.",
        ),
        finding(
            "tls_certificate_expired",
            Verdict.NOT_APPLICABLE,
            Severity.HIGH,
            "The certificate is valid, and not about to end",
            evidence="The port does not speak TLS.",
        ),
    ),
    grade="F",
    score=3,
    grade_reasons=("Strangers can list studies and take images: never better than F.",),
)

WRITABLE = JudgedSystem(
    facts=facts("127.0.0.1"),
    services=(
        Service(port=4242, protocol="dicom", product="DCMTK 3.6.7", confidence="source"),
        Service(port=11112, protocol="closed"),
    ),
    counts=Counts(),
    rungs=("E1", "E2", "E3", "E7", "T"),
    findings=(
        finding(
            "dimse_store_open",
            Verdict.FAIL,
            Severity.HIGH,
            "Images are accepted from known senders only",
            evidence="A caller with made-up AE titles was granted storage of CT and MR images. Nothing was sent.",
            remediation='Set "DicomAlwaysAllowStore": false and list each sending device in "DicomModalities".',
            verify="doorward audit 127.0.0.1:4242",
        ),
        finding(
            "dimse_query_unprotected",
            Verdict.PASS,
            Severity.CRITICAL,
            "Study queries are answered to known callers only",
            evidence="The stranger's query context was refused.",
        ),
        *_PASSED,
    ),
    grade="D",
    score=41,
    grade_reasons=("Strangers can add images: never better than D.",),
)

SHUT = JudgedSystem(
    facts=facts("127.0.0.2", name="archive.test"),
    services=(Service(port=4242, protocol="dicom-tls", tls="TLSv1.3", product="", confidence=""),),
    counts=Counts(),
    rungs=("E1", "E2"),
    findings=(
        finding(
            "dimse_query_unprotected",
            Verdict.PASS,
            Severity.CRITICAL,
            "Study queries are answered to known callers only",
            evidence="Without a client certificate the connection was refused.",
        ),
        finding("dimse_tls_missing", Verdict.PASS, Severity.HIGH, "The DICOM port speaks TLS"),
        *_PASSED,
    ),
    grade="A+",
    score=100,
)

SILENT = JudgedSystem(
    facts=facts("127.0.0.3", outcome=Outcome.INCONCLUSIVE),
    services=(Service(port=4242, protocol="filtered"),),
    counts=Counts(),
    rungs=("E0",),
    findings=(
        finding(
            "net_port_reachable",
            Verdict.INCONCLUSIVE,
            Severity.INFO,
            "The port can be reached",
            evidence="No answer in 5 seconds.",
        ),
        finding(
            "dimse_query_unprotected",
            Verdict.NOT_TESTED,
            Severity.CRITICAL,
            "Study queries are answered to known callers only",
            evidence="Nothing answered on the port.",
        ),
    ),
    grade="not rated",
    score=None,
    grade_reasons=("No asked port answered: nothing is known about this address.",),
)

#: What a stranger could call itself to attack the reader of a report.
HOSTILE = "<script>alert(1)</script>[red]DCMTK[/red]\x1b[31m\x9b2J\u202e\"'&\r\nX: 1"

HOSTILE_SYSTEM = replace(
    OPEN,
    facts=facts("127.0.0.4", name=HOSTILE),
    services=(
        replace(OPEN.services[0], product=HOSTILE, version=HOSTILE, toolkit=HOSTILE, tls=HOSTILE),
    ),
    findings=tuple(
        replace(
            f,
            evidence=f"{f.evidence} {HOSTILE}",
            references=(Reference(label=HOSTILE, url="javascript:alert(1)"),),
        )
        for f in OPEN.findings
    ),
    grade_reasons=(HOSTILE,),
)
