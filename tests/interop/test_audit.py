"""The whole audit against real archives whose contents and settings are known: what it counts, what it says, what it sends.

Retrieval and storage are judged by negotiation alone, by design; where a product is known to agree to everything
(Orthanc), the evidence must say how weak that is.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificates
from doorward.audit.exit_code import ExitCode, exit_code
from doorward.audit.facts import AssociationFacts, Attempt, Count, Exactness, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target
from doorward.audit.verdict import Finding, JudgedSystem, Severity, Verdict
from doorward.limits import DEFAULT_LIMITS
from peers import DicomPeer, Orthanc, StorageArea, Tls, dcmqrscp, orthanc, storescp
from pynetdicom_peers import pynetdicom_archive
from synthetic import Known

pytestmark = pytest.mark.interop

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
NOT_TESTED, NOT_APPLICABLE = Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE
EXACT, UNKNOWN = Exactness.EXACT_ENUMERATED, Exactness.UNKNOWN
#: As in production but for the manners: nobody is disturbed on loopback.
HURRIED = replace(DEFAULT_LIMITS, probe_gap_s=0.0, congestion_pause_s=0.02)
#: The four ways in that an Orthanc or a dcmqrscp may leave open.
WAYS_IN = (
    "dimse_query_unprotected",
    "dimse_retrieve_open",
    "dimse_store_open",
    "dimse_ae_accepts_any",
)
ALL_CLOSED = {
    f"DicomAlwaysAllow{one}": False
    for one in ("Echo", "Store", "Find", "FindWorklist", "Get", "Move")
}


class Quiet:
    """An observer that says nothing."""

    def system_started(self, target: Target) -> None: ...
    def probe_finished(self, attempt: Attempt) -> None: ...
    def system_finished(self, system: SystemFacts) -> None: ...


@dataclass(frozen=True, slots=True)
class Audit:
    """One judged system, made easy to ask."""

    system: JudgedSystem

    def verdict(self, check: str) -> Verdict:
        return self.finding(check).verdict

    def finding(self, check: str) -> Finding:
        """The one finding of a check; the worst of several ports."""
        return next(f for f in self.system.findings if f.check == check)

    def verdicts(self, *checks: str) -> dict[str, Verdict]:
        return {check: self.verdict(check) for check in checks}

    def failed(self, at_least: Severity = Severity.LOW) -> set[str]:
        return {
            f.check for f in self.system.findings if f.verdict is FAIL and f.severity >= at_least
        }

    def counts(self) -> dict[str, tuple[int | None, Exactness]]:
        numbers: dict[str, Count] = {
            name: getattr(self.system.counts, name) for name in ("patients", "studies", "images")
        }
        return {name: (count.value, count.exactness) for name, count in numbers.items()}

    def exit_code(self) -> ExitCode:
        return exit_code([self.system], fail_on=Severity.HIGH, allow_inconclusive=False)


def audit(*ports: int, **settings: Any) -> Audit:
    """Survey and judge the ports of this machine, as ``doorward audit`` does."""
    facts = asyncio.run(
        survey(
            [Target(host="127.0.0.1", ports=ports)],
            scope=Scope.loopback(),
            settings=SurveySettings(limits=HURRIED, **settings),
            observer=Quiet(),
        )
    )
    assert len(facts) == 1
    return Audit(judge(facts[0], now=datetime.now(UTC)))


def everything(known: Known) -> dict[str, tuple[int | None, Exactness]]:
    """What an exact audit of the known studies counts."""
    return {
        "patients": (known.patients, EXACT),
        "studies": (known.studies, EXACT),
        "images": (known.images, EXACT),
    }


NOTHING_COUNTED = dict.fromkeys(("patients", "studies", "images"), (None, UNKNOWN))


# --- Orthanc ---------------------------------------------------------------------------------------


@pytest.mark.peer("orthanc")
def test_open_orthanc_is_counted_exactly_and_called_downloadable_and_writable(
    open_orthanc: Orthanc, known: Known
) -> None:
    seen = audit(open_orthanc.port)
    assert seen.counts() == everything(known)
    assert seen.system.rungs == ("E1", "E2", "E3", "E4", "E5", "E6", "E7", "T", "V")
    assert set(WAYS_IN) <= seen.failed(Severity.HIGH)
    assert (seen.system.grade, seen.exit_code()) == ("F", ExitCode.FOUND)
    evidence = seen.finding("dimse_query_unprotected").evidence
    assert (
        f"{known.studies} studies ({known.patients} patients and {known.images} images)" in evidence
    )


@pytest.mark.peer("orthanc")
def test_open_orthanc_keeps_its_own_counts_in_agreement(open_orthanc: Orthanc) -> None:
    before = open_orthanc.statistics()
    counts = audit(open_orthanc.port).system.counts
    assert (counts.patients.value, counts.studies.value, counts.images.value) == (
        before["patients"],
        before["studies"],
        before["instances"],
    )
    assert open_orthanc.statistics() == before  # nothing was stored, nothing was deleted


@pytest.mark.peer("orthanc")
def test_at_level_three_the_presence_of_patient_attributes_is_told_and_no_value(
    open_orthanc: Orthanc, known: Known
) -> None:
    seen = audit(open_orthanc.port, clearance_level=3)
    finding = seen.finding("dimse_patient_attributes_returned")
    assert (finding.verdict, finding.severity) == (FAIL, Severity.CRITICAL)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "InstitutionName"):
        assert keyword in finding.evidence
    assert not [canary for canary in known.canaries if canary in repr(seen.system)]


@pytest.mark.peer("orthanc")
def test_below_level_two_nothing_is_counted_and_no_query_is_judged(open_orthanc: Orthanc) -> None:
    seen = audit(open_orthanc.port, clearance_level=1)
    assert seen.counts() == NOTHING_COUNTED
    assert seen.verdict("dimse_query_unprotected") is NOT_TESTED
    assert seen.verdict("dimse_query_context_open") is FAIL
    assert "E5" not in seen.system.rungs


@pytest.mark.peer("orthanc")
def test_orthanc_that_only_answers_queries_is_told_with_the_weakness_of_negotiation(
    known: Known, tmp_path: Path
) -> None:
    only_find = {"DicomAlwaysAllowFind": True, "DicomAlwaysAllowStore": False}
    with orthanc(tmp_path, configuration=only_find, files=known.files) as peer:
        seen = audit(peer.port)
    assert seen.counts() == everything(known)
    assert seen.verdict("dimse_query_unprotected") is FAIL
    # It would refuse both when they came: nobody can tell without trying, and nobody tries.
    for check in ("dimse_retrieve_open", "dimse_store_open"):
        assert seen.verdict(check) is FAIL
        assert "weak evidence: Orthanc" in seen.finding(check).evidence
    assert "negotiation" in seen.system.counts.images_downloadable.method


@pytest.mark.peer("orthanc")
def test_orthanc_as_debian_ships_it_is_closed_for_queries_and_open_for_storage(
    default_orthanc: Orthanc,
) -> None:
    seen = audit(default_orthanc.port)
    assert seen.verdict("dimse_query_unprotected") is PASS
    assert "A-ABORT" in seen.finding("dimse_query_unprotected").evidence
    assert seen.verdict("dimse_store_open") is FAIL
    # It agrees to the contexts and refuses at the command: whether C-GET is closed too cannot be seen.
    assert seen.verdict("dimse_retrieve_open") is INCONCLUSIVE
    assert seen.system.rungs == ("E1", "E2", "E3", "E4", "E7", "T", "V")
    assert seen.counts() == NOTHING_COUNTED
    assert (seen.system.grade, seen.exit_code()) == ("E", ExitCode.FOUND)


@pytest.fixture(scope="module")
def checking_orthanc(tmp_path_factory: pytest.TempPathFactory, known: Known) -> Iterator[Orthanc]:
    """It checks the called title and serves known modalities only."""
    configuration = {
        **ALL_CLOSED,
        "DicomCheckCalledAet": True,
        "DicomModalities": {"friend": ["FRIEND", "127.0.0.1", 11112]},
    }
    folder = tmp_path_factory.mktemp("checking")
    with orthanc(folder, configuration=configuration, files=known.files) as peer:
        yield peer


@pytest.mark.peer("orthanc")
def test_without_the_called_title_a_checking_orthanc_is_not_rated_and_the_audit_says_why(
    checking_orthanc: Orthanc,
) -> None:
    seen = audit(checking_orthanc.port)
    assert seen.verdict("dimse_ae_accepts_any") is PASS
    assert (
        "called AE title is not its own (A-ASSOCIATE-RJ 1/1/7)"
        in seen.finding("dimse_ae_accepts_any").evidence
    )
    for check in ("dimse_query_unprotected", "dimse_retrieve_open", "dimse_store_open"):
        assert seen.verdict(check) is NOT_TESTED
        assert "--called" in seen.finding(check).evidence
    assert (seen.system.grade, seen.exit_code()) == ("not rated", ExitCode.NOT_TESTED)


@pytest.mark.peer("orthanc")
def test_with_the_called_title_a_checking_orthanc_is_seen_to_know_its_callers(
    checking_orthanc: Orthanc,
) -> None:
    seen = audit(checking_orthanc.port, called_ae_titles=("ORTHANC",))
    expected = dict.fromkeys((*WAYS_IN, "dimse_ae_called_only"), PASS)
    assert seen.verdicts(*expected) == expected
    for check in WAYS_IN:
        assert (
            "calling AE title is not known (A-ASSOCIATE-RJ 1/1/3)" in seen.finding(check).evidence
        )
    assert seen.verdict("dimse_ae_title_only") is NOT_TESTED
    assert seen.failed(Severity.HIGH) == set()
    assert (seen.system.grade, seen.exit_code()) == ("C", ExitCode.PASSED)  # it is plain DICOM


@pytest.mark.peer("orthanc")
def test_with_a_known_pair_the_title_is_seen_to_be_all_that_counts(
    checking_orthanc: Orthanc,
) -> None:
    seen = audit(checking_orthanc.port, called_ae_titles=("ORTHANC",), given_calling="FRIEND")
    assert seen.failed(Severity.HIGH) == {"dimse_ae_title_only"}
    assert "6 studies can be listed" in seen.finding("dimse_ae_title_only").evidence
    # What a known caller may do is not laid at the door of strangers.
    expected = dict.fromkeys(WAYS_IN, PASS)
    assert seen.verdicts(*expected) == expected
    assert seen.counts() == NOTHING_COUNTED


@pytest.mark.peer("orthanc")
def test_a_list_that_the_archive_cuts_short_is_counted_in_parts(
    known: Known, tmp_path: Path
) -> None:
    capped = {"DicomAlwaysAllowFind": True, "LimitFindResults": 4}
    with orthanc(tmp_path, configuration=capped, files=known.files) as peer:
        seen = audit(peer.port)
    assert seen.counts()["studies"] == (known.studies, EXACT)
    assert seen.counts()["images"] == (known.images, EXACT)
    assert seen.counts()["patients"] == (known.patients, EXACT)
    assert seen.verdict("dimse_query_unlimited") is PASS


# --- TLS -------------------------------------------------------------------------------------------


@pytest.mark.peer("orthanc")
def test_tls_with_a_client_certificate_required_passes_with_the_best_grade(
    tls_orthanc: Orthanc, certificates: Certificates
) -> None:
    seen = audit(tls_orthanc.port, tls_ca_file=certificates.authority.certificate_path)
    assert seen.failed() == set()
    expected = dict.fromkeys(
        (*WAYS_IN, "dimse_tls_missing", "dimse_plain_beside_tls", "tls_version_outdated"), PASS
    )
    assert seen.verdicts(*expected) == expected
    assert seen.verdict("tls_client_certificate_not_required") is PASS
    assert (seen.system.grade, seen.exit_code()) == ("A+", ExitCode.PASSED)
    assert seen.system.rungs == ("E1",)
    assert [service.tls for service in seen.system.services] == ["TLSv1.3"]


@pytest.mark.peer("orthanc")
def test_an_unknown_authority_costs_a_little_and_nothing_else(tls_orthanc: Orthanc) -> None:
    seen = audit(tls_orthanc.port)
    assert seen.failed() == {"tls_certificate_untrusted"}
    assert (seen.system.grade, seen.exit_code()) == ("A", ExitCode.PASSED)


@pytest.mark.peer("orthanc")
def test_what_our_own_certificate_opens_is_not_what_strangers_find_open(
    tls_orthanc: Orthanc, certificates: Certificates
) -> None:
    seen = audit(
        tls_orthanc.port,
        tls_ca_file=certificates.authority.certificate_path,
        tls_certificate_file=certificates.client.certificate_path,
        tls_key_file=certificates.client.key_path,
    )
    expected = dict.fromkeys(WAYS_IN, PASS)
    assert seen.verdicts(*expected) == expected
    assert seen.verdict("dimse_speaks_dicom") is PASS
    assert seen.counts() == NOTHING_COUNTED
    assert seen.failed(Severity.HIGH) == set()


@pytest.mark.peer("orthanc")
@pytest.mark.parametrize("asks", ["verify", "require-rsa"])
def test_tls_with_less_than_it_should_have_is_told(
    known: Known, certificates: Certificates, tmp_path: Path, asks: str
) -> None:
    tls = Tls(own=certificates.server, trusted=certificates.authority, client_certificate="verify")
    if asks == "require-rsa":  # with RSA, Orthanc 1.10.1 still agrees to TLS 1.0
        tls = replace(tls, own=certificates.server_rsa, client_certificate="require")
    configuration = {"DicomAlwaysAllowFind": True}
    with orthanc(tmp_path, configuration=configuration, files=known.files, tls=tls) as peer:
        seen = audit(peer.port, tls_ca_file=certificates.authority.certificate_path)
    if asks == "verify":
        assert seen.verdict("tls_client_certificate_not_required") is FAIL
        assert seen.verdict("dimse_query_unprotected") is FAIL
        assert seen.counts() == everything(known)
        assert "T" not in seen.system.rungs
        assert seen.system.grade == "F"
    else:
        # All of it true of TLS 1.0 with a static RSA suite, seen hello by hello.
        assert seen.failed() == {
            "tls_version_outdated",
            "tls_profile_b12_missed",
            "tls_signature_weak_accepted",
            "tls_suite_cbc_offered",
            "tls_suite_without_forward_secrecy",
        }
        assert "TLS 1.0 and 1.1" in seen.finding("tls_version_outdated").evidence
        assert (seen.system.grade, seen.exit_code()) == ("C", ExitCode.PASSED)


@pytest.mark.peer("orthanc")
def test_a_plain_port_beside_a_tls_port_of_one_system_is_told(
    open_orthanc: Orthanc, tls_orthanc: Orthanc, known: Known
) -> None:
    seen = audit(tls_orthanc.port, open_orthanc.port)
    finding = seen.finding("dimse_plain_beside_tls")
    assert (finding.verdict, finding.port) == (FAIL, open_orthanc.port)
    assert seen.counts() == everything(known)
    assert [service.protocol for service in seen.system.services] == ["tls", "dicom"]


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_behind_mutual_tls_passes_too(certificates: Certificates, known: Known) -> None:
    tls = Tls(own=certificates.server, trusted=certificates.authority)
    with pynetdicom_archive(known.files, tls=tls) as archive:
        seen = audit(archive.port, tls_ca_file=certificates.authority.certificate_path)
    # Python's own choice of suites still has CBC beside GCM: a small matter, and true (RFC 9325 section 4.2).
    assert seen.failed() == {"tls_suite_cbc_offered"}
    assert (seen.system.grade, seen.exit_code()) == ("A", ExitCode.PASSED)
    assert archive.commands == []


# --- dcmqrscp and storescp -------------------------------------------------------------------------


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize(
    ("title", "is_writable"), [("READ", False), ("READWRITE", True), ("WRITE", True)]
)
def test_dcmqrscp_is_readable_in_every_mode_and_writable_in_two(
    open_dcmqrscp: DicomPeer, known: Known, title: str, is_writable: bool
) -> None:
    seen = audit(open_dcmqrscp.port, called_ae_titles=(title,))
    # It never says how many images a study has, and the audit does not invent a number.
    assert seen.counts() == {**everything(known), "images": (None, UNKNOWN)}
    assert "does not say how many images" in seen.system.counts.images.method
    assert seen.verdict("dimse_ae_accepts_any") is PASS
    assert seen.verdict("dimse_ae_called_only") is FAIL
    assert seen.verdict("dimse_query_unprotected") is FAIL
    assert seen.verdict("dimse_retrieve_open") is FAIL
    assert "weak" not in seen.finding("dimse_retrieve_open").evidence
    assert seen.verdict("dimse_store_open") is (FAIL if is_writable else PASS)
    assert {"E5", "E6"} <= set(seen.system.rungs)
    assert ("E7" in seen.system.rungs) is is_writable
    assert "E3" not in seen.system.rungs


@pytest.mark.peer("dcmtk")
def test_dcmqrscp_without_a_known_title_is_not_rated(open_dcmqrscp: DicomPeer) -> None:
    seen = audit(open_dcmqrscp.port)
    assert seen.verdict("dimse_ae_accepts_any") is PASS
    assert seen.verdict("dimse_query_unprotected") is NOT_TESTED
    assert (seen.system.grade, seen.exit_code()) == ("not rated", ExitCode.NOT_TESTED)


@pytest.mark.peer("dcmtk")
def test_a_listed_title_is_tried_after_a_wrong_one(open_dcmqrscp: DicomPeer, known: Known) -> None:
    seen = audit(open_dcmqrscp.port, called_ae_titles=("NOWHERE", "READ"))
    assert seen.counts()["studies"] == (known.studies, EXACT)
    assert "READ" in seen.finding("dimse_ae_called_only").evidence


@pytest.mark.peer("dcmtk")
def test_the_right_title_without_a_known_caller_is_not_enough_to_judge_dcmqrscp(
    open_dcmqrscp: DicomPeer,
) -> None:
    # It gives unknown callers the reason for an unknown called title: 1/1/7.
    alone = audit(open_dcmqrscp.port, called_ae_titles=("PRIVATE",))
    assert alone.verdict("dimse_query_unprotected") is NOT_TESTED
    assert "PRIVATE" in alone.finding("dimse_query_unprotected").evidence
    pair = audit(open_dcmqrscp.port, called_ae_titles=("PRIVATE",), given_calling="FRIEND")
    assert pair.failed(Severity.HIGH) == {"dimse_ae_title_only"}
    assert pair.verdict("dimse_query_unprotected") is PASS
    assert "cannot be the called title" in pair.finding("dimse_query_unprotected").evidence


@pytest.mark.peer("dcmtk")
def test_dcmqrscp_without_c_get_can_still_be_emptied_by_c_move(
    known: Known, tmp_path: Path
) -> None:
    areas = [StorageArea(ae_title="READ", files=known.files)]
    with dcmqrscp(tmp_path, areas, options=("--disable-get",)) as peer:
        seen = audit(peer.port, called_ae_titles=("READ",))
    evidence = seen.finding("dimse_retrieve_open").evidence
    assert "MOVE" in evidence
    assert "GET" not in evidence


@pytest.mark.peer("dcmtk")
def test_an_archive_that_is_full_gets_no_verdict(known: Known, tmp_path: Path) -> None:
    areas = [StorageArea(ae_title="READ", files=known.files)]
    with dcmqrscp(tmp_path, areas, max_associations=0) as peer:
        seen = audit(peer.port, called_ae_titles=("READ",))
    for check in ("dimse_query_unprotected", "dimse_store_open", "dimse_ae_called_only"):
        assert seen.verdict(check) is INCONCLUSIVE
        assert "for the moment" in seen.finding(check).evidence
    assert (seen.system.grade, seen.exit_code()) == ("not rated", ExitCode.NOT_TESTED)
    tried = [a for a in seen.system.facts.attempts if isinstance(a.facts, AssociationFacts)]
    # Two pairs, and the one that met congestion twice more.
    assert tried[0].connections == 2 + HURRIED.congestion_retries


@pytest.mark.peer("dcmtk")
def test_an_archive_that_refuses_everybody_lets_no_stranger_in(tmp_path: Path) -> None:
    with dcmqrscp(tmp_path, [StorageArea(ae_title="READ")], options=("--refuse",)) as peer:
        seen = audit(peer.port, called_ae_titles=("READ",))
    expected = dict.fromkeys(WAYS_IN, PASS)
    assert seen.verdicts(*expected) == expected
    assert "A-ASSOCIATE-RJ 1/1/1" in seen.finding("dimse_query_unprotected").evidence


@pytest.mark.peer("dcmtk")
def test_storescp_is_open_for_storage_and_nothing_else(tmp_path: Path) -> None:
    with storescp(tmp_path) as peer:
        seen = audit(peer.port)
    assert seen.failed(Severity.HIGH) == {"dimse_ae_accepts_any", "dimse_store_open"}
    assert seen.verdict("dimse_query_unprotected") is PASS
    assert seen.verdict("dimse_retrieve_open") is PASS
    assert seen.system.rungs == ("E1", "E2", "E3", "E7", "T", "V")
    assert not list((tmp_path / "received").iterdir())


# --- pynetdicom: the peer that tells what it was asked --------------------------------------------------


@pytest.fixture(autouse=True)
def short_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for pynetdicom: it never ends an association that began with a ClientHello."""
    monkeypatch.setattr("pynetdicom_peers.END_S", 0.2)


