"""Rendered images and thumbnails (PS3.18 sections 10.4.1.1.3 and 10.4.1.1.5).

    /studies/{s}/series/{e}/instances/{i}/rendered              the first frame
    /studies/{s}/series/{e}/instances/{i}/frames/{n}/rendered   one frame
    /studies/{s}/thumbnail, and of a series, an instance, a frame

image/jpeg and image/png; nothing moves, so image/gif and videos are 406, and so is what has no pixels. A thumbnail of a series
is that of an instance in its middle, a thumbnail of a study that of a series with pixels; 404 where there is none. Each access
is a look (``archive.viewing``): policy, journal and allowance come before the image.
"""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.archive.archive import Archive
from doorward.archive.giving import Refusal
from doorward.archive.index.entry import HeldInstance
from doorward.archive.pixels.rendering import JPEG, PNG, Rendering, rendering_of
from doorward.archive.viewing import Kind, Look
from doorward.archive.web.answering import accepted, has_already, head_of, refused, wanted_by
from doorward.archive.web.caller import caller_of
from doorward.archive.web.refusals import refusal
from doorward.errors import (
    ConfigError,
    ImageError,
    LimitExceeded,
    PeerProtocolError,
    StorageError,
)
from doorward.web.accept import Form, select

_FORMS = (Form(media_type=JPEG), Form(media_type=PNG))
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"
_FRAME = f"{_INSTANCE}/frames/{{frame}}"
_THUMBNAILS = ("/studies/{study}", "/studies/{study}/series/{series}", _INSTANCE, _FRAME)
_STATUS = {"failed": 406, "no_pixels": 406, "no_frame": 404}
_NOT_HELD = "nothing of that name is held"
_BUSY_S = 2  # a worker is free again by then, or the next answer says so


def routes(archive: Archive) -> list[Route]:
    """Return the routes of what is rendered."""
    shown = _handler(archive, Kind.RENDERED)
    small = _handler(archive, Kind.THUMBNAIL)
    return [
        *(Route(f"{path}/rendered", shown, methods=["GET"]) for path in (_INSTANCE, _FRAME)),
        *(Route(f"{path}/thumbnail", small, methods=["GET"]) for path in _THUMBNAILS),
    ]


def _handler(archive: Archive, kind: Kind) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            return await _answer(archive, kind, request)
        except PeerProtocolError as error:
            return refusal(400, f"{error.field}: it is none of what may be asked for")
        except ImageError as error:
            is_thumbnail = kind is Kind.THUMBNAIL and error.kind == "no_pixels"
            return refusal(404 if is_thumbnail else _STATUS[error.kind], error.message)
        except ConfigError as error:
            return refusal(406, error.message)
        except LimitExceeded as error:
            if error.limit in ("image_waiting", "images_inflated_bytes"):
                return refusal(503, "too many images are being made", retry_after_s=_BUSY_S)
            return refusal(413, f"more than {error.limit} allows")
        except StorageError:
            return refusal(503, "the storage has failed")

    return handle


async def _answer(archive: Archive, kind: Kind, request: Request) -> Response:
    limits = archive.limits
    form = select(accepted(request, limits), _FORMS)
    if form is None:
        return refusal(406, "images are given as image/jpeg or image/png")
    rendering = rendering_of(
        _parameters(request), form.media_type, limits, is_thumbnail=kind is Kind.THUMBNAIL
    )
    number = _frame_in(request)
    caller = caller_of(request)
    look = await archive.viewing.look(kind, wanted_by(request), caller.identity(), caller.record)
    if isinstance(look, Refusal):
        return refused(look)
    if not look.instances:
        return refusal(404, _NOT_HELD)
    return await _sent(archive, request, look, number, rendering)


async def _sent(
    archive: Archive, request: Request, look: Look, number: int, rendering: Rendering
) -> Response:
    """Return the image of the first candidate that has one."""
    candidates = _candidates(look.instances, archive.limits.image_thumbnail_tries)
    for at, held in enumerate(candidates):
        etag = f'"{held.digest[:32]}.{number}.{_mark(rendering)}"'
        if at == 0 and has_already(request, etag):
            return Response(status_code=304, headers=head_of(etag=etag))
        try:
            image = await _rendered(archive, held, number, rendering)
        except ImageError:
            if len(candidates) == 1:
                raise
            continue
        refused_now = await look.take(len(image), held.sop_instance_uid, frames=1)
        if refused_now is not None:
            return refused(refused_now)
        headers = head_of(etag=etag)
        return Response(image, media_type=rendering.media_type, headers=headers)
    return refusal(404, "nothing in it can be shown")


async def _rendered(
    archive: Archive, held: HeldInstance, number: int, rendering: Rendering
) -> bytes:
    try:
        return await archive.renderer.render(held, number, rendering)
    except PeerProtocolError:
        # Whoever asked has done nothing wrong: what was stored is not as it should be.
        raise ImageError("its data set is faulty") from None


def _candidates(instances: Sequence[HeldInstance], most: int) -> list[HeldInstance]:
    """Return whom to try: the middle one of each series, then the first ones."""
    series: dict[str, list[HeldInstance]] = {}
    for one in instances:
        series.setdefault(one.series_uid, []).append(one)
    middles = [those[len(those) // 2] for those in series.values()]
    found = dict.fromkeys(one.sop_instance_uid for one in [*middles, *instances[:most]])
    by_uid = {one.sop_instance_uid: one for one in instances}
    return [by_uid[uid] for uid in list(found)[:most]]


def _mark(rendering: Rendering) -> str:
    """Return what tells one rendering of a frame from another, for an ETag."""
    kind = "png" if rendering.media_type == PNG else "jpeg"
    numbers = [*(rendering.window or ()), *(rendering.viewport or ())]
    return "-".join([kind, str(rendering.quality), *(f"{one}" for one in numbers)])


def _parameters(request: Request) -> dict[str, str]:
    """Return the parameters of the query. Raises PeerProtocolError where one comes twice."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found and name != "accept":
            field = name if name.isascii() and name.isalnum() else "query"
            message = "it comes twice"
            raise PeerProtocolError(message, field=field, source="PS3.18 section 8.3.4.1")
        found[name] = value
    return found


def _frame_in(request: Request) -> int:
    """Return the number of the frame in the path, 1 where there is none. Raises ImageError."""
    text = request.path_params.get("frame", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise ImageError("it has no such frame", kind="no_frame")
    return int(text)
