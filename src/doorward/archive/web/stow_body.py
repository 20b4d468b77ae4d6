"""The body of a STOW request as parts, each an iterator over its bytes; what breaks the body is kept and said once.

Nothing is read before it is asked for: a disk that is slower than the network makes the sender wait.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.requests import ClientDisconnect, Request

from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from doorward.limits import Limits
from doorward.web.multipart import (
    Event,
    MultipartReader,
    PartBegun,
    PartData,
    PartEnded,
    boundary_of,
    parse_media_type,
)

DICOM = "application/dicom"
MULTIPART = "multipart/related"
#: Encodings that change no byte (RFC 2045 section 6, RFC 9110 section 8.4.1).
AS_IT_IS = frozenset({"", "binary", "8bit", "7bit", "identity"})


def source_of(request: Request, limits: Limits) -> "Source | None":
    """Return the parts of a request; None for a media type that is not taken.

    Raises PeerProtocolError for a Content-Type that cannot be read, LimitExceeded for one that is too long, and for a body
    that says it is larger than ``stow_bytes``.
    """
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:20]) > limits.stow_bytes:
        raise LimitExceeded(limit="stow_bytes", value=limits.stow_bytes, seen=int(length[:20]))
    media_type = parse_media_type(request.headers.get("content-type", ""), limits)
    if request.headers.get("content-encoding", "").strip().lower() not in AS_IT_IS:
        return None
    if media_type.name == DICOM:
        return Source(request, None, limits)
    is_dicom = media_type.parameters.get("type", DICOM).lower() == DICOM
    if media_type.name != MULTIPART or not is_dicom:
        return None
    return Source(request, MultipartReader(boundary_of(media_type, limits), limits), limits)


class Source:
    """The parts of one request, one after another; ``fault`` is what ended them early."""

    def __init__(self, request: Request, reader: MultipartReader | None, limits: Limits) -> None:
        self.fault: DoorwardError | None = None
        self.is_gone = False
        self._request = request
        self._reader = reader
        self._limits = limits
        self._events = self._read()

    async def next_part(self) -> "Part | None":
        """Return the next part, once the one before is over; None at the end, which may be an early one."""
        try:
            event = await anext(self._events, None)
        except (PeerProtocolError, LimitExceeded):
            return None
        return Part(event.headers, self._events) if isinstance(event, PartBegun) else None

    async def _read(self) -> AsyncIterator[Event]:
        try:
            async for event in self._parts() if self._reader else self._whole():
                yield event
        except ClientDisconnect:
            self.is_gone = True
            self.fault = PeerProtocolError(
                "the connection ended in it", field="HTTP body", source="RFC 9112 section 8"
            )
            raise self.fault from None
        except (PeerProtocolError, LimitExceeded) as error:
            self.fault = error
            raise

    async def _parts(self) -> AsyncIterator[Event]:
        reader = self._reader
        assert reader is not None
        async for chunk in self._chunks():
            for event in reader.feed(chunk):
                yield event
        reader.finish()

    async def _whole(self) -> AsyncIterator[Event]:
        yield PartBegun({"content-type": DICOM})
        async for chunk in self._chunks():
            yield PartData(chunk)
        yield PartEnded()

    async def _chunks(self) -> AsyncIterator[bytes]:
        count_bytes = 0
        bound = self._limits.stow_bytes
        async for chunk in self._request.stream():
            taken = chunk[: bound - count_bytes]
            count_bytes += len(chunk)
            if taken:
                yield taken
            if count_bytes > bound:
                raise LimitExceeded(limit="stow_bytes", value=bound, seen=count_bytes)


class Part:
    """One part: an iterator over its bytes. ``is_over``: all of it was read, or no more will come."""

    def __init__(self, headers: Mapping[str, str], events: AsyncIterator[Event]) -> None:
        self.headers = headers
        self.is_over = asyncio.Event()
        self._events = events

    def __aiter__(self) -> "Part":
        return self

    async def __anext__(self) -> bytes:
        if self.is_over.is_set():
            raise StopAsyncIteration
        try:
            event = await anext(self._events)
        except BaseException:
            self.is_over.set()
            raise
        if isinstance(event, PartData):
            return event.data
        self.is_over.set()
        raise StopAsyncIteration

    async def pass_over(self) -> None:
        """Read what nobody wants, to the next part; where that cannot be, the source says why."""
        try:
            async for _ in self:
                pass
        except (PeerProtocolError, LimitExceeded):
            pass