@contextmanager
def checking_pynetdicom(known: Known) -> Iterator[Any]:
    """It is called HOUSE and knows FRIEND."""
    with pynetdicom_archive(
        known.files, ae_title="HOUSE", callers=["FRIEND"], checks_called=True
    ) as archive:
        yield archive


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_is_counted_exactly_and_asked_only_what_was_promised(known: Known) -> None:
    with pynetdicom_archive(known.files) as archive:
        seen = audit(archive.port, clearance_level=3)
    assert seen.counts() == everything(known)
    assert {"E3", "E5", "E6", "E7"} <= set(seen.system.rungs)
    assert archive.commands == ["C-ECHO", "C-FIND", "C-FIND", "C-FIND"]
    # Titles, capabilities, counting, attributes: each ended in order. The ClientHello was no association.
    assert archive.endings.count("released") == 4
    assert len(archive.endings) <= 5
    assert archive.received == {}


@pytest.mark.peer("pynetdicom")
def test_pynetdicom_that_checks_both_titles_needs_both(known: Known) -> None:
    with checking_pynetdicom(known) as archive:
        stranger = audit(archive.port)
        knows_the_house = audit(archive.port, called_ae_titles=("HOUSE",))
        known_pair = audit(archive.port, called_ae_titles=("HOUSE",), given_calling="FRIEND")
    assert stranger.verdict("dimse_query_unprotected") is NOT_TESTED
    assert knows_the_house.verdict("dimse_query_unprotected") is PASS
    assert knows_the_house.failed(Severity.HIGH) == set()
    assert known_pair.failed(Severity.HIGH) == {"dimse_ae_title_only"}
    assert set(archive.commands) == {"C-ECHO", "C-FIND"}


