"""PostgreSQL: SSLRequest and StartupMessage of a user that does not exist (PostgreSQL manual, section 55.2 and 55.7).

The rules of pg_hba.conf are applied before the server looks whether the user exists. So a made-up user shows how strangers
are let in, and where no password is asked ("trust") AuthenticationOk comes and nobody is logged in all the same.
Of an ErrorResponse only the SQLSTATE is read: its message may carry names.
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
)
from doorward.limits import Limits

PRODUCT = "PostgreSQL"
_SOURCE = "PostgreSQL manual section 55.7"
_SSL_REQUEST = struct.pack(">II", 8, 80_877_103)
_PROTOCOL_3_0 = 196_608
_TERMINATE = b"X" + struct.pack(">I", 4)
#: AuthenticationRequest: what it asks for.
_METHODS = {
    2: "kerberos",
    3: "password in clear text",
    5: "md5",
    6: "scm credential",
    7: "gss",
    9: "sspi",
    10: "sasl",
}
_SASL = 10
#: SQLSTATE of a refusal by pg_hba.conf, by ident or peer, by a wrong password (manual, appendix A).
_REFUSALS = frozenset({"28000", "28P01"})
#: Messages that may come before the answer: NoticeResponse, NegotiateProtocolVersion.
_PASSED_OVER = b"Nv"


def greet(limits: Limits, *, use_tls: bool, user: str = STRANGER) -> Conversation[Greeting]:
    """Ask for TLS where wanted, then ask to come in as a user that does not exist."""
    inbox = Inbox(limits)
    offers_tls = (yield from _asks_for_tls(inbox)) if use_tls else None
    try:
        if offers_tls:
            yield Secure()
        access, method, code = yield from _enter(inbox, user)
    except (TlsFailed, PeerProtocolError):
        if offers_tls is None:
            raise
        return Greeting(product=PRODUCT, offers_tls=offers_tls)
    yield Farewell(_TERMINATE)
    return Greeting(product=PRODUCT, access=access, method=method, code=code, offers_tls=offers_tls)


def _asks_for_tls(inbox: Inbox) -> Conversation[bool]:
    """Return whether the server would speak TLS on this port."""
    yield from inbox.say(_SSL_REQUEST)
    answer = yield from inbox.take(1)
    if answer not in (b"S", b"N"):
        raise PeerProtocolError("no answer to SSLRequest", field="SSLRequest", source=_SOURCE)
    if answer == b"S" and not inbox.is_empty:
        # Whoever stands between may slip in plain text for after the handshake (CVE-2021-23222).
        raise PeerProtocolError("plain text before TLS", field="SSLRequest", source=_SOURCE)
    return answer == b"S"


def _enter(inbox: Inbox, user: str) -> Conversation[tuple[Access, str, str]]:
    """Return how far the user came, how proof was asked for, and the SQLSTATE of a refusal."""
    yield from inbox.say(_startup(user))
    while True:
        kind, body = yield from _message(inbox)
        if kind == b"R":
            return _authentication(body)
        if kind == b"E":
            code = _sqlstate(body)
            return Access.REFUSED if code in _REFUSALS else Access.UNKNOWN, "", code


def _startup(user: str) -> bytes:
    """Return a StartupMessage; the database that is asked for does not exist either."""
    pairs = {"user": user, "database": user, "application_name": "Doorward security audit"}
    words = b"".join(f"{name}\0{value}\0".encode("ascii") for name, value in pairs.items())
    body = struct.pack(">I", _PROTOCOL_3_0) + words + b"\0"
    return struct.pack(">I", len(body) + 4) + body


def _message(inbox: Inbox) -> Conversation[tuple[bytes, bytes]]:
    header = yield from inbox.take(5)
    if header[:1] not in b"RE" + _PASSED_OVER:
        raise PeerProtocolError("no answer to StartupMessage", field="message", source=_SOURCE)
    length = int.from_bytes(header[1:], "big")
    if length < 4:
        raise PeerProtocolError("shorter than itself", field="length", source=_SOURCE)
    body = yield from inbox.take(length - 4)
    return header[:1], body


def _authentication(body: bytes) -> tuple[Access, str, str]:
    if len(body) < 4:
        raise PeerProtocolError("too short", field="Authentication", source=_SOURCE)
    kind = int.from_bytes(body[:4], "big")
    if kind == 0:
        return Access.OPEN, "trust", ""
    method = _METHODS.get(kind)
    if method is None:
        return Access.UNKNOWN, "", ""
    return Access.DEMANDED, _sasl_method(body[4:]) if kind == _SASL else method, ""


def _sasl_method(names: bytes) -> str:
    """Return the SASL mechanism; PostgreSQL has one, with and without channel binding."""
    offered = names.split(b"\0")
    return "scram-sha-256" if b"SCRAM-SHA-256" in offered else "sasl"


def _sqlstate(body: bytes) -> str:
    """Return the SQLSTATE of an ErrorResponse, "" where there is none."""
    for field in body.split(b"\0"):
        code = field[1:]
        if field[:1] == b"C" and len(code) == 5 and code.isalnum() and code.isascii():
            return code.decode("ascii")
    return ""
