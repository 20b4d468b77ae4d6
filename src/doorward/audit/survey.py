"""Asks every question of every system, in order and with manners; returns facts.

Theory of operation: each target becomes one or more systems (a name may have several addresses), each system is one task,
and within a system everything happens one after the other: port by port, probe by probe, one association at a time.
The order saves questions: a closed port is asked nothing more, a port that refuses all titles is not asked for contexts.
What was asked is never lost: a system that is interrupted or that runs into a fault of ours keeps its finished attempts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from doorward.audit.approach import Answer, Approach, Pace, attempt, not_tested
from doorward.audit.facts import (
    AssociationFacts,
    Attempt,
    Endpoint,
    ExposureFacts,
    Outcome,
    PortState,
    Reply,
    SystemFacts,
    TransportFacts,
)
from doorward.audit.probes import association, attributes, capabilities, exposure, transport
from doorward.audit.scope import Scope
from doorward.audit.targets import Target
from doorward.errors import ConnectFailed, DoorwardError, ScopeError
from doorward.knowledge.ports import audited_ports, expected_protocol
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import resolve
from doorward.net.tls import TlsContext, probe_context

_DICOM = (Reply.ACCEPTED, Reply.REJECTED, Reply.ABORTED)
_log = logging.getLogger("doorward.audit")
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


class Observer(Protocol):
    """Is told what happens; for progress only."""

    def system_started(self, target: Target) -> None:
        """A system's first question is about to be asked."""

    def probe_finished(self, attempt: Attempt) -> None:
        """One question is answered, or given up."""

    def system_finished(self, system: SystemFacts) -> None:
        """All questions of one system are done."""


async def survey(
    targets: Sequence[Target], *, scope: Scope, settings: SurveySettings, observer: Observer
) -> list[SystemFacts]:
    """Audit all targets and return what was seen, in the order of the targets.

    Raises ScopeError before the first connection when a target is outside the scope. When the calling task is cancelled,
    running associations are released, and what is finished is returned with the cancellation left on the task.
    """
    systems = await _systems(targets, scope)
    visits = [_Visit(target, address, scope, settings, observer) for target, address in systems]
    turns = asyncio.Semaphore(settings.limits.hosts_at_a_time)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_log_kind)
    try:
        async with asyncio.TaskGroup() as tasks:
            for visit in visits:
                tasks.create_task(visit.run(turns))
    except asyncio.CancelledError:
        if not any(visit.attempts for visit in visits):
            raise
    finally:
        loop.set_exception_handler(before)
    return [visit.facts() for visit in visits if visit.attempts]


