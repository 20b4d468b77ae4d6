"""What comes at the same time becomes durable together.

Theory of operation: each thread writes what one instance has left (``Part.seal``) and puts it down here. Whoever finds nobody
at work then lets all that lie here be durable, does with them what is to follow (``keep``), and looks again. So an instance
that comes alone waits for nobody and changes no thread, and eight that come together share the syncs of the file system,
of the index and of the journal. The event loop is woken once for all of them: to wake one task for each costs more than
most of what is done here, and threads that wait for the lock of the interpreter cost more than all of it.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from doorward.archive.blobs.disk import Bytes
from doorward.archive.blobs.names import Blob
from doorward.archive.blobs.part import Part, place
from doorward.errors import DoorwardError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[R]):
    """Who waits for one instance, on the event loop."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[R]"


class _Brought(NamedTuple):
    part: Part
    about: Any
    waiting: Waiting[Any]


class Group(Generic[T, R]):
    """Lets blobs be durable, and then ``keep`` what was said about each; it returns what came of each, or why not."""

    def __init__(self, keep: Callable[[Sequence[T]], Sequence[R | DoorwardError]]) -> None:
        self._keep = keep
        self._brought: deque[_Brought] = deque()
        self._leading = threading.Lock()

    def bring(
        self, part: Part, block: Bytes, about: Callable[[Blob], T], waiting: Waiting[R]
    ) -> None:
        """Write the last block of a part; then all that has come is made durable and kept. Blocks, raises nothing.

        Who waits is told what ``keep`` has returned. ``about`` is called when the blob has its name and is not durable yet.
        What it raises, and StorageError, is told, and then nothing is kept.
        """
        try:
            blob = part.seal(block)
        except Exception as fault:  # noqa: BLE001 - whoever waits for it has to be told
            _tell([(waiting, fault)])
            return
        try:
            said = about(blob)
        except Exception as fault:  # noqa: BLE001 - as above
            place([part])  # an orphan, as after any fault behind this
            _tell([(waiting, fault)])
            return
        self._brought.append(_Brought(part, said, waiting))
        # Whoever brings something while another thread leads has it done by that thread, which looks here again.
        while self._brought and self._leading.acquire(blocking=False):
            try:
                self._end(self._gathered())
            finally:
                self._leading.release()

    def _gathered(self) -> list[_Brought]:
        gathered = []
        while self._brought:
            gathered.append(self._brought.popleft())
        return gathered

    def _end(self, batch: list[_Brought]) -> None:
        ends: list[object]
        try:
            ends = list(place([one.part for one in batch]))
            durable = [number for number, fault in enumerate(ends) if fault is None]
            kept = self._keep([batch[number].about for number in durable])
            for number, end in zip(durable, kept, strict=True):
                ends[number] = end
        except Exception as bug:  # noqa: BLE001 - nobody waits for ever, and the thread goes on for the next
            ends = [bug] * len(batch)
        _tell([(one.waiting, end) for one, end in zip(batch, ends, strict=True)])


def _tell(ends: list[tuple[Waiting[Any], object]]) -> None:
    """Tell those who wait, from any thread; a loop that has ended is passed over."""
    for loop in {waiting.loop for waiting, _ in ends}:
        of_this = [(waiting.future, end) for waiting, end in ends if waiting.loop is loop]
        try:
            loop.call_soon_threadsafe(_tell_here, of_this)
        except RuntimeError:
            pass  # it is closed: nobody waits there any more


def _tell_here(ends: list[tuple["asyncio.Future[Any]", object]]) -> None:
    for future, end in ends:
        if future.done():
            continue
        if isinstance(end, BaseException):
            future.set_exception(end)
        else:
            future.set_result(end)
