"""What is known about the software that answered; a version name is a claim, so nothing here is certain."""

from datetime import datetime

from doorward.audit.checks.registry import check
from doorward.audit.checks.ruling import Ruling, failed, not_applicable, not_tested, number, passed
from doorward.audit.door import Door
from doorward.audit.verdict import Severity
from doorward.knowledge import KNOWLEDGE_DATE
from doorward.knowledge.advisories import Match, advisories_for

_SHOWN = 4


@check("product_version_vulnerable")
def version_vulnerable(door: Door, _now: datetime) -> Ruling:
    """Compare stack and version with the published advisories (rung V)."""
    found = door.identification
    if door.demands_certificate and not found.is_known:
        return not_applicable("The software does not name itself to a stranger.")
    if not found.version:
        named = found.described or "The software"
        return not_tested(f"{named} did not name a version, so no advisory can be looked up.")
    matches = advisories_for(found)
    if not matches:
        return passed(
            f"{found.described}: no advisory is known to us (list of {KNOWLEDGE_DATE}). "
            "None known is not the same as safe."
        )
    is_likely = any(m.certainty == "likely" for m in matches)
    return failed(
        f"{found.described} {'likely' if is_likely else 'possibly'} has "
        f"{number(len(matches), 'published weakness', 'published weaknesses')}: {_list(matches)}. "
        "A version name is a claim; a repaired package may keep it.",
        Severity.MEDIUM if is_likely else Severity.LOW,
    )


def _list(matches: tuple[Match, ...]) -> str:
    # The likely ones first: they are what a reader should look up.
    ordered = sorted(matches, key=lambda m: (m.certainty != "likely", bool(m.condition)))
    shown = [
        f"{m.advisory.id} ({m.certainty}{', ' + m.condition if m.condition else ''}: "
        f"{m.advisory.summary})"
        for m in ordered[:_SHOWN]
    ]
    more = len(matches) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


@check("product_looks_like_honeypot")
def looks_like_honeypot(door: Door, _now: datetime) -> Ruling:
    """Compare the answer with the marks of known honeypots."""
    found = door.identification
    if found.honeypot:
        return failed(f"The answer carries the mark of a honeypot: {found.described}.")
    if not found.is_known:
        return not_tested("The software did not name itself.")
    return passed(f"The answer names {found.described}.")
