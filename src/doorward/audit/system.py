"""One system under audit: one task, one pace, everything one after the other; what to ask is the itinerary's matter.

What was asked is never lost: a system that is interrupted or that runs into a fault of ours keeps its finished attempts.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from doorward.audit import itinerary
from doorward.audit.approach import Answer, Approach, Pace, attempt, not_tested
from doorward.audit.facts import Attempt, Endpoint, Outcome, PortState, ReachFacts, SystemFacts
from doorward.audit.probes import reach
from doorward.audit.roster import Roster, Visitee
from doorward.audit.scope import Scope
from doorward.audit.targets import Target
from doorward.audit.traffic import Traffic, VisitStopped
from doorward.errors import DoorwardError, ScopeError
from doorward.knowledge.ports import audited_ports
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import MeteredGate
from doorward.net.tls import TlsContext, probe_context

Ask = Callable[[Approach], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveySettings:
    """What to ask, and how."""

    clearance_level: int = 2
    ports: tuple[int, ...] = field(default_factory=audited_ports)
    called_ae_titles: tuple[str, ...] = ()
    #: A calling AE title that the system is said to know: its answer is compared with that to a stranger.
    given_calling: str | None = None
    limits: Limits = DEFAULT_LIMITS
    tls_ca_file: Path | None = None
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    #: Clearance level 3 only: one documented pair per recognised product, one attempt.
    try_default_credentials: bool = False
    #: Glance at all ports of a system before anything is asked: for networks, where most addresses are dead.
    discovers: bool = False
    #: Where counting every study would take too long: days drawn by chance, and an interval.
    estimate: bool = False


class Observer(Protocol):
    """Is told what happens; for progress only."""

    def system_started(self, target: Target) -> None:
        """A system's first question is about to be asked."""

    def probe_finished(self, attempt: Attempt) -> None:
        """One question is answered, or given up."""

    def system_finished(self, system: SystemFacts) -> None:
        """All questions of one system are done."""


