"""Sessions of people in a browser: random, kept only as digests and only in memory, ended by time, by hand or by a change.

Theory of operation: the id of a session is 256 random bits, made anew at each login, so that nobody can put a known one into
a browser beforehand (OWASP Session Management: fixation). Kept is its SHA-256. It ends when it was not used for a while, at
its absolute end, by a log-out, and with the archive: who restarts logs everybody out. Whose it is and under which ``mark`` of
their credentials it was begun, the door compares at each use; a person who was removed, or has set another password, is out.

Memory is bounded: a name has so many sessions, the oldest makes room; and when all places are taken, the one that was idle
longest does. Time is an argument, in seconds of a clock that does not jump.
"""

import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass

from doorward.limits import DEFAULT_LIMITS, Limits

_ID_BYTES = 32
#: More is no id of ours and is not even digested.
_ID_CHARACTERS = 43


@dataclass(slots=True)
class Session:
    """One session: whose it is, how that was shown, and under which mark of the credentials ("" has none)."""

    name: str
    how: str
    mark: str
    ends: float
    used: float


class Sessions:
    """Every session that has not ended."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        #: By digest; the one that was not used for longest is first.
        self._rows: dict[bytes, Session] = {}
        self._of_name: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._rows)

    def start(self, name: str, *, how: str, mark: str, now: float) -> str:
        """Begin a session and return its id, which is kept nowhere."""
        limits = self._limits
        if self._of_name[name] >= limits.sessions_per_person:
            self._remove(min((k for k, s in self._rows.items() if s.name == name), key=self._end))
        if len(self._rows) >= limits.sessions:
            self._remove(next(iter(self._rows)))
        text = secrets.token_urlsafe(_ID_BYTES)
        ends = now + limits.session_s
        self._rows[_digest(text)] = Session(name, how, mark, ends, now)
        self._of_name[name] += 1
        return text

    def find(self, text: str, *, now: float, is_use: bool = True) -> Session | None:
        """Return the session of an id, None where it has ended or never was; ``is_use`` counts as a sign of life."""
        if len(text) != _ID_CHARACTERS:
            return None
        digest = _digest(text)
        # How long a lookup by digest takes tells nothing, as with tokens.
        session = self._rows.get(digest)
        if session is None:
            return None
        if now >= session.ends or now - session.used >= self._limits.session_idle_s:
            self._remove(digest)
            return None
        if is_use:
            session.used = now
            self._rows[digest] = self._rows.pop(digest)
        return session

    def end(self, text: str) -> None:
        """End a session, if it is one."""
        self._remove(_digest(text))

    def end_all(self, name: str) -> None:
        """End every session of a name."""
        for digest in [key for key, session in self._rows.items() if session.name == name]:
            self._remove(digest)

    def _end(self, digest: bytes) -> float:
        return self._rows[digest].ends

    def _remove(self, digest: bytes) -> None:
        session = self._rows.pop(digest, None)
        if session is None:
            return
        self._of_name[session.name] -= 1
        if not self._of_name[session.name]:
            del self._of_name[session.name]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()
