"""NFS: which versions are spoken, and whether the portmapper tells strangers where (RFC 5531, RFC 1833, RFC 1813, RFC 7530).

Only NULL and GETPORT are called: the list of exports and everything behind a mount is not asked for.
"""

import struct
from dataclasses import dataclass

from doorward.errors import PeerProtocolError
from doorward.greetings.conversation import Conversation, Inbox
from doorward.limits import Limits

_SOURCE = "RFC 5531 section 9"
_PORTMAPPER, _NFS, _MOUNT = 100_000, 100_003, 100_005
_NULL, _GETPORT, _TCP = 0, 3, 6
_CALL, _REPLY, _RPC_VERSION = 0, 1, 2
_SUCCESS = 0
_LAST = 0x8000_0000
_VERSIONS = (2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class NfsGreeting:
    """The versions of NFS that are spoken on this port; empty where another program answers."""

    versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortmapperGreeting:
    """What the portmapper says where things are: TCP ports, 0 for what is not there, None for no answer."""

    nfs_port: int | None = None
    mount_port: int | None = None


def greet(limits: Limits) -> Conversation[NfsGreeting]:
    """Call the procedure that does nothing in each version of NFS."""
    inbox = Inbox(limits)
    spoken = []
    for number in _VERSIONS:
        stat, _ = yield from _called(inbox, number, _NFS, number, _NULL)
        if stat == _SUCCESS:
            spoken.append(number)
    return NfsGreeting(versions=tuple(spoken))


def greet_portmapper(limits: Limits) -> Conversation[PortmapperGreeting]:
    """Ask the portmapper for the ports of NFS and of mountd, both in version 3 over TCP."""
    inbox = Inbox(limits)
    ports: list[int | None] = []
    for number, program in enumerate((_NFS, _MOUNT), 1):
        asked = struct.pack(">IIII", program, 3, _TCP, 0)
        stat, result = yield from _called(inbox, number, _PORTMAPPER, 2, _GETPORT, asked)
        is_told = stat == _SUCCESS and len(result) >= 4
        port = int.from_bytes(result[:4], "big") if is_told else -1
        ports.append(port if 0 <= port <= 65_535 else None)
    return PortmapperGreeting(nfs_port=ports[0], mount_port=ports[1])


def _called(
    inbox: Inbox, number: int, program: int, version: int, procedure: int, arguments: bytes = b""
) -> Conversation[tuple[int, bytes]]:
    """Call and return accept_stat (-1 for a call that was denied) and what follows it."""
    call = struct.pack(">IIIIII", number, _CALL, _RPC_VERSION, program, version, procedure)
    words = call + bytes(16) + arguments  # credential and verifier: AUTH_NONE
    yield from inbox.say(struct.pack(">I", _LAST | len(words)) + words)
    reply = yield from _record(inbox)
    if len(reply) < 12 or struct.unpack_from(">II", reply) != (number, _REPLY):
        raise PeerProtocolError("no reply to the call", field="message", source=_SOURCE)
    if reply[8:12] != bytes(4):
        return -1, b""
    (length,) = struct.unpack_from(">I", reply, 16) if len(reply) >= 20 else (0,)
    at = 20 + -(-length // 4) * 4
    if at + 4 > len(reply):
        raise PeerProtocolError("too short", field="reply", source=_SOURCE)
    return int.from_bytes(reply[at : at + 4], "big"), reply[at + 4 :]


def _record(inbox: Inbox) -> Conversation[bytes]:
    """Return one record, put together from its fragments (RFC 5531 section 11)."""
    record = b""
    while True:
        mark = int.from_bytes((yield from inbox.take(4)), "big")
        record += yield from inbox.take(mark & ~_LAST)
        if mark & _LAST:
            return record
