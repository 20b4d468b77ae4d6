"""A stored instance in a transfer syntax that its receiver accepts, with the same SOP Instance UID.

Theory of operation. Written anew are only headers where that is enough: implicit for explicit VR, native big endian and
deflated data sets, with the pixels streamed through. Compressed pixels are decoded frame by frame in a worker, and can go on
in RLE Lossless. All targets are lossless, so the image stays the same one: PS3.3 section C.7.6.1.1.5 keeps the UID of what is
merely decompressed, and keeps Lossy Image Compression at 01. What the decoder has done to the colours, Photometric
Interpretation and Planar Configuration say.

Nothing is yielded before ``image_held_bytes`` of the result are there, or all of it: pixels that cannot be decoded are a
failed sub-operation then and no broken association. What fails later than that breaks it off.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.entry import HeldInstance
from doorward.archive.pixels.job import Message
from doorward.archive.pixels.picture import (
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    Picture,
    frame_of,
    picture_of,
    word_bytes,
)
from doorward.archive.pixels.rendering import facts_of
from doorward.archive.pixels.stored import Content, Layout, content_of, layout_of
from doorward.archive.pixels.workers import Workers, is_installed
from doorward.dicom.part10 import syntax_of, write_file_meta
from doorward.dicom.reencode import header_of, reencode, swapped
from doorward.dicom.walk import ITEM, PIXEL_DATA, SEQUENCE_DELIMITATION, UNDEFINED, Syntax
from doorward.errors import ImageError, LimitExceeded
from doorward.limits import Limits
from doorward.net.client import IMPLEMENTATION_CLASS_UID
from doorward.wire.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED = "1.2.840.10008.1.2.1.99"
#: What an instance may be written in, the first one first.
TARGETS = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS)
#: Only the headers differ: no decoder is needed.
NATIVE = frozenset(
    {EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED}
)
#: What pydicom's plugins of ``doorward[images]`` decode: RLE, JPEG baseline, JPEG-LS, JPEG 2000, HTJ2K. The others
#: (JPEG extended, JPEG lossless) are tried, and fail where no plugin is there for them.
DECODED = frozenset(
    {RLE_LOSSLESS, *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91))}
    | {f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)}
)
#: JPEG baseline and extended are always lossy; of the others the data set itself has to say so.
_ALWAYS_LOSSY = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_LOSSY_IMAGE_COMPRESSION = 0x00282110
_EXTENDED_OFFSET_TABLE, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_MOST_VALUE_BYTES = 0xFFFFFFFE


def other_syntaxes(transfer_syntax_uid: str) -> Sequence[str]:
    """Return what an instance of this transfer syntax can be written in, the best first; () where in nothing else."""
    if transfer_syntax_uid in NATIVE:
        targets: Sequence[str] = TARGETS if is_installed() else TARGETS[:2]
    else:
        targets = TARGETS if transfer_syntax_uid in DECODED and is_installed() else ()
    return tuple(one for one in targets if one != transfer_syntax_uid)


@dataclass(frozen=True, slots=True)
class Transcoder:
    """Writes instances anew for whoever does not accept them as they are."""

    blobs: BlobStore = field(repr=False)
    workers: Workers = field(repr=False)
    limits: Limits = field(repr=False)

    def others(self, held: HeldInstance) -> Sequence[str]:
        """Return what the instance can be written in besides its own syntax."""
        return other_syntaxes(held.transfer_syntax_uid)

    def written_in(self, held: HeldInstance, accepted: Collection[str]) -> "Transcoded | None":
        """Return the instance in the best of the accepted syntaxes; None where it can be written in none of them."""
        target = next((one for one in self.others(held) if one in accepted), None)
        return None if target is None else Transcoded(held, target, self)

    async def pieces(self, held: HeldInstance, target: str) -> AsyncIterator[bytes]:
        """Yield the data set in another syntax, once it is clear that it can be written (see above).

        Raises ImageError, PeerProtocolError for a data set that is faulty, LimitExceeded, ConfigError without decoders,
        StorageError.
        """
        held_back: list[bytes] = []
        size = 0
        async for piece in self._pieces(held, target):
            if size < self.limits.image_held_bytes:
                held_back.append(piece)
                size += len(piece)
                continue
            for one in held_back:
                yield one
            held_back.clear()
            yield piece
        for one in held_back:
            yield one

    async def _pieces(self, held: HeldInstance, target: str) -> AsyncIterator[bytes]:
        async with content_of(self.blobs, held.digest, self.limits) as content:
            layout = await layout_of(content)
            if layout.pixels is None:
                yield _anew(layout.head, content, target)
                return
            if layout.is_compressed or target == RLE_LOSSLESS:
                pieces = self._decoded(layout, content, target)
            else:
                pieces = _native(layout, content, target)
            async for piece in pieces:
                yield piece
            yield await _rest(layout, content, target)

    async def _decoded(self, layout: Layout, content: Content, target: str) -> AsyncIterator[bytes]:
        picture = picture_of(layout, content)
        assert picture is not None
        size = picture.decoded_bytes * picture.frames
        if size > _MOST_VALUE_BYTES and target != RLE_LOSSLESS:
            raise LimitExceeded(limit="image_frame_bytes", value=_MOST_VALUE_BYTES, seen=size)
        pixels, photometric = await self._frame(picture, layout, content, 0, target)
        yield _head(picture, layout, content, photometric, target)
        for number in range(picture.frames):
            if number:
                pixels, now = await self._frame(picture, layout, content, number, target)
                if now != photometric:
                    raise ImageError("its frames differ in their colours")
            if target == RLE_LOSSLESS:
                yield header_of(ITEM, "", len(pixels), Syntax.EXPLICIT_LITTLE)
            yield pixels
        if target == RLE_LOSSLESS:
            yield header_of(SEQUENCE_DELIMITATION, "", 0, Syntax.EXPLICIT_LITTLE)
        elif size % 2:
            yield b"\0"

    async def _frame(
        self, picture: Picture, layout: Layout, content: Content, number: int, target: str
    ) -> tuple[bytes, str]:
        """Return one frame as it goes into the target, and its photometric interpretation."""
        if picture.allocated == 1 or picture.keyword != "PixelData":
            raise ImageError("such pixels are never compressed")
        frame, _ = await frame_of(picture, layout, content, number)
        is_rle = target == RLE_LOSSLESS
        facts = facts_of(picture, layout, content) | {"do": "decode", "is_rle": is_rle, "bit": 0}
        result = await self.workers.do(Message(facts=facts, parts=(frame,)))
        photometric = result.facts.get("photometric")
        if len(result.parts) != 1 or photometric not in {picture.photometric, "RGB", "YBR_FULL"}:
            raise ImageError("its decoder gave no answer")
        pixels = result.parts[0]
        if not is_rle and len(pixels) != picture.decoded_bytes:
            raise ImageError("its decoder gave another size")
        return pixels + b"\0" * (is_rle and len(pixels) % 2), photometric


@dataclass(frozen=True, slots=True)
class Transcoded:
    """One instance on its way out in another transfer syntax; a ``net.transfer.Source``."""

    held: HeldInstance = field(repr=False)
    transfer_syntax_uid: str
    transcoder: Transcoder = field(repr=False)

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID."""
        return self.held.sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID: the one that it has."""
        return self.held.sop_instance_uid

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the data set; see ``Transcoder.pieces``."""
        return self.transcoder.pieces(self.held, self.transfer_syntax_uid)

    async def file(self) -> AsyncIterator[bytes]:
        """Yield a whole file (PS3.10 section 7.1), for WADO. Raises like ``pieces``."""
        meta = write_file_meta(
            transfer_syntax_uid=self.transfer_syntax_uid,
            media_storage_sop_class_uid=self.held.sop_class_uid,
            media_storage_sop_instance_uid=self.held.sop_instance_uid,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        )
        async for piece in self.pieces():
            yield meta + piece if meta else piece
            meta = b""