# --- through the command line --------------------------------------------------------------------------


def run_cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``doorward`` as a person does."""
    source = Path(__file__).resolve().parents[2] / "src"
    return subprocess.run(
        [sys.executable, "-m", "doorward", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


@pytest.mark.peer("orthanc")
def test_the_command_reports_an_open_orthanc_in_json_html_and_words(
    open_orthanc: Orthanc, known: Known, tmp_path: Path
) -> None:
    files = ("--json", tmp_path / "report.json", "--html", tmp_path / "report.html")
    done = run_cli("audit", f"127.0.0.1:{open_orthanc.port}", *files)
    assert done.returncode == ExitCode.FOUND
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema"] == "doorward.report/1"
    totals = report["totals"]
    assert [totals[one]["value"] for one in ("patients", "studies", "images")] == [
        known.patients,
        known.studies,
        known.images,
    ]
    assert (totals["unprotected"], totals["downloadable"], totals["writable"]) == (1, 1, 1)
    assert "39" in done.stdout
    html = (tmp_path / "report.html").read_text()
    for text in (done.stdout, done.stderr, html, json.dumps(report)):
        assert not [canary for canary in known.canaries if canary in text]


@pytest.mark.peer("orthanc")
def test_the_command_ends_with_zero_where_a_certificate_is_demanded(
    tls_orthanc: Orthanc, certificates: Certificates
) -> None:
    trusted = ("--tls-ca", certificates.authority.certificate_path)
    done = run_cli("audit", f"localhost:{tls_orthanc.port}", *trusted, "--json", "-")
    assert done.returncode == ExitCode.PASSED, done.stderr
    (system,) = json.loads(done.stdout)["systems"]
    assert (system["grade"], system["name"]) == ("A+", "localhost")


@pytest.mark.peer("dcmtk")
def test_the_command_ends_with_three_where_a_title_would_be_needed(
    open_dcmqrscp: DicomPeer,
) -> None:
    done = run_cli("audit", f"127.0.0.1:{open_dcmqrscp.port}")
    assert done.returncode == ExitCode.NOT_TESTED
    assert "--called" in done.stdout
