"""One C-STORE that is taken in by a task: its fragments as they come, no faster than they are taken.

Theory of operation: the session puts fragments in from within its reads, the application's receiver takes them out. Where
more than ``incoming_bytes`` wait, the connection is not read, so TCP makes the sender wait. The receiver is woken when a
part of that waits, or the data set is whole: to wake a task for each of the small fragments that most senders make of an
image costs more than all else that is done with them. What comes after a receiver has
made up its mind is dropped; the answer leaves after the last fragment, since C-STORE has no other place for it (PS3.7
section 9.3.1.2). Whoever sends more than ``store_bytes`` without an end is not waited for.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from doorward.net.connection import Connection
from doorward.net.transfer import Answer, IncomingStore, StreamReceiver
from doorward.wire.command import CStoreRequest, CStoreResponse
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import Fragment

#: Of what may wait, this part wakes the receiver; while it works, the rest may come.
_PARTS = 4


class StreamedStore:
    """One C-STORE on its way to a ``StreamReceiver``."""

    def __init__(
        self,
        connection: Connection,
        context: AcceptedContext,
        request: CStoreRequest,
        taker: StreamReceiver,
    ) -> None:
        self.context = context
        self._answering = IncomingStore(context, request, 0)
        self._connection = connection
        self._taker = taker
        self._enough_bytes = connection.limits.incoming_bytes // _PARTS
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = self._seen_bytes = 0
        self._came = asyncio.Event()
        self._is_whole = self._is_refused = False

    def fragment(self, fragment: Fragment) -> None:
        """Keep a piece until it is taken, and read no further where too much waits."""
        self._seen_bytes += len(fragment)
        if self._seen_bytes > self._connection.limits.store_bytes:
            self._connection.association.abort()
            return
        if self._is_refused or not fragment:
            return
        self._waiting.append(bytes(fragment))
        self._waiting_bytes += len(fragment)
        if self._waiting_bytes >= self._enough_bytes:
            self._came.set()
        if self._waiting_bytes > self._connection.limits.incoming_bytes:
            self._connection.pause()

    def end(self) -> None:
        """The data set is whole; the task answers."""
        self._is_whole = True
        self._came.set()

    def abandon(self) -> None:
        """Nothing more comes; the session cancels the task."""

    def response(self, status: int, comment: str = "") -> CStoreResponse:
        """Return the C-STORE-RSP for a status."""
        return self._answering.response(status, comment)

    async def run(self) -> Answer:
        """Return the receiver's answer once the data set has been read to its end."""
        answer = await self._taker(self._fragments())
        self._is_refused = True
        self._waiting.clear()
        self._connection.resume()
        while not self._is_whole:
            self._came.clear()
            await self._came.wait()
        return answer

    async def _fragments(self) -> AsyncIterator[bytes]:
        while True:
            while self._waiting:
                piece = self._waiting.popleft()
                self._waiting_bytes -= len(piece)
                if not self._waiting:
                    self._connection.resume()
                yield piece
            if self._is_whole:
                return
            self._came.clear()
            await self._came.wait()
