"""What the routes of DICOMweb share: what is accepted, addresses of resources, refusals, and answers sent piece by piece."""

import math
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from doorward.archive.giving import Refusal, Why
from doorward.archive.index.entry import HeldInstance
from doorward.archive.retrieval import Wanted
from doorward.archive.web.refusals import refusal
from doorward.errors import LocalProtocolError
from doorward.limits import Limits
from doorward.web.accept import MediaRange, parse_accept

STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"

#: UIDs in use are not all as PS3.5 section 9.1 has them; what may stand in a path without a second meaning is let through.
_UID = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)
_STATUS = {
    Why.NOT_AUTHORISED: 403,
    Why.VOLUME: 429,
    Why.TOO_MANY: 413,
    Why.STORAGE: 503,
    Why.NOT_ACCEPTABLE: 406,
}
#: Whoever has a copy may keep it, and asks each time whether it still may and whether it is still the same.
_CACHING = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Cookie"}


def accepted(request: Request, limits: Limits) -> tuple[MediaRange, ...]:
    """Return what the client accepts; the query parameter goes before the header (PS3.18 section 8.3.3.1).

    Raises PeerProtocolError, LimitExceeded.
    """
    named = request.query_params.getlist("accept")
    return parse_accept(", ".join(named or request.headers.getlist("accept")), limits)


def wanted_by(request: Request) -> Wanted:
    """Return what the path names. Raises HTTPException (404) where something in it is no UID."""
    parts = request.path_params
    study, series, instance = (
        (uid_in(parts, level),) if level in parts else ()
        for level in ("study", "series", "instance")
    )
    return Wanted(study_uids=study, series_uids=series, instance_uids=instance)


def uid_in(parts: Mapping[str, str], level: str) -> str:
    """Return one UID of a path. Raises HTTPException (404): there is nothing of such a name."""
    if not _UID.fullmatch(parts[level]):
        raise HTTPException(404)
    return parts[level]


def base_of(request: Request) -> str:
    """Return the address of the service as the client has called it, without a slash at its end."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def instance_url(base: str, held: HeldInstance) -> str:
    """Return the address of an instance."""
    return f"{base}/studies/{held.study_uid}/series/{held.series_uid}/instances/{held.sop_instance_uid}"


def refused(why: Refusal) -> Response:
    """Return the answer to somebody who gets nothing."""
    if why.why is Why.UNCHANGED:
        return Response(status_code=304, headers=_CACHING)
    wait = None if why.retry_after_s is None else math.ceil(why.retry_after_s)
    return refusal(_STATUS[why.why], why.reason, retry_after_s=wait)


def has_already(request: Request, etag: str) -> bool:
    """Tell whether the client has this already (RFC 9110 section 13.1.2)."""
    named = ",".join(request.headers.getlist("if-none-match"))
    known = [one.strip().removeprefix("W/") for one in named.split(",")]
    return etag.removeprefix("W/") in known


class _Streamed(StreamingResponse):
    """Sends pieces as they come, and lets go of what they are read from however it ends."""

    body_iterator: AsyncGenerator[bytes, None]

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):
            await super().stream_response(send)


async def streamed(
    pieces: AsyncGenerator[bytes, None],
    media_type: str,
    *,
    etag: str = "",
    length: int | None = None,
) -> Response:
    """Return an answer whose first piece is here: what fails before it is an answer still.

    What fails later breaks the connection off, so that nobody takes a part for the whole.
    """
    try:
        first = await anext(pieces)
    except StopAsyncIteration:
        raise LocalProtocolError("an answer without a piece") from None
    answer = _Streamed(_after(first, pieces), media_type=media_type)
    answer.headers.update(head_of(etag=etag, length=length))
    return answer


async def _after(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece


def head_of(*, etag: str = "", length: int | None = None) -> dict[str, str]:
    """Return the header fields of an answer; only what has an ETag may be kept, by whom it is for."""
    fields = {**_CACHING, "ETag": etag} if etag else {"Cache-Control": "no-store"}
    if length is not None:
        fields["Content-Length"] = str(length)
    return fields
