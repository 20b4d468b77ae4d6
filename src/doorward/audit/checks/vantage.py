"""From where a port was reached: what an open one means depends on it."""

import ipaddress
from enum import StrEnum

from doorward.audit.verdict import Severity


class Vantage(StrEnum):
    """Which kind of address was audited."""

    PUBLIC = "public"  # reachable from the whole internet, or it would not have answered
    INSIDE = "inside"  # an address of a private network
    ITSELF = "itself"  # loopback: the audit ran on the machine


def vantage(address: str) -> Vantage:
    """Return the kind of an address; a name that was never resolved counts as inside."""
    try:
        numeric = ipaddress.ip_address(address)
    except ValueError:
        return Vantage.INSIDE
    if numeric.is_loopback:
        return Vantage.ITSELF
    return Vantage.PUBLIC if numeric.is_global else Vantage.INSIDE


#: How bad it is that a port of the back room answers at all.
REACHED = {
    Vantage.PUBLIC: Severity.HIGH,
    Vantage.INSIDE: Severity.MEDIUM,
    Vantage.ITSELF: Severity.LOW,
}
#: Words to add to the evidence.
FROM = {
    Vantage.PUBLIC: " The address is public.",
    Vantage.INSIDE: "",
    Vantage.ITSELF: " It was audited on the machine itself; whether others reach it was not tried.",
}
