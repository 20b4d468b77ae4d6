"""The exposure ladder: which rungs one system reached (docs/grading.md).

Theory of operation: each rung is read from the doors, E6 and E5 from the same door; T and V are what the checks on
transport and versions found. Reading (E5, E6) and writing (E7) are separate: a system may reach E7 and not E5.
"""

from collections.abc import Sequence

from doorward.audit.checks.offers import offered
from doorward.audit.door import Door, Entry, doors
from doorward.audit.facts import PortState, SystemFacts
from doorward.audit.verdict import Finding, Verdict

#: Every rung, from the outside in, with its words.
RUNGS = {
    "E0": "filtered: nothing comes back",
    "E1": "a port is open",
    "E2": "speaks DICOM",
    "E3": "accepts any calling and any called AE title",
    "E4": "lets strangers negotiate a query",
    "E5": "answers a study query of a stranger: unprotected",
    "E6": "also lets the stranger negotiate retrieval: downloadable",
    "E7": "lets strangers negotiate storage: writable",
    "T": "no TLS, TLS below PS3.15 B.12, or plain DICOM beside TLS",
    "V": "a version with a known weakness (possible or likely, never certain)",
}

_WEAK_TRANSPORT = ("dimse_tls_missing", "dimse_plain_beside_tls", "tls_version_outdated")
_WEAK_VERSION = ("product_version_vulnerable",)


def rungs(system: SystemFacts, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the rungs that a system reached, in the order of ``RUNGS``."""
    tried = doors(system)
    states = {door.state for door in tried}
    has_open = PortState.OPEN in states or any(door.is_dicom for door in tried)
    reached = {
        "E0": not has_open and PortState.FILTERED in states,
        "E1": has_open,
        "E2": any(door.speaks_dicom for door in tried),
        "E3": any(door.admission.entry is Entry.ANYBODY for door in tried),
        "E4": any(answers_query(door) or offered(door, "find") for door in tried),
        "E5": any(answers_query(door) for door in tried),
        "E6": any(is_downloadable(door) for door in tried),
        "E7": any(offered(door, "store") for door in tried),
        "T": _has_failed(findings, _WEAK_TRANSPORT),
        "V": _has_failed(findings, _WEAK_VERSION),
    }
    return tuple(rung for rung in RUNGS if reached[rung])


def answers_query(door: Door) -> bool:
    """Tell whether a stranger's STUDY query was answered (E5)."""
    return any(exposure.answers_study_query for exposure in door.stranger_exposures)


def is_downloadable(door: Door) -> bool:
    """Tell whether what can be listed can also be fetched, by negotiation (E6)."""
    return answers_query(door) and bool(offered(door, "get", "move"))


def _has_failed(findings: Sequence[Finding], checks: tuple[str, ...]) -> bool:
    # A risk that somebody signed for is still there.
    bad = (Verdict.FAIL, Verdict.ACCEPTED)
    return any(f.check in checks and f.verdict in bad for f in findings)
