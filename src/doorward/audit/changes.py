"""What became of one system between two surveys: shut, gone, opened, or only found.

Theory of operation: pure. A system is open where a stranger's study query was answered and nothing speaks for a honeypot.
Door by door, an answer decides and silence does not: a door that was not asked again, or asked and not heard of, is not
shut (promise 4), and an open door that the earlier survey did not ask is no new door.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from doorward.audit.place import Place
from doorward.audit.standing import Standing


class Change(StrEnum):
    """What became of one system between two surveys."""

    # open in both
    STILL_OPEN = "still_open"
    # open before
    CLOSED = "closed"  # its doors were asked again and turned the stranger away
    GONE = "gone"  # nobody answers there any more, or the later survey does not list it
    SET_APART = "set_apart"  # looks like a honeypot or a demonstration now
    UNKNOWN_NOW = "unknown_now"  # not asked again, or without an answer that settles it
    # open now
    NEWLY_OPEN = "newly_open"  # was asked at this door, and no stranger got in
    NEWLY_LISTED = "newly_listed"  # was no target before
    METHOD_IMPROVED = "method_improved"  # found because more was asked, or the same judged better
    UNKNOWN_BEFORE = "unknown_before"  # was asked before, without an answer that settles it
    # open in neither
    SHUT = "shut"
    LEFT_OUT = "left_out"  # looks like a honeypot or a demonstration now, and was not open before
    UNKNOWN = "unknown"  # not settled in at least one of the two


OPEN_BEFORE: Final = frozenset(
    {Change.STILL_OPEN, Change.CLOSED, Change.GONE, Change.SET_APART, Change.UNKNOWN_NOW}
)
NEW: Final = frozenset(
    {Change.NEWLY_OPEN, Change.NEWLY_LISTED, Change.METHOD_IMPROVED, Change.UNKNOWN_BEFORE}
)
OPEN_NOW: Final = NEW | {Change.STILL_OPEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One side of the comparison; ``systems`` is read once."""

    systems: Iterable[Standing]
    clearance_level: int
    #: False where the survey was narrowed or ended early: who is missing was not asked, and nobody knows of it.
    is_whole: bool = True


def is_open(standing: Standing) -> bool:
    """Tell whether the system counts as unprotected: a stranger was served, and it does not look like a honeypot."""
    return standing.is_unprotected and not standing.is_suspected


# --- one system -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """One address in both surveys; None where a survey does not list it, and never in both."""

    before: Standing | None
    after: Standing | None

    @property
    def place(self) -> Place:
        """Where the system stands, as far as either survey knows."""
        # The earlier survey's word first: its own report then adds up to the same table.
        places = [s.place for s in (self.before, self.after) if s is not None]
        return places[0].filled_from(places[-1])

    @property
    def was_open(self) -> bool:
        """Open in the earlier survey."""
        return self.before is not None and is_open(self.before)

    @property
    def is_open(self) -> bool:
        """Open in the later survey."""
        return self.after is not None and is_open(self.after)


def judge_pair(
    pair: Pair, before: Survey, after: Survey, found: frozenset[str] = frozenset()
) -> tuple[Change, str]:
    """Return the class of one system, and why, in words for people.

    ``found`` are the addresses that the earlier facts show open when they are judged with today's checks.
    """
    if pair.was_open and pair.is_open:
        return Change.STILL_OPEN, "open in both surveys"
    if pair.was_open:
        assert pair.before is not None
        return _left(pair.before, pair.after, after)
    if pair.is_open:
        assert pair.after is not None
        return _arrived(pair.before, pair.after, before, after, found)
    return _never_open(pair)


def _left(was: Standing, now: Standing | None, survey: Survey) -> tuple[Change, str]:
    """Return what became of an open system that is open no more."""
    if now is None:
        if survey.is_whole:
            return Change.GONE, "the later survey does not list it"
        return Change.UNKNOWN_NOW, "the later survey was not whole and does not have it"
    if now.is_unprotected:
        return Change.SET_APART, "serves strangers, and looks like a honeypot or a demonstration"
    doors = frozenset(was.ports_unprotected or was.ports_asked)
    unasked = doors - frozenset(now.ports_asked)
    if unasked:
        return Change.UNKNOWN_NOW, f"{_ports(unasked)} not asked again"
    unsettled = doors - frozenset(now.ports_shut)
    if doors and not unsettled and _is_there(now):
        return Change.CLOSED, f"{_ports(doors)} asked again: strangers are turned away"
    if doors and unsettled <= frozenset(now.ports_silent):
        return Change.GONE, f"{_ports(unsettled or doors)} asked again: nobody answers there"
    return Change.UNKNOWN_NOW, f"{_ports(unsettled)} asked again, without an answer that settles it"


def _arrived(
    was: Standing | None, now: Standing, before: Survey, after: Survey, found: frozenset[str]
) -> tuple[Change, str]:
    """Return why a system is open that was not open before."""
    if was is None:
        if before.is_whole:
            return Change.NEWLY_LISTED, "the earlier survey did not list it"
        return Change.UNKNOWN_BEFORE, "the earlier survey was not whole and does not have it"
    if was.is_unprotected:
        return Change.METHOD_IMPROVED, "served strangers before, and was taken for a honeypot"
    if now.address in found:
        return Change.METHOD_IMPROVED, "the earlier facts, judged by today's checks, show it open"
    doors = frozenset(now.ports_unprotected or now.ports_asked)
    asked = doors & frozenset(was.ports_asked)
    if not asked:
        return Change.METHOD_IMPROVED, f"{_ports(doors)} not asked before"
    shut = asked & frozenset(was.ports_shut)
    if shut:
        return Change.NEWLY_OPEN, f"{_ports(shut)} asked before: strangers were turned away"
    if asked <= frozenset(was.ports_silent):
        return Change.NEWLY_OPEN, f"{_ports(asked)} asked before: nobody answered there"
    if before.clearance_level < after.clearance_level:
        words = (
            f"the earlier survey could not ask: its clearance level was {before.clearance_level}"
        )
        return Change.METHOD_IMPROVED, words
    return Change.UNKNOWN_BEFORE, f"{_ports(asked)} asked before, without an answer that settles it"


def _never_open(pair: Pair) -> tuple[Change, str]:
    if pair.after is None:
        return Change.UNKNOWN, "the later survey does not list it"
    if pair.after.is_unprotected:
        return Change.LEFT_OUT, "looks like a honeypot or a demonstration"
    if all(_is_shut(s) for s in (pair.before, pair.after) if s is not None):
        return Change.SHUT, "strangers are turned away"
    return Change.UNKNOWN, "not every door gave an answer that settles it"


def _is_there(standing: Standing) -> bool:
    """Tell whether any connection came about (rung E1): whoever refuses every port has left."""
    return "E1" in standing.rungs


def _is_shut(standing: Standing) -> bool:
    asked = frozenset(standing.ports_asked)
    return bool(asked) and asked <= frozenset(standing.ports_shut)


def _ports(ports: Iterable[int]) -> str:
    named = [str(port) for port in sorted(ports)]
    if len(named) == 1:
        return f"port {named[0]} was"
    return f"ports {', '.join(named[:-1])} and {named[-1]} were" if named else "its ports were"
