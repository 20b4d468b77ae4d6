"""What all visits together may do: pace, places side by side, hours, and a budget that ends.

Theory of operation: every connection of a survey passes ``admit`` before it is opened. It waits for the turn of its network
(an IPv4 /24 or an IPv6 /48) and holds it while it waits for the turn of all; each turn lies at least a gap after the one
before, plus a little chance, so that no rhythm of ours meets a rhythm of theirs. A budget that is spent, or the operator's
stop, raises ``VisitStopped``, at once for all who wait: what is open is finished, nothing new is begun. Hours are kept by
``survey``, which sends everybody home when the window closes.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address

from doorward.audit import windows
from doorward.audit.windows import Window
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.descriptors import OUR_OWN, room

#: How wide a network is whose owner feels our pace: what one site usually has of its provider.
_PREFIX_BITS = {4: 24, 6: 48}


class VisitStopped(Exception):
    """A visit is to end before its next question; what was answered stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a survey may cost; None: no bound of its own."""

    seconds: float | None = None
    connections: int | None = None
    received_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRules:
    """The manners of a survey as a whole. Rates are connections per second; 0 means unpaced."""

    systems_at_a_time: int = DEFAULT_LIMITS.hosts_at_a_time
    per_second: float = DEFAULT_LIMITS.connection_rate
    network_at_a_time: int = DEFAULT_LIMITS.network_systems_at_a_time
    network_per_second: float = DEFAULT_LIMITS.network_connection_rate
    windows: tuple[Window, ...] = ()
    budget: Budget = field(default_factory=Budget)


#: One audit of named systems: their number and the pace of each are manners enough.
UNPACED = TrafficRules(
    per_second=0, network_at_a_time=DEFAULT_LIMITS.hosts_at_a_time, network_per_second=0
)


class Traffic:
    """The one place that every connection of a survey passes."""

    def __init__(
        self,
        rules: TrafficRules = UNPACED,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
        chance: Callable[[], float] = lambda: secrets.randbelow(1_000) / 1_000,
        on_wait: Callable[[float], None] = lambda _: None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """``on_wait`` is told for how many seconds no window is open; ``chance`` gives 0 to 1."""
        self.rules = rules
        self._clock = clock
        self._on_wait = on_wait
        self._limits = limits
        self._chance = chance
        self._stop = asyncio.Event()
        self._all = _Lane(rules.per_second, limits.pace_jitter_percent, chance, self._stop)
        self._networks: dict[str, _Network] = {}
        self._counts = asyncio.Semaphore(limits.counts_at_a_time)
        self._began_s: float | None = None
        #: Why nothing new is begun; "" while everything goes on.
        self.stopped_because = ""
        self.connections = 0
        self.received_bytes = 0
        #: Connections that one visit may open side by side, to see which doors exist.
        self.glances_at_a_time = limits.discovery_at_a_time

    # --- every connection -----------------------------------------------------------------------------------------

    async def admit(self, address: str) -> float:
        """Wait until one more connection to the address may be opened; return how many seconds that took.

        Raises VisitStopped when the budget is spent or the survey is to stop.
        """
        begun = asyncio.get_running_loop().time()
        if self._began_s is None:
            self._began_s = begun
        # Held while the turn of all is waited for: given back before, turns that lay far apart would leave together.
        async with self._network(address).lane.turn(), self._all.turn():
            self._check()
            self.connections += 1
        return asyncio.get_running_loop().time() - begun

    def received(self, octets: int) -> None:
        """Take note of bytes that came in."""
        self.received_bytes += octets

    @asynccontextmanager
    async def visiting(self, address: str) -> AsyncIterator[None]:
        """Hold one of the places of the address's network while a system is visited."""
        network = self._network(address)
        network.visitors += 1
        try:
            async with network.places:
                yield
        finally:
            network.visitors -= 1

    def require_files(self) -> None:
        """Make sure that every place can hold a connection; raises ConfigError where the system allows too few files.

        Without this a survey would find half of its systems unreachable, for want of files of its own.
        """
        places = self.rules.systems_at_a_time
        found = room(places * self._limits.discovery_at_a_time)
        if found < places:
            message = f"{places:,} systems side by side need {places + OUR_OWN:,} open files"
            hint = f"Ask {max(found, 1):,} at a time (--systems), or raise the limit: ulimit -n."
            raise ConfigError(message, hint=hint)
        self.glances_at_a_time = found // places

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[None]:
        """Hold one of the places for archives whose matches stream in; raises VisitStopped like ``admit``."""
        async with self._counts:
            self._check()
            yield

    # --- the survey as a whole ------------------------------------------------------------------------------------

    def stop(self, because: str) -> None:
        """Begin nothing new from now on; the first reason stands."""
        self.stopped_because = self.stopped_because or because
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Nothing new is begun any more."""
        if not self._stop.is_set():
            self._count_costs()
        return self._stop.is_set()

    @property
    def now(self) -> datetime:
        """The operator's clock."""
        return self._clock()

    @property
    def look_s(self) -> float:
        """Seconds between two looks at the operator's clock."""
        return self._limits.window_sleep_s

    def left_s(self) -> float:
        """Return for how many seconds asking is still allowed: the window's rest, or for ever."""
        return windows.left_s(self.rules.windows, self.now)

    async def wait_until_open(self) -> None:
        """Sleep until a window is open; returns early when the survey is stopped."""
        while not self.is_stopped:
            wait_s = windows.wait_s(self.rules.windows, self._clock())
            if wait_s <= 0:
                return
            self._on_wait(wait_s)
            # Not in one sleep: clocks are set, machines are suspended.
            await _sleep_until(self._stop, min(wait_s, self._limits.window_sleep_s))

    def _check(self) -> None:
        if self.is_stopped:
            raise VisitStopped

    def _count_costs(self) -> None:
        budget = self.rules.budget
        if budget.connections is not None and self.connections >= budget.connections:
            self.stop(f"the budget of {budget.connections:,} connections is spent")
        elif budget.received_bytes is not None and self.received_bytes >= budget.received_bytes:
            self.stop(f"the budget of {budget.received_bytes:,} bytes is spent")
        elif budget.seconds is not None and self._elapsed_s() >= budget.seconds:
            self.stop(f"the time of {budget.seconds:g} seconds is used up")

    def _elapsed_s(self) -> float:
        """Return the seconds since the first connection."""
        if self._began_s is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._began_s

    def _network(self, address: str) -> "_Network":
        name = network_of(address)
        network = self._networks.get(name)
        if network is None:
            if len(self._networks) >= self._limits.networks_remembered:
                self._forget()
            jitter_percent = self._limits.pace_jitter_percent
            lane = _Lane(self.rules.network_per_second, jitter_percent, self._chance, self._stop)
            network = _Network(lane, self.rules.network_at_a_time)
            self._networks[name] = network
        return network

    def _forget(self) -> None:
        """Drop networks where nobody is and whose next turn is already due: nothing would be different."""
        now = asyncio.get_running_loop().time()
        idle = [n for n, one in self._networks.items() if not one.visitors and one.lane.due <= now]
        for name in idle:
            del self._networks[name]


