"""What exactly does the port accept in TLS? Raw ClientHellos, one per connection (PS3.15 B.12 and B.13, RFC 9325).

The interview decides what to ask next (``audit.tls_interview``), ``net.hello`` says one hello; here each of them gets its
turn in the pace of the system. Nothing is ever sent beyond a hello. Where TLS 1.3 is all that is spoken, certificates
travel encrypted: one full handshake shows the leaf. ``asker`` takes the prelude of protocols that switch to TLS.
"""

import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.tls_facts import TlsDepthFacts
from doorward.audit.tls_interview import Interview
from doorward.errors import TlsFailed, TransportError
from doorward.net.certificate_chain import read_chain
from doorward.net.hello import Prelude, greet
from doorward.net.tls import probe_context
from doorward.web.tls_hello import ClientHello
from doorward.web.tls_records import Flight


def asker(prelude: Prelude | None = None) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; ``prelude`` is what the protocol says before TLS (``net.hello``)."""

    async def ask(approach: Approach) -> Answer:
        facts = await _interview(approach, prelude)
        if "TLSv1.3" in facts.accepted_versions and not facts.chains and prelude is None:
            facts = await _with_leaf(approach, facts)
        if facts.speaks_tls is None:
            return Outcome.INCONCLUSIVE, f"no TLS answer: {facts.detail or 'silence'}", facts
        return Outcome.ANSWERED, "", facts

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask a port that speaks TLS from its first byte on."""
    return await asker()(approach)


async def _interview(approach: Approach, prelude: Prelude | None) -> TlsDepthFacts:
    async def say(hello: ClientHello) -> Flight:
        async with approach.pace.turn(approach.limits.hello_gap_s):
            return await greet(
                approach.endpoint.address,
                approach.endpoint.port,
                hello,
                gate=approach.gate,
                prelude=prelude,
                limits=approach.limits,
            )

    interview = Interview(
        say,
        random=secrets.token_bytes,
        server_name=_host_name(approach.server_name),
        limits=approach.limits,
    )
    try:
        return await interview.run()
    except TlsFailed as refused:  # the prelude's word: the protocol is spoken, and it has no TLS
        return TlsDepthFacts(speaks_tls=False, detail=str(refused))


async def _with_leaf(approach: Approach, facts: TlsDepthFacts) -> TlsDepthFacts:
    try:
        session = await approach.handshake(probe_context())
    except TransportError:
        return facts
    if session.certificate is None:
        return facts
    return replace(facts, chains=(read_chain([session.certificate]),), is_leaf_only=True)


def _host_name(name: str | None) -> str:
    """Return a name for SNI, which carries no addresses (RFC 6066 section 3)."""
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return name or ""
    return ""