def _log_kind(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio caught by its kind alone: its own handler prints the text, which may quote a match (promise 2)."""
    _log.error("%s (%s)", context["message"], type(context.get("exception")).__name__)


async def _systems(
    targets: Sequence[Target], scope: Scope
) -> list[tuple[Target, str | ConnectFailed]]:
    """Resolve names; each address once. A name that is not known stays, as a system that could not be tested."""
    seen: set[str] = set()
    systems: list[tuple[Target, str | ConnectFailed]] = []
    for target in targets:
        try:
            addresses = await resolve(target.host)
        except ConnectFailed as unknown:
            systems.append((target, unknown))
            continue
        for address in addresses:
            # the whole target is refused when one of its addresses is outside: nobody authorised half a name
            scope.permit(address, (target.ports or (104,))[0])
            if address not in seen:
                seen.add(address)
                systems.append((target, address))
    return systems


class _Visit:
    """One system."""

    def __init__(
        self,
        target: Target,
        address: str | ConnectFailed,
        scope: Scope,
        settings: SurveySettings,
        observer: Observer,
    ) -> None:
        self._target = target
        self._unknown = address if isinstance(address, ConnectFailed) else None
        self._address = target.host if isinstance(address, ConnectFailed) else address
        self._scope = scope
        self._settings = settings
        self._observer = observer
        self._level = 0 if self._unknown else scope.level(self._address, settings.clearance_level)
        self._asking = "association", self._ports()[0]
        self.attempts: list[Attempt] = []

    async def run(self, turns: asyncio.Semaphore) -> None:
        """Ask everything; ends by itself within ``limits.host_s``."""
        async with turns:
            self._observer.system_started(self._target)
            endpoint = self._endpoint(0)
            try:
                async with asyncio.timeout(self._settings.limits.host_s):
                    await self._ask_all()
            except TimeoutError:
                self._note("the time for one system was used up", endpoint)
            except (ScopeError, asyncio.CancelledError):
                raise
            except DoorwardError as error:
                self._note(str(error), endpoint)
            except (
                Exception
            ) as fault:  # this task owns the system: a fault of ours must not end the others
                self._note(f"internal error ({type(fault).__name__})", endpoint, Outcome.ERROR)
            self._observer.system_finished(self.facts())

    def facts(self) -> SystemFacts:
        """Return what was seen so far."""
        return SystemFacts(
            address=self._address,
            name="" if self._target.host == self._address else self._target.host,
            clearance_level=self._level,
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

    async def _ask(self, probe: str, approach: Approach, ask: Ask) -> Attempt:
        """Ask one question, remembered while it is open: whatever ends it early belongs to it."""
        self._asking = probe, approach.endpoint.port
        return self._add(await attempt(probe, approach, ask))

    def _add(self, made: Attempt) -> Attempt:
        self.attempts.append(made)
        self._observer.probe_finished(made)
        return made

    def _ports(self) -> tuple[int, ...]:
        return self._target.ports or self._settings.ports

    async def _ask_all(self) -> None:
        if self._unknown is not None:
            self._note(str(self._unknown), self._endpoint(0))
            return
        pace = Pace(self._settings.limits.probe_gap_s)
        for port in self._ports():
            await self._ask_port(self._approach(port, pace))

    def _approach(self, port: int, pace: Pace) -> Approach:
        return Approach(
            endpoint=self._endpoint(port),
            gate=self._scope,
            pace=pace,
            limits=self._settings.limits,
            called_ae_titles=self._settings.called_ae_titles,
            calling_ae_title=self._settings.given_calling or "",
        )

    async def _ask_port(self, approach: Approach) -> None:
        """Plain first, unless the port is registered for TLS; then TLS; then the questions behind the door."""
        plain: AssociationFacts | None = None
        if expected_protocol(approach.endpoint.port) != "dicom-tls":
            plain = await self._ask_association(approach)
            if plain is not None and plain.port_state is not PortState.OPEN:
                return
        speaks_plain = None if plain is None else _speaks_dicom(plain)
        found = await self._ask(
            "transport", approach, transport.asker(speaks_plain, self._settings.tls_ca_file)
        )
        secured = approach
        if _speaks_tls(found):
            secured = approach.over(self._tls())
            await self._ask_association(secured)
        if plain is None:  # a port that is registered for TLS: does it take plain DICOM too?
            await self._ask_association(approach)
        await self._ask_behind(approach if approach.admitted is not None else secured)

    async def _ask_association(self, approach: Approach) -> AssociationFacts | None:
        """Try the control pairs; the pair that was let in is remembered in the approach."""
        made = await self._ask("association", approach, association.ask)
        return made.facts if isinstance(made.facts, AssociationFacts) else None

    async def _ask_behind(self, approach: Approach) -> None:
        """What can be asked only of a door that let us in."""
        questions: tuple[tuple[str, Ask, int], ...] = (
            ("capabilities", capabilities.ask, 1),
            ("exposure", exposure.ask, 2),
            ("attributes", attributes.ask, 3),
        )
        for name, ask, level in questions:
            if approach.admitted is None:
                self._add(not_tested(name, approach.endpoint, "no association was accepted"))
            elif name == "attributes" and not self._answers_queries(approach.endpoint.port):
                self._add(not_tested(name, approach.endpoint, "no query was answered"))
            elif self._level < level:
                reason = f"needs clearance level {level}, allowed is {self._level}"
                self._add(not_tested(name, approach.endpoint, reason))
            else:
                await self._ask(name, approach, ask)

    def _answers_queries(self, port: int) -> bool:
        return any(
            isinstance(made.facts, ExposureFacts) and made.facts.answers_study_query
            for made in self.attempts
            if made.endpoint.port == port
        )

    def _tls(self) -> TlsContext:
        settings = self._settings
        return probe_context(certificate=settings.tls_certificate_file, key=settings.tls_key_file)


def _speaks_dicom(facts: AssociationFacts) -> bool | None:
    """Tell what the answers show; silence shows nothing, nor does what is neither DICOM nor anything known."""
    if any(reply.reply in _DICOM for reply in facts.replies):
        return True
    is_other = (r.reply is Reply.NOT_DICOM and r.looks_like for r in facts.replies)
    return False if any(is_other) or any(r.reply is Reply.CLOSED for r in facts.replies) else None


def _speaks_tls(made: Attempt) -> bool:
    return isinstance(made.facts, TransportFacts) and bool(made.facts.speaks_tls)
