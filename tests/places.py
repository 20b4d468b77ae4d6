"""Doors with facts of any probe, for the tests of checks: a port, what was answered there, and how the probe ended."""

from doorward.audit.door import Door
from doorward.audit.facts import Attempt, Endpoint, Facts, Outcome, SystemFacts


def attempt(
    probe: str,
    facts: Facts | None,
    *,
    outcome: Outcome | None = None,
    port: int = 80,
    address: str = "10.1.2.3",
) -> Attempt:
    """An attempt; without facts it was inconclusive unless told otherwise."""
    ended = outcome or (Outcome.ANSWERED if facts is not None else Outcome.INCONCLUSIVE)
    reason = "" if ended is Outcome.ANSWERED else "no usable answer"
    return Attempt(
        probe=probe,
        endpoint=Endpoint(address=address, port=port),
        outcome=ended,
        reason=reason,
        facts=facts,
    )


def system(*attempts: Attempt, level: int = 3) -> SystemFacts:
    """A system of all these attempts."""
    address = attempts[0].endpoint.address if attempts else "10.1.2.3"
    return SystemFacts(address=address, name="", clearance_level=level, attempts=attempts)


def door(*attempts: Attempt, level: int = 3) -> Door:
    """The door of the first attempt."""
    return Door(system=system(*attempts, level=level), port=attempts[0].endpoint.port)
