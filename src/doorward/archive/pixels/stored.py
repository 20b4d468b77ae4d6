"""What stands in a stored instance: the elements before its pixels, its pixels frame by frame, and what comes behind.

Theory of operation. ``content_of`` opens a data set for reading anywhere in it; one that is deflated is inflated as a whole,
with a bound. ``layout_of`` reads as much of its beginning as stands before the pixels, and the headers of the fragments;
no pixel is read. All lengths come from a stranger, and each is held against what is there.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from struct import Struct
from typing import ClassVar

from doorward.archive.blobs.reader import BlobReader
from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.entry import Frame
from doorward.dicom.attributes import read_attributes
from doorward.dicom.inflate import Inflater
from doorward.dicom.part10 import is_deflated, read_file_meta, syntax_of
from doorward.dicom.tags import vr_of
from doorward.dicom.walk import (
    ITEM,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    Element,
    Syntax,
    walk,
)
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits

#: Float, Double Float and Pixel Data.
PIXELS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
_NUMBER_OF_FRAMES = 0x00280008
_ON_WIRE = 0xFFFFFFFF
_ITEM_HEADER = Struct("<HHL")
_TURN_BYTES = 1_048_576  # a unit of work: inflated in some milliseconds
_FIRST_LOOK_BYTES = 16_384  # a unit of work: heads have some 2,000 to 10,000 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One data set that can be read anywhere. Offsets count from its first byte."""

    transfer_syntax_uid: str
    size_bytes: int
    limits: Limits
    _reader: BlobReader = field(repr=False)
    _begin: int
    #: what a deflated one inflates to
    _inflated: bytes | None = field(default=None, repr=False)

    @property
    def syntax(self) -> Syntax:
        """How its headers are written."""
        return syntax_of(self.transfer_syntax_uid)

    @property
    def is_inflated(self) -> bool:
        """Whether it is another row of bytes than that of its blob."""
        return self._inflated is not None

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly so many bytes. Raises PeerProtocolError outside of it, LimitExceeded, StorageError."""
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise _faulty("a length in it points behind its end")
        if self._inflated is not None:
            return self._inflated[offset : offset + length]
        return await self._reader.read(self._begin + offset, length)

    async def chunks(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """Yield a range in pieces. Raises like ``read``."""
        end = offset + length
        while offset < end:
            piece = min(self.limits.blob_chunk_bytes, end - offset)
            yield await self.read(offset, piece)
            offset += piece

    def of_file(self, frames: Sequence[Frame]) -> tuple[Frame, ...]:
        """Return frames whose offsets count from the beginning of the file, as ``Index.frames_of`` gives them, as ours."""
        return tuple(Frame(one.offset - self._begin, one.length) for one in frames)


@asynccontextmanager
async def content_of(blobs: BlobStore, digest: str, limits: Limits) -> AsyncIterator[Content]:
    """Open the data set of a blob. Raises StorageError; PeerProtocolError, LimitExceeded for a deflated one."""
    async with blobs.open_blob(digest) as reader:
        first = await reader.read(0, min(reader.size_bytes, limits.preamble_meta_bytes))
        meta = read_file_meta(first, limits)
        begin, uid = meta.data_set_offset, meta.transfer_syntax_uid
        inflated, share = None, _Share()
        try:
            if is_deflated(uid):
                inflated = await _inflated(reader, begin, share, limits)
            yield Content(
                transfer_syntax_uid=uid,
                size_bytes=reader.size_bytes - begin if inflated is None else len(inflated),
                limits=limits,
                _reader=reader,
                _begin=begin,
                _inflated=inflated,
            )
        finally:
            share.give_back()


@dataclass(slots=True)
class _Share:
    """Inflated bytes that are held for one data set; those of all together are bounded."""

    size_bytes: int = 0
    #: Of all in this process: a small file inflates to a hundred times as much, and many may ask for it at once.
    all_bytes: ClassVar[int] = 0

    def take(self, more_bytes: int, limits: Limits) -> None:
        """Count more of them. Raises LimitExceeded (``images_inflated_bytes``)."""
        bound, seen = limits.images_inflated_bytes, _Share.all_bytes + more_bytes
        if seen > bound:
            raise LimitExceeded(limit="images_inflated_bytes", value=bound, seen=seen)
        _Share.all_bytes = seen
        self.size_bytes += more_bytes

    def give_back(self) -> None:
        """They are held no more."""
        _Share.all_bytes -= self.size_bytes
        self.size_bytes = 0


async def _inflated(reader: BlobReader, begin: int, share: _Share, limits: Limits) -> bytes:
    inflater, found = Inflater(limits), bytearray()
    async for chunk in reader.chunks(begin):
        for piece in inflater.feed(chunk):
            share.take(len(piece), limits)
            found += piece
            if len(found) % _TURN_BYTES < len(piece):
                await asyncio.sleep(
                    0
                )  # to inflate all of it at once would keep everybody else waiting
            if len(found) > limits.image_inflated_bytes:
                bound = limits.image_inflated_bytes
                raise LimitExceeded(limit="image_inflated_bytes", value=bound, seen=len(found))
    inflater.finish()
    return bytes(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where what stands. ``pixels`` is None without any; ``frames`` is () for native pixels."""

    #: All elements before the pixels, as bytes.
    head: bytes = field(repr=False)
    #: The element of the pixels: its value begins at ``offset``.
    pixels: Element | None
    #: Of compressed pixels: each frame as the ranges of its fragments.
    frames: tuple[tuple[Frame, ...], ...] = ()
    #: Where the first element behind the pixels begins.
    rest: int

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are fragments (PS3.5 section A.4)."""
        return self.pixels is not None and self.pixels.length == UNDEFINED


async def layout_of(content: Content, frames: Sequence[Frame] = ()) -> Layout:
    """Return the layout; ``frames``: those of the index, where known, so that fragments need not be looked for.

    Raises PeerProtocolError where the data set is malformed or its fragments do not say which frame they belong to;
    LimitExceeded, StorageError.
    """
    head, pixels = await _head_of(content)
    if pixels is None:
        return Layout(head=head, pixels=None, rest=content.size_bytes)
    if pixels.length != UNDEFINED:
        end = pixels.offset + pixels.length
        if end > content.size_bytes:
            raise _faulty("it ends in the middle of its pixels")
        return Layout(head=head, pixels=pixels, rest=end)
    known = content.of_file(frames)
    if known:
        last = known[-1]
        after = await _delimiter(content, last.offset + last.length)
        found: tuple[tuple[Frame, ...], ...] = tuple((one,) for one in known)
    else:
        fragments, after = await _fragments(content, pixels.offset)
        found = await _grouped(content, fragments, _count_of(head, content))
    return Layout(head=head, pixels=pixels, frames=found, rest=after)


async def head_of(content: Content) -> tuple[bytes, Element | None]:
    """Return all elements before the pixels as bytes, and the header of these; fragments are not looked at.

    Raises as ``layout_of``.
    """
    return await _head_of(content)


def _count_of(head: bytes, content: Content) -> int:
    view = read_attributes(head, content.syntax, {_NUMBER_OF_FRAMES}, content.limits)
    text = next(iter(view[_NUMBER_OF_FRAMES].values), "") if _NUMBER_OF_FRAMES in view else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


async def _head_of(content: Content) -> tuple[bytes, Element | None]:
    """Return what stands before the pixels, and the header of these."""
    length = _FIRST_LOOK_BYTES
    most = content.limits.ingest_head_bytes
    while True:
        window = await content.read(0, min(length, content.size_bytes))
        at, fault = _end_of_whole(window, content.syntax, content.limits)
        header = _header(window, at, content.syntax)
        if header is not None and header.tag in PIXELS:
            return window[:at], header
        if len(window) == content.size_bytes:
            if fault is not None:
                raise fault
            return window, None
        if length >= most:
            raise LimitExceeded(limit="ingest_head_bytes", value=most, seen=content.size_bytes)
        length = min(4 * length, most)


def _end_of_whole(
    window: Buffer, syntax: Syntax, limits: Limits
) -> tuple[int, PeerProtocolError | None]:
    """Return where the first element begins that is not whole, or that of the pixels; and what is wrong with it."""
    at = 0
    try:
        for tag, vr, offset, length, depth in walk(window, syntax, limits):
            if depth:
                continue
            if vr and tag in PIXELS:
                return at, None
            if vr and length != UNDEFINED:
                at = offset + length
            elif tag == SEQUENCE_DELIMITATION:
                at = offset
    except PeerProtocolError as fault:
        # Its traceback would hold whoever holds it, and with that all that was inflated, until cycles are looked for.
        return at, fault.with_traceback(None)
    return at, None


def _header(window: Buffer, at: int, syntax: Syntax) -> Element | None:
    """Return the header that stands there, whatever its length says; None where it is not whole."""
    order = ">" if syntax is Syntax.EXPLICIT_BIG else "<"
    if at + 12 > len(window):
        return None
    group, number, length = Struct(f"{order}HHL").unpack_from(window, at)
    tag, start = group << 16 | number, at + 8
    if syntax is Syntax.IMPLICIT_LITTLE:
        vr = vr_of(tag)
    else:
        vr = bytes(window[at + 4 : at + 6]).decode("latin-1")
        if vr in SHORT_VRS:
            (length,) = Struct(f"{order}H").unpack_from(window, at + 6)
        else:
            (length,) = Struct(f"{order}L").unpack_from(window, at + 8)
            start = at + 12
    return Element(tag, vr, start, UNDEFINED if length == _ON_WIRE else length, 0)


async def _fragments(content: Content, offset: int) -> tuple[list[Frame], int]:
    """Return each item of compressed pixels, the offset table first, and where the delimiter ends."""
    found: list[Frame] = []
    while True:
        header = await content.read(offset, _ITEM_HEADER.size)
        group, number, length = _ITEM_HEADER.unpack(header)
        tag = group << 16 | number
        offset += _ITEM_HEADER.size
        if tag == SEQUENCE_DELIMITATION and not length:
            return found, offset
        if tag != ITEM or offset + length > content.size_bytes:
            raise _faulty("its fragments are no row of items")
        found.append(Frame(offset, length))
        if len(found) > content.limits.index_frames:
            bound = content.limits.index_frames
            raise LimitExceeded(limit="index_frames", value=bound, seen=len(found))
        offset += length


async def _delimiter(content: Content, offset: int) -> int:
    """Return where the delimiter ends that stands behind the last frame."""
    more, after = await _fragments(content, offset)
    if more:
        raise _faulty("its fragments are not those that the index knows")
    return after


async def _grouped(
    content: Content, items: list[Frame], count: int
) -> tuple[tuple[Frame, ...], ...]:
    """Return the fragments of each frame (PS3.5 section A.4)."""
    table, fragments = items[:1], items[1:]
    if count == 1:
        return (tuple(fragments),)
    if len(fragments) == count:
        return tuple((one,) for one in fragments)
    offsets = await content.read(*table[0]) if table else b""
    if len(offsets) != 4 * count or not fragments:
        raise _faulty("its fragments do not say which frame they belong to")
    begins = [at for (at,) in Struct("<L").iter_unpack(offsets)]
    first = fragments[0].offset - _ITEM_HEADER.size
    frames: list[list[Frame]] = [[] for _ in begins]
    at = -1
    for one in fragments:
        if at + 1 < count and one.offset - _ITEM_HEADER.size - first == begins[at + 1]:
            at += 1
        if at < 0:
            raise _faulty("its offset table points elsewhere")
        frames[at].append(one)
    if not all(frames):
        raise _faulty("its offset table points elsewhere")
    return tuple(map(tuple, frames))


def _faulty(message: str) -> PeerProtocolError:
    return PeerProtocolError(message, field="data set", source="PS3.5 section 7.1 and A.4")
