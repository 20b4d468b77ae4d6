"""Does an FTP server answer, do passwords travel in clear text, and does ``anonymous`` see files? (design: ladder W3)

One connection for the manners of the server (level 1), then one login as anonymous, which RFC 1635 made a public right,
with the list of the first folder counted over its data connection (level 2); once more inside TLS where the server wants
that. No file is fetched, no folder entered.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from doorward.audit.approach import Answer, Approach
from doorward.audit.file_facts import FolderSeen, FtpFacts
from doorward.audit.probes.hearing import heard
from doorward.errors import (
    LimitExceeded,
    PeerProtocolError,
    TransportError,
)
from doorward.greetings.ftp import Entry, FtpManners
from doorward.knowledge.ports import expected_protocol
from doorward.net.ftp import AnonymousVisit, ask_manners, visit_as_anonymous
from doorward.net.tls import TlsContext, probe_context

PROTOCOLS = ("ftp", "ftps")
_FAILURES = (PeerProtocolError, LimitExceeded, TransportError)


def asker(protocol: str = "", *, level: int = 1) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; from clearance level 2 on it logs in as anonymous and counts. ``protocol`` "": by the port."""

    async def ask(approach: Approach) -> Answer:
        name = protocol or expected_protocol(approach.endpoint.port)
        nothing = FtpFacts(is_implicit_tls=name == "ftps")
        looking = _look(approach, nothing, reads_folder=level >= 2)
        return await heard(looking, nothing, otherwise="no FTP")

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask at clearance level 1: nobody logs in."""
    return await asker()(approach)


async def _look(approach: Approach, facts: FtpFacts, *, reads_folder: bool) -> FtpFacts:
    tls = probe_context() if facts.is_implicit_tls else None
    seen = await _manners(approach, tls)
    facts = replace(
        facts,
        is_recognised=True,
        product=seen.product,
        version=seen.version,
        offers_tls=True if tls is not None else seen.offers_tls,
        takes_plain_user=False if tls is not None else seen.takes_plain_user,
    )
    return await _with_anonymous(approach, facts, tls) if reads_folder else facts


async def _manners(approach: Approach, tls: TlsContext | None) -> FtpManners:
    async with approach.pace.turn():
        return await ask_manners(
            approach.endpoint.address,
            approach.endpoint.port,
            gate=approach.gate,
            tls=tls,
            server_name=approach.server_name,
            limits=approach.limits,
        )


async def _with_anonymous(approach: Approach, facts: FtpFacts, tls: TlsContext | None) -> FtpFacts:
    try:
        visit = await _visit(approach, tls, None)
        if visit.entry.entry is Entry.NEEDS_TLS and facts.offers_tls and tls is None:
            visit = await _visit(approach, None, probe_context())
    except _FAILURES:
        return facts  # what the server is and how it takes passwords is known; this is not
    shape = visit.shape
    return replace(
        facts,
        anonymous=visit.entry.entry,
        anonymous_over_tls=visit.entry.over_tls,
        folder=None if shape is None else FolderSeen(path="", shape=shape, is_cut=visit.is_cut),
        pointed_elsewhere=visit.entry.pointed_elsewhere,
    )


async def _visit(
    approach: Approach, tls: TlsContext | None, switch: TlsContext | None
) -> AnonymousVisit:
    async with approach.pace.turn():
        # Two connections: the list comes over its own (RFC 959 section 3.2).
        await approach.pace.touch()
        return await visit_as_anonymous(
            approach.endpoint.address,
            approach.endpoint.port,
            gate=approach.gate,
            tls=tls,
            switch=switch,
            server_name=approach.server_name,
            limits=approach.limits,
        )
