"""How long somebody waits who could not log in: by name and by address, longer each time.

Theory of operation: a door calls ``begin`` before it looks at a password, and ``succeeded`` when that was right. What has
begun counts as failed until then, so that a thousand guesses sent at once are not all let through before the first has
failed; a door therefore verifies the logins of one name one after the other. The first failures are free, more of them for
an address, behind which a whole clinic may sit; then each doubles the wait, to a longest one. Time forgives. An attempt
during a wait is refused unlooked-at and changes nothing: otherwise whoever knocks on would keep the owner out for ever.

A success clears the name and takes back its own attempt from the address, no more: whoever has one account could otherwise
clear the address between guesses at another one.

What is not prevented: somebody who guesses from many addresses makes the owner of a name wait too, at the most
``login_longest_delay_s`` at a time. A certificate needs no password and no wait, nor does a random token, which nobody
guesses.

Names are what a stranger typed, perhaps a password in the wrong field: only a keyed hash of them is kept. Memory is bounded;
when it is full, whoever failed least is forgotten first. Time is an argument, in seconds of a clock that does not jump.
"""

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, IPv6Network, ip_address

from doorward.limits import DEFAULT_LIMITS, Limits

_DIGEST_BYTES = 16
#: Of a full table, one in so many is forgotten at a time.
_EVICTED_PART = 10
#: One host may take any address of its IPv6 /64 (RFC 4291 section 2.5.1): they count as one.
_ONE_CALLER_PREFIX = 64


class Whose(StrEnum):
    """Which of the two has to wait."""

    NAME = "name"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Whether a login may be tried; if not, who has to wait and until when."""

    may_try: bool
    whose: Whose | None = None
    until: float | None = None


_GO_ON = Wait(may_try=True)


@dataclass(slots=True)
class _Failures:
    count: int
    #: From when on time forgives: each full ``forgiven_s`` since then takes one failure away.
    since: float
    until: float


class Lockout:
    """Counts failed logins. ``key`` is secret and new at each start: ``secrets.token_bytes(32)``."""

    def __init__(self, *, key: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        self._key = key
        self._now = float("-inf")
        forgiven_s = limits.login_forgiven_s
        many = limits.login_address_failures
        self._names = _Table(limits.login_free_failures, forgiven_s, limits)
        self._addresses = _Table(many, forgiven_s / many, limits)

    def __len__(self) -> int:
        """Return how many names and addresses are remembered."""
        return len(self._names.rows) + len(self._addresses.rows)

    def begin(self, name: str, address: str, *, now: float) -> Wait:
        """Return whether this login may be tried now; if so, it counts as failed until ``succeeded``."""
        self._now = now = max(now, self._now)
        who, where = self._digest(name), self._digest(_caller(address))
        waits = (
            (self._names.until(who), Whose.NAME),
            (self._addresses.until(where), Whose.ADDRESS),
        )
        until, whose = max(waits)
        if until > now:
            return Wait(may_try=False, whose=whose, until=until)
        self._names.add(who, now)
        self._addresses.add(where, now)
        return _GO_ON

    def succeeded(self, name: str, address: str, *, now: float) -> None:
        """Take back the attempt that ``begin`` counted, and everything that was counted for the name."""
        self._now = max(now, self._now)
        self._names.rows.pop(self._digest(name), None)
        self._addresses.take_back(self._digest(_caller(address)), self._now)

    def _digest(self, text: str) -> bytes:
        raw = text.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(raw, key=self._key, digest_size=_DIGEST_BYTES).digest()


def _caller(address: str) -> str:
    """Return what stands for everybody who could call from this address: itself, or its IPv6 /64."""
    try:
        numeric = ip_address(address)
    except ValueError:
        return address
    if not isinstance(numeric, IPv6Address):
        return str(numeric)
    if numeric.ipv4_mapped is not None:
        return str(numeric.ipv4_mapped)
    return str(IPv6Network((int(numeric), _ONE_CALLER_PREFIX), strict=False))


class _Table:
    """Failures of names, or of addresses: so many are free, and time forgives one after the other."""

    def __init__(self, free: int, forgiven_s: float, limits: Limits) -> None:
        self.rows: dict[bytes, _Failures] = {}
        self.free = free
        self.forgiven_s = forgiven_s
        self.limits = limits
        # Failures beyond the longest wait are not counted: forgiving them would take days.
        doublings = math.ceil(math.log2(limits.login_longest_delay_s / limits.login_delay_s))
        self.most = free + max(doublings, 0)

    def until(self, key: bytes) -> float:
        """Return until when this one has to wait; ``now`` or earlier: not at all."""
        row = self.rows.get(key)
        return -math.inf if row is None else row.until

    def add(self, key: bytes, now: float) -> None:
        """Count one more failure."""
        row = self.rows.get(key)
        if row is None:
            self._make_room(now)
            row = self.rows[key] = _Failures(0, now, now)
        self._forgive(row, now)
        row.count = min(row.count + 1, self.most)
        row.until = now + self._delay_s(row.count)

    def take_back(self, key: bytes, now: float) -> None:
        """Count one failure less: it was none."""
        row = self.rows.get(key)
        if row is None:
            return
        row.count -= 1
        row.until = min(row.until, now + self._delay_s(row.count))
        if row.count <= 0:
            del self.rows[key]

    def _forgive(self, row: _Failures, now: float) -> None:
        steps = int((now - row.since) / self.forgiven_s)
        row.since += steps * self.forgiven_s
        row.count -= steps
        if row.count <= 0:
            row.count, row.since = 0, now

    def _delay_s(self, failures: int) -> float:
        if failures < self.free:
            return 0.0
        doubled = self.limits.login_delay_s * 2.0 ** (failures - self.free)
        return min(doubled, self.limits.login_longest_delay_s)

    def _make_room(self, now: float) -> None:
        if len(self.rows) < self.limits.login_names:
            return
        for row in self.rows.values():
            self._forgive(row, now)
        going = [key for key, row in self.rows.items() if not row.count and row.until <= now]
        if not going:
            # Who sprays new names fails once with each: these go first, and the one that is guessed at stays. Many at a
            # time, because the walk costs milliseconds.
            by_failures = sorted(self.rows, key=lambda k: (self.rows[k].count, self.rows[k].since))
            going = by_failures[: max(len(by_failures) // _EVICTED_PART, 1)]
        for key in going:
            del self.rows[key]
