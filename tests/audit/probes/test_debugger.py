"""A Java debugger is known by its handshake; silence says nothing."""

import pytest

from doorward.audit.approach import attempt
from doorward.audit.facts import Outcome
from doorward.audit.probes import debugger
from doorward.audit.web_facts import DebuggerFacts
from loopback import in_loop
from web_servers import speaker
from web_visitors import web_approach


async def seen(reply):
    async with speaker(reply) as (port, _):
        return await attempt("debugger", web_approach(port, jdwp_s=0.1), debugger.ask)


@pytest.mark.parametrize(
    ("reply", "is_jdwp"), [(b"JDWP-Handshake", True), (b"HTTP/1.1 400 CANARY\r\n\r\n", False)]
)
@in_loop
async def test_the_handshake_tells(reply, is_jdwp):
    made = await seen(reply)
    assert (made.outcome, made.facts) == (Outcome.ANSWERED, DebuggerFacts(is_jdwp=is_jdwp))
    assert made.connections == 1


@in_loop
async def test_silence_is_inconclusive():
    made = await seen(None)
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)
