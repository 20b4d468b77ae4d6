"""How an answer is handed over: cut short, broken off, ended oddly, slowly or not at all.

Each function takes a stream of matches and gives another; what ends an association raises, and the session sends A-ABORT.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

from doorward.errors import AssociationAborted
from doorward.net.application import SUCCESS, Match, Peer
from doorward.practice.personas import QueryManners


def in_manner(matches: Iterator[Match], manners: QueryManners) -> Iterator[Match]:
    """Return the matches as the persona hands them over; a plain answer passes through untouched."""
    if manners.aborts_after is not None:
        return _broken_off(matches, manners.aborts_after)
    if manners.at_most is not None:
        return _cut(matches, manners.at_most, manners.at_most_status)
    if manners.final_status != SUCCESS:
        return _ended_with(matches, manners.final_status)
    return matches


def abort() -> AssociationAborted:
    """Return what ends an association from within an answer."""
    return AssociationAborted("this persona ends associations so", by_peer=False)


async def one_by_one(matches: Iterator[Match], delay_s: float) -> AsyncIterator[Match]:
    """Yield each match after a pause; the session stops asking when the association is over."""
    for match in matches:
        await asyncio.sleep(delay_s)
        yield match


async def silence(peer: Peer) -> AsyncIterator[Match]:
    """Yield nothing, and end when the peer has given up."""
    await peer.session.connection.wait_closed()
    nothing: tuple[Match, ...] = ()
    for match in nothing:
        yield match


def _cut(matches: Iterator[Match], most: int, status: int) -> Iterator[Match]:
    for number, match in enumerate(matches):
        if number == most:
            yield status, None
            return
        yield match


def _broken_off(matches: Iterator[Match], most: int) -> Iterator[Match]:
    for number, match in enumerate(matches):
        if number == most:
            raise abort()
        yield match


def _ended_with(matches: Iterator[Match], status: int) -> Iterator[Match]:
    yield from matches
    yield status, None
