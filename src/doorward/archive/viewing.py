"""Looking at a study piece by piece: metadata, frames, bulk data, renderings. Hundreds of requests, and one record each way.

Theory of operation. A C-GET is recorded when it begins and when it ends. A viewer asks for frame after frame instead, so
what it does with one study is one *look*: of one identity, at one study, of one kind. ``look`` asks the policy at each
request, since somebody may be revoked meanwhile. With the first one the look is recorded as begun, and nothing leaves before
that is on disk; the next ones of the same look do not wait. After ``viewing_gap_s`` without a request the look has ended,
and how many instances, frames and bytes have left is recorded.

    look = await viewing.look(Kind.FRAMES, wanted, identity, record)      # or a Refusal
    ... look.instances, () where nothing is held ...
    refusal = await look.take(size_bytes, instance_uid, frames=1)          # before they leave; counts them

The allowance of the hour counts the bytes that leave; a study and its patient count once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from doorward.access.identity import Identity, Operation
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Record as Journalled
from doorward.access.rules import Rules
from doorward.archive.giving import Giving, Permitted, Refusal, Why
from doorward.archive.index.entry import HeldInstance, HeldStudy
from doorward.archive.retrieval import Wanted, instances_for
from doorward.errors import LimitExceeded, LocalProtocolError, StorageError


class Kind(StrEnum):
    """What is looked at; the words of the journal."""

    METADATA = "metadata"
    FRAMES = "frames"
    BULK_DATA = "bulk data"
    RENDERED = "rendered"
    THUMBNAIL = "thumbnail"


class _Key(NamedTuple):
    identity: str
    #: A token that somebody else shows from elsewhere is another look.
    peer: str
    how: str
    kind: Kind
    studies: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Session:
    """One look that goes on, and what has left in it."""

    record: Record
    begun: "asyncio.Future[Journalled]"
    used_at: float
    instances: set[str] = field(default_factory=set)
    frames: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What one request may see; ``instances`` are empty where nothing of that name is held."""

    instances: Sequence[HeldInstance] = ()
    _viewing: "Viewing | None" = field(default=None, repr=False)
    _identity: Identity | None = field(default=None, repr=False)
    _studies: Sequence[HeldStudy] = field(default=(), repr=False)
    _session: _Session | None = field(default=None, repr=False)

    async def take(
        self, size_bytes: int, sop_instance_uid: str, *, frames: int = 0
    ) -> Refusal | None:
        """Count what is about to leave, of one instance; return the refusal where it is too much for the hour."""
        viewing, identity, session = self._viewing, self._identity, self._session
        if viewing is None or identity is None or session is None:
            raise LocalProtocolError("nothing can be taken where nothing is held")
        refusal = viewing.giving.draw(identity, self._studies, size_bytes)
        if refusal is not None:
            try:
                await viewing.giving.record_volume(session.record, refusal)
            except (StorageError, LimitExceeded):
                return refusal  # it stays one, and whoever asks next is told of the journal
            return refusal
        session.used_at = asyncio.get_running_loop().time()
        session.instances.add(sop_instance_uid)
        session.frames += frames
        session.size_bytes += size_bytes
        return None