class SystemVisit:
    """Everything that is asked of one address."""

    def __init__(
        self,
        visitee: Visitee,
        scope: Scope,
        settings: SurveySettings,
        observer: Observer,
        roster: Roster,
        traffic: Traffic,
    ) -> None:
        self.settings = settings
        self.contact = scope.contact
        self.visitee = visitee
        self._target = visitee.target
        self._address = visitee.address
        self._gate = MeteredGate(scope, traffic.received)
        self._observer = observer
        self._roster = roster
        self._traffic = traffic
        self.level = 0 if visitee.unknown else scope.level(self._address, settings.clearance_level)
        self._asking = "association", (*self._ports(), 0)[0]
        self._clock: asyncio.Timeout | None = None
        #: Connections that wait for their turn, and the seconds that the system has left when they have had it.
        self._waiting = 0
        self._left_s = 0.0
        self._earlier: dict[tuple[str, int], deque[Attempt]] = {}
        for made in visitee.answered:
            self._earlier.setdefault((made.probe, made.endpoint.port), deque()).append(made)
        self.attempts: list[Attempt] = []
        #: The roster could not keep an answer.
        self._is_unheard = False
        #: What a glance at each port met, where the visit began with one.
        self.glanced: dict[int, Attempt] = {}

    async def run(self) -> None:
        """Ask everything; ends by itself within ``limits.host_s``, not counting the wait for its turns.

        Raises VisitStopped when nothing more is to be asked for now, ScopeError when an address is not covered.
        """
        self._observer.system_started(self._target)
        endpoint = self._endpoint(0)
        try:
            async with asyncio.timeout(self.settings.limits.host_s) as self._clock:
                await self._ask_all()
        except TimeoutError:
            self._note("the time for one system was used up", endpoint)
        except (ScopeError, VisitStopped, asyncio.CancelledError):
            raise
        except DoorwardError as error:
            if self._is_unheard:  # no visit may go on, or end, without the answer that was refused
                raise
            self._note(str(error), endpoint)
        except Exception as fault:  # noqa: BLE001 - this task owns the system: a fault of ours must not end the others
            self._note(f"internal error ({type(fault).__name__})", endpoint, Outcome.ERROR)
        self._observer.system_finished(self.facts())

    def facts(self) -> SystemFacts:
        """Return what was seen so far."""
        return SystemFacts(
            address=self._address,
            name="" if self._target.host == self._address else self._target.host,
            clearance_level=self.level,
            attempts=tuple(self.attempts),
        )

    def _endpoint(self, port: int) -> Endpoint:
        name = "" if self._target.is_numeric else self._target.host
        return Endpoint(address=self._address, port=port, name=name)

    def _note(
        self, reason: str, endpoint: Endpoint, outcome: Outcome = Outcome.INCONCLUSIVE
    ) -> None:
        probe, port = self._asking
        place = Endpoint(address=endpoint.address, port=port, name=endpoint.name)
        self._add(Attempt(probe=probe, endpoint=place, outcome=outcome, reason=reason))

    async def ask(self, probe: str, approach: Approach, ask: Ask) -> Attempt:
        """Ask one question, remembered while it is open: whatever ends it early belongs to it.

        What an earlier life of this visit asked is not asked again.
        """
        earlier = self._earlier.get((probe, approach.endpoint.port))
        if earlier:
            made = earlier.popleft()
            self.attempts.append(made)
            return made
        if self._traffic.is_stopped:
            raise VisitStopped
        self._asking = probe, approach.endpoint.port
        if probe not in _COUNTING:
            return self._add(await attempt(probe, approach, ask))
        async with AsyncExitStack() as stack:
            async with self._off_the_clock():
                await stack.enter_async_context(self._traffic.counting())
            return self._add(await attempt(probe, approach, ask))

    def skip(self, probe: str, approach: Approach, reason: str) -> None:
        """Note a question that is not asked, and why."""
        earlier = self._earlier.get((probe, approach.endpoint.port))
        if earlier:
            self.attempts.append(earlier.popleft())
        else:
            self._add(not_tested(probe, approach.endpoint, reason))

    def _add(self, made: Attempt) -> Attempt:
        try:
            self._roster.answered(self.visitee, made)
        except DoorwardError:
            self._is_unheard = True
            raise
        self.attempts.append(made)
        self._observer.probe_finished(made)
        return made

    def _ports(self) -> tuple[int, ...]:
        return self._target.ports or self.settings.ports

    async def _ask_all(self) -> None:
        if self.visitee.unknown:
            self._note(self.visitee.unknown, self._endpoint(0))
            return
        pace = Pace(self.settings.limits.probe_gap_s, self._admit)
        approaches = [self._approach(port, pace) for port in self._ports()]
        if self.settings.discovers and len(approaches) > 1:
            approaches = await self._existing(approaches)
        for approach in approaches:
            await itinerary.ask_port(self, approach)

    async def _existing(self, approaches: Sequence[Approach]) -> list[Approach]:
        """Glance at all ports, a few side by side; return those that are open, in order.

        The other ones have said all they have to say: closed, or silent, and that is noted.
        """
        turns = asyncio.Semaphore(self._traffic.glances_at_a_time)

        async def glance(approach: Approach) -> Attempt:
            # A pace of its own: they are side by side, and each counts its own connection.
            alone = replace(approach, pace=Pace(self.settings.limits.probe_gap_s, self._admit))
            async with turns:
                return await self.ask("reach", alone, reach.glance)

        try:
            async with asyncio.TaskGroup() as tasks:
                glances = [tasks.create_task(glance(approach)) for approach in approaches]
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        self.glanced = {one.result().endpoint.port: one.result() for one in glances}
        return [a for a in approaches if _is_open(self.glanced[a.endpoint.port])]

    async def _admit(self) -> None:
        """Wait for the turn of one connection."""
        async with self._off_the_clock():
            await self._traffic.admit(self._address)

    @asynccontextmanager
    async def _off_the_clock(self) -> AsyncIterator[None]:
        """Wait for others; the time for one system does not run meanwhile."""
        clock = self._clock
        assert clock is not None, "run() has begun"
        now = asyncio.get_running_loop().time
        until = clock.when()
        if until is not None:
            self._left_s = until - now()
            clock.reschedule(None)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting and not clock.expired():
                clock.reschedule(now() + self._left_s)

    def _approach(self, port: int, pace: Pace) -> Approach:
        titles = (*self.settings.called_ae_titles, *self._target.called_ae_titles)
        return Approach(
            endpoint=self._endpoint(port),
            gate=self._gate,
            pace=pace,
            limits=self.settings.limits,
            called_ae_titles=tuple(dict.fromkeys(titles)),
            calling_ae_title=self.settings.given_calling or self._target.calling_ae_title,
        )

    def tls(self) -> TlsContext:
        """Return the context with which a stranger's TLS is looked at, with the operator's certificate where given."""
        files = self.settings
        return probe_context(certificate=files.tls_certificate_file, key=files.tls_key_file)


#: Questions whose answers stream in: only so many systems are asked them side by side.
_COUNTING = ("exposure", "parts")


def _is_open(made: Attempt) -> bool:
    return isinstance(made.facts, ReachFacts) and made.facts.port_state is PortState.OPEN
