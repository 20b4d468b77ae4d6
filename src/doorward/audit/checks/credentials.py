"""Documented default logins: accepted or refused, nothing else is known."""

from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import Ruling, failed, passed, unasked
from doorward.audit.credential_facts import CredentialFacts, Login
from doorward.audit.door import Door


@check("auth_default_credentials", per=Per.ASKED)
def default_credentials(door: Door, _now: datetime) -> Ruling:
    """Judge the one attempt."""
    facts = next(iter(door.answered(CredentialFacts)), None)
    if facts is None:
        return unasked(door, "default_credentials")
    login = f"{facts.product}'s documented login (user {facts.user})"
    if facts.result is Login.ACCEPTED:
        plain = (
            "" if facts.over_tls else " It travelled in clear text, as every password does here."
        )
        return failed(f"{login} was accepted in one attempt; nothing was done with it.{plain}")
    return passed(f"{login} was refused.")
