"""MySQL and MariaDB: the server's greeting, and the entry of a user that does not exist, without a password.

The server speaks first and names its version and what it can do. That says nothing about passwords, so a made-up user asks
to come in with an empty one: it is let in where the grant tables are switched off or an anonymous account has no password.
No account of anybody is tried here; ``user`` is another one only for the documented empty password of ``root``
(clearance level 3). Of an error only its number is read: its message carries names.
(MySQL internals manual, "Connection Phase"; MariaDB knowledge base, "Connecting".)
"""

import struct

from doorward.errors import PeerProtocolError, TlsFailed
from doorward.greetings.conversation import (
    STRANGER,
    Access,
    Conversation,
    Farewell,
    Greeting,
    Inbox,
    Secure,
    version_in,
)
from doorward.limits import Limits

_SOURCE = "MySQL Connection Phase"
_LONG_PASSWORD, _PROTOCOL_41, _SSL = 0x1, 0x200, 0x800
_SECURE_CONNECTION, _PLUGIN_AUTH = 0x8000, 0x8_0000
_OURS = _LONG_PASSWORD | _PROTOCOL_41 | _SECURE_CONNECTION | _PLUGIN_AUTH
_MAX_PACKET, _UTF8 = 1 << 24, 33
_OK, _MORE, _SWITCH, _ERROR = 0x00, 0x01, 0xFE, 0xFF
_QUIT = bytes.fromhex("01 00 00 00 01")
#: What an empty password looks like to each method; the others are not tried.
_EMPTY_PASSWORD = {b"mysql_native_password": b"", b"caching_sha2_password": b"\0"}
#: Error numbers: access denied (with, without password; account locked; must change password), host not allowed, TLS only.
_DENIED = frozenset({1045, 1698, 4151, 3118, 1820, 1251})
_HOST_NOT_ALLOWED, _TLS_ONLY = 1130, 3159
#: A name such as caching_sha2_password; longer ones do not exist.
_LONGEST_NAME = 64


def greet(limits: Limits, *, use_tls: bool, user: str | None = STRANGER) -> Conversation[Greeting]:
    """Read the greeting and, unless ``user`` is None, try to come in without a password."""
    inbox = Inbox(limits)
    number, packet = yield from _packet(inbox)
    if packet[:1] == bytes((_ERROR,)):
        return _refused(packet, Greeting(product="MySQL or MariaDB"))
    capabilities, seen = _read_greeting(packet)
    if user is None:
        return seen
    flags = _OURS
    try:
        if use_tls and capabilities & _SSL:
            flags |= _SSL
            number += 1
            yield Secure(_framed(number, _leading(flags)))
        entered = yield from _enter(inbox, number + 1, flags, user, seen)
    except (TlsFailed, PeerProtocolError):
        return seen  # the greeting was said all the same
    yield Farewell(_QUIT)
    return entered


def _packet(inbox: Inbox) -> Conversation[tuple[int, bytes]]:
    header = yield from inbox.take(4)
    length = int.from_bytes(header[:3], "little")
    if length == 0:
        raise PeerProtocolError("empty packet", field="packet", source=_SOURCE)
    packet = yield from inbox.take(length)
    return header[3], packet


def _read_greeting(packet: bytes) -> tuple[int, Greeting]:
    """Return the capabilities and what the greeting says about itself (protocol version 10)."""
    version, _, rest = packet[1:].partition(b"\0")
    if packet[:1] != b"\x0a" or len(rest) < 15:
        raise PeerProtocolError("no greeting of version 10", field="greeting", source=_SOURCE)
    capabilities = int.from_bytes(rest[13:15], "little")
    # MariaDB before 11 puts "5.5.5-" in front, for old replicas that know no version 10.
    text = version_in(version.removeprefix(b"5.5.5-") if b"MariaDB" in version else version)
    return capabilities, Greeting(
        product="MariaDB" if b"MariaDB" in version else "MySQL",
        version=text,
        offers_tls=bool(capabilities & _SSL),
    )


def _enter(
    inbox: Inbox, number: int, flags: int, user: str, seen: Greeting
) -> Conversation[Greeting]:
    """Send the handshake response with an empty password, answer one change of method, read the verdict."""
    words = _leading(flags) + user.encode("ascii") + b"\0\0mysql_native_password\0"
    yield from inbox.say(_framed(number, words))
    number, packet = yield from _packet(inbox)
    if packet[0] == _SWITCH:
        name = packet[1:].partition(b"\0")[0][:_LONGEST_NAME]
        method = _method(name)
        if name not in _EMPTY_PASSWORD:
            return _with(seen, Access.DEMANDED, method)
        yield from inbox.say(_framed(number + 1, _EMPTY_PASSWORD[name]))
        number, packet = yield from _packet(inbox)
        seen = _with(seen, Access.UNKNOWN, method)
    if packet[0] == _OK:
        return _with(seen, Access.OPEN, seen.method)
    if packet[0] == _MORE:  # caching_sha2_password goes on to ask for the password itself
        return _with(seen, Access.DEMANDED, seen.method)
    if packet[0] == _ERROR:
        return _refused(packet, seen)
    raise PeerProtocolError("no answer to the handshake", field="packet", source=_SOURCE)


def _leading(flags: int) -> bytes:
    """Return what SSLRequest and handshake response begin with."""
    return struct.pack("<IIB23x", flags, _MAX_PACKET, _UTF8)


def _framed(number: int, words: bytes) -> bytes:
    return len(words).to_bytes(3, "little") + bytes((number & 0xFF,)) + words


def _refused(packet: bytes, seen: Greeting) -> Greeting:
    if len(packet) < 3:
        raise PeerProtocolError("error without a number", field="packet", source=_SOURCE)
    code = int.from_bytes(packet[1:3], "little")
    access = Access.UNKNOWN
    if code in _DENIED:
        access = Access.DEMANDED
    elif code in (_HOST_NOT_ALLOWED, _TLS_ONLY):
        access = Access.REFUSED
    return _with(seen, access, seen.method, str(code), demands_tls=code == _TLS_ONLY or None)


def _with(
    seen: Greeting, access: Access, method: str, code: str = "", demands_tls: bool | None = None
) -> Greeting:
    return Greeting(
        product=seen.product,
        version=seen.version,
        offers_tls=seen.offers_tls,
        access=access,
        method=method,
        code=code,
        demands_tls=demands_tls,
    )


def _method(name: bytes) -> str:
    """Return the name of an authentication plugin where it is one, "another method" for anything else."""
    known = name.replace(b"_", b"").isalnum() and name.isascii()
    return name.decode("ascii") if known else "another method"
