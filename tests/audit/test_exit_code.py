"""The exit codes, as a table."""

from dataclasses import replace

import pytest

from doorward.audit.exit_code import ExitCode, exit_code, is_tested
from doorward.audit.verdict import JudgedSystem, Severity, Verdict
from judged_systems import OPEN, SHUT, SILENT, WRITABLE


def _with(verdict: Verdict, severity: Severity, base: JudgedSystem = SHUT) -> JudgedSystem:
    """The protected system with one more finding."""
    extra = replace(base.findings[0], verdict=verdict, severity=severity)
    return replace(base, findings=(*base.findings, extra))


MEDIUM = _with(Verdict.FAIL, Severity.MEDIUM)
GAP = _with(Verdict.INCONCLUSIVE, Severity.LOW)
BROKEN = _with(Verdict.ERROR, Severity.LOW)
SIGNED = _with(Verdict.ACCEPTED, Severity.CRITICAL)
NOT_ASKED = _with(Verdict.NOT_TESTED, Severity.HIGH)
#: Turned away by a title; what the right title opens was never tried.
NOT_RATED = replace(SHUT, grade="not rated", score=None)
#: Only somebody's presence was established.
CLOSED = replace(SHUT, findings=tuple(f for f in SHUT.findings if f.severity is Severity.INFO))


@pytest.mark.parametrize(
    ("systems", "fail_on", "allow_inconclusive", "expected"),
    [
        ([SHUT], Severity.HIGH, False, ExitCode.PASSED),
        ([SHUT, SIGNED], Severity.HIGH, False, ExitCode.PASSED),
        ([NOT_ASKED], Severity.HIGH, False, ExitCode.PASSED),
        ([OPEN], Severity.HIGH, False, ExitCode.FOUND),
        ([OPEN], Severity.CRITICAL, True, ExitCode.FOUND),
        ([WRITABLE], Severity.CRITICAL, False, ExitCode.PASSED),
        ([MEDIUM], Severity.HIGH, False, ExitCode.PASSED),
        ([MEDIUM], Severity.MEDIUM, False, ExitCode.FOUND),
        ([MEDIUM], Severity.INFO, False, ExitCode.FOUND),
        ([GAP], Severity.HIGH, False, ExitCode.NOT_TESTED),
        ([GAP], Severity.HIGH, True, ExitCode.PASSED),
        ([BROKEN], Severity.HIGH, False, ExitCode.NOT_TESTED),
        ([SHUT, SILENT], Severity.HIGH, False, ExitCode.NOT_TESTED),
        ([SHUT, SILENT], Severity.HIGH, True, ExitCode.PASSED),
        ([SHUT, CLOSED], Severity.HIGH, False, ExitCode.NOT_TESTED),
        ([NOT_RATED], Severity.HIGH, False, ExitCode.NOT_TESTED),
        ([NOT_RATED], Severity.HIGH, True, ExitCode.PASSED),
        ([OPEN, SILENT], Severity.HIGH, False, ExitCode.FOUND),
        # Never 0 when nothing was tested, whatever is allowed.
        ([SILENT], Severity.HIGH, False, ExitCode.NOT_TESTED),
        ([SILENT], Severity.HIGH, True, ExitCode.NOT_TESTED),
        ([CLOSED], Severity.HIGH, True, ExitCode.NOT_TESTED),
        ([], Severity.HIGH, True, ExitCode.NOT_TESTED),
    ],
)
def test_the_exit_code_follows_the_table(
    systems: list[JudgedSystem], fail_on: Severity, allow_inconclusive: bool, expected: ExitCode
) -> None:
    assert exit_code(systems, fail_on=fail_on, allow_inconclusive=allow_inconclusive) is expected


def test_a_port_that_only_is_open_or_closed_was_not_tested() -> None:
    assert is_tested(SHUT)
    assert not is_tested(CLOSED)
    assert not is_tested(SILENT)
