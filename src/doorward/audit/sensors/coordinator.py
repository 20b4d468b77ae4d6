"""The coordinator: hands systems of a survey to the sensors that are responsible, and judges each of them once.

Theory of operation: a system goes roster -> work on the server -> sensor -> result on the server -> roster. At every moment
its work or its result is on the server, because a sensor stores the result before it acknowledges the work, and a result is
acknowledged here only after the roster has it for good. So whoever dies, the next one goes on:

* a sensor: the server gives its work to another one of that name when the lease is over;
* the server: work and results are in files; what was lost nevertheless is found by a look at both streams, now and then,
  and handed out again;
* this process: at its start it looks which work and which results are there and hands out only the rest.

Little is on the server at a time (twice what a sensor visits side by side), so that a stop takes back nearly everything.
What comes back is looked at in ``receiving``.
"""

import asyncio
import secrets
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from doorward.audit.roster import Roster, Visitee
from doorward.audit.sensors.config import CoordinatorConfig
from doorward.audit.sensors.link import Absent, Link, Refused, linked
from doorward.audit.sensors.messages import TOKEN, pack, work_of
from doorward.audit.sensors.receiving import Coordinated, Handed, Receiver, facts_without_answers
from doorward.audit.sensors.subjects import FACTS, WORK, facts_subject, parse_subject, work_subject
from doorward.audit.system import Observer, SurveySettings
from doorward.audit.traffic import Traffic
from doorward.errors import ConfigError, ReplyTimeout
from doorward.limits import Limits

T = TypeVar("T")

#: Results taken from the server side by side.
_COLLECTORS = 4
#: Results in the hands of this process: parts wait for their siblings.
_UNACKNOWLEDGED = 10_000
#: Systems taken from the roster before anything else gets its turn.
_TAKEN_AT_A_TIME = 256
#: Looks in a row at which nobody takes a sensor's work, until that is said: between two pulls nobody is seen, too.
_LOOKS = 2
_EVERY = "*"
_REST = ">"


def scan_name(number: int, started_at: datetime) -> str:
    """Return the name of a survey on the server: no other survey has it, of whatever ledger."""
    return f"{started_at.astimezone(UTC):%Y%m%dT%H%M%S%f}-{number}"


async def coordinate(
    roster: Roster,
    config: CoordinatorConfig,
    *,
    scan: str,
    settings: SurveySettings,
    traffic: Traffic,
    observer: Observer,
    say: Callable[[str], None] = lambda _: None,
) -> Coordinated:
    """Have everybody on the roster visited by sensors; return when nobody is left, or when ``traffic`` was stopped.

    ``scan`` names the survey on the server (``scan_name``): the same for all its lives, and nobody else's. ``traffic``
    decides on hours and budget, and how many systems the sensors of one name visit side by side; the pace is the sensors'
    own. Cancelled, it puts back what is not finished; results that come later wait on the server. Raises ConfigError for an
    address without a route and where the server does not let us in, ConnectFailed without a server.
    """
    if not TOKEN.fullmatch(scan):
        raise ConfigError("the name of a survey has letters, digits, - and _ only", field="scan")
    limits = settings.limits
    receiver = Receiver(roster, settings, traffic, observer, say)
    async with linked(config.nats, is_patient=False, say=say, limits=limits) as link:
        try:
            await _Coordinator(roster, config, scan, settings, traffic, link, receiver, say).run()
        finally:
            receiver.put_back()
    return receiver.done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a system's work or result is, by the words of its subject."""

    sensor: str
    number: int


