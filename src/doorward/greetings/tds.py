"""Microsoft SQL Server: the PRELOGIN exchange (MS-TDS section 2.2.6.5); version and encryption, no login.

The client says that it could encrypt but need not (ENCRYPT_OFF); the answer tells what the server makes of that. Whether
there are accounts without a password a handshake cannot show. Instance names are not asked for.
"""

import struct

from doorward.errors import PeerProtocolError
from doorward.greetings.conversation import Conversation, Greeting, Inbox
from doorward.limits import Limits

_SOURCE = "MS-TDS section 2.2.6.5"
_PRELOGIN, _RESPONSE, _END_OF_MESSAGE = 0x12, 0x04, 0x01
_VERSION, _ENCRYPTION, _TERMINATOR = 0x00, 0x01, 0xFF
#: The answer's ENCRYPTION option to our ENCRYPT_OFF: (offers TLS, demands it for everything).
_ENCRYPT_OFF, _ENCRYPT_ON, _ENCRYPT_NOT_SUPPORTED, _ENCRYPT_REQUIRED = range(4)
_MEANING = {
    _ENCRYPT_OFF: (True, False),
    _ENCRYPT_ON: (True, True),
    _ENCRYPT_NOT_SUPPORTED: (False, False),
    _ENCRYPT_REQUIRED: (True, True),
}
_YEARS = {9: "2005", 10: "2008", 11: "2012", 12: "2014", 13: "2016", 14: "2017", 15: "2019"}
_YEARS |= {16: "2022", 17: "2025"}


def greet(limits: Limits) -> Conversation[Greeting]:
    """Exchange PRELOGIN and return version and encryption."""
    inbox = Inbox(limits)
    yield from inbox.say(_prelogin())
    header = yield from inbox.take(8)
    kind, _, length = struct.unpack_from(">BBH", header)
    if kind != _RESPONSE or length < 8:
        raise PeerProtocolError("no answer to PRELOGIN", field="packet", source=_SOURCE)
    body = yield from inbox.take(length - 8)
    return _read(_options(body))


def _prelogin() -> bytes:
    options = ((_VERSION, bytes(6)), (_ENCRYPTION, bytes((_ENCRYPT_OFF,))))
    table, values = b"", b""
    for token, value in options:
        table += struct.pack(">BHH", token, 5 * len(options) + 1 + len(values), len(value))
        values += value
    body = table + bytes((_TERMINATOR,)) + values
    return struct.pack(">BBHHBB", _PRELOGIN, _END_OF_MESSAGE, 8 + len(body), 0, 1, 0) + body


def _options(body: bytes) -> dict[int, bytes]:
    """Return token -> value; every offset and length must lie inside the body."""
    found: dict[int, bytes] = {}
    for at in range(0, len(body), 5):
        if body[at] == _TERMINATOR:
            return found
        if at + 5 > len(body):
            break
        token, offset, length = struct.unpack_from(">BHH", body, at)
        if offset + length > len(body):
            break
        found[token] = body[offset : offset + length]
    raise PeerProtocolError("options outside the packet", field="PRELOGIN", source=_SOURCE)


def _read(options: dict[int, bytes]) -> Greeting:
    version, encryption = options.get(_VERSION, b""), options.get(_ENCRYPTION, b"")
    if len(version) != 6 or len(encryption) != 1:
        raise PeerProtocolError("no version or encryption", field="PRELOGIN", source=_SOURCE)
    major, minor, build = struct.unpack_from(">BBH", version)
    offers, demands = _MEANING.get(encryption[0], (None, None))
    return Greeting(
        product=f"SQL Server {_YEARS[major]}" if major in _YEARS else "SQL Server",
        version=f"{major}.{minor}.{build}",
        offers_tls=offers,
        demands_tls=demands,
    )
