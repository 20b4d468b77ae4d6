"""When a survey may ask: time windows of the week, in the operator's own clock.

    22:00-06:00            every night
    mon-fri 18:00-07:00    on working days from the evening to the next morning
    sat,sun 00:00-24:00    the whole weekend

A window that ends at or before its beginning ends on the next day. Several windows are open when one of them is.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from doorward.errors import ConfigError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES = 24 * 60
_WEEK_S = 7 * _MINUTES * 60
_FORM = re.compile(
    r"(?:(?P<days>[a-z,\-]+)\s+)?(?P<from_h>\d\d):(?P<from_m>\d\d)\s*-\s*(?P<to_h>\d\d):(?P<to_m>\d\d)"
)
_HINT = "A window is written like 22:00-06:00, 'mon-fri 18:00-07:00' or 'sat,sun 00:00-24:00'."


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One span of each of some days. ``days``: 0 is Monday; minutes count from midnight, the end may lie past it."""

    days: frozenset[int]
    begin_minute: int
    length_minutes: int

    def left_s(self, now: datetime) -> float:
        """Return for how many seconds the window is still open, 0 where it is not."""
        second = _second_of_week(now)
        for begin in self._begins():
            since = (second - begin) % _WEEK_S
            if since < self.length_minutes * 60:
                return self.length_minutes * 60 - since
        return 0.0

    def wait_s(self, now: datetime) -> float:
        """Return in how many seconds the window opens, 0 where it is open."""
        if self.left_s(now) > 0:
            return 0.0
        second = _second_of_week(now)
        return min((begin - second) % _WEEK_S for begin in self._begins())

    def _begins(self) -> Iterator[int]:
        """Yield the seconds of the week at which it opens."""
        return ((day * _MINUTES + self.begin_minute) * 60 for day in self.days)


def parse_window(text: str) -> Window:
    """Return the window that a text such as "mon-fri 18:00-07:00" names; raises ConfigError."""
    found = _FORM.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigError(f"{text!r} is no time window", hint=_HINT)
    begin = _minutes(found["from_h"], found["from_m"], text)
    end = _minutes(found["to_h"], found["to_m"], text)
    if begin == _MINUTES:
        raise ConfigError(f"{text!r} begins at 24:00; write 00:00 of the next day", hint=_HINT)
    length = end - begin if end > begin else end - begin + _MINUTES
    return Window(days=_days(found["days"], text), begin_minute=begin, length_minutes=length)


def left_s(windows: Sequence[Window], now: datetime) -> float:
    """Return for how many seconds one of the windows is still open; without windows for ever."""
    if not windows:
        return float("inf")
    left = max(window.left_s(now) for window in windows)
    if left == 0:
        return 0.0
    # Windows that touch or overlap are one: "fri 18:00-24:00" and "sat 00:00-24:00".
    for _ in range(len(windows) * 7):
        further = max(window.left_s(now + timedelta(seconds=left)) for window in windows)
        if further == 0 or left > _WEEK_S:
            break
        left += further
    return left


def wait_s(windows: Sequence[Window], now: datetime) -> float:
    """Return in how many seconds the next window opens, 0 where one is open or there are none."""
    return min((window.wait_s(now) for window in windows), default=0.0)


def _second_of_week(now: datetime) -> float:
    minutes = now.weekday() * _MINUTES + now.hour * 60 + now.minute
    # whole seconds stay whole numbers
    return minutes * 60 + now.second + (now.microsecond / 1_000_000 if now.microsecond else 0)


def _minutes(hours: str, minutes: str, text: str) -> int:
    value = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or value > _MINUTES:
        raise ConfigError(f"{text!r}: {hours}:{minutes} is no time of day", hint=_HINT)
    return value


def _days(text: str | None, whole: str) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ConfigError(f"{whole!r}: {part!r} is no day of the week", hint=_HINT)
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)
