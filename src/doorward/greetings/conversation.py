"""The shape of a conversation with a stranger's server, without input or output.

Theory of operation: a conversation is a generator. It yields what to say and is sent what came back; how the bytes were
cut on their way makes no difference, because every conversation reads through an ``Inbox`` that waits for more by yielding
b"". Besides bytes it may yield ``Secure`` (say this, make the TLS handshake, go on inside) and, as the last thing, a
``Farewell`` (say this and wait for nothing). It ends by returning what it found out. The driver (``net.exchange``) bounds
the time, the inbox the bytes. When the peer hangs up, says nothing more in time, or TLS fails, the driver throws that into
the conversation, which may still return what it knows by then.
A peer that breaks a rule makes a conversation raise PeerProtocolError, a length beyond all reason LimitExceeded.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits

ResultT = TypeVar("ResultT")

#: The name that a stranger gives: made up, so that nobody's account is touched, and honest in the server's log.
STRANGER = "doorward"

_VERSION = re.compile(rb"[0-9]{1,6}(?:\.[0-9]{1,9}){0,4}")


#: The field of the errors that a driver makes: nothing more comes.
END_OF_STREAM, SILENCE = "connection", "silence"


def end_of_stream() -> PeerProtocolError:
    """Return the error that a driver throws into a conversation when the peer hung up."""
    return PeerProtocolError(
        "the peer hung up before it had said enough", field=END_OF_STREAM, source="its protocol"
    )


def silence() -> PeerProtocolError:
    """Return the error that a driver throws into a conversation when the time is up."""
    return PeerProtocolError("no answer came in time", field=SILENCE, source="its protocol")


@dataclass(frozen=True, slots=True)
class Farewell:
    """Words after which nothing is waited for."""

    words: bytes


@dataclass(frozen=True, slots=True)
class Secure:
    """Say these words, then make the TLS handshake; what is said next travels inside."""

    words: bytes = b""


@dataclass(frozen=True, slots=True)
class Errand:
    """Words that are said when a second connection stands, to the same address and this port; then it is read to its end.

    Only FTP does so. Whoever drives the conversation brings the means (``aside``), or it fails.
    """

    port: int
    words: bytes
    is_secured: bool


Said = bytes | Farewell | Secure | Errand
#: Yields what to say, is sent what came, returns what was found out.
Conversation = Generator[Said, bytes, ResultT]


class Access(StrEnum):
    """How far a stranger comes who has no password."""

    OPEN = "open"  # served
    DEMANDED = "demanded"  # asked for a password, a certificate or another proof
    REFUSED = "refused"  # turned away before that question: by address, by name, for want of TLS
    UNKNOWN = "unknown"  # the answer does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What one handshake with a database showed; no name of a database, user or host is in it."""

    product: str
    version: str = ""
    access: Access = Access.UNKNOWN
    #: How it asks for proof, in the protocol's own word: "scram-sha-256", "mysql_native_password".
    method: str = ""
    #: The protocol's own number for the answer: SQLSTATE, error number, LDAP result code.
    code: str = ""
    offers_tls: bool | None = None
    demands_tls: bool | None = None


class Inbox:
    """What came and was not read yet; bounded over the whole conversation by ``limits.greeting_bytes``."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.greeting_bytes
        self._seen = 0
        self._waiting = bytearray()

    @property
    def is_empty(self) -> bool:
        """Nothing waits."""
        return not self._waiting

    def say(self, words: bytes) -> Conversation[None]:
        """Say something; returns when the first bytes of an answer are here."""
        came = yield words
        self._seen += len(came)
        self._bound(self._seen)
        self._waiting += came

    def take(self, count: int) -> Conversation[bytes]:
        """Return exactly ``count`` bytes; raises LimitExceeded before waiting for too many."""
        self._bound(count)
        while len(self._waiting) < count:
            yield from self.say(b"")
        return self._cut(count, count)

    def line(self) -> Conversation[bytes]:
        """Return the bytes up to CR LF, without it."""
        while (end := self._waiting.find(b"\r\n")) < 0:
            yield from self.say(b"")
        return self._cut(end, end + 2)

    def _bound(self, count: int) -> None:
        if count > self._most:
            raise LimitExceeded(limit="greeting_bytes", value=self._most, seen=count)

    def _cut(self, count: int, whole: int) -> bytes:
        taken = bytes(self._waiting[:count])
        del self._waiting[:whole]
        return taken


def version_in(text: bytes) -> str:
    """Return the number at the beginning of a stranger's text: digits and dots, which can carry no name; else ""."""
    found = _VERSION.match(text)
    return "" if found is None else found[0].decode("ascii")


def until_tls(conversation: Conversation[object]) -> Generator[bytes, bytes, str]:
    """Return the part of a conversation that comes before TLS, as a prelude of ``net.hello``.

    Its result is "" where TLS may begin, else why there is none, in words without a byte of the peer. Not for MySQL, whose
    request for TLS is not answered: the hello must follow it at once.
    """
    try:
        said = next(conversation)
        while isinstance(said, bytes):
            said = conversation.send((yield said))
    except (StopIteration, PeerProtocolError, LimitExceeded):
        return "the server does not offer TLS"
    return "" if isinstance(said, Secure) and not said.words else "the server does not offer TLS"
