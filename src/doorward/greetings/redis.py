"""Redis and what descends from it: PING, and HELLO where PING was answered (redis.io, "Redis serialization protocol").

PONG to somebody who never logged in shows that nobody must. HELLO without arguments changes nothing and names the version;
INFO and CONFIG, which would name much more, are not sent. Of an error only its first word is read.
"""

from doorward.errors import PeerProtocolError
from doorward.greetings.conversation import Access, Conversation, Greeting, Inbox, version_in
from doorward.limits import Limits

PRODUCT = "Redis"
_SOURCE = "Redis serialization protocol"
_PING, _HELLO = b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$5\r\nHELLO\r\n"
#: First word of an error -> what it means for a stranger. Other words are not kept.
_ERRORS = {
    b"NOAUTH": (Access.DEMANDED, "password"),
    b"DENIED": (Access.REFUSED, "protected mode"),
    b"NOPERM": (Access.UNKNOWN, "access list"),
    b"LOADING": (Access.UNKNOWN, ""),
    b"MASTERDOWN": (Access.UNKNOWN, ""),
    b"BUSY": (Access.UNKNOWN, ""),
    b"ERR": (Access.UNKNOWN, ""),
}
#: Before Redis 2.8 (2013): no code of its own.
_OLD_DEMAND = b"-ERR operation not permitted"


def greet(limits: Limits) -> Conversation[Greeting]:
    """Send PING; where it is answered, HELLO."""
    inbox = Inbox(limits)
    yield from inbox.say(_PING)
    line = yield from inbox.line()
    if line == b"+PONG":
        try:
            version = yield from _version(inbox)
        except PeerProtocolError:
            version = ""  # proxies that know no HELLO hang up or say nothing; PONG was said
        return Greeting(product=PRODUCT, version=version, access=Access.OPEN, offers_tls=False)
    if not line.startswith(b"-"):
        raise PeerProtocolError("no answer to PING", field="line", source=_SOURCE)
    word = line[1:].split(b" ")[0]
    access, method = _ERRORS.get(word, (Access.UNKNOWN, ""))
    if line == _OLD_DEMAND:
        access, method = Access.DEMANDED, "password"
    code = word.decode("ascii") if word in _ERRORS else ""
    return Greeting(product=PRODUCT, access=access, method=method, code=code, offers_tls=False)


def _version(inbox: Inbox) -> Conversation[str]:
    """Return the version that HELLO names, "" where it is not known (before Redis 6.2) or not allowed."""
    yield from inbox.say(_HELLO)
    head = yield from inbox.line()
    if not head.startswith(b"*"):
        return ""
    is_next = False
    while True:
        field = yield from inbox.line()
        if field.startswith(b"$"):
            field = yield from inbox.line()
            if is_next:
                return version_in(field)
            is_next = field == b"version"
