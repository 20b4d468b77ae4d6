"""Visits every system of a roster, side by side and with manners; each visit hands its answers over one by one.

Theory of operation: a fixed number of tasks take one visitee after the other, so a survey of a million addresses needs no
more memory than one of a hundred. Within a visit everything happens one after the other: port by port, probe by probe, one
association at a time. The order saves questions: a closed port is asked nothing more, a port that refuses all titles is not
asked for contexts. When a time window closes, visits are put back as they are and go on in the next one; when the
operator stops or a budget is spent, open questions are finished first.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from doorward.audit.facts import SystemFacts
from doorward.audit.roster import ListRoster, Roster, Visitee
from doorward.audit.scope import Scope
from doorward.audit.system import Observer, SurveySettings, SystemVisit
from doorward.audit.targets import DEFAULT_PORT, Target
from doorward.audit.traffic import UNPACED, Traffic, VisitStopped
from doorward.errors import ConnectFailed
from doorward.net.dial import resolve

__all__ = ["Observer", "SurveySettings", "addresses", "conduct", "survey"]

_log = logging.getLogger("doorward.audit")


async def survey(
    targets: Sequence[Target], *, scope: Scope, settings: SurveySettings, observer: Observer
) -> list[SystemFacts]:
    """Audit all targets and return what was seen, in the order of the targets.

    Raises ScopeError before the first connection when a target is outside the scope. When the calling task is cancelled,
    running associations are released, and what is finished is returned with the cancellation left on the task.
    """
    visitees: list[Visitee] = []
    seen: set[str] = set()
    for target in targets:
        for address, unknown in await addresses(target, scope):
            if unknown or address not in seen:
                seen.add(address)
                number = len(visitees)
                visitees.append(
                    Visitee(number=number, target=target, address=address, unknown=unknown)
                )
    roster = ListRoster(visitees)
    side_by_side = settings.limits.hosts_at_a_time
    rules = replace(UNPACED, systems_at_a_time=side_by_side, network_at_a_time=side_by_side)
    try:
        await conduct(
            roster, scope=scope, settings=settings, observer=observer, traffic=Traffic(rules)
        )
    except asyncio.CancelledError:
        if not roster.seen:
            raise
    return [roster.seen[number] for number in sorted(roster.seen)]


#: How to ask: everybody alike, or each visitee in its own way.
Manner = SurveySettings | Callable[[Visitee], SurveySettings]


async def conduct(
    roster: Roster,
    *,
    scope: Scope,
    settings: Manner,
    observer: Observer,
    traffic: Traffic,
) -> None:
    """Visit everybody on the roster, within the hours of the traffic's rules.

    Returns when nobody is left, or when ``traffic`` was stopped and every open question is finished. Cancelled, it releases
    running associations and puts their visitees back. Raises ScopeError, ConfigError.
    """
    traffic.require_files()
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_log_kind)
    try:
        while not traffic.is_stopped:
            await traffic.wait_until_open()
            if await _shift(roster, scope, settings, observer, traffic):
                return
    finally:
        loop.set_exception_handler(before)


async def _shift(
    roster: Roster, scope: Scope, settings: Manner, observer: Observer, traffic: Traffic
) -> bool:
    """Visit until nobody is left, then return True; or until the window closes: False."""
    scope_s = scope.left_s(traffic.now)
    if scope_s <= 0:
        traffic.stop("the authorisation of the scope has ended")
        return True

    async def work() -> None:
        while not traffic.is_stopped:
            visitee = await roster.next()
            if visitee is None:
                return
            manner = settings if isinstance(settings, SurveySettings) else settings(visitee)
            visit = SystemVisit(visitee, scope, manner, observer, roster, traffic)
            await _visit(visit, roster, traffic)

    try:
        async with asyncio.timeout(None) as shift:
            try:
                async with asyncio.TaskGroup() as tasks:
                    keeper = tasks.create_task(_keep_hours(shift, scope, traffic))
                    places = range(traffic.rules.systems_at_a_time)
                    await asyncio.wait([tasks.create_task(work()) for _ in places])
                    keeper.cancel()
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None
    except TimeoutError:
        return False
    return True


async def _keep_hours(shift: asyncio.Timeout, scope: Scope, traffic: Traffic) -> None:
    """End a shift with its window or the scope, by the operator's clock: it may be set, change to summer time, or stand
    still in a machine that sleeps.
    """
    now = asyncio.get_running_loop().time
    while not shift.expired():
        left_s = min(traffic.left_s(), scope.left_s(traffic.now))
        if left_s < float("inf"):
            shift.reschedule(now() + left_s)
        await asyncio.sleep(traffic.look_s)


async def _visit(visit: SystemVisit, roster: Roster, traffic: Traffic) -> None:
    try:
        async with traffic.visiting(visit.visitee.address):
            await visit.run()
    except VisitStopped:
        roster.put_back(visit.visitee, visit.facts())
    except asyncio.CancelledError:
        roster.put_back(visit.visitee, visit.facts())
        raise
    else:
        roster.finished(visit.visitee, visit.facts())


async def addresses(target: Target, scope: Scope) -> list[tuple[str, str]]:
    """Return the addresses of a target, each with "", or its name and why that is not known.

    Raises ScopeError when one of the addresses is outside the scope: nobody authorised half a name.
    """
    try:
        found = await resolve(target.host)
    except ConnectFailed as unknown:
        return [(target.host, str(unknown))]
    for address in found:
        scope.permit(address, (target.ports or (DEFAULT_PORT,))[0])
    return [(address, "") for address in found]


def _log_kind(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio caught by its kind alone: its own handler prints the text, which may quote a match (promise 2)."""
    _log.error("%s (%s)", context["message"], type(context.get("exception")).__name__)
