"""Listeners, caps and a graceful end; what is offered is an ``Application``, each connection a ``Session``.

Bounds: associations in all and per address, time to A-ASSOCIATE-RQ (ARTIM), idle time, one operation at a time on one
association, the size of an identifier, bytes queued for a peer that does not read. Connections that ask for nothing shut
nobody out: where there are too many, the one that has waited longest makes room, of the same address where that has its
share already, and who has asked is counted without them. The same holds before TLS (``greeting``).
"""

import asyncio
import inspect
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from doorward.errors import DoorwardError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.application import Application, Peer
from doorward.net.connection import Connection
from doorward.net.greeting import Greetings
from doorward.net.session import Session, report_fault
from doorward.wire.association import Role


class Server:
    """Listeners of one application. Made by ``serve``."""

    def __init__(
        self, application: Application, tasks: asyncio.TaskGroup, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.application = application
        self.limits = limits
        self._tasks = tasks
        self._listeners: list[asyncio.Server] = []
        self._sessions: set[Session] = set()
        #: Those that have not asked for an association, the one that waits longest first.
        self._silent: dict[Session, str] = {}
        self._silent_of: Counter[str] = Counter()
        #: Those that have.
        self._asked: set[Session] = set()
        self._asked_of: Counter[str] = Counter()
        self._greetings = Greetings(tasks, application.turned_away, limits)
        self._is_draining = False
        self._next_id = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._sweeper = tasks.create_task(self._sweep())
        self._worker = tasks.create_task(self._work())

    async def listen(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, backlog: int = 512
    ) -> int:
        """Listen on one address and return the port (useful with port 0). Raises OSError when it is taken."""
        bound = port

        def answer() -> Connection:
            self.application.knocked(host, bound)
            return Connection(Session(self), role=Role.ACCEPTOR, limits=self.limits)

        if tls is not None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            accepting = socket.create_server((host, port), family=family, backlog=backlog)
            self._greetings.begin(accepting, tls, answer)
            bound = int(accepting.getsockname()[1])
            return bound
        listener = await asyncio.get_running_loop().create_server(
            answer, host, port, backlog=backlog
        )
        self._listeners.append(listener)
        bound = int(listener.sockets[0].getsockname()[1])
        return bound

    @property
    def associations(self) -> int:
        """Connections that are open now."""
        return len(self._sessions)

    async def close(self, *, drain_s: float | None = None) -> None:
        """Stop listening, let running operations finish for ``drain_s``, then abort what is left."""
        self._is_draining = True
        for listener in self._listeners:
            listener.close()
        self._greetings.close()
        until = asyncio.get_running_loop().time() + (
            self.limits.drain_s if drain_s is None else drain_s
        )
        for session in list(self._sessions):
            session.end_when_idle()
        try:
            async with asyncio.timeout_at(until):
                await self._empty.wait()
        except TimeoutError:
            pass
        for session in list(self._sessions):
            session.abort()
            session.connection.kill()
        for task in (self._sweeper, self._worker):
            task.cancel()

    def end(self, is_unwelcome: Callable[[Peer], bool]) -> int:
        """Abort the associations of those who are unwelcome from now on, whatever runs there; return how many."""
        found = [session for session in self._sessions if is_unwelcome(session.peer)]
        for session in found:
            session.stop()
        return len(found)

    # --- for sessions ----------------------------------------------------------------------------------------------

    def enter(self, session: "Session", address: str) -> int:
        """Count a session in and return its id; where there are too many, one that asks for nothing makes room."""
        if self._silent_of[address] >= self.limits.associations_per_peer:
            self._end_silent(address)
        elif len(self._silent) >= self.limits.associations:
            self._end_silent(None)
        self._sessions.add(session)
        self._empty.clear()
        self._silent[session] = address
        self._silent_of[address] += 1
        self._next_id += 1
        return self._next_id

    def asks(self, session: "Session", address: str) -> None:
        """An association is asked for."""
        self._no_longer_silent(session)
        self._asked.add(session)
        self._asked_of[address] += 1

    def refused(self, session: "Session", address: str) -> None:
        """Who was rejected has nothing to say any more, however long it stays (PS3.8 section 9.2.3, Sta13)."""
        if session not in self._asked:
            return
        self._asked.discard(session)
        _one_less(self._asked_of, address)
        self._silent[session] = address
        self._silent_of[address] += 1

    def leave(self, session: "Session", address: str) -> None:
        """Count a session out."""
        self._no_longer_silent(session)
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()
        if session in self._asked:
            self._asked.discard(session)
            _one_less(self._asked_of, address)

    def is_full_for(self, address: str) -> bool:
        """One more association would be too many, in all or from this address."""
        return (
            self._is_draining
            or len(self._asked) > self.limits.associations
            or self._asked_of[address] > self.limits.associations_per_peer
        )

    def _no_longer_silent(self, session: "Session") -> None:
        address = self._silent.pop(session, None)
        if address is not None:
            _one_less(self._silent_of, address)

    def _end_silent(self, address: str | None) -> None:
        """End the connection that has asked for nothing for longest, of one address or of all."""
        for session, of in self._silent.items():
            if address in (None, of):
                self._no_longer_silent(session)
                session.connection.kill()
                return

    def run(
        self, session: "Session", work: Coroutine[Any, Any, None], *inner: object
    ) -> asyncio.Task[None]:
        """Run what must wait for the peer; a fault in it ends its association and nothing else.

        ``inner`` is what it will wait for: closed too where the task is cancelled before it has begun.
        """
        task = self._tasks.create_task(self._guarded(session, work))
        task.add_done_callback(lambda done: _close(work, *inner) if done.cancelled() else None)
        return task

    async def _guarded(self, session: "Session", work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (DoorwardError, TimeoutError):
            session.abort()
        except (
            Exception
        ) as fault:  # the place that owns the task: an application's bug must not end the server
            report_fault(session, fault)
            session.abort()

    async def _work(self) -> None:
        """Run the application's own work; a bug in it must not end the server."""
        try:
            await self.application.work()
        except Exception as fault:  # the place that owns the task
            report_fault(None, fault)

    async def _sweep(self) -> None:
        """End associations that have been idle for too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self.limits.idle_s / 4))
            for session in list(self._sessions):
                if session.idle_since() + self.limits.idle_s < loop.time():
                    session.abort()
                    session.connection.kill()  # close() would wait for a peer that does not read


def _one_less(counted: Counter[str], address: str) -> None:
    counted[address] -= 1
    if not counted[address]:
        del counted[address]


def _close(*waited_for: object) -> None:
    for one in waited_for:
        if inspect.iscoroutine(one):
            one.close()


@asynccontextmanager
async def serve(
    application: Application, *, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[Server]:
    """Run a server for as long as the context is open; call ``listen`` on it for each address."""
    fault: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        server = Server(application, tasks, limits)
        try:
            yield server
        except Exception as caught:
            fault = caught  # the task group would wrap it: a taken port must stay an OSError
        finally:
            await server.close(drain_s=0.0 if server.associations == 0 else None)
    if fault is not None:
        raise fault
