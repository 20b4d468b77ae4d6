"""What answers at all: reachability of a port, and whether it is known what speaks there."""

import ipaddress
from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    passed,
    unasked,
)
from doorward.audit.door import Door
from doorward.audit.facts import AssociationFacts, PortState, ReachFacts


@check("net_port_reachable", per=Per.PORT)
def port_reachable(door: Door, _now: datetime) -> Ruling:
    """Judge the TCP connection alone (rung E1)."""
    if door.demands_certificate:
        return passed(f"Port {door.port} is open, and asks every caller for a certificate first.")
    if door.speaks_other and not door.attempts("association") and not door.shows_imaging:
        return not_applicable(
            f"Port {door.port} speaks {door.speaks_other.upper()} and shows nothing of imaging."
        )
    answered = {facts.port_state for facts in door.answered(AssociationFacts)}
    answered |= {facts.port_state for facts in door.answered(ReachFacts)}
    if PortState.OPEN in answered:
        where = " The address is public." if _is_public(door.system.address) else ""
        return failed(f"Port {door.port} takes connections from here.{where}")
    if PortState.CLOSED in answered:
        return passed(f"Port {door.port} is closed: the connection was refused.")
    if door.state in (PortState.FILTERED, PortState.UNREACHABLE):
        return inconclusive(
            f"Port {door.port} is {door.state} from here: nothing came back. "
            "Others may still reach it."
        )
    return _unasked(door)


@check("dimse_speaks_dicom", per=Per.PORT)
def speaks_dicom(door: Door, _now: datetime) -> Ruling:
    """Name what speaks: an open port proves nothing (rung E2)."""
    if door.speaks_dicom:
        named = door.identification.described
        return passed(f"Port {door.port} speaks DICOM{f': {named}' if named else ''}.")
    if door.demands_certificate:
        return not_applicable(
            f"Port {door.port} asks for a client certificate first: what speaks behind it is not "
            "visible to strangers, and that is as it should be."
        )
    if door.state is PortState.CLOSED:
        return not_applicable(f"Port {door.port} is closed.")
    if door.speaks_other == "unknown":
        return not_applicable(f"Port {door.port} answers, but with nothing that DICOM knows.")
    if door.speaks_other:
        return not_applicable(f"Port {door.port} speaks {door.speaks_other.upper()}, not DICOM.")
    return _unasked(door)


def _unasked(door: Door) -> Ruling:
    """Return what silence amounts to; a port that is not expected to speak DICOM was only looked at."""
    return unasked(door, "association" if door.attempts("association") else "reach")


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
