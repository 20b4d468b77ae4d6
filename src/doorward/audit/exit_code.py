"""The exit code of an audit: a table that scripts may rely on (docs/cli.md).

A known open door (1) outranks what could not be tested (3): both need a person, and the first is certain.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

from doorward.audit.verdict import JudgedSystem, Severity, Verdict

if TYPE_CHECKING:
    from doorward.audit.standing import Standing

_INCONCLUSIVE = (Verdict.INCONCLUSIVE, Verdict.ERROR)
_CONCLUSIVE = (Verdict.PASS, Verdict.FAIL, Verdict.ACCEPTED)


class ExitCode(IntEnum):
    """What the process tells its caller."""

    PASSED = 0  # everything was tested and nothing at or above --fail-on failed
    FOUND = 1  # at least one finding at or above --fail-on
    USAGE = 2  # an option or a file is wrong
    NOT_TESTED = 3  # something could not be tested; also: a bug of our own
    OUT_OF_SCOPE = 4  # refused by the scope, nothing was dialled
    INTERRUPTED = 130  # Ctrl-C (128 + SIGINT)


def is_tested(system: JudgedSystem) -> bool:
    """Tell whether anything beyond "a port is open" or "closed" was answered.

    Checks of severity info only establish that somebody is there; an address where nothing speaks was not tested.
    """
    return any(f.verdict in _CONCLUSIVE and f.severity > Severity.INFO for f in system.findings)


def exit_code(
    systems: Iterable[JudgedSystem], *, fail_on: Severity, allow_inconclusive: bool
) -> ExitCode:
    """Return the exit code of a finished audit; never PASSED when nothing was tested."""
    judged = tuple(systems)
    if any(_has_failed(system, fail_on) for system in judged):
        return ExitCode.FOUND
    if not any(is_tested(system) for system in judged):
        return ExitCode.NOT_TESTED
    if not allow_inconclusive and any(_is_incomplete(system) for system in judged):
        return ExitCode.NOT_TESTED
    return ExitCode.PASSED


def survey_exit_code(
    standings: Iterable["Standing"], *, fail_on: Severity, allow_inconclusive: bool
) -> ExitCode:
    """Return the exit code of a finished survey by the same rules, in one pass over what is kept of each system."""
    is_any_tested = is_any_incomplete = False
    for one in standings:
        if one.worst_severity is not None and one.worst_severity >= fail_on:
            return ExitCode.FOUND
        is_any_tested |= one.is_tested
        is_any_incomplete |= not one.is_tested or one.score is None or one.is_silent
    if not is_any_tested or (is_any_incomplete and not allow_inconclusive):
        return ExitCode.NOT_TESTED
    return ExitCode.PASSED


def _has_failed(system: JudgedSystem, fail_on: Severity) -> bool:
    return any(f.verdict is Verdict.FAIL and f.severity >= fail_on for f in system.findings)


def _is_incomplete(system: JudgedSystem) -> bool:
    # No score: what decides whether strangers get in stayed unasked or unanswered (promise 4).
    return (
        not is_tested(system)
        or system.score is None
        or any(f.verdict in _INCONCLUSIVE and f.severity > Severity.INFO for f in system.findings)
    )