class _Coordinator:
    """One life of one survey."""

    def __init__(
        self,
        roster: Roster,
        config: CoordinatorConfig,
        scan: str,
        settings: SurveySettings,
        traffic: Traffic,
        link: Link,
        receiver: Receiver,
        say: Callable[[str], None],
    ) -> None:
        self._roster = roster
        self._config = config
        self._scan = scan
        self._settings = settings
        self._limits: Limits = settings.limits
        self._traffic = traffic
        self._link = link
        self._receiver = receiver
        self._say = say
        #: Systems that wait for room in the stream, by sensor.
        self._held: dict[str, deque[int]] = defaultdict(deque)
        #: What an earlier life has put on the server.
        self._there: set[_Place] = set()
        #: For how many looks in a row nobody took a sensor's work.
        self._absent: Counter[str] = Counter()
        self._begun_s = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Hand out and collect until all is done or stopped."""
        try:
            await self._persist(self._begin)
        except Absent:
            message = "leads to a NATS server without JetStream"
            hint = "Its file needs a line such as: jetstream { store_dir: /var/lib/nats }"
            file = self._config.nats.file
            raise ConfigError(message, file=file, field="nats.servers", hint=hint) from None
        self._there = await self._persist(self._on_server)
        try:
            async with asyncio.TaskGroup() as tasks:
                own = [tasks.create_task(self._collect()) for _ in range(_COLLECTORS)]
                own.append(tasks.create_task(self._sweep()))
                is_whole = await self._hand_out()
                for task in own:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        if is_whole:
            await self._tidy()

    async def _persist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the server answers."""
        while True:
            try:
                return await ask()
            except ReplyTimeout:
                await asyncio.sleep(self._limits.sensor_retry_s)

    # --- the server's side --------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Make everything; results that were in the hands of an earlier life that is dead are free at once."""
        await self._prepare()
        await self._link.api(f"CONSUMER.DELETE.{FACTS}.{self._scan}")
        await self._prepare()

    async def _prepare(self) -> None:
        """Make streams and consumers where they are missing."""
        link, limits = self._link, self._limits
        for stream in (WORK, FACTS):
            await link.make_stream(stream)
        for sensor in self._config.routes.sensors:
            await link.make_consumer(
                WORK,
                sensor,
                work_subject(sensor, _EVERY, _REST),
                lease_s=self._config.nats.lease_s,
                at_a_time=self._traffic.rules.systems_at_a_time,
            )
        await link.make_consumer(
            FACTS,
            self._scan,
            facts_subject(_EVERY, self._scan, _REST),
            lease_s=limits.sensor_lease_s,
            at_a_time=_UNACKNOWLEDGED,
        )

    async def _on_server(self) -> set[_Place]:
        """Return every system whose work or result is on the server.

        Work is looked at first: what a sensor turns from work into a result in between is then seen as a result.
        """
        work = await self._link.subjects(WORK, work_subject(_EVERY, self._scan, _REST))
        facts = await self._link.subjects(FACTS, facts_subject(_EVERY, self._scan, _REST))
        words = map(parse_subject, work | facts)
        return {_Place(sensor=found[0], number=found[2]) for found in words if found}

    async def _tidy(self) -> None:
        """Take away what is left of a survey that is done; what cannot be reached ends by its age."""
        patterns = {
            WORK: work_subject(_EVERY, self._scan, _REST),
            FACTS: facts_subject(_EVERY, self._scan, _REST),
        }
        try:
            for stream, pattern in patterns.items():
                await self._link.api(f"STREAM.PURGE.{stream}", {"filter": pattern})
            await self._link.api(f"CONSUMER.DELETE.{FACTS}.{self._scan}")
        except (ReplyTimeout, Absent, Refused):
            pass

    # --- handing out --------------------------------------------------------------------------------------------------

    async def _hand_out(self) -> bool:
        """Return True when everybody is finished, False when the survey was stopped before."""
        receiver = self._receiver
        while not self._is_stopped():
            if self._traffic.left_s() <= 0:
                await self._withdraw()
                await self._traffic.wait_until_open()
                continue
            receiver.changed.clear()
            is_more = await self._take()
            await self._publish()
            if receiver.is_exhausted and not receiver.handed:
                return True
            await self._pause(0 if is_more else self._limits.sensor_tick_s)
        await self._withdraw()
        await self._last_results()
        return receiver.is_exhausted and not receiver.handed

    def _is_stopped(self) -> bool:
        seconds = self._traffic.rules.budget.seconds
        elapsed_s = asyncio.get_running_loop().time() - self._begun_s
        if seconds is not None and elapsed_s >= seconds:
            self._traffic.stop(f"the time of {seconds:g} seconds is used up")
        return self._traffic.is_stopped

    async def _pause(self, most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                await self._receiver.changed.wait()
        except TimeoutError:
            pass

    async def _take(self) -> bool:
        """Take systems from the roster; True: there may be more, and room for them."""
        receiver = self._receiver
        for _ in range(_TAKEN_AT_A_TIME):
            if receiver.is_exhausted or len(receiver.handed) >= self._limits.sensor_outstanding:
                return False
            visitee = await self._roster.next()
            if visitee is None:
                receiver.is_exhausted = True
            elif visitee.unknown:
                receiver.finish_unasked(Handed(visitee=visitee, sensor=""), visitee.unknown)
            else:
                self._accept(visitee)
        return True

    def _accept(self, visitee: Visitee) -> None:
        receiver = self._receiver
        try:
            sensor = self._config.routes.sensor(visitee.address)
        except ConfigError:
            self._roster.put_back(visitee, facts_without_answers(visitee, self._settings))
            raise
        one = Handed(visitee=visitee, sensor=sensor)
        receiver.handed[visitee.number] = one
        if _Place(sensor=sensor, number=visitee.number) in self._there:
            receiver.mark_published(one, at_s=0.0)
        else:
            self._held[sensor].append(visitee.number)

    async def _publish(self) -> None:
        """Put work on the server where a sensor has little of it."""
        most = 2 * self._traffic.rules.systems_at_a_time
        for sensor, numbers in list(self._held.items()):
            while numbers and self._receiver.published[sensor] < most:
                one = self._receiver.handed.get(numbers[0])
                if one is not None and not await self._is_published(one):
                    return
                numbers.popleft()

    async def _is_published(self, one: Handed) -> bool:
        """Put one system's work on the server; False: not now."""
        visitee, receiver = one.visitee, self._receiver
        content = pack(
            work_of(
                visitee,
                self._settings,
                scan=self._scan,
                issue=secrets.token_hex(8),
                lease_s=self._config.nats.lease_s,
            )
        )
        if len(content) > self._link.payload_bytes:
            receiver.finish_unasked(one, "it has answered too much before for a sensor to go on")
            return True
        receiver.mark_published(one, at_s=float("inf"))
        try:
            if one.is_uncertain and await self._is_on_server(one):
                sequence = None
            else:
                subject = work_subject(one.sensor, self._scan, visitee.number)
                sequence = await self._link.publish(subject, content)
        except (ReplyTimeout, Absent, Refused) as failed:
            receiver.mark_withdrawn(one)
            one.is_uncertain = True
            if isinstance(failed, Refused):
                self._say(f"{failed}; trying again")
            elif isinstance(failed, Absent):
                await self._again()
            return False
        one.sequence, one.is_uncertain = sequence, False
        one.published_s = asyncio.get_running_loop().time()
        return True

    async def _is_on_server(self, one: Handed) -> bool:
        """Tell whether the last try to hand it out has succeeded after all (or its result is even done with)."""
        there = await self._on_server()
        place = _Place(sensor=one.sensor, number=one.visitee.number)
        return place in there or one.visitee.number not in self._receiver.handed

    # --- stopping -----------------------------------------------------------------------------------------------------

    async def _withdraw(self) -> None:
        """Take back the work that no sensor has begun."""
        published = [one for one in self._receiver.handed.values() if one.is_published]
        try:
            for sensor in {one.sensor for one in published}:
                consumer = await self._link.api(f"CONSUMER.INFO.{WORK}.{sensor}")
                begun = int(consumer.get("delivered", {}).get("stream_seq", 0))
                for one in published:
                    if one.sensor == sensor and await self._sequence(one) > begun:
                        await self._take_back(one)
        except (ReplyTimeout, Absent, Refused) as failed:
            self._say(f"some work stays on the server: {failed}")

    async def _sequence(self, one: Handed) -> int:
        """Return where in the stream the work is; 0: nowhere, a sensor has done it."""
        if one.sequence is None:
            subject = work_subject(one.sensor, self._scan, one.visitee.number)
            try:
                found = await self._link.api(f"STREAM.MSG.GET.{WORK}", {"last_by_subj": subject})
            except Refused:
                return 0
            one.sequence = int(found.get("message", {}).get("seq", 0))
        return one.sequence

    async def _take_back(self, one: Handed) -> None:
        body = {"seq": one.sequence, "no_erase": True}
        try:
            await self._link.api(f"STREAM.MSG.DELETE.{WORK}", body)
        except Refused:
            return  # a sensor was faster
        one.sequence = None
        self._receiver.mark_withdrawn(one)
        self._held[one.sensor].append(one.visitee.number)

    async def _last_results(self) -> None:
        """Wait for what sensors are asking now, as long as results keep coming."""
        receiver = self._receiver
        now = asyncio.get_running_loop().time
        receiver.last_result_s = now()
        while waiting := sum(receiver.published.values()):
            receiver.changed.clear()
            left_s = receiver.last_result_s + self._limits.sensor_stop_s - now()
            if left_s <= 0:
                self._say(f"{waiting:,} systems are left to their sensors; their answers will wait")
                return
            await self._pause(left_s)

    # --- collecting ---------------------------------------------------------------------------------------------------

    async def _collect(self) -> None:
        """Take results from the server, for ever."""
        while True:
            try:
                delivery = await self._link.pull(FACTS, self._scan)
            except Absent:
                await self._again()
                continue
            if delivery is None:
                continue
            received = self._receiver.receive(delivery)
            for done in received.done:
                await self._link.acknowledge(done)
            if received.is_later:
                await self._link.give_back(delivery, self._limits.sensor_later_s)

    async def _again(self) -> None:
        """Make anew what the server has lost."""
        await asyncio.sleep(self._limits.sensor_retry_s)
        try:
            await self._prepare()
        except (ReplyTimeout, Absent, Refused):
            pass

    async def _sweep(self) -> None:
        """Look now and then for work that the server has lost, and for sensors that are not there."""
        while True:
            await asyncio.sleep(self._limits.sensor_sweep_s)
            begun_s = asyncio.get_running_loop().time()
            try:
                there = await self._on_server()
                await self._look_for_sensors()
            except (ReplyTimeout, Refused):
                continue
            except Absent:
                await self._again()
                continue
            for number, one in self._receiver.handed.items():
                is_there = _Place(sensor=one.sensor, number=number) in there
                if one.is_published and one.published_s < begun_s and not is_there:
                    self._receiver.mark_withdrawn(one)
                    self._receiver.done.reissued += 1
                    self._held[one.sensor].append(number)
            self._receiver.changed.set()

    async def _look_for_sensors(self) -> None:
        """Say where work waits and nobody takes it. Raises Absent where a consumer is lost, which a pull does not tell."""
        await self._link.api(f"CONSUMER.INFO.{FACTS}.{self._scan}")
        waiting: Counter[str] = Counter(one.sensor for one in self._receiver.handed.values())
        for sensor, systems in waiting.items():
            consumer = await self._link.api(f"CONSUMER.INFO.{WORK}.{sensor}")
            if consumer.get("num_waiting") or consumer.get("num_ack_pending"):
                self._absent[sensor] = 0
                continue
            self._absent[sensor] += 1
            if self._absent[sensor] == _LOOKS:
                self._say(f"no sensor {sensor} takes work; {systems:,} systems wait for it")
