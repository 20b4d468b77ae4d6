"""Does a database answer beside the archive, and how far does a stranger come without a password?

The protocol is chosen by what is expected on the port; at most three connections, no further than the handshake
(``greetings``). Whoever asks to come in is a user that does not exist, with no password: nobody's account is touched, and
no query is sent but for a version. TLS is used where it is offered, and plain text tried beside it, because a rule may
differ. ``root`` without a password, the documented account of MySQL and MariaDB, is another question: only at clearance
level 3, only when asked for, one attempt (design.md: clearance levels).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from doorward.audit.approach import Answer, Approach
from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.facts import Outcome
from doorward.audit.probes.hearing import heard
from doorward.audit.visit import user_agent
from doorward.errors import (
    LimitExceeded,
    PeerProtocolError,
    TlsFailed,
    TransportError,
)
from doorward.greetings import (
    elasticsearch,
    ldap,
    mongodb,
    mysql,
    postgresql,
    redis,
    tds,
    tns,
)
from doorward.greetings.conversation import (
    Access,
    Conversation,
    Greeting,
    end_of_stream,
)
from doorward.knowledge.ports import expected_protocol
from doorward.limits import Limits
from doorward.net.exchange import Exchanged, exchange
from doorward.net.http import HttpReply, fetch
from doorward.net.tls import TlsContext, probe_context

#: The documented account that comes without a password (MySQL manual 2.9.4, mysqld --initialize-insecure).
DEFAULT_ACCOUNT = "root"
_FAILURES = (PeerProtocolError, LimitExceeded, TransportError)
Ask = Callable[[Approach], Awaitable[Answer]]
Look = Callable[[Approach], Awaitable[DatabaseFacts]]


def asker(protocol: str = "", *, try_default_account: bool = False) -> Ask:
    """Return the probe; ``protocol`` "" means what is expected on the port (``knowledge/ports.toml``)."""

    async def ask(approach: Approach) -> Answer:
        name = protocol or expected_protocol(approach.endpoint.port)
        if name not in _LOOKS:
            return Outcome.NOT_TESTED, "no database is expected on this port", None
        outcome, reason, facts = await _answer(name, approach)
        if try_default_account and facts.is_recognised and name == "mysql":
            facts = replace(facts, default_account=await _default_account(approach))
        return outcome, reason, facts

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask what is expected on the port, without default credentials."""
    return await asker()(approach)


async def _answer(name: str, approach: Approach) -> tuple[Outcome, str, DatabaseFacts]:
    facts = DatabaseFacts(protocol="ldap" if name == "ldaps" else name)
    return await heard(_LOOKS[name](approach), facts)


async def _talk(
    approach: Approach,
    conversation: Conversation[Greeting],
    *,
    tls: TlsContext | None = None,
    switch: TlsContext | None = None,
) -> Exchanged[Greeting]:
    """Lead one conversation in its turn."""
    async with approach.pace.turn():
        return await exchange(
            approach.endpoint.address,
            approach.endpoint.port,
            conversation,
            gate=approach.gate,
            tls=tls,
            switch=switch,
            server_name=approach.server_name,
            limits=approach.limits,
        )


def _facts(protocol: str, heard: Exchanged[Greeting]) -> DatabaseFacts:
    """Return the facts of one conversation; where a stranger came to is filed under how the words travelled."""
    seen, session = heard.result, heard.session
    return DatabaseFacts(
        protocol=protocol,
        is_recognised=True,
        product=seen.product,
        version=seen.version,
        plain=seen.access if session is None else None,
        secured=None if session is None else seen.access,
        method=seen.method,
        code=seen.code,
        offers_tls=True if session is not None else seen.offers_tls,
        demands_tls=seen.demands_tls,
        tls_version="" if session is None else session.version,
        tls_cipher="" if session is None else session.cipher,
    )


# --- protocols that switch to TLS on their way ------------------------------------------------------------------------


async def _postgresql(approach: Approach) -> DatabaseFacts:
    return await _both_ways(approach, "postgresql", postgresql.greet)


async def _mysql(approach: Approach) -> DatabaseFacts:
    return await _both_ways(approach, "mysql", mysql.greet)


async def _both_ways(
    approach: Approach, protocol: str, greet: Callable[..., Conversation[Greeting]]
) -> DatabaseFacts:
    """Come in through TLS where it is offered, and in plain text."""
    heard = await _talk(approach, greet(approach.limits, use_tls=True), switch=probe_context())
    facts = _facts(protocol, heard)
    if not heard.result.offers_tls:
        return facts
    if heard.session is None:  # it was offered, and the handshake failed: nothing was asked inside
        facts = replace(facts, plain=None, secured=Access.UNKNOWN)
    try:
        plain = (await _talk(approach, greet(approach.limits, use_tls=False))).result
    except _FAILURES:
        return replace(facts, plain=Access.UNKNOWN)
    return replace(
        facts,
        plain=plain.access,
        method=facts.method or plain.method,
        code=facts.code or plain.code,
        demands_tls=plain.demands_tls,
    )


