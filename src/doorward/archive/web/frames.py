"""Frames of an instance (PS3.18 section 10.4.1.1.6), and its pixels as a whole.

Theory of operation. The index knows where the frames of nearly every image lie, so a frame is one read. Where it does not
(fragments that are more than frames, pixels that came big endian or deflated), what stands before the pixels and the headers
of the fragments are read. Frames that no table tells apart, or that do not begin at a whole byte, are refused: 406.
"""

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.archive.archive import Archive
from doorward.archive.giving import Refusal
from doorward.archive.index.entry import Frame, HeldInstance
from doorward.archive.pixels.picture import word_bytes
from doorward.archive.pixels.stored import Content, content_of, head_of, layout_of
from doorward.archive.viewing import Kind
from doorward.archive.web.answering import INSTANCE, base_of, instance_url, refused, wanted_by
from doorward.archive.web.caller import caller_of
from doorward.archive.web.octets import Answer, Octets, pixel_forms, send
from doorward.archive.web.refusals import refusal
from doorward.dicom.attributes import Attribute, DataSetView, read_attributes
from doorward.dicom.part10 import is_deflated, syntax_of
from doorward.dicom.walk import UNDEFINED, Element, Syntax
from doorward.errors import PeerProtocolError
from doorward.limits import Limits

_LIST = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*", re.ASCII)
_NUMBER_OF_FRAMES = 0x00280008
_BITS_ALLOCATED = 0x00280100
_SIZES = (0x00280010, 0x00280011, 0x00280002, _BITS_ALLOCATED)
_NONE = Attribute("US")
_NOT_TOLD = "the frames of this instance cannot be told apart: retrieve it as a whole"


def routes(archive: Archive) -> list[Route]:
    """Return the route of frames."""

    async def frames(request: Request) -> Response:
        return await _frames(archive, request)

    return [Route(f"{INSTANCE}/frames/{{frames}}", frames, methods=["GET"])]


async def _frames(archive: Archive, request: Request) -> Response:
    numbers = parse_frames(request.path_params["frames"], archive.limits)
    if numbers is None:
        return refusal(400, "frames are numbers from 1 on, parted by commas")
    caller = caller_of(request)
    look = await archive.viewing.look(
        Kind.FRAMES, wanted_by(request), caller.identity(), caller.record
    )
    if isinstance(look, Refusal):
        return refused(look)
    if not look.instances:
        return refusal(404, "There is nothing here")
    held = look.instances[0]
    try:
        found = await frames_of(archive, held)
    except PeerProtocolError:
        return refusal(406, _NOT_TOLD)
    if max(numbers) > len(found):
        return refusal(404, "There is no frame of that number")
    url = instance_url(base_of(request), held)
    answer = Answer(
        held=held,
        octets=[found[number - 1] for number in numbers],
        locations=[f"{url}/frames/{number}" for number in numbers],
        forms=pixel_forms(held.transfer_syntax_uid),
        frames=len(numbers),
    )
    return await send(archive, request, look, answer)


def parse_frames(text: str, limits: Limits) -> list[int] | None:
    """Return the numbers of frames, from 1 on; None where they are none, or too many (``frame_list``)."""
    if not _LIST.fullmatch(text) or text.count(",") >= limits.frame_list:
        return None
    numbers = [int(one) for one in text.split(",")]
    return numbers if min(numbers) else None


async def frames_of(archive: Archive, held: HeldInstance) -> Sequence[Octets]:
    """Return where each frame lies; () where there are no pixels.

    Raises PeerProtocolError where they cannot be told apart, LimitExceeded, StorageError.
    """
    known = await archive.index.frames_of(held.sop_instance_uid)
    syntax_uid = held.transfer_syntax_uid
    if known and syntax_of(syntax_uid) is not Syntax.EXPLICIT_BIG:
        return [Octets(ranges=(one,)) for one in known]
    async with content_of(archive.blobs, held.digest, archive.limits) as content:
        head, pixels = await head_of(content)
        if pixels is None:
            return ()
        view = read_attributes(head, content.syntax, (_NUMBER_OF_FRAMES, *_SIZES), archive.limits)
        count = max(1, _number(view, _NUMBER_OF_FRAMES))
        if pixels.length == UNDEFINED:
            layout = await layout_of(content, known)
            return [await _octets(content, frame, 1) for frame in layout.frames]
        words = word_bytes(pixels.vr, _number(view, _BITS_ALLOCATED), content.syntax)
        return [await _octets(content, (one,), words) for one in _native(pixels, view, count)]


def _native(pixels: Element, view: DataSetView, count: int) -> list[Frame]:
    """Return the frames of uncompressed pixels; offsets count from the beginning of the data set."""
    rows, columns, samples, bits = (_number(view, tag) for tag in _SIZES)
    size, rest = divmod(rows * columns * (samples or 1) * bits, 8)
    if count == 1:
        return [Frame(pixels.offset, pixels.length)]
    if rest or not size or count * size > pixels.length:
        # YBR_FULL_422 has two samples of three; what else there may be, divides evenly.
        size, rest = divmod(pixels.length, count)
        if rest or not size or bits % 8:
            raise PeerProtocolError(
                "its frames do not begin at whole bytes",
                field="(7FE0,0010)",
                source="PS3.5 section 8.1.1",
            )
    return [Frame(pixels.offset + number * size, size) for number in range(count)]


async def pixel_octets(content: Content, pixels: Element) -> list[Octets]:
    """Return all pixels: one part, or one for each frame of compressed ones. Raises as ``frames_of``."""
    if pixels.length == UNDEFINED:
        layout = await layout_of(content)
        return [await _octets(content, frame, 1) for frame in layout.frames]
    head, _ = await head_of(content)
    view = read_attributes(head, content.syntax, (_BITS_ALLOCATED,), content.limits)
    words = word_bytes(pixels.vr, _number(view, _BITS_ALLOCATED), content.syntax)
    return [await _octets(content, (Frame(pixels.offset, pixels.length),), words)]


async def _octets(content: Content, ranges: Sequence[Frame], words: int) -> Octets:
    """Return ranges of a data set as those of its file; those of an inflated one are read."""
    if any(one.offset + one.length > content.size_bytes for one in ranges):
        raise PeerProtocolError(
            "it ends in the middle of its pixels", field="data set", source="PS3.5 section 7.1"
        )
    if is_deflated(content.transfer_syntax_uid):
        value = b"".join([await content.read(*one) for one in ranges])
        return Octets(value=value, word_bytes=words)
    [at] = content.of_file((Frame(0, 0),))
    return Octets(
        ranges=tuple(Frame(one.offset - at.offset, one.length) for one in ranges),
        word_bytes=words,
    )


def _number(view: DataSetView, tag: int) -> int:
    text = next(iter(view.get(tag, _NONE).values), "")
    return int(text) if text.isascii() and text.isdigit() else 0
