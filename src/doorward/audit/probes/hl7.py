"""Is the port an HL7 version 2 receiver (MLLP), and does it take messages from strangers?

One connection that only listens: a receiver keeps silent. At clearance level 3 one more, with a message that names no
patient and that every receiver must reject (``greetings.hl7``); its acknowledgement shows that strangers are answered.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.hl7_facts import Hl7Facts
from doorward.errors import ConnectFailed, LimitExceeded, PeerProtocolError, TlsFailed
from doorward.greetings import hl7
from doorward.greetings.conversation import Conversation
from doorward.greetings.hl7 import Acknowledgement
from doorward.greetings.hl7 import Answer as Heard
from doorward.knowledge.ports import expected_protocol
from doorward.net.exchange import exchange
from doorward.net.tls import probe_context

PROTOCOLS = ("hl7", "hl7-tls")


def asker(*, level: int = 1) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; at clearance level 3 it knocks. On a port of HL7 over TLS it makes TLS by itself."""

    async def ask(approach: Approach) -> Answer:
        if approach.tls is None and expected_protocol(approach.endpoint.port) == "hl7-tls":
            approach = approach.over(probe_context())
        facts = Hl7Facts(over_tls=approach.tls is not None)
        try:
            heard = await _talk(approach, hl7.listen(approach.limits), approach.limits.hl7_listen_s)
            facts = replace(facts, listened=heard.answer, looks_like=heard.looks_like)
            if heard.answer is Heard.SILENT and level >= 3:
                facts = await _knock(approach, facts)
        except ConnectFailed as failure:
            if failure.kind != "refused":
                raise
            return Outcome.ANSWERED, "the port is closed", replace(facts, is_open=False)
        except TlsFailed as failure:
            if failure.kind == "certificate_required":
                return Outcome.ANSWERED, str(failure), replace(facts, demands_certificate=True)
            return Outcome.INCONCLUSIVE, str(failure), facts
        except (PeerProtocolError, LimitExceeded):
            return (
                Outcome.ANSWERED,
                "the port is open and speaks no HL7",
                replace(facts, listened=Heard.OTHER),
            )
        return _judged(facts)

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask at clearance level 1: nothing is said."""
    return await asker()(approach)


def _judged(facts: Hl7Facts) -> Answer:
    """Silence is what a receiver says, and what many others say too: it answers nothing."""
    last = facts.knocked or facts.listened
    if last is Heard.SILENT:
        said = "to a message" if facts.knocked else "to a listener"
        return Outcome.INCONCLUSIVE, f"the port is open and says nothing {said}", facts
    if last is Heard.CLOSED:
        return Outcome.INCONCLUSIVE, "the port is open and hangs up without a word", facts
    return Outcome.ANSWERED, "", facts


async def _knock(approach: Approach, facts: Hl7Facts) -> Hl7Facts:
    control_id = f"DOORWARD{secrets.token_hex(5).upper()}"  # MSH-10 holds 20 characters
    sent_at = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    knock = hl7.knock(control_id, sent_at, approach.limits)
    heard = await _talk(approach, knock, approach.limits.hl7_reply_s)
    return replace(
        facts,
        knocked=heard.answer,
        code=heard.code,
        names_ours=heard.names_ours,
        version=heard.version,
        looks_like=heard.looks_like,
    )


async def _talk(
    approach: Approach, conversation: Conversation[Acknowledgement], most_s: float
) -> Acknowledgement:
    async with approach.pace.turn():
        exchanged = await exchange(
            approach.endpoint.address,
            approach.endpoint.port,
            conversation,
            gate=approach.gate,
            tls=approach.tls,
            server_name=approach.server_name,
            limits=replace(approach.limits, greeting_s=most_s),
        )
    return exchanged.result
