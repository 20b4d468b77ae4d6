"""One judged system as the sums need it: what is kept of thousands while everything else is on disk.

A survey of a country does not fit into memory with all its findings; its totals, tables and comparisons need a dozen
values of each system, which are these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from doorward.audit.door import Door, Entry, doors
from doorward.audit.exit_code import is_tested
from doorward.audit.facts import PortState
from doorward.audit.honeypot import suspicion
from doorward.audit.ladder import answers_query, web_readable
from doorward.audit.place import NOWHERE, Place
from doorward.audit.verdict import Counts, Finding, JudgedSystem, Severity, Verdict

#: The checks that say whether a stranger is served studies.
_STUDY_QUESTIONS = ("dimse_query_unprotected", "web_qido_open", "web_rest_open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the sums need of one system."""

    address: str
    name: str
    place: Place = NOWHERE
    grade: str
    #: 0 to 100; None where the grade is "not rated".
    score: int | None
    rungs: tuple[str, ...]
    counts: Counts = field(default_factory=Counts)
    #: The archive or viewer at its doors, as recognised; "" where none was.
    product: str = ""
    #: Ports that were asked, so that a comparison can tell a new door from a newly asked one.
    ports_asked: tuple[int, ...] = ()
    #: Of these, the ports that serve studies to strangers (rung E5).
    ports_unprotected: tuple[int, ...] = ()
    #: Of these, the ports that turned a stranger away by an answer: refused, closed, or something else speaks there.
    #: Silence never brings a port here, nor does what was not asked (promise 4).
    ports_shut: tuple[int, ...] = ()
    #: Of these, the ports where no connection came about: filtered or unreachable.
    ports_silent: tuple[int, ...] = ()
    is_unprotected: bool = False
    is_downloadable: bool = False
    is_writable: bool = False
    #: Looks like a honeypot or a demonstration: left out of the sums unless asked for.
    is_suspected: bool = False
    #: Something was answered that can be judged.
    is_tested: bool = True
    #: A question went unanswered: somebody may be there.
    is_silent: bool = False
    #: Of the failed findings; None where nothing failed.
    worst_severity: Severity | None = None


def standing(system: JudgedSystem, place: Place = NOWHERE) -> Standing:
    """Return the standing of a judged system; pure."""
    failed = [f.severity for f in system.findings if f.verdict is Verdict.FAIL]
    tried = doors(system.facts)
    return Standing(
        address=system.facts.address,
        name=system.facts.name,
        place=place,
        grade=system.grade,
        score=system.score,
        rungs=system.rungs,
        counts=system.counts,
        product=next((s.product for s in system.services if s.product), ""),
        ports_asked=system.facts.ports,
        ports_unprotected=_unprotected(tried, system.findings),
        ports_shut=tuple(door.port for door in tried if _is_shut(door, system.findings)),
        ports_silent=tuple(
            d.port for d in tried if d.state in (PortState.FILTERED, PortState.UNREACHABLE)
        ),
        is_unprotected=system.is_unprotected,
        is_downloadable=system.is_downloadable,
        is_writable=system.is_writable,
        is_suspected=suspicion(system.facts).is_suspected,
        is_tested=is_tested(system),
        is_silent=any(f.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR) for f in system.findings),
        worst_severity=max(failed, default=None),
    )


def _unprotected(tried: Sequence[Door], findings: Sequence[Finding]) -> tuple[int, ...]:
    web = web_readable(tried, findings)
    return tuple(door.port for door in tried if answers_query(door) or door in web)


def _is_shut(door: Door, findings: Sequence[Finding]) -> bool:
    """Tell whether every question for studies that belongs here was answered, and none of them with studies."""
    asked = [f for f in findings if f.port == door.port and f.check in _STUDY_QUESTIONS]
    if any(not _turns_away(finding, door) for finding in asked):
        return False
    # Nobody listens, or something is there that is no archive; or the questions above have their answers.
    is_settled = door.state is PortState.CLOSED or bool(door.speaks_other)
    return is_settled or door.is_dicom or door.demands_certificate


def _turns_away(finding: Finding, door: Door) -> bool:
    if finding.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE):
        return True
    # A rejection for the called title is no grade: the right title may open. The stranger with made-up names stayed out.
    is_dicom_question = finding.check == _STUDY_QUESTIONS[0]
    return is_dicom_question and door.admission.entry is Entry.UNDECIDED