def _anew(part: bytes, content: Content, target: str) -> bytes:
    return reencode(part, content.syntax, syntax_of(target), limits=content.limits)


def _head(
    picture: Picture, layout: Layout, content: Content, photometric: str, target: str
) -> bytes:
    """Return what stands before pixels that were decoded, and their header."""
    changes: dict[int, tuple[str, bytes] | None] = {
        PHOTOMETRIC_INTERPRETATION: ("CS", _even(photometric)),
        _EXTENDED_OFFSET_TABLE: None,
        _EXTENDED_LENGTHS: None,
    }
    is_rle = target == RLE_LOSSLESS
    if picture.samples > 1:
        changes[PLANAR_CONFIGURATION] = ("US", b"\1\0" if is_rle else b"\0\0")
    if content.transfer_syntax_uid in _ALWAYS_LOSSY:
        changes[_LOSSY_IMAGE_COMPRESSION] = ("CS", b"01")
    syntax = syntax_of(target)
    head = reencode(layout.head, content.syntax, syntax, changes=changes, limits=content.limits)
    if is_rle:
        # An empty offset table (PS3.5 section A.4).
        table = header_of(ITEM, "", 0, syntax)
        return head + header_of(PIXEL_DATA, "OB", UNDEFINED, syntax) + table
    size = picture.decoded_bytes * picture.frames
    vr = "OB" if picture.allocated <= 8 else "OW"
    return head + header_of(PIXEL_DATA, vr, size + size % 2, syntax)


async def _native(layout: Layout, content: Content, target: str) -> AsyncIterator[bytes]:
    """Yield what stands before native pixels, and these as they are or in the other byte order."""
    assert layout.pixels is not None
    tag, vr, offset, length, _ = layout.pixels
    syntax = syntax_of(target)
    yield _anew(layout.head, content, target) + header_of(tag, vr, length, syntax)
    word = 1
    if content.syntax is Syntax.EXPLICIT_BIG:
        picture = picture_of(layout, content)
        assert picture is not None
        word = word_bytes(vr, picture.allocated, content.syntax)
    async for piece in content.chunks(offset, length):
        yield swapped(piece, word)


async def _rest(layout: Layout, content: Content, target: str) -> bytes:
    """Return what stands behind the pixels."""
    length = content.size_bytes - layout.rest
    if length > content.limits.ingest_head_bytes:
        bound = content.limits.ingest_head_bytes
        raise LimitExceeded(limit="ingest_head_bytes", value=bound, seen=length)
    return _anew(await content.read(layout.rest, length), content, target)


def _even(text: str) -> bytes:
    return (text + " " * (len(text) % 2)).encode()
