"""Oracle's listener: the version command, which listeners since 10g refuse to strangers while naming their version.

One CONNECT packet; the answer is ACCEPT, REFUSE, REDIRECT or RESEND. Of its text only the numbers VSNNUM (version) and ERR
are read; services, hosts and paths are not. (Packet layout: Wireshark's packet-tns.c; there is no public specification.)
"""

import re
import struct

from doorward.errors import PeerProtocolError
from doorward.greetings.conversation import Conversation, Greeting, Inbox
from doorward.limits import Limits

PRODUCT = "Oracle listener"
_SOURCE = "TNS"
_CONNECT, _ACCEPT, _REFUSE, _REDIRECT, _RESEND = 1, 2, 4, 5, 11
_COMMAND = b"(CONNECT_DATA=(CID=(PROGRAM=doorward)(HOST=)(USER=doorward))(COMMAND=version))"
_DATA_OFFSET = 58
_VERSION = re.compile(rb"\(VSNNUM=([0-9]{1,10})\)")
_ERROR = re.compile(rb"\(ERR=([0-9]{1,6})\)")
#: Since 18c the five numbers of a version have other widths.
_NEW_FORM = 18
_MOST_RESENDS = 2


def greet(limits: Limits) -> Conversation[Greeting]:
    """Ask for the version; a refusal names it too."""
    inbox = Inbox(limits)
    for _ in range(1 + _MOST_RESENDS):
        yield from inbox.say(_connect())
        kind, body = yield from _packet(inbox)
        if kind != _RESEND:
            return _read(body)
    raise PeerProtocolError("asks to resend without end", field="packet", source=_SOURCE)


def _connect() -> bytes:
    """Return a CONNECT packet: protocol 314 (compatible with 300), small units, the command as connect data."""
    fixed = struct.pack(
        ">HHHHHHHHHHI", 314, 300, 0, 2048, 32767, 0x7F08, 0, 1, len(_COMMAND), _DATA_OFFSET, 0
    )
    head = fixed.ljust(_DATA_OFFSET - 8, b"\0")
    length = _DATA_OFFSET + len(_COMMAND)
    return struct.pack(">HHBBH", length, 0, _CONNECT, 0, 0) + head + _COMMAND


def _packet(inbox: Inbox) -> Conversation[tuple[int, bytes]]:
    header = yield from inbox.take(8)
    length, _, kind = struct.unpack_from(">HHB", header)
    if kind not in (_ACCEPT, _REFUSE, _REDIRECT, _RESEND) or length < 8:
        raise PeerProtocolError("no answer to CONNECT", field="packet", source=_SOURCE)
    body = yield from inbox.take(length - 8)
    return kind, body


def _read(body: bytes) -> Greeting:
    version, error = _VERSION.search(body), _ERROR.search(body)
    return Greeting(
        product=PRODUCT,
        version="" if version is None else version_of(int(version[1])),
        code="" if error is None else error[1].decode("ascii"),
    )


def version_of(number: int) -> str:
    """Return VSNNUM in dotted form, "" for the 0 of listeners that keep it to themselves."""
    major = number >> 24
    if not 0 < major < 256:
        return ""
    if major >= _NEW_FORM:
        parts = (major, number >> 16 & 0xFF, number >> 12 & 0xF, number >> 4 & 0xFF, number & 0xF)
    else:
        parts = (major, number >> 20 & 0xF, number >> 12 & 0xFF, number >> 8 & 0xF, number & 0xFF)
    return ".".join(map(str, parts))
