"""About a system as a whole, not about one of its ports."""

from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import Ruling, failed, not_tested, passed
from doorward.audit.door import Door
from doorward.audit.honeypot import SUSPECT_FROM, suspicion


@check("system_looks_like_honeypot", per=Per.SYSTEM)
def looks_like_honeypot(door: Door, _now: datetime) -> Ruling:
    """Judge the sum of the signs; any door of the system will do."""
    found = suspicion(door.system)
    told = "; ".join(sign.because for sign in found.signs)
    if found.is_suspected:
        return failed(f"Score {found.score} of 100, suspected from {SUSPECT_FROM} on: {told}.")
    if told:
        return passed(f"Score {found.score} of 100, too low for a suspicion: {told}.")
    if not any(a.facts is not None and a.outcome == "answered" for a in door.system.attempts):
        return not_tested("Nothing answered that could show a sign.")
    return passed("No sign of a honeypot or a demonstration was seen.")
