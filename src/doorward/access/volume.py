"""How much one identity may take in an hour: a stolen workstation must not drain the archive.

Theory of operation: before anything is sent, the door says what it would send (studies, patients, bytes), and ``Volume``
either counts all of it or refuses all of it. Studies and patients are counted as distinct ones over a sliding hour: each is
remembered by the time it was last taken, under a keyed hash, so that no patient's identifier lies in this memory. What was
taken already is not counted twice. Bytes are summed in slices of the hour; a slice leaves as a whole, after its youngest byte
is an hour old, so that bytes count a little too long and never too short.

Memory is bounded by what is allowed: what is refused is not remembered. Time is an argument, in seconds of a clock that does
not jump (``time.monotonic``); one that runs backwards is taken to stand still. A restart of the archive forgets.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from doorward.access.identity import Role
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: A hash of 64 bits under a secret key: that two of 100,000 agree by chance happens once in four billion hours.
_DIGEST_BYTES = 8


class Limit(StrEnum):
    """What there was too much of."""

    STUDIES = "studies"
    PATIENTS = "patients"
    BYTES = "bytes"
    IDENTITIES = "identities"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What an identity may take in one hour. 0 is none. Raises ConfigError beyond what can be counted."""

    studies: int = 0
    patients: int = 0
    size_bytes: int = 0

    def __post_init__(self) -> None:
        highest = DEFAULT_LIMITS.volume_entries
        for name, value in (("studies", self.studies), ("patients", self.patients)):
            if not 0 <= value <= highest:
                raise ConfigError(f"must be a number from 0 to {highest:,}", field=name)
        if self.size_bytes < 0:
            raise ConfigError("must not be negative", field="size_bytes")


