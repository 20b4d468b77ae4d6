"""LDAP: the root entry, an anonymous bind, and StartTLS (RFC 4511, RFC 4512 section 5.1, RFC 4513 section 5.1.1).

The root entry (rootDSE) describes the software and belongs to no directory; four attributes are asked for, naming contexts
are not. Nothing behind it is searched: that an anonymous bind succeeds shows who is let in, not what may be read then.
Where the root entry itself is refused without a login, an anonymous bind that succeeds means nothing (slapd: require authc).
BER by hand: definite lengths only, each inside its parent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from doorward.errors import PeerProtocolError, TlsFailed
from doorward.greetings.conversation import (
    Access,
    Conversation,
    Farewell,
    Greeting,
    Inbox,
    Secure,
    version_in,
)
from doorward.limits import Limits

_SOURCE = "RFC 4511"
_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED, _BOOLEAN = 0x30, 0x02, 0x04, 0x0A, 0x01
_BIND, _BIND_RESPONSE, _SIMPLE = 0x60, 0x61, 0x80
_SEARCH, _ENTRY, _DONE, _PRESENT = 0x63, 0x64, 0x65, 0x87
_EXTENDED, _EXTENDED_RESPONSE, _NAME = 0x77, 0x78, 0x80
_UNBIND = 0x42
_STARTTLS = b"1.3.6.1.4.1.1466.20037"
_ACTIVE_DIRECTORY = b"1.2.840.113556.1.4.800"
_ATTRIBUTES = (b"objectClass", b"supportedCapabilities", b"vendorName", b"vendorVersion")
_VENDORS = {b"389 Project": "389 Directory Server", b"Apache Software Foundation": "ApacheDS"}
#: LDAP result codes (RFC 4511 Appendix A).
_SUCCESS, _CONFIDENTIALITY_REQUIRED = 0, 13
#: strongerAuthRequired, inappropriateAuthentication, invalidCredentials, insufficientAccessRights, unwillingToPerform
_NOT_ANONYMOUSLY = frozenset({8, 48, 49, 50, 53})


@dataclass(slots=True)
class _Look:
    """What was seen so far, plain or inside TLS."""

    product: str = "LDAP directory"
    version: str = ""
    code: int = -1

    @property
    def access(self) -> Access:
        """What the code means for somebody without a name."""
        if self.code == _SUCCESS:
            return Access.OPEN
        if self.code == _CONFIDENTIALITY_REQUIRED:
            return Access.REFUSED
        return Access.DEMANDED if self.code in _NOT_ANONYMOUSLY else Access.UNKNOWN


def greet(limits: Limits, *, use_tls: bool) -> Conversation[Greeting]:
    """Read the root entry, bind anonymously, ask for TLS; look again inside where TLS was demanded for it."""
    inbox = Inbox(limits)
    look = _Look()
    yield from _look(inbox, 1, look)
    demands_tls = look.code == _CONFIDENTIALITY_REQUIRED
    offers_tls: bool | None = None
    try:
        if use_tls:
            offers_tls = yield from _asks_for_tls(inbox, 3)
            if offers_tls:
                yield Secure()
            if offers_tls and demands_tls:
                yield from _look(inbox, 4, look)
        yield Farewell(_message(6, bytes((_UNBIND, 0))))
    except (TlsFailed, PeerProtocolError):
        pass  # the bind was answered all the same
    return Greeting(
        product=look.product,
        version=look.version,
        access=look.access,
        code=str(look.code),
        offers_tls=offers_tls,
        demands_tls=demands_tls,
    )


def start_tls(limits: Limits) -> Conversation[bool]:
    """Ask for TLS and nothing else; returns whether it was granted."""
    is_granted = yield from _asks_for_tls(Inbox(limits), 1)
    if is_granted:
        yield Secure()
    return is_granted


# --- questions --------------------------------------------------------------------------------------------------------


def _look(inbox: Inbox, number: int, look: _Look) -> Conversation[None]:
    """Read the root entry and bind; a server may grant every bind and refuse what follows (slapd: require authc)."""
    code = yield from _root_entry(inbox, number, look)
    look.code = code or (yield from _result(inbox, number + 1, _anonymous_bind(), _BIND_RESPONSE))


def _root_entry(inbox: Inbox, number: int, look: _Look) -> Conversation[int]:
    """Note product and version as far as the root entry names them; return the result code."""
    yield from inbox.say(_message(number, _root_search()))
    while True:
        tag, body = yield from _answer(inbox)
        if tag == _DONE:
            return _code(body)
        if tag != _ENTRY:
            raise PeerProtocolError("no answer to the search", field="search", source=_SOURCE)
        attributes = _attributes(body)
        look.product = _product(attributes) or look.product
        look.version = version_in((attributes.get(b"vendorversion") or [b""])[0].split(b"/")[-1])


def _product(attributes: dict[bytes, list[bytes]]) -> str:
    if b"OpenLDAProotDSE" in attributes.get(b"objectclass", ()):
        return "OpenLDAP"
    if _ACTIVE_DIRECTORY in attributes.get(b"supportedcapabilities", ()):
        return "Active Directory"
    named = attributes.get(b"vendorname") or [b""]
    return _VENDORS.get(named[0], "")


def _asks_for_tls(inbox: Inbox, number: int) -> Conversation[bool]:
    request = _tlv(_EXTENDED, _tlv(_NAME, _STARTTLS))
    code = yield from _result(inbox, number, request, _EXTENDED_RESPONSE)
    if code == _SUCCESS and not inbox.is_empty:
        raise PeerProtocolError("plain text before TLS", field="StartTLS", source=_SOURCE)
    return code == _SUCCESS


def _result(inbox: Inbox, number: int, request: bytes, expected: int) -> Conversation[int]:
    """Ask and return the result code; whatever else comes before is passed over."""
    yield from inbox.say(_message(number, request))
    while True:
        tag, body = yield from _answer(inbox)
        if tag == expected:
            return _code(body)
        if tag == _EXTENDED_RESPONSE:  # Notice of Disconnection (section 4.4.1)
            raise PeerProtocolError("no answer to us", field="LDAPMessage", source=_SOURCE)


def _code(result: bytes) -> int:
    """Return the code of an LDAPResult; its diagnostic message is not read."""
    kind, value = next(_parts(result), (0, b""))
    if kind != _ENUMERATED or len(value) != 1:
        raise PeerProtocolError("no result code", field="LDAPResult", source=_SOURCE)
    return value[0]


def _anonymous_bind() -> bytes:
    return _tlv(_BIND, _tlv(_INTEGER, b"\x03") + _tlv(_OCTETS, b"") + _tlv(_SIMPLE, b""))


def _root_search() -> bytes:
    """Return the search of one entry, the one without a name, in at most five seconds."""
    scope = _tlv(_OCTETS, b"") + 2 * _tlv(_ENUMERATED, b"\0")
    bounds = _tlv(_INTEGER, b"\x01") + _tlv(_INTEGER, b"\x05") + _tlv(_BOOLEAN, b"\0")
    asked = b"".join(_tlv(_OCTETS, name) for name in _ATTRIBUTES)
    return _tlv(_SEARCH, scope + bounds + _tlv(_PRESENT, b"objectClass") + _tlv(_SEQUENCE, asked))


def _message(number: int, operation: bytes) -> bytes:
    return _tlv(_SEQUENCE, _tlv(_INTEGER, bytes((number,))) + operation)


# --- BER --------------------------------------------------------------------------------------------------------------


def _tlv(tag: int, value: bytes) -> bytes:
    """Return tag, length (short or one-byte long form) and value."""
    length = bytes((len(value),)) if len(value) < 0x80 else bytes((0x81, len(value)))
    return bytes((tag,)) + length + value


def _answer(inbox: Inbox) -> Conversation[tuple[int, bytes]]:
    """Return tag and body of the next message's operation."""
    head = yield from inbox.take(2)
    length = head[1]
    if length >= 0x80:
        size = yield from inbox.take(_length_bytes(length))
        length = int.from_bytes(size, "big")
    message = yield from inbox.take(length)
    parts = _parts(message)
    number, operation = next(parts, (0, b"")), next(parts, (0, b""))
    if head[0] != _SEQUENCE or number[0] != _INTEGER:
        raise PeerProtocolError("no LDAP message", field="LDAPMessage", source=_SOURCE)
    return operation


def _length_bytes(first: int) -> int:
    count = first & 0x7F
    if not 1 <= count <= 4:
        raise PeerProtocolError("no definite length", field="length", source=_SOURCE)
    return count


def _parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of each element."""
    at = 0
    while at < len(body):
        if at + 2 > len(body):
            raise PeerProtocolError("cut off", field="element", source=_SOURCE)
        tag, length = body[at], body[at + 1]
        at += 2
        if length >= 0x80:
            count = _length_bytes(length)
            length = int.from_bytes(body[at : at + count], "big")
            at += count
        if at + length > len(body):
            raise PeerProtocolError("longer than its parent", field="element", source=_SOURCE)
        yield tag, body[at : at + length]
        at += length


def _attributes(entry: bytes) -> dict[bytes, list[bytes]]:
    """Return lower-case type -> values of a SearchResultEntry; its name is not looked at."""
    parts = _parts(entry)
    next(parts, None)
    found: dict[bytes, list[bytes]] = {}
    for _, attribute in _parts(next(parts, (0, b""))[1]):
        pair = _parts(attribute)
        kind, values = next(pair, (0, b"")), next(pair, (0, b""))
        found[kind[1].lower()] = [value for _, value in _parts(values[1])]
    return found
