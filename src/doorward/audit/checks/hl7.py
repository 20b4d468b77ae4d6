"""HL7 version 2 over MLLP: silence is what a receiver says, so only an acknowledgement shows anything."""

from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import Ruling, failed, not_applicable, passed, unasked
from doorward.audit.door import Door
from doorward.audit.hl7_facts import Hl7Facts

_ACCEPTING = ("AA", "CA")


@check("hl7_port_open", per=Per.ASKED)
def port_open(door: Door, _now: datetime) -> Ruling:
    """Judge the acknowledgement of a message that must be rejected."""
    facts = next(iter(door.answered(Hl7Facts)), None)
    if facts is None:
        return unasked(door, "hl7")
    if not facts.is_open:
        return passed(f"Port {door.port} is closed: the connection was refused.")
    if facts.demands_certificate:
        return passed("Callers without a client certificate are turned away in the TLS handshake.")
    if not facts.is_hl7:
        return _something_else(door, facts)
    version = f", version {facts.version}" if facts.version else ""
    if facts.code in _ACCEPTING:
        return failed(
            f"A stranger's message was acknowledged with {facts.code}{version}: accepted, although its event "
            "and its version do not exist. It named no patient."
        )
    return failed(
        f"A stranger's message was acknowledged with {facts.code}{version}: read and rejected for what it "
        "said, not for who sent it. It named no patient."
    )


@check("hl7_plain", per=Per.ASKED)
def plain(door: Door, _now: datetime) -> Ruling:
    """Judge whether the acknowledgement came in clear text."""
    facts = next(iter(door.answered(Hl7Facts)), None)
    if facts is None:
        return unasked(door, "hl7")
    if not facts.is_open:
        return not_applicable(f"Port {door.port} is closed.")
    if facts.demands_certificate:
        return passed("The port asks for TLS with a client certificate before anything is said.")
    if not facts.is_hl7:
        return _something_else(door, facts)
    if facts.over_tls:
        return passed("The acknowledgement came inside TLS.")
    return failed("A message and its acknowledgement travelled in clear text.")


def _something_else(door: Door, facts: Hl7Facts) -> Ruling:
    what = {"": "something else", "hl7": "HL7, but no acknowledgement"}.get(
        facts.looks_like, facts.looks_like.upper()
    )
    return not_applicable(f"Port {door.port} answers, but with {what}.")