class Viewing:
    """All looks that go on. ``rules`` is asked at each request; ``now`` is aware, in local time."""

    def __init__(
        self, *, giving: Giving, rules: Callable[[], Rules], now: Callable[[], datetime]
    ) -> None:
        self.giving = giving
        self._rules = rules
        self._now = now
        #: In the order of their last use, so that the idle ones stand first.
        self._sessions: OrderedDict[_Key, _Session] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def look(
        self, kind: Kind, wanted: Wanted, identity: Identity | None, record: Record
    ) -> Look | Refusal:
        """Return what of the wanted may be looked at, recorded already, or why not. ``record`` says where from."""
        record = replace(record, event=Event.TRANSFER_BEGUN, operation=Operation.RETRIEVE)
        record = replace(record, reason=kind).by(identity)
        giving = self.giving
        try:
            permitted = await giving.permitted(wanted, record, identity, self._rules(), self._now())
            if isinstance(permitted, Refusal):
                return permitted
            if identity is None or not permitted.studies:
                return Look()
            instances = await instances_for(giving.index, wanted, permitted.studies, giving.limits)
            if not instances:
                return Look()
            return await self._begun(kind, identity, permitted, instances, record)
        except LimitExceeded as error:
            return Refusal(why=Why.TOO_MANY, reason=f"More than {error.limit} allows"[:64])
        except StorageError:
            return Refusal(why=Why.STORAGE, reason="The storage has failed")

    async def close(self) -> None:
        """End every look, recorded. Raises StorageError."""
        ended = [self._end(key) for key in list(self._sessions)]
        await asyncio.gather(*(one for one in ended if one is not None))

    async def _begun(
        self,
        kind: Kind,
        identity: Identity,
        permitted: Permitted,
        instances: Sequence[HeldInstance],
        record: Record,
    ) -> Look | Refusal:
        numbers = {one.study for one in instances}
        studies = [one for one in permitted.studies if one.number in numbers]
        uids = tuple(dict.fromkeys(one.subject.study_uid for one in studies))
        key = _Key(identity.name, record.peer, identity.how, kind, uids)
        session = self._sessions.get(key)
        if session is None:
            # Before it begins, so that who has no allowance leaves no look behind.
            record = replace(record, studies=uids, rule=permitted.rule)
            refusal = self.giving.draw(identity, studies, 0)
            if refusal is not None:
                await self.giving.record_volume(record, refusal)
                return refusal
            session = self._open(key, record)
        session.used_at = asyncio.get_running_loop().time()
        self._sessions.move_to_end(key)
        try:
            # Others wait for the same record: whoever goes away must not take it along.
            await asyncio.shield(session.begun)
        except StorageError:
            if self._sessions.get(key) is session:
                del self._sessions[key]
            raise
        return Look(instances, self, identity, studies, session)

    def _open(self, key: _Key, record: Record) -> _Session:
        while len(self._sessions) >= self.giving.limits.viewing_open:
            self._end(next(iter(self._sessions)))
        begun = self.giving.journal.submit(record)
        begun.add_done_callback(_look_at)  # all who wait for it may have gone
        session = _Session(record, begun, asyncio.get_running_loop().time())
        self._sessions[key] = session
        if self._timer is None:
            self._wait()
        return session

    def _wait(self) -> None:
        """Look again when the longest idle one may have ended."""
        first = next(iter(self._sessions.values()))
        loop = asyncio.get_running_loop()
        at = first.used_at + self.giving.limits.viewing_gap_s
        self._timer = loop.call_at(at, self._end_idle)

    def _end_idle(self) -> None:
        self._timer = None
        gap_s = self.giving.limits.viewing_gap_s
        clock = asyncio.get_running_loop().time()
        idle = [key for key, one in self._sessions.items() if one.used_at + gap_s <= clock]
        for key in idle:
            self._end(key)
        if self._sessions:
            self._wait()

    def _end(self, key: _Key) -> "asyncio.Future[Journalled] | None":
        """Record what has left; the future is done when that is on disk. None where the journal takes nothing."""
        session = self._sessions.pop(key)
        if not self._sessions and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        frames = f", {session.frames} frames" if session.frames else ""
        record = replace(
            session.record,
            event=Event.RETRIEVE,
            instances=len(session.instances),
            size_bytes=session.size_bytes,
            reason=f"{session.record.reason}{frames}",
        )
        try:
            done = self.giving.journal.submit(record)
        except (StorageError, LimitExceeded):
            return None  # the next look fails for the same reason, and says so
        done.add_done_callback(_look_at)
        return done


def _look_at(written: "asyncio.Future[Journalled]") -> None:
    """Take note of how it ended, so that nobody warns of an error that was not looked at."""
    if not written.cancelled():
        written.exception()
