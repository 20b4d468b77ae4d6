"""Are file shares offered beside the archive, and in which versions? Port and negotiation only.

SMB: one connection offers versions 2 and 3, one offers nothing but version 1. NFS: the procedure that does nothing, in each
version; the portmapper: where NFS and mountd are. No session, no mount, no list of shares or exports.
"""

from collections.abc import Awaitable, Callable

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.probes.hearing import heard
from doorward.audit.share_facts import ShareFacts
from doorward.errors import (
    LimitExceeded,
    PeerProtocolError,
    TransportError,
)
from doorward.greetings import nfs, smb
from doorward.greetings.conversation import END_OF_STREAM, Conversation, ResultT
from doorward.knowledge.ports import expected_protocol
from doorward.net.exchange import exchange

Look = Callable[[Approach], Awaitable[ShareFacts]]


def asker(protocol: str = "") -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; ``protocol`` "" means what is expected on the port (``knowledge/ports.toml``)."""

    async def ask(approach: Approach) -> Answer:
        name = protocol or expected_protocol(approach.endpoint.port)
        if name not in _LOOKS:
            return Outcome.NOT_TESTED, "no file share is expected on this port", None
        return await heard(_LOOKS[name](approach), ShareFacts(protocol=name))

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask what is expected on the port."""
    return await asker()(approach)


async def _talk(approach: Approach, conversation: Conversation[ResultT]) -> ResultT:
    async with approach.pace.turn():
        heard = await exchange(
            approach.endpoint.address,
            approach.endpoint.port,
            conversation,
            gate=approach.gate,
            limits=approach.limits,
        )
    return heard.result


async def _smb(approach: Approach) -> ShareFacts:
    """Ask for the new versions first: what they answer shows what silence to the old one means."""
    newer: smb.SmbGreeting | None = None
    failure: PeerProtocolError | None = None
    try:
        newer = await _talk(approach, smb.greet_second(approach.limits))
    except PeerProtocolError as hung_up:  # a server that has nothing but version 1
        failure = hung_up
    oldest = await _first_version(approach)
    if newer is None and (oldest is None or not oldest.dialect):
        assert failure is not None
        raise failure
    settled = newer if newer is not None and newer.dialect else oldest or newer
    assert settled is not None
    return ShareFacts(
        protocol="smb",
        is_recognised=True,
        smb_dialect=settled.dialect,
        smb_first_version=None if oldest is None else bool(oldest.dialect),
        smb_signing_required=settled.signing_required,
        smb_encrypts=settled.encrypts,
    )


async def _first_version(approach: Approach) -> smb.SmbGreeting | None:
    """Return the answer to version 1; a server that hangs up on it does not speak it. None: no answer."""
    try:
        return await _talk(approach, smb.greet_first(approach.limits))
    except PeerProtocolError as failure:
        return smb.SmbGreeting() if failure.field == END_OF_STREAM else None
    except (LimitExceeded, TransportError):
        return None


async def _nfs(approach: Approach) -> ShareFacts:
    seen = await _talk(approach, nfs.greet(approach.limits))
    return ShareFacts(protocol="nfs", is_recognised=bool(seen.versions), nfs_versions=seen.versions)


async def _portmapper(approach: Approach) -> ShareFacts:
    seen = await _talk(approach, nfs.greet_portmapper(approach.limits))
    ports = (seen.nfs_port, seen.mount_port)
    return ShareFacts(
        protocol="portmapper",
        is_recognised=ports != (None, None),
        portmapper_tells=any(ports) if ports != (None, None) else None,
    )


_LOOKS: dict[str, Look] = {"smb": _smb, "nfs": _nfs, "portmapper": _portmapper}
#: What ``asker`` understands.
PROTOCOLS = frozenset(_LOOKS)
