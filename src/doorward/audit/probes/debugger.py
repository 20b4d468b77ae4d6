"""Does the port shake hands as a Java debugger? (JDWP, 8787 in dcm4chee-arc's own compose file)

One connection, fourteen bytes there and back. No packet of the protocol follows.
"""

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.web_facts import DebuggerFacts
from doorward.net.jdwp import shakes_hands


async def ask(approach: Approach) -> Answer:
    """Shake hands and leave."""
    endpoint = approach.endpoint
    async with approach.pace.turn():
        is_jdwp = await shakes_hands(
            endpoint.address, endpoint.port, gate=approach.gate, limits=approach.limits
        )
    if is_jdwp is None:
        return Outcome.INCONCLUSIVE, "the port stayed silent", None
    return Outcome.ANSWERED, "", DebuggerFacts(is_jdwp=is_jdwp)
