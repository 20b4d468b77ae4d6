"""Asks every question of every system, in order and with manners; returns facts.

Theory of operation: each target becomes one or more systems (a name may have several addresses), each system is one task,
and within a system everything happens one after the other: port by port, probe by probe, one association at a time.
The order saves questions: a closed port is asked nothing more, a port that refuses all titles is not asked for contexts.
What was asked is never lost: a system that is interrupted or that runs into a fault of ours keeps its finished attempts.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from doorward.audit.facts import SystemFacts
from doorward.audit.scope import Scope
from doorward.audit.system import Observer, SurveySettings, SystemVisit
from doorward.audit.targets import Target
from doorward.errors import ConnectFailed
from doorward.net.dial import resolve

__all__ = ["Observer", "SurveySettings", "survey"]

_log = logging.getLogger("doorward.audit")


async def survey(
    targets: Sequence[Target], *, scope: Scope, settings: SurveySettings, observer: Observer
) -> list[SystemFacts]:
    """Audit all targets and return what was seen, in the order of the targets.

    Raises ScopeError before the first connection when a target is outside the scope. When the calling task is cancelled,
    running associations are released, and what is finished is returned with the cancellation left on the task.
    """
    systems = await _systems(targets, scope)
    visits = [
        SystemVisit(target, address, scope, settings, observer) for target, address in systems
    ]
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
