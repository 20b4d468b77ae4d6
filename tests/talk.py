"""Leads a conversation of ``greetings`` against a script: what each line is answered with, cut as the test wishes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from doorward.greetings.conversation import Errand, Secure, end_of_stream

#: Gets what was said, returns what comes back; None: the peer hangs up.
Script = Callable[[bytes], bytes | None]


@dataclass(slots=True, kw_only=True)
class Talk:
    """What was said and what came of it."""

    result: Any = None
    said: list[bytes] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    secured: int = 0
    error: Exception | None = None

    def hear(self, said: Any) -> None:
        """Note what was said."""
        self.secured += isinstance(said, Secure)
        if isinstance(said, Errand):
            self.errands.append(said)
        words = said if isinstance(said, bytes) else said.words
        if words:
            self.said.append(words)


def lead(
    conversation: Any, script: Script, *, size: int = 65_536, silence: Exception | None = None
) -> Talk:
    """Lead it to its end; where the script has nothing to say, ``silence`` (or the end of the stream) is thrown."""
    talk = Talk()
    server = _Server(script, size)
    step: Callable[[], Any] = lambda: next(conversation)  # noqa: E731 - the first of many
    while True:
        try:
            said = step()
        except StopIteration as end:
            talk.result = end.value
            return talk
        except Exception as error:  # noqa: BLE001 - the test looks at it
            talk.error = error
            return talk
        talk.hear(said)
        server.take(said if isinstance(said, bytes) else said.words)
        came = server.say() if isinstance(said, bytes) else b""
        if isinstance(said, bytes) and not came:
            fault = silence or end_of_stream()
            step = lambda fault=fault: conversation.throw(fault)  # noqa: E731
        else:
            step = lambda came=came: conversation.send(came)  # noqa: E731


class _Server:
    """The other side: greets once where nothing was said before, and answers in pieces."""

    def __init__(self, script: Script, size: int) -> None:
        self._script = script
        self._size = size
        self._waiting = b""
        self._has_met = False

    def take(self, words: bytes) -> None:
        if words or not self._has_met:
            self._waiting += self._script(words) or b""
        self._has_met = True

    def say(self) -> bytes:
        came, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        return came


def script_of(greeting: bytes, answers: Iterable[tuple[bytes, bytes]]) -> Script:
    """Return a script that greets and then answers by the beginning of what is said."""
    known = list(answers)

    def answer(words: bytes) -> bytes | None:
        if not words:
            return greeting
        return next((reply for begin, reply in known if words.startswith(begin)), None)

    return answer
