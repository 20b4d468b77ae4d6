"""Approaches and visitors to one port on loopback, for the tests of the web probes."""

from typing import Any

from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import Endpoint
from doorward.audit.visit import Visitor
from doorward.net.dial import Gate
from loopback import HOST, OpenGate, limits


def web_approach(
    port: int,
    *,
    gate: Gate | None = None,
    name: str = "",
    gap_s: float = 0.0,
    tls: Any = None,
    titles: tuple[str, ...] = (),
    **bounds: Any,
) -> Approach:
    """An approach without pauses; bounds as keywords."""
    return Approach(
        endpoint=Endpoint(address=HOST, port=port, name=name),
        gate=gate or OpenGate(),
        pace=Pace(gap_s),
        limits=limits(**({"congestion_pause_s": 0.001} | bounds)),
        tls=tls,
        called_ae_titles=titles,
    )


def visitor(port: int, *, contact: str = "", **more: Any) -> Visitor:
    """A visitor of such an approach."""
    return Visitor(web_approach(port, **more), contact=contact)
