"""What comes back from sensors: looked at, put together, and given to the roster once for each system.

Results are believed as far as they can be: they must come from the sensor that is responsible (the server lets nobody else
write under its name), for a system that was handed to it, about the address that was asked, at a level that was allowed.
Anything else is dropped and counted. A system whose sensor sends nothing usable ends as inconclusive, which is never a pass.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from doorward.audit.facts import Attempt, Endpoint, Outcome, SystemFacts
from doorward.audit.roster import Roster, Visitee
from doorward.audit.sensors.messages import Result, unpack
from doorward.audit.sensors.subjects import Delivery, parse_subject
from doorward.audit.system import Observer, SurveySettings
from doorward.audit.traffic import Traffic
from doorward.errors import ConfigError
from doorward.limits import Limits


@dataclass(slots=True, kw_only=True)
class Coordinated:
    """What has happened to the results of one life of a survey."""

    finished: int = 0
    #: Systems that their sensor would not ask.
    refused: int = 0
    #: Results for a system that is finished: dropped.
    repeated: int = 0
    #: Results of a sensor that is not responsible: dropped.
    foreign: int = 0
    #: Results that cannot be read, or are about something else: dropped.
    unfit: int = 0
    #: Work that the server had lost: handed out again.
    reissued: int = 0


@dataclass(slots=True, kw_only=True)
class Handed:
    """One system that was taken from the roster and is not finished."""

    visitee: Visitee
    sensor: str
    is_published: bool = False
    #: Whether the last try to publish has succeeded is not known.
    is_uncertain: bool = False
    #: Loop time; what was published before a look at the server must be seen by it.
    published_s: float = 0.0
    #: Its place in the stream of work; None where it is not known.
    sequence: int | None = None
    bad_results: int = 0
    #: Parts of results that wait for the rest, by the visit that sent them.
    parts: dict[str, dict[int, Delivery]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What is to be said to the server about a delivery."""

    done: tuple[Delivery, ...] = ()
    #: The roster has not given this system yet: look again later.
    is_later: bool = False