class _Lane:
    """Turns, one after the other, at least a gap apart; after a stop nobody waits for one any more."""

    def __init__(
        self,
        per_second: float,
        jitter_percent: int,
        chance: Callable[[], float],
        stop: asyncio.Event,
    ) -> None:
        self._gap_s = 1 / per_second if per_second > 0 else 0.0
        self._jitter = jitter_percent / 100
        self._chance = chance
        self._stop = stop
        self._lock = asyncio.Lock()
        #: Loop time from which the next may go.
        self.due = float("-inf")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the turn; the next one lies a gap after this one was used."""
        if not self._gap_s:
            yield
            return
        now = asyncio.get_running_loop().time
        async with self._lock:
            while (wait_s := self.due - now()) > 0 and not self._stop.is_set():
                await _sleep_until(self._stop, wait_s)  # a timer may be early
            yield
            self.due = now() + self._gap_s * (1 + self._jitter * self._chance())


async def _sleep_until(event: asyncio.Event, seconds: float) -> None:
    """Sleep, but no longer than until the event is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


class _Network:
    """One network's turns and places."""

    def __init__(self, lane: _Lane, at_a_time: int) -> None:
        self.lane = lane
        self.places = asyncio.Semaphore(at_a_time)
        self.visitors = 0


def network_of(address: str) -> str:
    """Return the network whose pace an address shares: its IPv4 /24 or IPv6 /48; a name is its own."""
    try:
        numeric = ip_address(address)
    except ValueError:
        return address
    bits = numeric.max_prefixlen - _PREFIX_BITS[numeric.version]
    return f"{numeric.version}:{int(numeric) >> bits:x}"
