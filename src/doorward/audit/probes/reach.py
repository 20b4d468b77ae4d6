"""Is anything there? One TCP connection that says nothing and is closed at once (PS3.8 section 9.1.1 needs no less)."""

import asyncio

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome, PortState, ReachFacts
from doorward.errors import ConnectFailed, ConnectTimeout
from doorward.net.dial import dial


async def ask(approach: Approach) -> Answer:
    """Connect and hang up; a closed port is an answer, a silent one is none."""
    async with approach.pace.turn():
        return await _connect(approach)


async def glance(approach: Approach) -> Answer:
    """Do the same beside other glances at the same system: a host that drops packets costs one wait, not forty."""
    await approach.pace.touch()
    return await _connect(approach)


async def _connect(approach: Approach) -> Answer:
    endpoint = approach.endpoint
    try:
        transport, _ = await dial(
            endpoint.address,
            endpoint.port,
            gate=approach.gate,
            protocol=asyncio.Protocol,
            limits=approach.limits,
        )
        transport.abort()
    except ConnectTimeout as silence:
        facts = ReachFacts(port_state=PortState.FILTERED)
        return Outcome.INCONCLUSIVE, str(silence), facts
    except ConnectFailed as failure:
        if failure.kind == "local":
            raise
        is_closed = failure.kind == "refused"
        state = PortState.CLOSED if is_closed else PortState.UNREACHABLE
        outcome = Outcome.ANSWERED if is_closed else Outcome.INCONCLUSIVE
        return outcome, str(failure), ReachFacts(port_state=state)
    return Outcome.ANSWERED, "", ReachFacts(port_state=PortState.OPEN)