async def _default_account(approach: Approach) -> Access:
    """Try the documented account once, inside TLS where it is offered."""
    conversation = mysql.greet(approach.limits, use_tls=True, user=DEFAULT_ACCOUNT)
    try:
        return (await _talk(approach, conversation, switch=probe_context())).result.access
    except _FAILURES:
        return Access.UNKNOWN


async def _ldap(approach: Approach) -> DatabaseFacts:
    heard = await _talk(approach, ldap.greet(approach.limits, use_tls=True), switch=probe_context())
    facts, seen = _facts("ldap", heard), heard.result
    facts = replace(facts, offers_tls=seen.offers_tls)
    if seen.demands_tls:
        return replace(facts, plain=Access.REFUSED)
    return replace(facts, plain=seen.access, secured=None)  # the bind came before TLS


async def _ldaps(approach: Approach) -> DatabaseFacts:
    conversation = ldap.greet(approach.limits, use_tls=False)
    return _facts("ldap", await _talk(approach, conversation, tls=probe_context()))


# --- protocols with TLS from the first byte on, or none ---------------------------------------------------------------


async def _mssql(approach: Approach) -> DatabaseFacts:
    return _facts("mssql", await _talk(approach, tds.greet(approach.limits)))


async def _oracle(approach: Approach) -> DatabaseFacts:
    return _facts("oracle", await _talk(approach, tns.greet(approach.limits)))


async def _redis(approach: Approach) -> DatabaseFacts:
    return await _one_way(approach, "redis", redis.greet)


async def _mongodb(approach: Approach) -> DatabaseFacts:
    """MongoDB alone may take both on one port (net.tls.mode allowTLS, preferTLS): one more handshake shows it."""
    facts = await _one_way(approach, "mongodb", mongodb.greet)
    if facts.plain is None:
        return facts
    try:
        session = await approach.handshake(probe_context())
    except TlsFailed as failure:
        return replace(facts, offers_tls=None if failure.kind == "timeout" else False)
    except TransportError:
        return facts
    return replace(facts, offers_tls=True, tls_version=session.version, tls_cipher=session.cipher)


async def _one_way(
    approach: Approach, protocol: str, greet: Callable[[Limits], Conversation[Greeting]]
) -> DatabaseFacts:
    """Speak plainly; where that gets no answer of the protocol, inside TLS."""
    try:
        return _facts(protocol, await _talk(approach, greet(approach.limits)))
    except PeerProtocolError as failure:
        try:
            heard = await _talk(approach, greet(approach.limits), tls=probe_context())
        except TlsFailed:
            raise failure from None
        return _facts(protocol, heard)


async def _elasticsearch(approach: Approach) -> DatabaseFacts:
    """One GET of the first page, plain and, where that is none of its pages, over TLS."""
    try:
        return await _first_page(approach, None)
    except PeerProtocolError as failure:
        try:
            return await _first_page(approach, probe_context())
        except TlsFailed:
            raise failure from None


async def _get(approach: Approach, tls: TlsContext | None) -> HttpReply:
    try:
        async with approach.pace.turn():
            return await fetch(
                approach.endpoint.address,
                approach.endpoint.port,
                gate=approach.gate,
                tls=tls,
                server_name=approach.server_name,
                headers=[("Accept", "application/json")],
                max_body_bytes=approach.limits.greeting_bytes,
                user_agent=user_agent(),
                limits=approach.limits,
            )
    except PeerProtocolError:  # no HTTP, or no answer at all: TLS may be what is wanted
        raise end_of_stream() from None


async def _first_page(approach: Approach, tls: TlsContext | None) -> DatabaseFacts:
    reply = await _get(approach, tls)
    seen = elasticsearch.read_answer(reply.status, reply.header("www-authenticate"), reply.body)
    if seen is None:
        raise PeerProtocolError("another web server", field="HTTP", source="Info API")
    return DatabaseFacts(
        protocol="elasticsearch",
        is_recognised=True,
        product=seen.product,
        version=seen.version,
        plain=seen.access if tls is None else None,
        secured=None if tls is None else seen.access,
        method=seen.method,
        code=seen.code,
        offers_tls=tls is not None,
    )


_LOOKS: dict[str, Look] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "mssql": _mssql,
    "oracle": _oracle,
    "mongodb": _mongodb,
    "redis": _redis,
    "elasticsearch": _elasticsearch,
    "ldap": _ldap,
    "ldaps": _ldaps,
}
#: What ``asker`` understands.
PROTOCOLS = frozenset(_LOOKS)
