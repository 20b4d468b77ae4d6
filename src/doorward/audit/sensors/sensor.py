"""A sensor: takes work from the server, visits within its own scope and manners, and answers.

Theory of operation: the survey's engine visits whoever this roster gives, and this roster gives what the server hands out.
While a visit runs, and until its result is stored on the server, the lease of its work is renewed; only then is the work
acknowledged. So a sensor that dies loses nothing: another one gets the work when the lease is over. Without the server a
sensor finishes what it has begun, keeps the results, takes nothing new and tries to connect for ever. Work that comes twice
(its acknowledgement was lost, or the lease while the server was away) is never visited twice by one process.

A coordinator is not trusted with more than the sensor's own scope file, level and settings allow: what goes beyond is
refused, and the refusal is the answer.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import count

from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.roster import Visitee
from doorward.audit.scope import Scope
from doorward.audit.sensors.config import NatsConfig
from doorward.audit.sensors.link import Absent, Link, Refused, linked
from doorward.audit.sensors.messages import Result, Work, packed_parts, unpack
from doorward.audit.sensors.subjects import WORK, Delivery, facts_subject, parse_subject
from doorward.audit.survey import conduct
from doorward.audit.system import Observer, SurveySettings
from doorward.audit.traffic import Traffic
from doorward.errors import ConfigError, ReplyTimeout, ScopeError
from doorward.limits import Limits

#: Results on their way to the server side by side.
_PUBLISHERS = 8
#: Requests for work side by side: each takes a round trip to the server.
_PULLERS = 4


def _today() -> date:
    # The day of the operator's calendar, in which the permission was written.
    return datetime.now(UTC).astimezone().date()


@dataclass(slots=True, kw_only=True)
class Served:
    """What a sensor has done in its life."""

    visited: int = 0
    refused: int = 0
    given_back: int = 0


async def run_sensor(
    config: NatsConfig,
    *,
    scope: Scope,
    settings: SurveySettings,
    traffic: Traffic,
    observer: Observer,
    stop: asyncio.Event,
    say: Callable[[str], None] = lambda _: None,
    today: Callable[[], date] = _today,
) -> Served:
    """Serve until ``stop`` is set; then finish the questions that are open, give their systems back, and return.

    Others get them at once. Cancelled, it breaks the questions off, with a release. ``settings`` are the most that work may
    ask for. It ends by itself when its permission ends; ``today`` is asked anew for every system. Raises ConfigError where
    the server does not let this sensor in.
    """
    async with linked(config, is_patient=True, say=say, limits=settings.limits) as link:
        say(f"sensor {config.name} waits for work")
        roster = SensorRoster(link, config.name, scope=scope, settings=settings, today=today)
        roster.say = say
        engine = conduct(
            roster, scope=scope, settings=roster.settings, observer=observer, traffic=traffic
        )
        with _first_of_group():
            async with asyncio.TaskGroup() as tasks:
                own = [tasks.create_task(roster.deliver()) for _ in range(_PUBLISHERS)]
                own.append(tasks.create_task(roster.renew()))
                visiting = tasks.create_task(engine)
                own.append(tasks.create_task(_ended(roster, traffic, stop)))
                await asyncio.wait([visiting])
                if not stop.is_set() and traffic.stopped_because:
                    say(traffic.stopped_because)
                await roster.farewell()
                for task in own:
                    task.cancel()
        return roster.served


async def _ended(roster: "SensorRoster", traffic: Traffic, stop: asyncio.Event) -> None:
    await stop.wait()
    traffic.stop("the sensor is to end")
    roster.end()


@contextmanager
def _first_of_group() -> Iterator[None]:
    """Raise the first error of a group alone: one is enough to end a sensor."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


@dataclass(slots=True, kw_only=True)
class _Open:
    """One piece of work in our hands."""

    work: Work
    #: More than one where the server handed it out again meanwhile.
    deliveries: list[Delivery]
    renewed_s: float
    result: Result | None = None
    visit: str = field(default_factory=lambda: secrets.token_hex(8))


