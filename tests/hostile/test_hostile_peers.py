"""Whatever a peer does: the audit of it ends in time, says nothing that was not answered, and stays small."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doorward.audit.exit_code import ExitCode, exit_code
from doorward.audit.facts import AssociationFacts, Outcome
from doorward.audit.report.assemble import ScanRecord, assemble
from doorward.audit.report.html import report_html
from doorward.audit.report.outputs import report_json
from doorward.audit.report.terminal import report_text
from doorward.audit.scope import Scope
from doorward.audit.verdict import Severity, Verdict
from hostile_audit import SHORT, Audited, audit, tls_context
from hostile_peers import NAMED, Misbehaviour

pytestmark = pytest.mark.timeout(60)
TESTS = Path(__file__).resolve().parent.parent
#: The issue's bound; Python with what the auditor imports takes 60 of them.
MOST_MIB = 150
#: Silence at every question: three associations, two handshakes, two commands, each its full time.
LONGEST_S = 8.0

QUIET = [case for case in NAMED if not case.is_flood]
FLOODS = [case for case in NAMED if case.is_flood]


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return tls_context(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def quiet(tls) -> dict[str, Audited]:
    """All but the floods, audited at the same time."""
    return asyncio.run(audit(QUIET, tls))


def check(case: Misbehaviour, found: Audited) -> None:
    """Compare one audit with what must come of it."""
    judged = found.judged
    verdicts = [finding.verdict for finding in judged.findings]
    assert found.duration_s < LONGEST_S < SHORT.host_s
    assert Verdict.ERROR not in verdicts
    assert all(attempt.outcome is not Outcome.ERROR for attempt in found.facts.attempts)
    first = next(a for a in found.facts.attempts if a.probe == "association")
    assert isinstance(first.facts, AssociationFacts)
    assert first.facts.replies[0].reply is case.reply
    passed = {
        finding.check
        for finding in judged.findings
        if finding.verdict is Verdict.PASS
        and finding.severity > Severity.INFO
        and not (
            case.tls and finding.check.startswith("tls_")
        )  # its TLS is sound, and was answered
    }
    assert passed == case.passes
    on_queries = {f.verdict for f in judged.findings if f.check == "dimse_query_unprotected"}
    assert on_queries == {case.query}
    assert judged.rungs == case.rungs
    assert (judged.grade == "F") == ("E5" in case.rungs)
    assert judged.grade in ("F", "not rated")
    check_studies(case, judged.counts.studies.value)


def check_studies(case: Misbehaviour, claimed: int | None) -> None:
    if case.is_flood and case.studies is not None:
        assert claimed is not None
        assert claimed >= case.studies
    else:
        assert claimed == case.studies


@pytest.mark.parametrize("case", QUIET, ids=lambda case: case.name)
def test_audit_of_a_hostile_peer_ends_and_says_only_what_was_answered(case, quiet):
    check(case, quiet[case.name])


@pytest.mark.parametrize("case", FLOODS, ids=lambda case: case.name)
def test_audit_of_a_peer_that_never_stops_ends_by_itself(case, tls):
    check(case, asyncio.run(audit([case], tls))[case.name])


def test_at_least_forty_misbehaviours_are_named():
    assert len(NAMED) >= 40
    assert len({case.words for case in NAMED}) == len(NAMED), "two that are described alike"


def test_what_passes_says_no_more_than_what_a_match_held():
    """No check on access, retrieval, storage or transport passes for any of them."""
    harmless = {"dimse_patient_attributes_returned", "dimse_query_unlimited"}
    assert set().union(*(case.passes for case in NAMED)) <= harmless


def test_the_exit_code_never_says_that_all_is_well(quiet):
    for found in quiet.values():
        code = exit_code([found.judged], fail_on=Severity.HIGH, allow_inconclusive=False)
        assert code in (ExitCode.FOUND, ExitCode.NOT_TESTED), found.facts.address


def test_a_report_can_be_made_of_all_of_them(quiet):
    now = datetime.now(UTC)
    record = ScanRecord(
        version="0",
        started_at=now,
        finished_at=now,
        clearance_level=3,
        scope=Scope.loopback(),
        targets=len(quiet),
        interrupted=False,
        grade_version="0",
        knowledge_date="2026-01-01",
    )
    report = assemble([found.judged for found in quiet.values()], record)
    for text in (report_json(report), report_html(report), report_text(report, verbose=True)):
        assert "\x1b" not in text
        assert "vsFTPd" not in text, "a banner is no fact"


def test_at_most_one_connection_is_open_at_a_time(quiet):
    """Also towards peers that do not let go: the next connection waits for the end of the last one."""
    # The slow one is asleep when we close, and notices late: that is its own doing.
    crowded = {name for name, found in quiet.items() if found.peer.most_at_a_time > 1}
    assert crowded <= {"accept_slow_loris"}


def test_memory_stays_small_over_all_of_them(tmp_path):
    """The auditor in a process of its own, the peers in another: its peak is the auditor's alone."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONASYNCIODEBUG": ""}
    program = [sys.executable, str(TESTS / "hostile_audit.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment}
    with subprocess.Popen([*program, "serve", str(tmp_path)], **pipes) as peers:
        try:
            addresses = peers.stdout.readline()
            done = subprocess.run(
                [*program, "ask"],
                input=addresses,
                stdout=subprocess.PIPE,
                env=environment,
                timeout=55,
                check=True,
            )
        finally:
            peers.kill()
    said = json.loads(done.stdout)
    assert said["judged"] == len(NAMED)
    assert said["peak_mib"] < MOST_MIB
