"""Leads conversations of ``doorward.greetings`` without a socket, and holds the invariants that fuzzing checks too."""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError, TlsFailed
from doorward.greetings import ldap, mongodb, mysql, nfs, postgresql, redis, smb, tds, tns
from doorward.greetings.conversation import Conversation, Farewell, Secure, end_of_stream
from doorward.limits import DEFAULT_LIMITS

#: Every conversation that there is; the fuzzer's first byte chooses one.
CONVERSATIONS: dict[str, Callable[[], Conversation[Any]]] = {
    "postgresql": lambda: postgresql.greet(DEFAULT_LIMITS, use_tls=True),
    "postgresql plain": lambda: postgresql.greet(DEFAULT_LIMITS, use_tls=False),
    "mysql": lambda: mysql.greet(DEFAULT_LIMITS, use_tls=True),
    "mysql plain": lambda: mysql.greet(DEFAULT_LIMITS, use_tls=False),
    "tds": lambda: tds.greet(DEFAULT_LIMITS),
    "tns": lambda: tns.greet(DEFAULT_LIMITS),
    "mongodb": lambda: mongodb.greet(DEFAULT_LIMITS),
    "redis": lambda: redis.greet(DEFAULT_LIMITS),
    "ldap": lambda: ldap.greet(DEFAULT_LIMITS, use_tls=True),
    "ldap start_tls": lambda: ldap.start_tls(DEFAULT_LIMITS),
    "smb first": lambda: smb.greet_first(DEFAULT_LIMITS),
    "smb second": lambda: smb.greet_second(DEFAULT_LIMITS),
    "nfs": lambda: nfs.greet(DEFAULT_LIMITS),
    "portmapper": lambda: nfs.greet_portmapper(DEFAULT_LIMITS),
}
#: All that may ever come out: words of ours, numbers, names of methods.
_HARMLESS = re.compile(r"[A-Za-z0-9 ._+-]{0,64}")
#: What we say at most, whatever the peer does: nobody is flooded.
_MOST_SAID = 4_096


@dataclass(slots=True)
class Talk:
    """One finished conversation."""

    result: Any = None
    #: What was said in one go each; TLS shows as the word "TLS".
    said: list[bytes | str] = field(default_factory=list)
    farewell: bytes = b""


def lead(
    conversation: Conversation[Any], *replies: bytes | DoorwardError, cut: int = 1 << 16
) -> Talk:
    """Give one reply to each thing said (a server that speaks first: before it), ``cut`` bytes at a time.

    A reply that is an error is thrown in; b"" and running out of replies stand for a peer that hangs up.
    """
    talk, waiting, left = Talk(), b"", list(replies)
    step: Callable[[], Any] = lambda: next(conversation)  # noqa: E731
    while True:
        try:
            said = step()
        except StopIteration as end:
            talk.result = end.value
            return talk
        if isinstance(said, Farewell):
            talk.farewell = said.words
            step = lambda: conversation.send(b"")  # noqa: E731
            continue
        if isinstance(said, Secure):
            talk.said += [said.words, "TLS"] if said.words else ["TLS"]
            if left and isinstance(left[0], TlsFailed):
                step = lambda fault=left.pop(0): conversation.throw(fault)  # noqa: E731
            else:
                step = lambda: conversation.send(b"")  # noqa: E731
            continue
        if said:
            talk.said.append(said)
        if not waiting:
            reply = left.pop(0) if left else b""
            if isinstance(reply, DoorwardError) or not reply:
                fault = reply or end_of_stream()
                step = lambda fault=fault: conversation.throw(fault)  # noqa: E731
                continue
            waiting = reply
        came, waiting = waiting[:cut], waiting[cut:]
        step = lambda came=came: conversation.send(came)  # noqa: E731


def check_greeting(data: bytes) -> None:
    """Whatever a server sends: a result of harmless words, PeerProtocolError or LimitExceeded, and few words of ours."""
    if len(data) < 2:
        return
    make = list(CONVERSATIONS.values())[data[0] % len(CONVERSATIONS)]
    conversation, cut, at, said = make(), data[1] + 1, 2, 0
    step: Callable[[], Any] = lambda: next(conversation)  # noqa: E731
    try:
        while True:
            word = step()
            said += len(word) if isinstance(word, bytes) else len(word.words)
            assert said <= _MOST_SAID, "a peer made us say too much"
            if not isinstance(word, bytes):
                step = lambda: conversation.send(b"")  # noqa: E731
                continue
            came, at = data[at : at + cut], at + cut
            if came:
                step = lambda came=came: conversation.send(came)  # noqa: E731
            else:
                step = lambda: conversation.throw(end_of_stream())  # noqa: E731
    except StopIteration as end:
        check_result(end.value)
    except (PeerProtocolError, LimitExceeded):
        pass


def check_result(result: Any) -> None:
    """Assert that nothing but harmless words and numbers came out."""
    if isinstance(result, bool):
        return
    for value in _flat(asdict(result).values()):
        text = str(value)
        assert _HARMLESS.fullmatch(text), f"not a word of ours: {len(text)} characters"


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, tuple) else (value,)