class SensorRoster:
    """Gives the engine what the server hands out, and the server what the engine found."""

    def __init__(
        self,
        link: Link,
        name: str,
        *,
        scope: Scope,
        settings: SurveySettings,
        today: Callable[[], date] = _today,
    ) -> None:
        self._link = link
        self._name = name
        self._scope = scope
        self._own = settings
        self._today = today
        self._limits: Limits = settings.limits
        self._numbers = count()
        self._open: dict[int, _Open] = {}
        #: The number under which a system of a survey is open.
        self._systems: dict[tuple[str, int], int] = {}
        #: Issues that were answered by this process.
        self._done: OrderedDict[str, None] = OrderedDict()
        self._pulling = asyncio.Semaphore(_PULLERS)
        self._results: asyncio.Queue[int] = asyncio.Queue()
        self._returns: asyncio.Queue[int] = asyncio.Queue()
        self._delivered = asyncio.Event()
        self._is_alone = False
        self._is_ending = False
        #: Of those who wait for work now.
        self._clocks: set[asyncio.Timeout] = set()
        self.say: Callable[[str], None] = lambda _: None
        self.served = Served()

    # --- for the engine -----------------------------------------------------------------------------------------------

    def settings(self, visitee: Visitee) -> SurveySettings:
        """Return how to ask one system."""
        return self._open[visitee.number].work.settings(self._own)

    async def next(self) -> Visitee | None:
        """Wait for work that may be done; None when the sensor is to end."""
        if self._is_ending:
            return None
        clock = asyncio.timeout(None)
        self._clocks.add(clock)
        try:
            async with clock, self._pulling:
                return await self._next()
        except TimeoutError:
            return None
        finally:
            self._clocks.discard(clock)

    async def _next(self) -> Visitee:
        while True:
            await self._room()
            delivery = await self._pull()
            visitee = None if delivery is None else await self._taken(delivery)
            if visitee is not None:
                return visitee

    def end(self) -> None:
        """Give no more work to the engine."""
        self._is_ending = True
        for clock in self._clocks:
            clock.reschedule(asyncio.get_running_loop().time())

    def answered(self, visitee: Visitee, attempt: Attempt) -> None:
        """Keep nothing: all answers go together."""

    def finished(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Let the result be delivered."""
        self.served.visited += 1
        self._answer(visitee.number, facts=facts)

    def put_back(self, visitee: Visitee, facts: SystemFacts) -> None:
        """Let somebody else have it."""
        self.served.given_back += 1
        self._returns.put_nowait(visitee.number)

    # --- taking work --------------------------------------------------------------------------------------------------

    async def _room(self) -> None:
        """Wait while too many results wait for the server."""
        while self._results.qsize() >= self._limits.sensor_results_held:
            self._delivered.clear()
            await self._delivered.wait()

    async def _pull(self) -> Delivery | None:
        try:
            delivery = await self._link.pull(WORK, self._name)
        except Absent as absent:
            if not self._is_alone:
                self.say(f"{absent}; waiting for it")
            self._is_alone = True
            await asyncio.sleep(self._limits.sensor_retry_s)
            return None
        self._is_alone = False
        return delivery

    async def _give_back(self) -> None:
        while not self._returns.empty():
            one = self._closed(self._returns.get_nowait())
            for delivery in one.deliveries:
                await self._link.give_back(delivery)

    async def _taken(self, delivery: Delivery) -> Visitee | None:
        """Return whom to visit, None for work that is refused, or in our hands already."""
        work = await self._readable(delivery)
        if work is None:
            return None
        if work.issue in self._done:
            await self._link.acknowledge(delivery)
            return None
        number = self._systems.get((work.scan, work.number))
        if number is not None:
            self._open[number].deliveries.append(delivery)
            return None
        number = next(self._numbers)
        now = asyncio.get_running_loop().time()
        self._open[number] = _Open(work=work, deliveries=[delivery], renewed_s=now)
        self._systems[work.scan, work.number] = number
        refusal = self._refusal(work)
        if refusal:
            self.served.refused += 1
            self.say(f"refused to ask {work.address}: {refusal}")
            self._answer(number, refusal="refused by the sensor's scope")
            return None
        return Visitee(
            number=number, target=work.target, address=work.address, answered=work.answered
        )

    def _refusal(self, work: Work) -> str:
        """Return why our own permission does not cover it today, "" where it does."""
        scope = replace(self._scope, today=self._today())
        try:
            for port in (*(work.target.ports or ()), *work.ports):
                scope.permit(work.address, port)
            if scope.level(work.address, work.settings(self._own).clearance_level) < 1:
                return "the scope allows no connection"
        except ScopeError as error:
            return str(error)
        return ""

    async def _readable(self, delivery: Delivery) -> Work | None:
        """Return the work of a delivery; what cannot be read is refused in the name that its subject carries."""
        place = parse_subject(delivery.subject)
        try:
            work = unpack(Work, delivery.content, limits=self._limits)
            if place != (self._name, work.scan, work.number):
                raise ConfigError("does not belong to its subject")
        except ConfigError as error:
            self.say(f"work that cannot be used: {error}")
            if place is not None:
                _, scan, number = place
                reason = "the sensor cannot read this work; is it of the same version?"
                refusal = Result(
                    scan=scan, number=number, address="", visit=secrets.token_hex(8), refusal=reason
                )
                await self._deliver(refusal)
            await self._link.acknowledge(delivery)
            return None
        return work

    # --- answering ----------------------------------------------------------------------------------------------------

    def _answer(self, number: int, *, facts: SystemFacts | None = None, refusal: str = "") -> None:
        one = self._open[number]
        one.result = Result(
            scan=one.work.scan,
            number=one.work.number,
            address=one.work.address,
            visit=one.visit,
            refusal=refusal,
            facts=facts,
        )
        self._results.put_nowait(number)

    async def deliver(self) -> None:
        """Store results on the server, then acknowledge their work; never ends by itself."""
        while True:
            number = await self._results.get()
            result = self._open[number].result
            assert result is not None
            await self._deliver(result)
            one = self._closed(number)
            self._remember(one.work.issue)
            for delivery in one.deliveries:
                await self._link.acknowledge(delivery)
            self._results.task_done()
            self._delivered.set()

    async def _deliver(self, result: Result) -> None:
        """Store every part; a part that is there already is another copy of the same answer."""
        parts = packed_parts(result, self._link.payload_bytes, limits=self._limits)
        for number, content in enumerate(parts, start=1):
            more = (result.visit, str(number)) if len(parts) > 1 else ()
            subject = facts_subject(self._name, result.scan, result.number, *more)
            while True:
                try:
                    await self._link.publish(subject, content)
                    break
                except (ReplyTimeout, Absent):
                    pass  # a second copy is refused by the stream
                except Refused as refused:
                    self.say(f"{refused}; trying again")
                await asyncio.sleep(self._limits.sensor_retry_s)

    async def renew(self) -> None:
        """Renew the leases of all that is open, and give back what was stopped; never ends by itself."""
        while True:
            await asyncio.sleep(self._limits.sensor_tick_s)
            await self._give_back()
            now = asyncio.get_running_loop().time()
            for one in list(self._open.values()):
                if self._link.is_connected and now - one.renewed_s >= one.work.lease_s / 3:
                    one.renewed_s = now
                    for delivery in one.deliveries:
                        await self._link.working(delivery)

    async def farewell(self) -> None:
        """Give back what is open and deliver what is known, as far as the server can be reached soon."""
        try:
            async with asyncio.timeout(self._limits.sensor_farewell_s):
                await self._give_back()
                await self._results.join()
        except TimeoutError:
            self.say(
                f"{len(self._open)} systems stay with the server: another sensor will ask them"
            )

    def _closed(self, number: int) -> _Open:
        one = self._open.pop(number)
        self._systems.pop((one.work.scan, one.work.number), None)
        return one

    def _remember(self, issue: str) -> None:
        self._done[issue] = None
        while len(self._done) > self._limits.sensor_issues_remembered:
            self._done.popitem(last=False)
