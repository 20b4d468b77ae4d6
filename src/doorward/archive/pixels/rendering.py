"""A frame as an image file, and what a request may say about it (PS3.18 sections 8.3.5 and 10.4.1.1.3).

Parameters: ``quality`` 1 to 100, of image/jpeg. ``viewport`` w,h or w,h,x,y,w,h: how large, and which part of the image,
where a negative width or height mirrors it. ``window`` center,width,function with linear, linear-exact or sigmoid.
``annotation`` and ``iccprofile`` are refused: nothing is written into an image, and no colours are managed.
Where nothing is asked for, an image has its own size, and the window that its data set names first.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.entry import HeldInstance
from doorward.archive.index.index import Index
from doorward.archive.pixels.job import Message
from doorward.archive.pixels.picture import Picture, frame_of, picture_of
from doorward.archive.pixels.stored import Content, Layout, content_of, layout_of
from doorward.archive.pixels.workers import Workers
from doorward.errors import ImageError, LimitExceeded, PeerProtocolError
from doorward.limits import Limits

JPEG, PNG = "image/jpeg", "image/png"
_DEFAULT_QUALITY = 90
_SHAPES = ("linear", "linear-exact", "sigmoid")
_PARAMETERS = frozenset({"quality", "viewport", "window"})
#: What a request may say besides: it decides about the answer, not about the image.
_OTHERS = frozenset({"accept", "charset"})
_SOURCE = "PS3.18 section 8.3.5.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """How a frame is to be shown."""

    media_type: str = JPEG
    quality: int = _DEFAULT_QUALITY
    #: center, width, function
    window: tuple[float, float, str] | None = None
    #: width and height of the result; x, y, width and height of the part (0: all)
    viewport: tuple[float, float, float, float, float, float] | None = None


def rendering_of(
    parameters: Mapping[str, str], media_type: str, limits: Limits, *, is_thumbnail: bool = False
) -> Rendering:
    """Return what a request asks for. Raises PeerProtocolError, which names the parameter and not its value."""
    known = {"viewport"} if is_thumbnail else _PARAMETERS
    for name in parameters:
        if name not in known | _OTHERS:
            raise _wrong(name if name.isascii() and name.isalnum() else "query")
    side = float(limits.image_thumbnail_pixels)
    usual = (side, side, 0.0, 0.0, 0.0, 0.0) if is_thumbnail else None
    viewport, window = parameters.get("viewport"), parameters.get("window")
    return Rendering(
        media_type=media_type,
        quality=_quality(parameters.get("quality", str(_DEFAULT_QUALITY))),
        window=None if window is None else _window(window),
        viewport=usual if viewport is None else _viewport(viewport, limits),
    )


def _quality(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= 100):
        raise _wrong("quality")
    return int(text)


def _window(text: str) -> tuple[float, float, str]:
    parts = text.split(",")
    center, width = _numbers("window", parts[:2], 2)
    shape = parts[2].lower() if len(parts) > 2 else "linear"
    least = 1.0 if shape == "linear" else 0.0
    if len(parts) > 3 or shape not in _SHAPES or width < least or width <= 0:
        raise _wrong("window")
    return center, width, shape


def _viewport(text: str, limits: Limits) -> tuple[float, float, float, float, float, float]:
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise _wrong("viewport")
    # Of the part of the image each value may be left out (PS3.18 section 8.3.5.1.3).
    texts = [*parts[:2], *(part or "0" for part in parts[2:]), "0", "0", "0", "0"]
    width, height, x, y, part_width, part_height = _numbers("viewport", texts[:6], 6)
    most = limits.image_side_pixels
    if not (1 <= width <= most and 1 <= height <= most) or x < 0 or y < 0:
        raise _wrong("viewport")
    return width, height, x, y, part_width, part_height


def _numbers(name: str, texts: Sequence[str], count: int) -> list[float]:
    try:
        found = [float(text) for text in texts if len(text) <= 16 and text.isascii()]
    except ValueError:
        raise _wrong(name) from None
    if len(found) != count or not all(math.isfinite(one) for one in found):
        raise _wrong(name)
    return found


class Renderer:
    """Renders frames of stored instances, and remembers some of what it made."""

    def __init__(self, blobs: BlobStore, index: Index, workers: Workers, limits: Limits) -> None:
        self._blobs = blobs
        self._index = index
        self._workers = workers
        self._limits = limits
        self._asked = 0
        #: Who has a frame in memory: those that are decoded, and the next one. The others wait with empty hands.
        self._turns = asyncio.Semaphore(limits.image_workers + 1)
        self._made: OrderedDict[tuple[str, int, Rendering], bytes] = OrderedDict()
        self._made_bytes = 0

    async def render(self, held: HeldInstance, number: int, rendering: Rendering) -> bytes:
        """Return a frame, 1 is the first, as an image file.

        Raises ImageError, LimitExceeded, PeerProtocolError for a data set that is faulty, ConfigError without decoders,
        StorageError.
        """
        key = held.digest, number, rendering
        made = self._made.get(key)
        if made is not None:
            self._made.move_to_end(key)
            return made
        bound, most = self._limits.image_waiting, self._limits.image_workers
        if self._asked >= bound + most:
            raise LimitExceeded(limit="image_waiting", value=bound, seen=self._asked)
        self._asked += 1
        try:
            async with self._turns:
                made = await self._rendered(held, number, rendering)
        finally:
            self._asked -= 1
        self._remember(key, made)
        return made

    async def _rendered(self, held: HeldInstance, number: int, rendering: Rendering) -> bytes:
        frames = await self._index.frames_of(held.sop_instance_uid)
        async with content_of(self._blobs, held.digest, self._limits) as content:
            layout = await layout_of(content, frames if _is_framed(content) else ())
            picture = picture_of(layout, content, is_shown=True)
            if picture is None:
                raise ImageError("it has no pixels", kind="no_pixels")
            if not 1 <= number <= picture.frames:
                raise ImageError("it has fewer frames", kind="no_frame")
            frame, bit = await frame_of(picture, layout, content, number - 1)
        job = Message(
            facts=facts_of(picture, layout, content)
            | {
                "do": "render",
                "bit": bit,
                "frame": number - 1,
                "format": "png" if rendering.media_type == PNG else "jpeg",
                "quality": rendering.quality,
                "window": rendering.window,
                "viewport": rendering.viewport,
            },
            parts=(frame, picture.shown),
        )
        result = await self._workers.do(job)
        if len(result.parts) != 1:
            raise ImageError("its decoder gave no answer")
        return result.parts[0]

    def _remember(self, key: tuple[str, int, Rendering], made: bytes) -> None:
        if key in self._made or len(made) > self._limits.image_cache_bytes:
            return
        self._made[key] = made
        self._made_bytes += len(made)
        while self._made_bytes > self._limits.image_cache_bytes:
            _, oldest = self._made.popitem(last=False)
            self._made_bytes -= len(oldest)


def facts_of(picture: Picture, layout: Layout, content: Content) -> dict[str, object]:
    """Return what a worker has to know of the pixels; native ones are given to it in little endian."""
    facts = asdict(picture)
    del facts["shown"]
    is_compressed = layout.is_compressed
    syntax = content.transfer_syntax_uid if is_compressed else _NATIVE
    return facts | {"syntax": syntax, "is_compressed": is_compressed}


_NATIVE = "1.2.840.10008.1.2.1"


def _is_framed(content: Content) -> bool:
    """Whether the index can know where frames lie: not within what is deflated."""
    return not content.is_inflated


def _wrong(name: str) -> PeerProtocolError:
    return PeerProtocolError("it is none of what may be asked for", field=name, source=_SOURCE)
