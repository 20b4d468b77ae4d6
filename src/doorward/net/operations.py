"""Operations of a requestor in progress: small objects that take responses as they are decoded.

Theory of operation: the association hands every response over in the same call stack that read it, without a task switch,
because a counting C-FIND gets hundreds of thousands of them. An operation keeps numbers and a status, never an identifier.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from doorward.errors import DoorwardError
from doorward.limits import Limits
from doorward.wire.command import CEchoResponse, CFindResponse, Command, NEventReportResponse
from doorward.wire.pdu import Fragment
from doorward.wire.wiped import WipedBuffer

#: Takes the status and the identifier of one match; must not keep either.
OnMatch = Callable[[int, Fragment], None]


_PENDING = (0xFF00, 0xFF01)  # the second: optional keys were not matched (PS3.4 Table C.4-1)


class Operation(Protocol):
    """One operation in progress: is given what answers it."""

    is_done: bool

    def command(self, context_id: int, command: Command) -> None:
        """A response, or a request of the peer that belongs to the operation (C-STORE during C-GET)."""

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """A piece of the data set of the last command."""


class FindEnd(StrEnum):
    """How a C-FIND ended."""

    FINAL = "final"  # a status that is not pending
    ABORTED = "aborted"  # A-ABORT or the end of the transport midway
    SILENT = "silent"  # no response in time


@dataclass(frozen=True, slots=True, kw_only=True)
class FindResult:
    """What a C-FIND came to. ``matches`` counts pending responses; ``capped`` says that we sent C-CANCEL."""

    end: FindEnd
    final_status: int | None
    matches: int
    capped: bool
    #: What ended it where ``end`` is not FINAL: an A-ABORT of the peer is an answer, a lost connection is none.
    failure: DoorwardError | None = None


class Single:
    """An operation with one response and no data set."""

    def __init__(self, response: type[CEchoResponse] | type[NEventReportResponse]) -> None:
        self._response = response
        self.is_done = False
        self.status = -1

    def command(self, context_id: int, command: Command) -> None:
        """Take the response; anything else is not for us."""
        if isinstance(command, self._response) and not self.is_done:
            self.status = command.status
            self.is_done = True

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """A data set where none belongs is dropped."""


class Find:
    """C-FIND: counts pending responses, hands whole identifiers on, keeps none."""

    def __init__(
        self, on_match: OnMatch, max_matches: int, limits: Limits, *, cancel: Callable[[], None]
    ) -> None:
        self._on_match = on_match
        self._most = max_matches
        self._limits = limits
        self._cancel = cancel
        self._status = 0
        self._parts = WipedBuffer()
        self._held = 0
        self.matches = 0
        self.final_status: int | None = None
        self.is_done = False
        self.is_cancelled = False
        self.cancelled_at = 0.0

    def command(self, context_id: int, command: Command) -> None:
        """A response: pending counts, anything else ends."""
        if type(command) is not CFindResponse or self.is_done:
            return
        status = command.status
        if status in _PENDING:
            self._status = status
            if not self.is_cancelled:
                self.matches += 1
                if not command.has_data_set:
                    self._on_match(status, b"")
                    if self.matches >= self._most:
                        self.stop()
        else:
            self.final_status = status
            self.is_done = True

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """A piece of an identifier; one that is too long is dropped, the match still counts."""
        if self.is_done or self.is_cancelled:
            return
        if is_last and not self._held:
            self._on_match(self._status, fragment)
        else:
            self._collect(fragment, is_last)
        if is_last and self.matches >= self._most:
            self.stop()

    def _collect(self, fragment: Fragment, is_last: bool) -> None:
        self._held += len(fragment) + 1  # one more, so that empty fragments count too
        if self._held <= self._limits.identifier_bytes:
            self._parts.append(fragment)
        if is_last:
            is_whole = self._held <= self._limits.identifier_bytes
            self._held = 0
            self._on_match(self._status, self._parts.view() if is_whole else b"")
            self._parts.clear()

    def stop(self) -> None:
        """Send C-CANCEL once; what still comes is let pass."""
        if not self.is_cancelled:
            self.is_cancelled = True
            self.cancelled_at = asyncio.get_running_loop().time()
            self._parts.clear()
            self._cancel()
