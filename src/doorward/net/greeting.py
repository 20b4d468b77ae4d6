"""Connections before TLS: accepted here, so that one which is refused can be told with the address it came from.

Theory of operation: the handshake belongs to a task of its own; where it succeeds, the protocol behind it is connected as if
nothing had been before; where it does not, the connection ends, and nobody behind this has heard of it.

Bounds: a handshake has its time; where too many wait, in all or from one address, the one that has waited longest makes
room. A stranger who opens ten thousand connections and says nothing ends his own.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.accepting import Acceptor
from doorward.net.connection import Connection
from doorward.net.tls import TlsContext, telling


@dataclass(slots=True)
class _Greeted:
    """A connection in its handshake."""

    address: str
    #: Until a transport has it.
    accepted: socket.socket | None


class Greetings:
    """The TLS listeners of one server, and every handshake that runs. ``told`` hears from where one was refused, and why."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        told: Callable[[str, str], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._tasks = tasks
        self._told = told
        self._limits = limits
        self._acceptors: list[Acceptor] = []
        #: The one that waits longest first.
        self._running: dict[asyncio.Task[None], _Greeted] = {}
        self._per_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._running)

    def begin(
        self, listener: socket.socket, tls: TlsContext, answer: Callable[[], Connection]
    ) -> None:
        """Accept on a socket that listens, until ``close``, which closes it."""
        listener.setblocking(False)

        def enter(accepted: socket.socket, address: str) -> None:
            self._enter(_Greeted(address, accepted), tls, answer)

        self._acceptors.append(Acceptor(listener, enter, self._end_oldest))

    def close(self) -> None:
        """Accept no more, and end every handshake."""
        for acceptor in self._acceptors:
            acceptor.close()
        for task in list(self._running):
            self._end(task)

    def _enter(self, one: _Greeted, tls: TlsContext, answer: Callable[[], Connection]) -> None:
        """Take a connection in; where there is no room, it is made."""
        if self._per_address[one.address] >= self._limits.associations_per_peer:
            self._end_oldest(one.address)
        elif len(self._running) >= self._limits.associations:
            self._end_oldest()
        task = self._tasks.create_task(self._greet(one, tls, answer))
        self._running[task] = one
        self._per_address[one.address] += 1
        task.add_done_callback(self._leave)

    async def _greet(
        self, one: _Greeted, tls: TlsContext, answer: Callable[[], Connection]
    ) -> None:
        accepted, one.accepted = one.accepted, None
        assert accepted is not None
        # It has the methods of an asyncio.Protocol, and is none for the reason that it says itself.
        made = cast(Callable[[], asyncio.Protocol], answer)
        try:
            with telling(partial(self._told, one.address)):
                await asyncio.get_running_loop().connect_accepted_socket(
                    made, accepted, ssl=tls, ssl_handshake_timeout=self._limits.tls_handshake_s
                )
        except OSError:  # no TLS, a certificate that is refused, too slow, gone
            return

    def _end_oldest(self, address: str | None = None) -> None:
        for task, one in self._running.items():
            if address in (None, one.address):
                self._end(task)
                return

    def _end(self, task: asyncio.Task[None]) -> None:
        """End a handshake; a task that has not begun would leave its socket open."""
        one = self._running[task]
        task.cancel()
        if one.accepted is not None:
            one.accepted.close()
        self._leave(task)

    def _leave(self, task: asyncio.Task[None]) -> None:
        one = self._running.pop(task, None)
        if one is None:
            return
        self._per_address[one.address] -= 1
        if not self._per_address[one.address]:
            del self._per_address[one.address]
