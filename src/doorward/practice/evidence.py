"""What a fleet's log proves about whoever surveyed it: pure functions over its events.

Theory of operation: the log is read once into events, in the order in which the fleet saw them; each function goes through
them from beginning to end. A connection is named by its door and number. Groups: every address for itself, every network
(IPv4 /24, IPv6 /48), or all together under the name "all". An association counts as open from the answer to its request
until its connection is gone, so a caller that opens the next one before it has hung up is seen.
"""

import ipaddress
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from doorward.errors import ConfigError

ALL = "all"


class By(StrEnum):
    """What is counted together."""

    ADDRESS = "address"
    NETWORK = "network"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the log. ``t`` in seconds of a monotonic clock."""

    t: float
    wall: float
    event: str
    address: str
    port: int
    peer: str
    peer_port: int
    door: str
    number: int
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def connection(self) -> tuple[str, int]:
        """What names its connection."""
        return self.door, self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query that was asked, and whether its answer was given to the end."""

    t: float
    address: str
    port: int
    model: str
    level: str
    keys: tuple[str, ...]
    dates: str
    times: str
    #: Status of the final response; None: the caller was gone before.
    status: int | None = None
    matches: int = 0

    @property
    def words(self) -> tuple[object, ...]:
        """What makes two questions the same."""
        return self.address, self.port, self.model, self.level, self.keys, self.dates, self.times

    @property
    def was_answered(self) -> bool:
        """The final response was given, and was no cancel (FE00)."""
        return self.status is not None and self.status != 0xFE00


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events; a last line without its end, of a fleet that was killed, is left out. Raises ConfigError."""
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            return
        try:
            row = json.loads(line)
            named = {name: row.pop(name) for name in _NAMED}
        except (ValueError, KeyError, AttributeError):
            raise ConfigError("is no line of a fleet's log", line=number) from None
        yield Event(**named, details=row)


_NAMED = ("t", "wall", "event", "address", "port", "peer", "peer_port", "door", "number")


def most_connections_open(found: Iterable[Event], by: By) -> dict[str, int]:
    """Return the most connections that were open at one time, for each group, as the fleet saw it.

    Who hangs up before the fleet has looked is seen to be gone a turn late: between two quick connections that say nothing
    this may count one too many. Associations, whose end the fleet itself confirms, are exact.
    """
    return _most_open(found, by, "connected")


def most_associations_open(found: Iterable[Event], by: By) -> dict[str, int]:
    """Return the most associations that were open at one time, for each group."""
    return _most_open(found, by, "associated")


def fastest_second(found: Iterable[Event], by: By) -> dict[str, int]:
    """Return the most connections that were opened within any one second, for each group."""
    recent: dict[str, deque[float]] = {}
    most: Counter[str] = Counter()
    for event in found:
        if not _is_new_connection(event):
            continue
        group = _group(event, by)
        times = recent.setdefault(group, deque())
        times.append(event.t)
        while times[0] <= event.t - 1.0:
            times.popleft()
        most[group] = max(most[group], len(times))
    return dict(most)


def connections(found: Iterable[Event], by: By) -> dict[str, int]:
    """Return how many connections were opened, for each group."""
    return dict(Counter(_group(event, by) for event in found if _is_new_connection(event)))


def without_release(found: Iterable[Event]) -> tuple[Event, ...]:
    """Return the associations that were let in and did not end by A-RELEASE: aborted, lost, or still open."""
    left: dict[tuple[str, int], Event] = {}
    for event in found:
        if event.event == "associated":
            left[event.connection] = event
        elif event.event == "released":
            left.pop(event.connection, None)
    return tuple(left.values())


def questions(found: Iterable[Event], address: str = "") -> tuple[Question, ...]:
    """Return the queries that were asked of one address ("": of all), in order, with how they ended."""
    asked: list[Question] = []
    running: dict[tuple[str, int], int] = {}
    for event in found:
        if address and event.address != address:
            continue
        if event.event == "find":
            running[event.connection] = len(asked)
            asked.append(_question(event))
        elif event.event == "find_done" and event.connection in running:
            place = running.pop(event.connection)
            status, matches = (_whole(event.details[name]) for name in ("status", "matches"))
            asked[place] = replace(asked[place], status=status, matches=matches)
    return tuple(asked)


def repeated(asked: Sequence[Question]) -> tuple[Question, ...]:
    """Return the questions that had been answered before they were asked."""
    answered: set[tuple[object, ...]] = set()
    again: list[Question] = []
    for question in asked:
        if question.words in answered:
            again.append(question)
        if question.was_answered:
            answered.add(question.words)
    return tuple(again)


def open_hours(found: Iterable[Event]) -> Iterator[tuple[float, str]]:
    """Yield wall time (seconds since 1970) and address of each new connection: what a time window is held against."""
    return ((event.wall, event.address) for event in found if _is_new_connection(event))


def _is_new_connection(event: Event) -> bool:
    """Tell whether TCP connected here: behind TLS that was the knock, and ``connected`` the end of the handshake."""
    return event.event == "knocked" or (event.event == "connected" and not event.details.get("tls"))


def _most_open(found: Iterable[Event], by: By, begin: str) -> dict[str, int]:
    begun: dict[tuple[str, int], str] = {}
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for event in found:
        if event.event == begin:
            group = begun[event.connection] = _group(event, by)
            now[group] += 1
            most[group] = max(most[group], now[group])
        elif event.event == "closed" and event.connection in begun:
            now[begun.pop(event.connection)] -= 1
    return dict(most)


def _group(event: Event, by: By) -> str:
    if by is By.ALL:
        return ALL
    if by is By.ADDRESS:
        return event.address
    return network_of(event.address)


def network_of(address: str) -> str:
    """Return the network whose pace an address shares: IPv4 /24, IPv6 /48."""
    bits = 48 if ipaddress.ip_address(address).version == 6 else 24
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def _question(event: Event) -> Question:
    details = event.details
    keys = details["keys"]
    assert isinstance(keys, list)
    return Question(
        t=event.t,
        address=event.address,
        port=event.port,
        model=str(details["model"]),
        level=str(details["level"]),
        keys=tuple(map(str, keys)),
        dates=str(details["dates"]),
        times=str(details["times"]),
    )


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
