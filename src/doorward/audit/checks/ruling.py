"""What a rule returns, and what becomes of questions that were not answered.

Theory of operation: ``passed`` and ``failed`` are for facts; ``unanswered`` turns the attempts of a probe into
inconclusive, error or not tested, and has no way to say pass. So a rule that runs out of facts ends there.
"""

from dataclasses import dataclass

from doorward.audit.door import Door, Entry, describe
from doorward.audit.facts import Attempt, Control, Outcome
from doorward.audit.verdict import Severity, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The verdict of one rule with its evidence. ``severity`` lowers the check's own, never raises it."""

    verdict: Verdict
    evidence: str
    severity: Severity | None = None


#: The evidence of a check whose probe met no port that it is meant for; reports fold these into one line.
NO_PORT_ASKED = "No port was asked this question."
#: The evidence of a DICOM check where every port was settled to be something else; folded likewise.
NO_PORT_SPEAKS_DICOM = (
    "No port of this system speaks DICOM: all are closed or speak another protocol."
)


def passed(evidence: str) -> Ruling:
    """Return a pass; the evidence names the answer that shows it."""
    return Ruling(verdict=Verdict.PASS, evidence=evidence)


def failed(evidence: str, severity: Severity | None = None) -> Ruling:
    """Return a fail, with a severity where it is less than the check's."""
    return Ruling(verdict=Verdict.FAIL, evidence=evidence, severity=severity)


def inconclusive(evidence: str) -> Ruling:
    """Return that an answer came and says nothing about safety."""
    return Ruling(verdict=Verdict.INCONCLUSIVE, evidence=evidence)


def not_applicable(evidence: str) -> Ruling:
    """Return that the question has no meaning here."""
    return Ruling(verdict=Verdict.NOT_APPLICABLE, evidence=evidence)


def not_tested(evidence: str) -> Ruling:
    """Return that the question was not asked."""
    return Ruling(verdict=Verdict.NOT_TESTED, evidence=evidence)


#: The first of these that any attempt ended with decides.
_OUTCOMES = (
    (Outcome.ERROR, Verdict.ERROR, "Our own side failed"),
    (Outcome.INCONCLUSIVE, Verdict.INCONCLUSIVE, "No usable answer"),
    (Outcome.NOT_TESTED, Verdict.NOT_TESTED, "Not asked"),
    # Answered, and still no facts that a rule could use.
    (Outcome.ANSWERED, Verdict.INCONCLUSIVE, "The answer does not settle it"),
)


def unanswered(attempts: tuple[Attempt, ...], *, level: int) -> Ruling:
    """Return what attempts without usable facts amount to; never a pass, never a fail."""
    for outcome, verdict, words in _OUTCOMES:
        reasons = dict.fromkeys(a.reason for a in attempts if a.outcome is outcome and a.reason)
        if any(a.outcome is outcome for a in attempts):
            evidence = f"{words}: {'; '.join(reasons)}." if reasons else f"{words}."
            return Ruling(verdict=verdict, evidence=evidence.replace("..", "."))
    return not_tested(f"Not asked in this audit (clearance level {level}).")


def unasked(door: Door, probe: str) -> Ruling:
    """Return what the attempts of one probe on one door amount to."""
    return unanswered(door.attempts(probe), level=door.system.clearance_level)


def for_no_stranger(door: Door, what: str) -> Ruling | None:
    """Return the ruling where the admission alone decides that no stranger comes as far as ``what``.

    None where strangers come in, so that the facts behind the association must decide.
    """
    admission = door.admission
    if admission.keeps_strangers_out:
        return passed(f"No stranger comes as far as {what}: {admission.because}.")
    if admission.entry is Entry.UNDECIDED:
        named = door.replies(Control.GIVEN_CALLED)
        if named:
            return not_tested(
                f"A stranger who called {named[0].called_ae_title} was turned away: {describe(named[0])}. "
                f"Either that title is wrong or the caller is not known, so {what} was not tried: name a "
                "pair that the system knows with --called and --calling."
            )
        return not_tested(
            f"A stranger was turned away: {admission.because}. Whether the right called AE title "
            f"opens the way to {what} was not tried: name it with --called."
        )
    if admission.entry is Entry.UNKNOWN:
        return inconclusive(f"It is not known whether strangers get in: {admission.because}.")
    return None


def number(value: int, singular: str, plural: str = "") -> str:
    """Return "1 study", "1,234 studies"."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"
