"""Listeners, caps and a graceful end; what is offered is an ``Application``, each connection a ``Session``.

Bounds: associations in all and per address, time to A-ASSOCIATE-RQ (ARTIM), idle time, one operation at a time on one
association, the size of an identifier, bytes queued for a peer that does not read.
"""

import asyncio
import inspect
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from doorward.errors import DoorwardError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.application import Application, Peer
from doorward.net.connection import Connection
from doorward.net.greeting import Greeting
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
        self._per_address: Counter[str] = Counter()
        self._greetings: set[asyncio.Task[None]] = set()
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
        loop = asyncio.get_running_loop()
        bound = port

        def answer() -> Connection | Greeting:
            self.application.knocked(host, bound)
            made = Connection(Session(self), role=Role.ACCEPTOR, limits=self.limits)
            return made if tls is None else Greeting(made, tls, self._greet)

        listener = await loop.create_server(answer, host, port, backlog=backlog)
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
        for task in (self._sweeper, self._worker, *self._greetings):
            task.cancel()

    def end(self, is_unwelcome: Callable[[Peer], bool]) -> int:
        """Abort the associations of those who are unwelcome from now on, whatever runs there; return how many."""
        found = [session for session in self._sessions if is_unwelcome(session.peer)]
        for session in found:
            session.stop()
        return len(found)

    # --- for sessions ----------------------------------------------------------------------------------------------

    def enter(self, session: "Session", address: str) -> int:
        """Count a session in and return its id."""
        self._sessions.add(session)
        self._empty.clear()
        self._per_address[address] += 1
        self._next_id += 1
        return self._next_id

    def _greet(self, greeting: Greeting) -> None:
        """Have the handshake made, beside all others."""
        made = greeting.handshake(self.limits.tls_handshake_s, self.application.turned_away)
        task = self._tasks.create_task(made)
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)
        task.add_done_callback(lambda _: made.close())

    def leave(self, session: "Session", address: str) -> None:
        """Count a session out."""
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def is_full_for(self, address: str) -> bool:
        """One more association would be too many, in all or from this address."""
        return (
            self._is_draining
            or len(self._sessions) > self.limits.associations
            or self._per_address[address] > self.limits.associations_per_peer
        )

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