def allowances(limits: Limits = DEFAULT_LIMITS) -> Mapping[str, Allowance]:
    """Return what each role may take in an hour where the settings say nothing else."""
    reading = Allowance(
        studies=limits.volume_studies,
        patients=limits.volume_patients,
        size_bytes=limits.volume_retrieved_bytes,
    )
    moving = Allowance(
        studies=limits.volume_entries,
        patients=limits.volume_entries,
        size_bytes=limits.volume_migration_bytes,
    )
    return {
        Role.MODALITY: Allowance(),
        Role.WORKSTATION: reading,
        Role.MIGRATION: moving,
        Role.READER: reading,
        Role.ADMINISTRATOR: Allowance(),
        Role.AUDITOR: Allowance(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether it may be taken. If not: which limit, and when the same would be allowed; None: never at this size."""

    is_allowed: bool
    limit: Limit | None = None
    free_at: float | None = None


_ALLOWED = Verdict(is_allowed=True)


class Volume:
    """Counts what every identity takes. ``key`` is secret and new at each start: ``secrets.token_bytes(32)``."""

    def __init__(self, *, key: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        self._key = key
        self._limits = limits
        self._now = float("-inf")
        #: In the order of their last use, so that the idle ones stand first.
        self._takings: OrderedDict[str, _Taking] = OrderedDict()

    def __len__(self) -> int:
        """Return how many identities are counted now."""
        return len(self._takings)

    def take(
        self,
        name: str,
        allowance: Allowance,
        *,
        study_uids: Collection[str],
        patients: Collection[str],
        size_bytes: int,
        now: float,
    ) -> Verdict:
        """Count all of it and allow, or count nothing and say which limit is in the way and until when.

        ``patients`` are any texts that tell patients apart (identifier with its issuer); they are not kept.
        """
        self._now = now = max(now, self._now)
        taking = self._taking(name, now)
        if taking is None:
            free_at = next(iter(self._takings.values())).idle_at
            return Verdict(is_allowed=False, limit=Limit.IDENTITIES, free_at=free_at)
        studies = {self._digest(uid) for uid in study_uids}
        people = {self._digest(patient) for patient in patients}
        # Each is looked at, so that the one that frees last is reported.
        waits = (
            (Limit.STUDIES, taking.studies.free_at(studies, allowance.studies, now)),
            (Limit.PATIENTS, taking.patients.free_at(people, allowance.patients, now)),
            (Limit.BYTES, taking.sent.free_at(size_bytes, allowance.size_bytes, now)),
        )
        limit, free_at = max(waits, key=lambda wait: wait[1])
        if free_at > now:
            self._forget_if_empty(name, taking)
            return Verdict(
                is_allowed=False, limit=limit, free_at=None if free_at == _NEVER else free_at
            )
        taking.used_at = now
        self._takings.move_to_end(name)
        taking.studies.add(studies, now)
        taking.patients.add(people, now)
        taking.sent.add(size_bytes, now)
        return _ALLOWED

    def _digest(self, text: str) -> int:
        raw = text.encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(raw, key=self._key, digest_size=_DIGEST_BYTES).digest()
        return int.from_bytes(digest, "big")

    def _taking(self, name: str, now: float) -> "_Taking | None":
        """Return the count of one identity, a new one where there is room; None where there is not."""
        window_s = self._limits.volume_window_s
        while self._takings:
            first, taking = next(iter(self._takings.items()))
            if taking.idle_at > now:
                break
            del self._takings[first]
        found = self._takings.get(name)
        if found is None and len(self._takings) < self._limits.register_entries:
            found = self._takings[name] = _Taking(window_s, self._limits.volume_slices, now)
        return found

    def _forget_if_empty(self, name: str, taking: "_Taking") -> None:
        if taking.is_empty:
            del self._takings[name]


_NEVER = float("inf")


class _Taking:
    """What one identity has taken within the window."""

    __slots__ = ("patients", "sent", "studies", "used_at")

    def __init__(self, window_s: float, slices: int, now: float) -> None:
        self.studies = _Distinct(window_s)
        self.patients = _Distinct(window_s)
        self.sent = _Sum(window_s, slices)
        self.used_at = now

    @property
    def idle_at(self) -> float:
        """From when on nothing of it is within the window."""
        return self.used_at + self.sent.window_s + self.sent.slice_s

    @property
    def is_empty(self) -> bool:
        return not (self.studies.seen or self.patients.seen or self.sent.slices)


class _Distinct:
    """Different ones within the window: digest -> when it was last taken, the oldest first."""

    __slots__ = ("seen", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.seen: OrderedDict[int, float] = OrderedDict()

    def free_at(self, wanted: set[int], allowed: int, now: float) -> float:
        """Return from when on these may be taken too; ``now`` or earlier means at once."""
        while self.seen and next(iter(self.seen.values())) + self.window_s <= now:
            self.seen.popitem(last=False)
        if len(wanted) > allowed:
            return _NEVER
        excess = len(self.seen) + sum(digest not in self.seen for digest in wanted) - allowed
        if excess <= 0:
            return now
        # Those that are wanted count again when they leave, so only the others make room.
        leaving = (at for digest, at in self.seen.items() if digest not in wanted)
        at = next(at for index, at in enumerate(leaving, 1) if index == excess)
        return at + self.window_s

    def add(self, taken: set[int], now: float) -> None:
        for digest in taken:
            self.seen[digest] = now
            self.seen.move_to_end(digest)


class _Sum:
    """Bytes within the window, in slices of it."""

    __slots__ = ("slice_s", "slices", "total", "window_s")

    def __init__(self, window_s: float, slices: int) -> None:
        self.window_s = window_s
        self.slice_s = window_s / slices
        #: (end of the slice, bytes), the oldest first.
        self.slices: deque[tuple[float, int]] = deque()
        self.total = 0

    def free_at(self, wanted: int, allowed: int, now: float) -> float:
        """Return from when on so many bytes may be taken too; ``now`` or earlier means at once."""
        while self.slices and self.slices[0][0] + self.window_s <= now:
            self.total -= self.slices.popleft()[1]
        if wanted > allowed:
            return _NEVER
        excess = self.total + wanted - allowed
        for end, size in self.slices:
            if excess <= 0:
                break
            excess -= size
            if excess <= 0:
                return end + self.window_s
        return now

    def add(self, size: int, now: float) -> None:
        if size <= 0:
            return
        self.total += size
        if self.slices and now < self.slices[-1][0]:
            end, before = self.slices.pop()
            self.slices.append((end, before + size))
        else:
            self.slices.append((now + self.slice_s, size))
