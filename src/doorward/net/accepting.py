"""Accepts connections on a socket that listens, one at a time, until it is closed.

The event loop's own ``sock_accept`` waits with a future. Where that is cancelled while a connection is on its way in, asyncio
fails in its callback, and logs it (InvalidStateError). Here nothing waits: the loop calls when somebody knocks, and a call
that is on its way is taken back with the rest.
"""

import asyncio
import socket
from collections.abc import Callable

#: Between two tries to accept when the system has no descriptor left.
_NO_ROOM_S = 0.1


class Acceptor:
    """Accepts on a socket that listens and does not block, and closes it at the end.

    ``take`` gets each connection, which does not block either, and where it came from. ``make_room`` is called where none
    could be accepted: no descriptor is left, or the peer is gone already; the next try is a little later.
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket, str], None],
        make_room: Callable[[], object],
    ) -> None:
        self._listener = listener
        self._take = take
        self._make_room = make_room
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Accept no more, and close the socket."""
        if self._pause is not None:
            self._pause.cancel()
        elif self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
        self._listener.close()

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return  # it went away before it was answered
        except OSError:
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(_NO_ROOM_S, self._listen)
            self._make_room()
            return
        connection.setblocking(False)
        self._take(connection, str(address[0]))
