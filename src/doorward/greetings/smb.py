"""SMB: the negotiation of versions 1, 2 and 3, and nothing after it (MS-CIFS 2.2.4.52, MS-SMB2 2.2.3 and 2.2.4).

No session is set up, no share is named. The answer's security blob, names and clock are not read.
"""

import struct
from dataclasses import dataclass

from doorward.errors import PeerProtocolError
from doorward.greetings.conversation import Conversation, Inbox
from doorward.limits import Limits

_SOURCE = "MS-SMB2 section 2.2.4"
_SMB1, _SMB2 = b"\xffSMB", b"\xfeSMB"
_NEGOTIATE_1 = 0x72
_NO_DIALECT = 0xFFFF
_SIGNING_REQUIRED, _ENCRYPTION = 0x02, 0x40
_DIALECTS = {0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1"}
#: Stands in every request for the same client; MS-SMB2 asks for a GUID, not for chance.
_CLIENT_GUID = b"doorward-auditor"
_PREAUTH_CONTEXT, _ENCRYPTION_CONTEXT = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SmbGreeting:
    """What the server settled on. ``dialect`` "" means that it knows none of those offered."""

    dialect: str = ""
    signing_required: bool = False
    encrypts: bool = False


def greet_first(limits: Limits) -> Conversation[SmbGreeting]:
    """Offer nothing but version 1 ("NT LM 0.12")."""
    inbox = Inbox(limits)
    header = struct.pack(
        "<4sBIBHH8s5H", _SMB1, _NEGOTIATE_1, 0, 0x18, 0xC801, 0, bytes(8), 0, 0, 0, 0, 0
    )
    dialect = b"\x02NT LM 0.12\0"
    words = header + struct.pack("<BH", 0, len(dialect)) + dialect
    answer = yield from _ask(inbox, words)
    if answer[:4] == _SMB2:
        return SmbGreeting()  # it speaks only newer versions and says so in one of them
    if answer[:5] != _SMB1 + bytes((_NEGOTIATE_1,)) or len(answer) < 35:
        raise PeerProtocolError("no answer to NEGOTIATE", field="SMB1", source="MS-CIFS 2.2.4.52")
    index = int.from_bytes(answer[33:35], "little")
    if answer[32] == 0 or index == _NO_DIALECT:
        return SmbGreeting()
    if len(answer) < 36:
        raise PeerProtocolError("too short", field="SMB1", source="MS-CIFS 2.2.4.52")
    return SmbGreeting(dialect="1", signing_required=bool(answer[35] & 0x08))


def greet_second(limits: Limits) -> Conversation[SmbGreeting]:
    """Offer every dialect of versions 2 and 3."""
    inbox = Inbox(limits)
    answer = yield from _ask(inbox, _negotiate())
    if answer[:4] != _SMB2 or len(answer) < 128:
        raise PeerProtocolError("no answer to NEGOTIATE", field="SMB2", source=_SOURCE)
    status, command = struct.unpack_from("<IH", answer, 8)
    if command != 0:
        raise PeerProtocolError("no answer to NEGOTIATE", field="Command", source=_SOURCE)
    if status != 0:
        return SmbGreeting()
    mode, dialect, contexts = struct.unpack_from("<HHH", answer, 66)
    (capabilities,) = struct.unpack_from("<I", answer, 88)
    (offset,) = struct.unpack_from("<I", answer, 124)
    name = _DIALECTS.get(dialect, "")
    encrypts = bool(capabilities & _ENCRYPTION)
    if name == "3.1.1":
        encrypts = _ENCRYPTION_CONTEXT in _contexts(answer, offset, contexts)
    return SmbGreeting(
        dialect=name, signing_required=bool(mode & _SIGNING_REQUIRED), encrypts=encrypts
    )


def _ask(inbox: Inbox, words: bytes) -> Conversation[bytes]:
    """Send and receive one message in the framing of direct TCP (MS-SMB2 section 2.1)."""
    yield from inbox.say(struct.pack(">I", len(words)) + words)
    head = yield from inbox.take(4)
    if head[0] != 0:
        raise PeerProtocolError("no SMB message", field="framing", source="MS-SMB2 section 2.1")
    answer = yield from inbox.take(int.from_bytes(head[1:], "big"))
    return answer


def _negotiate() -> bytes:
    header = struct.pack("<4sHHIHHIIQIIQ16s", _SMB2, 64, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, bytes(16))
    dialects = b"".join(struct.pack("<H", number) for number in _DIALECTS)
    start = _aligned(64 + 36 + len(dialects))
    preauth = struct.pack("<HHH", 1, 32, 1) + bytes(32)  # SHA-512 and a salt
    ciphers = struct.pack("<HHHHH", 4, 2, 1, 4, 3)  # AES-128-GCM, AES-128-CCM, AES-256-GCM, -CCM
    contexts = b"".join(
        (struct.pack("<HHI", kind, len(value), 0) + value).ljust(_aligned(8 + len(value)), b"\0")
        for kind, value in ((_PREAUTH_CONTEXT, preauth), (_ENCRYPTION_CONTEXT, ciphers))
    )
    fixed = struct.pack(
        "<HHHHI16sIHH", 36, len(_DIALECTS), 1, 0, _ENCRYPTION, _CLIENT_GUID, start, 2, 0
    )
    return (header + fixed + dialects).ljust(start, b"\0") + contexts


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _contexts(answer: bytes, offset: int, count: int) -> set[int]:
    """Return the types of the negotiate contexts (MS-SMB2 section 2.2.4.1)."""
    found: set[int] = set()
    for _ in range(count):
        if offset + 8 > len(answer):
            raise PeerProtocolError("outside the answer", field="contexts", source=_SOURCE)
        kind, length = struct.unpack_from("<HH", answer, offset)
        found.add(kind)
        offset = _aligned(offset + 8 + length)
    return found
