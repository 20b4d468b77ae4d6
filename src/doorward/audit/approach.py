"""How probes come to one endpoint: through the scope, one connection at a time, paced, under a name of their own.

Theory of operation: a probe gets an ``Approach`` and asks it for associations or handshakes. The pace of its system counts
the connections, keeps the gap between two, and never lets a second be open beside the first; what was refused for
congestion only is retried with growing pauses. ``attempt`` wraps a probe's coroutine: whatever goes wrong on the way becomes
an outcome that is no verdict.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from doorward.audit.facts import Attempt, Endpoint, Facts, Outcome
from doorward.errors import (
    AssociationRejected,
    ConnectFailed,
    ConnectTimeout,
    DoorwardError,
    ReplyTimeout,
    ScopeError,
    TlsFailed,
)
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.client import Proposal, Requestor, associate
from doorward.net.dial import Gate
from doorward.net.tls import TlsContext, TlsSession, handshake
from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN

#: What every DICOM server must accept (PS3.5 section 10.1).
DEFAULT_SYNTAX = (IMPLICIT_VR_LITTLE_ENDIAN,)
#: Begins every AE title that we make up, so that an archive's log names the auditor.
TITLE_PREFIX = "DOORWARD"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # 32, so that each byte of chance is one of them


def random_title() -> str:
    """Return an AE title of 16 characters that no server can know and that still names the auditor (PS3.5 6.2, AE)."""
    chance = secrets.token_bytes(16 - len(TITLE_PREFIX))
    return TITLE_PREFIX + "".join(_LETTERS[byte % 32] for byte in chance)


class Pace:
    """The manners towards one system: one connection at a time, with a gap between two, all of them counted.

    ``admit`` is awaited before each connection: where many systems are visited, all of them together have a pace too.
    """

    def __init__(self, gap_s: float, admit: Callable[[], Awaitable[None]] | None = None) -> None:
        self._gap_s = gap_s
        self._admit = admit
        self._last_end = float("-inf")
        self._lock = asyncio.Lock()
        self.connections = 0

    @asynccontextmanager
    async def turn(self, gap_s: float | None = None) -> AsyncIterator[None]:
        """Hold the only connection to the system for as long as the context is open.

        ``gap_s``: another gap than usual before it, for what costs the system next to nothing.
        """
        now = asyncio.get_running_loop().time
        async with self._lock:
            gap = self._gap_s if gap_s is None else min(gap_s, self._gap_s)
            wait_s = self._last_end + gap - now()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await self.touch()
            try:
                yield
            finally:
                self._last_end = now()

    async def touch(self) -> None:
        """Wait for the turn of a connection that is closed as soon as it stands, beside others of its kind."""
        if self._admit is not None:
            await self._admit()
        self.connections += 1


@dataclass(slots=True, kw_only=True)
class Approach:
    """One endpoint as the probes reach it. ``tls`` None means plain."""

    endpoint: Endpoint
    gate: Gate
    pace: "Pace"
    limits: Limits = DEFAULT_LIMITS
    tls: TlsContext | None = None
    called_ae_titles: tuple[str, ...] = ()
    calling_ae_title: str = ""
    #: The pair that was let in, once the association probe knows it.
    admitted: tuple[str, str] | None = None

    @property
    def server_name(self) -> str | None:
        """The name to send in TLS (SNI), where the operator gave a name."""
        return self.endpoint.name or None

    def over(self, tls: TlsContext | None) -> "Approach":
        """Return the same approach with or without TLS."""
        return replace(self, tls=tls)

    @asynccontextmanager
    async def association(
        self, called: str, calling: str, contexts: Sequence[tuple[str, Sequence[str]]]
    ) -> AsyncIterator[Requestor]:
        """Open one association and release it; raises like ``net.client.associate``."""
        proposal = Proposal(called_ae_title=called, calling_ae_title=calling, contexts=contexts)
        async with (
            self.pace.turn(),
            associate(
                self.endpoint.address,
                self.endpoint.port,
                proposal,
                gate=self.gate,
                tls=self.tls,
                server_name=self.server_name,
                forgetful=True,
                limits=self.limits,
            ) as requestor,
        ):
            yield requestor

    @asynccontextmanager
    async def admitted_association(
        self, abstract_syntaxes: Sequence[str]
    ) -> AsyncIterator[Requestor]:
        """Open an association under the titles that were let in, in the default transfer syntax.

        Congestion is retried with growing pauses. Raises like ``net.client.associate``.
        """
        assert self.admitted is not None
        contexts = [(uid, DEFAULT_SYNTAX) for uid in abstract_syntaxes]
        pause_s = self.limits.congestion_pause_s
        for retry in range(self.limits.congestion_retries + 1):
            try:
                async with self.association(*self.admitted, contexts) as requestor:
                    yield requestor
                    return
            except AssociationRejected as rejection:
                if not rejection.is_transient or retry == self.limits.congestion_retries:
                    raise
            await asyncio.sleep(pause_s)
            pause_s *= 2

    async def handshake(self, context: TlsContext, *, linger_s: float = 0.0) -> TlsSession:
        """Make one TLS handshake and close; raises like ``net.tls.handshake``."""
        async with self.pace.turn():
            return await handshake(
                self.endpoint.address,
                self.endpoint.port,
                context,
                gate=self.gate,
                server_name=self.server_name,
                linger_s=linger_s,
                limits=self.limits,
            )


#: What a probe returns: its facts, and how far they go.
Answer = tuple[Outcome, str, Facts | None]


async def attempt(
    probe: str, approach: Approach, ask: Callable[[Approach], Awaitable[Answer]]
) -> Attempt:
    """Run one probe; failures on the way are outcomes, only ScopeError passes through."""
    loop = asyncio.get_running_loop()
    started_at, begun, before = datetime.now(UTC), loop.time(), approach.pace.connections
    try:
        outcome, reason, facts = await ask(approach)
    except ScopeError:
        raise
    except DoorwardError as error:
        outcome, reason, facts = _outcome_of(error), str(error), None
    return Attempt(
        probe=probe,
        endpoint=approach.endpoint,
        outcome=outcome,
        reason=reason,
        facts=facts,
        connections=approach.pace.connections - before,
        started_at=started_at.isoformat(timespec="milliseconds"),
        duration_s=round(loop.time() - begun, 4),
    )


def not_tested(probe: str, endpoint: Endpoint, reason: str) -> Attempt:
    """Return the attempt of a question that was not asked, and why."""
    return Attempt(
        probe=probe,
        endpoint=endpoint,
        outcome=Outcome.NOT_TESTED,
        reason=reason,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _outcome_of(error: DoorwardError) -> Outcome:
    """Our own system's faults are errors; everything the peer or the network does is inconclusive."""
    if isinstance(error, ConnectFailed) and error.kind == "local":
        return Outcome.ERROR
    if isinstance(error, (ConnectFailed, ConnectTimeout, ReplyTimeout, TlsFailed)):
        return Outcome.INCONCLUSIVE
    return Outcome.INCONCLUSIVE