class Receiver:
    """The systems in the sensors' hands, and what they answer."""

    def __init__(
        self,
        roster: Roster,
        settings: SurveySettings,
        traffic: Traffic,
        observer: Observer,
        say: Callable[[str], None],
    ) -> None:
        self._roster = roster
        self._settings = settings
        self._limits: Limits = settings.limits
        self._traffic = traffic
        self._observer = observer
        self._say = say
        self._finished: set[int] = set()
        self._kept_bytes = 0
        self.handed: dict[int, Handed] = {}
        #: Systems whose work is on the server, or in a sensor's hands.
        self.published: Counter[str] = Counter()
        #: The roster has nobody left.
        self.is_exhausted = False
        self.last_result_s = 0.0
        #: Something was finished, or is to be handed out again.
        self.changed = asyncio.Event()
        self.done = Coordinated()

    def mark_published(self, one: Handed, *, at_s: float) -> None:
        """Note that work is on the server since loop time ``at_s``."""
        one.is_published, one.published_s = True, at_s
        self.published[one.sensor] += 1

    def mark_withdrawn(self, one: Handed) -> None:
        """Note that work is not on the server."""
        if one.is_published:
            one.is_published = False
            self.published[one.sensor] -= 1

    def put_back(self) -> None:
        """Give the roster what is not finished; its results, where there will be any, wait on the server."""
        for one in self.handed.values():
            self._roster.put_back(one.visitee, facts_without_answers(one.visitee, self._settings))
        self.handed.clear()

    # --- results ------------------------------------------------------------------------------------------------------

    def receive(self, delivery: Delivery) -> Received:
        """Take one delivery in; what is to be acknowledged afterwards is safe by then. Raises ConfigError of the roster."""
        place = parse_subject(delivery.subject)
        if place is None:
            self.done.unfit += 1
            return Received(done=(delivery,))
        sensor, scan, number = place
        one = self.handed.get(number)
        if one is None and number not in self._finished and not self.is_exhausted:
            return Received(is_later=True)
        if one is None:
            self.done.repeated += 1
        elif sensor != one.sensor:
            self.done.foreign += 1
            self._say(f"dropped a result of {sensor} for {one.visitee.address}, which is not its")
        else:
            return self._judge(one, scan, delivery)
        return Received(done=(delivery,))

    def _judge(self, one: Handed, scan: str, delivery: Delivery) -> Received:
        try:
            result = unpack(Result, delivery.content, limits=self._limits)
            self._check(one, scan, result)
        except ConfigError as error:
            self._bad(one, str(error))
            return Received(done=(delivery,))
        if result.facts is None:
            self.done.refused += 1
            self._say(f"{one.visitee.address}: {result.refusal} ({one.sensor})")
            return Received(done=(*self.finish_unasked(one, result.refusal), delivery))
        if result.parts == 1:
            return Received(done=(*self._finish(one, result.facts), delivery))
        return self._gather(one, result, delivery)

    def _check(self, one: Handed, scan: str, result: Result) -> None:
        """Raise ConfigError for a result that is not about what was asked."""
        address = one.visitee.address
        if (result.scan, result.number) != (scan, one.visitee.number):
            raise ConfigError("is about another system than its subject says")
        if result.facts is None:
            if not result.refusal or result.address not in (address, ""):
                raise ConfigError("has neither facts nor a refusal")
            return
        about = {result.address, result.facts.address}
        about |= {attempt.endpoint.address for attempt in result.facts.attempts}
        if about != {address}:
            raise ConfigError("is about another address than was asked")
        if not 0 <= result.facts.clearance_level <= self._settings.clearance_level:
            raise ConfigError("was made at another clearance level than was asked")

    def _gather(self, one: Handed, result: Result, delivery: Delivery) -> Received:
        """Keep a part until all of its visit are there; too many bytes in hand make the system's parts go."""
        parts = one.parts.setdefault(result.visit, {})
        before = parts.get(result.part)
        self._kept_bytes += len(delivery.content) - (0 if before is None else len(before.content))
        parts[result.part] = delivery
        if len(parts) >= result.parts and set(parts) == set(range(1, result.parts + 1)):
            whole = [unpack(Result, parts[n].content, limits=self._limits) for n in sorted(parts)]
            facts = [part.facts for part in whole if part.facts is not None]
            attempts = tuple(attempt for part in facts for attempt in part.attempts)
            return Received(done=self._finish(one, replace(facts[0], attempts=attempts)))
        if self._kept_bytes > self._limits.sensor_kept_bytes:
            dropped = self._dropped(one)
            self._bad(one, f"more than {self._limits.sensor_kept_bytes:,} bytes in parts")
            return Received(done=dropped)
        return Received()

    def _dropped(self, one: Handed) -> tuple[Delivery, ...]:
        """Forget all parts of a system; returns their deliveries."""
        kept = tuple(part for parts in one.parts.values() for part in parts.values())
        self._kept_bytes -= sum(len(part.content) for part in kept)
        one.parts.clear()
        return kept

    def _bad(self, one: Handed, why: str) -> None:
        self.done.unfit += 1
        one.bad_results += 1
        self._say(f"dropped a result of {one.sensor} for {one.visitee.address}: it {why}")
        if one.bad_results >= self._limits.sensor_bad_results:
            self.finish_unasked(one, "what its sensor answered could not be used")

    # --- the end of a visit -------------------------------------------------------------------------------------------

    def finish_unasked(self, one: Handed, reason: str) -> tuple[Delivery, ...]:
        """Finish a system that could not be asked, with what it has answered before and why there is no more."""
        visitee = one.visitee
        name = "" if visitee.target.is_numeric else visitee.target.host
        port = (*(visitee.target.ports or ()), *self._settings.ports)[0]
        note = Attempt(
            probe="association",
            endpoint=Endpoint(address=visitee.address, port=port, name=name),
            outcome=Outcome.INCONCLUSIVE,
            reason=reason,
        )
        facts = facts_without_answers(visitee, self._settings)
        return self._finish(one, replace(facts, attempts=(*visitee.answered, note)))

    def _finish(self, one: Handed, facts: SystemFacts) -> tuple[Delivery, ...]:
        """Give the roster what is new and then the end; returns the parts that are of no use any more."""
        visitee = one.visitee
        facts = replace(facts, name=facts_without_answers(visitee, self._settings).name)
        self._observer.system_started(visitee.target)
        for attempt in _new(facts.attempts, visitee.answered):
            self._roster.answered(visitee, attempt)
            self._traffic.connections += max(attempt.connections, 0)
            self._observer.probe_finished(attempt)
        self._observer.system_finished(facts)
        self._roster.finished(visitee, facts)
        self.mark_withdrawn(one)
        self.handed.pop(visitee.number, None)
        self._finished.add(visitee.number)
        self.done.finished += 1
        self.last_result_s = asyncio.get_running_loop().time()
        self.changed.set()
        return self._dropped(one)


def facts_without_answers(visitee: Visitee, settings: SurveySettings) -> SystemFacts:
    """Return the facts of somebody whom nobody has asked."""
    host = visitee.target.host
    return SystemFacts(
        address=visitee.address,
        name="" if host == visitee.address else host,
        clearance_level=0 if visitee.unknown else settings.clearance_level,
        attempts=(),
    )


def _new(attempts: Iterable[Attempt], before: Iterable[Attempt]) -> Iterable[Attempt]:
    """Yield the attempts that were not there before, each as often as it is new."""
    known = list(before)
    for attempt in attempts:
        if attempt in known:
            known.remove(attempt)
        else:
            yield attempt
