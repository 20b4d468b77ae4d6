"""One system under audit: one task, one pace, everything one after the other; what to ask is the itinerary's matter.

What was asked is never lost: a system that is interrupted or that runs into a fault of ours keeps its finished attempts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from doorward.audit import itinerary
from doorward.audit.approach import Answer, Approach, Pace, attempt, not_tested
from doorward.audit.facts import Attempt, Endpoint, Outcome, SystemFacts
from doorward.audit.scope import Scope
from doorward.audit.targets import Target
from doorward.errors import ConnectFailed, DoorwardError, ScopeError
from doorward.knowledge.ports import audited_ports
from doorward.limits import DEFAULT_LIMITS, Limits
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
        target: Target,
        address: str | ConnectFailed,
        scope: Scope,
        settings: SurveySettings,
        observer: Observer,
    ) -> None:
        self.settings = settings
        self.contact = scope.contact
        self._target = target
        self._unknown = address if isinstance(address, ConnectFailed) else None
        self._address = target.host if isinstance(address, ConnectFailed) else address
        self._scope = scope
        self._observer = observer
        self.level = 0 if self._unknown else scope.level(self._address, settings.clearance_level)
        self._asking = "association", self._ports()[0]
        self.attempts: list[Attempt] = []

    async def run(self, turns: asyncio.Semaphore) -> None:
        """Ask everything; ends by itself within ``limits.host_s``."""
        async with turns:
            self._observer.system_started(self._target)
            endpoint = self._endpoint(0)
            try:
                async with asyncio.timeout(self.settings.limits.host_s):
                    await self._ask_all()
            except TimeoutError:
                self._note("the time for one system was used up", endpoint)
            except (ScopeError, asyncio.CancelledError):
                raise
            except DoorwardError as error:
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
        """Ask one question, remembered while it is open: whatever ends it early belongs to it."""
        self._asking = probe, approach.endpoint.port
        return self._add(await attempt(probe, approach, ask))

    def skip(self, probe: str, approach: Approach, reason: str) -> None:
        """Note a question that is not asked, and why."""
        self._add(not_tested(probe, approach.endpoint, reason))

    def _add(self, made: Attempt) -> Attempt:
        self.attempts.append(made)
        self._observer.probe_finished(made)
        return made

    def _ports(self) -> tuple[int, ...]:
        return self._target.ports or self.settings.ports

    async def _ask_all(self) -> None:
        if self._unknown is not None:
            self._note(str(self._unknown), self._endpoint(0))
            return
        pace = Pace(self.settings.limits.probe_gap_s)
        for port in self._ports():
            await itinerary.ask_port(self, self._approach(port, pace))

    def _approach(self, port: int, pace: Pace) -> Approach:
        return Approach(
            endpoint=self._endpoint(port),
            gate=self._scope,
            pace=pace,
            limits=self.settings.limits,
            called_ae_titles=self.settings.called_ae_titles,
            calling_ae_title=self.settings.given_calling or "",
        )

    def tls(self) -> TlsContext:
        """Return the context with which a stranger's TLS is looked at, with the operator's certificate where given."""
        files = self.settings
        return probe_context(certificate=files.tls_certificate_file, key=files.tls_key_file)
